"""A small classifier of MNIST digits, which tells what a generated digit shows.

Its weights lie in the package. Train them anew, in some minutes on two cores, with

    python -m hw5.metrics.mnist_classifier --weights=mnist_classifier.weights.h5
"""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from hw5 import data, flags
from hw5.errors import InputError
from hw5.files import replacing
from hw5.metrics.extractor import Extractor

WEIGHTS = Path(__file__).with_name("mnist_classifier.weights.h5")
SHAPE = (28, 28, 1)


class MnistClassifier(Extractor):
    """The trained classifier: greyscale images → features [n, 64] and logits of the ten digits.

    Images of another size are scaled to 28×28 (bilinear, antialiased). Fréchet distances of its features
    are on a scale of their own, and cheap: thousands of images a second.

    Args:
        weights: file of the weights; by default the package's, of 99.4 % test accuracy.

    Raises:
        InputError: the file is missing, damaged or another network's.
    """

    name = "mnist-classifier"
    channels = 1
    batch_size = 500

    def __init__(self, weights: str | Path = WEIGHTS):
        classifier = network()
        try:
            classifier.load_weights(weights)
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{weights}: holds no weights of the MNIST classifier ({str(error)[:100]})") from error
        both = keras.Model(classifier.inputs, [classifier.get_layer("features").output, *classifier.outputs])
        self._both = tf.function(
            lambda images: both(images, training=False), input_signature=[tf.TensorSpec((None, *SHAPE), tf.float32)]
        )

    def scale(self, images):
        return tf.image.resize(images, SHAPE[:2], antialias=True) / 255

    def network(self, scaled):
        return tuple(values.numpy() for values in self._both(scaled))


def class_shares(logits: np.ndarray) -> tuple[np.ndarray, float]:
    """What a set of images shows (sheet 001: "clearly capture most of the 10 different digit classes").

    Args:
        logits: [n, classes].

    Returns:
        (shares, confidence): of each class the share of images that it is the likeliest one for,
        [classes], summing to 1; and the mean probability of the likeliest class. A classifier may be
        sure of what is no digit at all: confidence tells digits from smears, not from noise.
    """
    probabilities = np.asarray(ops.softmax(np.asarray(logits, np.float64)))
    counts = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1])
    return counts / len(probabilities), float(probabilities.max(axis=1).mean())


def network() -> keras.Model:
    """Three convolutions with batch normalisation, and a layer of 64 features: 184,000 parameters."""
    stack = [keras.Input(SHAPE)]
    for filters, size, strides in ((24, 5, 2), (48, 3, 1), (48, 3, 2)):
        convolution = layers.Conv2D(filters, size, strides, padding="same", use_bias=False)
        stack += [convolution, layers.BatchNormalization(), layers.ReLU()]
    stack += [layers.Dropout(0.3), layers.Flatten(), layers.Dense(64, activation="relu", name="features")]
    return keras.Sequential([*stack, layers.Dropout(0.4), layers.Dense(10, name="logits")], name="mnist_classifier")


def run(*, weights="mnist_classifier.weights.h5", epochs=10, batch_size=128, learning_rate=4e-3, seed=0):
    """Train the classifier on the MNIST training set, shifted by up to two pixels, and save its weights.

    Returns:
        The accuracy on the test set.
    """
    keras.utils.set_random_seed(seed)
    classifier = network()
    (images, labels), test = (
        (data.scale(data.load("mnist", split)), data.load("mnist", split, feature="label"))
        for split in ("train", "test")
    )

    def shift(images, labels):
        return tf.roll(images, tf.random.uniform((2,), -2, 3, tf.int32), axis=(1, 2)), labels  # the margins are black

    examples = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(len(images), seed=seed)
    training = examples.batch(batch_size, drop_remainder=True).map(shift).prefetch(2)
    classifier.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, epochs * len(training))),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    classifier.fit(training, epochs=epochs)
    accuracy = classifier.evaluate(*test, batch_size=500, verbose=0, return_dict=True)["accuracy"]
    bare = network()  # the weights of a compiled model would be saved with the optimizer's state
    bare.set_weights(classifier.get_weights())
    with replacing(weights) as partial:
        bare.save_weights(partial)
    print(f"{weights}: test accuracy {accuracy:.4f}")
    return accuracy


if __name__ == "__main__":
    flags.shared(run)
    flags.DEFINE_string("weights", flags.default(run, "weights"), "File to write, ….weights.h5.")
    flags.launch(run)
