"""Sheet 003, 1.2: a denoising autoencoder of patches."""

import itertools
from bisect import bisect
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import median_filter
from small import sigmoid
from submission import hw5
from watch import SIGMAS, contains, linear_layers, watched_section

PATCH = 8
LARGEST = 14  # up to which a larger patch costs points in 6.1 alone
CHANGED = 1e-4  # of a pixel
CHECKED = 500  # images
LINES = np.arange(28)


@pytest.fixture(scope="module")
def run():
    """A run of the section with everything that its networks saw."""
    tiny = dict(epochs=12, hidden=(64, 32), train_size=500, batch_size=10)
    return watched_section("denoising_autoencoder", 6, **tiny)


@pytest.fixture(scope="module")
def training(run):
    """What the network was trained with: noisy and clean images, and the gradient of the loss by its outputs."""
    found = []

    def get():
        if not found:
            done = run()
            passes = reconstructions(*done["pairs"][0])
            steps = [(into["inputs"], out["gradients"][0]) for into, out in passes if out["gradients"]]
            assert steps, "hw5.networks.denoising_autoencoder was not trained"
            noisy = np.concatenate([np.reshape(images, (len(images), -1)) for images, _ in steps])[:CHECKED]
            gradient = np.concatenate([np.reshape(part, (len(part), -1)) for _, part in steps])[:CHECKED]
            # `fit` may have got the noisy images with the clean ones, so these are looked for in MNIST.
            clean = originals(noisy, np.float32(hw5.data.load("mnist")).reshape(-1, 784) / 255)
            batch = len(steps[0][0])
            found.append(SimpleNamespace(noisy=noisy, clean=clean, gradient=gradient, batch=batch))
        return found[0]

    return get


@pytest.fixture(scope="module")
def tested(run):
    """Noisy test images, their clean ones, and what the trained network makes of them: [n, 784] each."""
    found = []

    def get():
        if not found:
            test = np.float32(hw5.data.load("mnist", "test")).reshape(-1, 784) / 255
            calls = [*reconstructions(*run()["pairs"][0])]
            for side, (into, out) in itertools.product((PATCH, LARGEST), calls):
                if out["gradients"] or len(into["inputs"]) < 20:
                    continue
                noisy = np.reshape(into["inputs"], (-1, 784))[:CHECKED]
                clean = originals(noisy, test)
                changed = (np.abs(noisy - clean) > CHANGED).sum(axis=1)
                if np.mean((changed >= PATCH) & (changed <= side**2)) > 0.8:  # patches may wrongly be cut off
                    outputs = np.reshape(out["outputs"], (-1, 784))[:CHECKED]
                    outputs = outputs if outputs.min() >= 0 and outputs.max() <= 1 else sigmoid(outputs)
                    found.append(SimpleNamespace(noisy=noisy, clean=clean, denoised=outputs))
                    break
            assert found, "the trained network never got test images with a noisy patch"
        return found[0]

    return get


def reconstructions(encoder, decoder):
    """Return the calls of the two networks that belong together, as (call of the encoder, call of the decoder)."""
    found, times = [], [event["at"] for event in encoder["events"]]
    for out in decoder["events"]:
        into = encoder["events"][max(bisect(times, out["at"]) - 1, 0)]
        if into["inputs"] is not None and out["outputs"] is not None and len(into["inputs"]) == len(out["outputs"]):
            found.append((into, out))
    return found


def originals(noisy, images):
    """Return the one of some images that each noisy one was made of, [n, 784].

    Of the ten nearest images, that is the one with the fewest pixels that differ.
    """
    distances = np.sum(images**2, axis=1) - 2 * noisy @ images.T
    nearest = images[np.argpartition(distances, 10, axis=1)[:, :10]]
    differing = (np.abs(nearest - noisy[:, None]) > CHANGED).sum(axis=2)
    return nearest[np.arange(len(noisy)), differing.argmin(axis=1)]


def boxes(difference):
    """Return the first row, the rows, the first column and the columns of what changed, of each image: [n, 4]."""
    changed = np.abs(np.reshape(difference, (-1, 28, 28))) > CHANGED
    found = []
    for axis in (2, 1):
        lines = changed.any(axis=axis)
        first = lines.argmax(axis=1)
        found += [first, 28 - lines[:, ::-1].argmax(axis=1) - first]
    return np.stack(found, axis=1)[changed.any(axis=(1, 2))]


