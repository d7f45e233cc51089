"""The models: losses, gradients, training, interpolation, and saving."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit

from hw5 import data, distributions, models, networks, training
from hw5.errors import InputError
from hw5.metrics import pca
from hw5.models.autoencoder import layer_pairs
from hw5.models.base import DECODE_BATCH

pytestmark = pytest.mark.usefixtures("undrawn")


def linear(k=3):
    return models.Autoencoder(*networks.linear_autoencoder(k))


def nonlinear(k=3):
    return models.Autoencoder(*networks.nonlinear_autoencoder(k), loss="cross_entropy")


def stacked(k=3):
    return models.Autoencoder(*networks.stacked_autoencoder(k, hidden=(32, 16)), loss="cross_entropy")


def vae(k=3, kl_weight=1.0):
    return models.VAE(*networks.dense_vae(k, hidden=32), kl_weight=kl_weight)


BUILDERS = [linear, nonlinear, stacked, vae]


def train(build, images, validation=None, *, run_dir, epochs, batch_size=64, learning_rate=1e-3):
    schedule = training.Schedule.of_epochs(len(images), batch_size, epochs)
    return training.fit(
        build, images, validation, run_dir=run_dir, schedule=schedule, optimizers=training.adam(learning_rate)
    )


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="module")
def batch(digits):
    return data.scale(digits[:64]).numpy()


@pytest.mark.parametrize("build", BUILDERS)
def test_shapes_and_ranges(build, batch):
    model = build()
    assert model.latent_dim == 3
    assert model.encode(batch).shape == (64, 3)
    assert model.decode(np.zeros((5, 3), "float32")).shape == (5, 28, 28, 1)
    assert model.sample(7).shape == (7, 28, 28, 1)
    assert model(batch).shape == model.reconstruct(batch).shape == batch.shape
    if build is not linear:  # a sigmoid's output is a probability
        assert 0 < model.reconstruct(batch).numpy().min() <= model.reconstruct(batch).numpy().max() < 1


@pytest.mark.parametrize("build", BUILDERS)
def test_samples_are_the_same_for_the_same_seed(build):
    model = build()
    np.testing.assert_array_equal(model.sample(4, seed=1), model.sample(4, seed=1))
    assert not np.allclose(model.sample(4, seed=1), model.sample(4, seed=2))
    assert not np.allclose(model.sample(4), model.sample(4))


@pytest.mark.parametrize("build", BUILDERS)
def test_interpolation_is_linear_in_the_codes(build, batch):
    model = build()
    first, last = model.encode(batch[:6]), model.encode(batch[6:12])
    images = model.interpolate(first, last, [0, 0.25, 1, -0.5])
    assert images.shape == (6, 4, 28, 28, 1)
    np.testing.assert_allclose(images[:, 0], model.reconstruct(batch[:6]), atol=1e-5)
    np.testing.assert_allclose(images[:, 1], model.decode(0.75 * first + 0.25 * last), atol=1e-5)
    np.testing.assert_allclose(images[:, 2], model.reconstruct(batch[6:12]), atol=1e-5)
    np.testing.assert_allclose(images[:, 3], model.decode(1.5 * first - 0.5 * last), atol=1e-5)


def test_many_codes_are_decoded_in_batches_that_make_no_difference(monkeypatch):
    model, counts = linear(), []
    first, last = np.random.default_rng(0).normal(size=(2, 3, 3)).astype(np.float32)
    shares, decode = np.linspace(0, 1, DECODE_BATCH, dtype=np.float32), model.decode
    expected = np.stack([decode(one + shares[:, None] * (two - one)) for one, two in zip(first, last, strict=True)])
    monkeypatch.setattr(type(model), "decode", lambda _, z: counts.append(len(z)) or decode(z))
    np.testing.assert_allclose(model.interpolate(first, last, shares), expected, atol=1e-6)
    assert model.sample(DECODE_BATCH + 1).shape == (DECODE_BATCH + 1, 28, 28, 1)
    assert counts == [*[DECODE_BATCH] * 3, DECODE_BATCH, 1]


def test_mean_squared_error_of_the_linear_autoencoder_in_numpy(batch):
    model = linear()
    (w1, b1), (w2, b2) = model.encoder.get_weights(), model.decoder.get_weights()
    flat = batch.reshape(64, 784).astype(np.float64)
    expected = np.mean((flat - ((flat @ w1 + b1) @ w2 + b2)) ** 2)
    model.compile()
    result = model.evaluate(tf.data.Dataset.from_tensors(batch), verbose=0, return_dict=True)
    np.testing.assert_allclose([result["loss"], result["mse"]], expected, rtol=1e-5)


def test_cross_entropy_of_the_nonlinear_autoencoder_in_numpy(batch):
    model = nonlinear()
    (w1, b1), (w2, b2) = model.encoder.get_weights(), model.decoder.get_weights()
    flat = batch.reshape(64, 784).astype(np.float64)
    p = expit(np.maximum(flat @ w1 + b1, 0) @ w2 + b2)
    expected = -(flat * np.log(p) + (1 - flat) * np.log(1 - p)).sum(axis=1).mean()
    model.compile()
    result = model.evaluate(tf.data.Dataset.from_tensors(batch), verbose=0, return_dict=True)
    np.testing.assert_allclose(result["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(result["mse"], np.mean((flat - p) ** 2), rtol=1e-4)


@pytest.mark.parametrize("kl_weight", [0.0, 0.5, 1.0])
def test_add_loss_terms_sum_to_the_reported_loss(kl_weight, batch):
    model = vae(kl_weight=kl_weight)
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    state = model.epsilon_generator.state.numpy()
    logs = model.train_step(batch)
    model.epsilon_generator.state.assign(state)  # the same noise again
    model(batch)
    assert len(model.losses) == 2
    np.testing.assert_allclose(logs["loss"], sum(model.losses), rtol=1e-6)
    np.testing.assert_allclose(logs["reconstruction"], model.losses[0], rtol=1e-6)
    np.testing.assert_allclose(kl_weight * logs["kl"], model.losses[1], rtol=1e-5)
    assert logs["kl"] > 0


def test_vae_terms_in_numpy(batch):
    model = vae()
    mean, log_var = (np.asarray(t, np.float64) for t in model.posterior(batch))
    state = model.epsilon_generator.state.numpy()
    z = mean + np.exp(log_var / 2) * model.draw_epsilon(64).numpy()
    model.epsilon_generator.state.assign(state)  # the same noise again
    logits = np.asarray(model.decoder(z.astype(np.float32)), np.float64)
    reconstruction = (np.logaddexp(0, logits) - batch * logits).sum(axis=(1, 2, 3)).mean()
    kl = 0.5 * (mean**2 + np.exp(log_var) - log_var - 1).sum(axis=1).mean()
    model(batch)
    np.testing.assert_allclose(model.losses, [reconstruction, kl], rtol=1e-5)


def test_vae_codes_are_the_mode(batch):
    model = vae()
    np.testing.assert_array_equal(model.encode(batch), model.posterior(batch).mean)
    np.testing.assert_array_equal(model.reconstruct(batch), model.reconstruct(batch))  # no noise


@pytest.mark.parametrize("build", BUILDERS)
def test_history_is_never_zero_and_has_validation(build, digits, tmp_path):
    _, history = train(build, digits[:256], digits[256:300], run_dir=tmp_path, epochs=2)
    terms = {"loss", "reconstruction", "kl"} if build is vae else {"loss", "mse"}
    assert history.keys() == terms | {f"val_{name}" for name in terms}
    assert all(len(values) == 2 and min(values) > 0 for values in history.values())


@pytest.mark.parametrize("build", [*BUILDERS, lambda: vae(kl_weight=0.0)])
def test_gradients_reach_every_weight(build, batch):
    model = build()
    before = [weight.numpy() for weight in model.trainable_weights]
    model.compile(optimizer=keras.optimizers.SGD(1e-4))
    model.train_step(batch)
    for weight, old in zip(model.trainable_weights, before, strict=True):
        assert not np.array_equal(weight.numpy(), old), weight.path


@pytest.mark.parametrize("build", BUILDERS)
def test_the_batch_size_does_not_change_an_evaluation(build, digits):
    model = build()
    if build is vae:  # make σ negligible: the noise differs with the batches
        model.encoder.get_layer("log_var").bias.assign(np.full(3, -60.0))
        model.encoder.get_layer("log_var").kernel.assign(np.zeros((32, 3)))
    model.compile()
    results = [model.evaluate(data.pipeline(digits[:100], size), verbose=0, return_dict=True) for size in (100, 7)]
    for name in results[0]:
        np.testing.assert_allclose(results[0][name], results[1][name], rtol=1e-5)


@pytest.mark.parametrize("build", BUILDERS)
def test_saved_and_loaded_models_agree(build, batch, digits, tmp_path):
    model, _ = train(build, digits[:128], run_dir=tmp_path / "run", epochs=1)
    models.save(model, tmp_path)
    loaded = models.load(tmp_path)
    assert type(loaded) is type(model)
    np.testing.assert_array_equal(loaded.reconstruct(batch), model.reconstruct(batch))
    np.testing.assert_array_equal(loaded(batch), model(batch))  # a VAE continues with the same noise
    assert not list(tmp_path.glob(".partial*"))


def flow_vae():
    pair = networks.dcgan_vae(3, 2, (28, 28, 1), context=4)
    return models.FlowVAE(*pair, distributions.InverseAutoregressiveFlow(1, hidden=10))


def test_a_trained_model_loads_in_a_process_of_its_own(digits, tmp_path):
    train(flow_vae, digits[:64], run_dir=tmp_path, epochs=1)
    code = f"from hw5 import models; print(models.load({str(tmp_path)!r}).latent_dim)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "3\n"


@pytest.mark.parametrize(
    ("build", "arguments"),
    [
        (nonlinear, {"loss": "cross_entropy"}),
        (lambda: vae(kl_weight=0.25), {"kl_weight": 0.25, "gradient": "total"}),
        (
            lambda: models.DenoisingAutoencoder(*networks.denoising_autoencoder((8,)), patch=5, noise_std=0.3),
            {"patch": 5, "noise_std": 0.3},
        ),
        (
            lambda: models.ImportanceWeightedVAE(
                *networks.dense_vae(3, hidden=8), importance_samples=3, gradient="path"
            ),
            {"importance_samples": 3, "gradient": "path"},
        ),
    ],
)
def test_the_arguments_are_part_of_a_saved_model(build, arguments, tmp_path):
    models.save(build(), tmp_path)
    loaded = models.load(tmp_path)
    config = loaded.get_config()
    assert {name: config[name] for name in config.keys() - {*loaded.PARTS, "name", "trainable", "dtype"}} == arguments


def test_a_model_that_was_saved_before_it_had_an_argument_loads_with_its_default(batch, tmp_path):
    model = vae()
    models.save(model, tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    for name in ("flow", "gradient", "prior"):
        del config["config"][name]
    path.write_text(json.dumps(config))
    loaded = models.load(tmp_path)
    assert (loaded.flow, loaded.gradient) == (None, "total")
    np.testing.assert_array_equal(loaded.encode(batch), model.encode(batch))


def started(pair, images, **arguments):
    """Return the biases of the decoder's last layer before the first step of a training on these images."""
    model = models.VAE(*pair, **arguments)
    model.start_training(images)
    return next(layer for layer in reversed(model.decoder.layers) if layer.weights).bias.numpy()


