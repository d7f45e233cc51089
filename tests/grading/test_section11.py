"""Sheet 004, optional: a DCGAN."""

import inspect

import numpy as np
import pytest
from fids import fids_to_digits
from leaves import layer_calls
from small import assert_optimizers_keep_their_state, point_gan, sigmoid
from submission import hw5, in_worker
from watch import (
    ORIGINS,
    PLAYERS,
    SIGMAS,
    Training,
    check_log_d,
    check_names,
    check_noise,
    contains,
    draws,
    ends_in_probability,
    evenly_spaced,
    in_a_row,
    is_curve_of,
    linear_layers,
    numbers_of,
    pixels,
    real_images,
    small_gan,
    watched_section,
    words_of,
)

pytestmark = pytest.mark.seconds(300)  # a run of the section takes up to 40 s of one slow processor

TABLE = [(4, 4, 64), (8, 8, 32), (16, 16, 16), (32, 32, 1)]
CURVES = ("d_loss", "g_loss", "d_real", "d_fake_g_step", "d_fake_d_step")


@pytest.fixture(scope="module")
def run():
    """A run of the section with everything that its networks saw."""
    tiny = dict(steps=4, hidden=4, fid_samples=150, train_size=8, batch_size=8)
    return watched_section("dcgan", 11, **tiny)


@pytest.fixture(scope="module")
def trained():
    """A training of small networks with batch normalisation."""
    return small_gan("non_saturating")


@pytest.mark.points(4, part="11.1")
def test_the_generators_table(grade):
    """Output volumes, kernels of 4×4 and batch normalisation in the generator's table, of 100 latents and 16 channels.

    If these two are arguments of the section, they are its defaults.
    """
    generator, _ = hw5.networks.dcgan(100, 16, (32, 32, 1))
    calls = layer_calls(generator, np.random.default_rng(0).normal(size=(4, 100)))
    shapes = [call["outputs"].shape[1:] for call in calls]
    volumes = dict.fromkeys(shape for shape in shapes if len(shape) == 3 and shape != (1, 1, 100))
    sides = [side for side, _, _ in TABLE]  # others are those of a border that is cut off
    assert [shape for shape in volumes if shape[0] in sides] == TABLE
    normalised = [call for call in calls if "BatchNorm" in call["kind"]]
    assert [call["outputs"].shape[1:] for call in normalised] == TABLE[:-1]
    for call, (_, _, channels) in zip(normalised, TABLE, strict=False):
        assert {*call["weights"]} == {(channels,)}, "channels are to be normalised"
        assert call["inputs"].min() < 0, "an activation comes before its normalisation"  # a ReLU gives none below 0
    rectified = [call["inputs"].min() for call in calls if "Conv2D" in call["kind"]][-3:]
    assert {*rectified} == {0}, "a ReLU comes before each of the last three"
    kernels = [np.prod(weight.shape) for weight in generator.trainable_weights if len(weight.shape) > 1]
    assert kernels == [100 * 16 * 64, 16 * 64 * 32, 16 * 32 * 16, 16 * 16 * 1]
    grade(0.75, "the table")
    known = inspect.signature(hw5.section11.run).parameters
    for name, value in {"hidden": 16, "latent_dim": 100}.items():
        assert name not in known or known[name].default == value
    grade(1)


@pytest.mark.points(2, part="11.1")
def test_every_hidden_layer_has_an_activation():
    generator, discriminator = hw5.networks.dcgan(20, 4, (32, 32, 1))
    rng = np.random.default_rng(0)
    for network, shape in ((generator, (20,)), (discriminator, (32, 32, 1))):
        assert linear_layers(network, rng.normal(size=(4, *shape)).astype(np.float32)) == []
    calls = layer_calls(discriminator, rng.uniform(-1, 1, (4, 32, 32, 1)))
    assert any("BatchNorm" in call["kind"] for call in calls), "the discriminator has no batch normalisation"
    assert spread_below_zero(discriminator) > 0, "the discriminator's first activation is no leaky ReLU"


@in_worker
def spread_below_zero(discriminator):
    """Return how outputs for images differ if all that the first layer gives is below 0; after a ReLU they do not."""
    import numpy as np

    before = discriminator.get_weights()
    first = next(number for number, value in enumerate(before) if value.ndim > 1)
    discriminator.set_weights([-np.abs(value) if n == first else value for n, value in enumerate(before)])
    images = np.random.default_rng(0).uniform(0.1, 1, (8, 32, 32, 1)).astype("float32")
    outputs = np.asarray(discriminator(images))
    discriminator.set_weights(before)
    return float(np.ptp(outputs))


