"""Section 3: GANs and the influence of their learning rates (sheet 000, part III).

A DCGAN of MNIST at 28×28 with the non-saturating objective and a penalty of D's gradient. The same DCGAN is trained
with other learning rates and another β₁ of Adam, to compare objective and convergence.

    python -m hw5.section3
    python -m hw5.section3 --study=0.0002 --steps=8000      # one other learning rate, longer
"""

from hw5 import command_line, figures, metrics, training
from hw5.errors import TrainingFailed
from hw5.section import section
from hw5.section_settings import SAMPLE_METRICS, SampleEvaluation, SmoothGANTraining
from hw5.settings import Several, setting
from hw5.tables import print_table

SIZE = 28
NUM_SHOWN = 12  # samples per training
NUM_MEASURED = 2000  # images for the overfitting, as D's outputs differ little
CURVES = {"d_loss": "D's loss", "g_loss": "G's loss", "d_real": "D(x)", "d_fake_g_step": "D(G(z))"}


class Settings(SmoothGANTraining, SampleEvaluation):
    study: Several[float] = setting(
        (2e-5, 2e-4, 2e-3, 5e-3), "Learning rates to compare (3.2).", at_least=0, may_be_empty=True
    )
    study_beta_1: Several[float] = setting(
        (0.9,), "Values of β₁ to compare (3.2).", at_least=0, at_most=0.9999, may_be_empty=True
    )
    steps = 2000
    batch_size = 64
    learning_rate = 2e-3
    ema_decay = 0.998
    PRESETS = {
        "smoke": dict(steps=4, train_size=512, hidden=4, study=2e-4, fid_samples=16),
        "paper": dict(steps=20_000, fid_samples=10_000),
    }


def main(settings, run):
    """Train the DCGAN with every learning rate and β₁, and draw the figures.

    The first training has `learning_rate` and `beta_1`; its samples are drawn over the training (3.1).

    Returns:
        The contents of metrics.json; `results` holds by training the history, and the metrics of its samples
        by the MNIST classifier, or why the training ended early.
    """
    images, held_out = run.train_validation(SIZE)
    evaluate = None
    if settings.dataset == "mnist":
        how = dict(metrics=SAMPLE_METRICS, verbose=False)
        evaluate = metrics.evaluator("mnist", [metrics.MnistClassifier()], settings.fid_samples, SIZE, **how)
    first = (settings.learning_rate, settings.beta_1)
    compared = [(rate, settings.beta_1) for rate in settings.study]
    compared += [(settings.learning_rate, beta_1) for beta_1 in settings.study_beta_1]

    measured, samples = {}, {}
    for rate, beta_1 in dict.fromkeys([first, *compared]):
        label, name = f"lr {rate:g}, β₁ {beta_1:g}", f"lr{rate:g}_beta{beta_1:g}"
        print(f"DCGAN, {label}")

        def build():
            return settings.gan(images.shape[1:])

        changes = dict(learning_rate=rate, beta_1=beta_1, study=(), study_beta_1=())
        grids = training.SampleGrids(run.run_dir / name, settings.seed)
        meter = training.OverfittingMeter(images, held_out, NUM_MEASURED)
        try:
            gan, history = run.fit(name, build, images, callbacks=[grids, meter], **changes)
        except TrainingFailed as failure:  # the study shows failures, too
            print(f"{label}: {failure}")
            measured[label] = {"history": failure.history, "failure": str(failure)}
            continue
        measured[label] = {"history": history, "at_the_end": {key: history[key][-1] for key in CURVES}}
        noise = run.noise(name, settings.latent_dim)
        samples[label] = gan.decode(noise[:NUM_SHOWN])
        if evaluate:
            measured[label]["samples"] = evaluate(gan.generate(settings.fid_samples, seed=settings.seed))
        if (rate, beta_1) == first:  # 3.1
            how = dict(grids=grids.paths, noise=noise, steps=settings.steps)
            figures.gan.training_figures(gan, history, run.folder, **how)

    draw_study(run, measured, samples)
    columns = {label: (f"at_the_end/{key}", ".3f") for key, label in CURVES.items()}
    by_digits = {"FID": ("fid", ".2f"), "real": ("real_vs_real_fid", ".2f"), "classes": ("classes_covered", "d")}
    by_digits |= {"IS": ("is", ".2f"), "real IS": ("real_is", ".2f"), "mode score": ("mode_score", ".2f")}
    by_digits |= {"real mode score": ("real_mode_score", ".2f")}
    columns |= {label: (f"samples/mnist_classifier/{key}", form) for label, (key, form) in by_digits.items()}
    print_table("training", measured, columns)
    row = measured[f"lr {first[0]:g}, β₁ {first[1]:g}"]
    headline = {key: row["at_the_end"][key] for key in ("d_loss", "g_loss") if "at_the_end" in row}
    if "samples" in row:
        by_digits = row["samples"]["mnist_classifier"]
        headline |= {"digits' FID": by_digits["fid"], "classes with 3 %": by_digits["classes_covered"]}
        headline |= {"digits' IS": by_digits["is"], "real IS": by_digits["real_is"]}
    return headline, measured


def draw_study(run, measured, samples):
    """Draw both losses and D's outputs of all trainings, and their samples of the same noise (3.2)."""
    in_font = {label: label.replace("β₁", "$\\beta_1$") for label in measured}  # the font has no subscripts
    panels = {
        title: {in_font[label]: row["history"].get(key, []) for label, row in measured.items()}
        for key, title in CURVES.items()
    }
    steps_per_epoch = run.settings.steps / min(run.settings.steps, run.settings.num_epochs)
    figures.curve_panels(run.figure("study"), panels, xlabel="training steps", step=steps_per_epoch)
    if samples:
        figures.image_rows(run.figure("study_samples"), [(in_font[label], row) for label, row in samples.items()])


run = section(Settings, main)

if __name__ == "__main__":
    command_line.launch(run)
