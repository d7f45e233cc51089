"""Training steps of this package beside the same models in PyTorch: `python benchmarks/training_steps.py [NAME …]`."""

import sys

import torch
from harness import Entry, compare, torch_variants
from torch import nn
from torch.nn import functional as F

from hw5 import models, networks
from hw5.optimizers import Adam

BATCH = 128


def compiled(model):
    model.compile(optimizer=Adam(1e-3), steps_per_execution=60)  # what hw5.training takes for such an epoch
    return model


def dense_flops(batch, *weights):
    """Of one training step of dense layers [inputs × outputs]: forward, and backward to weights and to inputs.

    The first layer has no gradient to its input. A multiply-add counts two.
    """
    sizes = [inputs * outputs for inputs, outputs in weights]
    return 2 * batch * (3 * sum(sizes) - sizes[0])


class TorchLinear(nn.Sequential):
    def __init__(self, k):
        super().__init__(nn.Flatten(), nn.Linear(784, k), nn.Linear(k, 784))


class TorchVAE(nn.Module):
    def __init__(self, k):
        super().__init__()
        self.hidden, self.mean, self.log_var = nn.Linear(784, 512), nn.Linear(512, k), nn.Linear(512, k)
        self.up, self.pixels = nn.Linear(k, 512), nn.Linear(512, 784)

    def forward(self, x):
        h = F.softplus(self.hidden(x))
        mean, log_var = self.mean(h), self.log_var(h)
        z = mean + (0.5 * log_var).exp() * torch.randn_like(mean)
        return self.pixels(self.up(z).sigmoid()), mean, log_var


def mse(module, batch):
    return F.mse_loss(module(batch), batch.flatten(1))


def negative_elbo(module, batch):
    x = batch.flatten(1)
    logits, mean, log_var = module(x)
    reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    kl = 0.5 * (mean.square() + log_var.exp() - log_var - 1).sum()
    return (reconstruction + kl) / len(x)


ENTRIES = [
    Entry(
        "linear autoencoder, k=50",
        BATCH,
        dense_flops(BATCH, (784, 50), (50, 784)),
        lambda: compiled(models.Autoencoder(*networks.linear_autoencoder(50))),
        lambda: torch_variants(lambda: TorchLinear(50), mse),
    ),
    Entry(
        "dense VAE, k=10",
        BATCH,
        dense_flops(BATCH, (784, 512), (512, 20), (10, 512), (512, 784)),
        lambda: compiled(models.VAE(*networks.dense_vae(10))),
        lambda: torch_variants(lambda: TorchVAE(10), negative_elbo),
    ),
]

if __name__ == "__main__":
    wanted = sys.argv[1:]
    chosen = [entry for entry in ENTRIES if not wanted or any(word in entry.name for word in wanted)]
    compare(chosen) if chosen else sys.exit(f"no entry is named {wanted}; there are {[e.name for e in ENTRIES]}")
