"""Training by several processes of this machine, as by several machines: equal steps, kills, one line for mistakes."""

import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import keras
import numpy as np
import pytest
from processes import SERVER

from hw5 import data, layers, models, networks, training
from hw5.errors import InputError
from hw5.training import callbacks

EPOCHS, STEPS_PER_EPOCH, BATCH = 2, 30, 8
TIMEOUT = 300  # seconds; a worker that waits for a dead one notices it after ten


def vae():
    networks_of_vae = networks.tanh_vae(3, hidden=8, dropout=0.2)
    return models.VAE(*networks_of_vae, preprocessing=layers.Binarization(name="binarization"))


def critic_gan():
    generator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(784), keras.layers.Reshape((28, 28, 1))])
    flat = keras.layers.Flatten()
    discriminator = keras.Sequential([keras.Input((28, 28, 1)), flat, keras.layers.Dense(4), keras.layers.Dense(1)])
    how = dict(critic_steps=2, gradient_penalty=1.0, ema_decay=0.9)
    return models.GAN(generator, discriminator, "wasserstein", **how)


def stack():
    return models.Autoencoder(*networks.stacked_autoencoder(3, (8, 6)), loss="cross_entropy")


OPTIMIZERS = {
    vae: training.adam(1e-2),
    stack: training.adam(1e-2),
    critic_gan: training.gan_optimizers(1e-3, name="rmsprop"),
}


