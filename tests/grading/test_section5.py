"""Sheet 002: faces at 64×64, and variants of GANs and VAEs."""

import functools
import inspect
import itertools
import re

import numpy as np
import pytest
from claims import assert_curves_are_logged
from drawings import codes_of, draws_samples, pictures, shows_some, stand_in_order, unrelated
from leaves import layer_calls
from scipy.integrate import quad
from scipy.special import logsumexp
from scipy.stats import norm
from small import (
    IMAGES,
    assert_importance_weights_are_in_the_gradient,
    assert_noise_is_normal,
    assert_optimizers_keep_their_state,
    assert_posterior_is_free,
    constant_decoder,
    constant_encoder,
    constant_vae,
    cross_entropy,
    draws_kl,
    eagerly,
    loss,
    point_gan,
)
from submission import hw5, in_worker, tf
from upsampling import doublings, kind_of
from watch import (
    SIGMAS,
    Training,
    check_gradient,
    is_curve_of,
    is_probability,
    linear_layers,
    numbers_of,
    real_images,
    watched_section,
)

REAL, FAKE = np.float32([[2.0], [-1.0]]), np.float32([[0.5], [-3.0]])
TINY = dict(dataset="cartoon_faces", steps=2, train_size=16, batch_size=8, hidden=4, latent_dim=12)
TINY |= dict(variant="vanilla", upsampling="bilinear", likelihood="gaussian", fid_samples=6)
TINY |= dict(likelihood_images=2, likelihood_samples=5)


@pytest.mark.points(5, part="5.1")
@pytest.mark.parametrize("split", ["train", "test"])
def test_faces_are_embedded(split):
    """Faces of 64×64 in colour, of each split others."""
    faces = hw5.data.load("cartoon_faces", split, limit=50)
    assert faces.shape == (50, 64, 64, 3)
    assert faces.dtype == np.uint8
    assert faces.std() > 20
    assert faces[:, 24:48, 24:40, 0].mean() > faces[:, 24:48, 24:40, 2].mean()  # skin is red rather than blue
    mean = np.float64(faces).mean(axis=(0, 3))  # the left of a face is like its right, and its top not like its bottom
    assert np.abs(mean - mean[:, ::-1]).mean() < 0.5 * np.abs(mean - mean[::-1]).mean()
    known = {face.tobytes() for face in faces}
    assert len(known) > 45
    other = hw5.data.load("cartoon_faces", "test" if split == "train" else "train", limit=50)
    assert not known & {face.tobytes() for face in other}


@functools.cache
def gan_run(variant):
    """Return a function that runs the section's GAN of a variant, once, with everything that its networks saw."""
    return watched_section("dcgan", 5, **(TINY | {"model": "gan", "variant": variant}))


@pytest.mark.runs
@pytest.mark.points(9, part="5.2", way="GAN")
def test_the_gan_is_trained():
    """A DCGAN makes images of 64×64, and learns from faces of the training set, or their mirror images, in [−1, 1]."""
    done = gan_run("vanilla")()
    training = Training.of(done["pairs"][0])
    faces = hw5.data.load("cartoon_faces", "train", limit=16)
    faces = {image.tobytes() for image in [*faces, *faces[:, :, ::-1]]}
    for samples in real_images(training, done["fed"]):
        assert samples.shape[1:] == (64, 64, 3)
        assert all(np.round(127.5 * (image + 1)).astype(np.uint8).tobytes() in faces for image in samples)
    for network in done["pairs"][0]:
        kernels = [pair for pair in zip(network["before"], network["after"], strict=True) if pair[0].ndim > 1]
        assert all(np.any(new != old) for old, new in kernels)


@pytest.mark.points(5, part="5.2", way="GAN")
def test_every_hidden_layer_of_the_gan_has_an_activation():
    z = np.random.default_rng(0).normal(size=(4, 10)).astype(np.float32)
    generator, discriminator = hw5.networks.dcgan(10, 4, (64, 64, 3))
    assert linear_layers(generator, z) == []
    assert linear_layers(discriminator, np.random.default_rng(1).normal(size=(4, 64, 64, 3)).astype(np.float32)) == []


