"""What sections share: figures, noise in time, and the features that images are compared by."""

import json
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers
from PIL import Image

from hw5 import data


def picture(path, rows):
    """Save rows of images in [0, 1] as one PNG, pixel by pixel."""
    rows = [np.concatenate(list(np.asarray(row)), axis=1) for row in rows]
    pixels = np.round(255 * np.clip(np.concatenate(rows, axis=0), 0, 1)).astype(np.uint8)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path)


def curves(path, history):
    """Save a plot of numbers over the training."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots()
    for name, values in history.items():
        axes.plot(np.arange(1, len(values) + 1), values, marker=".", label=name)
    axes.legend()
    figure.savefig(path)
    plt.close(figure)


def save(out, results):
    """Write the results as a file as well, and return them."""
    Path(out).mkdir(parents=True, exist_ok=True)
    Path(out, "metrics.json").write_text(json.dumps(results, default=lambda value: np.asarray(value).tolist()))
    return {"results": results}


def mnist(train_size=None, size=28):
    """Load training and validation images, scaled to [0, 1]."""
    images = data.load("mnist", "train[:90%]", limit=train_size), data.load("mnist", "train[90%:]")
    images = [part.astype(np.float32) / 255 for part in images]
    return images if size == 28 else [resize(part, size) for part in images]


def resize(images, size):
    parts = [keras.ops.image.resize(part, (size, size)) for part in np.array_split(images, -(-len(images) // 1000))]
    return np.concatenate([np.asarray(part) for part in parts])


def blend(first, last, weights):
    """Interpolate: [number of weights, …]."""
    return np.stack([(1 - weight) * np.asarray(first) + weight * np.asarray(last) for weight in weights])


def fit(model, images, batch_size, epochs=None, steps=None, rate=1e-3, records=5, **more):
    """Train for epochs or steps; return the history, with some numbers for each setting of steps."""
    if not model.compiled:
        model.compile(optimizer=keras.optimizers.Adam(rate), jit_compile=False)
    batches = data.tf.data.Dataset.from_tensor_slices(images).shuffle(len(images)).repeat(None if steps else 1)
    batches = batches.batch(min(batch_size, len(images)), drop_remainder=True)
    if steps:
        epochs = min(records, steps)
        batches = batches.take(steps // epochs * epochs)
    per_epoch = steps // epochs if steps else None
    return model.fit(batches, epochs=epochs, steps_per_epoch=per_epoch, verbose=0, **more).history


def autoencoder_figures(folder, model, train, validation):
    """Draw the figures of 1.4 into a folder, with the codes that `encode` gives."""
    for name, images in {"training": train[:10], "validation": validation[:10]}.items():
        picture(f"{folder}/{name}.png", [images, model.reconstruct(images)])
    first, last = model.encode(train[:10]), model.encode(validation[:10])
    steps = blend(first, last, np.linspace(0, 1, 10))
    picture(f"{folder}/interpolations.png", [model.decode(codes) for codes in np.swapaxes(steps, 0, 1)])
    picture(f"{folder}/samples.png", [model.sample(10)])


def classifier(size, folder):
    """Make a classifier of MNIST; it is kept, so that another evaluation has the same one."""
    images = keras.Input((size, size, 1))
    x = layers.Flatten()(layers.MaxPooling2D(2)(layers.Conv2D(16, 5, 2, activation="relu")(images)))
    features = layers.Dense(32, activation="relu")(x)
    model = keras.Model(images, [features, layers.Dense(10)(features)])
    kept = Path(folder, f"classifier{size}.weights.h5")
    if kept.exists():
        model.load_weights(kept)
        return model
    digits = data.load("mnist", limit=20_000) / np.float32(255)
    digits = digits if size == 28 else resize(digits, size)
    labels = data.load("mnist", limit=20_000, feature="label")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network = keras.Model(images, model.output[1])
    network.compile(optimizer=keras.optimizers.Adam(3e-3), loss=loss, jit_compile=False)
    network.fit(digits, labels, batch_size=100, verbose=0)
    kept.parent.mkdir(parents=True, exist_ok=True)
    model.save_weights(kept)
    return model


def gaussian(features):
    return np.mean(features, axis=0), np.cov(features, rowvar=False)
