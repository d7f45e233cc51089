"""The variants of the VAE: the importance weighted bound, and flows as posterior."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import multivariate_normal

from hw5 import flows, layers, likelihoods, metrics, models, networks

LATENT = 3
SHAPE = (28, 28, 1)


def networks_of(context=0, seed=0):
    keras.utils.set_random_seed(seed)
    return networks.deep_tanh_vae(LATENT, (12, 8), context=context, image_shape=SHAPE)


def importance_weighted(k, **arguments):
    return models.ImportanceWeightedVAE(*networks_of(), importance_samples=k, **arguments)


def flow_vae(steps, **arguments):
    return models.FlowVAE(*networks_of(context=4), flows.InverseAutoregressiveFlow(steps, hidden=10), **arguments)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 2, (16, *SHAPE)).astype(np.float32)


def noise(k, seed=1):
    return np.random.default_rng(seed).normal(size=(k, 16, LATENT)).astype(np.float32)


@pytest.fixture
def fixed(monkeypatch):
    """The noise that every model draws from now on."""

    def fix(epsilon):
        monkeypatch.setattr(keras.random, "normal", lambda shape, seed=None: tf.reshape(epsilon, shape))

    return fix


@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_loss_is_the_bound_in_numpy(k, images, fixed):
    model = importance_weighted(k)
    epsilon = noise(k)
    fixed(epsilon)
    model(images)
    weights = np.float64(model.log_weights(images, epsilon))
    np.testing.assert_allclose(sum(model.losses), -np.log(np.exp(weights).mean(axis=0)).mean(), rtol=1e-5)
    np.testing.assert_allclose(sum(model.losses), -metrics.iwae_bound(weights).mean(), rtol=1e-5)


def test_the_gradient_is_that_of_the_log_weights_by_their_shares(images, fixed):
    """Burda et al. 2016, equation 13: Σ w̃_i ∇ log w_i with w̃ = w / Σ w."""
    model, epsilon = importance_weighted(5), noise(5)
    fixed(epsilon)
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        model(images)
        loss = sum(model.losses)
    of_loss = tape.gradient(loss, variables)
    with tf.GradientTape() as tape:
        weights = model.log_weights(images, epsilon)
        shares = tf.stop_gradient(tf.nn.softmax(weights, axis=0))
        weighted = -tf.reduce_mean(tf.reduce_sum(shares * weights, axis=0))
    for one, other in zip(of_loss, tape.gradient(weighted, variables), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_one_importance_sample_is_the_vae(images, fixed):
    """On average: the VAE has the KL divergence in closed form, the other estimates it by its sample."""
    one, plain = importance_weighted(1), models.VAE(*networks_of())
    differences = []
    for seed in range(100):
        fixed(noise(1, seed))
        for model in (one, plain):
            model(images)
        differences.append(float(sum(one.losses) - sum(plain.losses)))
    assert abs(np.mean(differences)) < 4 * np.std(differences) / np.sqrt(100)
    none = np.zeros((1, 16, LATENT), np.float32)
    fixed(none)
    one(images)
    np.testing.assert_allclose(sum(one.losses), -np.mean(one.log_weights(images, none)), rtol=1e-5)


def test_more_importance_samples_give_a_tighter_bound(images):
    weights = importance_weighted(1).log_weights(images, noise(5000))
    bounds = [metrics.iwae_bound(np.reshape(weights, (k, -1))).mean() for k in (1, 5, 50, 5000)]
    assert bounds == sorted(bounds)
    assert bounds[-1] > bounds[0] + 0.01


def test_a_flow_of_no_steps_is_the_vae(images, fixed):
    fixed(noise(1)[0])
    flow = flow_vae(0)
    plain = models.VAE(keras.Model(flow.encoder.inputs[0], flow.encoder.outputs[:2]), flow.decoder)
    np.testing.assert_allclose(flow(images), plain(images), rtol=1e-6)
    np.testing.assert_allclose(flow.losses, plain.losses, rtol=1e-6)
    np.testing.assert_array_equal(flow.encode(images), plain.encode(images))
    np.testing.assert_array_equal(flow.log_weights(images, noise(4)), plain.log_weights(images, noise(4)))


def test_a_flow_moves_the_posterior(images):
    model, plain = flow_vae(2), flow_vae(0)
    assert np.abs(model.encode(images) - plain.encode(images)).max() > 1e-3


def test_the_evidence_does_not_depend_on_the_flow(images):
    """p(x) is the decoder's: any posterior gives it, in the limit."""
    flowing, plain = (flow_vae(steps, likelihood=likelihoods.Gaussian(initial=3.0)) for steps in (2, 0))
    flowing.decoder.set_weights(plain.decoder.get_weights())
    for weight in flowing.flow.weights:
        weight.assign(np.random.default_rng(3).normal(0, 0.2, weight.shape))
    epsilon, evidence, errors = noise(4000), [], []
    for model in (flowing, plain):
        log_weights = np.float64(model.log_weights(images, epsilon))
        weights = np.exp(log_weights - log_weights.max(axis=0))
        evidence.append(metrics.iwae_bound(log_weights))
        errors.append(weights.std(axis=0) / weights.mean(axis=0) / np.sqrt(4000))
    one, other = evidence
    known = np.max(errors, axis=0) < 0.1  # images whose evidence so many samples tell
    assert known.sum() > 5
    assert np.abs(flowing.encode(images) - plain.encode(images)).mean() > 0.1
    np.testing.assert_array_less(np.abs(one - other)[known], 5 * np.hypot(*errors)[known])


