"""Section 6: a patch-denoising autoencoder (sheet 003, 1.2).

A multilayer perceptron that removes Gaussian noise from one 8×8 patch at a random place of the image.

    python -m hw5.section6
    python -m hw5.section6 --noise=1 --hidden=1024 --hidden=256
"""

import time

import numpy as np
from scipy.ndimage import median_filter

from hw5 import data, figures, flags, layers, models, networks, results, training
from hw5.errors import InputError

COLUMNS = 12


def run(
    *,
    noise=0.5,
    patch=8,
    hidden=(1024, 512),
    dataset="mnist",
    epochs=12,
    batch_size=128,
    learning_rate=4e-3,
    train_size=None,
    seed=0,
    restart=False,
    train=True,
    out="figures/section6",
    run_dir="runs/section6",
):
    """Train the autoencoder, and compare what it does on test images with a median filter.

    Args:
        noise: standard deviation, for images in [0, 1]; every training step draws noise and place anew.
        patch: side of the patch, in pixels.
        hidden: widths of the encoder's layers, the last of them the code's.

    Returns:
        The contents of metrics.json; `results` holds MSE and PSNR (dB) of the noisy, the filtered and
        the denoised test images, inside the patch and over the whole image.
    """
    settings, started = dict(locals()), time.time()
    folder, run_dir = results.output_folder(out), results.output_folder(run_dir, "run_dir")
    images, validation = data.train_validation(dataset, train_size)
    test = data.scale(data.load(dataset, "test"))
    if patch > min(images.shape[1:3]):
        raise InputError(f"--patch={patch}: larger than the images of {dataset}, {images.shape[1]}×{images.shape[2]}")
    hidden = [hidden] if isinstance(hidden, int) else list(hidden)
    model, history = training.fit(
        lambda: models.DenoisingAutoencoder(
            *networks.denoising_autoencoder(hidden, images.shape[1:]), patch=patch, stddev=noise
        ),
        images,
        validation,
        run_dir=run_dir,
        settings={"dataset": dataset, "train_size": train_size, "noise": noise, "patch": patch, "hidden": hidden},
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        restart=restart,
        train=train,
    )
    figures.training_curves(folder / "curves.png", history)

    noisy, mask = map(np.asarray, layers.PatchNoise(patch, noise, seed=seed)(test))  # 6.1
    results_of = {
        "noisy": noisy,
        "median filter": median_filter(noisy, size=(1, 3, 3, 1), mode="nearest"),
        "denoised": model.predict(noisy, batch_size=1000, verbose=0),
    }
    rows = [("clean", test), *results_of.items()]  # 6.2
    figures.image_rows(folder / "denoised.png", [(label, images[:COLUMNS]) for label, images in rows])
    measured = {label: quality(test, images, mask) for label, images in results_of.items()}  # 6.3
    print(f"{'test images':<16}{'PSNR in patch':>15}{'PSNR':>9}{'MSE in patch':>15}{'MSE':>10}")
    for label, row in measured.items():
        print(
            f"{label:<16}{row['patch_psnr']:>12.2f} dB{row['psnr']:>6.2f} dB"
            f"{row['patch_mse']:>15.5f}{row['mse']:>10.5f}"
        )
    patch_psnr = {label: row["patch_psnr"] for label, row in measured.items()}
    headline = {
        "PSNR in patch": patch_psnr["denoised"],
        "above noisy": patch_psnr["denoised"] - patch_psnr["noisy"],
        "above median": patch_psnr["denoised"] - patch_psnr["median filter"],
    }
    return results.save_metrics(folder, settings=settings, results=measured, headline=headline, started=started)


def quality(clean, images, mask):
    """MSE per pixel, and PSNR = −10 log₁₀ MSE in dB (peak 1), over all images: in the patches and everywhere.

    Args:
        clean, images: [n, h, w, c] in [0, 1].
        mask: [n, h, w, 1], 1 in the patch.
    """
    errors = np.square(np.asarray(images, np.float64) - clean)
    mse, patch_mse = errors.mean(), np.average(errors, weights=np.broadcast_to(mask, errors.shape))
    decibel = {"patch_psnr": -10 * np.log10(patch_mse), "psnr": -10 * np.log10(mse)}
    return {"patch_mse": patch_mse, "mse": mse} | decibel


if __name__ == "__main__":
    flags.shared(run)
    flags.DEFINE_float("noise", flags.default(run, "noise"), "Standard deviation of the noise.", lower_bound=0.01)
    flags.DEFINE_integer("patch", flags.default(run, "patch"), "Side of the noisy patch.", lower_bound=1)
    flags.DEFINE_multi_integer("hidden", flags.default(run, "hidden"), "Widths of the encoder; repeat.", lower_bound=1)
    flags.launch(run)