@pytest.mark.points(3, part="11.1")
def test_initial_weights_deviate_by_a_fiftieth():
    """All kernels are drawn from N(0, 0.02), also if cut off at two standard deviations, as Keras does."""
    for network in hw5.networks.dcgan(100, 16, (32, 32, 1)):
        kernels = [np.asarray(weight).ravel() for weight in network.trainable_weights if len(weight.shape) > 1]
        for kernel in [*kernels, np.concatenate(kernels)]:
            # The standard deviation of n normal numbers has the relative error 1/√(2n), their mean σ/√n.
            error = SIGMAS / np.sqrt(2 * len(kernel))
            # What a truncated one has of it: √(1 − 4 φ(2)/(2 Φ(2) − 1)) = 0.8796
            assert kernel.std() in (pytest.approx(0.02, rel=error), pytest.approx(0.02 * 0.8796, rel=error))
            assert abs(kernel.mean()) < SIGMAS * 0.02 / np.sqrt(len(kernel))
        first = [kernel[:100] for kernel in kernels]
        assert len({kernel.tobytes() for kernel in first}) == len(first)  # no two of the same numbers


@in_worker
def decoded_at_scales(factors):
    """Compute images of one noise by a GAN whose generator's last kernel is multiplied by each of the factors."""
    import numpy as np

    from hw5 import models, networks

    generator, discriminator = networks.dcgan(20, 4, (32, 32, 1))
    gan = models.GAN(generator, discriminator)
    weights = generator.get_weights()
    *_, last = [number for number, value in enumerate(weights) if value.ndim > 1]
    rng, images = np.random.default_rng(0), []
    z = rng.normal(size=(4, 20)).astype("float32")
    kernel = rng.normal(0, 0.02, weights[last].shape).astype("float32")
    for factor in factors:
        weights[last] = factor * kernel
        generator.set_weights(weights)
        images.append(np.asarray(gan.decode(z)))
    return images, np.asarray(gan.generate(3)), np.asarray(discriminator(2 * images[0] - 1))


@pytest.mark.points(3, part="11.1")
def test_a_tanh_makes_the_images_and_the_discriminator_says_one_number():
    (small,), _, _ = decoded_at_scales((1.0,))
    scale = 1 / np.abs(np.arctanh(2 * np.float64(small) - 1)).max()  # so that the tanh is not almost linear
    (usual, doubled, huge), images, outputs = decoded_at_scales((scale, 2 * scale, 1e6))
    assert images.shape == (3, 32, 32, 1)
    assert outputs.shape == (4, 1)
    for some in (usual, doubled, huge, images):
        assert some.min() >= 0
        assert some.max() <= 1
    assert huge.min() < 0.01
    assert huge.max() > 0.99
    # ½ + ½ tanh(a), and the last layer is linear: a doubles with its kernel
    once, twice = (np.arctanh(2 * np.float64(some) - 1) for some in (usual, doubled))
    np.testing.assert_allclose(twice, 2 * once, rtol=0.01, atol=1e-4 + 1e-3 * np.abs(once).max())


@pytest.mark.points(3, part="11.2")
def test_the_discriminators_step():
    w, c, b = 0.8, -0.2, 0.5
    real, fake = 1 - sigmoid(1.5 * w + c), sigmoid(b * w + c)
    expected = (w - 0.1 * (-1.5 * real + b * fake), c - 0.1 * (-real + fake))
    found = point_gan("non_saturating", sigmoid=ends_in_probability())
    assert found[:2] == pytest.approx(expected, rel=1e-4)


@pytest.mark.points(4, part="11.2")
def test_the_generators_step_follows_with_the_new_discriminator():
    w, c, b = 0.8, -0.2, 0.5
    real, fake = 1 - sigmoid(1.5 * w + c), sigmoid(b * w + c)
    w, c = w - 0.1 * (-1.5 * real + b * fake), c - 0.1 * (-real + fake)
    expected = b + 0.3 * (1 - sigmoid(w * b + c)) * w  # it maximises log D(G(z))
    assert point_gan("non_saturating", sigmoid=ends_in_probability())[2] == pytest.approx(expected, rel=1e-4)
    assert_optimizers_keep_their_state("non_saturating", in_sigmoid=ends_in_probability())


@pytest.mark.points(2, part="11.2")
def test_noise_is_normal_and_new_in_every_step(trained):
    training = Training.of(trained())
    assert len(training.noise_d) == 8 or len(training.noise_g) == 8
    distinct = {batch.tobytes(): batch for batch in training.noise()}  # the sheet lets G's step use D's
    assert len(distinct) >= 8
    check_noise(distinct.values())


@pytest.mark.points(1, part="11.2")
def test_batch_normalisation_uses_the_batch(trained):
    """Both networks are called as in training, and their moving statistics move."""
    for network in trained():
        assert all(event["training"] for event in network["events"])
        moving = [number for number, trainable in enumerate(network["trainable"]) if not trainable]
        assert all(np.any(network["before"][number] != network["after"][number]) for number in moving)


@pytest.mark.runs
@pytest.mark.points(2, part="11.2")
def test_the_section_trains_with_the_log_d_trick(run):
    """In the section, D maximises log D(x) + log(1 − D(G(z))), and G log D(G(z))."""
    done = run()
    training = Training.of(done["pairs"][0])
    check_log_d(training)
    for samples in real_images(training, done["fed"]):
        assert samples.shape[1:] == (32, 32, 1)
        assert samples.min() == pytest.approx(-1, abs=0.01)
        assert samples.max() == pytest.approx(1, abs=0.05)
        assert samples[:, 0, 0].mean() < -0.8, "digits are bright on black"
        assert -0.9 < samples.mean() < -0.5  # as in section 10: a tenth or an eighth of the pixels are bright


