"""Section 10: convolutional VAEs (sheet 004).

VAEs of MNIST at 32×32 with 3, 10 and 100 latent dimensions. They have the networks of the sheet's layer table, or
for comparison shallower or dense networks.

    python -m hw5.section10                                                # everything
    python -m hw5.section10 --architecture=convolutional --latent_dim=10   # one model
    python -m hw5.section10 --prior=mixture                                # all samples from another prior
    python -m hw5.section10 --notrain                                      # evaluate the latest checkpoints
    python -m hw5.section10 --fid_samples=10000                            # as many samples as in papers, for a GPU

`tensorboard --logdir runs` shows the curves, images, reconstructions and samples during training.
"""

from hw5 import command_line, data, distributions, figures, metrics, models, networks, training
from hw5.section import section
from hw5.section_settings import InceptionEvaluation, MixedPrecision, OnImages, StepTraining
from hw5.settings import Several, setting
from hw5.tables import ELBO, print_evaluations, print_table

SIZE = 32
ARCHITECTURES = {
    "convolutional": networks.convolutional_vae,
    "shallow": networks.shallow_vae,
    "dense": networks.dense_vae,
}
NUM_SHOWN = 10  # images per row
BY_DIGITS = metrics.MnistClassifier.key


class Settings(OnImages, StepTraining, MixedPrecision, InceptionEvaluation):
    latent_dim: Several[int] = setting((3, 10, 100), "Latent dimensions (10.2).", at_least=1)
    architecture: Several[str] = setting(
        tuple(ARCHITECTURES),
        "Networks: the sheet's table, or others (10.6). InceptionV3 evaluates the first, the digit classifier all.",
        choices=tuple(ARCHITECTURES),
    )
    prior: Several[str] = setting(
        tuple(distributions.PRIORS),
        "Priors of the samples: standard, N(0, I), as on the sheet; or fitted to the latents after the training, a "
        "gaussian or a mixture of ten (Ghosh et al. 2020). InceptionV3 evaluates the first, the digit classifier all.",
        choices=tuple(distributions.PRIORS),
        training=False,
    )
    steps = 5000  # until the best FID is below the sheet's 40
    fid_samples = 3000
    batch_size = 64
    learning_rate = 4e-3
    PRESETS = {
        "smoke": dict(steps=2, train_size=512, latent_dim=10, fid_samples=16),
        "paper": dict(steps=40_000, fid_samples=10_000),
        "sheet": dict(prior="standard"),
    }


def main(settings, run):
    """Train a VAE of every architecture for every latent dimension, and draw the figures.

    Returns:
        The contents of metrics.json; `results` holds by architecture and latent dimension reconstruction,
        kl and negative_elbo (validation, nats per image), the number of active latents, and the metrics of the samples
        (10.5).
    """
    images, validation = run.train_validation(SIZE)
    dims, shown = sorted(settings.latent_dim), data.scale(validation[:NUM_SHOWN])
    for prior in settings.prior:
        distributions.check_prior(prior, len(images), dims[-1])
    evaluate = settings.evaluator(SIZE)

    measured, histories = {name: {} for name in settings.architecture}, {}
    for name in settings.architecture:
        keys = None if name == settings.architecture[0] else [BY_DIGITS]
        reconstructed, sampled = [("validation", shown)], []
        for dim in dims:
            print(f"{name} VAE, latent dimension {dim}")

            def build(name=name, dim=dim):
                with networks.precision(settings.mixed_precision):
                    pair = ARCHITECTURES[name](dim, image_shape=images.shape[1:])
                return models.VAE(*pair)

            folder = f"{name}_z{dim}"
            model, histories[f"{name}, latent {dim}"] = run.fit(
                folder, build, images, validation, latent_dim=dim, architecture=name
            )
            terms = training.negative_elbo(model, validation)
            terms["active_latents"] = training.active_latents(model, validation)
            terms["parameters"] = model.count_params()
            by_prior, drawn = evaluate_priors(model, images, settings, evaluate, keys, len(shown))  # 10.5
            measured[name][dim] = terms | {"samples": by_prior[settings.prior[0]], "samples_by_prior": by_prior}
            if settings.train and settings.prior[0] != "standard":
                models.save(model, run.run_dir / folder)
            reconstructed += [(f"latent {dim}", model.reconstruct(shown))]
            sampled += [(f"sample, latent {dim}", drawn[settings.prior[0]])]
            draw(run, folder, histories[f"{name}, latent {dim}"], shown, reconstructed[-1][1], drawn)
        figures.image_rows(run.figure(f"overview_{name}"), [*reconstructed, *sampled])

    draw_comparison(run, measured, dims)
    trivial = metrics.trivial_losses(images, validation)
    print_results(trivial, measured)
    first = measured[settings.architecture[0]]
    headline = {f"-ELBO z={dim}": row["negative_elbo"] for dim, row in first.items()}
    for dim, row in first.items():
        fids = [evaluated["fid"] for evaluated in row["samples"].values() if "fid" in evaluated]
        headline |= {f"FID z={dim}": fid for fid in fids[:1]}
    return headline, {"validation": measured, "trivial_predictors": trivial, "history": histories}


