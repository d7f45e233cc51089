"""Training steps compared with the same models in PyTorch: `python benchmarks/training_steps.py [NAME …]`."""

import itertools
import sys
from math import prod

import torch
from harness import Entry, compare, torch_gan_variants, torch_variants
from torch import nn
from torch.nn import functional as F

from hw5 import models, networks
from hw5.training import Adam

BATCH = 128
DENOISER = (1024, 512)


def compiled(model):
    model.compile(optimizer=Adam(1e-3), steps_per_execution=60)  # as in hw5.training for such an epoch
    return model


def dense_flops(batch, *weights):
    """Count the operations of a training step of dense layers [inputs × outputs].

    It goes forward, and back to the weights and the inputs; the first layer has no gradient of its input. A
    multiply-add counts two.
    """
    sizes = [inputs * outputs for inputs, outputs in weights]
    return 2 * batch * (3 * sum(sizes) - sizes[0])


def convolutional_vae_flops(batch, latent_dim):
    """Count as `dense_flops` for the convolutional VAE; a convolution takes 9 · inputs · outputs per output pixel."""
    volumes = [(32, 1, 16), (16, 16, 32), (16, 32, 32), (8, 32, 16)]  # (side of the smaller image, channels, channels)
    convolutions = 2 * sum(9 * side**2 * inputs * outputs for side, inputs, outputs in volumes)
    dense = 1024 * 3 * latent_dim + 5 * latent_dim**2
    return 2 * batch * (3 * (convolutions + dense) - 9 * 32**2 * 16)


