"""Sheet 003, 2.2: a GAN on a quadratic."""

import inspect

import numpy as np
import pytest
from submission import hw5


@pytest.mark.points(6, part="7.1")
def test_the_layers_of_the_sheet():
    generator, discriminator = hw5.networks.plane_gan(3, generator_hidden=(16, 8), discriminator_hidden=(12, 6))
    assert generator(np.zeros((5, 3), np.float32)).shape == (5, 2)
    assert discriminator(np.zeros((5, 2), np.float32)).shape == (5, 1)
    assert generator.count_params() == 3 * 16 + 16 + 16 * 8 + 8 + 8 * 2 + 2
    assert discriminator.count_params() == 2 * 12 + 12 + 12 * 6 + 6 + 6 * 2 + 2 + 2 * 1 + 1


@pytest.mark.points(4, part="7.1")
def test_rmsprop_with_the_sheets_learning_rate():
    defaults = {name: value.default for name, value in inspect.signature(hw5.section7.run).parameters.items()}
    assert defaults["learning_rate"] == 1e-3
    assert defaults["optimizer"] in ("rmsprop", "adam")


@pytest.mark.runs
@pytest.mark.points(4, part="7.1")
def test_the_second_coordinate_is_a_quadratic_of_the_first(section_run):
    points = np.concatenate(section_run(7).fed).astype(np.float64)
    assert points.shape[1] == 2
    x, y = points.T
    rest = y - np.polyval(np.polyfit(x, y, 2), x)
    assert np.abs(rest).max() < 1e-3 * np.ptp(y)
    assert abs(np.polyfit(x, y, 2)[0]) > 0.1  # and not a line


@pytest.mark.runs
@pytest.mark.points(4, part="7.2")
def test_losses_points_features_and_mmd_are_drawn(section_run, grade):
    figures = section_run(7).figures
    grade(min(len(figures) / 4, 1), f"{len(figures)} figures")


@pytest.mark.runs
@pytest.mark.points(4, part="7.2")
def test_the_numbers_over_training(section_run):
    measured = section_run(7).results
    assert np.isfinite([*measured["mmd"].values(), measured["mmd_real"]]).all()
    assert len(measured["history"]["d_loss"]) == len(measured["history"]["g_loss"]) >= 5
    assert max(measured["mmd"].values()) > measured["mmd_real"]  # after 20 steps it is no parabola yet
