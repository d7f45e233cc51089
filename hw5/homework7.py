"""A variational autoencoder of MNIST, trained by Algorithm 1 of Kingma & Welling (2014), arXiv 1312.6114.

784 pixels → 200 units (tanh, dropout) → μ and log σ² of 32 latents → 200 units (tanh) → 784 sigmoids. The loss is that
of equation (10), with a weight of the KL divergence. The figure has three rows: 16 images, their reconstructions, and
new images, decoded from z ~ N(0, I).

    python homework7.py                                      # train on all images, and draw homework7.png
    python homework7.py --data=mnist_train_images.npy --steps=81000
    python homework7.py --train_size=100 --kl_weight=0       # reconstructs its 100 images
"""

import argparse
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from hw5.data.idx import read_idx
from hw5.distributions import DiagonalGaussian
from hw5.errors import InputError
from hw5.networks import tanh_vae
from hw5.objectives import bernoulli_loss, gaussian_kl
from hw5.training.optimizers import WarmupDecay

# Where the images are looked for, from the folder of this file.
PLACES = ("mnist_train_images.npy", "mnist.npz", "codes/hw5/data/store/mnist/mnist.npz")
NAMES = ("train_images", "x_train", "images", "arr_0")  # of the training images in a .npz file
NUM_SHOWN = 16  # images per row of the figure
REPORTS = 20  # lines that a training prints


def load_images(path: Path) -> np.ndarray:
    """Load images of 28×28 from a .npy, a .npz or an IDX file. Returns float32 [n, 28, 28, 1] in [0, 1].

    Raises:
        InputError: there is no such file, or it holds no such images.
    """
    try:
        if path.suffix in (".npy", ".npz"):
            images = np.load(path, allow_pickle=False)
            if path.suffix == ".npz":
                images = images[next(name for name in NAMES if name in images)]
        else:
            images = read_idx(path, 3)
        images = images.reshape(-1, 28, 28, 1)
    except (OSError, StopIteration, ValueError) as error:
        reason = f"no array is called {', '.join(NAMES)}" if isinstance(error, StopIteration) else error
        raise InputError(f"--data={path}: holds no images of 28×28 ({reason})") from error
    return images.astype(np.float32) / (255 if images.max() > 1 else 1)


def negative_elbo(encoder, decoder, images, epsilon, kl_weight, training=False):
    """Estimate the loss with one z = μ + σ ε per image (equation 10 with L = 1).

    Args:
        images: [batch, 28, 28, 1] in [0, 1].
        epsilon: from N(0, I), [batch, latents].

    Returns:
        (loss, reconstruction, KL divergence): scalars, sums over pixels or latents and means over the batch, in nats.
    """
    mean, log_var = encoder(images, training=training)
    z, _ = DiagonalGaussian(mean, log_var).sample(epsilon)
    reconstruction = tf.reduce_mean(bernoulli_loss(images, decoder(z, training=training)))
    kl = tf.reduce_mean(gaussian_kl(mean, log_var))
    return reconstruction + kl_weight * kl, reconstruction, kl


def train(encoder, decoder, images, *, steps, batch_size, learning_rate, kl_weight, seed):
    """Run Algorithm 1: draw a minibatch and its noise, compute the gradient, take a step; `steps` times."""
    batch_size = min(batch_size, len(images))
    optimizer = keras.optimizers.Adam(WarmupDecay(learning_rate, steps))
    variables = encoder.trainable_variables + decoder.trainable_variables
    latent_dim = decoder.input_shape[-1]
    batches = tf.data.Dataset.from_tensor_slices(images).shuffle(len(images), seed=seed).repeat().batch(batch_size)

    @tf.function
    def step(batch):
        epsilon = tf.random.normal((batch_size, latent_dim))
        with tf.GradientTape() as tape:
            loss, *terms = negative_elbo(encoder, decoder, batch, epsilon, kl_weight, training=True)
        optimizer.apply(tape.gradient(loss, variables), variables)
        return terms

    interval, means = max(steps // REPORTS, 1), []
    for number, batch in zip(range(1, steps + 1), batches, strict=False):
        means.append(step(batch))
        if number % interval == 0 or number == steps:
            reconstruction, kl = np.mean(means, axis=0)
            print(f"step {number:>6}: reconstruction {reconstruction:.2f}, KL {kl:.2f} nats per image", flush=True)
            means.clear()


def draw(path: Path, rows) -> None:
    """Write rows of images [n, 28, 28, 1] in [0, 1] as a PNG file, black gaps between the rows."""
    padded = [tf.pad(row, [[0, 0], [2, 2], [2, 2], [0, 0]]) for row in rows]
    picture = tf.concat([tf.concat(list(row), axis=1) for row in padded], axis=0)
    tf.io.write_file(str(path), tf.io.encode_png(tf.cast(tf.round(255 * picture), tf.uint8)))


def main(words=None) -> Path:
    """Train the VAE and draw the figure. Returns the path of the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help=f"images: .npy, .npz or IDX (default: the first of {PLACES})")
    parser.add_argument("--out", type=Path, default=Path("homework7.png"), help="figure to write")
    parser.add_argument("--steps", type=int, default=13_500, help="minibatches; 540 are one pass (13500)")
    parser.add_argument("--batch_size", type=int, default=100, help="images per minibatch (100)")
    parser.add_argument("--learning_rate", type=float, default=1e-2, help="highest learning rate of Adam (0.01)")
    parser.add_argument("--kl_weight", type=float, default=3.0, help="weight of the KL divergence, the sheet's 1/L (3)")
    parser.add_argument("--latent_dim", type=int, default=32, help="latents (32)")
    parser.add_argument("--train_size", type=int, help="use only the first n images")
    parser.add_argument("--seed", type=int, default=0, help="of weights, noise and order (0)")
    chosen = parser.parse_args(words)
    counts = [chosen.steps, chosen.batch_size, chosen.latent_dim, chosen.train_size]
    if min(count for count in counts if count is not None) < 1:
        raise InputError("--steps, --batch_size, --latent_dim and --train_size must be at least 1")
    folder = Path(__file__).parent
    path = chosen.data or next((folder / place for place in PLACES if (folder / place).is_file()), None)
    if path is None:
        raise InputError(f"--data=FILE: name MNIST's training images; there is no {' and no '.join(PLACES)} here")
    keras.utils.set_random_seed(chosen.seed)
    images = load_images(path)[: chosen.train_size]
    print(f"{path}: {len(images):,} images")

    encoder, decoder = tanh_vae(chosen.latent_dim)
    how = dict(learning_rate=chosen.learning_rate, kl_weight=chosen.kl_weight, seed=chosen.seed)
    train(encoder, decoder, images, steps=chosen.steps, batch_size=chosen.batch_size, **how)

    existing = images[:NUM_SHOWN]
    mean, _ = encoder(existing)
    noise = tf.random.normal((NUM_SHOWN, chosen.latent_dim))
    draw(chosen.out, [existing, tf.sigmoid(decoder(mean)), tf.sigmoid(decoder(noise))])
    print(f"{chosen.out}: existing images, their reconstructions, new images")
    return chosen.out


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