@pytest.mark.runs
@pytest.mark.points(3, part="6.1")
def test_noise_is_inside_one_patch_of_8_by_8_alone(training):
    """Each image that the network is trained with has noise in one square of 8×8, and nowhere else."""
    data = training()
    difference = data.noisy - data.clean
    found = boxes(difference)
    assert len(found) > 0.99 * len(difference), "images without noise"
    assert found[:, [1, 3]].max() <= PATCH
    # Noise that changes a quarter of the black pixels, as salt and pepper may, leaves one of two edges as it was
    # in 1 − (1 − 0.75⁸)² = 19 % of the patches; the share of 500 patches, times two, has a deviation of 1.3 %.
    assert np.mean(found[:, [1, 3]] == PATCH) > 0.81 - SIGMAS * 0.013
    # On black pixels of the patch, so that a grey that is cut off at 1 on the digit is no noise.
    kept = np.abs(difference).max(axis=1) > CHANGED
    row, rows, column, columns = (values[:, None] for values in found.T)
    vertical, horizontal = (
        (first <= LINES) & (first + size > LINES) for first, size in ((row, rows), (column, columns))
    )
    inside = (vertical[:, :, None] & horizontal[:, None]).reshape(-1, 784)
    noisy, clean = data.noisy[kept], data.clean[kept]
    black, bright = noisy[inside & (clean == 0)], noisy[inside & (clean > 0.9)]
    assert np.std(black) > 0.05
    # Noise that is added leaves bright pixels brighter than black ones on average; 6 deviations of the difference.
    error = np.sqrt(black.var() / len(black) + bright.var() / len(bright))
    assert bright.mean() - black.mean() > 6 * error, "the noise is not added to the image, but takes its place"


def patches(data):
    """Return what the noise changed on black pixels, in the patch [n, 8, 8] and in the image [n, 28, 28]; else NaN."""
    difference = np.where(data.clean == 0, data.noisy - data.clean, np.nan).reshape(-1, 28, 28)
    kept = np.abs(data.noisy - data.clean).max(axis=1) > CHANGED
    in_patch, in_image = np.full((len(kept), PATCH, PATCH), np.nan), np.full((len(kept), 28, 28), np.nan)
    for number, (row, _, column, _) in zip(np.flatnonzero(kept), boxes(data.noisy - data.clean), strict=True):
        place = number, slice(row, row + PATCH), slice(column, column + PATCH)
        patch = in_image[place] = difference[place]
        in_patch[number, : len(patch), : patch.shape[1]] = patch
    return in_patch, in_image


def correlation(one, two):
    """Return the correlation of pixels that are known in both, and what it may be of independent ones: 6/√n."""
    known = np.isfinite(one) & np.isfinite(two)
    return abs(np.corrcoef(one[known], two[known])[0, 1]), 6 / np.sqrt(known.sum())


@pytest.mark.runs
@pytest.mark.points(1, part="6.1")
def test_the_noise_is_new_for_each_pixel_image_and_step(training):
    """No two pixels of a patch, patches of a batch, or patches of two steps have the same noise.

    It need not be normal, and may be cut off at 0 and 1: the correlation of independent numbers has the deviation 1/√n.
    """
    data = training()
    in_patch, in_image = patches(data)
    pairs = [("pixels", in_patch[:, :, 1:], in_patch[:, :, :-1])]
    for noise in (in_patch, in_image):
        pairs += [("images", noise[1:], noise[:-1]), ("steps", noise[data.batch :], noise[: -data.batch])]
    for name, one, two in pairs:
        found, limit = correlation(one, two)
        assert found < limit, f"the noise of different {name} is correlated by {found:.2f}"


@pytest.mark.runs
@pytest.mark.points(4, part="6.1")
def test_each_image_has_its_patch_at_a_random_place(training):
    """The patches lie everywhere within the images, also within one batch."""
    found = boxes(training().noisy - training().clean)
    # Of 21 places along an axis, one is missed by 500 images with probability 21 (20/21)^500 = 5e-10.
    for first, length in (found[:, :2].T, found[:, 2:].T):
        assert first.min() == 0
        assert (first + length).max() == 28
    assert len(np.unique(found[:, [0, 2]], axis=0)) > 200  # of 441; expected are 299, with deviation 8
    batch = found[:8]
    assert len(np.unique(batch[:, [0, 2]], axis=0)) > 1


@pytest.mark.points(4, part="6.1")
def test_a_multilayer_perceptron():
    encoder, decoder = hw5.networks.denoising_autoencoder((64, 32))
    assert encoder.count_params() == 784 * 64 + 64 + 64 * 32 + 32
    assert decoder.count_params() == 32 * 64 + 64 + 64 * 784 + 784
    rng = np.random.default_rng(0)
    assert linear_layers(encoder, rng.uniform(0, 1, (4, 28, 28, 1)).astype(np.float32)) == []
    assert linear_layers(decoder, rng.normal(size=(4, 32)).astype(np.float32)) == []