@pytest.mark.runs
@pytest.mark.points(14, part="5.2", way="VAE")
def test_the_vae_is_trained(section_run):
    done = section_run(5, model="vae", **TINY)
    fed = [batch for batch in done.fed if batch.ndim == 4]
    assert fed
    assert all(batch.shape[1:] == (64, 64, 3) for batch in fed)
    test = {image.tobytes() for image in hw5.data.load("cartoon_faces", "test", limit=500)}
    assert not {image.tobytes() for fit in done.fits for image in fit["images"]} & test
    assert all(fit["moved"] > 0.9 for fit in done.fits)
    for trained in done.models:
        encoder, decoder = trained.encoder, trained.decoder
        # A code depends on all of the image, and the image on the code.
        images = np.random.default_rng(0).uniform(0, 1, (4, 64, 64, 3)).astype(np.float32)
        codes = np.asarray(trained.encode(images))
        assert codes.ndim == 2
        assert len(codes) == 4
        assert codes.std(axis=0).min() > 0
        assert_posterior_is_free(encoder, images, codes.shape[1])
        for network, inputs in ((encoder, images), (decoder, 10 * codes)):
            assert linear_layers(network, inputs) == []
        assert np.asarray(decoder(10 * codes)).std(axis=0).max() > 0


def assert_doubles_by(generator, upsampling):
    """Check all layers that double, and the whole network with a last kernel of a single weight."""
    codes = np.random.default_rng(0).normal(size=(2, 10))
    assert set(doublings(generator, codes)) <= {upsampling}
    transposed = any("Transpose" in call["kind"] for call in layer_calls(generator, codes))
    assert transposed or upsampling != "deconv"  # the first layer may be one as well
    of_one_weight, of_all = (np.float64(rows) for rows in doubled(generator))
    assert np.any(of_one_weight[:, 2:-2] != 0)
    assert kind_of(of_one_weight) == upsampling
    assert kind_of(of_all) == "otherwise", "the feature map is doubled after its convolution"


@in_worker
def doubled(generator):
    """Compute one channel of outputs with a last kernel that is 0 but for one tap and channel, and with any other."""
    import numpy as np

    before = generator.get_weights()
    weights, rng = [np.array(value) for value in before], np.random.default_rng(0)
    for number, value in enumerate(weights):
        if value.ndim > 1:
            weights[number] = rng.normal(0, 1 / np.sqrt(np.prod(value.shape[:-1])), value.shape).astype("float32")
    *_, last = [number for number, value in enumerate(weights) if value.ndim == 4]
    kernel = np.zeros_like(weights[last])
    middle = (kernel.shape[0] - 1) // 2
    kernel[middle, middle, 0, 0] = 1
    z, images = rng.normal(size=(4, 10)).astype("float32"), []
    for one in (kernel, weights[last]):
        weights[last] = 1e-3 * one  # so small that a tanh changes nothing
        generator.set_weights(weights)
        images.append(np.asarray(generator(z))[..., 0])
    generator.set_weights(before)
    return images


@pytest.mark.parametrize(
    "upsampling",
    [
        pytest.param(name, marks=pytest.mark.points(points, part="5.3", way="GAN"))
        for name, points in (("deconv", 3), ("nearest", 5), ("bilinear", 5))
    ],
)
def test_three_ways_to_double_a_feature_map(upsampling):
    generator, discriminator = hw5.networks.dcgan(10, 4, (64, 64, 3), upsampling=upsampling)
    images = generator(np.zeros((2, 10), np.float32))
    assert images.shape == (2, 64, 64, 3)
    assert discriminator(images).shape == (2, 1)
    assert_doubles_by(generator, upsampling)


