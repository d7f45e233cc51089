"""Shards: parts of an evaluation that merge to the whole, in one process and in several."""

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from processes import descendants, ended, python_m

from hw5 import distributions, metrics, networks, section5
from hw5.errors import InputError
from hw5.files import cache_folder
from hw5.metrics import MnistClassifier, evaluate, evaluate_samples, iwae_bound, log_likelihood, merge_bounds
from hw5.metrics.__main__ import run
from hw5.metrics.extractor import Extractor, shard_bounds
from hw5.metrics.frechet import Gaussian
from hw5.metrics.shards import Shards, kept, load_array, save_array
from hw5.metrics.statistics import Statistics, cached_statistics, load_shards, sharded_statistics
from hw5.models import VAE

RNG = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class Rows(Extractor):
    """An extractor whose features are the means of the first four rows of an image, with the logits of two classes."""

    key = name = "rows"
    channels = 1
    has_classes = True
    batch_size = 3

    def preprocess(self, images):
        return images[:, :4].mean(axis=(2, 3), dtype=np.float32)

    def forward(self, inputs):
        return inputs, inputs[:, :2]


def shards_of(images, count, **kwargs):
    return [Statistics.of(images, Rows(), shard=(number, count), **kwargs) for number in range(1, count + 1)]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("num_images", [4, 13, 100])
