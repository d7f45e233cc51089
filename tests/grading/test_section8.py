"""Sheet 003, 2.3 and 4: a DCGAN of emojis."""

import inspect

import numpy as np
import pytest
from PIL import Image
from small import assert_optimizers_keep_their_state, point_gan
from submission import hw5
from upsampling import doublings
from watch import (
    Training,
    check_gradient,
    check_interval,
    check_noise_is_new,
    contains,
    pixels,
    real_images,
    small_gan,
    steps_before,
    watched_section,
)

pytestmark = pytest.mark.seconds(300)  # a run of the section takes up to 40 s of one slow processor

FID_SAMPLES = 150  # more than a figure shows
REAL, FAKE = np.float32([[2.0], [-1.0]]), np.float32([[0.5], [-3.0]])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of the section on a folder of eight PNGs of 32×32, with everything that its networks saw.

    The pictures are red, below it a grey that differs, below it transparent.
    """
    folder = tmp_path_factory.mktemp("pictures")
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[:16] = [255, 0, 0, 255]
    for number in range(8):
        pixels[8:16, :, :3] = 30 * number
        Image.fromarray(pixels).save(folder / f"{number}.png")
    folder.chmod(0o755)  # the submission may be another user
    tiny = dict(steps=400, hidden=4, fid_samples=FID_SAMPLES, batch_size=4, objective="least_squares")  # two grids
    return watched_section("dcgan", 8, data_dir=str(folder), **tiny)


@pytest.mark.points(4, part="8.1")
def test_emojis_are_embedded():
    images = hw5.data.load("emojione")
    assert images.shape == (1832, 32, 32, 3)
    assert images.dtype == np.uint8
    assert np.mean(images[:, 0, 0] == 255) > 0.9  # on white
    assert images[..., 0].mean() > images[..., 1].mean() > images[..., 2].mean()  # most have yellow, faces and hands
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) > 1700  # and not one picture again and again
    assert len(hw5.data.load("emojione", limit=7)) == 7


@pytest.mark.runs
@pytest.mark.points(4, part="8.1")
def test_transparent_pictures_are_laid_on_white(run):
    """What the section's discriminator gets of red pictures with a transparent half, in [−1, 1]."""
    done = run()
    training = Training.of(done["pairs"][0])
    assert training.real, "the discriminator of hw5.networks.dcgan got no pictures"
    for samples in real_images(training, done["fed"]):
        np.testing.assert_allclose(samples[:, 0, 0], np.tile([1, -1, -1], (len(samples), 1)), atol=0.01)
        np.testing.assert_allclose(samples[:, 31, 0], np.ones((len(samples), 3)), atol=0.01)


@pytest.mark.points(4, part="8.2")
def test_the_least_squares_objective():
    objective = hw5.objectives.get("least_squares")
    # ½·½ (1² + 2²) + ½·½ (0.5² + 3²)
    assert float(objective.discriminator_loss(REAL, FAKE)) == pytest.approx(1.25 + 2.3125, rel=1e-5)
    # (0.5² + 4²)/2, in the sheet's scaling or with the paper's ½
    assert float(objective.generator_loss(FAKE)) in (pytest.approx(8.125), pytest.approx(4.0625))


@pytest.mark.points(5, part="8.2")
def test_each_players_step_moves_that_player_once():
    w, c, b = 0.8, -0.2, 0.5
    real, fake = 1.5 * w + c - 1, b * w + c
    w_after, c_after = w - 0.1 * (1.5 * real + b * fake), c - 0.1 * (real + fake)
    slope = (w_after * b + c_after - 1) * w_after
    found = point_gan("least_squares")
    assert found[:2] == pytest.approx((w_after, c_after), rel=1e-4)
    assert found[2] in (pytest.approx(b - 0.3 * slope, rel=1e-4), pytest.approx(b - 0.6 * slope, rel=1e-4))
    assert_optimizers_keep_their_state("least_squares")


@pytest.mark.runs
@pytest.mark.points(2, part="8.2")
def test_the_losses_of_the_algorithm(run):
    """In the section, the gradients of lines 5 and 9 at what D says: ½ for D, and none for G."""
    done = run()
    training = Training.of(done["pairs"][0])
    check_gradient(training.real, lambda outputs: outputs - 1)
    check_gradient(training.fake_d, lambda outputs: outputs)
    check_gradient(training.fake_g, lambda outputs: 2 * (outputs - 1))
    # In 40 batches of four, each of the eight pictures is missing with probability 2^−40 or less.
    assert len({image.tobytes() for samples in real_images(training, done["fed"]) for image in samples}) == 8


@pytest.mark.runs
@pytest.mark.points(1, part="8.2")
def test_transposed_convolutions_and_a_convolutional_discriminator(run):
    """In the section, the generator doubles by transposed convolutions, and D has convolutions."""
    generator, discriminator = (network["network"] for network in run()["pairs"][0])
    kinds = doublings(generator, run()["pairs"][0][0]["events"][0]["inputs"][:2])
    assert kinds
    assert set(kinds) <= {"deconv"}, f"the generator doubles by {', '.join(kinds)}"
    assert sum(weight.ndim == 4 for weight in discriminator.get_weights()) >= 2


@pytest.mark.points(2, part="8.2")
def test_both_players_get_new_noise():
    """Lines 3 and 7 draw noise: that of the generator's step is not that of the discriminator's."""
    training = Training.of(small_gan("least_squares")())
    assert training.noise_d
    assert training.noise_g
    check_noise_is_new(training.noise())


