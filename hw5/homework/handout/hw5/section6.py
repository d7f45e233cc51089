"""Section 6: a denoising autoencoder (sheet 003, 1.2)."""


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
    raise NotImplementedError
    # TODO end
