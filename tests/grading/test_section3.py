"""Sheet 000, part III: GANs."""

import numpy as np
import pytest
from small import point_gan, sigmoid
from submission import hw5

REAL, FAKE = np.float32([[2.0], [-1.0]]), np.float32([[0.5], [-3.0]])


@pytest.mark.points(3, part="3.1")
def test_the_discriminators_loss():
    # −½ Σ log σ(real) − ½ Σ log(1 − σ(fake))
    expected = (0.1269280 + 1.3132617) / 2 + (0.9740770 + 0.0485874) / 2
    for name in ("non_saturating", "minimax"):
        objective = hw5.objectives.get(name)
        assert float(objective.discriminator_loss(REAL, FAKE)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.points(3, part="3.1")
def test_the_generators_loss_does_not_saturate():
    # −½ Σ log σ(fake), against ½ Σ log(1 − σ(fake)) of the minimax game
    loss = hw5.objectives.get("non_saturating").generator_loss
    assert float(loss(FAKE)) == pytest.approx((0.4740770 + 3.0485874) / 2, rel=1e-5)
    minimax = hw5.objectives.get("minimax").generator_loss
    assert float(minimax(FAKE)) == pytest.approx(-(0.9740770 + 0.0485874) / 2, rel=1e-5)


@pytest.mark.runs
@pytest.mark.points(2, part="3.1")
def test_the_section_draws_losses_outputs_and_samples(section_run, grade):
    done = section_run(3)
    for path in done.fed:
        assert path.min() >= -1
        assert path.max() <= 1
    grade(min(len(done.figures) / 4, 1), f"{len(done.figures)} figures")


@pytest.mark.points(3, part="3.2")
def test_a_learning_rate_scales_the_step():
    (w, c, b) = (0.8, -0.2, 0.5)
    gradient = -(1 - sigmoid(1.5 * w + c)) * 1.5 + sigmoid(b * w + c) * b
    for rate in (0.1, 0.02):
        assert point_gan("non_saturating", rate_d=rate)[0] == pytest.approx(w - rate * gradient, rel=1e-4)


@pytest.mark.runs
@pytest.mark.points(3, part="3.2")
def test_the_study_compares_learning_rates(section_run):
    runs = list(section_run(3).results.values())
    assert len(runs) >= 2
    losses = [run["history"]["d_loss"] for run in runs]
    assert np.isfinite(losses).all()
    assert losses[0] != losses[1]
