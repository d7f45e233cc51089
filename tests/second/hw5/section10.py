"""Section 10: convolutional VAEs (sheet 004)."""

from pathlib import Path

import keras
import numpy as np

from hw5 import metrics, models, networks
from hw5.common import classifier, curves, fit, gaussian, mnist, picture, save


def run(
    out="figures/section10",
    run_dir="runs/section10",
    train=True,
    latent_dim=(3, 10, 100),
    steps=5000,
    train_size=None,
    batch_size=64,
):
    """Train a VAE of MNIST at 32×32 for each latent dimension, and measure its FID.

    The training goes on from the latest checkpoint, weights and optimizer (10.3), gets validation images as
    `validation_data` of `fit`, and writes its curves for TensorBoard (10.4). Draw the curves, validation images, their
    reconstructions, and new images.

    Args:
        run_dir: folder for checkpoints and TensorBoard.
        train: False only evaluates the latest checkpoint.
        latent_dim: choose the sheet's as the default (10.2).

    Returns:
        {"results": {"validation": {"convolutional": {latent_dim: {"reconstruction": nats per image, "samples":
        {the name of the network that gives the features: {"fid": …}}}}}, "history": {a name of the training: {"loss",
        "reconstruction", "kl", "val_loss", "val_reconstruction", "val_kl": numbers over the training}}}}
    """
    # TODO start
    images, validation = mnist(train_size, 32)
    validation = validation[:1000]
    results, histories = {}, {}
    for dim in latent_dim:
        folder = Path(run_dir, f"dim{dim}")
        kept, log = folder / "latest.weights.h5", folder / "history.npy"
        vae = models.VAE(*networks.convolutional_vae(dim))
        vae.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
        vae.optimizer.build(vae.trainable_variables)
        history = {}
        if kept.exists():
            vae(images[:1])  # Keras loads weights into models that were called
            vae.load_weights(kept)
            history = np.load(log, allow_pickle=True).item()
        if train:
            board = keras.callbacks.TensorBoard(folder)
            more = {"validation_data": (validation,), "validation_batch_size": 500, "callbacks": [board]}
            for name, values in fit(vae, images, batch_size, steps=steps, **more).items():
                history.setdefault(name, []).extend(values)
            vae.save_weights(kept)
            np.save(log, history)
        measured = vae.evaluate(validation, batch_size=500, verbose=0, return_dict=True)
        generated = np.asarray(vae.sample(1000))
        classify = classifier(32, run_dir)
        real, fake = (gaussian(np.asarray(classify(part)[0])) for part in (validation, generated))
        fid = metrics.frechet_distance(*fake, *real)
        results[dim] = {"reconstruction": measured["reconstruction"], "samples": {"own_classifier": {"fid": fid}}}
        histories[f"dim{dim}"] = history
        curves(f"{out}/dim{dim}/curves.png", history)
        shown = validation[:10]
        picture(f"{out}/dim{dim}/images.png", [shown, vae.reconstruct(shown), generated[:10]])
    return save(out, {"validation": {"convolutional": results}, "history": histories})
    # TODO end