def dcgan_widths(hidden, image_shape):
    """List the channels from the image inwards, one entry for every halving down to 4×4: [c, hidden, 2·hidden, …]."""
    return [image_shape[-1], *(hidden << i for i in range((image_shape[0] // 4).bit_length() - 1))]


def dcgan_flops(batch, latent_dim, hidden, image_shape, self_modulation):
    """Count the operations of a training step of a GAN.

    It is D's step on a real and a generated batch, and G's step on another generated one. There are two forward
    passes of G and three of D. D's step goes back to the weights and, except in the first layer, to the inputs, for
    both its batches. G's step goes back to all inputs of D but to no weights of D, and then through G to the weights
    and, except in the first layer, to the inputs. A convolution of kernel 4 takes 16 · inputs · outputs for every
    pixel of its smaller image, padding included. So does its transpose, and so does nearest-neighbour upsampling
    with a convolution of kernel 3, if the weights of equal inputs are added up first. A self-modulated generator has
    `hidden` channels instead of the image's, and one more convolution of kernel 3. A multiply-add counts two.
    """
    widths = dcgan_widths(hidden, image_shape)
    sides = [image_shape[0] >> i for i in range(1, len(widths))]
    volumes = zip(sides, itertools.pairwise(widths), strict=True)
    convolutions = [16 * side**2 * outer * inner for side, (outer, inner) in volumes]
    last = 16 * widths[-1]
    generator, discriminator = sum(convolutions) + latent_dim * last, sum(convolutions) + last
    if self_modulation:
        generator += convolutions[0] * (hidden - image_shape[-1]) // image_shape[-1] + 9 * prod(image_shape) * hidden
        generator += latent_dim * 2 * (sum(widths[1:]) + hidden)
    forward = 2 * generator + 3 * discriminator
    discriminator_step = 2 * (2 * discriminator - convolutions[0])
    generator_step = discriminator + 2 * generator - latent_dim * last
    return 2 * batch * (forward + discriminator_step + generator_step)


class TorchLinear(nn.Sequential):
    def __init__(self, k):
        super().__init__(nn.Flatten(), nn.Linear(784, k), nn.Linear(k, 784))


class TorchVAE(nn.Module):
    def __init__(self, k):
        super().__init__()
        self.hidden, self.mean, self.log_var = nn.Linear(784, 512), nn.Linear(512, k), nn.Linear(512, k)
        self.up, self.pixels = nn.Linear(k, 512), nn.Linear(512, 784)

    def forward(self, x):
        h = F.softplus(self.hidden(x.flatten(1)))
        mean, log_var = self.mean(h), self.log_var(h)
        z = mean + (0.5 * log_var).exp() * torch.randn_like(mean)
        return self.pixels(self.up(z).sigmoid()).view_as(x), mean, log_var


class TorchConvolutionalVAE(nn.Module):
    def __init__(self, latent_dim):
        super().__init__()
        down = [(1, 16, 1), (16, 32, 2), (32, 32, 1), (32, 16, 2)]
        up = [(16, 32, 2), (32, 32, 1), (32, 16, 2)]
        layers = [layer for i, o, s in down for layer in (nn.Conv2d(i, o, 3, s, 1), nn.ReLU())]
        self.encoder = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(1024, 2 * latent_dim), nn.ReLU(), nn.Linear(2 * latent_dim, 2 * latent_dim)
        )
        layers = [layer for i, o, s in up for layer in (nn.ConvTranspose2d(i, o, 3, s, 1, s - 1), nn.ReLU())]
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, latent_dim),
            nn.ReLU(),
            nn.Linear(latent_dim, 1024),
            nn.Unflatten(1, (16, 8, 8)),
            *layers,
            nn.ConvTranspose2d(16, 1, 3, 1, 1),
        )

    def forward(self, x):
        mean, log_sigma = self.encoder(x).chunk(2, 1)
        return self.decoder(mean + log_sigma.exp() * torch.randn_like(mean)), mean, 2 * log_sigma


class TorchDenoiser(nn.Sequential):
    def __init__(self, *hidden):
        widths = [784, *hidden, *reversed(hidden[:-1]), 784]
        layers = [layer for i, o in itertools.pairwise(widths) for layer in (nn.Linear(i, o), nn.ReLU())]
        super().__init__(nn.Flatten(), *layers[:-1])


def torch_dcgan(latent_dim, hidden, image_shape):
    """Build (generator, discriminator) as in PyTorch's DCGAN tutorial, for any size."""
    widths = dcgan_widths(hidden, image_shape)
    up, down = [], []
    for outer, inner in itertools.pairwise(widths[1:]):
        up[:0] = [nn.ConvTranspose2d(inner, outer, 4, 2, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU(True)]
        down += [nn.Conv2d(outer, inner, 4, 2, 1, bias=False), nn.BatchNorm2d(inner), nn.LeakyReLU(0.2, True)]
    generator = nn.Sequential(
        nn.ConvTranspose2d(latent_dim, widths[-1], 4, 1, 0, bias=False),
        nn.BatchNorm2d(widths[-1]),
        nn.ReLU(True),
        *up,
        nn.ConvTranspose2d(hidden, widths[0], 4, 2, 1, bias=False),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(widths[0], hidden, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2, True),
        *down,
        nn.Conv2d(widths[-1], 1, 4, 1, 0, bias=False),
    )
    return generator, discriminator


class TorchSelfModulatedGenerator(nn.Module):
    """Nearest-neighbour upsampling and convolutions of kernel 3, with every normalisation modulated by z."""

    def __init__(self, latent_dim, hidden, image_shape):
        super().__init__()
        channels, *widths = dcgan_widths(hidden, image_shape)
        widths = [*reversed(widths), hidden]
        self.first = nn.ConvTranspose2d(latent_dim, widths[0], 4, 1, 0, bias=False)
        self.normalizations = nn.ModuleList(nn.BatchNorm2d(width) for width in widths)
        self.modulations = nn.ModuleList(nn.Linear(latent_dim, 2 * width, bias=False) for width in widths)
        outputs = [*widths[1:], channels]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(i, o, 3, 1, 1, bias=False) for i, o in zip(widths, outputs, strict=True)
        )

    def forward(self, z):
        x = self.first(z)
        layers = zip(self.normalizations, self.modulations, self.convolutions, strict=True)
        for number, (normalization, modulation, convolution) in enumerate(layers, 1):
            scale, shift = modulation(z.flatten(1))[..., None, None].chunk(2, 1)
            x = F.relu((1 + scale) * normalization(x) + shift)
            if number < len(self.convolutions):
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = convolution(x)
        return x.tanh()


def torch_self_modulated_gan(latent_dim, hidden, image_shape):
    """Build (generator, discriminator) of section 5; D has biases and no normalisation."""
    discriminator = nn.Sequential()
    for outer, inner in itertools.pairwise(dcgan_widths(hidden, image_shape)):
        discriminator.extend([nn.Conv2d(outer, inner, 4, 2, 1), nn.LeakyReLU(0.2, True)])
    discriminator.append(nn.Conv2d(inner, 1, 4, 1, 0, bias=False))
    return TorchSelfModulatedGenerator(latent_dim, hidden, image_shape), discriminator


def patch_noise(x, size=8, stddev=0.5):
    """Add noise as `hw5.layers.PatchNoise`: one patch per image, at a random place, clipped to [0, 1]."""
    batch, _, height, width = x.shape

    def placement(length):
        start = torch.randint(0, length - size + 1, (batch, 1))
        return F.one_hot(start + torch.arange(size), length).float()  # [batch, size, length]

    noise = stddev * torch.randn(batch, size, size)
    return (x + torch.einsum("bih,bjw,bij->bhw", placement(height), placement(width), noise)[:, None]).clamp(0, 1)


def denoising_loss(module, x):
    return F.binary_cross_entropy_with_logits(module(patch_noise(x)), x.flatten(1), reduction="sum") / len(x)


def mse(module, batch):
    return F.mse_loss(module(batch), batch.flatten(1))


def negative_elbo(module, x):
    logits, mean, log_var = module(x)
    reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    kl = 0.5 * (mean.square() + log_var.exp() - log_var - 1).sum()
    return (reconstruction + kl) / len(x)


def cross_entropy(logits, label):
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def half_square(logits, label):
    return 0.5 * (logits - label).square().mean()


def dcgan(name, batch, steps, hidden, image_shape, objective, latent_dim=100, self_modulation=False):
    """Make the entry of a DCGAN with the objective "least_squares" or "non_saturating".

    With `self_modulation` it is the plain GAN of section 5, without its penalty of D's gradient: PyTorch cannot
    compile the second derivative of the penalty.
    """
    loss = {"least_squares": half_square, "non_saturating": cross_entropy}[objective]
    design = {"upsampling": "nearest", "normalization": "none", "self_modulation": True} if self_modulation else {}
    make_torch = torch_self_modulated_gan if self_modulation else torch_dcgan

    def keras_model():
        model = models.GAN(*networks.dcgan(latent_dim, hidden, image_shape, **design), objective)
        optimizers = [Adam(2e-4, beta_1=0.5) for _ in range(2)]
        model.compile(*optimizers, steps_per_execution=min(steps, 50))  # 50 as in hw5.training for 200 steps
        return model

    return Entry(
        name,
        batch,
        dcgan_flops(batch, latent_dim, hidden, image_shape, self_modulation),
        keras_model,
        lambda: torch_gan_variants(
            lambda: make_torch(latent_dim, hidden, image_shape),
            latent_dim,
            lambda real, fake: loss(real, 1.0) + loss(fake, 0.0),
            lambda fake: loss(fake, 1.0),
        ),
        image_shape,
        steps,
        value_range=(-1.0, 1.0),
    )


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
    Entry(
        f"denoiser, {' and '.join(map(str, DENOISER))}",
        BATCH,
        dense_flops(BATCH, *itertools.pairwise([784, *DENOISER, *reversed(DENOISER[:-1]), 784])),
        lambda: compiled(models.DenoisingAutoencoder(*networks.denoising_autoencoder(DENOISER))),
        lambda: torch_variants(lambda: TorchDenoiser(*DENOISER), denoising_loss),
        steps=60,
    ),
    Entry(
        "convolutional VAE, z=100",
        BATCH,
        convolutional_vae_flops(BATCH, 100),
        lambda: compiled(models.VAE(*networks.convolutional_vae(100))),
        lambda: torch_variants(lambda: TorchConvolutionalVAE(100), negative_elbo, channels_last=True),
        image_shape=(32, 32, 1),
        steps=60,
    ),
    dcgan("DCGAN of section 8", 16, 200, 32, (32, 32, 3), "least_squares"),
    dcgan("DCGAN of section 11", 128, 30, 16, (32, 32, 1), "non_saturating"),
    dcgan("DCGAN of faces", 64, 6, 64, (64, 64, 3), "non_saturating"),
    dcgan("GAN of section 5", 16, 20, 16, (64, 64, 3), "non_saturating", self_modulation=True),
]

if __name__ == "__main__":
    words = sys.argv[1:]
    chosen = [entry for entry in ENTRIES if not words or any(word in entry.name for word in words)]
    compare(chosen) if chosen else sys.exit(f"no entry is named {words}; there are {[e.name for e in ENTRIES]}")
