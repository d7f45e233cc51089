"""A small classifier of MNIST digits, to find out which digit a generated image shows.

Its weights are in the package. This command trains them again, in five minutes on two cores:

    python -m hw5.metrics.mnist_classifier --weights=mnist_classifier.weights.h5
"""

from pathlib import Path

import keras
import tensorflow as tf
from keras import layers

from hw5 import command_line, data
from hw5.errors import InputError
from hw5.files import atomic_write, output_file
from hw5.metrics.extractor import Extractor
from hw5.settings import Settings, program, setting

WEIGHTS = Path(__file__).with_name("mnist_classifier.weights.h5")
SUFFIX = ".weights.h5"  # which Keras demands
SHAPE = (28, 28, 1)


class MnistClassifier(Extractor):
    """The trained classifier: greyscale images → features [n, 64] and logits [n, 10] of the digits.

    Images of another size are resized to 28×28 (bilinear, antialiased). Fréchet distances of its features
    have a scale of their own. It is fast: thousands of images per second.

    Args:
        weights: file of the weights; by default the package's, of 99.4 % test accuracy.

    Raises:
        InputError: the file is missing, damaged or belongs to another network.
    """

    key = "mnist_classifier"
    name = "mnist-classifier"
    channels = 1
    has_classes = True
    batch_size = 500

    def __init__(self, weights: str | Path = WEIGHTS):
        classifier = build_classifier()
        try:
            classifier.load_weights(weights)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise InputError(f"{weights}: holds no weights of the MNIST classifier ({str(error)[:100]})") from error
        both = keras.Model(classifier.inputs, [classifier.get_layer("features").output, *classifier.outputs])
        self._both = tf.function(
            lambda images: both(images, training=False), input_signature=[tf.TensorSpec((None, *SHAPE), tf.float32)]
        )

    def preprocess(self, images):
        return tf.image.resize(images, SHAPE[:2], antialias=True) / 255

    def forward(self, inputs):
        features, logits = self._both(inputs)
        return features.numpy(), logits.numpy()


def build_classifier() -> keras.Model:
    """Build three convolutions with batch normalisation, and a layer of 64 features: 184,000 parameters."""
    stack = [keras.Input(SHAPE)]
    for filters, size, strides in ((24, 5, 2), (48, 3, 1), (48, 3, 2)):
        convolution = layers.Conv2D(filters, size, strides, padding="same", use_bias=False)
        stack += [convolution, layers.BatchNormalization(), layers.ReLU()]
    stack += [layers.Dropout(0.3), layers.Flatten(), layers.Dense(64, activation="relu", name="features")]
    return keras.Sequential([*stack, layers.Dropout(0.4), layers.Dense(10, name="logits")], name="mnist_classifier")


class Arguments(Settings):
    """The training of the classifier."""

    weights: Path = setting(Path("mnist_classifier.weights.h5"), f"File to write, …{SUFFIX}.")
    epochs: int = setting(10, "Passes over the training images.", at_least=1)
    batch_size: int = setting(128, "Images per batch.", at_least=1, at_most=60_000)
    learning_rate: float = setting(4e-3, "Learning rate at the start of its cosine decay.", at_least=0)
    seed: int = setting(0, "Seed of the weights and the order of the images.", at_least=0, at_most=2**32 - 1)


def main(arguments: Arguments) -> float:
    """Train the classifier on the MNIST training set, shifted by up to two pixels, and save its weights.

    Returns:
        The accuracy on the test set.
    """
    if not arguments.weights.name.endswith(SUFFIX):
        raise InputError(f"weights={arguments.weights}: must end in {SUFFIX}")
    output_file(arguments.weights, "weights")
    keras.utils.set_random_seed(arguments.seed)
    classifier = build_classifier()
    (images, labels), test = (
        (data.scale(data.load("mnist", split)), data.load("mnist", split, feature="label"))
        for split in ("train", "test")
    )

    def shift(images, labels):
        return tf.roll(images, tf.random.uniform((2,), -2, 3, tf.int32), axis=(1, 2)), labels  # the margins are black

    examples = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(len(images), seed=arguments.seed)
    batches = examples.batch(arguments.batch_size, drop_remainder=True).map(shift).prefetch(2)
    decay = keras.optimizers.schedules.CosineDecay(arguments.learning_rate, arguments.epochs * len(batches))
    classifier.compile(
        optimizer=keras.optimizers.Adam(decay),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    classifier.fit(batches, epochs=arguments.epochs)
    accuracy = classifier.evaluate(*test, batch_size=500, verbose=0, return_dict=True)["accuracy"]
    uncompiled = build_classifier()  # the weights of a compiled model would be saved with the optimizer's state
    uncompiled.set_weights(classifier.get_weights())
    with atomic_write(arguments.weights) as partial:
        uncompiled.save_weights(partial)
    print(f"{arguments.weights}: test accuracy {accuracy:.4f}")
    return accuracy


run = program(Arguments, main)

if __name__ == "__main__":
    command_line.launch(run)
