"""Steps on several devices of one process: those of one device, for every model and optimizer."""

import json
import os
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from processes import SERVER

from hw5 import data, layers, models, networks, replicas, training
from hw5.distributions import InverseAutoregressiveFlow
from hw5.errors import InputError

RATE = 0.01
OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(RATE, momentum=0.9),
    "adam": lambda: keras.optimizers.Adam(RATE, epsilon=0.1),
    "hw5_adam": lambda: training.Adam(RATE, epsilon=1e-3),
    "rmsprop": lambda: keras.optimizers.RMSprop(RATE / 10, epsilon=1e-2),
    "adamw": lambda: keras.optimizers.AdamW(RATE, weight_decay=0.1, epsilon=1e-3),
}


def small_gan(**how):
    """A GAN of 16×16 images with every kind of layer that depends on the whole batch."""
    z = keras.Input((3,))
    features = keras.layers.Reshape((4, 4, 2))(keras.layers.Dense(32)(z))
    features = keras.layers.ReLU()(layers.SelfModulatedBatchNormalization()([features, z]))
    features = keras.layers.ReLU()(layers.BatchNormalization()(layers.NearestConv2D(3)(features)))
    generator = keras.Model(z, layers.NearestConv2D(1)(features))
    images = keras.Input((16, 16, 1))
    features = layers.BatchNormalization()(keras.layers.Conv2D(3, 4, 2, "same")(images))
    features = layers.Dropout(0.3)(keras.layers.LeakyReLU(0.2)(features))
    logits = keras.layers.Dense(1, kernel_regularizer="l2")(keras.layers.Flatten()(features))
    return models.GAN(generator, keras.Model(images, logits), **how)


def flow_vae():
    encoder, decoder = networks.deep_tanh_vae(2, (8,), context=3)
    return models.FlowVAE(encoder, decoder, InverseAutoregressiveFlow(2, 4))


def iwae():
    how = dict(importance_samples=3, preprocessing=layers.Binarization())
    return models.ImportanceWeightedVAE(*networks.tanh_vae(2, hidden=6, dropout=0.3), **how)


def doubly_reparameterized():
    how = dict(importance_samples=3, preprocessing=layers.Binarization(), gradient="path")
    return models.ImportanceWeightedVAE(*networks.tanh_vae(2, hidden=6, dropout=0.3), **how)


def flow_iwae():
    encoder, decoder = networks.deep_tanh_vae(2, (8,), context=3)
    return models.ImportanceWeightedVAE(encoder, decoder, 3, flow=InverseAutoregressiveFlow(2, 4))


CRITIC = dict(objective="wasserstein", critic_steps=2, weight_clip=0.1, gradient_penalty=3.0)
MODELS = {
    "autoencoder": lambda: models.Autoencoder(*networks.stacked_autoencoder(3, (8, 4))),
    "denoising": lambda: models.DenoisingAutoencoder(*networks.nonlinear_autoencoder(3)),
    "vae": lambda: models.VAE(*networks.tanh_vae(2, hidden=6), preprocessing=layers.Dequantization()),
    "flow_vae": flow_vae,
    "iwae": iwae,
    "doubly_reparameterized": doubly_reparameterized,
    "flow_iwae": flow_iwae,
    "gan": lambda: small_gan(ema_decay=0.9, r1=1.0),
    "critic": lambda: small_gan(**CRITIC),
    "averaged_critic": lambda: small_gan(**CRITIC, ema_decay=0.9, r1=1.0),
}
GANS = ("gan", "critic", "averaged_critic")
QUICK = [("vae", "adam"), ("averaged_critic", "hw5_adam")]  # the others are slow


def train(model, optimizer, folder, strategy=None):
    images = data.load("mnist", "train", limit=40)
    names = ["optimizer"]
    if model in GANS:
        images, names = data.resize(images, 16), ["generator_optimizer", "discriminator_optimizer"]

    def made(_steps):
        return {name: OPTIMIZERS[optimizer]() for name in names}

    how = dict(schedule=training.Schedule(8, 1, 3), optimizers=made, seed=1, strategy=strategy)
    trained, history = training.fit(MODELS[model], images, images[:5], run_dir=folder, **how)
    evaluated = {} if model in GANS else training.evaluate(trained, images[:3])
    return [np.asarray(weight, np.float64) for weight in trained.weights], history | {"evaluated": evaluated}


def work(pairs, folder):
    """Train on two devices, and write weights and curves; the output goes to `log`."""
    with open(folder / "log", "wb") as log:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(log.fileno(), stream.fileno())
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = training.make_strategy("mirrored")
    for model, optimizer in pairs:
        weights, history = train(model, optimizer, folder / f"{model}_{optimizer}", strategy)
        np.savez(folder / f"{model}_{optimizer}.npz", *weights, history=json.dumps(history))
    found = _refusals(strategy) | _moments(strategy)
    (folder / "rest.json").write_text(json.dumps(found))


def _refusals(strategy):
    messages = {}
    with strategy.scope():
        model = MODELS["autoencoder"]()
    for name, value in (("clipnorm", 1.0), ("global_clipnorm", 1.0), ("clipvalue", 0.5)):
        try:
            model.compile(keras.optimizers.Adam(**{name: value}))
        except InputError as error:
            messages[name] = str(error)
    try:
        training.fit(
            MODELS["autoencoder"],
            data.load("mnist", "train", limit=40),
            run_dir="never",
            schedule=training.Schedule(7, 1, 1),
            optimizers=training.adam(1e-3),
            strategy=strategy,
        )
    except InputError as error:
        messages["batch_size"] = str(error)
    return messages


