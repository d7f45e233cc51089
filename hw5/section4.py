"""Section 4: a dense VAE with a tuned KL weight (sheet 001).

784 → 200 (tanh) → 32 latents and back. The section sweeps over the weight of the KL divergence, from 0 upwards.
With the chosen weight it draws the figure to hand in, and counts the digits that samples show.

The default of the weight was chosen by this sweep, for what the sheet asks for: recognisable digits of most classes.
Of the weights whose samples show each digit in 3 % or more, it has the lowest FID by the digit classifier. The weight
of the lowest −ELBO is another one. All samples are of z ~ N(0, I).

    python -m hw5.section4                                  # everything
    python -m hw5.section4 --kl_weight=1 --sweep=1          # one model
    python -m hw5.section4 --train_size=100 --kl_weight=0 --sweep=0   # the sheet's first check
"""

import numpy as np

from hw5 import command_line, data, figures, metrics, models, networks, training
from hw5.section import section
from hw5.section_settings import OnImages, SampleEvaluation, StepTraining
from hw5.settings import Several, setting
from hw5.tables import ELBO, print_table

NUM_SHOWN = 16  # images per row


class Settings(OnImages, StepTraining, SampleEvaluation):
    kl_weight: float = setting(
        3.0, "Chosen weight of the KL term, the sheet's 1/L, for the hand-in figure and the samples.", at_least=0
    )
    sweep: Several[float] = setting(
        (0.0, 0.1, 0.3, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0),
        "KL weights to compare; the chosen one is always among them.",
        at_least=0,
        may_be_empty=True,
    )
    latent_dim: int = setting(32, "Latent dimensions.", at_least=1)
    hidden: int = setting(200, "Units of the hidden layers.", at_least=1)
    dropout: float = setting(0.1, "Share of the encoder's hidden units that are dropped.", at_least=0, at_most=0.9)
    fid_samples = 5000
    steps = 13_500  # 25 passes over 54,000 images, more over fewer
    batch_size = 100
    learning_rate = 1e-2
    PRESETS = {
        "smoke": dict(steps=30, train_size=512, sweep=0, fid_samples=16),
        "paper": dict(steps=81_000),  # the sheet's 150 passes
        "sheet": dict(steps=81_000),
    }


def main(settings, run):
    """Train the VAE for every KL weight and draw the figures.

    Returns:
        The contents of metrics.json; `results` holds by KL weight reconstruction, kl and negative_elbo
        (validation, nats per image), the MSE on the training images, and by the digit classifier the FID of the
        samples, which digits they show, and with which confidence.
    """
    images, validation = run.train_validation()
    evaluate = None
    if settings.dataset == "mnist":
        how = dict(metrics=("fid", "class_proportions"), verbose=False)
        evaluate = metrics.evaluator("mnist", [metrics.MnistClassifier()], settings.fid_samples, 28, **how)
    shown = data.scale(images[:100])
    network = dict(hidden=settings.hidden, dropout=settings.dropout, image_shape=images.shape[1:])

    trained, measured = {}, {}
    for weight in sorted({*settings.sweep, settings.kl_weight}):
        print(f"VAE, KL weight {weight:g}")

        def build(weight=weight):
            return models.VAE(*networks.tanh_vae(settings.latent_dim, **network), kl_weight=weight)

        model, history = run.fit(f"kl{weight:g}", build, images, validation, kl_weight=weight, sweep=())
        trained[weight] = model
        mse = float(np.mean(np.square(shown - model.reconstruct(shown))))  # 4.5
        samples = model.sample(settings.fid_samples, seed=settings.seed)
        measured[f"{weight:g}"] = training.negative_elbo(model, validation) | {
            "training_mse": mse,
            "samples": evaluate(samples) if evaluate else {},  # 4.4
        }
        if weight == settings.kl_weight:
            steps_per_epoch = settings.schedule(len(images)).steps_per_epoch
            figures.training_curves(run.figure("curves"), history, steps=steps_per_epoch, ylabel="nats per image")

    draw_images(run, trained, images, validation)
    draw_numbers(run, measured)
    trivial = metrics.trivial_losses(images, validation)
    print_results(trivial, measured)
    chosen = measured[f"{settings.kl_weight:g}"]
    headline = {"-ELBO": chosen["negative_elbo"]}
    for row in chosen["samples"].values():
        headline |= {"FID": row["fid"], "classes with 3 %": row["classes_covered"], "confidence": row["confidence"]}
        headline["KL weight"], headline["best KL weight"] = settings.kl_weight, float(best_weight(measured))
    return headline, measured | {"trivial_predictors": trivial}


