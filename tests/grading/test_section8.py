"""Sheet 003, 2.3 and 4: a DCGAN of emojis."""

import inspect

import numpy as np
import pytest
from PIL import Image
from small import point_gan
from submission import hw5

REAL, FAKE = np.float32([[2.0], [-1.0]]), np.float32([[0.5], [-3.0]])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of eight PNGs of 32×32: red, below it a grey that differs, below it transparent."""
    folder = tmp_path_factory.mktemp("pictures")
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[:16] = [255, 0, 0, 255]
    for number in range(8):
        pixels[8:16, :, :3] = 30 * number
        Image.fromarray(pixels).save(folder / f"{number}.png")
    folder.chmod(0o755)  # the submission may be another user
    return folder


@pytest.mark.points(4, part="8.1")
def test_emojis_are_embedded():
    images = hw5.data.load("emojione")
    assert images.shape == (1832, 32, 32, 3)
    assert images.dtype == np.uint8
    assert np.mean(images[:, 0, 0] == 255) > 0.9  # on white


@pytest.mark.runs
@pytest.mark.points(4, part="8.1")
def test_transparent_pictures_are_laid_on_white(section_run, pictures):
    fed = section_run(8, data_dir=str(pictures)).fed[0]
    np.testing.assert_allclose(fed[0, 0, 0], [1, -1, -1], atol=0.01)
    np.testing.assert_allclose(fed[0, 31, 0], [1, 1, 1], atol=0.01)


@pytest.mark.points(4, part="8.2")
def test_the_least_squares_objective():
    objective = hw5.objectives.get("least_squares")
    # ½·½ (1² + 2²) + ½·½ (0.5² + 3²)
    assert float(objective.discriminator_loss(REAL, FAKE)) == pytest.approx(1.25 + 2.3125, rel=1e-5)
    # (0.5² + 4²)/2, in the sheet's scaling or with the paper's ½
    assert float(objective.generator_loss(FAKE)) in (pytest.approx(8.125), pytest.approx(4.0625))


@pytest.mark.points(6, part="8.2")
def test_each_players_step_moves_that_player_once():
    w, c, b = 0.8, -0.2, 0.5
    real, fake = 1.5 * w + c - 1, b * w + c
    w_after, c_after = w - 0.1 * (1.5 * real + b * fake), c - 0.1 * (real + fake)
    slope = (w_after * b + c_after - 1) * w_after
    found = point_gan("least_squares")
    assert found[:2] == pytest.approx((w_after, c_after), rel=1e-4)
    assert found[2] in (pytest.approx(b - 0.3 * slope, rel=1e-4), pytest.approx(b - 0.6 * slope, rel=1e-4))


@pytest.mark.runs
@pytest.mark.points(3, part="8.2")
def test_the_generators_loss_has_no_half(section_run, pictures):
    history = section_run(8, data_dir=str(pictures)).results["history"]
    # E (D − 1)² ≥ (E D − 1)²; half of it would be less as long as the outputs of D lie close together.
    assert history["g_loss"][0] >= 0.99 * (history["d_fake_g_step"][0] - 1) ** 2


@pytest.mark.points(3, part="8.2")
def test_twenty_thousand_iterations():
    assert inspect.signature(hw5.section8.run).parameters["steps"].default == 20_000


@pytest.mark.runs
@pytest.mark.points(6, part="8.3")
def test_the_fixed_noise_over_the_training(section_run, pictures):
    done = section_run(8, data_dir=str(pictures))
    kept = [
        path for folder in (done.out, done.run_dir) for path in folder.rglob("*") if path.suffix in (".png", ".gif")
    ]
    assert any(path.parent.name not in ("out", "runs") for path in kept)  # a file for a moment of the training
    assert any(path.parent == done.out for path in kept)  # and the strip or animation


@pytest.mark.points(4, part="8.4")
def test_the_frechet_distance_of_different_means_and_variances(grade):
    mean, other = np.array([1.0, 2.0, 3.0]), np.array([0.0, 4.0, 3.0])
    covariance = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.2], [0.0, 0.2, 3.0]])
    # with equal covariances it is the squared distance of the means
    assert hw5.metrics.frechet_distance(mean, covariance, other, covariance) == pytest.approx(5.0, rel=1e-9)
    grade(0.5, "right for equal covariances")
    # of diagonal ones Σ (σ₁ − σ₂)²
    distance = hw5.metrics.frechet_distance(np.zeros(2), np.diag([4.0, 9.0]), np.zeros(2), np.diag([1.0, 16.0]))
    assert distance == pytest.approx(2.0, rel=1e-9)
    grade(1)


@pytest.mark.points(2, part="8.4")
def test_the_inception_score():
    logits = np.log([[0.9, 0.1], [0.1, 0.9]])
    # exp(ln 2 + 0.9 ln 0.9 + 0.1 ln 0.1)
    assert hw5.metrics.inception_score(logits, splits=1)[0] == pytest.approx(1.4449350, rel=1e-6)


@pytest.mark.points(2, part="8.4")
def test_three_thousand_images():
    assert inspect.signature(hw5.section8.run).parameters["fid_samples"].default == 3000
