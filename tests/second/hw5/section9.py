"""Section 9: interpolation with a VAE (sheet 003, 3.1)."""

import numpy as np

from hw5 import data, models, networks
from hw5.common import blend, fit, mnist, picture, save


def run(out="figures/section9", epochs=10, train_size=None, batch_size=100):
    """Train a VAE on images of the training set only (9.1), and draw interpolations between test images (9.2).

    Two figures have ten rows each, for pairs of the same digit and pairs of different digits: the first image, seven
    decoded interpolations of the codes, and the last image.

    Returns:
        {"results": {"same_class": (ten positions in the test set, ten others), "different_classes": the same}}
    """
    # TODO start
    vae = models.VAE(*networks.dense_vae(20))
    fit(vae, mnist(train_size)[0], batch_size, epochs=epochs)
    test, labels = data.load("mnist", "test") / np.float32(255), data.load("mnist", "test", feature="label")
    rng, results = np.random.default_rng(1), {}
    for name in ("same_class", "different_classes"):
        order, pairs = list(rng.permutation(len(test))), []
        while len(pairs) < 10:
            first = order.pop()
            mate = next(i for i in order if (labels[i] == labels[first]) == (name == "same_class"))
            order.remove(mate)
            pairs.append((first, mate))
        rows = []
        for pair in pairs:
            codes = blend(*np.asarray(vae.encode(test[list(pair)])), np.arange(1, 8) / 8)
            rows.append([test[pair[0]], *np.asarray(vae.decode(codes)), test[pair[1]]])
        picture(f"{out}/{name}.png", rows)
        results[name] = [[int(number) for number in column] for column in zip(*pairs, strict=True)]
    return save(out, results)
    # TODO end