VALUES = np.random.default_rng(0).normal(1000, 1, (7, 3)).astype(np.float32)  # a large mean, to lose digits with
DRAWN = 5  # 4 numbers of the first replica, 1 of the second


def _moments(strategy):
    """Compute moments, shares and random numbers of replicas with 7 and 0, then with 4 and 1 images."""

    def values(context):
        return tf.constant(VALUES if context.replica_id_in_sync_group == 0 else VALUES[:0])

    def numbers(context):
        return tf.constant(4 if context.replica_id_in_sync_group == 0 else 1)

    with strategy.scope():
        seed = keras.random.SeedGenerator(5)

    def draw(number):
        drawn = replicas.draw(lambda count: keras.random.normal((2, count), seed=seed), number, axis=1)
        return drawn, replicas.share(number)

    made = strategy.experimental_distribute_values_from_function
    moments = strategy.run(lambda x: replicas.moments(x, [0]), args=(made(values),))
    drawn, shares = strategy.run(draw, args=(made(numbers),))
    local = strategy.experimental_local_results
    return {
        "moments": [[np.asarray(part).tolist() for part in local(value)] for value in moments],
        "drawn": np.concatenate([np.asarray(part) for part in local(drawn)], axis=1).tolist(),
        "shares": [float(part) for part in local(shares)],
    }


def run_in_process(pairs, folder):
    process = SERVER.Process(target=work, args=(pairs, folder), daemon=True)
    process.start()
    process.join(1200)
    assert process.exitcode == 0, Path(folder, "log").read_text()[-3000:]
    return folder


@pytest.fixture(scope="module")
def two_devices(tmp_path_factory):
    return run_in_process(QUICK, tmp_path_factory.mktemp("two"))


def check(folder, model, optimizer, tmp_path):
    weights, history = train(model, optimizer, tmp_path)
    with np.load(folder / f"{model}_{optimizer}.npz") as file:
        found = [file[f"arr_{i}"] for i in range(len(weights))]
        of_two = json.loads(str(file["history"]))
    largest = max(np.abs(one - two).max() for one, two in zip(weights, found, strict=True))
    print(f"{model}, {optimizer}: weights differ by at most {largest:.1e}")
    assert largest < 1e-4 * RATE / 0.01  # thousandths of the way that a weight moves in three steps
    assert of_two.keys() == history.keys()
    for name, values in history.items():
        if name != "evaluated":
            np.testing.assert_allclose(of_two[name], values, rtol=1e-4, atol=1e-5, err_msg=name)
    for name, value in history["evaluated"].items():
        np.testing.assert_allclose(of_two["evaluated"][name], value, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(("model", "optimizer"), QUICK)
def test_two_devices_make_the_steps_of_one(two_devices, model, optimizer, tmp_path):
    check(two_devices, model, optimizer, tmp_path)


@pytest.mark.slow
def test_every_model_with_every_optimizer(tmp_path):
    pairs = [(model, optimizer) for model in MODELS for optimizer in OPTIMIZERS]
    run_in_process(pairs, tmp_path)
    for model, optimizer in pairs:
        check(tmp_path, model, optimizer, tmp_path / "one" / f"{model}_{optimizer}")


def test_several_devices_refuse_what_they_would_do_otherwise(two_devices):
    found = json.loads((two_devices / "rest.json").read_text())
    for name in ("clipnorm", "global_clipnorm", "clipvalue"):
        assert found[name].startswith(f"{name}=")
        assert "train on one device" in found[name]
    assert found["batch_size"] == "batch_size=7: must be a multiple of 2, the number of replicas"


def test_moments_of_unequal_parts_are_those_of_the_whole(two_devices):
    means, variances, numbers = json.loads((two_devices / "rest.json").read_text())["moments"]
    for mean, variance, number in zip(means, variances, numbers, strict=True):
        np.testing.assert_allclose(mean, VALUES.astype(np.float64).mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(variance, VALUES.astype(np.float64).var(axis=0), rtol=1e-3)
        assert number == 7


def test_replicas_draw_the_numbers_of_one_device(two_devices):
    found = json.loads((two_devices / "rest.json").read_text())
    expected = keras.random.normal((2, DRAWN), seed=keras.random.SeedGenerator(5))
    np.testing.assert_allclose(found["drawn"], expected, rtol=1e-6)
    np.testing.assert_allclose(found["shares"], [0.8, 0.2], rtol=1e-6)


def test_one_device_draws_what_keras_draws():
    seeds = [keras.random.SeedGenerator(2) for _ in range(2)]
    drawn = replicas.draw(lambda count: keras.random.normal((count, 3), seed=seeds[0]), 4)
    np.testing.assert_array_equal(drawn, keras.random.normal((4, 3), seed=seeds[1]))
    assert replicas.share(4) == 1.0


def test_dropout_is_keras_dropout():
    images = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    own, of_keras = layers.Dropout(0.4, seed=3), keras.layers.Dropout(0.4, seed=3)
    for _ in range(2):
        np.testing.assert_allclose(own(images, training=True), of_keras(images, training=True), rtol=1e-6)
    np.testing.assert_array_equal(own(images), images)
