"""log p(x) compared with models whose likelihood is known: a linear one exactly, small VAEs by integration."""

import io
import pickle
import zlib
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy.stats import multivariate_normal, norm

from hw5 import distributions, networks
from hw5.errors import InputError
from hw5.metrics import (
    bits_per_dimension,
    bits_per_pixel,
    dequantize,
    importance_sampling,
    iwae_bound,
    log_likelihood,
    mean_and_error,
    merge_bounds,
    png_bits_per_dimension,
)
from hw5.models import VAE

RNG = np.random.default_rng(0)
SHAPE = (2, 3, 1)


class LinearGaussian:
    """The model x ~ N(Wz + b, σ²I) with the evidence N(b, WWᵀ + σ²I), probabilistic PCA (Tipping & Bishop 1999).

    q(z|x) is the exact posterior, displaced by `shift` and stretched by `stretch`.
    """

    latent_dim = 2
    sigma = 0.5

    def __init__(self, shift=0.0, stretch=1.0):
        rng = np.random.default_rng(1)
        self.weights, self.bias = rng.normal(size=(6, 2)), rng.normal(size=6)
        precision = self.weights.T @ self.weights / self.sigma**2 + np.eye(2)
        self.to_mean = np.linalg.solve(precision, self.weights.T) / self.sigma**2
        self.cholesky = stretch * np.linalg.cholesky(np.linalg.inv(precision))
        self.shift = shift
        self.shapes = []  # one per trace of `log_weights`

    def log_weights(self, images, epsilon):
        self.shapes.append(tuple(epsilon.shape))
        x, epsilon = tf.cast(tf.reshape(images, (-1, 6)), tf.float64), tf.cast(epsilon, tf.float64)
        z = (x - self.bias) @ self.to_mean.T + self.shift + epsilon @ self.cholesky.T
        log_q = log_normal(epsilon) - np.log(np.linalg.det(self.cholesky))
        residual = (x - self.bias - z @ self.weights.T) / self.sigma
        return log_normal(residual) - 6 * np.log(self.sigma) + log_normal(z) - log_q

    def get_weights(self):
        return [self.weights, self.bias, self.to_mean, self.cholesky]

    def evidence(self, images):
        covariance = self.weights @ self.weights.T + self.sigma**2 * np.eye(6)
        return multivariate_normal.logpdf(images.reshape(-1, 6), self.bias, covariance)


def log_normal(x):
    return -0.5 * tf.reduce_sum(tf.square(x) + np.log(2 * np.pi), axis=-1)


def small_vae(latent_dim=1, likelihood=None, size=4):
    """Build a dense VAE with weights so large that the codes matter, and with an untrained posterior."""
    keras.utils.set_random_seed(3)
    model = VAE(*networks.dense_vae(latent_dim, hidden=8, image_shape=(size, size, 1)), likelihood=likelihood)
    kernel = model.decoder.get_layer("pixels").kernel
    kernel.assign(3 * kernel)
    return model


def grey(count, size=4):
    return (np.random.default_rng(5).integers(0, 256, (count, size, size, 1)) / 255).astype(np.float32)


def noise(count, batch, latent_dim):
    return np.random.default_rng(9).standard_normal((count, batch, latent_dim), np.float32)


def relative_error(log_weights):
    """Estimate the relative standard error of the mean of the weights [K, batch], which is that of its logarithm."""
    weights = np.exp(log_weights - np.max(log_weights, axis=0))
    return weights.std(axis=0) / weights.mean(axis=0) / np.sqrt(len(weights))


@pytest.mark.parametrize("num_samples", [1, 7, 300])
def test_the_exact_posterior_gives_the_exact_evidence_for_every_k(num_samples):
    model, images = LinearGaussian(), RNG.normal(size=(5, *SHAPE)).astype(np.float32)
    measured = log_likelihood(model, images, num_samples)
    assert measured.dtype == np.float64
    np.testing.assert_allclose(measured, model.evidence(images), rtol=1e-6)