def best_weight(measured):
    """Choose the KL weight whose samples cover all classes, or the most of them, with the lowest FID."""

    def merit(weight):
        row = measured[weight]["samples"]["mnist_classifier"]
        return -row["classes_covered"], row["fid"]

    return min(measured, key=merit)


def draw_images(run, trained, images, validation):
    """Draw the hand-in figure (4.3), the images of the sweep (4.2), and the first hundred training images (4.5)."""
    existing, chosen = data.scale(validation[:NUM_SHOWN]), trained[run.settings.kl_weight]
    reconstructed = {weight: model.reconstruct(existing) for weight, model in trained.items()}
    new = {weight: model.sample(len(existing), seed=0) for weight, model in trained.items()}
    rows = [("reconstructed", reconstructed[run.settings.kl_weight]), ("new", new[run.settings.kl_weight])]
    figures.image_rows(run.figure("hand_in"), [("existing", existing), *rows])

    rows = [(f"reconstructed, {weight:g}", row) for weight, row in reconstructed.items()]
    rows += [(f"new, {weight:g}", row) for weight, row in new.items()]
    title = "KL weight 0 and upwards" if len(trained) > 1 else None
    figures.image_rows(run.figure("sweep_images"), [("existing", existing), *rows], title=title)

    shown = data.scale(images[:100])
    pairs = np.concatenate([shown, chosen.reconstruct(shown)], axis=2)  # side by side
    figures.image_grid(
        run.figure("training_images"), figures.square(pairs), xlabel="training images and their reconstructions"
    )


def draw_numbers(run, measured):
    """Draw the terms of the loss over the KL weight (4.2), and the classes of the samples (4.4)."""
    weights = [float(weight) for weight in measured]
    if len(weights) > 1:
        terms = {"reconstruction": "reconstruction", "kl": "KL", "negative_elbo": "$-$ELBO"}
        lines = {name: (weights, [row[key] for row in measured.values()]) for key, name in terms.items()}
        axes = dict(xlabel="KL weight", ylabel="nats per image, validation", log="y")
        figures.curves(run.figure("sweep"), lines, **axes)
    shown = {f"{weight:g}" for weight in (min(weights), 1, run.settings.kl_weight)}
    proportions = {
        f"KL weight {weight}": 100 * evaluated["class_proportions"]
        for weight, row in measured.items()
        for evaluated in row["samples"].values()
        if weight in shown
    }
    if proportions:
        share = 100 / len(next(iter(proportions.values())))
        axes = dict(xlabel="class", ylabel=f"% of {run.settings.fid_samples:,} samples", reference=share)
        figures.bars(run.figure("classes"), proportions, **axes)


def print_results(trivial, measured):
    """Print the validation terms and the metrics of the samples, one row per KL weight."""
    names = {"FID": "fid", "real vs. real": "real_vs_real_fid", "confidence": "confidence"}
    columns = ELBO | {label: (f"samples/mnist_classifier/{key}", ".3g") for label, key in names.items()}
    columns["classes with 3 %"] = ("samples/mnist_classifier/classes_covered", "d")
    columns["samples"] = ("samples/mnist_classifier/num_samples", ",d")
    print_table("KL weight", trivial | measured, columns)


run = section(Settings, main)

if __name__ == "__main__":
    command_line.launch(run)
