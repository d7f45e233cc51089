"""Sheet 002: faces at 64×64, variants of GANs and VAEs, and their metrics."""

import inspect

import numpy as np
import pytest
from drawings import pictures, row_in
from scipy.special import logsumexp
from scipy.stats import kstest, norm
from small import (
    IMAGES,
    assert_noise_is_normal,
    constant_decoder,
    constant_encoder,
    constant_vae,
    cross_entropy,
    loss,
    point_gan,
)
from submission import class_name, hw5, in_worker

REAL, FAKE = np.float32([[2.0], [-1.0]]), np.float32([[0.5], [-3.0]])
TINY = dict(dataset="cartoon_faces", steps=2, train_size=16, batch_size=8, hidden=4, latent_dim=8)
TINY |= dict(variant="vanilla", upsampling="deconv", likelihood="gaussian", fid_samples=6)
TINY |= dict(likelihood_images=2, likelihood_samples=5)
GAN_METRICS = ("mode score", "Wasserstein distance", "MMD", "FID")


@pytest.mark.points(4, part="5.1")
def test_faces_are_embedded():
    faces = hw5.data.load("cartoon_faces", limit=5)
    assert faces.shape == (5, 64, 64, 3)
    assert faces.dtype == np.uint8
    assert faces.std() > 20


@pytest.mark.points(6, part="5.1")
def test_training_and_test_images_are_different_ones():
    train, test = (hw5.data.load("cartoon_faces", split, limit=200) for split in ("train", "test"))
    assert len(train) == len(test) == 200
    assert not {image.tobytes() for image in train} & {image.tobytes() for image in test}


@pytest.mark.runs
@pytest.mark.parametrize(
    "model",
    [
        pytest.param(name, marks=pytest.mark.points(14, part="5.2", way=way))
        for name, way in (("vae", "VAE"), ("gan", "GAN"))
    ],
)
def test_a_model_is_trained(section_run, model):
    done = section_run(5, model=model, **TINY)
    fed = [batch for batch in done.fed if batch.ndim == 4]
    assert fed
    assert all(batch.shape[1:] == (64, 64, 3) for batch in fed)
    train = {image.tobytes() for image in hw5.data.load("cartoon_faces", "train", limit=16)}
    assert {image.tobytes() for fit in done.fits for image in fit["images"]} <= train
    assert all(fit["moved"] > 0.9 for fit in done.fits)
    for trained in done.models if model == "vae" else []:
        encoder, decoder = trained.encoder, trained.decoder
        # A code depends on all of the image, and the image on the code.
        images = np.random.default_rng(0).uniform(0, 1, (4, 64, 64, 3)).astype(np.float32)
        codes = np.asarray(trained.encode(images))
        assert codes.ndim == 2
        assert len(codes) == 4
        assert codes.std(axis=0).min() > 0
        assert any(np.any(np.less(outputs, 0)) for outputs in encoder(images)[:2])
        assert np.asarray(decoder(10 * codes)).std(axis=0).max() > 0


def assert_upsampled_by(network, upsampling):
    transposed = any("Transpose" in class_name(layer) for layer in network.layers)
    assert transposed == (upsampling == "deconv")


@pytest.mark.parametrize(
    "upsampling",
    [
        pytest.param(name, marks=pytest.mark.points(points, part="5.3", way="GAN"))
        for name, points in (("deconv", 4), ("nearest", 5), ("bilinear", 5))
    ],
)
def test_three_ways_to_double_a_feature_map(upsampling):
    generator, discriminator = hw5.networks.dcgan(10, 4, (64, 64, 3), upsampling=upsampling)
    images = generator(np.zeros((2, 10), np.float32))
    assert images.shape == (2, 64, 64, 3)
    assert discriminator(images).shape == (2, 1)
    assert_upsampled_by(generator, upsampling)