def test_a_poor_posterior_converges_to_the_evidence():
    model, images = LinearGaussian(shift=0.2, stretch=1.5), RNG.normal(size=(20, *SHAPE)).astype(np.float32)
    measured = log_likelihood(model, images, 20_000)
    error = relative_error(model.log_weights(images, noise(20_000, 20, 2)).numpy())
    assert error.max() < 0.05
    np.testing.assert_array_less(np.abs(measured - model.evidence(images)), 4 * error)
    assert np.abs(log_likelihood(model, images, 1) - model.evidence(images)).mean() > 20 * error.max()


@pytest.mark.parametrize("latent_dim", [1, 2])
@pytest.mark.parametrize("kind", ["Bernoulli", "Gaussian", "DiscretizedLogistic"])
def test_a_vae_against_the_integral_over_its_latents(kind, latent_dim):
    model = small_vae(latent_dim, getattr(distributions, kind)())
    images = np.round(grey(3)) if kind == "Bernoulli" else grey(3)
    axis = np.linspace(-8, 8, 2001 if latent_dim == 1 else 201)
    z = np.stack(np.meshgrid(*[axis] * latent_dim), axis=-1).reshape(-1, latent_dim)
    outputs = model.decoder(z.astype(np.float32))
    cell = np.log(axis[1] - axis[0]) * latent_dim
    expected = []
    for image in images:
        log_prob = model.likelihood.log_prob(np.broadcast_to(image, outputs.shape), outputs).numpy()
        expected.append(np.logaddexp.reduce(log_prob.astype(np.float64) + norm.logpdf(z).sum(axis=1)) + cell)
    error = relative_error(model.log_weights(images, noise(10_000, 3, latent_dim)).numpy())
    assert error.max() < 0.1
    measured = log_likelihood(model, images, 10_000)
    np.testing.assert_array_less(np.abs(measured - expected), 4 * error + 1e-4)


def test_the_bound_rises_with_the_number_of_samples():
    model, images = LinearGaussian(shift=0.3, stretch=0.8), RNG.normal(size=(50, *SHAPE)).astype(np.float32)
    means = [log_likelihood(model, images, number).mean() for number in (1, 5, 50, 500)]
    assert means == sorted(means)
    assert means[0] + 0.1 < means[1] < means[-1] < model.evidence(images).mean() + 0.01


def test_one_sample_is_the_elbo_by_hand():
    model, images = small_vae(2, distributions.Gaussian()), grey(4)
    mean, log_var = (np.asarray(term, np.float64) for term in model.posterior(images))
    epsilon = np.stack([np.random.default_rng([6, i]).standard_normal((1, 2), np.float32)[0] for i in range(4)])
    z = mean + np.exp(log_var / 2) * epsilon
    pixels = model.decode(z.astype(np.float32)).numpy().astype(np.float64)
    by_hand = norm.logpdf(images, pixels, 0.2).sum(axis=(1, 2, 3))
    by_hand += (norm.logpdf(z) - norm.logpdf(z, mean, np.exp(log_var / 2))).sum(axis=1)
    np.testing.assert_allclose(log_likelihood(model, images, 1, seed=6), by_hand, rtol=1e-5)


@pytest.mark.parametrize("kind", ["Bernoulli", "Gaussian", "DiscretizedLogistic"])
def test_log_weights_average_to_the_elbo(kind):
    model, images = small_vae(2, getattr(distributions, kind)()), grey(8)
    log_weights = model.log_weights(images, noise(4000, 8, 2)).numpy().mean(axis=1)  # [4000], independent
    model.compile()
    terms = model.evaluate(np.tile(images, (4000, 1, 1, 1)), batch_size=8000, verbose=0, return_dict=True)
    error = np.sqrt(2) * log_weights.std() / np.sqrt(4000)  # both are estimates
    assert 0 < error < 0.2
    assert abs(log_weights.mean() + terms["reconstruction"] + terms["kl"]) < 4 * error


def test_neither_batching_nor_the_other_images_change_an_answer():
    model, images = small_vae(3), grey(7)
    expected = log_likelihood(model, images, 20)
    for decode_batch_size in (1, 7, 20, 45, 1000):
        measured = log_likelihood(model, images, 20, decode_batch_size=decode_batch_size)
        np.testing.assert_allclose(measured, expected, rtol=1e-6)
    others = images[[3, 1, 0, 6]]
    np.testing.assert_allclose(log_likelihood(model, others, 20)[1], expected[1], rtol=1e-6)
    np.testing.assert_array_equal(log_likelihood(model, images, 20), expected)
    assert np.abs(log_likelihood(model, images, 20, seed=1) - expected).min() > 1e-3


