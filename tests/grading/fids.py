"""Fréchet distances by the digit classifier whose weights are given to all."""

from submission import in_worker


@in_worker
def fids_to_digits(samples, num_digits):
    """Compute the FID of each set of samples to random MNIST digits, by the digit classifier's 64 features.

    Args:
        samples: [sets, n, h, w, 1] in [0, 1].
        num_digits: of the digits, other ones for each set.
    """
    from pathlib import Path

    import keras
    import numpy as np
    import tensorflow as tf
    from scipy.linalg import sqrtm

    import hw5
    from hw5 import data

    layers = keras.layers
    stack = [keras.Input((28, 28, 1))]
    for filters, size, strides in ((24, 5, 2), (48, 3, 1), (48, 3, 2)):
        stack += [layers.Conv2D(filters, size, strides, padding="same", use_bias=False)]
        stack += [layers.BatchNormalization(), layers.ReLU()]
    stack += [layers.Dropout(0.3), layers.Flatten(), layers.Dense(64, activation="relu", name="features")]
    classifier = keras.Sequential([*stack, layers.Dropout(0.4), layers.Dense(10, name="logits")])
    classifier.load_weights(Path(hw5.__file__).parent / "metrics" / "mnist_classifier.weights.h5")
    features = keras.Model(classifier.inputs, classifier.get_layer("features").output)

    def features_of(images):
        found = [features(tf.image.resize(part, (28, 28), antialias=True)) for part in np.array_split(images, 4)]
        return np.concatenate([np.asarray(part, np.float64) for part in found])

    digits = np.asarray(data.load("mnist", "train", limit=4000))
    half_size = tf.image.resize(np.float32(digits) / 255, samples.shape[2:4], antialias=True)  # as a section feeds them
    of_digits, rng, distances = features_of(np.asarray(half_size)), np.random.default_rng(0), []
    for part in samples:
        one, other = features_of(np.float32(part)), of_digits[rng.permutation(len(digits))[:num_digits]]
        covariance, others = np.cov(one.T), np.cov(other.T)
        root = np.trace(sqrtm(covariance @ others).real)
        gap = np.sum((one.mean(axis=0) - other.mean(axis=0)) ** 2)
        distances.append(gap + np.trace(covariance + others) - 2 * root)
    return np.array(distances)