@pytest.mark.parametrize(
    "upsampling",
    [
        pytest.param(name, marks=pytest.mark.points(points, part="5.3", way="VAE"))
        for name, points in (("deconv", 4), ("nearest", 5), ("bilinear", 5))
    ],
)
def test_three_ways_to_double_a_feature_map_of_the_decoder(upsampling):
    encoder, decoder = hw5.networks.dcgan_vae(10, 4, (64, 64, 3), upsampling=upsampling)
    mean, log_var = encoder(np.zeros((2, 64, 64, 3), np.float32))
    assert mean.shape == log_var.shape == (2, 10)
    assert decoder(mean).shape[:3] == (2, 64, 64)
    assert_upsampled_by(decoder, upsampling)


@pytest.mark.points(8, part="5.4", way="WGAN")
def test_the_wasserstein_objective():
    objective = hw5.objectives.get("wasserstein")
    # The critic minimises E D(G(z)) − E D(x), and the generator −E D(G(z)); or both with the sheet's signs.
    found = float(objective.discriminator_loss(REAL, FAKE)), float(objective.generator_loss(FAKE))
    assert found in (pytest.approx((-1.25 - 0.5, 1.25)), pytest.approx((0.5 + 1.25, -1.25)))


@pytest.mark.points(12, part="5.4", way="WGAN")
def test_the_critics_weights_are_clipped_and_no_others():
    w, c, b = point_gan("wasserstein", weight_clip=0.05)
    assert w == pytest.approx(0.05)  # 0.8 + 0.1 (1.5 − 0.5)
    assert c == pytest.approx(-0.05)  # −0.2 stays, and is cut
    assert b == pytest.approx(0.5 + 0.3 * 0.05, rel=1e-5)  # G's slope is the clipped w


@pytest.mark.points(10, part="5.4", way="LSGAN")
def test_the_least_squares_objective():
    objective = hw5.objectives.get("least_squares")
    real, fake, generator = (1**2 + 2**2) / 2, (0.5**2 + 3**2) / 2, (0.5**2 + 4**2) / 2
    # as on this sheet, or with a factor ½
    assert float(objective.discriminator_loss(REAL, FAKE)) / (real + fake) in (pytest.approx(1), pytest.approx(0.5))
    assert float(objective.generator_loss(FAKE)) / generator in (pytest.approx(1), pytest.approx(0.5))


@pytest.mark.points(10, part="5.4", way="LSGAN")
def test_a_step_of_the_least_squares_gan():
    w, c, b = 0.8, -0.2, 0.5
    real, fake = 1.5 * w + c - 1, b * w + c
    found = point_gan("least_squares")
    for factor in (1, 2):
        after = w - 0.1 * factor * (1.5 * real + b * fake), c - 0.1 * factor * (real + fake)
        slope = (after[0] * b + after[1] - 1) * after[0]
        if found[:2] == pytest.approx(after, rel=1e-4):
            assert found[2] in (pytest.approx(b - 0.3 * slope, rel=1e-4), pytest.approx(b - 0.6 * slope, rel=1e-4))
            return
    assert found[:2] == pytest.approx(after, rel=1e-4)


@pytest.mark.points(12, part="5.4", way="IWAE")
def test_the_importance_weighted_loss_is_a_log_mean():
    # q(z|x) is the prior and the decoder does not look at z: every weight is p(x)
    model = constant_vae([0.0, 0.0], [0.0, 0.0], model="ImportanceWeightedVAE", importance_samples=5)
    assert loss(model) == pytest.approx(cross_entropy().mean(), rel=1e-5)
    assert_noise_is_normal("ImportanceWeightedVAE", 5, importance_samples=5)
    # With another q(z|x) the loss is between −log p(x) and the negative ELBO, and known for independent draws:
    # here by 200,000 draws of log (1/5) Σ p(z)/q(z|x), and for each of 20,000 images by draws of its own.
    mean, log_var = 1.0, -1.0
    noise = np.random.default_rng(0).standard_normal((5, 200_000))
    z = mean + np.exp(log_var / 2) * noise
    ratios = logsumexp(norm.logpdf(z) - norm.logpdf(z, mean, np.exp(log_var / 2)), axis=0) - np.log(5)
    tolerance = 6 * ratios.std() * np.sqrt(1 / 20_000 + 1 / 200_000)
    model = constant_vae([mean], [log_var], model="ImportanceWeightedVAE", importance_samples=5)
    images = np.tile(IMAGES[:1], (20_000, 1, 1, 1))
    expected = cross_entropy(IMAGES[:1]).mean() - ratios.mean()
    assert loss(model, images, batch_size=20_000) == pytest.approx(expected, abs=tolerance)