def test_a_decoder_starts_at_the_logit_of_the_mean_image():
    """Check means of 1/5 and 3/4, logits −ln 4 and ln 3, and pixels without a logit: ±ln 999."""
    images = np.zeros((20, 2, 2, 1), np.uint8)
    images[:4, 0, 1], images[:15, 1, 0], images[:, 1, 1] = 255, 255, 255
    expected = [-np.log(999), -np.log(4), np.log(3), np.log(999)]
    for given in (images, images / np.float32(255)):
        pair = networks.dense_vae(3, hidden=4, image_shape=(2, 2, 1))
        np.testing.assert_allclose(started(pair, given), expected, rtol=1e-6)


def test_other_likelihoods_and_layers_without_a_bias_for_every_pixel_start_as_they_were():
    pair, images = networks.dense_vae(3, hidden=4, image_shape=(2, 2, 1)), np.full((9, 2, 2, 1), 200, np.uint8)
    np.testing.assert_array_equal(started(pair, images, likelihood=distributions.Gaussian()), np.zeros(4))
    images = np.full((9, 8, 8, 1), 200, np.uint8)
    np.testing.assert_array_equal(started(networks.convolutional_vae(3, (8, 8, 1)), images), [0])
    model = models.VAE(*networks.dcgan_vae(3, 4, (8, 8, 1)))
    before = model.decoder.get_weights()
    model.start_training(images)
    for old, new in zip(before, model.decoder.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def gaussian(scale_sharing="shared"):
    return models.VAE(*networks.dense_vae(3, hidden=32), likelihood=distributions.Gaussian(scale_sharing))


def logistic(scale_sharing="shared"):
    return models.VAE(*networks.dense_vae(3, hidden=32), likelihood=distributions.DiscretizedLogistic(scale_sharing))


def test_the_default_likelihood_adds_nothing_to_a_vae():
    model = vae()
    assert [metric.name for metric in model.metrics] == ["loss", "reconstruction", "kl"]
    weights = [*model.encoder.weights, *model.decoder.weights]
    assert [id(weight) for weight in model.weights if "seed" not in weight.path] == [id(weight) for weight in weights]


@pytest.mark.parametrize("build", [gaussian, logistic])
@pytest.mark.parametrize("scale_sharing", ["shared", "per_pixel"])
def test_a_learned_scale_is_trained_and_reported(build, scale_sharing, digits):
    model, images = build(scale_sharing), data.scale(digits[:256]).numpy()
    model.compile(optimizer=keras.optimizers.Adam(1e-2))
    before = model.evaluate(images, verbose=0, return_dict=True)
    np.testing.assert_allclose(before["sigma"], np.mean(model.likelihood.sigma(None)), rtol=1e-5)
    scales = model.likelihood.scale(None).numpy()
    model.fit(images, batch_size=64, epochs=3, verbose=0)
    after = model.evaluate(images, verbose=0, return_dict=True)
    assert after["loss"] < before["loss"] - 20
    assert np.all(model.likelihood.scale(None).numpy() != scales)
    assert after["sigma"] != before["sigma"]


def test_sigma_learns_the_standard_deviation_of_unpredictable_pixels():
    noise = np.random.default_rng(0).normal(0.5, 0.07, (400, 28, 28, 1)).astype(np.float32)
    model = gaussian()
    model.decoder.get_layer("pixels").kernel.assign(np.zeros((32, 784)))  # every mean is ½
    model.encoder.trainable = model.decoder.trainable = False
    model.compile(optimizer=keras.optimizers.Adam(0.05))
    model.fit(noise, batch_size=40, epochs=20, verbose=0)
    assert float(model.likelihood.sigma(None)) == pytest.approx(0.07, rel=0.02)


@pytest.mark.parametrize("build", [gaussian, logistic])
@pytest.mark.parametrize("scale_sharing", ["shared", "per_pixel"])
def test_a_learned_scale_is_saved(build, scale_sharing, batch, tmp_path):
    model = build(scale_sharing)
    raw = model.likelihood.raw_scale
    raw.assign(np.random.default_rng(0).normal(-2, 0.3, raw.shape))
    models.save(model, tmp_path)
    loaded = models.load(tmp_path)
    assert [v.shape for v in loaded.trainable_variables] == [v.shape for v in model.trainable_variables]
    outputs = model.decoder(model.encode(batch))
    expected = model.likelihood.log_prob(batch, outputs)
    np.testing.assert_array_equal(loaded.likelihood.log_prob(batch, outputs), expected)
    np.testing.assert_array_equal(loaded(batch), model(batch))
    np.testing.assert_array_equal(loaded.losses, model.losses)


def test_log_weights_in_numpy(batch):
    model = vae()
    epsilon = np.random.default_rng(0).normal(size=(2, 64, 3)).astype(np.float32)
    mean, log_var = (np.asarray(t, np.float64) for t in model.posterior(batch))
    z = mean + np.exp(log_var / 2) * epsilon
    expected = []
    for codes, noise in zip(z, epsilon, strict=True):
        logits = np.asarray(model.decoder(codes.astype(np.float32)), np.float64)
        log_likelihood = -(np.logaddexp(0, logits) - batch * logits).sum(axis=(1, 2, 3))
        expected.append(log_likelihood + 0.5 * (noise**2 + log_var - codes**2).sum(axis=1))
    np.testing.assert_allclose(model.log_weights(batch, epsilon), expected, rtol=1e-5)


@pytest.mark.parametrize("damage", ["missing", "truncated weights", "other weights", "broken config", "lambda"])
def test_damaged_models_are_refused_in_one_line(damage, tmp_path):
    models.save(linear(), tmp_path)
    config, weights = tmp_path / "config.json", tmp_path / "model.weights.h5"
    if damage == "missing":
        weights.unlink()
    elif damage == "truncated weights":
        weights.write_bytes(weights.read_bytes()[:2000])
    elif damage == "other weights":
        stacked().save_weights(weights)
    elif damage == "broken config":
        config.write_text(config.read_text()[:100])
    else:
        evil = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda z: z)])
        tree = json.loads(config.read_text())
        tree["config"]["decoder"] = keras.saving.serialize_keras_object(evil)
        config.write_text(json.dumps(tree))
    with pytest.raises(InputError, match="holds no readable model") as caught:
        models.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_linear_autoencoder_converges_to_pca(digits, tmp_path):
    model, _ = train(lambda: linear(k=4), digits, run_dir=tmp_path, epochs=120, batch_size=100, learning_rate=2e-2)
    mean, directions = pca.principal_components(digits, 4)
    bound = pca.reconstruction_error(digits, mean, directions[:, :4])
    model.compile()
    error = training.evaluate(model, digits)["mse"]
    assert bound * (1 - 1e-5) < error < 1.001 * bound
    # It spans the subspace of the principal components, too.
    kernel = model.decoder.get_layer("pixels").kernel.numpy().T
    projected = directions[:, :4] @ (directions[:, :4].T @ kernel)
    assert np.linalg.norm(projected - kernel) < 0.02 * np.linalg.norm(kernel)


