"""Section 9: interpolation between codes of a VAE (sheet 003, 3.1).

A dense VAE of the MNIST training set, and interpolations between pairs of test images.

    python -m hw5.section9
    python -m hw5.section9 --latent_dim=10 --seed=3    # other pairs: the seed selects them
"""

import numpy as np

from hw5 import command_line, data, figures, metrics, models, networks, training
from hw5.errors import InputError
from hw5.section import section
from hw5.section_settings import EpochTraining
from hw5.settings import setting
from hw5.tables import ELBO, print_table

NUM_PAIRS = 10
NUM_INTERPOLATES = 7


class Settings(EpochTraining):
    latent_dim: int = setting(20, "Latent dimensions.", at_least=1)
    hidden: int = setting(512, "Units of the hidden layers.", at_least=1)
    epochs = 6
    learning_rate = 5e-3
    PRESETS = {"smoke": dict(epochs=1, train_size=512), "long": dict(epochs=15), "paper": dict(epochs=100)}


def main(settings, run):
    """Train a VAE on the training set only, and interpolate between pairs of test images.

    Returns:
        The contents of metrics.json; `results` holds reconstruction, kl and negative_elbo of validation
        and test images (nats per image), and the positions in the test set of the pairs shown.
    """
    dataset = settings.dataset
    if not data.has_feature(dataset, "label"):
        raise InputError(f"dataset={dataset}: has no labels; they are needed to choose the pairs")
    images, validation = run.train_validation()
    test, labels = data.load(dataset, "test"), data.load(dataset, "test", feature="label")
    kinds = {"same_class": True, "different_classes": False}
    chosen = {name: pairs(labels, same, np.random.default_rng(settings.seed)) for name, same in kinds.items()}

    def build():
        pair = networks.dense_vae(settings.latent_dim, settings.hidden, image_shape=images.shape[1:])
        return models.VAE(*pair)

    model, history = run.fit(".", build, images, validation)
    figures.training_curves(run.figure("curves"), history, ylabel="nats per image")
    measured = {"validation": training.negative_elbo(model, validation), "test": training.negative_elbo(model, test)}
    trivial = metrics.trivial_losses(images, validation)
    print_table("nats per image", trivial | measured, ELBO)
    headline = {f"-ELBO {name}": terms["negative_elbo"] for name, terms in measured.items()}
    for name, pair in chosen.items():
        draw(run.figure(name), model, *(data.scale(test[positions]) for positions in pair))
    return headline, measured | {"trivial_predictors": trivial} | chosen


def draw(path, model, first, last):
    """Draw ten rows of nine images: a test image, seven decoded interpolates, the other test image (9.2)."""
    shares = np.linspace(0, 1, NUM_INTERPOLATES + 2)[1:-1]  # the ends are the images themselves
    between = model.interpolate(model.encode(first), model.encode(last), shares)
    rows = np.concatenate([first[:, None], between, last[:, None]], axis=1)
    labels = dict(left="test image", xlabel=f"{NUM_INTERPOLATES} interpolates", right="test image")
    figures.image_grid(path, rows, width=0.75 * figures.WIDTH, **labels)


def pairs(labels, same, random):
    """Draw ten pairs of images of one class or of two, all of different images.

    Args:
        labels: [n], the class of each image.
        same: whether the two of a pair share their class.

    Returns:
        Two arrays [10] of positions.
    """
    first, last = [], []
    order = list(random.permutation(len(labels)))
    while order and len(first) < NUM_PAIRS:
        position = order.pop(0)
        partner = next((other for other in order if (labels[other] == labels[position]) == same), None)
        if partner is not None:
            order.remove(partner)
            first.append(position)
            last.append(partner)
    if len(first) < NUM_PAIRS:
        classes = "one class" if same else "two classes"
        raise InputError(f"the test set has fewer than {NUM_PAIRS} pairs of {classes}")
    return np.array(first), np.array(last)


run = section(Settings, main)

if __name__ == "__main__":
    command_line.launch(run)
