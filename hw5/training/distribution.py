"""Several devices and machines, through `tf.distribute`: strategies by name, and what their processes tell each other.

Every process of a cluster runs the same program. Worker 0, the chief, writes files; the others train along.
"""

import contextlib
import io
import json
import os
import pickle
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from hw5.errors import InputError
from hw5.files import atomic_write

STRATEGIES = ("none", "mirrored", "multiworker")
ADDRESS = re.compile(r"[^\s:,/]+:([0-9]{1,5})|\[[0-9a-fA-F:.]+\]:([0-9]{1,5})")


def make_strategy(name: str, workers: Sequence[str] = (), task: int | None = None) -> tf.distribute.Strategy | None:
    """Make a strategy; "multiworker" before any other operation of TensorFlow.

    Args:
        name: "none"; "mirrored", for the GPUs of this machine; "multiworker", for several machines or processes.
        workers: addresses HOST:PORT of all workers of a cluster, in the same order for each; by default
            TF_CONFIG's.
        task: which of them this process is, from 0.

    Returns:
        A strategy, or None for "none".

    Raises:
        InputError: there is one device, or no cluster; addresses or a task that cannot be; TF_CONFIG is damaged.
    """
    if name != "multiworker" and (workers or task is not None):
        given = f"workers={','.join(workers)}" if workers else f"task={task}"
        raise InputError(f"{given}: is for strategy=multiworker, and strategy={name}")
    if name == "none":
        return None
    if name == "mirrored":
        return _mirrored()
    cluster, kind, index = _cluster_of(workers, task) if workers or task is not None else _cluster_of_environment()
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(cluster), task_type=kind, task_id=index, rpc_layer="grpc"
    )
    own = cluster[kind][index]
    print(f"{kind} {index} at {own}: waits until all {sum(map(len, cluster.values()))} processes are there")
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except tf.errors.OpError as error:
        raise InputError(f"{own}: cannot join the cluster ({_first_line(error)})") from error
    except RuntimeError as error:
        raise InputError(f"strategy=multiworker: must be made first in a process ({_first_line(error)})") from error


def _mirrored():
    devices = tf.config.list_logical_devices("GPU")
    if len(devices) < 2:  # processors count only if somebody divided them, as tests do
        devices = devices or tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        kind = devices[0].device_type
        raise InputError(f"strategy=mirrored: needs several GPUs, and TensorFlow sees one {kind} here")
    # Named, because otherwise TensorFlow looks for devices in a TF_CONFIG, which may be of another program.
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def _cluster_of(workers, task):
    if not workers or task is None:
        raise InputError("workers= and task= belong together: the addresses of all workers, and which of them this is")
    if not 0 <= task < len(workers):
        raise InputError(f"task={task}: must be 0 to {len(workers) - 1}, one of the {len(workers)} workers")
    return _checked({"worker": list(workers)}, "workers="), "worker", task


def _cluster_of_environment():
    text = os.environ.get("TF_CONFIG")
    if not text:
        raise InputError("strategy=multiworker: needs workers=HOST:PORT,HOST:PORT and task=0, or TF_CONFIG")
    try:
        config = json.loads(text)
        kind, index = config["task"]["type"], int(config["task"]["index"])
        cluster = {name: list(addresses) for name, addresses in config["cluster"].items()}
        if not {kind} <= {*cluster} <= {"chief", "worker"} or not 0 <= index < len(cluster[kind]):
            raise ValueError(f"task {kind} {index} of {', '.join(cluster)}")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        form = '{"cluster": {"worker": ["HOST:PORT", …]}, "task": {"type": "worker", "index": 0}}'
        raise InputError(f"TF_CONFIG: must be {form} ({type(error).__name__}: {error})") from error
    return _checked(cluster, "TF_CONFIG: "), kind, index


