"""Sheet 002: faces at 64×64, variants of GANs and VAEs, and their metrics."""

import inspect

import numpy as np
import pytest
from scipy.stats import norm
from small import IMAGES, constant_vae, cross_entropy, loss, point_gan
from submission import class_name, hw5

REAL, FAKE = np.float32([[2.0], [-1.0]]), np.float32([[0.5], [-3.0]])
FACES = dict(dataset="cartoon_faces", steps=2, train_size=16, batch_size=8, hidden=4, latent_dim=8)


def run_of(section_run, **changes):
    """Run section 5 at tiny settings, as far as its `run` has them."""
    known = inspect.signature(hw5.section5.run).parameters
    tiny = FACES | {"variant": "vanilla", "upsampling": "deconv", "likelihood": "gaussian", "fid_samples": 6}
    tiny |= {"likelihood_images": 2, "likelihood_samples": 5}
    return section_run(5, **{name: value for name, value in tiny.items() if name in known} | changes)


@pytest.mark.points(2, part="5.1")
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_faces_are_embedded(split):
    faces = hw5.data.load("cartoon_faces", split, limit=5)
    assert faces.shape == (5, 64, 64, 3)
    assert faces.dtype == np.uint8
    assert faces.std() > 20


@pytest.mark.points(4, part="5.1")
def test_an_unknown_dataset_names_the_known_ones():
    with pytest.raises(ValueError, match="cartoon_faces"):
        hw5.data.load("cartoon_face")


@pytest.mark.runs
@pytest.mark.points(7, part="5.2")
@pytest.mark.parametrize("model", ["vae", "gan"])
def test_both_models_are_trained(section_run, model):
    fed = [batch for batch in run_of(section_run, model=model).fed if batch.ndim == 4]
    assert fed
    assert all(batch.shape[1:] == (64, 64, 3) for batch in fed)


@pytest.mark.points(4, part="5.3")
@pytest.mark.parametrize("upsampling", ["deconv", "nearest", "bilinear"])
def test_three_ways_to_double_a_feature_map(upsampling):
    generator, discriminator = hw5.networks.dcgan(10, 4, (64, 64, 3), upsampling=upsampling)
    images = generator(np.zeros((2, 10), np.float32))
    assert images.shape == (2, 64, 64, 3)
    assert discriminator(images).shape == (2, 1)
    transposed = any("Transpose" in class_name(layer) for layer in generator.layers)
    assert transposed == (upsampling == "deconv")


@pytest.mark.points(2, part="5.3")
def test_an_unknown_way_is_refused():
    with pytest.raises(ValueError, match="bilinear"):
        hw5.networks.dcgan(10, 4, (64, 64, 3), upsampling="cubic")


@pytest.mark.points(2, part="5.4")
def test_the_wasserstein_objective():
    objective = hw5.objectives.get("wasserstein")
    # the critic minimises E D(G(z)) − E D(x), the generator −E D(G(z))
    assert float(objective.discriminator_loss(REAL, FAKE)) == pytest.approx(-1.25 - 0.5)
    assert float(objective.generator_loss(FAKE)) == pytest.approx(1.25)


@pytest.mark.points(4, part="5.4")
def test_the_critics_weights_are_clipped_and_no_others():
    w, c, b = point_gan("wasserstein", weight_clip=0.05)
    assert w == pytest.approx(0.05)  # 0.8 + 0.1 (1.5 − 0.5)
    assert c == pytest.approx(-0.05)  # −0.2 stays, and is cut
    assert b == pytest.approx(0.5 + 0.3 * 0.05, rel=1e-5)  # G's slope is the clipped w


@pytest.mark.points(2, part="5.4")
def test_without_clipping_the_critic_moves_freely():
    assert point_gan("wasserstein") == pytest.approx((0.9, -0.2, 0.5 + 0.3 * 0.9), rel=1e-5)


@pytest.mark.points(4, part="5.4")
def test_the_importance_weighted_loss_is_a_log_mean():
    # q(z|x) is the prior and the decoder does not look at z: every weight is p(x)
    model = constant_vae([0.0, 0.0], [0.0, 0.0], model="ImportanceWeightedVAE", importance_samples=5)
    assert loss(model) == pytest.approx(cross_entropy().mean(), rel=1e-5)


@pytest.mark.points(2, part="5.4")
@pytest.mark.parametrize("model", ["VAE", "ImportanceWeightedVAE"])
def test_log_weights(model):
    vae = constant_vae([0.5], [-0.8], model=model)
    epsilon = np.float32([[[1.0], [-2.0]], [[0.0], [0.5]], [[0.3], [1.5]]])  # [3, 2, 1]
    std = np.exp(-0.4)
    z = 0.5 + std * epsilon[..., 0]
    expected = -cross_entropy() + norm.logpdf(z) - norm.logpdf(z, 0.5, std)
    np.testing.assert_allclose(vae.log_weights(IMAGES, epsilon), expected, rtol=1e-4)
    assert isinstance(vae, hw5.models.VAE)