def test_the_terms_of_a_flow_are_its_log_weights(images, fixed):
    """For every draw, and not on average alone: a part in closed form would add noise that z does not bound."""
    model = flow_vae(2)
    for weight in model.flow.weights:
        weight.assign(np.random.default_rng(3).normal(0, 0.3, weight.shape))
    for seed in range(3):
        fixed(noise(1, seed))
        model(images)
        np.testing.assert_allclose(-sum(model.losses), np.mean(model.log_weights(images, noise(1, seed))), rtol=1e-5)


BUILDERS = [lambda **also: importance_weighted(3, **also), lambda **also: flow_vae(2, **also)]
ALL = [lambda **also: models.VAE(*networks_of(), **also), *BUILDERS]


def skewed(prior):
    """Fit a prior to latents that are anything but N(0, I)."""
    rng = np.random.default_rng(8)
    prior.fit(rng.normal(size=(50, LATENT)) @ rng.normal(0, 2, (LATENT, LATENT)) + 1)


@pytest.mark.parametrize("build", ALL)
def test_a_fitted_prior_gains_its_log_ratio(build, images):
    """log w = log p(x|z) + log p(z) − log q(z|x), of which the prior is one term."""
    model, plain = build(prior=layers.GaussianPrior()), build()
    epsilon = noise(4)
    np.testing.assert_array_equal(model.log_weights(images, epsilon), plain.log_weights(images, epsilon))
    skewed(model.prior)
    mean, log_var, *context = plain.encoder(images)
    z, _ = plain.transform(mean + np.exp(0.5 * log_var) * epsilon, *context)
    m, covariance = model.prior.mean.numpy(), model.prior.factor.numpy() @ model.prior.factor.numpy().T
    gained = multivariate_normal(m, covariance).logpdf(z) - multivariate_normal(np.zeros(LATENT)).logpdf(z)
    difference = model.log_weights(images, epsilon) - plain.log_weights(images, epsilon)
    np.testing.assert_allclose(difference, gained, rtol=1e-3, atol=1e-3)  # of sums of about 500


def test_the_kl_divergence_to_a_fitted_prior_is_that_of_two_gaussians(images):
    model = models.VAE(*networks_of(), prior=layers.GaussianPrior())
    skewed(model.prior)
    mean, log_var = (np.asarray(term, np.float64) for term in model.posterior(images))
    precision = np.linalg.inv(model.prior.factor.numpy() @ model.prior.factor.numpy().T)
    away = mean - model.prior.mean.numpy()
    # ½ (tr(Σ⁻¹ diag σ²) + (μ − m)ᵀ Σ⁻¹ (μ − m) − d + log |Σ| − Σ log σ²)
    terms = (
        np.exp(log_var) @ np.diag(precision),
        np.einsum("bi,ij,bj->b", away, precision, away),
        -log_var.sum(axis=1),
    )
    expected = 0.5 * (sum(terms) - LATENT - np.linalg.slogdet(precision)[1]).mean()
    measured = []
    for _ in range(200):
        model.kl_tracker.reset_state()
        model(images)
        measured.append(float(model.kl_tracker.result()))
    error = np.std(measured) / np.sqrt(200)
    assert error < 0.1 * expected
    assert abs(np.mean(measured) - expected) < 4 * error