def _checked(cluster, source):
    addresses = [address for group in cluster.values() for address in group]
    for address in addresses:
        found = ADDRESS.fullmatch(address) if isinstance(address, str) else None
        if not found or not 0 < int(found[1] or found[2]) < 2**16:
            raise InputError(f"{source}{address}: must be HOST:PORT")
        if addresses.count(address) > 1:
            raise InputError(f"{source}{address}: is named twice")
    return cluster


def _first_line(error):
    return str(getattr(error, "message", None) or error).strip().split("\n")[0][:200]


def devices(strategy: tf.distribute.Strategy | None) -> str:
    """Name what trains: the GPUs that TensorFlow sees here, or the processor, and how many replicas there are."""
    details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    names = [f"GPU {number} ({gpu.get('device_name', 'unknown')})" for number, gpu in enumerate(details)]
    number = num_replicas(strategy)
    if len(names) > 1 and number == 1:
        names = names[:1]  # the others are used by a strategy alone
    here = ", ".join(names) or f"the CPU ({os.cpu_count()} cores); TensorFlow sees no GPU"
    return here if number == 1 else f"{number} replicas, here {here}"


def is_chief(strategy: tf.distribute.Strategy | None) -> bool:
    """Return whether this process writes the files: the only one, or the first of its cluster."""
    if not is_cluster(strategy):
        return True
    resolver = strategy.cluster_resolver
    return resolver.task_type == "chief" or ("chief" not in resolver.cluster_spec().jobs and resolver.task_id == 0)


