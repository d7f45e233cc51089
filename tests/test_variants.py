"""The variants of the VAE: the importance weighted bound, flows as posterior, and fitted priors."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import multivariate_normal

from hw5 import data, distributions, layers, metrics, models, networks, training
from hw5.errors import InputError

pytestmark = pytest.mark.usefixtures("undrawn")

LATENT = 3
SHAPE = (28, 28, 1)


def networks_of(context=0, seed=0):
    keras.utils.set_random_seed(seed)
    return networks.deep_tanh_vae(LATENT, (12, 8), context=context, image_shape=SHAPE)


def importance_weighted(k, **arguments):
    return models.ImportanceWeightedVAE(*networks_of(), importance_samples=k, **arguments)


def flow_vae(steps, **arguments):
    return models.FlowVAE(
        *networks_of(context=4), distributions.InverseAutoregressiveFlow(steps, hidden=10), **arguments
    )


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 2, (16, *SHAPE)).astype(np.float32)


def noise(k, seed=1):
    return np.random.default_rng(seed).normal(size=(k, 16, LATENT)).astype(np.float32)


@pytest.fixture
def fixed(monkeypatch):
    """The noise that every model draws during the test."""

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
    """Check Burda et al. 2016, equation 13: Σ w̃_i ∇ log w_i with w̃ = w / Σ w."""
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
    """Check it on average: the VAE has the KL divergence in closed form, the IWAE estimates it with its sample."""
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


def without_context(encoder):
    return keras.Model(encoder.inputs[0], encoder.outputs[:2])


def test_a_flow_of_no_steps_is_the_vae(images, fixed):
    fixed(noise(1)[0])
    flow = flow_vae(0)
    plain = models.VAE(without_context(flow.encoder), flow.decoder)
    np.testing.assert_allclose(flow(images), plain(images), rtol=1e-6)
    np.testing.assert_allclose(flow.losses, plain.losses, rtol=1e-6)
    np.testing.assert_array_equal(flow.encode(images), plain.encode(images))
    np.testing.assert_array_equal(flow.log_weights(images, noise(4)), plain.log_weights(images, noise(4)))


@pytest.mark.parametrize("build", [lambda: importance_weighted(3), lambda: flow_vae(2)])
def test_the_terms_of_the_bound_are_weighted_by_the_images_in_an_evaluation(build, images):
    """Check that a last batch of another size does not distort the means."""
    model = build()
    model.compile()
    measured = model.evaluate(images, batch_size=12, verbose=0, return_dict=True)
    expected = []
    model.epsilon_generator.state.assign(model.epsilon_generator.state - [0, 2])  # the same noise again
    for batch in (images[:12], images[12:]):
        model.reset_metrics()
        model(batch)
        expected.append([float(model.reconstruction_tracker.result()), float(model.kl_tracker.result())])
    terms = [measured["reconstruction"], measured["kl"]]
    np.testing.assert_allclose(terms, np.average(expected, axis=0, weights=[12, 4]), rtol=1e-5)


def test_a_flow_moves_the_posterior(images):
    model, plain = flow_vae(2), flow_vae(0)
    assert np.abs(model.encode(images) - plain.encode(images)).max() > 1e-3


def test_the_evidence_does_not_depend_on_the_flow(images):
    """Check that any posterior gives p(x) in the limit."""
    flowing, plain = (flow_vae(steps, likelihood=distributions.Gaussian(initial_scale=3.0)) for steps in (2, 0))
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
    known = np.max(errors, axis=0) < 0.1  # images for which so many samples suffice
    assert known.sum() > 5
    assert np.abs(flowing.encode(images) - plain.encode(images)).mean() > 0.1
    np.testing.assert_array_less(np.abs(one - other)[known], 5 * np.hypot(*errors)[known])


def test_the_terms_of_a_flow_are_its_log_weights(images, fixed):
    """Check it for every draw, not only on average: a part in closed form would add noise that z does not bound."""
    model = flow_vae(2)
    for weight in model.flow.weights:
        weight.assign(np.random.default_rng(3).normal(0, 0.3, weight.shape))
    for seed in range(3):
        fixed(noise(1, seed))
        model(images)
        np.testing.assert_allclose(-sum(model.losses), np.mean(model.log_weights(images, noise(1, seed))), rtol=1e-5)


def importance_weighted_flow(**arguments):
    """An importance weighted VAE of three samples whose posterior is a flow."""
    flow = distributions.InverseAutoregressiveFlow(2, hidden=10)
    return models.ImportanceWeightedVAE(*networks_of(context=4), 3, flow=flow, **arguments)


def test_a_flow_with_one_importance_sample_is_the_flow_vae(images, fixed):
    """Check equal losses for equal noise: both estimate the KL divergence with the z that is decoded."""
    flow = flow_vae(2)
    for weight in flow.flow.weights:
        weight.assign(np.random.default_rng(3).normal(0, 0.3, weight.shape))
    one = models.ImportanceWeightedVAE(flow.encoder, flow.decoder, 1, flow=flow.flow)
    fixed(noise(1))
    for model in (one, flow):
        model(images)
    np.testing.assert_allclose(sum(one.losses), sum(flow.losses), rtol=1e-5)


def test_the_loss_of_an_importance_weighted_flow_is_its_bound(images, fixed):
    model = importance_weighted_flow()
    fixed(noise(3))
    model(images)
    weights = model.log_weights(images, noise(3))
    np.testing.assert_allclose(sum(model.losses), -metrics.iwae_bound(weights).mean(), rtol=1e-5)


BUILDERS = [lambda **kwargs: importance_weighted(3, **kwargs), lambda **kwargs: flow_vae(2, **kwargs)]
BUILDERS += [importance_weighted_flow, lambda **kwargs: importance_weighted(3, gradient="path", **kwargs)]
ALL = [lambda **kwargs: models.VAE(*networks_of(), **kwargs), *BUILDERS]


def skewed():
    """A prior fitted to latents that are far from N(0, I)."""
    rng = np.random.default_rng(8)
    prior = distributions.GaussianPrior()
    prior.build((None, LATENT))
    prior.fit(rng.normal(size=(50, LATENT)) @ rng.normal(0, 2, (LATENT, LATENT)) + 1)
    return prior


@pytest.mark.parametrize("build", ALL)
def test_a_prior_is_one_term_of_the_log_weights(build, images):
    """Check log w = log p(x|z) + log p(z) − log q(z|x)."""
    model, plain = build(prior=skewed()), build()
    epsilon = noise(4)
    z, _ = plain.posterior(images).sample(epsilon)
    m, covariance = model.prior.mean.numpy(), model.prior.cholesky.numpy() @ model.prior.cholesky.numpy().T
    expected = multivariate_normal(m, covariance).logpdf(z) - multivariate_normal(np.zeros(LATENT)).logpdf(z)
    difference = model.log_weights(images, epsilon) - plain.log_weights(images, epsilon)
    np.testing.assert_allclose(difference, expected, rtol=1e-3, atol=1e-3)  # of sums of about 500


def test_the_vae_has_the_closed_form_for_any_prior(images):
    model = models.VAE(*networks_of(), prior=skewed())
    model(images)
    expected = np.mean(model.prior.kl(model.posterior(images)))
    np.testing.assert_allclose(model.losses[1], expected, rtol=1e-6)
    np.testing.assert_allclose(model.kl_tracker.result(), expected, rtol=1e-6)


@pytest.mark.parametrize("prior", [None, distributions.GaussianPrior])
@pytest.mark.parametrize("build", ALL)
def test_codes_are_standard_normal_by_a_fitted_prior(build, prior, images):
    model = build(prior=prior and prior(), preprocessing=layers.Binarization())
    before, codes = model.reconstruct(images), np.random.default_rng(0).normal(size=(9, LATENT)).astype(np.float32)
    decoded = model.decode(codes)
    model.fit_prior(model.draw_latents([images[:9], images[9:]]))
    np.testing.assert_allclose(model.reconstruct(images), before, atol=1e-5)
    z = model.prior.mean + codes @ np.transpose(model.prior.cholesky)
    np.testing.assert_allclose(model.decode(codes), model.likelihood.mean(model.decoder(z)), atol=1e-6)
    assert np.abs(model.decode(codes) - decoded).max() > 1e-3
    assert np.abs(np.mean(model.encode(images), axis=0)).max() < 1  # a mean of 16, of variance 1 at most


@pytest.mark.parametrize("build", ALL)
def test_a_mixture_prior_is_kept_and_its_samples_are_of_its_clusters(build, images, tmp_path):
    model = build()
    model.compile()
    before = len(model.weights)
    model.fit_prior(model.draw_latents([images]))
    latents = np.random.default_rng(0).normal(size=(400, LATENT)).astype(np.float32)
    latents[::2] += 8
    model.fit_prior(latents, distributions.GaussianMixturePrior(2))
    assert len(model.weights) == before + 5  # those of the mixture, and none of the Gaussian before it
    codes = model.draw_codes(1000, seed=0)
    z = np.asarray(model.prior.color(codes))
    assert 0.4 < np.mean(z.mean(axis=1) > 4) < 0.6
    assert np.mean(np.abs(z.mean(axis=1) - 4) < 2) < 0.01  # between the clusters, 3.5 standard deviations from both
    np.testing.assert_array_equal(model.sample(5, seed=3), model.decode(model.draw_codes(5, seed=3)))
    models.save(model, tmp_path)
    loaded = models.load(tmp_path)
    np.testing.assert_array_equal(loaded.sample(5, seed=3), model.sample(5, seed=3))
    np.testing.assert_array_equal(loaded.log_weights(images, noise(2)), model.log_weights(images, noise(2)))
    assert np.isfinite(model.evaluate(images, verbose=0, return_dict=True)["kl"])


def test_an_evaluation_after_fit_prior_has_the_fitted_prior(images):
    """Check it although Keras has compiled the evaluation with the earlier prior."""
    model = models.VAE(*networks_of())
    model.compile()
    before = model.evaluate(images, verbose=0, return_dict=True)["kl"]
    model.fit_prior(model.draw_latents([images]))
    after = model.evaluate(images, verbose=0, return_dict=True)["kl"]
    np.testing.assert_allclose(after, np.mean(model.prior.kl(model.posterior(images))), rtol=1e-5)
    assert abs(after - before) > 1e-3


@pytest.mark.parametrize(
    "build",  # the last two combine what the others have
    [*ALL[:3], *(pytest.param(build, marks=pytest.mark.slow) for build in ALL[3:])],
)
def test_a_training_resumes_after_the_prior_was_fitted(build, digits, tmp_path):
    """Check that the checkpoint has the model without the fitted prior, and the saved model has it."""

    def fit():
        schedule = training.Schedule.of_epochs(64, batch_size=32, epochs=1)
        model, _ = training.fit(
            build, digits[:64], digits[64:96], run_dir=tmp_path, schedule=schedule, optimizers=training.adam(1e-3)
        )
        model.fit_prior(model.draw_latents(data.pipeline(digits[:64], 30)))
        return model

    first = fit()
    models.save(first, tmp_path)
    for again in (models.load(tmp_path), fit()):
        np.testing.assert_array_equal(again.prior.cholesky, first.prior.cholesky)
        np.testing.assert_array_equal(again.sample(3, seed=0), first.sample(3, seed=0))
    assert np.abs(first.prior.cholesky - np.eye(LATENT)).max() > 1e-3


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


@pytest.mark.parametrize("prior", [None, distributions.GaussianPrior])
@pytest.mark.parametrize("build", ALL)
def test_variants_are_saved_and_loaded(build, prior, images, tmp_path):
    model = build(
        likelihood=distributions.Gaussian(), preprocessing=layers.Dequantization(seed=3), prior=prior and prior()
    )
    model.compile(optimizer=keras.optimizers.Adam(1e-3))
    model.fit(images, verbose=0)
    model.fit_prior(model.draw_latents([images]))
    models.save(model, tmp_path)
    loaded = models.load(tmp_path)
    assert type(loaded) is type(model)
    np.testing.assert_array_equal(loaded.log_weights(images, noise(2)), model.log_weights(images, noise(2)))
    np.testing.assert_array_equal(loaded.preprocess(images), model.preprocess(images))  # the same noise
    np.testing.assert_array_equal(loaded(images), model(images))
    np.testing.assert_array_equal(loaded.sample(3, seed=0), model.sample(3, seed=0))


def test_an_importance_weighted_vae_needs_a_sample_and_has_no_kl_weight():
    with pytest.raises(InputError, match="importance_samples=0: must be at least 1"):
        importance_weighted(0)
    with pytest.raises(ValueError, match="kl_weight=0.5: must be 1"):
        importance_weighted(2, kl_weight=0.5)


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


# Gradient estimators


def linear_gaussian(cls=models.VAE, *, gradient, exact=False, **arguments):
    """A model of x ~ N(Wz + b, σ²I) with z ~ N(0, I) of 2 dimensions, an encoder μ = Ax + a, and log σ² = s.

    σ is ½ (`Linear`). With `exact`, q is the true posterior N(S Wᵀ(x − b)/σ², S) with S⁻¹ = WᵀW/σ² + I. The columns of
    W are orthogonal, so S is diagonal.
    """
    keras.utils.set_random_seed(len(gradient))  # other noise for each estimator
    rng = np.random.default_rng(1)
    directions = np.linalg.qr(rng.normal(size=(6, 2)))[0] * [1.0, 0.4]  # W
    offset = rng.normal(size=6)  # b
    variance = 1 / (np.square(directions).sum(axis=0) / 0.25 + 1)
    to_mean = directions / 0.25 * variance
    log_var, displaced = np.log(variance), -offset @ to_mean
    if not exact:
        to_mean, log_var, displaced = to_mean + 0.3, log_var + 0.5, displaced - 0.4
    images = keras.Input((2, 3, 1))
    x = keras.layers.Flatten()(images)
    mean, spread = keras.layers.Dense(2, name="mean"), keras.layers.Dense(2, kernel_initializer="zeros", name="spread")
    encoder = keras.Model(images, [mean(x), spread(x)])
    mean.set_weights([to_mean, displaced])
    spread.set_weights([np.zeros((6, 2)), log_var])
    pixels = keras.layers.Dense(6, name="pixels")
    decoder = keras.Sequential([keras.Input((2,)), pixels, keras.layers.Reshape((2, 3, 1))])
    pixels.set_weights([directions.T, offset])
    return cls(encoder, decoder, likelihood=Linear(), gradient=gradient, **arguments)


class Linear(distributions.Likelihood):
    """x ~ N(outputs, ¼ I)."""

    def log_prob(self, images, outputs):
        return -0.5 * tf.reduce_sum(tf.square(images - outputs) / 0.25 + np.log(2 * np.pi * 0.25), axis=(1, 2, 3))

    def mean(self, outputs):
        return outputs


def gradients_of(model, images, count):
    """Return `count` estimates of the gradient of the loss, [count, number of weights], and the losses [count]."""
    variables = model.trainable_variables

    @tf.function
    def estimate():
        with tf.GradientTape() as tape:
            terms, _ = model.bound_and_outputs(images)
            loss = tf.add_n(terms)
        return tf.concat([tf.reshape(part, [-1]) for part in tape.gradient(loss, variables)], axis=0), loss

    pairs = [estimate() for _ in range(count)]
    return np.array([pair[0] for pair in pairs], np.float64), np.array([pair[1] for pair in pairs])


LINEAR_IMAGES = np.random.default_rng(2).normal(size=(20, 2, 3, 1)).astype(np.float32)
CASES = [(models.VAE, {}), (models.VAE, {"kl_weight": 0.5}), (models.ImportanceWeightedVAE, {"importance_samples": 5})]
CASES += [(models.ImportanceWeightedVAE, {"importance_samples": 1})]


@pytest.mark.parametrize(("cls", "arguments"), CASES)
def test_both_gradients_have_one_mean_and_one_bound(cls, arguments):
    """Check 1,000 estimates: the means agree to five standard errors of their difference, weight by weight."""
    estimates = {}
    for gradient in ("total", "path"):
        model = linear_gaussian(cls, gradient=gradient, **arguments)
        estimates[gradient] = gradients_of(model, LINEAR_IMAGES, 1000)
    (total, loss), (path, path_loss) = estimates.values()
    error = np.sqrt(total.var(axis=0) / 1000 + path.var(axis=0) / 1000)
    assert np.abs(total.mean(axis=0)).max() > 20 * error.min()  # there is a gradient to compare
    np.testing.assert_array_less(np.abs(total.mean(axis=0) - path.mean(axis=0)), 5 * error + 1e-6)
    error = np.sqrt(loss.var() / 1000 + path_loss.var() / 1000)
    assert abs(loss.mean() - path_loss.mean()) < 5 * error


@pytest.mark.parametrize("k", [1, 5])
def test_the_importance_weighted_bound_of_both_gradients_is_equal(k, fixed):
    fixed(np.random.default_rng(0).normal(size=(k, 20, 2)).astype(np.float32))
    losses = []
    for gradient in ("total", "path"):
        model = linear_gaussian(models.ImportanceWeightedVAE, gradient=gradient, importance_samples=k)
        model(LINEAR_IMAGES)
        losses.append(float(sum(model.losses)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("cls", [models.VAE, models.ImportanceWeightedVAE])
def test_at_the_true_posterior_the_path_gradient_of_the_encoder_is_0(cls):
    """Check every estimate: log w is log p(x), whatever z is. The total gradient is noise there."""
    spread = {}
    for gradient in ("total", "path"):
        model = linear_gaussian(cls, gradient=gradient, exact=True)
        estimates, losses = gradients_of(model, LINEAR_IMAGES, 50)
        encoder = sum(int(np.prod(weight.shape)) for weight in model.encoder.trainable_weights)
        spread[gradient] = np.abs(estimates[:, :encoder]).max()
        if gradient == "path":
            np.testing.assert_allclose(losses, losses[0], rtol=1e-5)
    assert spread["path"] < 1e-4  # rounding, of terms of size 10
    assert spread["total"] > 0.05


def test_the_doubly_reparameterized_gradient_by_hand(fixed):
    """Check Tucker et al. 2019, equation 8, with the encoder's gradient by automatic differentiation in two parts."""
    epsilon = np.random.default_rng(0).normal(size=(4, 20, 2)).astype(np.float32)
    fixed(epsilon)
    model = linear_gaussian(models.ImportanceWeightedVAE, gradient="path", importance_samples=4)
    variables = model.encoder.trainable_variables
    with tf.GradientTape() as tape:
        terms, _ = model.bound_and_outputs(LINEAR_IMAGES)
        loss = tf.add_n(terms)
    found = tape.gradient(loss, variables)
    with tf.GradientTape(persistent=True) as tape:
        q = model.posterior(LINEAR_IMAGES)
        z, _ = q.sample(epsilon)
        fixed_z = tf.stop_gradient(z)
        tape.watch(fixed_z)
        outputs = tf.reshape(model.decoder(tf.reshape(fixed_z, (-1, 2))), (4, 20, 2, 3, 1))
        squares = tf.reduce_sum(tf.square(LINEAR_IMAGES - outputs), axis=(2, 3, 4)) / 0.25
        log_q = -0.5 * tf.reduce_sum((fixed_z - q.mean) ** 2 / tf.exp(q.log_var) + q.log_var, axis=-1)
        log_w = -0.5 * squares - 0.5 * tf.reduce_sum(fixed_z**2, axis=-1) - log_q
    direct = tape.gradient(log_w, fixed_z)  # ∂ log w_i / ∂z_i
    shares = tf.nn.softmax(log_w, axis=0)[..., None]
    expected = tape.gradient(z, variables, output_gradients=-(shares**2) * direct / 20)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_unknown_gradients_and_those_of_a_flow_are_refused():
    with pytest.raises(InputError, match="gradient=both: must be one of total, path"):
        importance_weighted(2, gradient="both")
    with pytest.raises(InputError, match="gradient=path: is not for a posterior with a flow; gradient=total is"):
        flow_vae(2, gradient="path")