@pytest.mark.parametrize(("num_samples", "decode_batch_size"), [(50, 8), (5, 12), (3, 1)])
def test_no_more_is_decode_batch_size_than_allowed(num_samples, decode_batch_size, monkeypatch):
    model, seen = small_vae(), []
    decode = model.decoder.call

    def watched(z, **kwargs):
        seen.append(len(z))
        return decode(z, **kwargs)

    monkeypatch.setattr(model.decoder, "call", watched)
    tf.config.run_functions_eagerly(True)
    try:
        log_likelihood(model, grey(5), num_samples, decode_batch_size=decode_batch_size)
    finally:
        tf.config.run_functions_eagerly(False)
    assert max(seen) <= decode_batch_size
    assert sum(seen) == 5 * num_samples


def test_the_noise_of_a_sample_is_its_own_by_hand(monkeypatch):
    # With q(z|x) too wide, the weights depend on the noise: that of sample k of image i is the k-th of the seed [s, i].
    model, images = LinearGaussian(stretch=2.0), RNG.normal(size=(3, *SHAPE)).astype(np.float32)
    drawn = [np.random.default_rng([6, 10 + i]).standard_normal((11, 2), np.float32)[8:] for i in range(3)]
    expected = iwae_bound(model.log_weights(images, np.stack(drawn, axis=1)))
    monkeypatch.setattr(importance_sampling, "NOISE_ROWS", 3)
    where = dict(seed=6, first_image=10, first_sample=8)
    for decode_batch_size in (1, 100):
        measured = log_likelihood(model, images, 3, decode_batch_size=decode_batch_size, **where)
        np.testing.assert_allclose(measured, expected, rtol=1e-6)
    explicit = dict(seed=0, first_image=0, first_sample=0, decode_batch_size=500)
    np.testing.assert_array_equal(log_likelihood(model, images), log_likelihood(model, images, 2000, **explicit))


def test_shards_of_images_get_every_argument_and_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model, images = LinearGaussian(stretch=2.0), RNG.normal(size=(5, *SHAPE)).astype(np.float32)
    options = dict(seed=3, first_image=2, first_sample=4, decode_batch_size=7)
    whole = log_likelihood(model, images, 9, **options)
    for count, num_files in ((6, 5), (2, 7)):  # one image each, and an empty shard; two and three images
        shards = SimpleNamespace(count=count, map=lambda function, tasks: [function(*task)[0] for task in tasks])
        np.testing.assert_allclose(log_likelihood(model, images, 9, shards=shards, **options), whole, rtol=1e-6)
        files = list((tmp_path / "hw5" / "shards").iterdir())
        assert len(files) == num_files
    assert all(path.name.startswith("log-likelihood_") and path.suffix == ".npy" for path in files)

    def kept(*arguments):
        found, path = importance_sampling._kept_shard(*arguments)
        return found, path.name

    task = pickle.dumps(model), images[:2], 9, options
    first, name = kept(*task)
    monkeypatch.setattr(importance_sampling, "log_likelihood", None)  # calling it would fail
    assert kept(*task)[1] == name
    np.testing.assert_array_equal(kept(*task)[0], first)
    other, wider = LinearGaussian(stretch=2.0), LinearGaussian(stretch=2.0)
    other.bias = other.bias + 1
    wider.sigma = 0.6  # not among its weights
    for change in (
        {0: pickle.dumps(other)},
        {0: pickle.dumps(wider)},
        {1: images[1:3]},
        {1: images[[0, 2]]},
        {1: np.float64(images[:2])},
        {2: 8},
        {3: {"seed": 4}},
    ):
        with pytest.raises(TypeError):
            kept(*(change.get(index, value) for index, value in enumerate(task)))


def test_progress_is_shown_if_it_is_asked_for(capsys):
    model, images = LinearGaussian(), RNG.normal(size=(3, *SHAPE))
    log_likelihood(model, images, 2)
    assert capsys.readouterr().out == ""
    log_likelihood(model, images, 2, verbose=True)
    assert "3/3" in capsys.readouterr().out


