"""Section 1: autoencoders (sheet 000, part I).

Linear, non-linear and stacked autoencoders of MNIST with k code units, and PCA, which bounds the
linear one from below.

    python -m hw5.section1                                  # everything
    python -m hw5.section1 --variant=linear --k=5           # I.1–I.5 for one k
    python -m hw5.section1 --variant=stacked --nopretrain   # I.7, end to end only
"""

import time
from pathlib import Path

import keras
import numpy as np
from scipy.linalg import subspace_angles

from hw5 import data, figures, flags, models, networks, pca, results, training, visualize

VARIANTS = ("linear", "nonlinear", "stacked")
SHOWN = 10  # images in a row of the figures


def run(
    *,
    variant=VARIANTS,
    k=(2, 5, 10, 50, 100),
    hidden=(512, 128),
    pretrain=True,
    dataset="mnist",
    epochs=7,
    batch_size=128,
    learning_rate=7e-3,
    train_size=None,
    seed=0,
    out="figures/section1",
    run_dir="runs/section1",
):
    """Train every variant for every k, compare them with PCA, and draw the figures.

    Args:
        variant: any of "linear", "nonlinear", "stacked".
        k: numbers of code units.
        hidden: widths of the stacked encoder's hidden layers.
        pretrain: train the stacked autoencoder a second time after layer-wise pre-training.

    Returns:
        The contents of metrics.json; `results` holds the validation MSE by variant and k.
    """
    settings, started = dict(locals()), time.time()
    folder = results.output_folder(out)
    images, validation = data.train_validation(dataset, train_size)  # I.2

    variants = [name for name in VARIANTS if name in variant]
    if "stacked" in variants and pretrain:
        variants.append("pretrained")
    trained, histories = {}, {}
    for name in variants:
        for dim in k:
            print(f"{name} autoencoder, k = {dim}")
            keras.utils.set_random_seed(seed)
            model = build(name, dim, hidden, images.shape[1:])
            schedule = dict(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, seed=seed)
            if name == "pretrained":
                training.pretrain(model, images, **{**schedule, "epochs": max(epochs // 4, 1)})
            histories[name, dim] = training.fit(model, images, validation, **schedule)
            models.save(model, Path(run_dir) / f"{name}_k{dim}")
            visualize.code_figures(model, images[:SHOWN], validation[:SHOWN], folder, f"{name}_k{dim}")  # I.4
            trained[name, dim] = model

    mse = {name: {dim: histories[name, dim]["val_mse"][-1] for dim in k} for name in variants}
    measured = {"mse": mse, "history": {f"{name}, k={dim}": log for (name, dim), log in histories.items()}}
    bound, angles = compare_with_pca(images, validation, {dim: trained.get(("linear", dim)) for dim in k})
    measured |= {"pca_mse": bound, "principal_angles_degrees": angles}

    originals = data.scale(validation[:SHOWN])
    for name in variants:
        rows = [("original", originals)] + [(f"$k = {dim}$", trained[name, dim].reconstruct(originals)) for dim in k]
        figures.image_rows(folder / f"reconstructions_{name}.png", rows)
    errors = {"PCA": bound} | mse
    figures.curves(
        folder / "error.png",
        {name: (list(k), list(values.values())) for name, values in errors.items()},
        xlabel="code units $k$",
        ylabel="validation MSE per pixel",
        log="xy",
        dashed=["PCA"],
        markers=True,
    )
    if angles:
        figures.curves(
            folder / "principal_angles.png",
            {f"$k = {dim}$": (np.arange(1, dim + 1), values) for dim, values in angles.items()},
            xlabel="principal angle",
            ylabel="degrees between autoencoder and PCA",
            log="x",
        )
    if "pretrained" in variants:
        figures.curves(
            folder / "pretraining.png",
            {
                f"{name}, $k = {dim}$": (range(1, epochs + 1), histories[source, dim]["val_mse"])
                for dim in k
                for name, source in (("end to end", "stacked"), ("pre-trained", "pretrained"))
            },
            xlabel="epoch",
            ylabel="validation MSE per pixel",
            log="y",
            dashed=[f"pre-trained, $k = {dim}$" for dim in k],
        )
    print_table(errors)
    headline = {f"MSE {name} k={k[-1]}": values[k[-1]] for name, values in errors.items()}
    if "linear" in variants:
        headline["linear/PCA at worst"] = max(mse["linear"][dim] / bound[dim] for dim in k)
    return results.save_metrics(folder, settings=settings, results=measured, headline=headline, started=started)


def build(name, dim, hidden, image_shape):
    """One of the autoencoders of I.1 (linear), I.6 (nonlinear) and I.7 (stacked), untrained."""
    if name == "linear":
        return models.Autoencoder(*networks.linear_autoencoder(dim, image_shape))
    if name == "nonlinear":
        return models.Autoencoder(*networks.nonlinear_autoencoder(dim, image_shape), loss="cross_entropy")
    return models.Autoencoder(*networks.stacked_autoencoder(dim, hidden, image_shape=image_shape), loss="cross_entropy")


def compare_with_pca(images, validation, linear):
    """I.5: PCA's validation MSE for each k, and the angles between its subspace and the linear decoder's."""
    mean, directions = pca.principal_components(images)
    bound = {dim: pca.reconstruction_error(validation, mean, directions[:, :dim]) for dim in linear}
    angles = {
        dim: np.degrees(subspace_angles(directions[:, :dim], np.transpose(model.decoder.get_layer("pixels").kernel)))
        for dim, model in linear.items()
        if model
    }
    return bound, {dim: np.sort(values) for dim, values in angles.items()}


def print_table(errors):
    """Validation MSE, a row per method and a column per k."""
    print("validation MSE  " + "".join(f"{f'k={dim}':>10}" for dim in errors["PCA"]))
    for name, values in errors.items():
        print(f"{name:<16}" + "".join(f"{value:>10.5f}" for value in values.values()))


if __name__ == "__main__":
    flags.shared(run)
    flags.DEFINE_multi_enum("variant", flags.default(run, "variant"), VARIANTS, "Autoencoder; repeat for several.")
    flags.DEFINE_multi_integer("k", flags.default(run, "k"), "Code units; repeat for several.", lower_bound=1)
    flags.DEFINE_multi_integer("hidden", flags.default(run, "hidden"), "Widths of the stacked encoder.", lower_bound=1)
    flags.DEFINE_boolean("pretrain", flags.default(run, "pretrain"), "Also train the stacked one layer by layer first.")
    flags.launch(run)
