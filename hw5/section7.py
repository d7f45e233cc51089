"""Section 7: a GAN in the plane (sheet 003, 2.2).

The real points lie on a parabola and are drawn with NumPy. The generator has two hidden layers, the discriminator
three. Its last hidden layer has two units, so that the features of a point can be drawn as well.

    python -m hw5.section7
    python -m hw5.section7 --generator_hidden=16,8 --optimizer=adam
"""

import keras
import numpy as np

from hw5 import command_line, figures, models, networks, training
from hw5.errors import InputError
from hw5.metrics import maximum_mean_discrepancy, mean_and_error
from hw5.section import section
from hw5.section_settings import StepTraining
from hw5.settings import Several, setting

PANEL_INTERVAL = 1000  # iterations between two panels
VALUES_PER_PANEL = 50  # values of the curves between two panels
NUM_POINTS = 1000  # points that are drawn and compared
NUM_DRAWS = 40  # repetitions of a comparison
BANDWIDTH = 0.7  # of the kernel, near the median distance of two real points
QUANTILES = (0.05, 0.95)  # of the comparisons of real points with real points
EQUILIBRIUM = (2 * np.log(2), np.log(2))  # the losses of D and G


class Settings(StepTraining):
    generator_hidden: Several[int] = setting(
        (64, 64), "Widths of the generator's two hidden layers.", at_least=1, may_repeat=True
    )
    discriminator_hidden: Several[int] = setting(
        (64, 64),
        "Widths of the discriminator's first two hidden layers; the third has 2 units.",
        at_least=1,
        may_repeat=True,
    )
    latent_dim: int = setting(2, "Dimensions of the noise.", at_least=1)
    optimizer: str = setting("rmsprop", "Optimizer of both networks.", choices=("rmsprop", "adam"))
    ema_decay: float = setting(
        0.0, "Decay of the moving average of the generator's weights; 0 for none.", at_least=0, at_most=0.99999
    )
    train_size: int = setting(100_000, "Points to train on.", at_least=1)
    learning_rate: float = setting(1e-3, "Learning rate of both networks.", at_least=0)
    steps = 10_000
    batch_size = 256
    PRESETS = {"smoke": dict(steps=100), "paper": dict(steps=100_000)}

    @property
    def num_epochs(self):
        return max(self.steps // PANEL_INTERVAL, 1) * VALUES_PER_PANEL

    def optimizers(self):
        return training.gan_optimizers(self.learning_rate, name=self.optimizer)


def main(settings, run):
    """Train the GAN, and draw its points, its losses and the discriminator's features.

    Returns:
        The contents of metrics.json; `results` holds by iteration mmd, the unbiased MMD² of generated to new real
        points with the Gaussian kernel, and mmd_error, its standard error; and mmd_real and mmd_real_quantiles, the
        mean and the 5 and 95 % quantiles of the MMD² of real to other real points. All are of 40 draws of 1,000
        points on each side.
    """
    widths = {name: getattr(settings, name) for name in ("generator_hidden", "discriminator_hidden")}
    for name, hidden in widths.items():
        if len(hidden) != 2:
            raise InputError(f"{name}={','.join(map(str, hidden))}: must be two widths, as in {name}=64,64")
    rng = np.random.default_rng(settings.seed)

    def build():
        pair = networks.plane_gan(settings.latent_dim, **widths)
        return models.GAN(*pair, activation="linear", ema_decay=settings.ema_decay)

    real = parabola(settings.train_size, rng)
    how = dict(interval=min(settings.steps, VALUES_PER_PANEL), num_draws=NUM_DRAWS, num_points=NUM_POINTS)
    points = training.GeneratedPoints(run.run_dir, real[:NUM_POINTS], **how)
    gan, history = run.fit(".", build, real, callbacks=[points])
    generated = points.by_step()
    summaries = {step: mean_and_error(distances(draws, rng)) for step, draws in generated.items() if step}
    of_real = distances([parabola(NUM_POINTS, rng) for _ in range(NUM_DRAWS)], rng)
    compared = {
        "mmd": {step: mean for step, (mean, _) in summaries.items()},
        "mmd_error": {step: error for step, (_, error) in summaries.items()},
        "mmd_real": of_real.mean(),
        "mmd_real_quantiles": np.quantile(of_real, QUANTILES),
        "num_draws": NUM_DRAWS,
        "num_points": NUM_POINTS,
    }
    draw_curves(run, history, points.first_losses(), compared)
    draw_points(run, gan, generated, parabola(NUM_POINTS, rng))
    (*_, last), (*_, error) = compared["mmd"].values(), compared["mmd_error"].values()
    headline = {"MMD²": last, "±": error, "MMD² real to real": compared["mmd_real"]}
    headline |= dict(zip(("5 %", "95 %"), compared["mmd_real_quantiles"], strict=True))
    headline |= {"D loss": history["d_loss"][-1], "G loss": history["g_loss"][-1]}
    return headline, compared | {"history": history}


def parabola(count, rng):
    """Draw points (x, x²) with x ~ U(−1, 1), float32 [count, 2]."""
    x = rng.uniform(-1, 1, count).astype(np.float32)
    return np.stack([x, x**2], axis=1)


def distances(draws, rng):
    """Estimate MMD² between each draw and as many new real points, without bias: some estimates are negative."""
    pairs = ((points, parabola(len(points), rng)) for points in draws)
    return np.array([maximum_mean_discrepancy(*pair, kernel="rbf", bandwidth=BANDWIDTH) for pair in pairs])


def draw_curves(run, history, first, compared):
    """Draw the losses from the first iteration on, with their values at the equilibrium, and MMD (7.2)."""
    at = np.linspace(0, run.settings.steps, len(history["d_loss"]) + 1)
    at[0] = 1
    histories = (history["d_loss"], history["g_loss"])
    losses = {name: (at, [start, *values]) for name, start, values in zip("DG", first, histories, strict=True)}
    ends, label = (at[0], at[-1], np.nan), "equilibrium:\nD 2 ln 2, G ln 2"  # two lines, with a gap between them
    losses[label] = (ends * 2, [value for loss in EQUILIBRIUM for value in (loss, loss, np.nan)])
    figures.curves(run.figure("losses"), losses, xlabel="iteration", ylabel="loss", log="x", references=[label])
    at, generated, real = [*compared["mmd"]], "generated to real", "real to real"
    lines = {generated: (at, [*compared["mmd"].values()]), real: (at, [compared["mmd_real"]] * len(at))}
    errors = {generated: [*compared["mmd_error"].values()]}
    bands = {f"90 % of {NUM_DRAWS}\nreal to real": compared["mmd_real_quantiles"]}
    axes = dict(xlabel="iteration", ylabel="MMD², mean and standard error", dashed=[real])
    figures.curves(run.figure("mmd"), lines, errors=errors, bands=bands, **axes)


def draw_points(run, gan, generated, real):
    """Draw points before the training and every thousand iterations, and D's features of the last ones (7.2)."""
    panels = {f"iteration {step:,}": {"real": real, "generated": draws[0]} for step, draws in generated.items()}
    figures.point_panels(run.figure("points"), panels, xlabel="$x$", ylabel="$x^2$")
    features = keras.Model(gan.discriminator.inputs[0], gan.discriminator.get_layer("features").output)
    last = list(generated.values())[-1][0]
    mapped = {name: np.asarray(features(points)) for name, points in (("real", real), ("generated", last))}
    axes = dict(xlabel="first unit", ylabel="second unit")
    figures.point_panels(run.figure("features"), {"third hidden layer of D": mapped}, **axes)


run = section(Settings, main)

if __name__ == "__main__":
    command_line.launch(run)