@pytest.mark.parametrize(("num_samples", "decode_batch_size"), [(50, 8), (5, 12), (20, 20)])
def test_few_shapes_are_traced(num_samples, decode_batch_size):
    model = LinearGaussian()
    log_likelihood(model, RNG.normal(size=(9, *SHAPE)), num_samples, decode_batch_size=decode_batch_size)
    assert 1 <= len(model.shapes) <= 2


def test_iwae_bound_is_the_logarithm_of_the_mean_even_where_the_weights_underflow():
    log_weights = RNG.normal(size=(30, 4), scale=3)
    np.testing.assert_allclose(iwae_bound(log_weights), np.log(np.exp(log_weights).mean(axis=0)), rtol=1e-12)
    np.testing.assert_allclose(iwae_bound(log_weights - 1e5), iwae_bound(log_weights) - 1e5, rtol=1e-14)
    far = np.float32([[-2000.0, -np.inf], [-2000.0, -9000.0]])
    np.testing.assert_allclose(iwae_bound(far), [-2000, -9000 - np.log(2)], rtol=1e-12)
    with np.errstate(invalid="ignore"):
        assert np.isnan(iwae_bound([[0.0], [np.nan]])).all()


def test_the_mean_and_its_standard_error_by_hand():
    # The deviations −2, −1, 0, 3 have the squares 4 + 1 + 0 + 9 = 14, the variance 14/3; a mean of four has 14/12.
    np.testing.assert_allclose(mean_and_error([1, 2, 3, 6]), (3, np.sqrt(14 / 12)), rtol=1e-15)


@pytest.mark.parametrize(
    ("images", "arguments", "message"),
    [
        (np.zeros((2, 4, 4, 1), np.uint8), {}, r"images must be float .*, not uint8 \[2, 4, 4, 1\]"),
        (np.zeros((4, 4, 1), np.float32), {}, r"not float32 \[4, 4, 1\]"),
        (np.full((2, 4, 4, 1), np.nan), {}, "images hold NaN"),
        (np.zeros((2, 4, 4, 1)), {"num_samples": 0}, "num_samples=0: must be at least 1"),
        (np.zeros((2, 4, 4, 1)), {"decode_batch_size": 0}, "decode_batch_size=0: must be at least 1"),
        (np.zeros((2, 4, 4, 1)), {"first_image": -1}, "^first_image=-1: must be at least 0"),
        (np.zeros((2, 4, 4, 1)), {"first_sample": -1}, "^first_sample=-1: must be at least 0"),
    ],
)
def test_invalid_arguments_are_refused(images, arguments, message):
    with pytest.raises(InputError, match=message):
        log_likelihood(small_vae(), images, **arguments)


def test_nats_in_float32_are_computed_in_float64():
    """Check with nats of which float32 holds one in 16: their sums and means have more digits than that."""
    nats = np.float32([-(2.0**27), -(2.0**27) - 16])
    assert mean_and_error(nats)[0] == -(2.0**27) - 8
    # (1 + e^-16)/2 of the first weight; a list of one image, and its bounds by parts
    expected = -(2.0**27) - np.log(2) + np.log1p(np.exp(-16))
    assert iwae_bound(nats[:, None]) == pytest.approx(expected, rel=1e-15)
    assert merge_bounds(nats[:, None], [1, 1]) == pytest.approx(expected, rel=1e-15)
    assert bits_per_dimension(nats, (1, 1, 1))[0] == pytest.approx(2.0**27 / np.log(2), rel=1e-15)


def test_a_uniform_distribution_takes_eight_bits_per_number():
    shape, dimensions = (64, 64, 3), 12288
    assert bits_per_dimension(-dimensions * np.log(256), shape) == pytest.approx(8, rel=1e-12)
    assert bits_per_dimension(0.0, shape, value_range=(0, 1)) == pytest.approx(8, rel=1e-12)
    assert bits_per_dimension(dimensions * np.log(0.5), shape, value_range=(-1, 1)) == pytest.approx(8, rel=1e-12)
    assert bits_per_dimension(-dimensions * np.log(32), shape, levels=32) == pytest.approx(5, rel=1e-12)
    assert bits_per_dimension(0.0, shape, value_range=(0, 1), levels=32) == pytest.approx(5, rel=1e-12)
    assert bits_per_pixel(0.0, shape, value_range=(0, 1), levels=32) == pytest.approx(15, rel=1e-12)