@pytest.mark.parametrize(
    "upsampling",
    [
        pytest.param(name, marks=pytest.mark.points(points, part="5.3", way="VAE"))
        for name, points in (("deconv", 3), ("nearest", 5), ("bilinear", 5))
    ],
)
def test_three_ways_to_double_a_feature_map_of_the_decoder(upsampling):
    encoder, decoder = hw5.networks.dcgan_vae(10, 4, (64, 64, 3), upsampling=upsampling)
    mean, log_var = encoder(np.zeros((2, 64, 64, 3), np.float32))
    assert mean.shape == log_var.shape == (2, 10)
    assert decoder(mean).shape[:3] == (2, 64, 64)
    assert_doubles_by(decoder, upsampling)


@pytest.mark.runs
@pytest.mark.points(1, part="5.3", way="GAN")
def test_the_gan_doubles_as_it_is_asked_to():
    """The section's generator, if its run has an argument `upsampling`."""
    assert_doubles_as_asked([generator["network"] for generator, _ in gan_run("vanilla")()["pairs"]])


@pytest.mark.runs
@pytest.mark.points(1, part="5.3", way="VAE")
def test_the_vae_doubles_as_it_is_asked_to(section_run):
    """The section's decoder, if its run has an argument `upsampling`."""
    assert_doubles_as_asked([model.decoder for model in section_run(5, model="vae", **TINY).models])


def assert_doubles_as_asked(networks):
    """Check that a network doubles its feature maps as TINY says."""
    assert networks
    is_asked = "upsampling" in inspect.signature(hw5.section5.run).parameters
    kinds = [{*doublings(network, np.zeros((2, network.input_shape[-1])))} for network in networks]
    assert not is_asked or {TINY["upsampling"]} in kinds, f"the feature maps are doubled by {kinds}"


def wasserstein_sign():
    """Return 1 if the critic minimises E D(G(z)) − E D(x), −1 if it minimises what sheet 002 prints."""
    loss = float(hw5.objectives.get("wasserstein").discriminator_loss(REAL, FAKE))
    return 1 if loss < 0 else -1


@pytest.mark.points(6, part="5.4", way="WGAN")
def test_the_wasserstein_objective():
    objective, sign = hw5.objectives.get("wasserstein"), wasserstein_sign()
    # The critic minimises E D(G(z)) − E D(x), the generator −E D(G(z)). With both signs of the sheet, D is −D.
    assert float(objective.discriminator_loss(REAL, FAKE)) == pytest.approx(sign * (-1.25 - 0.5))
    assert float(objective.generator_loss(FAKE)) == pytest.approx(sign * 1.25)


@pytest.mark.points(8, part="5.4", way="WGAN")
def test_the_critics_weights_are_clipped_and_no_others():
    w, c, b = point_gan("wasserstein", weight_clip=0.05)
    assert w == pytest.approx(0.05)  # 0.8 ± 0.1 (1.5 − 0.5)
    assert c == pytest.approx(-0.05)  # −0.2 stays, and is cut
    assert b == pytest.approx(0.5 + wasserstein_sign() * 0.3 * 0.05, rel=1e-5)  # G's slope is the clipped w


@pytest.mark.points(2, part="5.4", way="WGAN")
def test_the_critic_follows_its_gradient_before_the_generator_does():
    """Without a limit of its weights; with `critic_steps` or `gradient_penalty`, if the GAN has them, as well."""
    known, sign = inspect.signature(hw5.models.GAN).parameters, wasserstein_sign()
    for steps, named in ((1, {}), (3, {"critic_steps": 3}))[: 1 + ("critic_steps" in known)]:
        w, c, b = point_gan("wasserstein", **named)
        w_after = 0.8 + sign * steps * 0.1
        assert (w, c, b) == pytest.approx((w_after, -0.2, 0.5 + sign * 0.3 * w_after), rel=1e-5)
    assert_optimizers_keep_their_state("wasserstein", sign=sign)
    if "gradient_penalty" in known:
        # D(x) = w ‖x‖², so the norm of its gradient is n = 2 w ‖x‖, and ∂/∂w₁ (n − 1)² = 8 (n − 1) w x₁²/n, at points
        # s (3, 0.1) + (1 − s) (0.1, 3) with one s for both coordinates. Plain: w₁ grows by 0.1 (3² − 0.1²).
        start, count, ends = 0.3, 20_000, ([3.0, 0.1], [0.1, 3.0])

        def slope_at(share):
            x = share * np.array(ends[0]) + (1 - share) * np.array(ends[1])
            steepness = 2 * start * np.linalg.norm(x)
            return 8 * (steepness - 1) * start * x[0] ** 2 / steepness

        def mean_of(power):
            return quad(lambda share: slope_at(share) ** power, 0, 1)[0]

        plain = {"square": True, "w": start, "real": ends[0], "b": ends[1], "count": count}
        w, _, _ = point_gan("wasserstein", gradient_penalty=2.0, **plain)
        deviation = 2 * np.sqrt((mean_of(2) - mean_of(1) ** 2) / count)
        expected = start + 0.1 * (sign * (3**2 - 0.1**2) - 2 * mean_of(1))
        assert w == pytest.approx(expected, abs=0.1 * SIGMAS * deviation)