@pytest.mark.runs
@pytest.mark.points(4, part="5.4")
def test_a_flow_makes_the_posterior(section_run):
    assert issubclass(hw5.models.FlowVAE, hw5.models.VAE)
    assert run_of(section_run, model="vae", variant="flow").fed


@pytest.mark.runs
@pytest.mark.points(4, part="5.5")
def test_samples_traversals_and_interpolations_are_drawn(section_run, grade):
    figures = run_of(section_run, model="vae").figures
    grade(min(len(figures) / 3, 1), f"{len(figures)} figures")


@pytest.mark.points(4, part="5.5")
def test_a_seed_names_the_samples():
    vae = hw5.models.VAE(*hw5.networks.dense_vae(4))
    np.testing.assert_array_equal(vae.sample(3, seed=1), vae.sample(3, seed=1))
    assert np.any(np.asarray(vae.sample(3, seed=1)) != np.asarray(vae.sample(3, seed=2)))


@pytest.mark.points(4, part="5.6")
def test_the_inception_score():
    # exp(ln 2 − H(0.8)) with H(0.8) = 0.5004024, of logits that do not sum to 1
    logits = np.log([[0.8, 0.2], [0.2, 0.8]]) + 3.0
    mean, std = hw5.metrics.inception_score(logits, splits=1)
    assert mean == pytest.approx(2 * np.exp(-0.5004024), rel=1e-6)
    assert std == 0


@pytest.mark.points(3, part="5.6")
def test_the_mode_score():
    logits = np.log([[0.9, 0.1], [0.1, 0.9]])
    assert hw5.metrics.mode_score(logits, [0.5, 0.5]) == pytest.approx(1.4449350, rel=1e-6)
    # less by KL((½, ½) ‖ (0.8, 0.2)) = 0.2231436
    assert hw5.metrics.mode_score(logits, [0.8, 0.2]) == pytest.approx(1.4449350 * np.exp(-0.2231436), rel=1e-6)


@pytest.mark.points(3, part="5.6")
def test_the_wasserstein_distance():
    x, y = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[0.0, 3.0], [5.0, 0.0]])
    assert hw5.metrics.wasserstein_distance(x, y) == pytest.approx((3 + 4) / 2)


@pytest.mark.points(3, part="5.6")
def test_the_maximum_mean_discrepancy_is_unbiased():
    x, y = np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])
    # (x·y + 1)³: 1 between the xs, 343 between the ys, and across the mean of 1, 1, 27 and 64
    assert hw5.metrics.maximum_mean_discrepancy(x, y, kernel="polynomial") == pytest.approx(1 + 343 - 2 * 93 / 4)


@pytest.mark.points(3, part="5.6", visibility="hidden")
def test_precision_and_recall():
    real, fake = np.arange(4.0)[:, None], np.array([[0.5], [10.0], [11.0], [12.0]])
    # the nearest other real sample is 1 away; that of 0.5 is 9.5 away, within which all real ones lie
    assert hw5.metrics.precision_recall(real, fake, k=1) == pytest.approx((0.25, 1.0))


@pytest.mark.points(4, part="5.7")
def test_the_estimate_of_a_likelihood_that_is_known():
    # as above, every weight is p(x), whatever their number
    model, images = constant_vae([0.0], [0.0]), IMAGES
    for count in (1, 7):
        estimate = hw5.metrics.log_likelihood(model, images, num_samples=count)
        np.testing.assert_allclose(estimate, -cross_entropy(), rtol=1e-5)


@pytest.mark.points(4, part="5.7")
def test_importance_sampling_corrects_a_posterior_that_is_wrong():
    # the decoder does not look at z, so log p(x) is the same; the ELBO would be short by the KL divergence
    estimate = hw5.metrics.log_likelihood(constant_vae([0.5], [-0.3]), IMAGES, num_samples=2000)
    np.testing.assert_allclose(estimate, -cross_entropy(), atol=0.06)


@pytest.mark.points(3, part="5.7")
def test_bits_per_dimension_of_the_uniform_distribution():
    shape = (64, 64, 3)
    assert hw5.metrics.bits_per_dimension(-64 * 64 * 3 * np.log(256), shape) == pytest.approx(8)
    # a density of 1 on the unit cube gives each of 256 levels the same
    assert hw5.metrics.bits_per_dimension(0.0, shape, value_range=(0, 1)) == pytest.approx(8)


@pytest.mark.points(3, part="5.7")
def test_two_thousand_samples():
    assert inspect.signature(hw5.metrics.log_likelihood).parameters["num_samples"].default == 2000


@pytest.mark.runs
@pytest.mark.points(4, part="5.8")
def test_the_metrics_are_monitored(section_run):
    histories = str(run_of(section_run, model="vae").results) + str(run_of(section_run, model="gan").results)
    for name in ("kl", "reconstruction", "d_loss", "d_real"):
        assert f"'{name}'" in histories