@pytest.mark.parametrize("build", ALL)
def test_codes_are_standard_normal_by_a_fitted_prior(build, images):
    model = build(prior=layers.GaussianPrior(), preprocessing=layers.Binarization())
    before, noise = model.reconstruct(images), np.random.default_rng(0).normal(size=(9, LATENT)).astype(np.float32)
    decoded = model.decode(noise)
    model.fit_prior([images[:9], images[9:]])
    np.testing.assert_allclose(model.reconstruct(images), before, atol=1e-5)
    np.testing.assert_allclose(model.decode(noise), model.to_images(model.decoder(model.prior(noise))), atol=1e-6)
    assert np.abs(model.decode(noise) - decoded).max() > 1e-3
    assert np.abs(np.mean(model.encode(images), axis=0)).max() < 1  # a mean of 16, of variance 1 at most


@pytest.mark.parametrize("build", BUILDERS)
def test_every_weight_is_trained_and_the_loss_falls(build, digits):
    model = build(preprocessing=layers.Binarization())
    model.compile(optimizer=keras.optimizers.Adam(3e-3))
    before = [weight.numpy() for weight in model.trainable_weights]
    history = model.fit(np.float32(digits) / 255, batch_size=50, epochs=2, verbose=0).history
    assert history["loss"][1] < history["loss"][0] < 600
    assert set(history) == {"loss", "reconstruction", "kl"}
    for weight, old in zip(model.trainable_weights, before, strict=True):
        assert not np.array_equal(weight.numpy(), old), weight.path


@pytest.mark.parametrize("build", BUILDERS)
def test_variants_are_saved_and_loaded(build, images, tmp_path):
    parts = {"preprocessing": layers.Dequantization(seed=3), "prior": layers.GaussianPrior()}
    model = build(likelihood=likelihoods.Gaussian(), **parts)
    model.compile(optimizer=keras.optimizers.Adam(1e-3))
    model.fit(images, verbose=0)
    model.fit_prior([images])
    models.save(model, tmp_path)
    loaded = models.load(tmp_path)
    assert type(loaded) is type(model)
    np.testing.assert_array_equal(loaded.log_weights(images, noise(2)), model.log_weights(images, noise(2)))
    np.testing.assert_array_equal(loaded.prepared(images), model.prepared(images))  # the noise goes on, too
    np.testing.assert_array_equal(loaded(images), model(images))
    np.testing.assert_array_equal(loaded.sample(3, seed=0), model.sample(3, seed=0))


@pytest.mark.parametrize("arguments", [{"importance_samples": 0}, {"kl_weight": 0.5}])
def test_what_an_importance_weighted_vae_cannot_be(arguments):
    with pytest.raises(ValueError, match="at least 1, and 1"):
        models.ImportanceWeightedVAE(*networks_of(), **arguments)


def test_dequantization_fills_the_cells_evenly(digits):
    images = np.float32(digits[:200]) / 255
    spread = np.float64(layers.Dequantization(seed=0)(images)) * 256 - digits[:200]
    assert -1e-4 < spread.min() < 0.001 < 0.999 < spread.max() < 1 + 1e-4
    assert spread.mean() == pytest.approx(0.5, abs=4 / np.sqrt(12 * spread.size))
    assert spread.var() == pytest.approx(1 / 12, rel=0.01)


def test_binarization_keeps_the_mean():
    grey = np.full((2000, 2, 2, 1), 0.3, np.float32)
    binary = layers.Binarization(seed=0)(grey).numpy()
    assert set(np.unique(binary)) == {0, 1}
    assert binary.mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / binary.size))
    np.testing.assert_array_equal(layers.Binarization()(np.round(grey)), np.round(grey))