@pytest.mark.runs
@pytest.mark.points(2, part="11.3")
def test_the_five_curves_are_those_of_the_training(run):
    """The curves, in the results and in the figures, are those of what D said in the steps, in all or in every nth."""
    done = run()
    expected = numbers_of(Training.of(done["pairs"][0]))
    history = done["results"]["history"]
    assert [name for name in CURVES if not is_curve_of(history[name], expected[name])] == []
    assert all(draws(done["lines"], expected[name]) for name in CURVES)
    for kinds in (PLAYERS, ORIGINS):
        check_names(done, {name: expected[name] for name in kinds}, words_of(kinds))


@pytest.mark.runs
@pytest.mark.points(2, part="11.3")
def test_images_of_one_fixed_noise(run):
    """The samples of one noise are drawn again and again over the training."""
    training = Training.of(run()["pairs"][0])
    times = {}
    for at, z, _ in training.decoded:
        if len(z) >= 4:
            times.setdefault(z.tobytes(), []).append(at)
    assert max(map(len, times.values()), default=0) >= 2, "no noise is shown twice"
    z, shown = [(z, samples) for _, z, samples in training.decoded if len(times.get(z.tobytes(), ())) >= 2][-1]
    assert contains(run()["images"], pixels(shown[0]))
    check_noise([z])


@pytest.mark.points(2, part="11.4")
def test_the_frechet_distance_of_a_shift_and_a_rotation():
    # rotated by 45°, diag(1, 9) is [[5, 4], [4, 5]]: tr √(Σ₁Σ₂) = √(tr + 2 √det) = √(50 + 18)
    distance = hw5.metrics.frechet_distance([0.0, 0.0], np.diag([1.0, 9.0]), [2.0, -1.0], [[5.0, 4.0], [4.0, 5.0]])
    assert distance == pytest.approx(5 + 20 - 2 * np.sqrt(68), rel=1e-3)  # float32 has enough digits


@pytest.mark.runs
@pytest.mark.points(2, part="11.4")
def test_the_fid_is_that_of_the_samples(run):
    """The FID by the digit classifier, computed again from samples of the trained generator and real digits."""
    done = run()
    evaluated = {key: row for key, row in done["results"]["samples"].items() if isinstance(row, dict)}
    rows = {key: row["fid"] for key, row in evaluated.items() if "fid" in row}
    assert rows, "no FID in the results"
    assert all(value > 0 for value in rows.values())
    decoded = Training.of(done["pairs"][0]).decoded
    if "mnist_classifier" not in rows:  # the network whose weights are given to all; others are not known here
        assert sum(len(z) for _, z, _ in decoded) >= 100, "the trained generator made no samples for a FID"
        return
    found = in_a_row(decoded, 150)
    assert found, "the trained generator never made as many samples as fid_samples"
    noise, drawn = found
    check_noise([noise])
    subsets = fids_to_digits(np.broadcast_to(pixels(drawn), (20, *drawn.shape)), len(drawn))
    # Of another choice of 150 real digits: Student's t of 19 degrees of freedom is above 7.5 once in 4 million times.
    spread = np.std(subsets, ddof=1) * np.sqrt(1 + 1 / len(subsets))
    assert rows["mnist_classifier"] == pytest.approx(np.mean(subsets), abs=7.5 * spread)


@pytest.mark.runs
@pytest.mark.points(4, part="11.5")
def test_interpolations_of_codes(run, grade):
    """Images of z₁ + (i/K)(z₂ − z₁), decoded by the trained generator and shown."""
    done = run()
    # The codes of a row may be decoded together or one by one.
    codes, samples = map(np.concatenate, list(zip(*Training.of(done["pairs"][0]).decoded, strict=True))[1:])
    rows = [samples[first : first + number] for first, number in evenly_spaced(codes, 5)]
    assert len(rows) >= 1, "no evenly spaced codes were decoded"
    grade(0.5, "codes are interpolated")
    assert any(all(contains(done["images"], image) for image in pixels(row)) for row in rows)
    grade(1)


@pytest.mark.runs
@pytest.mark.points(4, part="11.6")
def test_what_the_discriminator_says_at_the_end(run):
    """D(x) and D(G(z)) at the end are what D said in the last steps."""
    done = run()
    training, probability = Training.of(done["pairs"][0]), (lambda p: p) if ends_in_probability() else sigmoid
    for name, entries in {"d_real": training.real, "d_fake_g_step": training.fake_g}.items():
        means = [float(probability(np.float64(logits)).mean()) for _, logits, _ in entries]
        # means over the last step, or over more of them, which is between the smallest and the largest
        latest = done["results"]["at_the_end"][name]
        assert latest == pytest.approx(done["results"]["history"][name][-1], rel=1e-3)
        assert min(means) * 0.999 <= latest <= max(means) * 1.001