def evaluate_priors(model, images, settings, evaluate, keys, num_drawn):
    """Evaluate samples of each prior: the first by the extractors `keys`, others by the digit classifier (10.5).

    Returns:
        Two dicts by prior: the metrics, and `num_drawn` samples.
    """
    latents = training.draw_latents(model, images)
    by_prior, drawn = dict.fromkeys(settings.prior), dict.fromkeys(settings.prior)
    for prior in reversed(settings.prior):  # the model stays with the first one
        model.fit_prior(latents, distributions.PRIORS[prior]())
        by_prior[prior] = evaluate(model, keys if prior == settings.prior[0] else [BY_DIGITS])
        drawn[prior] = model.sample(num_drawn, seed=settings.seed)
    return by_prior, drawn


def draw(run, folder, history, shown, reconstructed, drawn):
    """Draw the curves of one model, and its validation images, reconstructions and samples of each prior (10.4)."""
    settings, (name, dim) = run.settings, folder.split("_z")
    title = f"{name}, latent dimension {dim}, batch size {settings.batch_size}, {settings.steps:,} training steps"
    steps = settings.steps // min(settings.steps, settings.num_epochs)
    how = dict(steps=steps, title=title, ylabel="nats per image", zoom=True)
    figures.training_curves(run.figure(f"curves_{folder}"), history, **how)
    rows = [("validation", shown), ("reconstruction", reconstructed)]
    rows += [(f"sample, {prior} prior", samples) for prior, samples in drawn.items()]
    figures.image_rows(run.figure(f"images_{folder}"), rows)


def draw_comparison(run, measured, dims):
    """Draw −ELBO and the Fréchet distance by the digit classifier over the latent dimensions, by architecture."""
    axes = dict(xlabel="latent dimensions", log="x", markers=True)
    lines = {name: (dims, [row["negative_elbo"] for row in rows.values()]) for name, rows in measured.items()}
    figures.curves(run.figure("negative_elbo"), lines, ylabel="validation $-$ELBO, nats per image", **axes)
    lines = {
        name: (dims, [row["samples"][BY_DIGITS]["fid"] for row in rows.values()])
        for name, rows in measured.items()
        if all(BY_DIGITS in row["samples"] for row in rows.values())
    }
    if lines:
        figures.curves(run.figure("fid_mnist_classifier"), lines, ylabel="FID, features of digits", **axes)


def print_results(trivial, measured):
    """Print the validation terms, one row per model, and the metrics of the samples by prior and extractor."""
    rows = {f"{name}, latent {dim}": row for name, by_dim in measured.items() for dim, row in by_dim.items()}
    columns = ELBO | {"active latents": ("active_latents", "d"), "parameters": ("parameters", ",d")}
    print_table("validation, nats per image", trivial | rows, columns)
    by_prior = {
        f"{name}, {prior}": evaluated
        for name, row in rows.items()
        for prior, evaluated in row["samples_by_prior"].items()
    }
    print_evaluations(by_prior)


run = section(Settings, main)

if __name__ == "__main__":
    command_line.launch(run)
