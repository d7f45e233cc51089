"""Sheet 003, 3.1: interpolation between codes."""

import numpy as np
import pytest
from claims import assert_terms_are_of_models, weights_of
from drawings import pictures, row_in
from submission import hw5


@pytest.mark.runs
@pytest.mark.points(6, part="9.1")
def test_only_training_images_are_trained_on(section_run):
    """A whole pass over the images: all of them are training images, and none is a test image."""
    done = section_run(9)
    fed = {image.tobytes() for fit in done.fits if fit["images"] is not None for image in fit["images"]}
    train, test = ({image.tobytes() for image in hw5.data.load("mnist", split)} for split in ("train", "test"))
    assert len(fed) > 40_000
    assert not fed & test
    assert fed <= train
    assert all(fit["moved"] > 0.9 for fit in done.fits)
    images = np.float32(hw5.data.load("mnist", "test")) / 255
    assert any(has_kl(model, images) for model in done.models), "without the KL divergence, it is no VAE"
    if "test" in done.results:
        assert_terms_are_of_models(done.models, [done.results["test"]], images)


def has_kl(model, images):
    """Say whether the KL divergence is in the loss of a VAE, measured with 1 more in all μ and log σ²."""
    before, latent_dim = model.encoder.get_weights(), np.shape(model.encode(images[:1]))[1]
    biases = ((latent_dim,), (2 * latent_dim,))
    model.encoder.set_weights([value + 1 if value.shape in biases else value for value in before])
    ((weight, error),) = weights_of([model], images)
    model.encoder.set_weights(before)
    return weight + error > 0.1


def assert_labels_are_of(images, labels):
    """Check the labels of MNIST's test images: so many of each digit, and most are of the nearest mean image."""
    assert np.bincount(labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    pixels = np.float32(images).reshape(len(images), -1)
    means = np.stack([pixels[labels == digit].mean(axis=0) for digit in range(10)])
    nearest = (np.sum(means**2, axis=1) - 2 * pixels @ means.T).argmin(axis=1)
    assert np.mean(nearest == labels) > 0.7  # 82 % are right, of labels in another order 10 %


@pytest.mark.runs
@pytest.mark.points(2, part="9.2")
@pytest.mark.parametrize(("name", "same"), [("same_class", True), ("different_classes", False)])
def test_ten_pairs_of_test_images(section_run, name, same):
    """Ten rows: a test image, seven decoded images between the codes of both, and the other test image."""
    done = section_run(9)
    first, last = (np.asarray(positions) for positions in done.results[name])
    labels = hw5.data.load("mnist", "test", feature="label")
    assert_labels_are_of(hw5.data.load("mnist", "test"), labels)
    assert len(set(first) | set(last)) == 20
    # Of 1,000 images or more, all 20 are among the first 200 with a probability of 5⁻²⁰ or less.
    assert max(*first, *last) >= 200, "the images are the first ones, and not random ones"
    np.testing.assert_array_equal(labels[first] == labels[last], same)
    images = np.float32(hw5.data.load("mnist", "test")) / 255
    shares = np.arange(1, 8)[:, None] / 8
    drawn = pictures(done)

    def rows_of(model):
        codes = np.asarray(model.encode(images[first])), np.asarray(model.encode(images[last]))
        for one, other, start, end in zip(images[first], images[last], *codes, strict=True):
            between = np.asarray(model.decode(np.float32(start + shares * (end - start))))
            yield np.concatenate([one[None], between, other[None]])[..., 0]

    assert any(any(all(row_in(row, picture) for row in rows_of(model)) for picture in drawn) for model in done.models)
