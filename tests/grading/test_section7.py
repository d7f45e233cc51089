"""Sheet 003, 2.2: a GAN on a quadratic."""

import inspect

import numpy as np
import pytest
from small import random_weights
from submission import hw5
from watch import (
    ORIGINS,
    PLAYERS,
    Training,
    beginning,
    check_interval,
    check_names,
    draws,
    is_curve_of,
    linear_layers,
    numbers_of,
    steps_before,
    watched_section,
    words_of,
)


@pytest.fixture(scope="module")
def run():
    """A run of the section with everything that its networks saw."""
    return watched_section("plane_gan", 7, steps=20)


@pytest.fixture(scope="module")
def long_run():
    """A run of two times a thousand iterations."""
    return watched_section("plane_gan", 7, steps=2000)


@pytest.mark.points(6, part="7.1")
def test_the_layers_of_the_sheet():
    """Two hidden layers, and three with two units in the last one; all have an activation."""
    generator, discriminator = hw5.networks.plane_gan(3, generator_hidden=(16, 8), discriminator_hidden=(12, 6))
    rng = np.random.default_rng(0)
    for network, size, outputs in ((generator, 3, 2), (discriminator, 2, 1)):
        points = rng.normal(size=(5, size)).astype(np.float32)
        assert network(points).shape == (5, outputs)
        assert linear_layers(network, points) == []
    assert generator.count_params() == 3 * 16 + 16 + 16 * 8 + 8 + 8 * 2 + 2
    assert discriminator.count_params() == 2 * 12 + 12 + 12 * 6 + 6 + 6 * 2 + 2 + 2 * 1 + 1


@pytest.mark.points(2, part="7.1")
def test_rmsprop_with_the_sheets_learning_rate():
    defaults = {name: value.default for name, value in inspect.signature(hw5.section7.run).parameters.items()}
    assert defaults["learning_rate"] == 1e-3
    assert defaults.get("optimizer", "rmsprop") in ("rmsprop", "adam")


@pytest.mark.runs
@pytest.mark.points(2, part="7.1")
def test_both_networks_move_as_with_rmsprop_or_adam(run):
    """In twenty steps of 0.001, most weights move by 0.001 to 0.02, whatever the size of the gradient is."""
    for network in run()["pairs"][0]:
        changes = [np.abs(new - old).ravel() for old, new in zip(network["before"], network["after"], strict=True)]
        # The first step of RMSprop has the length 0.001/√(1 − ρ), at most 0.01 for ρ of 0.99; the others have less.
        assert 5e-4 < np.median(np.concatenate(changes)) < 0.03


@pytest.mark.runs
@pytest.mark.points(4, part="7.1")
def test_the_second_coordinate_is_a_quadratic_of_the_first(run):
    """The real points that D got lie on a parabola; they are random, and new ones in every step."""
    points = np.concatenate([samples for samples, _, _ in Training.of(run()["pairs"][0]).real]).astype(np.float64)
    assert points.shape[1] == 2
    x, y = points.T
    rest = y - np.polyval(np.polyfit(x, y, 2), x)
    assert np.abs(rest).max() < 1e-3 * np.ptp(y)
    assert abs(np.polyfit(x, y, 2)[0]) > 0.1  # and not a line
    assert len(np.unique(x)) > 0.9 * len(x)
    # No two of n random numbers are closer than the fraction g of their range with probability exp(−n² g) if they are
    # uniform, and else with a smaller one: here 2e-9. Those of a grid are never as close.
    assert np.diff(np.sort(x)).min() < 20 / len(x) ** 2 * np.ptp(x), "the points are not random"
    generator = run()["pairs"][0][0]
    z = np.random.default_rng(1).normal(size=(100, generator["events"][0]["inputs"].shape[-1])).astype(np.float32)
    lowest = np.min([generated_points(generator["network"], z, sign) for sign in (-1, 1)], axis=(0, 1))
    assert np.all((lowest < 0) | (points.min(axis=0) >= 0)), "no generated point can be where the real ones are"


def generated_points(generator, z, sign):
    """Generate points with random weights, those of the last layer multiplied by a sign."""
    before = generator.get_weights()
    random_weights(generator)
    weights = generator.get_weights()
    last = max(number for number, value in enumerate(weights) if value.ndim > 1)
    generator.set_weights([sign * value if number >= last else value for number, value in enumerate(weights)])
    points = np.asarray(generator(z))
    generator.set_weights(before)
    return points