class KillAt(keras.callbacks.Callback):
    """Callback that kills its process after a step."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        if self.model.steps_done == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def train(build, folder, strategy=None, own_callbacks=()):
    images = data.load("mnist", "train", limit=103)
    initialize = None
    if build is stack:

        def initialize(model):
            how = dict(schedule=training.Schedule(BATCH, 1, 20), optimizers=OPTIMIZERS[build], seed=3)
            training.pretrain(model, images, run_dir=folder, strategy=strategy, callbacks=own_callbacks, **how)

    return training.fit(
        build,
        images,
        images[:5],  # two replicas have unequal parts of it
        run_dir=folder,
        schedule=training.Schedule(BATCH, EPOCHS, STEPS_PER_EPOCH),
        optimizers=OPTIMIZERS[build],
        seed=3,
        strategy=strategy,
        callbacks=own_callbacks,
        initialize=initialize,
    )


def work(build, folder, addresses, task, kill):
    """Be one worker: its output goes to `TASK.log`, its weights and curves to `TASK.npz`."""
    with open(folder / f"{task}.log", "ab") as log:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(log.fileno(), stream.fileno())
    callbacks.CHECKPOINT_SECONDS = 0.0  # at every question
    strategy = training.make_strategy("multiworker", addresses, task) if len(addresses) > 1 else None
    try:
        own = [kill] if kill else []
        model, history = train(build, folder / f"run{task}", strategy, own)
    except InputError as error:
        print(f"error: {error}", flush=True)
        os._exit(1)
    np.savez(folder / f"{task}.npz", *[np.asarray(v) for v in model.weights], history=json.dumps(history))
    os._exit(0)


def free_addresses(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{server.getsockname()[1]}" for server in sockets]
    for server in sockets:
        server.close()
    return addresses


def run_workers(build, folder, kills=(None, None)):
    """Train with workers, of which each has a callback that kills it, or None. Returns their exit codes."""
    folder.mkdir(exist_ok=True)
    addresses = free_addresses(len(kills))
    jobs = [
        SERVER.Process(target=work, args=(build, folder, addresses, task, kill), daemon=True)
        for task, kill in enumerate(kills)
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(TIMEOUT)
        job.kill()
    return [job.exitcode for job in jobs]


def result(folder, task=0):
    with np.load(folder / f"{task}.npz") as file:
        return [file[f"arr_{i}"] for i in range(len(file.files) - 1)], json.loads(str(file["history"]))


@pytest.fixture(
    scope="module", params=[vae, pytest.param(critic_gan, marks=pytest.mark.slow)], ids=lambda build: build.__name__
)
def uninterrupted(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    assert run_workers(request.param, folder) == [0, 0], (folder / "0.log").read_text()[-3000:]
    return request.param, folder


def test_two_workers_train_as_one_process(uninterrupted, tmp_path):
    build, folder = uninterrupted
    model, history = train(build, tmp_path)
    for task in (0, 1):
        weights, of_worker = result(folder, task)
        for one, two in zip(model.weights, weights, strict=True):
            np.testing.assert_allclose(two, one, atol=2e-3 if build is vae else 1e-4)
        assert of_worker.keys() == history.keys()
        for name, values in history.items():
            np.testing.assert_allclose(of_worker[name], values, rtol=1e-3, atol=1e-4, err_msg=name)
    for one, two in zip(result(folder, 0)[0], result(folder, 1)[0], strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_chief_alone_writes(uninterrupted):
    _, folder = uninterrupted
    names = {path.name for path in (folder / "run0").iterdir()}
    assert {"checkpoints", "curves.png", "history.csv", "model.weights.h5", "noise.npy"} <= names
    assert any(name.startswith("events.out.tfevents.") for name in names)
    assert [path.name for path in (folder / "run1").iterdir()] == ["noise.npy"]  # a copy


@pytest.mark.parametrize(
    ("uninterrupted", "kills"),
    [(vae, (None, KillAt(43))), pytest.param(critic_gan, (KillAt(24), None), marks=pytest.mark.slow)],
    ids=["worker", "chief"],
    indirect=["uninterrupted"],
)
def test_after_a_kill_the_others_end_and_the_same_command_goes_on_to_the_bit(uninterrupted, kills, tmp_path):
    build, folder = uninterrupted
    codes = run_workers(build, tmp_path / "killed", kills)
    assert [code for code, kill in zip(codes, kills, strict=True) if kill] == [-signal.SIGKILL]
    assert [code for code, kill in zip(codes, kills, strict=True) if not kill] == [1]
    survivor = kills.index(None)
    log = Path(tmp_path, "killed", f"{survivor}.log").read_text()
    assert log.count("error: another process of the cluster ended") == 1
    assert "Traceback" not in log
    assert run_workers(build, tmp_path / "killed") == [0, 0]
    assert "goes on at step" in Path(tmp_path, "killed", "0.log").read_text()
    for task in (0, 1):
        weights, history = result(tmp_path / "killed", task)
        expected, expected_history = result(folder, task)
        for one, two in zip(weights, expected, strict=True):
            np.testing.assert_array_equal(one, two)
        assert history == expected_history


class KillLater(keras.callbacks.Callback):
    """Callback that kills its process at a random moment, in the middle of whatever it does then."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def on_train_begin(self, logs=None):
        threading.Timer(self.seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("build", "workers"), [(vae, 1), (critic_gan, 1), (stack, 1), (vae, 2), (critic_gan, 2)])
def test_twenty_kills_at_random_moments(build, workers, tmp_path):
    kills = 20 // workers
    rng = np.random.default_rng(workers)
    assert run_workers(build, tmp_path / "whole", [None] * workers) == [0] * workers
    expected = result(tmp_path / "whole")
    done = 0
    for number in range(kills):
        folder = tmp_path / f"killed{number}"
        moments = [None] * workers
        moments[rng.integers(workers)] = KillLater(rng.uniform(0, 1.5 * workers**2))  # about the length of the training
        codes = run_workers(build, folder, moments)
        done += -signal.SIGKILL in codes
        assert run_workers(build, folder, [None] * workers) == [0] * workers
        for task in range(workers):
            weights, history = result(folder, task)
            for one, two in zip(weights, expected[0], strict=True):
                np.testing.assert_array_equal(one, two)
            assert history == expected[1]
    print(f"{build.__name__}, {workers} workers: {done} kills before the end")
    assert done >= kills / 2
