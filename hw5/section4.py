"""Section 4: a dense VAE with a tuned KL weight (sheet 001).

784 → 200 (tanh, dropout) → 32 latents and back. A sweep over the weight of the KL divergence, from 0
upwards; with the chosen weight, the figure to hand in and a count of the digits that samples show.

    python -m hw5.section4                                  # everything
    python -m hw5.section4 --kl_weight=1 --sweep=1          # one model
    python -m hw5.section4 --train_size=100 --kl_weight=0 --sweep=0   # the sheet's first check
"""

import time

import numpy as np

from hw5 import data, figures, flags, models, networks, results, training
from hw5.metrics import MnistClassifier, class_shares

COLUMNS = 16
SAMPLES = 1000


def run(
    *,
    kl_weight=1.0,
    sweep=(0.0, 0.1, 0.5, 1.0, 2.0, 5.0),
    latent_dim=32,
    hidden=200,
    dropout=0.1,
    dataset="mnist",
    steps=10_800,
    batch_size=100,
    learning_rate=3e-3,
    train_size=None,
    seed=0,
    restart=False,
    train=True,
    out="figures/section4",
    run_dir="runs/section4",
):
    """Train the VAE for every KL weight and draw the figures.

    Args:
        kl_weight: the chosen weight, the sheet's 1/L, for the hand-in figure and the samples.
        sweep: the weights to compare; `kl_weight` is always among them.
        steps: length of each training; 10,800 are 20 passes over 54,000 images, and 81,000 the sheet's
            150. Few images are simply seen more often.

    Returns:
        The contents of metrics.json; `results` holds reconstruction, kl and negative_elbo (validation,
        nats an image) by KL weight, the MSE on the training images, and the samples' shares of the classes.
    """
    settings, started = dict(locals()), time.time()
    folder = results.output_folder(out)
    run_dir = results.output_folder(run_dir, "run_dir")
    images, validation = data.train_validation(dataset, train_size)
    classifier = MnistClassifier() if dataset == "mnist" else None
    weights = sorted({*([sweep] if isinstance(sweep, float | int) else sweep), kl_weight})
    shown = data.scale(images[:100])
    length = training.recorded(steps)

    trained, measured = {}, {}
    for weight in weights:
        print(f"VAE, KL weight {weight:g}")
        network = dict(latent_dim=latent_dim, hidden=hidden, dropout=dropout)
        model, history = training.fit(
            lambda network=network, weight=weight: models.VAE(
                *networks.tanh_vae(**network, image_shape=images.shape[1:]), kl_weight=weight
            ),
            images,
            validation,
            run_dir=run_dir / f"kl{weight:g}",
            settings={"dataset": dataset, "train_size": train_size, "kl_weight": weight, **network},
            **length,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
            restart=restart,
            train=train,
        )
        trained[weight] = model
        mse = float(np.mean(np.square(shown - model.reconstruct(shown))))  # 4.5
        measured[f"{weight:g}"] = training.negative_elbo(model, validation) | {"training_mse": mse}
        if weight == kl_weight:
            figures.training_curves(folder / "curves.png", history, steps=length["steps_per_epoch"])
        if classifier:
            shares, confidence = class_shares(classifier.logits(model.sample(SAMPLES, seed=seed)))  # 4.4
            measured[f"{weight:g}"] |= {"class_shares": shares, "confidence": confidence}

    draw(folder, trained, measured, kl_weight, images, validation)
    print_table(measured)
    chosen = measured[f"{kl_weight:g}"]
    headline = {"-ELBO": chosen["negative_elbo"]}
    if classifier:
        headline |= {
            "classes with 3 %": int((chosen["class_shares"] >= 0.03).sum()),
            "confidence": chosen["confidence"],
        }
    return results.save_metrics(folder, settings=settings, results=measured, headline=headline, started=started)


def draw(folder, trained, measured, kl_weight, images, validation):
    """The hand-in figure, the sweep, the first hundred training images, and the shares of the classes."""
    existing, model = data.scale(validation[:COLUMNS]), trained[kl_weight]
    rows = [("existing", existing), ("reconstructed", model.reconstruct(existing))]
    figures.image_rows(folder / "hand_in.png", [*rows, ("new", model.sample(len(existing), seed=0))])  # 4.3

    rows = [("existing", existing)]  # 4.2
    rows += [(f"reconstructed, {weight:g}", model.reconstruct(existing)) for weight, model in trained.items()]
    rows += [(f"new, {weight:g}", model.sample(len(existing), seed=0)) for weight, model in trained.items()]
    figures.image_rows(folder / "sweep_images.png", rows, title="KL weight 0 and upwards" if len(trained) > 1 else None)
    if len(trained) > 1:
        terms = {"reconstruction": "reconstruction", "kl": "KL", "negative_elbo": "$-$ELBO"}
        lines = {name: (list(trained), [row[key] for row in measured.values()]) for key, name in terms.items()}
        figures.curves(folder / "sweep.png", lines, xlabel="KL weight", ylabel="nats an image, validation", log="y")

    shown = data.scale(images[:100])  # 4.5
    side = int(len(shown) ** 0.5)
    pairs = np.concatenate([shown, model.reconstruct(shown)], axis=2)[: side * side]  # side by side
    pairs = pairs.reshape(side, side, *pairs.shape[1:])
    figures.image_grid(folder / "training_images.png", pairs, xlabel="training images and their reconstructions")
    if "class_shares" in measured[f"{kl_weight:g}"]:
        shares = {f"KL weight {weight}": (range(10), 100 * row["class_shares"]) for weight, row in measured.items()}
        axes = dict(xlabel="class", ylabel=f"% of {SAMPLES:,} samples", markers=True)
        figures.curves(folder / "classes.png", shares, **axes)


def print_table(measured):
    """Reconstruction, KL, −ELBO and what the samples show, a row per KL weight."""
    print(f"{'KL weight':<12}{'reconstruction':>15}{'KL':>9}{'-ELBO':>9}{'confidence':>12}{'classes with 3 %':>18}")
    for weight, row in measured.items():
        line = f"{weight:<12}{row['reconstruction']:>15.2f}{row['kl']:>9.2f}{row['negative_elbo']:>9.2f}"
        if "confidence" in row:
            line += f"{row['confidence']:>12.3f}{(row['class_shares'] >= 0.03).sum():>18d}"
        print(line)


if __name__ == "__main__":
    flags.shared(run)
    flags.DEFINE_float("kl_weight", flags.default(run, "kl_weight"), "Chosen weight of the KL term.", lower_bound=0)
    flags.DEFINE_multi_float("sweep", flags.default(run, "sweep"), "KL weights to compare; repeat.", lower_bound=0)
    flags.DEFINE_integer("latent_dim", flags.default(run, "latent_dim"), "Latent dimensions.", lower_bound=1)
    flags.DEFINE_integer("hidden", flags.default(run, "hidden"), "Units of the hidden layers.", lower_bound=1)
    flags.DEFINE_float(
        "dropout", flags.default(run, "dropout"), "Share of dropped units.", lower_bound=0, upper_bound=0.9
    )
    flags.launch(run)
