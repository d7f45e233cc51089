"""Section 7: a GAN in the plane (sheet 003, 2.2).

Points on a parabola, drawn with NumPy; a generator of two hidden layers, and a discriminator of three, the
last of which has two units, so that what the discriminator makes of a point can be drawn as well.

    python -m hw5.section7
    python -m hw5.section7 --generator_hidden=16 --generator_hidden=16 --optimizer=adam
"""

import time

import keras
import numpy as np

from hw5 import figures, flags, models, networks, results, training
from hw5.errors import InputError
from hw5.files import replacing
from hw5.metrics import maximum_mean_discrepancy

EVERY = 1000  # iterations between two panels
RECORDS = 5  # values of the curves between two panels
POINTS = 1000  # that are drawn, and compared
DRAWS = 20  # repetitions of a comparison


def run(
    *,
    generator_hidden=(64, 64),
    discriminator_hidden=(64, 64),
    latent_dim=2,
    optimizer="rmsprop",
    steps=10_000,
    batch_size=256,
    learning_rate=1e-3,
    average=0.0,
    train_size=100_000,
    seed=0,
    restart=False,
    train=True,
    out="figures/section7",
    run_dir="runs/section7",
):
    """Train the GAN, and draw its points, its losses and the discriminator's features.

    Args:
        generator_hidden: widths of the generator's two hidden layers.
        discriminator_hidden: widths of the discriminator's first two; the third has 2 units.
        optimizer: "rmsprop" or "adam".
        steps: iterations; every thousandth gives a panel.
        average: decay of a running average of the generator's weights; 0 for none.
        train_size: points drawn to train on.

    Returns:
        The contents of metrics.json; `results` holds by iteration mmd, that of generated points to fresh
        real ones, and mmd_real, that of real points to others: MMD² with the Gaussian kernel, unbiased,
        as root mean square over 20 draws of 1,000 points each.
    """
    settings, started = dict(locals()), time.time()
    folder, run_dir = results.output_folder(out), results.output_folder(run_dir, "run_dir")
    widths = {"generator_hidden": [*generator_hidden], "discriminator_hidden": [*discriminator_hidden]}
    for name, hidden in widths.items():
        if len(hidden) != 2:
            raise InputError(f"--{name}={', '.join(map(str, hidden))}: give it twice, for two hidden layers")
    rng = np.random.default_rng(seed)
    panels = max(steps // EVERY, 1)
    gan, history = training.fit_gan(
        lambda: models.GAN(*networks.plane_gan(latent_dim, **widths), activation="linear", average=average),
        parabola(train_size, rng),
        run_dir=run_dir,
        steps=steps,
        records=panels * RECORDS,
        batch_size=batch_size,
        learning_rate=learning_rate,
        optimizer=optimizer,
        settings={"train_size": train_size, **widths, "latent_dim": latent_dim, "average": average},
        watching=[GeneratedPoints(run_dir / "samples", min(steps, RECORDS))],
        seed=seed,
        restart=restart,
        train=train,
    )
    generated = {int(path.stem): np.load(path) for path in sorted((run_dir / "samples").glob("[0-9]*.npy"))}
    mmd = {step: distance(points, rng) for step, points in generated.items()}
    mmd_real = distance([parabola(POINTS, rng) for _ in range(DRAWS)], rng)
    draw(folder, gan, history, generated, mmd, mmd_real, steps, rng)
    last = list(mmd.values())[-1]
    headline = {"MMD": last, "MMD real": mmd_real, "ratio": last / mmd_real}
    headline |= {"D loss": history["d_loss"][-1], "G loss": history["g_loss"][-1]}
    measured = {"mmd": mmd, "mmd_real": mmd_real, "history": history}
    return results.save_metrics(folder, settings=settings, results=measured, headline=headline, started=started)


def parabola(count, rng):
    """Points (x, x²) with x ~ U(−1, 1), float32 [count, 2]."""
    x = rng.uniform(-1, 1, count).astype(np.float32)
    return np.stack([x, x**2], axis=1)


class GeneratedPoints(keras.callbacks.Callback):
    """Keeps generated points, [DRAWS, POINTS, 2], after every panel's iterations, `every` epochs that is."""

    def __init__(self, folder, every):
        super().__init__()
        self.folder = folder
        self.every = every

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every:
            return
        points = np.reshape(self.model.generate(DRAWS * POINTS, seed=0), (DRAWS, POINTS, 2))
        with replacing(self.folder / f"{int(self.model.generator_optimizer.iterations.numpy()):06}.npy") as partial:
            np.save(partial, points)


def distance(draws, rng):
    """Root mean square of MMD² between each draw and as many fresh real points."""
    values = [maximum_mean_discrepancy(points, parabola(POINTS, rng), kernel="rbf") for points in draws]
    return float(np.sqrt(np.mean(np.square(values))))


def draw(folder, gan, history, generated, mmd, mmd_real, steps, rng):
    """Losses and D's outputs, points every thousand iterations, MMD, and D's features (7.2)."""
    at = np.linspace(0, steps, len(history["d_loss"]) + 1)[1:]
    losses = {
        "D": (at, history["d_loss"]),
        "D at the equilibrium, 2 ln 2": (at, np.full(len(at), 2 * np.log(2))),
        "G": (at, history["g_loss"]),
        "G at the equilibrium, ln 2": (at, np.full(len(at), np.log(2))),
    }
    dashed = [name for name in losses if "equilibrium" in name]
    figures.curves(folder / "losses.png", losses, xlabel="iteration", ylabel="loss", dashed=dashed)
    real = parabola(POINTS, rng)
    panels = {f"iteration {step:,}": {"real": real, "generated": points[0]} for step, points in generated.items()}
    figures.point_panels(folder / "points.png", panels)
    iterations = list(mmd)
    lines = {
        "generated to real": (iterations, list(mmd.values())),
        "real to real": (iterations, [mmd_real] * len(iterations)),
    }
    figures.curves(
        folder / "mmd.png", lines, xlabel="iteration", ylabel="MMD², root mean square", log="y", dashed=["real to real"]
    )
    features = keras.Model(gan.discriminator.inputs[0], gan.discriminator.get_layer("features").output)
    last = list(generated.values())[-1][0]
    mapped = {name: np.asarray(features(points)) for name, points in (("real", real), ("generated", last))}
    figures.point_panels(folder / "features.png", {"third hidden layer of D": mapped})


if __name__ == "__main__":
    flags.shared(run)
    for name in ("generator_hidden", "discriminator_hidden"):
        text = "Units of a hidden layer; give it twice."
        flags.DEFINE_multi_integer(name, flags.default(run, name), text, lower_bound=1)
    flags.DEFINE_integer("latent_dim", flags.default(run, "latent_dim"), "Dimensions of the noise.", lower_bound=1)
    flags.DEFINE_enum("optimizer", flags.default(run, "optimizer"), ["rmsprop", "adam"], "Optimizer of both networks.")
    flags.launch(run)
