"""Sheet 000, part III: GANs."""

import functools
import inspect
import re

import numpy as np
import pytest
from small import assert_optimizers_keep_their_state, point_gan, sigmoid
from submission import hw5
from watch import (
    ORIGINS,
    PLAYERS,
    Training,
    check_log_d,
    check_names,
    contains,
    draws,
    ends_in_probability,
    is_curve_of,
    linear_layers,
    numbers_of,
    pixels,
    real_images,
    watched_section,
    words_of,
)

pytestmark = pytest.mark.seconds(300)  # a run of the section takes up to 40 s of one slow processor

REAL, FAKE = np.float32([[2.0], [-1.0]]), np.float32([[0.5], [-3.0]])
RATES = (1e-3, 2e-2)  # compared by the section


@pytest.fixture(scope="module")
def run():
    """A run of the section with everything that its networks saw."""
    tiny = dict(steps=4, hidden=4, fid_samples=20, train_size=200, batch_size=50, study_beta_1=())

    @functools.cache
    def run():
        if "learning_rate" in inspect.signature(hw5.section3.run).parameters:  # one more that is compared
            return watched_section("dcgan", 3, learning_rate=RATES[0], study=RATES[1:], **tiny)
        return watched_section("dcgan", 3, study=RATES, **tiny)

    return lambda: run()()


def outputs(logits):
    """Return what the submission's losses take: D's logits, or probabilities if its D ends in a sigmoid."""
    return np.float32(sigmoid(logits)) if ends_in_probability() else logits


@pytest.mark.points(2, part="3.1")
def test_the_discriminators_loss():
    # −½ Σ log σ(real) − ½ Σ log(1 − σ(fake))
    expected = (0.1269280 + 1.3132617) / 2 + (0.9740770 + 0.0485874) / 2
    objective = hw5.objectives.get("non_saturating")
    assert float(objective.discriminator_loss(outputs(REAL), outputs(FAKE))) == pytest.approx(expected, rel=1e-4)


@pytest.mark.points(2, part="3.1")
def test_the_generators_loss_does_not_saturate():
    # −½ Σ log σ(fake)
    loss = hw5.objectives.get("non_saturating").generator_loss
    assert float(loss(outputs(FAKE))) == pytest.approx((0.4740770 + 3.0485874) / 2, rel=1e-4)


@pytest.mark.points(1, part="3.1")
def test_networks_of_28_pixels():
    generator, discriminator = hw5.networks.dcgan(10, 4, (28, 28, 1))
    z = np.random.default_rng(0).normal(size=(4, 10)).astype(np.float32)
    assert np.shape(generator(z)) == (4, 28, 28, 1)
    assert np.shape(discriminator(np.zeros((4, 28, 28, 1), np.float32))) == (4, 1)
    assert linear_layers(generator, z) == []


@pytest.mark.runs
@pytest.mark.points(2, part="3.1")
def test_the_section_trains_on_digits_with_these_losses(run):
    """Digits in [−1, 1], and the gradients of the losses at what D says."""
    done = run()
    training = Training.of(done["pairs"][0])
    check_log_d(training)
    seen = real_images(training, done["fed"])
    digits = {image.tobytes() for image in hw5.data.load("mnist", "train")}
    # 4 batches of 50 of 200 images; drawn with repetition, they have 126 different ones, with a deviation of 6.
    assert len({image.tobytes() for samples in seen for image in samples}) > 80
    for samples in seen:
        assert samples.shape[1:] == (28, 28, 1)
        assert all(np.round(127.5 * (image + 1)).astype(np.uint8).tobytes() in digits for image in samples)


@pytest.mark.runs
@pytest.mark.points(1, part="3.1")
def test_losses_outputs_and_samples_are_drawn(run):
    done = run()
    training = Training.of(done["pairs"][0])
    expected = numbers_of(training)
    assert all(draws(done["lines"], expected[name]) for name in ("d_loss", "g_loss", "d_real", "d_fake_g_step"))
    assert any(contains(done["images"], image) for image in pixels(training.decoded[-1][2])[:8])
    for kinds in (PLAYERS, ORIGINS):
        check_names(done, {name: expected[name] for name in kinds}, words_of(kinds))


@pytest.mark.points(3, part="3.2")
def test_a_learning_rate_scales_the_step():
    (w, c, b) = (0.8, -0.2, 0.5)
    gradient = -(1 - sigmoid(1.5 * w + c)) * 1.5 + sigmoid(b * w + c) * b
    for rate in (0.1, 0.02):
        found = point_gan("non_saturating", rate_d=rate, sigmoid=ends_in_probability())
        assert found[0] == pytest.approx(w - rate * gradient, rel=1e-4)
    slow, fast = (point_gan("non_saturating", rate_g=r, sigmoid=ends_in_probability())[2] - b for r in (0.02, 0.3))
    assert fast == pytest.approx(15 * slow, rel=0.05)
    assert_optimizers_keep_their_state("non_saturating", in_sigmoid=ends_in_probability(), rate_g=0.0)


@pytest.mark.runs
@pytest.mark.points(3, part="3.2")
def test_the_study_compares_learning_rates(run):
    """Each training has its own learning rate, and its curves are in the results and in a figure."""
    done = run()
    assert len(done["pairs"]) >= 2
    steps = [[median_change(network) for network in pair] for pair in done["pairs"][:2]]
    # The rates differ by 20. The first steps of Adam and of RMSprop have the rate's length, whatever the gradient is.
    # D may have a rate of its own, or a normalisation of its weights that moves them more.
    assert np.any(np.divide(steps[1], steps[0]) > 5)
    rows = {key: row for key, row in done["results"].items() if isinstance(row, dict) and "history" in row}
    histories = [row["history"]["d_loss"] for row in rows.values()][:2]
    expected = [numbers_of(Training.of(pair))["d_loss"] for pair in done["pairs"][:2]]
    assert all(is_curve_of(*pair) for pair in zip(histories, expected, strict=True))
    assert all(draws(done["lines"], loss) for loss in expected)
    for key, rate in zip(rows, RATES, strict=False):
        assert rate in (rates_in(key) or {rate}), f"{key} is the name of a training with {rate}"
    check_names(done, dict(zip(RATES, expected, strict=True)), rates_in)


def rates_in(name):
    """Return those of RATES that a name has."""
    return {*RATES} & {float(number) for number in re.findall(r"\d*\.?\d+(?:e-?\d+)?", name)}


def median_change(network):
    """Compute the median change of a trained kernel's elements."""
    pairs = zip(network["before"], network["after"], strict=True)
    return np.median(np.concatenate([np.abs(new - old).ravel() for old, new in pairs if new.ndim > 1]))
