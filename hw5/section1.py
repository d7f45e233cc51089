"""Section 1: autoencoders (sheet 000, part I).

Linear, non-linear and stacked autoencoders of MNIST with k code units, compared with PCA. The error of PCA is a
lower bound for the error of the linear autoencoder.

    python -m hw5.section1                                  # everything
    python -m hw5.section1 --variant=linear --k=5           # I.1–I.5 for one k
    python -m hw5.section1 --variant=stacked --nopretrain   # I.7, end to end only
"""

import itertools

import numpy as np
from scipy.linalg import subspace_angles

from hw5 import command_line, data, figures, metrics, models, networks, training
from hw5.errors import InputError
from hw5.metrics import pca
from hw5.section import section
from hw5.section_settings import EpochTraining
from hw5.settings import Several, setting
from hw5.tables import print_table

VARIANTS = ("linear", "nonlinear", "stacked")
NUM_SHOWN = 10  # images per row


class Settings(EpochTraining):
    variant: Several[str] = setting(VARIANTS, "Autoencoders to train.", choices=VARIANTS)
    k: Several[int] = setting((2, 5, 10, 50, 100), "Code units.", at_least=1)
    hidden: Several[int] = setting(
        (256, 128), "Widths of the stacked encoder's hidden layers.", at_least=1, may_repeat=True
    )
    linear_epochs: int = setting(
        8, "Passes for the linear autoencoder, which is slow near saddles (I.5) and quick to compute.", at_least=1
    )
    pretrain: bool = setting(True, "Train a second stacked autoencoder, after layer-wise pre-training.")
    pretrain_epochs: int = setting(1, "Passes over the images for each of its pairs of layers.", at_least=1)
    epochs = 3
    learning_rate = 7e-3
    PRESETS = {
        "smoke": dict(epochs=1, linear_epochs=1, train_size=512, k=5),
        "long": dict(epochs=6, linear_epochs=20),
        "paper": dict(epochs=50, linear_epochs=50),
    }


def main(settings, run):
    """Train every variant for every k, compare them with PCA, and draw the figures.

    Returns:
        The contents of metrics.json; `results` holds the validation MSE by variant and k.
    """
    images, validation = run.train_validation()  # I.2
    k = sorted(settings.k)
    if k[-1] >= images[0].size:
        raise InputError(f"k={k[-1]}: must be smaller than the {images[0].size} pixels of an image")
    mean, directions = pca.principal_components(images, k[-1])  # I.5
    bound = {dim: pca.reconstruction_error(validation, mean, directions[:, :dim]) for dim in k}

    pretrained = ["pretrained"] if settings.pretrain and "stacked" in settings.variant else []
    variants = [*settings.variant, *pretrained]
    trained, histories = {}, {}
    for name, dim in itertools.product(variants, k):
        print(f"{name} autoencoder, k = {dim}")

        alone = {"variant": "stacked" if name == "pretrained" else name, "k": dim}
        alone["epochs"] = settings.linear_epochs if name == "linear" else settings.epochs

        def build(name=name, dim=dim):
            return autoencoder(name, dim, settings.hidden, images.shape[1:])

        def initialize(model, name=name, dim=dim, alone=alone):
            if name == "pretrained":
                schedule = settings.replace(epochs=settings.pretrain_epochs).schedule(len(images))
                run.pretrain(f"{name}_k{dim}", model, images, schedule, **alone)

        how = dict(initialize=initialize, **alone)
        model, histories[name, dim] = run.fit(f"{name}_k{dim}", build, images, validation, **how)
        figures.latent.autoencoder_figures(model, images, validation, run.folder, f"{name}_k{dim}")  # I.4
        trained[name, dim] = model

    mse = {name: {dim: training.evaluate(trained[name, dim], validation)["mse"] for dim in k} for name in variants}
    linear = k if "linear" in variants else []
    angles = {dim: principal_angles(directions[:, :dim], trained["linear", dim]) for dim in linear}
    errors = {"PCA": bound} | mse
    draw_comparisons(run, trained, histories, errors, angles, data.scale(validation[:NUM_SHOWN]))
    rows = {name: {str(dim): value for dim, value in values.items()} for name, values in errors.items()}
    trivial = metrics.trivial_losses(images, validation)
    rows = {name: {"0": losses["mse"]} for name, losses in trivial.items()} | rows
    print_table("validation MSE", rows, {f"k={dim}": (str(dim), ".5f") for dim in (0, *k)})

    headline = {f"MSE {name} k={k[-1]}": values[k[-1]] for name, values in errors.items()}
    if linear:
        headline["linear/PCA at worst"] = max(mse["linear"][dim] / bound[dim] for dim in k)
    return headline, {
        "mse": mse,
        "pca_mse": bound,
        "trivial_predictors": trivial,
        "principal_angles_degrees": angles,
        "history": {f"{name}, k={dim}": history for (name, dim), history in histories.items()},
    }


def autoencoder(name, dim, hidden, image_shape):
    """Build one of the autoencoders of I.1 (linear), I.6 (nonlinear) and I.7 (stacked, pretrained), untrained."""
    if name == "linear":
        return models.Autoencoder(*networks.linear_autoencoder(dim, image_shape))
    if name == "nonlinear":
        return models.Autoencoder(*networks.nonlinear_autoencoder(dim, image_shape), loss="cross_entropy")
    return models.Autoencoder(*networks.stacked_autoencoder(dim, hidden, image_shape=image_shape), loss="cross_entropy")


def principal_angles(directions, model):
    """Compute the angles between a subspace and that of the linear decoder, in degrees, in rising order (I.5)."""
    spanned = np.transpose(model.decoder.get_layer("pixels").kernel)
    return np.sort(np.degrees(subspace_angles(directions, spanned)))


def draw_comparisons(run, trained, histories, errors, angles, originals):
    """Draw reconstructions over k, errors and subspaces compared with PCA's, and the effect of pre-training."""
    variants, k = [name for name in errors if name != "PCA"], list(errors["PCA"])
    for name in variants:
        rows = [("original", originals)] + [(f"$k = {dim}$", trained[name, dim].reconstruct(originals)) for dim in k]
        figures.image_rows(run.figure(f"reconstructions_{name}"), rows)
    mse = "validation MSE per pixel"
    lines = {name: (k, list(values.values())) for name, values in errors.items()}
    axes = dict(xlabel="code units $k$", ylabel=mse, log="xy", markers=True)
    figures.curves(run.figure("error"), lines, dashed=["PCA"], **axes)
    if angles:
        lines = {f"$k = {dim}$": (np.arange(1, dim + 1), values) for dim, values in angles.items()}
        axes = dict(xlabel="number of the principal angle", ylabel="angle in degrees")
        figures.curves(run.figure("principal_angles"), lines, **axes, log="x")
    if "pretrained" in variants:
        lines = {}
        for dim, (label, name) in itertools.product(k, {"end to end": "stacked", "pre-trained": "pretrained"}.items()):
            values = histories[name, dim].get("val_mse", [])
            lines[f"{label}, $k = {dim}$"] = (range(1, len(values) + 1), values)
        dashed = [label for label in lines if label.startswith("pre-trained")]
        figures.curves(run.figure("pretraining"), lines, xlabel="epoch", ylabel=mse, log="y", dashed=dashed)


run = section(Settings, main)

if __name__ == "__main__":
    command_line.launch(run)