@pytest.mark.runs
@pytest.mark.points(4, part="5.4", way="WGAN")
def test_the_wasserstein_gan_of_the_faces():
    """In the section, the losses are linear in what the critic says, any number; its weights are clipped to 0.05."""
    sign = wasserstein_sign()

    def is_one(pair):
        assert not is_probability(pair[1]["network"], (64, 64, 3)), "the critic ends in a sigmoid"
        training = Training.of(pair)
        check_gradient(training.real, lambda outputs: np.full_like(outputs, -sign))
        check_gradient(training.fake_d, lambda outputs: np.full_like(outputs, sign))
        check_gradient(training.fake_g, lambda outputs: np.full_like(outputs, -sign))
        weights = zip(pair[1]["after"], pair[1]["trainable"], strict=True)
        assert max(np.abs(values).max() for values, trainable in weights if trainable) <= 0.0501

    assert_for_one(gan_run("wgan")()["pairs"], is_one)


def assert_for_one(pairs, check):
    """Check that one of the trained pairs passes; a section may train the plain GAN as well."""
    failures = []
    for pair in pairs:
        try:
            return check(pair)
        except AssertionError as error:
            failures.append(error)
    assert failures, "hw5.networks.dcgan was not called"
    raise failures[-1]


@pytest.mark.points(6, part="5.4", way="LSGAN")
def test_the_least_squares_objective():
    objective = hw5.objectives.get("least_squares")
    real, fake, generator = (1**2 + 2**2) / 2, (0.5**2 + 3**2) / 2, (0.5**2 + 4**2) / 2
    # as on this sheet, or with a factor ½
    assert float(objective.discriminator_loss(REAL, FAKE)) / (real + fake) in (pytest.approx(1), pytest.approx(0.5))
    assert float(objective.generator_loss(FAKE)) / generator in (pytest.approx(1), pytest.approx(0.5))


@pytest.mark.points(6, part="5.4", way="LSGAN")
def test_a_step_of_the_least_squares_gan():
    w, c, b = 0.8, -0.2, 0.5
    real, fake = 1.5 * w + c - 1, b * w + c
    found = point_gan("least_squares")
    for factor in (1, 2):
        after = w - 0.1 * factor * (1.5 * real + b * fake), c - 0.1 * factor * (real + fake)
        slope = (after[0] * b + after[1] - 1) * after[0]
        if found[:2] == pytest.approx(after, rel=1e-4):
            assert found[2] in (pytest.approx(b - 0.3 * slope, rel=1e-4), pytest.approx(b - 0.6 * slope, rel=1e-4))
            assert_optimizers_keep_their_state("least_squares")
            return
    assert found[:2] == pytest.approx(after, rel=1e-4)


@pytest.mark.runs
@pytest.mark.points(8, part="5.4", way="LSGAN")
def test_the_least_squares_gan_of_the_faces():
    """In the section, the gradients of the losses at what D says, also if both have a factor ½."""

    def is_one(pair):
        training = Training.of(pair)
        check_gradient(training.real, lambda outputs: outputs - 1, (1.0, 2.0))
        check_gradient(training.fake_d, lambda outputs: outputs, (1.0, 2.0))
        check_gradient(training.fake_g, lambda outputs: outputs - 1, (1.0, 2.0))

    assert_for_one(gan_run("lsgan")()["pairs"], is_one)


