"""Inception score and mode score: what a classifier says of generated images."""

import numpy as np
from scipy.special import entr, rel_entr, softmax

from hw5.errors import InputError


def inception_score(logits: np.ndarray, splits: int = 10, seed: int = 0) -> tuple[float, float]:
    """exp E_x KL(p(y|x) ‖ p(y)), from 1 (useless) to the number of classes (Salimans et al. 2016).

    Biased downwards for few images, p(y) being estimated from the same ones (Chong & Forsyth 2020):
    values of unlike counts or splits do not compare.

    Args:
        logits: [n, classes], before the softmax.
        splits: parts to shuffle the images into, whose sizes differ by at most one.
        seed: of the shuffle.

    Returns:
        (mean, standard deviation) over the splits.

    Raises:
        InputError: logits that are not [n, classes] or not finite; fewer images than splits.
    """
    probabilities = _probabilities(logits)
    if not 1 <= splits <= len(probabilities):
        raise InputError(f"splits={splits}: must be between 1 and the number of images, {len(probabilities)}")
    shuffled = np.random.default_rng(seed).permutation(probabilities)
    scores = [np.exp(_information(part)) for part in np.array_split(shuffled, splits)]
    return float(np.mean(scores)), float(np.std(scores))


def mode_score(logits_fake: np.ndarray, class_probabilities_real: np.ndarray) -> float:
    """exp(E_x KL(p(y|x) ‖ p_fake(y)) − KL(p_fake(y) ‖ p_real(y))), the mode score of Che et al. 2017.

    The Inception score of all images in one split where the classes are as frequent as among real images,
    and less where not. Biased downwards for few images.

    Args:
        logits_fake: [n, classes], before the softmax.
        class_probabilities_real: [classes], how frequent the classes are among real images, summing to 1.
            Classes that are not there at all, but have a probability under the fakes, make the score 0.

    Raises:
        InputError: shapes that do not fit, logits that are not finite, what are no probabilities.
    """
    probabilities = _probabilities(logits_fake)
    real = np.asarray(class_probabilities_real, np.float64)
    if real.shape != probabilities.shape[1:]:
        raise InputError(f"class probabilities must be [{probabilities.shape[1]}], not {list(real.shape)}")
    if not (np.all(real >= 0) and abs(real.sum() - 1) < 1e-4):
        raise InputError("class probabilities must not be negative and must sum to 1")
    divergence = rel_entr(probabilities.mean(axis=0), real).sum()
    return float(np.exp(_information(probabilities) - divergence))


def _information(probabilities):
    """E KL(p(y|x) ‖ p(y)) = H(E p) − E H(p), which has no logarithm of 0 to avoid."""
    return entr(probabilities.mean(axis=0)).sum() - entr(probabilities).sum(axis=1).mean()


def _probabilities(logits):
    logits = np.asarray(logits, np.float64)
    if logits.ndim != 2 or not logits.size:
        raise InputError(f"logits must be [n, classes], not {list(logits.shape)}")
    if broken := np.count_nonzero(~np.isfinite(logits).all(axis=1)):
        raise InputError(f"{broken} of {len(logits)} rows of logits are not finite")
    return softmax(logits, axis=1)