@pytest.mark.points(8, part="5.4", way="IWAE")
def test_log_weights():
    vae = constant_vae([0.5], [-0.8], model="ImportanceWeightedVAE")
    epsilon = np.float32([[[1.0], [-2.0]], [[0.0], [0.5]], [[0.3], [1.5]]])  # [3, 2, 1]
    std = np.exp(-0.4)
    z = 0.5 + std * epsilon[..., 0]
    expected = -cross_entropy() + norm.logpdf(z) - norm.logpdf(z, 0.5, std)
    np.testing.assert_allclose(vae.log_weights(IMAGES, epsilon), expected, rtol=1e-4)
    assert isinstance(vae, hw5.models.VAE)


@pytest.mark.runs
@pytest.mark.points(8, part="5.4", way="flow")
def test_a_flow_makes_the_posterior(section_run):
    assert issubclass(hw5.models.FlowVAE, hw5.models.VAE)
    done = section_run(5, model="vae", **(TINY | {"variant": "flow"}))
    assert done.fed
    assert all(fit["moved"] > 0.9 for fit in done.fits)


@pytest.mark.points(12, part="5.4", way="flow")
def test_the_density_of_the_flows_posterior():
    """The posterior is no Gaussian, and log q(z|x) belongs to it."""
    # The decoder ignores z, so p(x) is known, and the mean of w/p(x) is the integral of q(z|x): 1, with the deviation
    # of a single draw over √n. It is not 1 if log |det| is left out or has its sign wrong.
    vae, count = flow_vae([0.2, -0.1], [0.6, 0.6]), 4000
    assert move_flow(vae) > 0
    epsilon = np.random.default_rng(0).standard_normal((count, 2, 2)).astype(np.float32)
    log_ratios = np.asarray(vae.log_weights(IMAGES, epsilon), np.float64) + cross_entropy()
    ratios = np.exp(log_ratios)
    assert np.all(np.abs(ratios.mean(axis=0) - 1) < 6 * ratios.std(axis=0) / np.sqrt(count))
    z, std = [0.2, -0.1] + np.exp(0.3) * epsilon, np.exp(0.3)
    without_flow = (norm.logpdf(z) - norm.logpdf(z, [0.2, -0.1], std)).sum(axis=-1)
    assert (log_ratios - without_flow).std() > 1e-3, "the flow does nothing"


def flow_vae(mean, log_var):
    """Build a VAE with a flow: of its own, or of a layer that it is given."""
    try:
        return constant_vae(mean, log_var, model="FlowVAE")
    except TypeError:
        encoder, flow = constant_encoder(mean, log_var, [0.3, -0.2]), hw5.distributions.InverseAutoregressiveFlow(2)
        return hw5.models.FlowVAE(encoder, constant_decoder(len(mean)), flow)


@in_worker
def move_flow(vae):
    """Add noise to the variables of the flow, which may start as the identity; return their number."""
    import numpy as np

    random = np.random.default_rng(1)
    known = {id(v) for network in (vae.encoder, vae.decoder) for v in network.variables}
    own = [v for v in vae.trainable_variables if id(v) not in known]
    for v in own:
        scale = 0.3 / np.sqrt(v.shape[0] if len(v.shape) > 1 else 1)
        v.assign(np.asarray(v) + scale * random.standard_normal(v.shape))
    return len(own)


