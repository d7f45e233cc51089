"""Training: its steps, its seed, its files, and resuming after a kill."""

import contextlib
import csv
import io
import os
import random
import resource
import shutil
import signal
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from processes import SERVER
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hw5 import models, networks, training
from hw5.errors import InputError, TrainingFailed
from hw5.files import locked
from hw5.metrics import trivial_losses
from hw5.training import Schedule, callbacks, checkpoints, schedule
from hw5.training.identity import identity

pytestmark = pytest.mark.usefixtures("undrawn")  # but the runs of `uninterrupted` have their figures
STEPS, EXECUTION = 20, 4  # of `train`: an epoch's and an execution's
TINY = {"epochs": 6, "batch_size": 20, "learning_rate": 1e-3}
LAST = TINY["epochs"] * STEPS


def small_vae():
    return models.VAE(*networks.dense_vae(2, hidden=16))


def tiny_vae():
    return models.VAE(*networks.tanh_vae(2, hidden=16))  # with dropout


def linear():
    return models.Autoencoder(*networks.linear_autoencoder(2))


@contextlib.contextmanager
def many_checkpoints():
    """Write a checkpoint after every execution, and make executions short."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks, "CHECKPOINT_SECONDS", 0)
        patch.setattr(schedule, "STEPS_PER_EXECUTION", [EXECUTION])
        yield


def fit(folder, build, images, validation_images=None, *, epochs=1, batch_size=50, learning_rate=1e-3, **changes):
    """Call `training.fit` with Adam for some passes over the images."""
    length = Schedule.of_epochs(len(images), batch_size, epochs)
    how = dict(run_dir=folder, schedule=length, optimizers=training.adam(learning_rate))
    return training.fit(build, images, validation_images, **how | changes)


def train(folder, digits, *, build=tiny_vae, images=None, arguments=(), **changes):
    """Call `fit` with a checkpoint after every execution, five of them in each of six epochs."""
    changes = TINY | changes
    images = digits[: STEPS * 20] if images is None else images
    asked = (
        {"kl_weight": 1.0, "seed": changes.get("seed", 0)} | {name: changes[name] for name in TINY} | dict(arguments)
    )
    with many_checkpoints():
        return fit(folder, build, images, digits[400:460], arguments=asked, **changes)


def train_gan(folder, digits, *, build=None, steps=3 * STEPS, epochs=3, batch_size=20, **changes):
    """Train a GAN in the same way, for three epochs of as many steps, each with a grid of one noise."""
    build = build or (lambda: models.GAN(*networks.dcgan(4, 4, (16, 16, 1)), ema_decay=0.9))
    with many_checkpoints():
        how = dict(
            run_dir=folder,
            schedule=Schedule.of_steps(steps, batch_size, epochs),
            optimizers=training.gan_optimizers(1e-3, discriminator_learning_rate=2e-3),
            callbacks=[callbacks.SampleGrids(folder, 0, rows=2)],
        )
        return training.fit(build, digits[: STEPS * 20, 6:22, 6:22], **how | changes)


def saved_steps(folder):
    return [int(path.stem) for path in sorted((folder / "checkpoints").glob("[0-9]*.npz"))]


def assert_same_run(folder, other):
    """Check that weights, slots, seeds, metrics, settings and curves are equal, to the bit."""
    one, two = (np.load(max((path / "checkpoints").glob("[0-9]*.npz"))) for path in (folder, other))
    assert one.files == two.files
    for name in one.files:
        np.testing.assert_array_equal(one[name], two[name])
    for name in ("history.csv", "noise.npy"):
        assert (folder / name).read_bytes() == (other / name).read_bytes()


@pytest.fixture(scope="module")
def uninterrupted(digits, tmp_path_factory):
    """(folder, model, history) of a `train` without interruption."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    return folder, *train(folder, digits)


@pytest.fixture
def finished(uninterrupted, tmp_path):
    """A copy of that run's folder."""
    return Path(shutil.copytree(uninterrupted[0], tmp_path / "finished"))


@pytest.fixture
def no_training(monkeypatch):
    """A patch that lets Keras' `fit` fail."""
    monkeypatch.setattr(keras.Model, "fit", lambda *_, **__: pytest.fail("trained"))


