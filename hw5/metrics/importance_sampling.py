"""Estimates of log p(x) of images under a model with latent variables, by importance sampling."""

import hashlib
import pickle

import keras
import numpy as np
import tensorflow as tf

from hw5.errors import InputError
from hw5.metrics.extractor import shard_bounds
from hw5.metrics.likelihood import iwae_bound
from hw5.metrics.shards import Shards, kept, load_array, save_array

NOISE_ROWS = 10_000  # rows of noise drawn at once


def log_likelihood(
    model,
    images: np.ndarray,
    num_samples: int = 2000,
    *,
    seed: int = 0,
    first_image: int = 0,
    first_sample: int = 0,
    decode_batch_size: int = 500,
    shards: Shards | None = None,
    verbose: bool = False,
) -> np.ndarray:
    """Estimate log p(x) of images by importance sampling from the posterior q(z|x).

    log (1/K) Σ p(x|z_k) p(z_k) / q(z_k|x)  with z_k ~ q(z|x). Its expectation is a lower bound that rises to
    log p(x) with K (Rezende et al. 2014; Burda et al. 2016, equation 8 and theorem 1). K = 1 is the ELBO
    with one sample.

    Sample k of image i has the k-th noise of `np.random.default_rng([seed, i])`; no other argument changes it. So
    images, and their samples, can be divided: `first_image` and `first_sample` say where a part begins. The parts
    of the images are concatenated. `hw5.metrics.merge_bounds` merges the parts of their samples.

    Args:
        model: has `latent_dim` and `log_weights(images, epsilon)`, as `hw5.models.VAE`.
        images: float [n, h, w, c], in the range that the model was trained on.
        num_samples: K, importance samples per image.
        seed: of the noise.
        first_image: number of images before these.
        first_sample: number of importance samples of each image before these.
        decode_batch_size: codes decoded in one step. It bounds the memory and does not change the result.
        shards: processes that divide the images among them; the model is then a Keras model.
        verbose: show a progress bar.

    Returns:
        float64 [n], in nats per image: a log-probability if the model's likelihood is of discrete pixels, a
        log-density if it is of continuous ones.

    Raises:
        InputError: images that are not floats or hold NaN, or a number that is too small.
    """
    images = np.asarray(images)
    if images.ndim != 4 or not np.issubdtype(images.dtype, np.floating):
        found = f"{images.dtype} {list(images.shape)}"
        raise InputError(f"images must be float [n, h, w, c], scaled as the model was trained, not {found}")
    if np.isnan(images).any():
        raise InputError("images hold NaN")
    for name, value, smallest in (
        ("num_samples", num_samples, 1),
        ("decode_batch_size", decode_batch_size, 1),
        ("first_image", first_image, 0),
        ("first_sample", first_sample, 0),
    ):
        if value < smallest:
            raise InputError(f"{name}={value}: must be at least {smallest}")
    if shards is not None and shards.count > 1:
        options = dict(seed=seed, first_sample=first_sample, decode_batch_size=decode_batch_size)
        return _sharded(model, images, num_samples, shards, first_image, options)
    log_weights = tf.function(model.log_weights)
    batch_size = max(decode_batch_size // num_samples, 1)
    samples_per_step = min(decode_batch_size, num_samples)
    progress = keras.utils.Progbar(len(images), unit_name="image", verbose=int(verbose))
    bounds = [np.empty(0)]
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size].astype(np.float32)
        generators = [np.random.default_rng([seed, first_image + start + i]) for i in range(len(batch))]
        for generator in generators:  # the noise of the samples before these, in parts to bound the memory
            for skipped in range(0, first_sample, NOISE_ROWS):
                generator.standard_normal((min(NOISE_ROWS, first_sample - skipped), model.latent_dim), np.float32)
        parts = []
        for done in range(0, num_samples, samples_per_step):
            shape = (min(samples_per_step, num_samples - done), model.latent_dim)
            noise = [generator.standard_normal(shape, np.float32) for generator in generators]
            parts.append(log_weights(batch, np.stack(noise, axis=1)))  # [samples, batch]
        bounds.append(iwae_bound(np.concatenate(parts)))
        progress.update(start + len(batch))
    return np.concatenate(bounds)


def _sharded(model, images, num_samples, shards, first_image, options):
    """Compute `log_likelihood` of shards of the images in several processes."""
    pickled = pickle.dumps(model)
    bounds = [shard_bounds(len(images), (number, shards.count)) for number in range(1, shards.count + 1)]
    tasks = [
        (pickled, images[start:stop], num_samples, options | {"first_image": first_image + start})
        for start, stop in bounds
        if stop > start
    ]
    return np.concatenate([np.empty(0), *shards.map(_kept_shard, tasks)])


def _kept_shard(pickled, images, num_samples, options):
    """Compute `log_likelihood` of a shard of images, or read it from the cache folder."""
    model = pickle.loads(pickled)
    content = hashlib.sha256(repr((images.shape, images.dtype, num_samples, options)).encode())
    # One weight shows what the parameters do not: the likelihood and the prior that they belong to.
    probe = np.asarray(model.log_weights(images[:1].astype(np.float32), np.zeros((1, 1, model.latent_dim), np.float32)))
    for array in (np.ascontiguousarray(images), probe, *model.get_weights()):
        content.update(array.tobytes())
    name = f"log-likelihood_{content.hexdigest()[:32]}.npy"
    return kept(name, lambda: log_likelihood(model, images, num_samples, **options), load_array, save_array)
