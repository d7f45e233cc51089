"""Section 3: GANs, and what their learning rates do (sheet 000, part III).

A DCGAN of MNIST at 28×28 with the non-saturating objective; then the same again under other learning
rates and another β₁ of Adam, objective and convergence side by side.

    python -m hw5.section3
    python -m hw5.section3 --study=0.0002 --steps=8000      # one run, longer
"""

import time

from hw5 import data, figures, flags, metrics, models, networks, results, training, visualize
from hw5.callbacks import FixedNoise, fixed_noise
from hw5.metrics import MnistClassifier, class_shares

RECORDS = 40
COLUMNS = 12


def run(
    *,
    latent_dim=100,
    hidden=16,
    dataset="mnist",
    steps=2000,
    batch_size=64,
    learning_rate=1e-3,
    beta_1=0.5,
    study=(2e-5, 2e-4, 1e-3, 5e-3),
    study_beta_1=(0.9,),
    train_size=None,
    seed=0,
    fid_samples=3000,
    restart=False,
    train=True,
    out="figures/section3",
    run_dir="runs/section3",
):
    """Train the DCGAN under every setting, and draw the figures.

    Args:
        steps: length of each training.
        learning_rate, beta_1: of the run whose samples are drawn over the training (3.1).
        study: learning rates to compare at `beta_1` (3.2).
        study_beta_1: values of β₁ to compare at `learning_rate`.
        fid_samples: digits judged by the MNIST classifier, of each run.

    Returns:
        The contents of metrics.json; `results` holds by setting the history, and at its end fid (by the
        MNIST classifier), the shares of the classes, or why the training ended early.
    """
    settings, started = dict(locals()), time.time()
    folder, run_dir = results.output_folder(out), results.output_folder(run_dir, "run_dir")
    images, _ = data.train_validation(dataset, train_size)
    classifier = MnistClassifier() if dataset == "mnist" else None
    reference = metrics.reference(dataset, fid_samples, images.shape[1]) if classifier else None
    chosen = (learning_rate, beta_1)
    others = [(rate, beta_1) for rate in flags.several(study)]
    others += [(learning_rate, beta) for beta in flags.several(study_beta_1)]

    measured, rows = {}, []
    for rate, beta in dict.fromkeys([chosen, *others]):
        name = f"lr {rate:g}, β₁ {beta:g}"
        print(f"DCGAN, {name}")
        own_dir = run_dir / f"lr{rate:g}_beta{beta:g}"
        try:
            gan, history = training.fit_gan(
                lambda: models.GAN(*networks.dcgan(latent_dim, hidden, images.shape[1:])),
                images,
                run_dir=own_dir,
                steps=steps,
                records=RECORDS,
                batch_size=batch_size,
                learning_rate=rate,
                beta_1=beta,
                settings={"dataset": dataset, "train_size": train_size, "hidden": hidden, "latent_dim": latent_dim},
                watching=[FixedNoise(own_dir, seed)],
                seed=seed,
                restart=restart,
                train=train,
            )
        except training.Failure as failure:  # one of the things that the study is to show
            print(f"{name}: {failure}")
            measured[name] = {"history": failure.history, "failure": str(failure)}
            continue
        measured[name] = {"history": history}
        rows.append((name, gan.decode(fixed_noise(own_dir, latent_dim, seed)[:COLUMNS])))
        if classifier:
            generated = gan.generate(fid_samples, seed=seed)
            fid = metrics.frechet_report(*reference, generated, classifier, seed=seed, verbose=False)
            shares, confidence = class_shares(classifier.logits(generated))
            measured[name] |= {"fid": fid, "class_shares": shares, "confidence": confidence}
        if (rate, beta) == chosen:
            visualize.gan_training(gan, history, folder, own_dir, steps=steps, seed=seed)  # 3.1

    draw_study(folder, measured, rows, steps)
    print_table(measured)
    first = next(iter(measured.values()))
    headline = {name: first["history"][name][-1] for name in ("d_loss", "g_loss") if first["history"]}
    if "fid" in first:
        headline |= {"digits' FID": first["fid"]["fid"], "classes with 3 %": int((first["class_shares"] >= 0.03).sum())}
    return results.save_metrics(folder, settings=settings, results=measured, headline=headline, started=started)


def draw_study(folder, measured, rows, steps):
    """Both losses and D's outputs of all settings, and what the same noise became (3.2)."""
    metrics_of = {"d_loss": "D's loss", "g_loss": "G's loss", "d_real": "D(x)", "d_fake_g_step": "D(G(z))"}

    def label(name):
        return name.replace("β₁", "$\\beta_1$")  # the figures' font has no subscripts

    panels = {
        title: {label(name): row["history"].get(key, []) for name, row in measured.items()}
        for key, title in metrics_of.items()
    }
    figures.curve_panels(folder / "study.png", panels, xlabel="training steps", step=steps / min(steps, RECORDS))
    if rows:
        figures.image_rows(folder / "study_samples.png", [(label(name), images) for name, images in rows])


def print_table(measured):
    """What each setting ended with."""
    print(f"{'':<24}{'D loss':>9}{'G loss':>9}{'D(x)':>8}{'D(G(z))':>9}{'FID':>9}{'floor':>8}{'classes with 3 %':>18}")
    for name, row in measured.items():
        if "failure" in row:
            print(f"{name:<24}{row['failure']}")
            continue
        end = {key: values[-1] for key, values in row["history"].items()}
        line = f"{name:<24}{end['d_loss']:>9.3f}{end['g_loss']:>9.3f}{end['d_real']:>8.3f}{end['d_fake_g_step']:>9.3f}"
        if "fid" in row:
            line += f"{row['fid']['fid']:>9.2f}{row['fid']['floor']:>8.2f}{(row['class_shares'] >= 0.03).sum():>18d}"
        print(line)


if __name__ == "__main__":
    flags.shared(run)
    flags.DEFINE_integer("latent_dim", flags.default(run, "latent_dim"), "Latent dimensions.", lower_bound=1)
    flags.DEFINE_integer("hidden", flags.default(run, "hidden"), "Channels at half the image's size.", lower_bound=1)
    flags.DEFINE_multi_float("study", flags.default(run, "study"), "Learning rates to compare; repeat.", lower_bound=0)
    text, bounds = "Values of β₁ to compare; repeat.", {"lower_bound": 0, "upper_bound": 0.9999}
    flags.DEFINE_multi_float("study_beta_1", flags.default(run, "study_beta_1"), text, **bounds)
    flags.launch(run)
