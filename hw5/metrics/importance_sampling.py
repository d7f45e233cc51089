"""Estimates of log p(x) of images under a model with latent variables, by importance sampling."""

import keras
import numpy as np
import tensorflow as tf

from hw5.errors import InputError
from hw5.metrics.likelihood import iwae_bound


def log_likelihood(
    model,
    images: np.ndarray,
    num_samples: int = 2000,
    *,
    seed: int = 0,
    decode_batch_size: int = 500,
    verbose: bool = False,
) -> np.ndarray:
    """Estimate log p(x) of images by importance sampling from the posterior q(z|x).

    log (1/K) Σ p(x|z_k) p(z_k) / q(z_k|x)  with z_k ~ q(z|x). Its expectation is a lower bound that rises to
    log p(x) with K (Rezende et al. 2014; Burda et al. 2016, equation 8 and theorem 1). K = 1 is the ELBO
    with one sample.

    The noise of image i comes from `np.random.default_rng([seed, i])`: no other argument changes it.

    Args:
        model: has `latent_dim` and `log_weights(images, epsilon)`, as `hw5.models.VAE`.
        images: float [n, h, w, c], in the range that the model was trained on.
        num_samples: K, importance samples per image.
        decode_batch_size: codes decoded in one step. It bounds the memory and does not change the result.
        verbose: show a progress bar.

    Returns:
        float64 [n], in nats per image: a log-probability if the model's likelihood is of discrete pixels, a
        log-density if it is of continuous ones.

    Raises:
        InputError: images that are not floats or hold NaN, or a number of samples below 1.
    """
    images = np.asarray(images)
    if images.ndim != 4 or not np.issubdtype(images.dtype, np.floating):
        found = f"{images.dtype} {list(images.shape)}"
        raise InputError(f"images must be float [n, h, w, c], scaled as the model was trained, not {found}")
    if np.isnan(images).any():
        raise InputError("images hold NaN")
    for name, value in (("num_samples", num_samples), ("decode_batch_size", decode_batch_size)):
        if value < 1:
            raise InputError(f"{name}={value}: must be at least 1")
    log_weights = tf.function(model.log_weights)
    batch_size = max(decode_batch_size // num_samples, 1)
    samples_per_step = min(decode_batch_size, num_samples)
    progress = keras.utils.Progbar(len(images), unit_name="image", verbose=int(verbose))
    bounds = [np.empty(0)]
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size].astype(np.float32)
        generators = [np.random.default_rng([seed, start + i]) for i in range(len(batch))]
        parts = []
        for done in range(0, num_samples, samples_per_step):
            shape = (min(samples_per_step, num_samples - done), model.latent_dim)
            noise = [generator.standard_normal(shape, np.float32) for generator in generators]
            parts.append(log_weights(batch, np.stack(noise, axis=1)))  # [samples, batch]
        bounds.append(iwae_bound(np.concatenate(parts)))
        progress.update(start + len(batch))
    return np.concatenate(bounds)
