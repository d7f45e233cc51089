"""−log p of binarised MNIST under a VAE, an IWAE and a flow VAE, compared with the published numbers.

    python benchmarks/likelihood.py [--epochs=60] [--test_images=1000]

The networks, the batch size of 20 and the binarisation, drawn again in every batch, are those of Burda et al. 2016,
table 1: one stochastic layer of 50 units, 200-200 tanh. The paper trained for 3,280 passes, with learning rates that
fall from 1e-3 to 1e-4. It reports −log p of 10,000 test images by 5,000 samples: 86.76 for the VAE and 84.78 for the
IWAE of 50 samples (85.54 of 5).
"""

import argparse
import time
from pathlib import Path

import numpy as np

from hw5 import data, distributions, layers, metrics, models, networks, training

PUBLISHED = {"vae": "86.76", "iwae_5": "85.54", "flow": "no number"}
BATCH_SIZE = 20
SAMPLES = 5000


def build(name):
    """Build the untrained model."""
    binarized = {"preprocessing": layers.Binarization()}
    if name == "vae":
        return models.VAE(*networks.deep_tanh_vae(), **binarized)
    if name == "flow":
        return models.FlowVAE(
            *networks.deep_tanh_vae(context=100), distributions.InverseAutoregressiveFlow(2, hidden=200), **binarized
        )
    return models.ImportanceWeightedVAE(*networks.deep_tanh_vae(), int(name.partition("_")[2]), **binarized)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--test_images", type=int, default=1000)
    parser.add_argument("--models", nargs="+", default=list(PUBLISHED))
    parser.add_argument("--run_dir", type=Path, default=Path("runs/benchmark_likelihood"))
    arguments = parser.parse_args()
    images, test = data.load("mnist", "train"), data.load("mnist", "test", limit=arguments.test_images)
    rng = np.random.default_rng(0)
    binary = (rng.random(test.shape) < test / 255).astype(np.float32)
    for name in arguments.models:
        started = time.time()
        model, history = training.fit(
            lambda name=name: build(name),
            images,
            run_dir=arguments.run_dir / name,
            schedule=training.Schedule.of_epochs(len(images), BATCH_SIZE, arguments.epochs),
            optimizers=training.adam(1e-3),
            arguments={"epochs": arguments.epochs},
        )
        trained = time.time()
        nats = -metrics.log_likelihood(model, binary, SAMPLES, decode_batch_size=5000)
        error = nats.std(ddof=1) / np.sqrt(len(nats))
        bound = history["loss"][-1]
        print(
            f"{name:<8} training bound {bound:.2f}, -log p of {len(nats):,} test images "
            f"{nats.mean():.2f} ± {error:.2f} ({PUBLISHED.get(name, 'no number')} published), "
            f"{arguments.epochs} epochs in {trained - started:.0f} s, evaluation {time.time() - trained:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
