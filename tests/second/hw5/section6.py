"""Section 6: a denoising autoencoder (sheet 003, 1.2)."""

import keras
import numpy as np
from keras import ops
from scipy.ndimage import median_filter

from hw5 import data, networks
from hw5.common import fit, mnist, picture, save


def run(out="figures/section6", hidden=(1024, 512), epochs=10, train_size=None, batch_size=100):
    """Train a multilayer perceptron that removes noise from one 8×8 patch, at a random place of each image (6.1).

    Draw rows of clean, noisy and denoised test images (6.2).

    Args:
        hidden: the widths of `networks.denoising_autoencoder`.

    Returns:
        {"results": {"noisy": row, "median filter": row, "denoised": row}}, where a row of test images has "mse" per
        pixel of images in [0, 1], "psnr" in dB, and "patch_mse" and "patch_psnr" of the noisy patch alone (6.3).
    """
    # TODO start
    train, _ = mnist(train_size)
    model = Denoiser(*networks.denoising_autoencoder(hidden))
    fit(model, train, batch_size, epochs=epochs)
    test = data.load("mnist", "test") / np.float32(255)
    noisy, mask = (np.asarray(part) for part in add_noise(test, keras.random.SeedGenerator(0)))
    denoised = np.asarray(ops.sigmoid(model.denoise(noisy)))
    images = {"noisy": noisy, "median filter": median_filter(noisy, (1, 3, 3, 1)), "denoised": denoised}
    picture(f"{out}/rows.png", [test[:12], noisy[:12], denoised[:12]])
    return save(out, {name: quality(test, found, mask) for name, found in images.items()})
    # TODO end


def add_noise(images, seed):
    """Add N(0, 0.5²) to a patch of 8×8 of each image; return the mask as well."""
    count = ops.shape(images)[0]
    inside = []
    for _ in range(2):
        start = keras.random.randint((count, 1), 0, 28 - 8 + 1, seed=seed)
        place = ops.arange(28)[None]
        inside.append(ops.cast((place >= start) & (place < start + 8), "float32"))
    mask = (inside[0][:, :, None] * inside[1][:, None, :])[..., None]
    return images + 0.5 * mask * keras.random.normal(ops.shape(images), seed=seed), mask


class Denoiser(keras.Model):
    """An autoencoder that gets the noisy images, with the clean ones as its target."""

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.noise = keras.random.SeedGenerator()

    def denoise(self, images):
        return self.decoder(self.encoder(images))

    def call(self, images):
        return self.denoise(add_noise(images, self.noise)[0])

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.mean(ops.square(ops.sigmoid(y_pred) - x))


def quality(clean, images, mask):
    squares = (images.astype(np.float64) - clean) ** 2
    mse, patch_mse = squares.mean(), (squares * mask).sum() / mask.sum()
    psnr, patch_psnr = -10 * np.log10(mse), -10 * np.log10(patch_mse)
    return {"mse": mse, "psnr": psnr, "patch_mse": patch_mse, "patch_psnr": patch_psnr}
