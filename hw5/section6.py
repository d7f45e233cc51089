"""Section 6: a patch-denoising autoencoder (sheet 003, 1.2).

A multilayer perceptron that removes Gaussian noise from one 8×8 patch at a random place of the image.

    python -m hw5.section6
    python -m hw5.section6 --noise_std=1 --hidden=1024 --hidden=256
"""

import numpy as np
from scipy.ndimage import median_filter

from hw5 import command_line, data, figures, layers, models, networks
from hw5.errors import InputError
from hw5.section import section
from hw5.section_settings import EpochTraining
from hw5.settings import Several, setting
from hw5.tables import print_table

NUM_SHOWN = 12  # images per row


class Settings(EpochTraining):
    noise_std: float = setting(
        0.5, "Standard deviation of the noise, for images in [0, 1]; each step draws noise and place.", at_least=0.01
    )
    patch: int = setting(8, "Side of the noisy patch, in pixels.", at_least=1)
    hidden: Several[int] = setting(
        (1024, 512), "Widths of the encoder, the last of them the code's.", at_least=1, may_repeat=True
    )
    epochs = 5
    learning_rate = 4e-3
    PRESETS = {"smoke": dict(epochs=1, train_size=512), "long": dict(epochs=12), "paper": dict(epochs=100)}


def main(settings, run):
    """Train the autoencoder, and compare it on test images with a median filter.

    Returns:
        The contents of metrics.json; `results` holds MSE and PSNR (dB) of the noisy, the filtered and
        the denoised test images, inside the patch and over the whole image.
    """
    images, validation = run.train_validation()
    test = data.scale(data.load(settings.dataset, "test"))
    height, width = images.shape[1:3]
    if settings.patch > min(height, width):
        raise InputError(f"patch={settings.patch}: larger than the images of {settings.dataset}, {height}×{width}")
    noise = dict(patch=settings.patch, noise_std=settings.noise_std)

    def build():
        pair = networks.denoising_autoencoder(settings.hidden, images.shape[1:])
        return models.DenoisingAutoencoder(*pair, **noise)

    model, history = run.fit(".", build, images, validation)
    figures.training_curves(run.figure("curves"), history)

    noisy, mask = map(np.asarray, layers.PatchNoise(*noise.values(), seed=settings.seed)(test))  # 6.1
    rows = {
        "noisy": noisy,
        "median filter": median_filter(noisy, size=(1, 3, 3, 1), mode="nearest"),
        "denoised": model.predict(noisy, batch_size=1000, verbose=0),
    }
    shown = [(label, row[:NUM_SHOWN]) for label, row in {"clean": test, **rows}.items()]
    figures.image_rows(run.figure("denoised"), shown)  # 6.2
    measured = {label: quality(test, row, mask) for label, row in rows.items()}  # 6.3
    columns = {"PSNR in patch, dB": ("patch_psnr", ".2f"), "PSNR, dB": ("psnr", ".2f")}
    columns |= {"MSE in patch": ("patch_mse", ".5f"), "MSE": ("mse", ".5f")}
    print_table("test images", measured, columns)
    noisy, filtered, denoised = (row["patch_psnr"] for row in measured.values())
    headline = {"PSNR in patch": denoised, "above noisy": denoised - noisy, "above median": denoised - filtered}
    return headline, measured


def quality(clean, images, mask):
    """Compute MSE per pixel and PSNR = −10 log₁₀ MSE in dB (peak 1) of all images, in the patches and everywhere.

    Args:
        clean, images: [n, h, w, c] in [0, 1].
        mask: [n, h, w, 1], 1 in the patch.
    """
    errors = np.square(np.asarray(images, np.float64) - clean)
    mse, patch_mse = errors.mean(), np.average(errors, weights=np.broadcast_to(mask, errors.shape))
    decibel = {"patch_psnr": -10 * np.log10(patch_mse), "psnr": -10 * np.log10(mse)}
    return {"patch_mse": patch_mse, "mse": mse} | decibel


run = section(Settings, main)

if __name__ == "__main__":
    command_line.launch(run)