@pytest.mark.runs
@pytest.mark.points(2, part="7.2")
def test_both_losses_at_a_fixed_interval(run):
    """The losses, in the results and in a figure, are those of what D said in the steps."""
    done = run()
    training = Training.of(done["pairs"][0])
    expected = numbers_of(training)
    for name in ("d_loss", "g_loss"):
        losses = done["results"]["history"][name]
        assert len(losses) >= 5
        assert is_curve_of(losses, expected[name]), f"{name} is not what D said"
        assert any(draws([line[:, start:]], losses) for line in done["lines"] for start in (0, 1))
    check_names(done, {name: done["results"]["history"][name] for name in PLAYERS}, words_of(PLAYERS))


@pytest.mark.runs
@pytest.mark.seconds(300)  # the run takes up to 40 s of one slow processor
@pytest.mark.points(3, part="7.2")
def test_real_and_generated_points_are_drawn(long_run):
    """Every 1000 iterations, a figure has points that the generator made then, and points of the parabola."""
    done = long_run()
    pair = generator, _ = done["pairs"][0]
    calls = [event for event in generator["events"] if not event["gradients"] and event["outputs"] is not None]
    made = {tuple(point): call["at"] for call in calls for point in np.round(np.float64(call["outputs"]), 4).tolist()}
    x, y = np.concatenate([samples for samples, _, _ in Training.of(beginning(pair, 20)).real]).astype(np.float64).T
    curve = np.polyfit(x, y, 2)
    moments, real = set(), False
    for line, (label, _) in zip(done["lines"], done["names"], strict=True):
        if line.shape[-1] < 50:
            continue
        times = [made[point] for point in map(tuple, np.round(line.T, 4).tolist()) if point in made]
        if is_generated := len(times) > 0.9 * line.shape[-1]:
            moments.add(steps_before(generator, np.median(times)))
        is_on_it = np.abs(line[1] - np.polyval(curve, line[0])) < 1e-3 * np.ptp(y)
        is_real = is_on_it.mean() > 0.9 and np.ptp(line[0]) < 1.1 * np.ptp(x)
        real |= is_real
        if (said := words_of(ORIGINS)(label)) and is_generated != is_real:
            assert ("d_fake_g_step" if is_generated else "d_real") in said, f"{label} is the name of other points"
    assert moments, "no points that the generator made"
    check_interval(generator, moments, 1000)
    assert real


@pytest.mark.runs
@pytest.mark.points(3, part="7.2")
def test_the_distance_to_the_parabola(run):
    """MMD² of the trained generator's points to real ones, if the results have it; after 20 steps it is far from 0."""
    done = run()
    training = Training.of(done["pairs"][0])
    real = np.concatenate([samples for samples, _, _ in training.real])[:1000].astype(np.float64)
    decoded = [samples for _, _, samples in training.decoded]
    made = [samples for samples in decoded if len(samples) >= 500] or [np.concatenate(decoded)]  # if in smaller batches
    points = made[-1][-1000:].astype(np.float64)
    assert len(points) >= 500, "the trained generator never made 500 points"
    assert np.ptp(points, axis=0).min() > 0
    measured = done["results"]
    if "mmd" not in measured:
        return
    last = [*measured["mmd"].values()][-1]
    assert last > abs(measured["mmd_real"])
    # The kernel's width is not said: one between a tenth and ten times the spread of the real points must give it.
    spread = real.std(axis=0).max()
    found = [squared_mmd(real, points, width * spread) for width in np.geomspace(0.1, 10, 100)]
    # The section may take the mean over other draws of 1,000 points; the steps of the widths are 5 %.
    assert min(abs(value - last) for value in found) < 0.1 * last
    assert last < 1.1 * max(found)


def squared_mmd(x, y, width):
    """Compute the unbiased estimate of MMD² with exp(−‖x − y‖²/(2σ²))."""

    def kernel(a, b):
        squares = np.sum(a**2, axis=1)[:, None] + np.sum(b**2, axis=1) - 2 * a @ b.T
        return np.exp(-squares / (2 * width**2))

    within = [(kernel(a, a).sum() - len(a)) / (len(a) * (len(a) - 1)) for a in (x, y)]
    return sum(within) - 2 * kernel(x, y).mean()