@pytest.mark.points(2, part="8.2")
def test_twenty_thousand_iterations():
    assert inspect.signature(hw5.section8.run).parameters["steps"].default == 20_000


@pytest.mark.runs
@pytest.mark.points(6, part="8.3")
def test_the_fixed_noise_over_the_training(run, grade):
    """Samples of one noise every 200 iterations, and a file for each of them.

    It has them pixel by pixel, or is a figure of Matplotlib's that they are drawn in.
    """
    done = run()
    training = Training.of(done["pairs"][0])
    shown = {}  # noise → number of steps → samples
    for at, z, samples in training.decoded:
        shown.setdefault(z.tobytes(), {})[steps_before(training.generator, at)] = samples
    moments = max(shown.values(), key=len, default={})
    assert len(moments) >= 2, "the noise is not the same at two moments"
    grade(0.5, "the noise is fixed")
    files = [path for folder in (done["out"], done["run_dir"]) for path in folder.rglob("*.png")]
    pictures = [[np.asarray(Image.open(path).convert("RGB"))] for path in files] + done["saved"]
    tiles = {moment: pixels(samples[0]) for moment, samples in moments.items()}
    showing = {at: {n for n, picture in enumerate(pictures) if contains(picture, tile)} for at, tile in tiles.items()}
    assert len(set().union(*showing.values())) >= 2, "no files of two moments"
    check_interval(training.generator, [moment for moment, files in showing.items() if files], 200)
    grade(1)


@pytest.mark.points(2, part="8.4")
def test_the_frechet_distance_of_different_means_and_variances(grade):
    mean, other = np.array([1.0, 2.0, 3.0]), np.array([0.0, 4.0, 3.0])
    covariance = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.2], [0.0, 0.2, 3.0]])
    # with equal covariances it is the squared distance of the means; float32 has digits enough
    assert hw5.metrics.frechet_distance(mean, covariance, other, covariance) == pytest.approx(5.0, rel=1e-3)
    grade(0.5, "right for equal covariances")
    # of diagonal ones Σ (σ₁ − σ₂)²
    distance = hw5.metrics.frechet_distance(np.zeros(2), np.diag([4.0, 9.0]), np.zeros(2), np.diag([1.0, 16.0]))
    assert distance == pytest.approx(2.0, rel=1e-3)
    grade(1)


@pytest.mark.points(2, part="8.4")
def test_the_frechet_distance_of_features():
    """Of covariances that do not commute; they have the divisor n − 1, if the package has a name for them."""
    one = np.array([[1.0, 5.0], [3.0, 5.0], [5.0, 8.0]])  # covariance [[4, 3], [3, 3]]
    other = np.array([[0.0, 1.0], [2.0, -1.0], [4.0, 3.0]])  # [[4, 2], [2, 4]]
    gaussians = [(features.mean(axis=0), np.cov(features, rowvar=False)) for features in (one, other)]
    # The means differ by (1, 5). The product is [[22, 20], [18, 18]], with trace 40 and determinant 36, so the square
    # roots of its eigenvalues add up to √(40 + 2 √36).
    expected = 26 + 7 + 8 - 2 * np.sqrt(52)
    assert hw5.metrics.frechet_distance(*gaussians[0], *gaussians[1]) == pytest.approx(expected, rel=1e-4)
    gaussian = getattr(getattr(hw5.metrics, "frechet", None), "Gaussian", None)
    if gaussian is not None:
        fitted = gaussian.of(one)
        np.testing.assert_allclose(fitted.mean, [3.0, 6.0], rtol=1e-5)
        np.testing.assert_allclose(fitted.covariance, [[4.0, 3.0], [3.0, 3.0]], rtol=1e-5)
        # As many as the sheet's, in an order, so that parts of them have other means: 0 to 2,999 and their halves
        many = np.stack([np.arange(3000.0), np.arange(3000) // 2], axis=1)
        np.testing.assert_allclose(gaussian.of(many).covariance, np.cov(many, rowvar=False), rtol=1e-4)


@pytest.mark.points(2, part="8.4")
def test_the_inception_score():
    logits = np.log([[0.9, 0.1], [0.1, 0.9]])
    # exp(ln 2 + 0.9 ln 0.9 + 0.1 ln 0.1)
    assert hw5.metrics.inception_score(logits, splits=1)[0] == pytest.approx(1.4449350, rel=1e-5)
    # p(y) = (0.7, 0.3): exp(H(0.7) − (H(0.9) + H(0.5))/2)
    logits = np.log([[0.9, 0.1], [0.5, 0.5]])
    expected = np.exp(0.6108643 - (0.3250830 + 0.6931472) / 2)
    assert hw5.metrics.inception_score(logits, splits=1)[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.points(1, part="8.4")
def test_three_thousand_images():
    assert inspect.signature(hw5.section8.run).parameters["fid_samples"].default == 3000


@pytest.mark.runs
@pytest.mark.points(1, part="8.4")
def test_the_trained_generator_makes_as_many_images(run):
    """After its last step, it makes as many different images as `fid_samples` says."""
    events = run()["pairs"][0][0]["events"]
    last = max(event["at"] for event in events if event["gradients"])
    after = [event for event in events if event["at"] > last]
    # A section may call it in training as well, for the statistics of its normalisation.
    calls = [event for event in after if not event["training"] and event["inputs"] is not None]
    codes = {code.tobytes() for call in calls for code in call["inputs"]}
    assert (len(codes) or sum(event["count"] for event in after)) >= FID_SAMPLES