@pytest.mark.parametrize(
    ("steps", "whole", "execution"),
    [
        (421, 420, 60),  # 421 is prime: one step short
        (540, 540, 60),
        (468, 468, 52),
        (10, 10, 10),
        (63, 63, 63),
        (64, 64, 64),
        (1, 1, 1),
        (0, 1, 1),
    ],
)
def test_an_epoch_is_a_whole_number_of_executions(steps, whole, execution):
    assert schedule.whole_executions(steps) == whole
    assert Schedule(20, 1, whole).steps_per_execution == execution


@pytest.mark.parametrize("steps", range(3, 1_250, 39))
def test_an_epoch_loses_at_most_two_percent(steps):
    whole = schedule.whole_executions(steps)
    assert whole % Schedule(20, 1, whole).steps_per_execution == 0
    assert 0.98 * steps <= whole <= steps


@pytest.mark.parametrize("steps", [1, 7, 20, 33, 1_000, 4_321])
def test_a_training_counted_in_steps_is_validated_twenty_times(steps):
    num_epochs, steps_per_epoch = schedule.split_into_epochs(steps)
    assert num_epochs == min(20, steps)
    assert 0.97 * (steps - num_epochs) < num_epochs * steps_per_epoch <= steps


@pytest.mark.parametrize(
    "length", [Schedule.of_epochs(2000, 19, 2), Schedule.of_steps(14, 19, 2)], ids=["passes", "steps"]
)
def test_a_training_runs_exactly_its_steps(digits, tmp_path, length):
    model, history = fit(tmp_path, small_vae, digits, schedule=length)
    assert length.steps_per_execution > 1
    assert model.steps_done == length.steps
    assert len(history["loss"]) == 2


def test_a_new_training_starts_at_the_mean_image_and_a_resumed_one_where_it_was(digits, tmp_path):
    images = digits[:100]
    mean = np.clip(np.float64(images).mean(axis=0) / 255, 1e-3, 1 - 1e-3)
    for _ in range(2):
        model, _ = fit(tmp_path, tiny_vae, images, learning_rate=0)
        pixels = model.decoder.get_layer("pixels")
        np.testing.assert_allclose(pixels.bias, np.log(mean / (1 - mean)).ravel(), rtol=1e-5)
    checkpoint = max((tmp_path / "checkpoints").glob("[0-9]*.npz"))
    arrays = dict(np.load(checkpoint))
    arrays = {name: np.ones_like(array) if array.shape == (784,) else array for name, array in arrays.items()}
    np.savez(checkpoint, **arrays)
    model, _ = fit(tmp_path, tiny_vae, images, learning_rate=0)
    np.testing.assert_array_equal(model.decoder.get_layer("pixels").bias, np.ones(784))


def identity_of(build, *, seed=0, learning_rate=1e-3, images=None, compiled=training.adam):
    keras.utils.set_random_seed(0)
    model = build()
    model.compile(**compiled(learning_rate)(10))
    images = np.zeros((4, 28, 28, 1), np.uint8) if images is None else images
    return identity(model, Schedule(20, 2, 5), seed, images, None)