@pytest.mark.parametrize("value_range", [None, (0.0, 1.0), (-1.0, 1.0)])
def test_bits_per_pixel_divide_by_the_pixels(value_range):
    nats = np.array([-20_000.0, -30_000.0])
    colour = bits_per_pixel(nats, (64, 64, 3), value_range=value_range)
    cell = 0 if value_range is None else 12288 * np.log((value_range[1] - value_range[0]) / 256)
    np.testing.assert_allclose(colour, -(nats + cell) / np.log(2) / 4096, rtol=1e-12)
    grey = [bits(nats, (28, 28, 1), value_range=value_range) for bits in (bits_per_pixel, bits_per_dimension)]
    np.testing.assert_array_equal(*grey)


def test_the_continuous_bits_of_a_discrete_distribution_are_its_own():
    """Check that a density that is constant on each cell has the bits of the probabilities it was made from."""
    probabilities = RNG.dirichlet(np.ones(256))
    images = RNG.integers(0, 256, (10, 2, 2, 1)).astype(np.uint8)
    level = np.floor(dequantize(images, value_range=(-1.0, 1.0)) * 128 + 128).astype(int)
    log_density = np.log(probabilities[level] * 128).sum(axis=(1, 2, 3))
    log_probability = np.log(probabilities[images]).sum(axis=(1, 2, 3))
    continuous = bits_per_dimension(log_density, (2, 2, 1), value_range=(-1.0, 1.0))
    np.testing.assert_allclose(continuous, bits_per_dimension(log_probability, (2, 2, 1)), rtol=1e-12)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0)])
def test_dequantized_values_fill_the_cell_of_their_level_and_do_not_leave_it(low, high):
    images = np.repeat(np.arange(256, dtype=np.uint8), 4000).reshape(256, 4000)
    y = dequantize(images, 3, (low, high))
    assert y.dtype == np.float32
    position = (y.astype(np.float64) - low) / (high - low) * 256 - images  # u
    assert position.min() >= 0
    assert position.max() < 1
    assert position.min() < 2**-16  # one of a million is the level itself
    # Of n uniform numbers, mean and variance are 1/2 ± 1/√(12 n) and 1/12 ± 1/√(180 n); five of them.
    assert abs(position.mean() - 1 / 2) < 5 / np.sqrt(12 * position.size)
    assert abs(position.var() - 1 / 12) < 5 / np.sqrt(180 * position.size)
    np.testing.assert_array_equal(y, dequantize(images, 3, (low, high)))
    assert np.mean(y == dequantize(images, 4, (low, high))) < 0.01


def test_only_bytes_are_dequantized():
    with pytest.raises(InputError, match="must be uint8, not float32"):
        dequantize(np.zeros((1, 2, 2, 1), np.float32))


@pytest.mark.parametrize("channels", [1, 3])
def test_bits_of_png_are_those_of_its_file(channels):
    """Check noise, which no code shortens, and a flat image: the 57 bytes of a PNG's chunks and its packed rows."""
    images = RNG.integers(0, 256, (3, 64, 64, channels), np.uint8)
    images[2] = 200
    noise, _, flat = png_bits_per_dimension(images)
    size = 64 * 64 * channels
    # stored as it is: one byte a row for the filter, and less than 120 bytes around the rows
    assert size + 64 + 57 <= noise * size / 8 <= size + 64 + 57 + 63
    # about as short as rows that are not filtered
    rows = np.concatenate([np.zeros((64, 1), np.uint8), images[2].reshape(64, -1)], axis=1)
    assert flat * size / 8 == pytest.approx(57 + len(zlib.compress(rows.tobytes(), 9)), rel=0.1)


def test_a_png_holds_the_image():
    image = RNG.integers(0, 4, (1, 16, 16, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(image[0]).save(file, "PNG", optimize=True)
    assert png_bits_per_dimension(image)[0] == 8 * len(file.getvalue()) / (16 * 16 * 3)
    np.testing.assert_array_equal(np.asarray(Image.open(file)), image[0])