def is_cluster(strategy: tf.distribute.Strategy | None) -> bool:
    """Return whether several processes train together."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def scope(strategy: tf.distribute.Strategy | None) -> contextlib.AbstractContextManager:
    """Return the context in which the models of a strategy are built."""
    return strategy.scope() if strategy else contextlib.nullcontext()


def num_replicas(strategy: tf.distribute.Strategy | None) -> int:
    """Return the number of devices that train together, over all processes."""
    return strategy.num_replicas_in_sync if strategy else 1


def distributed(strategy: tf.distribute.Strategy | None, make: Callable[..., tf.data.Dataset]) -> Any:
    """Make the batches of every replica.

    Args:
        make: (parts, own_parts) → batches, as the arguments of `hw5.data.pipeline`: the batches are divided into as
            many parts as there are replicas, and every process reads only its own.
    """
    parts = num_replicas(strategy)
    if parts == 1:
        return make(parts=1, own_parts=(0,))

    def of_process(context):
        number = parts // context.num_input_pipelines
        first = context.input_pipeline_id * number
        return make(parts=parts, own_parts=range(first, first + number))

    return strategy.distribute_datasets_from_function(of_process)


def any_process(strategy: tf.distribute.Strategy | None, *flags: bool) -> list[bool]:
    """Return for each flag whether any process of a cluster has it; all have to ask at the same step."""
    if not is_cluster(strategy):
        return [*flags]
    own = np.array(flags, np.int32)
    return [bool(number) for number in _sum(strategy, lambda replica, index: own)]


def from_chief(strategy: tf.distribute.Strategy | None, function: Callable[[], Any]) -> Any:
    """Return the chief's result of a function to all processes of a cluster; only the chief calls it.

    The result is pickled: the processes of a cluster run each other's graphs, so they trust each other anyway.
    """
    if not is_cluster(strategy):
        return function()
    data = pickle.dumps(function()) if is_chief(strategy) else b""

    def of_first_replica(values):
        return lambda replica, index: values if index == 0 else np.zeros_like(values)

    (size,) = _sum(strategy, of_first_replica(np.array([len(data)], np.int32)))
    words = np.zeros(-(-size // 4), np.int32)  # the others add zeros
    words.view(np.uint8)[: len(data)] = np.frombuffer(data, np.uint8)
    return pickle.loads(_sum(strategy, of_first_replica(words)).view(np.uint8)[:size].tobytes())


def _sum(strategy, of_replica):
    """Add up int32 arrays of all replicas of a cluster, one for each (replica, index within its process)."""
    processes = sum(map(len, strategy.cluster_resolver.cluster_spec().as_dict().values()))
    replicas_of_process = num_replicas(strategy) // processes

    def value(context):
        replica = context.replica_id_in_sync_group
        return tf.constant(of_replica(replica, replica % replicas_of_process))

    def add(value):
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)

    total = strategy.run(add, args=(strategy.experimental_distribute_values_from_function(value),))
    return np.asarray(strategy.experimental_local_results(total)[0])


@contextlib.contextmanager
def quiet_unless_chief(strategy: tf.distribute.Strategy | None) -> Iterator[None]:
    """Context in which only the chief of a cluster prints; every process reports errors."""
    if is_chief(strategy):
        yield
        return
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield
    print("trained along; the chief has written the results")


def check_equal(strategy: tf.distribute.Strategy | None, values: dict[str, Any]) -> None:
    """Check that all processes of a cluster do the same.

    Args:
        values: what each must have alike, by name.

    Raises:
        InputError: in all processes, with the names that differ from the chief's.
    """
    of_chief = from_chief(strategy, lambda: values)
    different = [name for name, value in values.items() if of_chief.get(name) != value]
    (some,) = any_process(strategy, bool(different))
    if different:
        raise InputError(f"this worker differs from the chief in {', '.join(different)}; give all the same command")
    if some:
        raise InputError("another worker differs from the chief, see its message; give all the same command")


def values_of_replicas(strategy: tf.distribute.Strategy | None, variables: Sequence) -> list[list[float]]:
    """Return scalar float32 variables that differ between replicas, as metrics do: for each replica their values."""
    if num_replicas(strategy) == 1:
        return [[float(variable.numpy()) for variable in variables]]
    own = np.float32([[copy.numpy() for copy in _copies(strategy, variable)] for variable in variables]).T
    if not is_cluster(strategy):
        return own.tolist()

    def only_own_row(replica, index):
        rows = np.zeros((num_replicas(strategy), len(variables)), np.float32)
        rows[replica] = own[index]
        return rows.view(np.int32)  # a sum with zeros that changes no bit

    return _sum(strategy, only_own_row).view(np.float32).tolist()


def assign_to_replicas(strategy: tf.distribute.Strategy | None, variables: Sequence, values: list[list[float]]) -> None:
    """Assign what `values_of_replicas` returned; of another number of replicas, the first one gets the sums."""
    values, number = np.array(values, np.float32), num_replicas(strategy)
    if len(values) != number:
        values = np.concatenate([values.sum(axis=0, keepdims=True), np.zeros((number - 1, len(variables)), np.float32)])
    if number == 1:
        for variable, value in zip(variables, values[0], strict=True):
            variable.assign(value)
        return
    own = values[_own_replicas(strategy)]
    for variable, column in zip(variables, own.T, strict=True):
        for copy, value in zip(_copies(strategy, variable), column, strict=True):
            copy.assign(value)


def _copies(strategy, variable):
    """Return the copies of a variable, one for each replica of this process."""
    return strategy.experimental_local_results(variable.value)


def _own_replicas(strategy):
    """Return the numbers of the replicas of this process."""
    numbers = []
    strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(numbers.append(context.replica_id_in_sync_group) or 0)
    )
    return numbers


def copy_from_chief(strategy: tf.distribute.Strategy | None, folder: Path, names: Sequence[str]) -> None:
    """Copy files and folders within `folder` from the chief to the processes that lack them."""

    def packed():
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            for name in names:
                for path in sorted([folder / name, *(folder / name).rglob("*")]):
                    if path.is_file():
                        archive.write(path, path.relative_to(folder))
        return data.getvalue()

    if not is_cluster(strategy):
        return
    with zipfile.ZipFile(io.BytesIO(from_chief(strategy, packed))) as archive:
        for name in archive.namelist():
            if not (folder / name).exists():
                with atomic_write(folder / name) as partial:
                    partial.write_bytes(archive.read(name))