MODELS = {
    "vae": small_vae,
    "autoencoder": linear,
    "denoiser": lambda: models.DenoisingAutoencoder(*networks.denoising_autoencoder((8, 4))),
    "gan": lambda **arguments: models.GAN(*networks.dcgan(4, 4, (16, 16, 1)), **arguments),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_fifth_model_of_a_comparison_is_what_it_is_alone(name):
    how = {"compiled": training.gan_optimizers} if name == "gan" else {}
    first = identity_of(MODELS[name], **how)
    for other in MODELS.values():
        other()  # Keras counts these as well
    assert identity_of(MODELS[name], **how) == first


@pytest.mark.parametrize(
    "changed",
    [
        {"build": lambda: models.VAE(*networks.dense_vae(3, hidden=16))},
        {"build": lambda: models.VAE(*networks.dense_vae(2, hidden=16, activation="tanh"))},
        {"build": lambda: models.VAE(*networks.dense_vae(2, hidden=16), kl_weight=0.5)},
        {"build": lambda: models.ImportanceWeightedVAE(*networks.dense_vae(2, hidden=16))},
        {"seed": 1},
        {"learning_rate": 2e-3},
        {"images": np.ones((4, 28, 28, 1), np.uint8)},
    ],
)
def test_what_changes_a_training_changes_its_identity(changed):
    assert identity_of(**{"build": small_vae} | changed) != identity_of(small_vae)


def test_mixed_precision_changes_the_identity():
    def mixed():
        with networks.precision():
            pair = networks.dense_vae(2, hidden=16)
        return models.VAE(*pair)

    assert identity_of(mixed)["model"] != identity_of(small_vae)["model"]


@pytest.mark.parametrize("changed", [{"r1": 1.0}, {"critic_steps": 2}, {"weight_clip": 0.1}, {"objective": "hinge"}])
def test_every_argument_of_a_gan_is_part_of_its_identity(changed):
    gans = [identity_of(lambda c=c: MODELS["gan"](**c), compiled=training.gan_optimizers) for c in ({}, changed)]
    assert gans[0]["model"] != gans[1]["model"]


def test_two_runs_with_one_seed_agree_and_another_seed_does_not(digits, tmp_path):
    def run(name, seed):
        model, history = fit(tmp_path / name, small_vae, digits[:500], digits[500:600], epochs=2, seed=seed)
        return history, model.get_weights()

    (history, weights), (again, weights_again), (other, _) = run("one", 1), run("again", 1), run("two", 2)
    assert history == again
    for one, two in zip(weights, weights_again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert history != other


def test_training_lowers_the_validation_loss(digits, tmp_path):
    _, history = fit(tmp_path, small_vae, digits[:1500], digits[1500:], epochs=4, learning_rate=5e-3)
    # The decoder starts at the mean image; a lower loss needs codes that tell the images apart.
    mean_image = trivial_losses(digits[:1500], digits[1500:])["mean image"]["negative_elbo"]
    assert history["val_loss"][-1] < min(history["val_loss"][0], mean_image)


def test_a_batch_larger_than_the_data(digits, tmp_path):
    _, history = fit(tmp_path, small_vae, digits[:10], digits[:10], batch_size=128)
    assert np.isfinite(history["loss"]).all()


def test_divergence_is_reported_and_ends_the_training(digits, tmp_path):
    message = r"training diverged: \w+ is (nan|inf) in epoch 1, after step 0; lower the learning rate"
    with pytest.raises(InputError, match=message):
        fit(tmp_path, small_vae, digits[:500], digits[:100], epochs=50, learning_rate=1e6)
    assert not saved_steps(tmp_path)


def test_preprocess_sees_every_batch(digits, tmp_path):
    black = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Rescaling(0.0)])
    _, history = fit(tmp_path, linear, digits[:100], digits[:50], learning_rate=0.1, preprocess=black)
    assert history["mse"] == history["val_mse"] == [0.0]  # an untrained linear autoencoder keeps black black