def test_shards_merge_to_the_whole(count, num_images):
    images = RNG.integers(0, 256, (num_images, 5, 6, 1), np.uint8)
    parts = shards_of(images, count)
    assert [part.gaussian.count for part in parts].count(0) == max(count - -(-num_images // 3), 0)  # of batches
    merged = Statistics.merge(parts)
    features = np.float64(Rows().features(images))
    np.testing.assert_allclose(merged.gaussian.mean, features.mean(axis=0), rtol=1e-14)
    covariance = np.cov(features, rowvar=False)
    np.testing.assert_allclose(merged.gaussian.covariance, covariance, atol=1e-13 * covariance.max())
    assert merged.gaussian.count == num_images
    assert merged.shard is None
    np.testing.assert_array_equal(merged.features, features)
    np.testing.assert_array_equal(merged.logits, features[:, :2])
    without = Statistics.merge(shards_of(images, count, keep=False))
    np.testing.assert_array_equal(without.gaussian.covariance, merged.gaussian.covariance)
    assert without.features is without.logits is None


class InThisProcess:
    """Substitute for `Shards` that computes in this process, and remembers the files."""

    def __init__(self, count):
        self.count = count
        self.files = []

    def map(self, function, tasks):
        for task in tasks:
            result, path = function(*task)
            self.files.append(path.name)
            yield result


def files_of(images):
    return images


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("kind", ["array", "list", "opened by each"])
def test_the_statistics_of_shards_are_those_of_all_images_and_are_kept(kind, keep, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    array = RNG.integers(0, 256, (11, 5, 6, 1), np.uint8)
    make = {"array": lambda x: x, "list": list, "opened by each": lambda x: functools.partial(files_of, x)}[kind]
    whole, files = Statistics.of(array, Rows(), keep=keep), {}
    for count in (1, 2, 7):  # the last of the seven are empty: Rows takes three images at a time
        shards = InThisProcess(count)
        merged = sharded_statistics(make(array), Rows(), shards, keep=keep)
        np.testing.assert_allclose(merged.gaussian.covariance, whole.gaussian.covariance, rtol=1e-12)
        assert (merged.gaussian.count, merged.extractor, merged.shard) == (11, "rows", None)
        assert (merged.features is not None) == keep
        if keep:
            np.testing.assert_array_equal(merged.features, whole.features)
        files[count] = shards.files
    of_two = files[2]
    assert [len(names) for names in files.values()] == [0, 2, 7]
    stem = "rows_features" if keep else "rows_gaussian"
    assert [name.rpartition("_")[0] for name in of_two] == [f"{stem}_1-2_11", f"{stem}_2-2_11"]
    assert all(len(name.rpartition("_")[2]) == len("0123456789abcdef.npz") for name in of_two)
    assert capsys.readouterr().out == ""

    monkeypatch.setattr(Rows, "forward", None)  # calling it would fail
    again = InThisProcess(2)
    kept = sharded_statistics(make(array), Rows(), again, keep=keep, verbose=True)
    np.testing.assert_allclose(kept.gaussian.mean, whole.gaussian.mean, rtol=1e-14)
    assert again.files == of_two
    assert "2/2" in capsys.readouterr().out
    for other in (array[::-1], np.concatenate([array[:-1], array[:1]]), array.reshape(11, 6, 5, 1)):
        with pytest.raises(TypeError):  # other images, or in another order or shape
            sharded_statistics(make(other), Rows(), InThisProcess(2), keep=keep)


def test_statistics_for_the_cache_are_of_as_many_shards_as_asked_for():
    images = RNG.integers(0, 256, (11, 5, 6, 1), np.uint8)
    for count in (1, 2, 3):
        shards = InThisProcess(count)
        found = cached_statistics(images[count:], Rows(), shards=shards)
        np.testing.assert_allclose(found.gaussian.mean, Statistics.of(images[count:], Rows()).gaussian.mean, rtol=1e-12)
        assert len(shards.files) == (count if count > 1 else 0)


def test_shards_of_images_of_different_sizes():
    images = [RNG.integers(0, 256, (4 + number, 9 - number, 1), np.uint8) for number in range(8)]
    features = [image[:4].mean(axis=(1, 2), dtype=np.float64) for image in images]
    merged = Statistics.merge(shards_of(images, 3))
    np.testing.assert_allclose(merged.gaussian.covariance, np.cov(features, rowvar=False), rtol=1e-5)
    np.testing.assert_allclose(merged.features, features, rtol=1e-6)


def test_a_large_mean_costs_no_precision_and_single_samples_merge():
    features = RNG.normal(size=(64, 3)) + 1e8
    parts = [Gaussian.of(part, is_part=True) for part in np.split(features, [1, 1, 2, 30, 63])]
    assert [part.count for part in parts] == [1, 0, 1, 28, 33, 1]
    merged = Gaussian.merge(iter(parts))
    np.testing.assert_allclose(merged.mean, features.mean(axis=0), rtol=1e-15)
    np.testing.assert_allclose(merged.covariance, np.cov(features, rowvar=False), atol=1e-7)
    alone = [Gaussian.of(row[None], is_part=True) for row in features]
    np.testing.assert_allclose(Gaussian.merge(alone).covariance, merged.covariance, atol=1e-7)


def test_what_cannot_be_merged_is_refused(tmp_path):
    images = RNG.integers(0, 256, (9, 5, 6, 1), np.uint8)
    first, second, third = shards_of(images, 3)
    for parts, message in (
        ((first, third), "a part is shard 3 of 3 of 9 images, not shard 2 of 3 of 9 images"),
        ((first, second), "2 of 3 shards, 6 of 9 images"),
        ((first, first), "a part is shard 1 of 3 .*, not shard 2 of 3"),
        ((first, shards_of(images[:8], 3)[1], third), "of 8 images, not shard 2 of 3 of 9 images"),
        ((first, shards_of(images, 3, keep=False)[1], third), "only some of the parts have features"),
        ((first, Statistics(second.gaussian, "another", shard=(2, 3, 9)), third), "by rows and by another"),
        ((first, Statistics(Gaussian.of(np.eye(2)), "rows", shard=(2, 3, 9)), third), "of 4 and of 2 dimensions"),
        ((), "takes at least 2 samples, not 0"),
    ):
        with pytest.raises(InputError, match=message):
            Statistics.merge(parts)
    with pytest.raises(InputError, match="without its number of samples"):
        Gaussian.merge([Gaussian(np.zeros(1), np.eye(1))])
    with pytest.raises(InputError, match="statistics of one shard are not those of a set"):
        evaluate_samples(first, [Rows()], real_images=second)
    for number in (0, 4):
        with pytest.raises(InputError, match=f"^shard={number}/3: must be i/n with i from 1 to n"):
            shard_bounds(9, (number, 3))


def test_the_files_of_shards_in_a_folder(tmp_path):
    assert load_shards(tmp_path) is None
    images = RNG.integers(0, 256, (20, 5, 6, 1), np.uint8)
    whole = Statistics.of(images, Rows(), keep=False)
    for name, part in zip("badc", shards_of(images, 4, keep=False), strict=True):
        part.save(tmp_path / f"{name}.npz")
    (tmp_path / ".partial.0badcafe-1-0.a.npz").write_text("half")  # of a killed process
    merged = load_shards(tmp_path)
    np.testing.assert_allclose(merged.gaussian.covariance, whole.gaussian.covariance, rtol=1e-13)
    for number, file in enumerate("dab"):  # the last one has images left
        (tmp_path / f"{file}.npz").rename(tmp_path.parent / f"{file}.away")
        with pytest.raises(InputError, match=f"{3 - number} of 4 shards"):
            load_shards(tmp_path)
    for file in "ab":
        (tmp_path.parent / f"{file}.away").rename(tmp_path / f"{file}.npz")
    whole.save(tmp_path / "d.npz")
    with pytest.raises(InputError, match=r"d\.npz: holds no statistics of a shard"):
        load_shards(tmp_path)
    (tmp_path / "image.png").touch()
    assert load_shards(tmp_path) is None  # a folder of images


def test_a_folder_of_arrays_alone_has_no_shards(tmp_path):
    for split, count in (("train", 5), ("test", 3)):
        np.savez(tmp_path / f"{split}.npz", RNG.integers(0, 256, (count, 8, 8, 3), np.uint8))
    assert load_shards(tmp_path) is None
    os.mkfifo(tmp_path / "pipe.npz")
    assert load_shards(tmp_path) is None


def small_vae():
    return VAE(*networks.dense_vae(2, hidden=8, image_shape=(4, 4, 1)), likelihood=distributions.Gaussian())


def test_importance_samples_and_images_can_be_divided():
    vae, images = small_vae(), RNG.random((5, 4, 4, 1), np.float32)
    whole = log_likelihood(vae, images, 20, seed=4)
    by_images = [log_likelihood(vae, images[a:b], 20, seed=4, first_image=a) for a, b in ((0, 2), (2, 3), (3, 5))]
    how = dict(rtol=1e-6, atol=1e-6)  # a sum of terms near 10 in float32 has this absolute error, however small it is
    np.testing.assert_allclose(np.concatenate(by_images), whole, **how)
    counts = (7, 1, 12)
    by_samples = [
        log_likelihood(vae, images, count, seed=4, first_sample=first)
        for first, count in zip(np.cumsum((0, *counts)), counts, strict=False)
    ]
    np.testing.assert_allclose(merge_bounds(by_samples, counts), whole, **how)
    assert np.abs(by_samples[0] - whole).max() > 1e-3
    with pytest.raises(InputError, match="first_sample=-1: must be at least 0"):
        log_likelihood(vae, images, first_sample=-1)


def test_bounds_merge_like_one_mean():
    log_weights = RNG.normal(size=(10, 4), scale=5)
    parts = [iwae_bound(log_weights[:3]), iwae_bound(log_weights[3:])]
    np.testing.assert_allclose(merge_bounds(parts, [3, 7]), np.log(np.exp(log_weights).mean(axis=0)), rtol=1e-13)
    np.testing.assert_allclose(merge_bounds([[-2e4], [-3e4]], [1, 1]), [-2e4 - np.log(2)], rtol=1e-14)


def test_processes_give_what_one_process_gives(digits):
    images, vae = digits[:1200], small_vae()
    small = np.float32(images[:5, 10:14, 10:14] / 255)
    with Shards(2) as shards:
        merged = sharded_statistics(images, MnistClassifier(), shards)
        again = sharded_statistics(images, MnistClassifier(), shards)  # from the files
        bounds = log_likelihood(vae, small, 30, shards=shards)
        assert len(list((cache_folder() / "shards").iterdir())) == 4
    assert not list((cache_folder() / "shards").iterdir())
    whole = Statistics.of(images, MnistClassifier())
    np.testing.assert_allclose(merged.features, whole.features, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(merged.gaussian.covariance, whole.gaussian.covariance, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(again.features, merged.features)
    np.testing.assert_allclose(bounds, log_likelihood(vae, small, 30), rtol=1e-6)


def shard_or_kill(number, folder):
    """Compute a shard, and note it; the last one kills its process at first."""

    def compute():
        (folder / f"{number} {os.getpid()}").touch()
        if number == 3 and len(list(folder.iterdir())) < 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return np.arange(number)

    return kept(f"{number}.npy", compute, load_array, save_array)


def test_a_killed_process_costs_its_shard_alone(tmp_path):
    folder = tmp_path / "computed"
    folder.mkdir()
    tasks = [(number, folder) for number in (1, 2, 3)]
    with pytest.raises(InputError, match="^shards=1: the process of a shard was killed") as error, Shards(1) as shards:
        list(shards.map(shard_or_kill, tasks))
    assert "\n" not in str(error.value)
    assert [len(shard_or_kill(*task)[0]) for task in tasks] == [1, 2, 3]
    assert sorted(path.name[0] for path in folder.iterdir()) == ["1", "2", "3", "3"]
    with pytest.raises(InputError, match="shards=0: must be at least 1"):
        Shards(0)


def test_there_are_no_more_processes_than_processors_and_they_share_the_threads(monkeypatch):
    asked = []

    def executor(processes, context, *, initializer, initargs):
        asked.append((processes, context.get_start_method(), initargs[0]))
        return SimpleNamespace(map=lambda function: (), shutdown=lambda **_: None)

    monkeypatch.setattr("hw5.metrics.shards.ProcessPoolExecutor", executor)
    for processors, count in ((7, 3), (2, 5)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, number=processors: range(number), raising=False)
        with Shards(count) as shards:
            assert list(shards.map(len, [])) == []
    assert asked == [(3, "spawn", 2), (2, "spawn", 1)]


@pytest.mark.parametrize("error", [None, InputError("of the block")])
def test_processes_finish_their_work_unless_the_block_ends_with_an_error(error, tmp_path, monkeypatch):
    ends = []  # of the executor: its arguments, and whether the processes had been told to end
    path = tmp_path / "shard.npy"
    path.touch()

    def executor(*args, **kwargs):
        return SimpleNamespace(
            map=lambda function, *columns: [function(*task) for task in zip(*columns, strict=True)],
            shutdown=lambda **how: ends.append((how, shards._alive.closed)),
        )

    monkeypatch.setattr("hw5.metrics.shards.ProcessPoolExecutor", executor)
    expected = contextlib.nullcontext() if error is None else pytest.raises(InputError, match="of the block")
    with expected, Shards(2) as shards:
        assert list(shards.map(lambda number: (number, path), [(1,), (2,)])) == [1, 2]
        if error is not None:
            raise error
    waited = [({}, False)] if error is None else []
    assert ends == [*waited, ({"cancel_futures": True}, True)]
    assert path.exists() == (error is not None)


# In place of TensorFlow, whose import takes seconds.
TENSORFLOW = """
class config:
    class threading:
        set_intra_op_parallelism_threads = lambda count: print("intra", count)
        set_inter_op_parallelism_threads = lambda count: print("inter", count)
"""
WORK = """
import time
def work(name):
    print(name, "works", flush=True)
    time.sleep(60)
"""
START = """
from hw5.metrics.shards import Shards
from work import work
with Shards() as shards:
    list(shards.map(work, [("shard",)]))
"""


def test_a_process_prints_no_results_and_ends_with_the_one_that_started_it(tmp_path):
    (tmp_path / "tensorflow.py").write_text(TENSORFLOW)
    (tmp_path / "work.py").write_text(WORK)
    environment = os.environ | dict(PYTHONPATH=os.pathsep.join(sys.path))
    how = dict(cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with subprocess.Popen([sys.executable, "-c", START], **how) as process:
        threads = len(os.sched_getaffinity(0))
        printed = [process.stderr.readline() for _ in range(3)]
        children = descendants(process.pid)
        process.kill()
        assert printed == [f"intra {threads}\n", f"inter {threads}\n", "shard works\n"]
        assert children
        assert ended(children)
        assert not process.stdout.read()


def test_a_damaged_shard_is_computed_again_and_a_full_disk_keeps_none(tmp_path, monkeypatch, capsys):
    def shard():
        return kept("a.npy", lambda: np.arange(3), load_array, save_array)

    result, path = shard()
    assert path == cache_folder() / "shards" / "a.npy"
    path.write_bytes(b"damaged")
    np.testing.assert_array_equal(shard()[0], result)
    assert capsys.readouterr().err == f"warning: {path}: is damaged; computed again\n"
    np.testing.assert_array_equal(np.load(path), result)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    np.testing.assert_array_equal(shard()[0], result)
    printed = capsys.readouterr()
    assert printed.err.startswith(f"warning: {cache_folder() / 'shards' / 'a.npy'}: Not a directory; this shard is not")
    assert not printed.out


@pytest.mark.slow  # its processes import TensorFlow; the next tests have none
def test_the_command_prints_the_same_with_shards(digits, tmp_path, monkeypatch):
    (tmp_path / "png").mkdir()
    for number, image in enumerate(digits[:700]):
        Image.fromarray(image[..., 0]).save(tmp_path / "png" / f"{number:03}.png")
    arguments = ["mnist:test[:600]", str(tmp_path / "png")]
    done = python_m("hw5.metrics", *arguments, "--weights=mnist", "--metric=fid,kid", "--shards=2", "--json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    expected = run(*arguments, weights="mnist", metric="fid,kid")
    assert printed.keys() == expected.keys()
    for name, value in expected.items():
        assert printed[name] == (pytest.approx(value, rel=1e-4) if isinstance(value, float) else value)


def test_the_command_computes_one_shard(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(MnistClassifier, "batch_size", 20)
    np.save(tmp_path / "digits.npy", digits[:90])
    real, parts = str(tmp_path / "digits.npy"), tmp_path / "parts"
    for number in (1, 2, 3):
        run(real, weights="mnist", metric="kid", shard=f"{number}/3", save_stats=parts / f"{number}.npz")
    results = run(str(parts), "mnist:test[:100]", weights="mnist", metric="fid,kid")
    expected = run(real, "mnist:test[:100]", weights="mnist", metric="fid,kid")
    assert results == {**expected, "real": str(parts), "fid": pytest.approx(expected["fid"], rel=1e-9)}
    with pytest.raises(InputError, match=r"2\.npz: is shard 2 of 3; name the folder"):
        run(str(parts / "2.npz"), "mnist:test[:100]", weights="mnist")
    for arguments, message in (
        (dict(shard="2"), "shard=2: must be i/n, as 1/4"),
        (dict(shard="1/4", save_stats=None, fake="mnist"), "shard=1/4: takes REAL and save_stats=FILE"),
        (dict(shard="1/4", save_stats=parts / "4.npz", fake="mnist"), "without FAKE"),
        (dict(shard="4/3", save_stats=parts / "4.npz"), "shard=4/3: must be i/n with i from 1 to n"),
        (dict(shards=0), "shards=0: must be at least 1"),
    ):
        with pytest.raises(InputError, match=message):
            run(**{"real": real, "weights": "mnist", "save_stats": parts / "4.npz"} | arguments)


def test_the_setting_of_sections_reaches_the_evaluation(monkeypatch):
    asked = {}
    monkeypatch.setattr(metrics, "extractors_for", lambda *args, **kwargs: [])
    monkeypatch.setattr(evaluate, "real_images_for_fid", lambda *args, **kwargs: (None, None))
    monkeypatch.setattr(evaluate, "evaluate_samples", lambda *args, **kwargs: asked.update(kwargs))
    section5.Settings(shards=3).evaluator(64)(small_vae())
    assert asked["shards"] == 3
    assert section5.Settings().shards == 1