@pytest.mark.runs
@pytest.mark.points(3, part="6.2")
def test_the_network_is_trained_towards_clean_images(training):
    """Where the clean image is black, no loss falls if the output rises, where it is white, none if it falls.

    So it is where noise is, and the loss depends on the output there.
    """
    data = training()
    changed = np.abs(data.noisy - data.clean) > CHANGED
    black = data.clean == 0
    assert np.count_nonzero(black & changed) > 1000, "no noise"
    small = 1e-6 * np.abs(data.gradient).max()
    assert np.mean(data.gradient[black & changed] < -small) < 1e-3
    # Both hold of no gradient at all as well, if the loss leaves the patch out.
    assert np.mean(data.gradient[black & changed] > small) > 0.5, "the loss does not depend on the patch"
    white = (data.clean > 0.98) & changed  # a grey that is cut off at 1 does not change it
    if np.count_nonzero(white) > 100:
        assert np.mean(data.gradient[white] > small) < 0.25  # an output may be above 0.98
        assert np.mean(data.gradient[white] < -small) > 0.5, "the digit is missing in the patch"


@pytest.mark.runs
@pytest.mark.points(3, part="6.2")
def test_a_figure_of_clean_noisy_and_denoised_rows(run, tested):
    """A figure has clean test images, the noisy ones and what the trained network makes of them."""
    pictures, data = run()["images"], tested()
    for number in range(12):
        rows = (data.clean[number], data.noisy[number], data.denoised[number])
        if all(contains(pictures, row.reshape(28, 28, 1)) for row in rows):
            return
    raise AssertionError("no figure shows one of the first 12 test images clean, noisy and denoised")


def squared_errors(images, data):
    """Return the squared errors of test images: per image, and per pixel of the patch where it is whole."""
    errors = np.square(np.float64(images) - data.clean).reshape(-1, 28, 28)
    found = boxes(data.noisy - data.clean)
    assert len(found) == len(errors), "test images without noise"
    side = np.bincount(found[:, [1, 3]].ravel()).argmax()
    whole = [(error, box) for error, box in zip(errors, found, strict=True) if box[1] == box[3] == side]
    patches = [error[r : r + side, c : c + side].mean() for error, (r, _, c, _) in whole]
    return errors.mean(axis=(1, 2)), np.array(patches)


def check_quality(row, images, data):
    """Check MSE and PSNR of a section against those of some of its images.

    They may be of all test images or of a part, and PSNR of the mean error or the mean of each image's.
    """
    for name, values in zip(("mse", "patch_mse"), squared_errors(images, data), strict=True):
        assert float(row[name]) == pytest.approx(values.mean(), abs=error_of_mean(values))
        decibel, by_image = float(row[name.replace("mse", "psnr")]), -10 * np.log10(values)
        of_mean = pytest.approx(-10 * np.log10(float(row[name])), abs=1e-3)
        assert decibel in (of_mean, pytest.approx(by_image.mean(), abs=error_of_mean(by_image)))


def error_of_mean(values):
    return SIGMAS * values.std() * np.sqrt(2 / len(values))  # as if the section had as few images


@pytest.mark.runs
@pytest.mark.points(4, part="6.3")
def test_psnr_and_mse_of_noisy_images(run, tested):
    """Of noisy test images, and of what a median filter makes of them, whatever its size and its edge are."""
    data, results = tested(), run()["results"]
    places = boxes(data.noisy - data.clean)[:, [0, 2]]
    # Of 441 places, 16 images or more have 8 or fewer with a probability below 1e-9: 0.27 pairs are at one place on
    # average. Other mistakes in the places cost points in 6.1.
    assert len(np.unique(places, axis=0)) > 8, "the patches of test images are at few places"
    check_quality(results["noisy"], data.noisy, data)
    if "median filter" in results:
        check_median_filter(results["median filter"], data)


def check_median_filter(row, data):
    """Check MSE and PSNR of a median filter against those of some filter of noisy test images."""
    failures = []
    for size, mode in itertools.product((3, 5, 7), ("nearest", "reflect", "mirror", "constant")):
        filtered = median_filter(data.noisy.reshape(-1, 28, 28), (1, size, size), mode=mode)
        try:
            return check_quality(row, filtered.reshape(-1, 784), data)
        except AssertionError as error:
            failures.append(error)
    raise failures[0]


@pytest.mark.runs
@pytest.mark.points(4, part="6.3")
def test_psnr_and_mse_of_denoised_images(run, tested):
    """They are computed again from what the trained network makes of noisy test images."""
    data = tested()
    check_quality(run()["results"]["denoised"], data.denoised, data)


@pytest.mark.runs
@pytest.mark.points(4, part="6.3")
def test_the_patch_is_cleaner_than_before(run, tested):
    """The trained network removes noise from the patches, and the results say so."""
    data, results = tested(), run()["results"]
    gains = squared_errors(data.noisy, data)[1] - squared_errors(data.denoised, data)[1]
    assert gains.mean() > SIGMAS * gains.std() / np.sqrt(len(gains))
    assert float(results["denoised"]["patch_mse"]) < float(results["noisy"]["patch_mse"])