def test_pretraining_keeps_a_run_for_every_pair_and_does_none_twice(digits, tmp_path, monkeypatch):
    def weights_after_pretraining(seed):
        keras.utils.set_random_seed(seed)
        model = models.Autoencoder(*networks.stacked_autoencoder(2, hidden=(8,)), loss="cross_entropy")
        how = dict(schedule=Schedule.of_epochs(100, 20, 1), optimizers=training.adam(1e-2))
        training.pretrain(model, digits[:100], run_dir=tmp_path, **how)
        return model.get_weights()

    first = weights_after_pretraining(1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pair_1", "pair_2"]
    monkeypatch.setattr(keras.Model, "fit", lambda *_, **__: pytest.fail("trained"))
    for one, two in zip(first, weights_after_pretraining(2), strict=True):
        np.testing.assert_array_equal(one, two)


# Runs that are killed. Each is a separate process, forked from one that has already imported TensorFlow.


def train_in_its_own_process(folder, digits, torn_at, how=train):
    """Run `train`, but kill the process while it writes the checkpoint of step `torn_at`."""
    whole = np.savez

    def savez(path, **arrays):
        step = int(Path(path).name.split(".")[-2])  # .partial.PROCESS.STEP.npz
        if step == torn_at:
            buffer = io.BytesIO()
            whole(buffer, **arrays)
            Path(path).write_bytes(buffer.getvalue()[: buffer.tell() // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        if torn_at is None and step > LAST - STEPS:
            time.sleep(2)  # time for the test to stop this process
        whole(path, **arrays)

    np.savez = savez
    with quiet(folder):
        how(folder, digits)


@contextlib.contextmanager
def quiet(folder):
    """Write stdout and stderr, and the error at the end, to a file next to the folder."""
    with open(f"{folder}.log", "w") as log, contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        try:
            yield
        except BaseException as error:
            log.write(f"{type(error).__name__}: {error}")
            raise


def start(folder, digits, torn_at=None, how=train):
    process = SERVER.Process(target=train_in_its_own_process, args=(folder, digits, torn_at, how), daemon=True)
    process.start()
    return process


def stop(process, folder, how, delay):
    """Send a signal some time after the process has saved its first checkpoint."""
    before = saved_steps(folder)[-1:]
    deadline = time.monotonic() + 60
    while saved_steps(folder)[-1:] == before:
        assert process.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(delay)
    os.kill(process.pid, how)
    process.join(60)


@pytest.mark.slow  # the next tests kill once
def test_a_run_killed_again_and_again_ends_with_the_bits_of_one_that_was_not(digits, uninterrupted, tmp_path, capsys):
    folder, images = tmp_path / "run", digits[:460]
    delays = random.Random(5)

    process = start(folder, images, torn_at=28)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert saved_steps(folder) == [20, 24]  # the latest within an epoch
    assert list((folder / "checkpoints").glob(".partial*"))

    for _ in range(2):
        process = start(folder, images)
        stop(process, folder, signal.SIGKILL, delays.uniform(0, 0.2))
        assert process.exitcode == -signal.SIGKILL
        assert checkpoints.latest(folder / "checkpoints")[1]["step"] == saved_steps(folder)[-1] > 24

    process = start(folder, images)
    stop(process, folder, signal.SIGINT, delays.uniform(0, 0.1))
    assert process.exitcode == 1
    step = saved_steps(folder)[-1]
    how = f"the same call without restart=True goes on from {folder}"
    message = f"interrupted and saved at step {step} of {LAST}; {how}"
    assert Path(f"{folder}.log").read_text().endswith(f"KeyboardInterrupt: {message}")

    assert 28 < step < LAST
    train(folder, images)
    assert f"{folder}: goes on at step {step} of {LAST}" in capsys.readouterr().out
    assert_same_run(folder, uninterrupted[0])
    assert not list((folder / "checkpoints").glob(".partial*"))


@pytest.fixture(scope="module")
def uninterrupted_gan(digits, tmp_path_factory):
    """(folder, model, history) of a `train_gan` without interruption."""
    folder = tmp_path_factory.mktemp("gan")
    return folder, *train_gan(folder, digits)


def test_a_killed_gan_ends_with_the_bits_of_one_that_was_not(digits, uninterrupted_gan, tmp_path):
    folder, model, history = uninterrupted_gan
    process = start(tmp_path / "run", digits[:400], torn_at=48, how=train_gan)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert saved_steps(tmp_path / "run") == [40, 44]  # the latest within the last epoch
    resumed, its_history = train_gan(tmp_path / "run", digits)
    assert its_history == history
    assert_same_run(tmp_path / "run", folder)
    parts = ("generator", "ema_generator", "discriminator", "generator_optimizer", "discriminator_optimizer")
    for part in parts:
        for one, two in zip(getattr(resumed, part).variables, getattr(model, part).variables, strict=True):
            np.testing.assert_array_equal(one, two, err_msg=part)
    np.testing.assert_array_equal(resumed.generate(4), model.generate(4))  # the noise that comes next


def test_a_trained_gan_decodes_with_standing_statistics_and_is_saved_with_them(digits, uninterrupted_gan, tmp_path):
    folder, model, _ = uninterrupted_gan
    run = Path(shutil.copytree(folder, tmp_path / "run"))
    noise, before = np.load(folder / "noise.npy"), model.ema_generator.get_weights()
    samples = model.decode(noise).numpy()
    np.testing.assert_array_equal(models.load(folder).decode(noise), samples)
    evaluated, _ = train_gan(run, digits, mode="evaluate")
    np.testing.assert_array_equal(evaluated.decode(noise), samples)
    model.set_standing_statistics()  # of the same weights they are the same
    for one, other in zip(model.ema_generator.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.allclose(samples, restored_without_finishing(run, digits).decode(noise))


def restored_without_finishing(run, digits):
    """Return the GAN as its last checkpoint has it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(models.GAN, "finish_training", lambda _: None)
        return train_gan(run, digits, mode="evaluate")[0]


def test_a_gans_sample_grids_show_one_noise_after_every_epoch(digits, uninterrupted_gan, tmp_path):
    folder, _, _ = uninterrupted_gan
    model = restored_without_finishing(folder, digits)
    grids = sorted(path.name for path in (folder / "samples").iterdir())
    assert grids == ["000020.png", "000040.png", "000060.png"]
    images = 255 * model.decode(np.load(folder / "noise.npy")[:16]).numpy().reshape(2, 8, 16, 16)
    drawn = np.asarray(Image.open(folder / "samples" / "000060.png"))
    np.testing.assert_array_equal(drawn[18:34, 36:52], images[1, 2].round())
    run = Path(shutil.copytree(folder, tmp_path / "run"))
    for path in sorted((run / "checkpoints").iterdir())[1:]:
        path.unlink()  # as if the run was killed after its checkpoint of step 56, and a grid is missing
    (run / "samples" / "000060.png").unlink()
    train_gan(run, digits)
    for name in grids:
        assert (run / "samples" / name).read_bytes() == (folder / "samples" / name).read_bytes()
    train_gan(run, digits, mode="restart", epochs=2)
    assert sorted(path.name for path in (run / "samples").iterdir()) == ["000028.png", "000056.png"]


def make_two_devices():
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def train_on_two_devices(folder, digits):
    with quiet(folder):
        train(folder, digits, build=linear, epochs=2, strategy=make_two_devices())


def test_two_devices_train_as_one_does(digits, tmp_path):
    process = SERVER.Process(target=train_on_two_devices, args=(tmp_path / "two", digits[:460]), daemon=True)
    process.start()
    model, history = train(tmp_path / "one", digits, build=linear, epochs=2)
    process.join(120)
    assert process.exitcode == 0
    restored, of_two = train(tmp_path / "two", digits, build=linear, epochs=2, mode="evaluate")
    assert of_two.keys() == history.keys()
    for name, values in history.items():
        np.testing.assert_allclose(of_two[name], values, rtol=1e-5)
    np.testing.assert_allclose(restored.get_weights()[0], model.get_weights()[0], atol=1e-5)
    for one, two in zip(model.optimizer.variables, restored.optimizer.variables, strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-3, atol=1e-6)  # the slots know the gradient's scale


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1000])


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, flip_a_byte])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(damage, digits, uninterrupted, finished, capsys):
    latest = finished / "checkpoints" / f"{LAST:09}.npz"
    damage(latest)
    train(finished, digits)
    output = capsys.readouterr()
    assert f"warning: checkpoint {latest} is damaged" in output.err
    assert f"goes on at step {LAST - EXECUTION} of {LAST}" in output.out
    assert_same_run(finished, uninterrupted[0])


def test_where_all_checkpoints_are_damaged_only_a_restart_is_left(digits, finished):
    for path in (finished / "checkpoints").iterdir():
        truncate(path)
    with pytest.raises(InputError, match="checkpoints: no checkpoint is readable; restart=True starts over"):
        train(finished, digits)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 7}, "was trained with epochs=6, this is epochs=7; "),
        ({"learning_rate": 0.01}, "was trained with learning_rate=0.001, this is learning_rate=0.01; "),
        ({"seed": 1}, "was trained with seed=0, this is seed=1; "),
        ({"build": small_vae, "arguments": {"kl_weight": 0.5}}, "kl_weight=1.0, this is kl_weight=0.5; "),
        ({"build": small_vae, "arguments": {"beta": (1, 2)}}, "was trained otherwise: model; "),  # not asked for then
        ({"epochs": 5, "seed": 2}, "was trained with seed=0, epochs=6, this is seed=2, epochs=5; "),
        ({"build": small_vae}, "was trained otherwise: model; "),
    ],
)
@pytest.mark.usefixtures("no_training")
def test_another_training_is_refused_by_the_arguments_of_the_caller(changes, message, digits, finished):
    with pytest.raises(InputError, match=message) as caught:
        train(finished, digits, **changes)
    assert str(finished) in str(caught.value)
    assert "start over with restart=True" in str(caught.value)


@pytest.mark.usefixtures("no_training")
def test_arguments_that_change_no_training_are_no_reason_to_refuse_it(digits, uninterrupted, finished):
    _, history = train(finished, digits, arguments={"r1": 5.0, "kl_weight": 7.0})
    assert history == uninterrupted[2]


@pytest.mark.usefixtures("no_training")
def test_a_run_with_other_images_is_refused(digits, finished):
    with pytest.raises(InputError, match="was trained otherwise: images; "):
        train(finished, digits, images=digits[1:401])


@pytest.mark.usefixtures("no_training")
def test_checkpoints_of_an_older_version_are_refused_in_one_line(digits, finished):
    arrays, state = checkpoints.latest(finished / "checkpoints")
    old = {name: state[name] for name in ("step", "history")} | {"settings": {}}
    checkpoints.save(finished / "checkpoints", LAST, arrays, old)
    with pytest.raises(
        InputError, match=r"^\S+checkpoints: an older version wrote them; start over with restart=True$"
    ):
        train(finished, digits)


def test_a_failure_is_remembered_for_the_same_training_alone(digits, tmp_path, monkeypatch):
    with pytest.raises(TrainingFailed, match="diverged") as first:
        fit(tmp_path, small_vae, digits[:100], learning_rate=1e30)
    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "fit", lambda *_, **__: pytest.fail("trained"))
        with pytest.raises(TrainingFailed, match="diverged") as again:
            fit(tmp_path, small_vae, digits[:100], learning_rate=1e30)
    assert str(again.value) == str(first.value)
    _, history = fit(tmp_path, small_vae, digits[:100])
    assert np.isfinite(history["loss"]).all()


@pytest.mark.parametrize(
    ("count", "batch_size", "message"),
    [(7, 1, "batch_size=1: must be at least 2 for this model"), (3, 9, "3 images are too few: .* trains on 4 or more")],
)
def test_batches_that_a_gan_cannot_train_on(count, batch_size, message, digits, tmp_path):
    gan = dict(build=lambda: models.GAN(*networks.dcgan(4, 4, (28, 28, 1)), critic_steps=2))
    gan |= dict(schedule=Schedule.of_steps(2, batch_size), optimizers=training.gan_optimizers(1e-3))
    with pytest.raises(InputError, match=message):
        training.fit(images=digits[:count], run_dir=tmp_path, **gan)


def test_a_restart_starts_over(digits, finished):
    noise = np.load(finished / "noise.npy")
    _, history = train(finished, digits, mode="restart", seed=1, epochs=1)
    assert [len(values) for values in history.values()] == [1] * 6
    assert saved_steps(finished) == [STEPS - EXECUTION, STEPS]
    assert len(list(finished.glob("events.out.tfevents.*"))) == 1
    assert not np.array_equal(np.load(finished / "noise.npy"), noise)


@pytest.mark.usefixtures("no_training")
def test_without_training_the_checkpoint_is_loaded(digits, uninterrupted, finished):
    _, model, history = uninterrupted
    loaded, its_history = train(finished, digits, mode="evaluate")
    assert its_history == history
    assert loaded.optimizer.iterations.numpy() == LAST
    for one, two in zip(loaded.variables, model.variables, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.usefixtures("no_training")
def test_without_training_and_checkpoint_there_is_nothing_to_load(digits, tmp_path):
    with pytest.raises(InputError, match="holds no checkpoint to evaluate; train first, without train=False") as caught:
        train(tmp_path, digits, mode="evaluate")
    assert str(tmp_path) in str(caught.value)


def test_an_unknown_mode_forgets_nothing(digits, finished):
    with pytest.raises(InputError, match="mode=again: must be one of resume, restart, evaluate"):
        train(finished, digits, mode="again")
    assert saved_steps(finished) == [LAST - EXECUTION, LAST]


@pytest.mark.usefixtures("no_training")
def test_a_finished_run_is_not_trained_further(digits, uninterrupted, finished):
    before = sorted(finished.rglob("*"))
    model, history = train(finished, digits)
    assert history == uninterrupted[2]
    assert model.optimizer.iterations.numpy() == LAST
    assert sorted(finished.rglob("*")) == before
    assert_same_run(finished, uninterrupted[0])


def test_a_full_disk_is_reported_with_the_file_and_leaves_the_checkpoint_before(digits, finished):
    latest, before = (finished / "checkpoints" / f"{step:09}.npz" for step in (LAST, LAST - EXECUTION))
    size = latest.stat().st_size
    latest.unlink()
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, hard))
    try:
        with pytest.raises(OSError, match=r"File too large") as caught:
            train(finished, digits)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(latest)
    assert list(latest.parent.iterdir()) == [before]
    assert checkpoints.latest(latest.parent)[1]["step"] == LAST - EXECUTION


def test_a_run_leaves_its_curves_and_its_model(digits, uninterrupted):
    folder, model, history = uninterrupted
    with open(folder / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row.pop("epoch") for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert {name: [float(row[name]) for row in rows] for name in rows[0]} == history
    assert history.keys() == {f"{prefix}{term}" for prefix in ("", "val_") for term in ("loss", "reconstruction", "kl")}
    assert (folder / "curves.png").stat().st_size > 0
    for one, two in zip(models.load(folder).get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_active_latents_are_those_whose_mean_depends_on_the_image(digits):
    vae = models.VAE(*networks.dense_vae(4, hidden=8))
    vae.encoder.get_layer("mean").set_weights([np.zeros((8, 4), np.float32), np.float32([0, 0, 7, 0])])
    assert training.active_latents(vae, digits[:1200]) == 0  # the mean 7 is that of every image
    kernel = np.zeros((8, 4), np.float32)
    kernel[:, 1], kernel[:, 3] = 100, 1e-4
    vae.encoder.get_layer("mean").set_weights([kernel, np.zeros(4, np.float32)])
    assert training.active_latents(vae, digits[:1200]) == 1


def events(folder):
    """Read {tag: [(step, value)]} from a folder's event files."""
    accumulator = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    return {
        tag: [(event.step, tf.make_ndarray(event.tensor_proto)) for event in accumulator.Tensors(tag)]
        for tag in accumulator.Tags()["tensors"]
    }


def test_tensorboard_has_six_curves_of_a_vae_over_training_steps(uninterrupted):
    folder, _, history = uninterrupted
    curves = {tag: records for tag, records in events(folder).items() if "/" in tag}
    terms, prefixes = ("loss", "reconstruction", "kl"), {"training": "", "validation": "val_"}
    assert curves.keys() == {f"{term}/{part}" for term in terms for part in prefixes}
    for tag, records in curves.items():
        term, part = tag.split("/")
        steps, values = zip(*records, strict=True)
        assert steps == tuple(range(LAST // TINY["epochs"], LAST + 1, LAST // TINY["epochs"]))
        np.testing.assert_allclose(values, history[prefixes[part] + term], rtol=1e-6)
    assert not [path for path in folder.rglob("events.out.tfevents*") if path.parent != folder]  # one run


def test_tensorboard_has_five_curves_of_a_gan_side_by_side(digits, tmp_path):
    def build():
        return models.GAN(*networks.dcgan(latent_dim=2, hidden=2, image_shape=(28, 28, 1)))

    _, history = fit(tmp_path, build, digits[:40], epochs=2, batch_size=20)
    curves = {tag: records for tag, records in events(tmp_path).items() if "/" in tag}
    five = ("d_loss", "g_loss", "d_real", "d_fake_d_step", "d_fake_g_step")
    assert curves.keys() == {f"training/{name}" for name in five} | {"diagnostics/diversity"}
    assert [step for step, _ in curves["training/d_real"]] == [2, 4]
    np.testing.assert_allclose([value for _, value in curves["training/d_real"]], history["d_real"], rtol=1e-6)


def test_tensorboard_has_images_of_one_size_and_the_settings(uninterrupted):
    logged = {
        tag: [value for _, value in records] for tag, records in events(uninterrupted[0]).items() if "/" not in tag
    }
    (settings,) = logged.pop("settings")
    for row in ("| kl_weight | 1.0 |", "| epochs | 6 |", "| batch_size | 20 |", "| seed | 0 |"):
        assert row in settings.item().decode()
    assert logged.keys() == {"images", "reconstructions", "samples"}
    for records in logged.values():
        assert len(records) == TINY["epochs"]
        for width, height, png in records:
            assert tf.io.decode_png(png).shape == (int(height), int(width), 1)
            assert int(width) == (28 + 2) * int(60**0.5 if records is not logged["samples"] else 8) - 2
    assert len({record[2] for record in logged["images"]}) == 1
    assert len({record[2] for record in logged["samples"]}) == TINY["epochs"]


def test_the_noise_of_the_samples_is_drawn_once_from_the_seed(tmp_path):
    noise = training.load_or_draw_noise(tmp_path / "a", 3, seed=1)
    assert noise.shape == (64, 3)
    assert noise.dtype == np.float32
    np.testing.assert_array_equal(noise, training.load_or_draw_noise(tmp_path / "a", 3, seed=2))  # that of the folder
    np.testing.assert_array_equal(noise, training.load_or_draw_noise(tmp_path / "b", 3, seed=1))
    assert not np.allclose(noise, training.load_or_draw_noise(tmp_path / "c", 3, seed=2))


def test_files_of_a_run_killed_before_its_first_checkpoint_are_not_used(digits, tmp_path):
    np.save(tmp_path / "noise.npy", np.zeros((64, 7), np.float32))  # of another latent dimension
    (tmp_path / "events.out.tfevents.1.old").touch()
    fit(tmp_path, small_vae, digits[:100])
    assert np.load(tmp_path / "noise.npy").shape == (64, 2)
    assert not (tmp_path / "events.out.tfevents.1.old").exists()


def test_early_stopping_ends_a_training_for_good(digits, tmp_path, monkeypatch):
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=0, min_delta=1e9, mode="min")
    how = dict(epochs=9, batch_size=50, callbacks=[stopping])
    _, history = fit(tmp_path, small_vae, digits[:200], digits[200:250], **how)
    assert len(history["loss"]) == 2
    assert models.load(tmp_path).latent_dim == 2
    monkeypatch.setattr(keras.Model, "fit", lambda *_, **__: pytest.fail("trained"))
    _, again = fit(tmp_path, small_vae, digits[:200], digits[200:250], **how)
    assert again == history


def test_a_second_training_in_one_folder_is_refused_and_harms_nothing(digits, uninterrupted, finished):
    for path in (finished / "checkpoints").iterdir():
        path.unlink()
    with locked(finished), pytest.raises(InputError, match=f"^run_dir={finished}: another process writes there; "):
        train(finished, digits)
    assert (finished / "history.csv").read_bytes() == (uninterrupted[0] / "history.csv").read_bytes()
    assert not saved_steps(finished)
    train(finished, digits)  # the lock ended with its holder
    assert_same_run(finished, uninterrupted[0])


def test_sigterm_is_heeded_as_ctrl_c(digits, uninterrupted, tmp_path):
    folder = tmp_path / "run"
    process = start(folder, digits[:460])
    stop(process, folder, signal.SIGTERM, 0.05)
    assert process.exitcode == 1
    assert "KeyboardInterrupt: interrupted and saved at step" in Path(f"{folder}.log").read_text()
    train(folder, digits[:460])
    assert_same_run(folder, uninterrupted[0])


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"3", b"\xff\xfe", b'{"identity": 3}'])
def test_a_damaged_record_of_a_failure_is_none(content, digits, uninterrupted, finished):
    (finished / "failure.json").write_bytes(content)
    assert train(finished, digits)[1] == uninterrupted[2]


def test_damaged_noise_is_drawn_again(uninterrupted, finished, capsys):
    expected = np.load(finished / "noise.npy")
    (finished / "noise.npy").write_bytes(b"\x93NUMPY")
    np.testing.assert_array_equal(training.load_or_draw_noise(finished, 2, seed=0), expected)
    assert "noise.npy is damaged" in capsys.readouterr().err
    np.testing.assert_array_equal(np.load(finished / "noise.npy"), expected)


def test_grids_that_were_removed_are_an_input_error(tmp_path):
    with pytest.raises(InputError, match="samples: holds no grids of this training; restart=True starts over"):
        _ = training.SampleGrids(tmp_path, 0).paths