@pytest.mark.runs
@pytest.mark.parametrize(
    "model",
    [
        pytest.param(name, marks=pytest.mark.points(8, part="5.5", way=way))
        for name, way in (("vae", "VAE"), ("gan", "GAN"))
    ],
)
def test_samples_traversals_and_interpolations_are_drawn(section_run, model, grade):
    """Samples, steps along single latent dimensions, and interpolations of codes above those of pixels."""
    done = section_run(5, model=model, **TINY)
    assert done.figures
    (trained,) = done.models
    latent_dim = (trained.decoder if model == "vae" else trained.generator).input_shape[-1]
    codes = np.concatenate([codes for codes in done.decoded if codes.shape[1] == latent_dim])
    earned = has_traversals(codes) * 0.5
    grade(earned, "steps along single latent dimensions")
    assert earned
    # z' = α z₀ + (1 − α) z₁ for α = 0, 0.1 … 1, and x' with the images of the ends
    shares = np.arange(11)[:, None] / 10
    ends = interpolated_pairs(codes, shares)
    assert ends
    grade(0.75, "interpolations of codes, none of pixels")
    drawn = pictures(done)
    images = (np.asarray(trained.decode(np.float32([first, last]))) for first, last in ends)
    mixed = ((last + shares[:, :, None, None] * (first - last)).mean(axis=-1) for first, last in images)
    assert any(row_in(row, picture) or row_in(row[::-1], picture) for row in mixed for picture in drawn)
    grade(1)


def has_traversals(codes):
    """Say whether one latent dimension took five or more values while the others stayed, for three dimensions."""
    moved = set()
    for dimension in range(codes.shape[1]):
        others = np.round(np.delete(codes, dimension, axis=1), 4)
        _, groups = np.unique(others, axis=0, return_inverse=True)
        values = np.unique(np.stack([groups.ravel(), np.round(codes[:, dimension], 4)], axis=1), axis=0)
        moved |= {dimension} if np.unique(values[:, 0], return_counts=True)[1].max() >= 5 else set()
    return len(moved) >= 3


def interpolated_pairs(codes, shares):
    """List the pairs of codes in a row of calls that have all these shares between them, in either direction."""
    found = []
    for start in range(len(codes) - len(shares) + 1):
        part = codes[start : start + len(shares)]
        line = part[-1] + shares[::-1] * (part[0] - part[-1])
        moving = np.abs(part[0] - part[-1]) > 1e-3
        if moving.sum() > 1 and np.allclose(part, line, atol=1e-4):
            found.append((part[0], part[-1]))
    return found


@pytest.mark.points(14, part="5.6", way=GAN_METRICS)
def test_the_inception_score():
    # exp(ln 2 − H(0.8)) with H(0.8) = 0.5004024, of logits that do not sum to 1
    logits = np.log([[0.8, 0.2], [0.2, 0.8]]) + 3.0
    mean, std = hw5.metrics.inception_score(logits, splits=1)
    assert mean == pytest.approx(2 * np.exp(-0.5004024), rel=1e-6)
    assert std == 0


@pytest.mark.points(16, part="5.6", way="mode score")
def test_the_mode_score():
    logits = np.log([[0.9, 0.1], [0.1, 0.9]])
    assert hw5.metrics.mode_score(logits, [0.5, 0.5]) == pytest.approx(1.4449350, rel=1e-6)
    # less by KL((½, ½) ‖ (0.8, 0.2)) = 0.2231436
    assert hw5.metrics.mode_score(logits, [0.8, 0.2]) == pytest.approx(1.4449350 * np.exp(-0.2231436), rel=1e-6)


@pytest.mark.points(16, part="5.6", way="Wasserstein distance")
def test_the_wasserstein_distance():
    x, y = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[0.0, 3.0], [5.0, 0.0]])
    assert hw5.metrics.wasserstein_distance(x, y) == pytest.approx((3 + 4) / 2)


@pytest.mark.points(16, part="5.6", way="MMD")
def test_the_maximum_mean_discrepancy_is_unbiased():
    x, y = np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])
    # (x·y + 1)³: 1 between the xs, 343 between the ys, and across the mean of 1, 1, 27 and 64
    assert hw5.metrics.maximum_mean_discrepancy(x, y, kernel="polynomial") == pytest.approx(1 + 343 - 2 * 93 / 4)