@pytest.mark.points(10, part="5.4", way="IWAE")
def test_the_importance_weighted_loss_is_a_log_mean():
    # q(z|x) is the prior and the decoder does not look at z: every weight is p(x)
    model = constant_vae([0.0, 0.0], [0.0, 0.0], model="ImportanceWeightedVAE", importance_samples=5)
    assert loss(model) == pytest.approx(cross_entropy().mean(), rel=1e-5)
    assert_noise_is_normal("ImportanceWeightedVAE", 5, importance_samples=5)
    assert_importance_weights_are_in_the_gradient()
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


@pytest.mark.runs
@pytest.mark.points(4, part="5.4", way="IWAE")
def test_the_section_trains_with_five_importance_samples(section_run):
    done = section_run(5, model="vae", **(TINY | {"variant": "iwae"}))
    assert all(fit["moved"] > 0.9 for fit in done.fits)
    assert 5 in [codes_of_an_image(model) for model in done.models]


def codes_of_an_image(model):
    """Count the codes that a model decodes in a step of an evaluation, for each of two images."""
    batches = tf.data.Dataset.from_tensors(np.random.default_rng(0).uniform(0, 1, (2, 64, 64, 3)).astype(np.float32))
    with eagerly():
        decoded = decoded_by(model, "evaluate", batches, verbose=0)
    return sum(np.prod(codes.shape[:-1]) for codes in decoded) / 2


@in_worker
def decoded_by(model, method, *arguments, **named):
    """Call a method of a model that computes eagerly; return what its decoder was called with meanwhile."""
    from unittest import mock

    import keras
    import numpy as np

    decoded, call = [], keras.Model.__call__

    def recording(self, *args, **kwargs):
        if self is model.decoder:
            decoded.append(np.array(args[0]))
        return call(self, *args, **kwargs)

    with mock.patch.object(keras.Model, "__call__", recording):
        getattr(model, method)(*arguments, **named)
    return decoded


@pytest.mark.points(6, part="5.4", way="IWAE")
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
    flows = [model for model in done.models if isinstance(model, hw5.models.FlowVAE)]
    assert flows
    assert done.fed
    assert all(fit["moved"] > 0.9 for fit in done.fits)
    assert max(map(what_a_flow_moves, flows)) > 1e-4, "the codes are those of a Gaussian"


def what_a_flow_moves(model):
    """Return how far z, as it is decoded, is from μ + σ ε of the encoder's outputs, in units of σ."""
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 1, (2, 64, 64, 3)).astype(np.float32)
    mean, log_var = (np.asarray(part) for part in model.encoder(images)[:2])
    epsilon = rng.standard_normal((3, 2, mean.shape[-1])).astype(np.float32)
    with eagerly():
        decoded, std = decoded_by(model, "log_weights", images, epsilon), np.exp(log_var / 2)
    return min(np.abs((z.reshape(epsilon.shape) - mean) / std - epsilon).max() for z in decoded)


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
    # The loss is the negative ELBO of this posterior, with draws of its own for as many images.
    images = np.tile(IMAGES[:1], (count, 1, 1, 1))
    expected = cross_entropy(IMAGES[:1])[0] - log_ratios[:, 0].mean()
    tolerance = 6 * log_ratios[:, 0].std() * np.sqrt(2 / count)
    assert loss(vae, images, batch_size=count) == pytest.approx(expected, abs=tolerance)


