"""How time and memory grow with images, latents, samples and channels.

    python benchmarks/growth.py              # all rows, a quarter of an hour on two cores
    python benchmarks/growth.py MMD GAN      # the rows whose names have one of these words

Every measurement has a process of its own. Time is the least of three calls, memory the most that the process held
during them beyond what it held before. The exponent is that of the last doubling: 1 is linear, 2 quadratic.
"""

import multiprocessing
import sys
import time
from math import log2
from pathlib import Path

import numpy as np

TURNS = 3


def features(count, dim=2048, seed=0):
    return np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)


def frechet(dim):
    from hw5.metrics import frechet_distance

    (mean, other), covariances = (
        features(2, dim),
        [np.cov(features(2 * dim, dim, seed), rowvar=False) for seed in (1, 2)],
    )
    return lambda: frechet_distance(mean, covariances[0], other, covariances[1])


def statistics(count):
    from hw5.metrics.frechet import Gaussian

    x = features(count)
    return lambda: Gaussian.of(x)


def of_two_sides(name, **arguments):
    """Make the case of a metric of as many real as generated features."""

    def prepare(count):
        from hw5 import metrics

        x, y = features(count), features(count, seed=1)
        return lambda: getattr(metrics, name)(x, y, **arguments)

    return prepare


def inception(count):
    from hw5.metrics.inception import Inception

    extractor, images = Inception(), np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), np.uint8)
    return lambda: extractor.features(images)


def importance_sampling(count, num_samples):
    from hw5 import metrics, models, networks

    vae = models.VAE(*networks.dense_vae(20))
    images = np.random.default_rng(0).random((count, 28, 28, 1), np.float32)
    return lambda: metrics.log_likelihood(vae, images, num_samples)


def training(model, image_shape, batch_size, steps):
    """Train the model for some steps; the first call compiles them, so it is made before the measurement."""
    from hw5 import data

    images = np.random.default_rng(0).integers(0, 256, (1024, *image_shape), np.uint8)
    stream = data.pipeline(images, batch_size, value_range=model.value_range, shuffle=True, epochs=None)
    model.compile("adam", steps_per_execution=steps)

    def train():
        model.fit(stream, steps_per_epoch=steps, epochs=1, verbose=0, shuffle=False)

    train()
    return train


def dense_vae(latent_dim):
    from hw5 import models, networks

    return training(models.VAE(*networks.dense_vae(latent_dim)), (28, 28, 1), 128, 64)


def gan(hidden=16, side=32, batch_size=32):
    from hw5 import models, networks

    pair = networks.dcgan(100, hidden, (side, side, 3), normalization="none")
    return training(models.GAN(*pair, r1=1.0), (side, side, 3), batch_size, 16)


# Name → (what is doubled, its values, value → the function to measure).
CASES = {
    "Fréchet distance": ("dimensions", (512, 1024, 2048), frechet),
    "statistics of 2,048 features": ("images", (2500, 5000, 10_000), statistics),
    "KID": ("images of a side", (1000, 2000, 4000), of_two_sides("kernel_inception_distance")),
    "MMD, Gaussian kernel": ("images of a side", (1000, 2000, 4000), of_two_sides("maximum_mean_discrepancy")),
    "Wasserstein, exact": ("images of a side", (1000, 2000, 4000), of_two_sides("wasserstein_distance")),
    "precision and recall": ("images of a side", (1000, 2000, 4000), of_two_sides("precision_recall")),
    "InceptionV3": ("images", (50, 100, 200), inception),
    "importance sampling, 64 images": ("samples K", (250, 500, 1000), lambda number: importance_sampling(64, number)),
    "importance sampling, K = 500": ("images", (32, 64, 128), lambda count: importance_sampling(count, 500)),
    "dense VAE, 64 steps": ("latents", (25, 50, 100), dense_vae),
    "GAN, 16 steps, channels": ("channels", (16, 32, 64), lambda hidden: gan(hidden=hidden)),
    "GAN, 16 steps, batch": ("images of a batch", (16, 32, 64), lambda size: gan(batch_size=size)),
    "GAN, 16 steps, size": ("side, pixels", (16, 32, 64), lambda side: gan(side=side)),
}


def measure(name, value):
    """Return the seconds of a call, and the megabytes that the calls needed."""
    function = CASES[name][2](value)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is held now
    before, seconds = memory("VmRSS"), []
    for _ in range(TURNS):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return min(seconds), memory("VmHWM") - before


def memory(name):
    """Return what this process holds in memory, in megabytes: now (VmRSS) or at most (VmHWM), as Linux counts it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith(f"{name}:"))
    return int(kilobytes) / 1024


def main(words):
    print("| what | grows with | values | seconds | exponent | memory, MB |\n| --- | --- | --- | --- | --- | --- |")
    for name, (axis, values, _) in CASES.items():
        if words and not any(word in name for word in words):
            continue
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            measured = pool.starmap(measure, [(name, value) for value in values], chunksize=1)
        seconds, memory = zip(*measured, strict=True)
        exponent = log2(seconds[-1] / seconds[-2])
        row = [" / ".join(f"{value:,}" for value in values), " / ".join(f"{value:.2g}" for value in seconds)]
        row += [f"{exponent:.1f}", " / ".join(f"{max(value, 0):,.0f}" for value in memory)]
        print("|", " | ".join([name, axis, *row]), "|", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