@pytest.mark.points(16, part="5.6", way="FID")
def test_the_frechet_distance():
    mean, covariance = np.array([1.0, 2.0]), np.diag([4.0, 9.0])
    # the squared distance of the means, and Σ (σ₁ − σ₂)²
    distance = hw5.metrics.frechet_distance(mean, covariance, np.array([0.0, 4.0]), np.diag([1.0, 16.0]))
    assert distance == pytest.approx(5 + 2, rel=1e-9)


@pytest.mark.points(10, part="5.6", way="bits per pixel")
def test_the_estimate_of_a_likelihood_that_is_known():
    # as above, every weight is p(x), whatever their number
    model, images = constant_vae([0.0], [0.0]), IMAGES
    for count in (1, 7):
        estimate = hw5.metrics.log_likelihood(model, images, num_samples=count)
        np.testing.assert_allclose(estimate, -cross_entropy(), rtol=1e-5)


@pytest.mark.points(10, part="5.6", way="bits per pixel")
def test_importance_sampling_corrects_a_posterior_that_is_wrong():
    # the decoder does not look at z, so log p(x) is the same; the ELBO would be short by the KL divergence
    estimate = hw5.metrics.log_likelihood(constant_vae([0.5], [-0.3]), IMAGES, num_samples=2000)
    np.testing.assert_allclose(estimate, -cross_entropy(), atol=0.06)
    # of five samples, the estimate is lower on average: by 200,000 draws here, and by 4,000 images there
    mean, std, count = 1.0, np.exp(-0.5), 4000
    z = mean + std * np.random.default_rng(0).standard_normal((5, 200_000))
    ratios = logsumexp(norm.logpdf(z) - norm.logpdf(z, mean, std), axis=0) - np.log(5)
    images = np.tile(IMAGES[:1], (count, 1, 1, 1))
    estimate = hw5.metrics.log_likelihood(constant_vae([mean], [-1.0]), images, num_samples=5)
    expected, tolerance = ratios.mean() - cross_entropy(IMAGES[:1]).mean(), 6 * ratios.std() / np.sqrt(count - 100)
    assert np.mean(estimate) == pytest.approx(expected, abs=tolerance)


@pytest.mark.points(6, part="5.6", way="bits per pixel")
def test_bits_per_dimension_of_the_uniform_distribution():
    shape = (64, 64, 3)
    assert hw5.metrics.bits_per_dimension(-64 * 64 * 3 * np.log(256), shape) == pytest.approx(8)
    # a density of 1 on the unit cube gives each of 256 levels the same
    assert hw5.metrics.bits_per_dimension(0.0, shape, value_range=(0, 1)) == pytest.approx(8)
    assert_dequantized_evenly()


def assert_dequantized_evenly():
    """Check the noise that spreads levels over their cells, (x + u)/256 with u from [0, 1), if it has a name.

    The Kolmogorov–Smirnov test gives a false alarm once in 10⁷ times.
    """
    try:
        dequantize = hw5.metrics.dequantize
    except AttributeError:
        return
    levels = np.repeat(np.uint8([0, 7, 255]), 2000).reshape(3, 2000, 1, 1)
    noise = 256 * np.asarray(dequantize(levels), np.float64) - levels
    assert noise.min() >= 0
    assert noise.max() <= 1
    assert kstest(noise.ravel(), "uniform").pvalue > 1e-7


@pytest.mark.points(4, part="5.6", way="bits per pixel")
def test_two_thousand_samples():
    assert inspect.signature(hw5.metrics.log_likelihood).parameters["num_samples"].default == 2000


@pytest.mark.runs
@pytest.mark.parametrize(
    ("model", "names"),
    [
        pytest.param("vae", ("kl", "reconstruction"), marks=pytest.mark.points(4, part="5.8", way="VAE")),
        pytest.param("gan", ("d_loss", "d_real"), marks=pytest.mark.points(4, part="5.8", way="GAN")),
    ],
)
def test_the_metrics_are_monitored(section_run, model, names):
    histories = str(section_run(5, model=model, **TINY).results)
    for name in names:
        assert f"'{name}'" in histories
