"""−log p of binarised MNIST under a VAE, an IWAE and a flow VAE, compared with the published numbers.

    python benchmarks/likelihood.py [--epochs=60] [--test_images=1000]
    python benchmarks/likelihood.py --models vae vae_path iwae_5_path flow_iwae_5 --batch_size=100 --epochs=200

The networks, the batch size of 20 and the binarisation, drawn again in every batch, are those of Burda et al. 2016,
table 1: one stochastic layer of 50 units, 200-200 tanh. The paper trained for 3,280 passes, with learning rates that
fall from 1e-3 to 1e-4. It reports −log p of 10,000 test images by 5,000 samples: 86.76 for the VAE and 84.78 for the
IWAE of 50 samples (85.54 of 5).

A model's name is `vae`, or `iwae_K` for K importance samples. `flow_` before it makes the posterior an inverse
autoregressive flow (`flow` is `flow_vae`). `_path` after it is the path gradient: Roeder et al. 2017 for the VAE,
Tucker et al. 2019 for the IWAE.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from hw5 import data, distributions, layers, metrics, models, networks, training

PUBLISHED = {"vae": "86.76", "iwae_5": "85.54", "flow": "no number"}
SAMPLES = 5000


def build(name):
    """Build the untrained model."""
    words = ("flow_vae" if name == "flow" else name).split("_")
    flow = words[0] == "flow"
    arguments = {"preprocessing": layers.Binarization(), "gradient": "path" if words[-1] == "path" else "total"}
    if flow:
        arguments["flow"] = distributions.InverseAutoregressiveFlow(2, hidden=200)
    if "iwae" in words:
        arguments["importance_samples"] = int(words[words.index("iwae") + 1])
    elif "vae" not in words:
        raise SystemExit(f"{name}: no model; its name is [flow_]vae[_path] or [flow_]iwae_K[_path]")
    model = models.ImportanceWeightedVAE if "iwae" in words else models.FlowVAE if flow else models.VAE
    return model(*networks.deep_tanh_vae(context=100 if flow else 0), **arguments)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--batch_size", type=int, default=20)
    parser.add_argument("--learning_rate", type=float, default=1e-3)
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
            schedule=training.Schedule.of_epochs(len(images), arguments.batch_size, arguments.epochs),
            optimizers=training.adam(arguments.learning_rate),
            arguments={key: getattr(arguments, key) for key in ("epochs", "batch_size", "learning_rate")},
        )
        trained = time.time()
        nats = -metrics.log_likelihood(model, binary, SAMPLES, decode_batch_size=5000)
        error = nats.std(ddof=1) / np.sqrt(len(nats))
        bound = history["loss"][-1]
        print(
            f"{name:<11} training bound {bound:.2f}, -log p of {len(nats):,} test images "
            f"{nats.mean():.2f} ± {error:.2f} ({PUBLISHED.get(name, 'no number')} published), "
            f"{arguments.epochs} epochs of {(trained - started) / arguments.epochs:.1f} s, "
            f"evaluation {time.time() - trained:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