def flow_vae(mean, log_var):
    """Build a VAE with a flow: of its own, or of a layer that it is given."""
    try:
        return constant_vae(mean, log_var, model="FlowVAE")
    except TypeError:
        flow = getattr(hw5, "distributions", None).InverseAutoregressiveFlow(2)
        encoder = constant_encoder(mean, log_var, [0.3, -0.2])
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
    codes = codes_of(trained, done.decoded)
    assert len(codes), "no codes were decoded"
    moved, drawn = moved_dimensions(codes), pictures(done)
    assert len(moved) >= 3, "no steps along single latent dimensions"
    steps = (np.asarray(trained.decode(np.float32(along))) for along in moved.values())
    assert sum(shows_some(drawn, images, 5) for images in steps) >= 3, "no figure has the images of these steps"
    grade(0.25, "steps along single latent dimensions")
    assert names_are_of({*moved}, done.texts), "a figure names other latent dimensions than those that move"
    grade(0.5)
    # z' = α z₀ + (1 − α) z₁ for α = 0, 0.1 … 1, and x' with the images of the ends
    shares = np.arange(11)[:, None] / 10
    ends = interpolated_pairs(codes, shares)
    assert ends
    grade(0.75, "interpolations of codes, none of pixels")
    single = unrelated(codes)
    assert draws_samples(drawn, single, trained, 8, normal=False), "no samples of random codes"
    others = single[[np.abs(code - np.concatenate(ends)).max(axis=1).min() > 1e-4 for code in single]]
    if model == "vae" and draws_samples(drawn, others, trained, 4, normal=False):  # a GAN's noise may be any
        assert draws_samples(drawn, others, trained, 4), "the random codes are not of N(0, I)"
    assert any(interpolations_are_drawn(trained, *pair, shares, drawn) for pair in ends), "they are not in the figures"
    grade(1)


def interpolations_are_drawn(model, first, last, shares, drawn):
    """Say whether the images of codes between these two, and those of pixels, are drawn, both in the same order."""
    of_codes = np.asarray(model.decode(np.float32(last + shares * (first - last))))
    of_pixels = of_codes[0] + shares[:, :, None, None] * (of_codes[-1] - of_codes[0])
    return any(all(stand_in_order(row[::way], drawn) for row in (of_codes, of_pixels)) for way in (1, -1))


def moved_dimensions(codes):
    """Return the latent dimensions, from 0, that took five or more values while the others stayed, with these codes."""
    moved = {}
    for dimension in range(codes.shape[1]):
        others = np.round(np.delete(codes, dimension, axis=1), 4)
        _, groups = np.unique(others, axis=0, return_inverse=True)
        values = np.stack([groups.ravel(), np.round(codes[:, dimension], 4)], axis=1)
        values, first = np.unique(values, axis=0, return_index=True)
        found, counts = np.unique(values[:, 0], return_counts=True)
        if counts.max() >= 5:
            moved[dimension] = codes[first[np.isin(values[:, 0], found[counts >= 5])]]
    return moved


def names_are_of(moved, texts):
    """Say whether a figure that names at least three latent dimensions names moved ones, counted from 0 or from 1.

    A name is like $z_{12}$ or "dim 12". It is also all right if there is no such figure.
    """
    name = re.compile(r"(?i)(?:\bz|\bdim(?:ension)?\b)[\s_{\[#]*(\d+)")
    named = [{int(match[1]) for match in map(name.search, of_figure) if match} for of_figure in texts]
    named = [numbers for numbers in named if len(numbers) >= 3]
    return not named or any({number - first for number in numbers} <= moved for numbers in named for first in (0, 1))


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


