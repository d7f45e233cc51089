"""Section 1: autoencoders (sheet 000, part I).

Linear, non-linear and stacked autoencoders of MNIST with k code units, and PCA, which bounds the
linear one from below.

    python -m hw5.section1                                  # everything
    python -m hw5.section1 --variant=linear --k=5           # I.1–I.5 for one k
    python -m hw5.section1 --variant=stacked --nopretrain   # I.7, end to end only
"""

import time

import numpy as np
from scipy.linalg import subspace_angles

from hw5 import data, figures, flags, models, networks, pca, results, training, visualize
from hw5.errors import InputError

VARIANTS = ("linear", "nonlinear", "stacked")


def run(
    *,
    variant=VARIANTS,
    k=(2, 5, 10, 50, 100),
    hidden=(256, 128),
    pretrain=True,
    pretrain_epochs=1,
    dataset="mnist",
    epochs=6,
    batch_size=128,
    learning_rate=7e-3,
    train_size=None,
    seed=0,
    restart=False,
    train=True,
    out="figures/section1",
    run_dir="runs/section1",
):
    """Train every variant for every k, compare them with PCA, and draw the figures.

    Args:
        variant: any of "linear", "nonlinear", "stacked".
        k: numbers of code units.
        hidden: widths of the stacked encoder's hidden layers.
        pretrain: train a second stacked autoencoder, after layer-wise pre-training.
        pretrain_epochs: passes over the images for each of its pairs of layers, before the `epochs` of all.

    Returns:
        The contents of metrics.json; `results` holds the validation MSE by variant and k.
    """
    settings, started = dict(locals()), time.time()
    folder, run_dir = results.output_folder(out), results.output_folder(run_dir, "run_dir")
    images, validation = data.train_validation(dataset, train_size)  # I.2
    k = sorted(set(k))
    if k[-1] >= images[0].size:
        raise InputError(f"--k={k[-1]}: must be smaller than the {images[0].size} pixels")
    mean, directions = pca.principal_components(images, k[-1])  # I.5
    bound = {dim: pca.reconstruction_error(validation, mean, directions[:, :dim]) for dim in k}

    variants = flags.several(variant)
    if unknown := set(variants) - set(VARIANTS):
        raise InputError(f"--variant={unknown.pop()}: must be one of {', '.join(VARIANTS)}")
    if "stacked" in variants and pretrain:
        variants.append("pretrained")
    trained, histories = {}, {}
    for name in variants:
        for dim in k:
            print(f"{name} autoencoder, k = {dim}")
            schedule = dict(batch_size=batch_size, learning_rate=learning_rate, seed=seed, restart=restart)
            schedule["settings"] = {"variant": name, "k": dim, "dataset": dataset, "train_size": train_size}
            if name in ("stacked", "pretrained"):
                schedule["settings"]["hidden"] = list(hidden)
            if name == "pretrained":
                schedule["settings"]["pretrain_epochs"] = pretrain_epochs
            where = run_dir / f"{name}_k{dim}"

            def build_and_pretrain(name=name, dim=dim, schedule=schedule, where=where):
                model = build(name, dim, hidden, images.shape[1:])
                if name == "pretrained" and train:
                    training.pretrain(model, images, run_dir=where, epochs=pretrain_epochs, **schedule)
                return model

            model, histories[name, dim] = training.fit(
                build_and_pretrain, images, validation, run_dir=where, epochs=epochs, train=train, **schedule
            )
            visualize.code_figures(model, images, validation, folder, f"{name}_k{dim}")  # I.4
            trained[name, dim] = model

    mse = {name: {dim: training.evaluate(trained[name, dim], validation)["mse"] for dim in k} for name in variants}
    angles = {dim: principal_angles(directions[:, :dim], trained["linear", dim]) for dim in k if "linear" in variants}
    errors = {"PCA": bound} | mse
    draw_comparisons(folder, trained, histories, errors, angles, data.scale(validation[: visualize.SHOWN]))
    print_table(errors)
    headline = {f"MSE {name} k={k[-1]}": values[k[-1]] for name, values in errors.items()}
    if "linear" in variants:
        headline["linear/PCA at worst"] = max(mse["linear"][dim] / bound[dim] for dim in k)
    measured = {
        "mse": mse,
        "pca_mse": bound,
        "principal_angles_degrees": angles,
        "history": {f"{name}, k={dim}": history for (name, dim), history in histories.items()},
    }
    return results.save_metrics(folder, settings=settings, results=measured, headline=headline, started=started)


def build(name, dim, hidden, image_shape):
    """One of the autoencoders of I.1 (linear), I.6 (nonlinear) and I.7 (stacked), untrained."""
    if name == "linear":
        return models.Autoencoder(*networks.linear_autoencoder(dim, image_shape))
    if name == "nonlinear":
        return models.Autoencoder(*networks.nonlinear_autoencoder(dim, image_shape), loss="cross_entropy")
    return models.Autoencoder(*networks.stacked_autoencoder(dim, hidden, image_shape=image_shape), loss="cross_entropy")


def principal_angles(directions, model):
    """I.5: the angles between a subspace and the one that the linear decoder spans, in degrees, rising."""
    spanned = np.transpose(model.decoder.get_layer("pixels").kernel)
    return np.sort(np.degrees(subspace_angles(directions, spanned)))


def draw_comparisons(folder, trained, histories, errors, angles, originals):
    """Reconstructions over k, errors beside PCA's, angles to PCA's subspace, and what pre-training does."""
    variants, dims = [name for name in errors if name != "PCA"], list(errors["PCA"])
    for name in variants:
        rows = [("original", originals)] + [(f"$k = {dim}$", trained[name, dim].reconstruct(originals)) for dim in dims]
        figures.image_rows(folder / f"reconstructions_{name}.png", rows)
    lines = {name: (dims, list(values.values())) for name, values in errors.items()}
    axes = dict(xlabel="code units $k$", ylabel="validation MSE per pixel")
    figures.curves(folder / "error.png", lines, **axes, log="xy", dashed=["PCA"], markers=True)
    if angles:
        lines = {f"$k = {dim}$": (np.arange(1, dim + 1), values) for dim, values in angles.items()}
        axes = dict(xlabel="principal angle", ylabel="degrees between autoencoder and PCA")
        figures.curves(folder / "principal_angles.png", lines, **axes, log="x")
    if "pretrained" in variants:
        lines, dashed = {}, [f"pre-trained, $k = {dim}$" for dim in dims]
        for dim, label in zip(dims, dashed, strict=True):
            for name, source in ((f"end to end, $k = {dim}$", "stacked"), (label, "pretrained")):
                values = histories[source, dim].get("val_mse", [])
                lines[name] = (range(1, len(values) + 1), values)
        axes = dict(xlabel="epoch", ylabel="validation MSE per pixel")
        figures.curves(folder / "pretraining.png", lines, **axes, log="y", dashed=dashed)


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
    flags.DEFINE_integer("pretrain_epochs", flags.default(run, "pretrain_epochs"), "Epochs of a layer.", lower_bound=1)
    flags.launch(run)
