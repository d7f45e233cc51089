"""How the layers of a network double a feature map."""

import numpy as np
from leaves import layer_calls

KINDS = ("deconv", "nearest", "bilinear")


def doublings(network, codes) -> list[str]:
    """List how the layers that double a map larger than one pixel do it: each is one of KINDS, or "otherwise".

    Args:
        codes: [n, latent_dim], to which the network is applied.
    """
    return [kind_of(np.float64(rows)) for rows in doubled_maps(network, codes)]


def kind_of(rows) -> str:
    """Say how maps [n, h, w] were made of smaller ones, and multiplied by a kernel of a single weight."""
    if any(np.all(rows[:, start::2] == 0) for start in (0, 1)):
        return "deconv"  # a single weight of a transposed convolution of stride 2 meets every other row
    close = 1e-4 * np.abs(rows).max()
    for start in (1, 2):  # the pixel b and the next one, c, lie within one pixel of the smaller feature map
        a, b, c, d = (rows[:, np.arange(start, rows.shape[1] - 3, 2) + shift] for shift in (-1, 0, 1, 2))
        if np.abs(b - c).max() < close:
            return "nearest"
        # Of its values … e, f, g …: a = ¾ e + ¼ f, b = ¼ e + ¾ f, c = ¾ f + ¼ g, d = ¼ f + ¾ g
        if np.abs((3 * b - a) - (3 * c - d)).max() < 4 * close:
            return "bilinear"
    return "otherwise"


def doubled_maps(network, codes) -> list[np.ndarray]:
    """Apply every doubling layer to random maps; return its first channel, [n, 2h, 2w] or a little more."""
    rng, found = np.random.default_rng(0), []
    for call in layer_calls(network, codes, blocks=True):
        before, after = call["inputs"].shape, call["outputs"].shape
        is_map = len(before) == len(after) == 4
        if not is_map or before[1] < 2 or not 1.5 * before[1] < after[1]:
            continue
        layer = call["layer"]
        weights = layer.get_weights()
        plain = [np.zeros_like(value) for value in weights]
        for kernel in (value for value in plain if value.ndim == 4):
            kernel[(kernel.shape[0] - 1) // 2, (kernel.shape[1] - 1) // 2, 0, 0] = 1
        layer.set_weights(plain)
        found.append(np.asarray(layer(np.float32(rng.normal(size=(2, *before[1:])))))[..., 0])
        layer.set_weights(weights)
    return found