@pytest.mark.runs
@pytest.mark.points(2, part="5.6", way="bits per pixel")
def test_the_bits_of_the_trained_model(section_run):
    """Test faces have a likelihood. If the section reports bits per dimension or per pixel, they are as many.

    They are computed again for 100 faces, with draws of their own. The mean of some images lies between the least and
    the most that one has, but for a tenth of the distance, as others may have a little less or more.
    """
    done = section_run(5, model="vae", **TINY)
    low = -1.0 if any(batch.min() < -0.01 for batch in done.fed) else 0.0
    faces, rng = hw5.data.load("cartoon_faces", "test", limit=100), np.random.default_rng(0)
    faces = np.float32(low + (1 - low) * (faces + rng.random(faces.shape)) / 256)
    (trained,) = done.models
    nats = np.asarray(hw5.metrics.log_likelihood(trained, faces, num_samples=5), np.float64)
    assert np.isfinite(nats).all()
    has_density = "likelihood" in inspect.signature(hw5.section5.run).parameters  # as the section was asked for
    if has_density:
        assert_dequantized(done)
        assert low < 0 or log_mass_of_pixels(trained, faces[:1]) < 0.45, "the density of the pixels lacks its constant"
    volumes = [np.log((1 - low) / 256)] + [0.0] * (not has_density)  # of a pixel's cell
    bits = [-(nats / faces[0].size + volume) / np.log(2) for volume in volumes]
    for row in (row for row in done.results.values() if isinstance(row, dict) and "history" in row):
        for name, factor in (("bits_per_dimension", 1), ("bits_per_pixel", 3)):
            if name in row:
                known = [factor * some for some in bits]
                limits = [(some.min() - 0.1 * np.ptp(some), some.max() + 0.1 * np.ptp(some)) for some in known]
                assert any(least <= row[name] <= most for least, most in limits), f"{name} is {row[name]}"


def assert_dequantized(done):
    """Check that the encoder was trained with pixels of more than 256 values, each spread by a number of its own.

    In an image of 64×64 in colour nearly all of them differ then, and without noise at most a fiftieth. Two faces have
    next to no pixels with exactly the same value.
    """
    seen = [fit["encoded"] for fit in done.fits if fit["encoded"] is not None] or [done.fed[0]]
    for images in (np.unique(some, axis=0) for some in seen):
        assert all(len(np.unique(image)) > image.size / 20 for image in images), "the images are not dequantised"
        alike = [np.mean(one == other) for one, other in itertools.pairwise(images)]
        assert np.all(np.less(alike, 0.01)), "images are dequantised with the same noise"


def log_mass_of_pixels(model, image):
    """Bound the logarithm of the mass that a Gaussian p(x|z) has, per pixel and channel, from above: 0 if it is right.

    The encoder is set to 0 for it, so z does not depend on the image. At its mean m the density of N(m, σ²) is
    1/√(2πσ²), with a mean of 1/σ² from the densities at m and 0.1 beside it. If σ differs, the product of the densities
    is less. Without its constant, ½ log 2π, this is 0.92; p(z)/q(z|x) are a few nats of some thousands.
    """
    before = model.encoder.get_weights()
    model.encoder.set_weights([0 * value for value in before])
    mean = np.asarray(model.reconstruct(image))
    aside = mean + np.where(mean < 0.5, 0.1, -0.1).astype(np.float32)
    noise = np.zeros((1, 1, np.shape(model.encode(image))[1]), np.float32)
    at_mean, beside = (float(np.ravel(model.log_weights(x, noise))[0]) / image.size for x in (mean, aside))
    model.encoder.set_weights(before)
    precision = 2 * (at_mean - beside) / 0.1**2
    return at_mean - 0.5 * np.log(precision / (2 * np.pi))


@pytest.mark.runs
@pytest.mark.points(4, part="5.8", way="GAN")
def test_the_outputs_of_the_discriminator_are_monitored():
    """D's cross-entropy, D(x) and D(G(z)) of the results are those of the training."""
    done = gan_run("vanilla")()
    expected = numbers_of(Training.of(done["pairs"][0]))
    history = next(row["history"] for row in done["results"].values() if "history" in row)
    for name in ("d_loss", "d_real", "d_fake_g_step"):
        assert is_curve_of(history[name], expected[name]), f"{name} is not what D said"


@pytest.mark.runs
@pytest.mark.points(4, part="5.8", way="VAE")
def test_the_terms_of_the_vaes_loss_are_monitored(section_run):
    done = section_run(5, model="vae", **TINY)
    history = next(row["history"] for row in done.results.values() if "history" in row)
    assert_curves_are_logged(done, history, ("reconstruction", "kl"))
    assert np.isfinite(history["reconstruction"]).all()
    assert np.isfinite(history["kl"]).all()
    assert min(history["kl"]) > 0 or draws_kl()
