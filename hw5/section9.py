"""Section 9: interpolation between codes of a VAE (sheet 003, 3.1).

A dense VAE of the MNIST training set, and rows of images between pairs of test images.

    python -m hw5.section9
    python -m hw5.section9 --latent_dim=10 --seed=3    # other digits, too: the pairs follow the seed
"""

import time

import numpy as np

from hw5 import data, figures, flags, models, networks, results, training
from hw5.errors import InputError

PAIRS = 10
INTERPOLATES = 7


def run(
    *,
    latent_dim=20,
    hidden=512,
    dataset="mnist",
    epochs=15,
    batch_size=128,
    learning_rate=5e-3,
    train_size=None,
    seed=0,
    restart=False,
    train=True,
    out="figures/section9",
    run_dir="runs/section9",
):
    """Train a VAE on the training set only, and interpolate between pairs of test images.

    Returns:
        The contents of metrics.json; `results` holds reconstruction, kl and negative_elbo of validation
        and test images (nats an image), and the positions in the test set of the pairs shown.
    """
    settings, started = dict(locals()), time.time()
    folder, run_dir = results.output_folder(out), results.output_folder(run_dir, "run_dir")
    if not data.has_feature(dataset, "label"):
        raise InputError(f"--dataset={dataset}: has no labels, by which to choose pairs of one class and of two")
    images, validation = data.train_validation(dataset, train_size)
    test, labels = data.load(dataset, "test"), data.load(dataset, "test", feature="label")
    model, history = training.fit(
        lambda: models.VAE(*networks.dense_vae(latent_dim, hidden, image_shape=images.shape[1:])),
        images,
        validation,
        run_dir=run_dir,
        settings={"dataset": dataset, "train_size": train_size, "latent_dim": latent_dim, "hidden": hidden},
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        restart=restart,
        train=train,
    )
    figures.training_curves(folder / "curves.png", history)
    measured = {"validation": training.negative_elbo(model, validation), "test": training.negative_elbo(model, test)}
    for name, same in (("same_class", True), ("different_classes", False)):
        first, last = measured[name] = pairs(labels, same, np.random.default_rng(seed))
        first, last = data.scale(test[first]), data.scale(test[last])
        between = model.interpolate(first, last, INTERPOLATES + 2)[:, 1:-1]  # the ends are codes of the images
        rows = np.concatenate([first[:, None], between, last[:, None]], axis=1)
        labels_below = dict(left="test image", xlabel=f"{INTERPOLATES} interpolates", right="test image")
        figures.image_grid(folder / f"{name}.png", rows, width=0.75 * figures.WIDTH, **labels_below)
    headline = {f"-ELBO {name}": measured[name]["negative_elbo"] for name in ("validation", "test")}
    return results.save_metrics(folder, settings=settings, results=measured, headline=headline, started=started)


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
    while order and len(first) < PAIRS:
        one = order.pop(0)
        partner = next((other for other in order if (labels[other] == labels[one]) == same), None)
        if partner is not None:
            order.remove(partner)
            first.append(one)
            last.append(partner)
    if len(first) < PAIRS:
        raise InputError(f"the test set has fewer than {PAIRS} pairs of {'one class' if same else 'two classes'}")
    return np.array(first), np.array(last)


if __name__ == "__main__":
    flags.shared(run)
    flags.DEFINE_integer("latent_dim", flags.default(run, "latent_dim"), "Latent dimensions.", lower_bound=1)
    flags.DEFINE_integer("hidden", flags.default(run, "hidden"), "Units of the hidden layers.", lower_bound=1)
    flags.launch(run)
