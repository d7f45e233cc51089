"""Section 8: a DCGAN of emojis (sheet 003, 2.3 and 4)."""

from pathlib import Path

import keras
import numpy as np
from PIL import Image

from hw5 import data, metrics, models, networks
from hw5.common import fit, gaussian, picture, resize, save


def run(out="figures/section8", data_dir=None, steps=20_000, fid_samples=3000, batch_size=64, hidden=32):
    """Train a DCGAN with the least-squares objective, on images scaled to [−1, 1].

    Save what the generator makes of one fixed noise, before the training, every 200 iterations and at the end (8.3).
    Measure the FID of generated images against the training images (8.4).

    Args:
        data_dir: a folder of PNGs of 32×32; transparent pixels are laid on white (8.1). None for "emojione".
        steps, fid_samples: choose the sheet's numbers as the defaults (8.2, 8.4).

    Returns:
        {"results": {what you measured}}
    """
    # TODO start
    images = (data.load("emojione") if data_dir is None else read(data_dir)) / np.float32(127.5) - 1
    gan = models.GAN(*networks.dcgan(100, hidden, (32, 32, 3)), "least_squares")
    gan.compile(*(keras.optimizers.Adam(2e-4, beta_1=0.5) for _ in range(2)))
    fixed = np.random.default_rng(0).standard_normal((10, 100)).astype(np.float32)
    moments, history, done = [], {}, 0

    def keep():
        moments.append(np.asarray(gan.decode(fixed)))
        picture(f"{out}/fixed_noise/{done:05}.png", [moments[-1]])

    keep()
    while done < steps:
        part = min(200, steps - done)
        for name, values in fit(gan, images, batch_size, steps=part, records=1).items():
            history.setdefault(name, []).extend(values)
        done += part
        keep()
    picture(f"{out}/over_the_training.png", moments[:: max(1, len(moments) // 10)])
    generated = np.asarray(gan.generate(fid_samples))
    pixels = [resize(part, 4).reshape(len(part), -1) for part in (generated, (images + 1) / 2)]
    fid = metrics.frechet_distance(*gaussian(pixels[0]), *gaussian(pixels[1]))
    return save(out, {"history": history, "fid of 4×4 thumbnails": fid})
    # TODO end


def read(folder):
    """Read PNGs, on white."""
    found = []
    for path in sorted(Path(folder).glob("*.png")):
        picture = Image.open(path).convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        found.append(np.asarray(Image.alpha_composite(white, picture).convert("RGB")))
    return np.stack(found)
