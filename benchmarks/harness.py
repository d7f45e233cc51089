"""Training steps of this package compared with PyTorch, alternating, in one run.

An entry (`Entry`) has a model twice: as a compiled Keras model of this package, and as a PyTorch training step in
several variants. The fastest variant counts. Both sides train on images of the same shape with the same batch size,
in float32, on all cores. The sides take turns, and each keeps its best time, because other work on the machine can
only slow a turn down.
"""

import dataclasses
import functools
import os
import time
from collections.abc import Callable

import numpy as np

from hw5.data import pipeline  # before torch: importing hw5 silences TensorFlow's messages

import tensorflow as tf  # isort: skip
import torch  # isort: skip

TURNS = 6


@dataclasses.dataclass
class Entry:
    """One comparison.

    Attributes:
        name: what is compared.
        batch_size: images per step.
        flops: floating-point operations of the matrix products of one step, a multiply-add counting two.
        keras_model: makes a compiled model.
        torch_steps: makes functions that take one batch [batch, c, h, w], by name of the variant.
        image_shape: (h, w, c).
        steps: steps per turn; 420 are an epoch of 54,000 images in batches of 128.
        value_range: of the images as both models see them.
    """

    name: str
    batch_size: int
    flops: float
    keras_model: Callable
    torch_steps: Callable[[], dict[str, Callable]]
    image_shape: tuple[int, int, int] = (28, 28, 1)
    steps: int = 420
    value_range: tuple[float, float] = (0.0, 1.0)


def sgemm_peak(size: int = 2048) -> float:
    """Measure the FLOP/s of large float32 matrix products, the faster library's."""
    a, b = tf.random.normal((size, size)), torch.randn(size, size)
    multiply = tf.function(lambda: tf.reduce_sum(tf.matmul(a, a)))
    functions = (lambda: float(multiply()), lambda: float((b @ b).sum()))
    return 2 * size**3 / min(timed(function) for _ in range(10) for function in functions)


def timed(function: Callable) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def keras_turn(entry: Entry) -> Callable[[], None]:
    """Return a call of `fit` for the entry's steps on a `hw5.data.pipeline`, as in `hw5.training`."""
    model = entry.keras_model()
    images = np.random.default_rng(0).integers(0, 256, (4096, *entry.image_shape), np.uint8)
    stream = pipeline(images, entry.batch_size, value_range=entry.value_range, shuffle=True, epochs=None)
    return lambda: model.fit(stream, steps_per_epoch=entry.steps, epochs=1, verbose=0, shuffle=False)


def torch_turn(entry: Entry, step: Callable) -> Callable[[], None]:
    """Return the same steps on batches gathered from images in memory, scaled as on the other side."""
    height, width, channels = entry.image_shape
    low, high = entry.value_range
    images = torch.randint(0, 256, (4096, channels, height, width), dtype=torch.uint8)

    def turn():
        order = torch.randint(0, len(images), (entry.steps, entry.batch_size))
        for indices in order:
            batch = images[indices].float().mul_((high - low) / 255)
            step(batch.add_(low) if low else batch)

    return turn


def compare(entries: list[Entry]) -> list[dict]:
    """Time every entry, print a table, and return its rows."""
    torch.set_num_threads(os.cpu_count())
    peak = sgemm_peak()
    versions = f"tensorflow {tf.__version__}, torch {torch.__version__}"
    print(f"SGEMM peak {peak / 1e9:.0f} GFLOP/s on {os.cpu_count()} cores; {versions}")
    print(f"{'':<28}{'hw5':>10}{'PyTorch':>10}{'ratio':>7}{'of peak':>9}  (images/s; best PyTorch variant)")
    rows = []
    for entry in entries:
        turns = {"hw5": keras_turn(entry)}
        turns |= {name: torch_turn(entry, step) for name, step in entry.torch_steps().items()}
        seconds = dict.fromkeys(turns, float("inf"))
        for turn in turns.values():
            turn()  # compilation
        for _ in range(TURNS):
            for name, turn in turns.items():
                seconds[name] = min(seconds[name], timed(turn))
        rate = {name: entry.steps * entry.batch_size / value for name, value in seconds.items()}
        best = max((name for name in rate if name != "hw5"), key=rate.get)
        share = entry.flops * entry.steps / seconds["hw5"] / peak
        print(
            f"{entry.name:<28}{rate['hw5']:>10.0f}{rate[best]:>10.0f}{rate['hw5'] / rate[best]:>7.2f}{share:>9.0%}  "
            + ", ".join(f"{name} {value:.0f}" for name, value in rate.items() if name != "hw5")
        )
        rows.append({"name": entry.name, "images_per_second": rate, "ratio": rate["hw5"] / rate[best], "share": share})
    return rows


def torch_variants(make_module: Callable, loss: Callable, *, channels_last: bool = False) -> dict[str, Callable]:
    """Make the variants that a PyTorch user would try: eager, torch.compile, and channels-last for convolutions.

    Args:
        make_module: makes the network, a torch.nn.Module.
        loss: (module, batch) → scalar to minimise.
    """

    def make_step(compiling, layout):
        module = make_module().to(memory_format=layout)
        optimizer = torch.optim.Adam(module.parameters(), lr=1e-3, fused=True)
        objective = compiling(loss)

        def step(batch):
            optimizer.zero_grad(set_to_none=True)
            objective(module, batch.to(memory_format=layout)).backward()
            optimizer.step()

        return step

    return _variants(make_step, channels_last=channels_last)


def torch_gan_variants(
    make_networks: Callable, latent_dim: int, discriminator_loss: Callable, generator_loss: Callable
) -> dict[str, Callable]:
    """Make the same variants of a training step of `hw5.models.GAN`.

    It is D's step on real and generated images, and then G's step with new noise.

    Args:
        make_networks: makes (generator, discriminator); the generator takes noise [batch, latent_dim, 1, 1].
        discriminator_loss: (logits of real images, logits of generated ones) → scalar.
        generator_loss: logits of generated images → scalar.
    """

    def make_step(compiling, layout):
        generator, discriminator = (module.to(memory_format=layout) for module in make_networks())
        of_generator, of_discriminator = (
            torch.optim.Adam(module.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)
            for module in (generator, discriminator)
        )

        def generate(count):
            return generator(torch.randn(count, latent_dim, 1, 1))

        @compiling
        def discriminator_objective(real):
            with torch.no_grad():
                fake = generate(len(real))
            return discriminator_loss(discriminator(real), discriminator(fake))

        @compiling
        def generator_objective(count):
            return generator_loss(discriminator(generate(count)))

        def step(batch):
            of_discriminator.zero_grad(set_to_none=True)
            discriminator_objective(batch.to(memory_format=layout)).backward()
            of_discriminator.step()
            of_generator.zero_grad(set_to_none=True)
            discriminator.requires_grad_(False)  # otherwise its weights' gradients would be computed in vain
            generator_objective(len(batch)).backward()
            discriminator.requires_grad_(True)
            of_generator.step()

        return step

    return _variants(make_step, channels_last=True)


def _variants(make_step, channels_last):
    layouts = {"": torch.contiguous_format} | ({", channels-last": torch.channels_last} if channels_last else {})
    ways = {"eager": lambda function: function, "compiled": functools.partial(torch.compile, dynamic=False)}
    return {
        f"{name}{suffix}": make_step(compiling, layout)
        for suffix, layout in layouts.items()
        for name, compiling in ways.items()
    }
