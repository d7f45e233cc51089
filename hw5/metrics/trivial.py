"""The losses of predictors that know nothing about an image: what a model's loss is compared with."""

import numpy as np


def trivial_losses(training: np.ndarray, images: np.ndarray) -> dict[str, dict[str, float]]:
    """Compute the losses of the mean training image, and of one grey value for all pixels, on other images.

    A decoder that ignores its code can be as good as the mean image. A model with a loss near it has learned nothing
    about single images.

    Args:
        training: uint8 [m, h, w, c], from which the predictors are made.
        images: uint8 [n, h, w, c], on which they are evaluated.

    Returns:
        "mean image" and "constant pixel" → negative_elbo and mse. The first is the Bernoulli cross-entropy, in nats per
        image, of grey values as probabilities. It is −ELBO as well, since nothing is coded. A pixel's probability is
        (Σ x + 1) / (m + 2), by the rule of succession, since a pixel that was always black may once be white. The
        second is the squared error per pixel.
    """
    count = len(training)
    sums = training.sum(axis=0, dtype=np.float64) / 255
    values = np.float64(images) / 255
    mean = values.mean(axis=0)
    predictors = {"mean image": (sums, count), "constant pixel": (sums.sum(), count * sums.size)}
    losses = {}
    for name, (total, number) in predictors.items():
        probability = (total + 1) / (number + 2)
        nats = -np.sum(mean * np.log(probability) + (1 - mean) * np.log1p(-probability))
        losses[name] = {"negative_elbo": float(nats), "mse": float(np.mean(np.square(values - total / number)))}
    return losses
