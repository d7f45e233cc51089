"""Section 2: variational autoencoders (sheet 000, part II).

A dense VAE of MNIST with k latent dimensions, with the KL divergence in its loss and (II.5) without.

    python -m hw5.section2                        # everything
    python -m hw5.section2 --k=5                  # one k, with and without the KL divergence
    python -m hw5.section2 --k=5 --kl_weight=1    # one model
"""

import itertools

import numpy as np

from hw5 import command_line, data, figures, metrics, models, networks, training
from hw5.section import section
from hw5.section_settings import EpochTraining
from hw5.settings import Several, setting
from hw5.tables import ELBO, print_table

NUM_SHOWN = 10  # images per row


class Settings(EpochTraining):
    k: Several[int] = setting((2, 5, 10, 50, 100), "Latent dimensions.", at_least=1)
    kl_weight: Several[float] = setting(
        (1.0, 0.0), "Weights of the KL divergence: 1 is the ELBO (II.2), 0 the cross-entropy alone (II.5).", at_least=0
    )
    activation: str = setting("softplus", "Non-linearity of the encoder's hidden layer.", choices=networks.ACTIVATIONS)
    epochs = 4
    learning_rate = 1e-2
    PRESETS = {"smoke": dict(epochs=1, train_size=512, k=2), "long": dict(epochs=15), "paper": dict(epochs=100)}


def main(settings, run):
    """Train the VAE for every k and KL weight and draw the figures.

    Returns:
        The contents of metrics.json; `results` holds reconstruction, kl and negative_elbo (validation,
        nats per image) by KL weight and k.
    """
    images, validation = run.train_validation()
    k, weights = sorted(settings.k), settings.kl_weight
    shape = dict(activation=settings.activation, image_shape=images.shape[1:])

    trained, measured, histories = {}, {}, {}
    for weight, dim in itertools.product(weights, k):
        print(f"VAE, k = {dim}, KL weight {weight:g}")
        name = f"k{dim}" if weight == 1 else f"k{dim}_kl{weight:g}"

        def build(dim=dim, weight=weight):
            return models.VAE(*networks.dense_vae(dim, **shape), kl_weight=weight)

        model, histories[f"kl_weight={weight:g}, k={dim}"] = run.fit(  # II.3
            name, build, images, validation, k=dim, kl_weight=weight
        )
        trained[weight, dim] = model
        measured.setdefault(f"kl_weight={weight:g}", {})[f"k={dim}"] = training.negative_elbo(model, validation)
        figures.latent.autoencoder_figures(model, images, validation, run.folder, name)  # II.4
        if dim == 2:
            figures.latent.latent_plane(model, run.figure(f"plane_{name}"))

    draw_comparisons(run, trained, data.scale(validation[:NUM_SHOWN]), k, weights)
    if 2 in k:
        draw_codes(run, {weight: trained[weight, 2] for weight in weights}, validation, settings.dataset)
    rows = {f"{weight}, {dim}": terms for weight, by_k in measured.items() for dim, terms in by_k.items()}
    trivial = metrics.trivial_losses(images, validation)
    print_table("validation, nats per image", trivial | rows, ELBO)
    elbos = measured[f"kl_weight={max(weights):g}"]
    headline = {f"-ELBO {dim}": terms["negative_elbo"] for dim, terms in elbos.items()}
    return headline, {"validation": measured, "trivial_predictors": trivial, "history": histories}


def draw_codes(run, models_of_two, validation, dataset):
    """Draw the codes of the validation images in the plane, coloured by digit if the dataset has labels (II.4)."""
    inputs = data.scale(validation)
    codes = {f"KL weight {weight:g}": np.asarray(model.encode(inputs)) for weight, model in models_of_two.items()}
    labels = data.load(dataset, "train[90%:]", feature="label") if data.has_feature(dataset, "label") else None
    figures.scatter(run.figure("codes_k2"), codes, labels, xlabel=r"$\mu_1$", ylabel=r"$\mu_2$")


def draw_comparisons(run, trained, originals, k, weights):
    """Draw reconstructions and samples over k for each KL weight, and of all weights side by side for each k."""

    def rows(labels):
        """Yield the originals, then the reconstructions and then the samples of some models."""
        yield "original", originals
        for key, label in labels.items():
            yield label, trained[key].reconstruct(originals)
        for key, label in labels.items():
            label = label.removeprefix("KL ")  # the longest labels would leave little room for the images
            yield f"sample, {label}", trained[key].sample(len(originals), seed=0)

    for weight in weights:
        labels = {(weight, dim): f"$k = {dim}$" for dim in k}
        figures.image_rows(run.figure(f"overview_kl{weight:g}"), [*rows(labels)], title=f"KL weight {weight:g}")
    for dim in k if len(weights) > 1 else []:
        labels = {(weight, dim): f"KL weight {weight:g}" for weight in weights}
        figures.image_rows(run.figure(f"kl_weights_k{dim}"), [*rows(labels)])


run = section(Settings, main)

if __name__ == "__main__":
    command_line.launch(run)