def test_layer_pairs_share_their_weights_and_fit_together(batch):
    model = stacked()
    stages = list(layer_pairs(model))
    assert [shallow.encoder.input_shape[1] for _, shallow in stages] == [784, 32, 16]
    assert [shallow.latent_dim for _, shallow in stages] == [32, 16, 3]
    assert [shallow.loss_name for _, shallow in stages] == ["cross_entropy", *["mean_squared_error"] * 2]
    below, last = stages[-1]
    np.testing.assert_allclose(last.encode(below(batch)), model.encode(batch), rtol=1e-5)
    assert last.encoder.layers[-1] is model.encoder.layers[-1]
    assert {id(w) for _, s in stages for w in s.trainable_weights} == {id(w) for w in model.trainable_weights}


def test_pretraining_lowers_the_error_before_the_first_epoch(digits, tmp_path):
    model = stacked()
    model.compile()
    before = training.evaluate(model, digits)["loss"]
    schedule = training.Schedule.of_epochs(len(digits), batch_size=50, epochs=3)
    training.pretrain(model, digits, run_dir=tmp_path, schedule=schedule, optimizers=training.adam(5e-3))
    model.compile()
    assert training.evaluate(model, digits)["loss"] < 0.5 * before


def test_unknown_loss():
    with pytest.raises(ValueError, match="loss='mse'"):
        models.Autoencoder(*networks.linear_autoencoder(2), loss="mse")


def test_a_denoiser_is_compared_with_the_clean_image():
    keras.utils.set_random_seed(0)
    model = models.DenoisingAutoencoder(*networks.denoising_autoencoder((8,)), patch=28, noise_std=0.3)
    model.decoder.get_layer("pixels").kernel.assign(np.zeros((8, 784)))  # its output is always ½
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    images = np.random.default_rng(0).random((40, 28, 28, 1)).astype(np.float32)
    measured = model.evaluate(images, verbose=0, return_dict=True)
    assert measured["mse"] == pytest.approx(np.square(images - 0.5).mean(), rel=1e-5)
    assert measured["patch_mse"] == pytest.approx(measured["mse"], rel=1e-5)  # the patch is the image
    assert measured["loss"] == pytest.approx(784 * np.log(2), rel=1e-5)
    assert set(model.snapshot(images[:4], None)) == {"images", "noisy", "denoised"}


def test_a_patch_larger_than_the_images_is_refused():
    with pytest.raises(InputError, match="patch=29: must be at most 28"):
        models.DenoisingAutoencoder(*networks.denoising_autoencoder((8,)), patch=29)


def test_a_denoiser_learns_to_remove_noise(digits):
    keras.utils.set_random_seed(0)
    model = models.DenoisingAutoencoder(*networks.denoising_autoencoder((256,)))
    model.compile(optimizer=keras.optimizers.Adam(2e-3))
    images = digits.astype(np.float32) / 255
    before = model.evaluate(images, verbose=0, return_dict=True)
    model.fit(images, batch_size=50, epochs=6, verbose=0)
    after = model.evaluate(images, verbose=0, return_dict=True)
    noisy, mask = map(np.asarray, model.corrupt(images))
    assert after["loss"] < 0.4 * before["loss"]
    assert after["patch_mse"] < 0.7 * np.average(np.square(noisy - images), weights=mask)
