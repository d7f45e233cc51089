"""Scores of class logits: Inception Score, mode score, and the proportions of the classes."""

import numpy as np
from scipy.special import entr, rel_entr, softmax

from hw5.errors import InputError


def inception_score(logits: np.ndarray, splits: int = 10, seed: int = 0) -> tuple[float, float]:
    """Compute exp E_x KL(p(y|x) ‖ p(y)), from 1 (worst) to the number of classes (Salimans et al. 2016).

    It is biased downwards for few images, because p(y) is estimated from the same images (Chong & Forsyth
    2020). Compare only values of equal counts and splits.

    Args:
        logits: [n, classes], before the softmax.
        splits: number of parts that the shuffled images are divided into; their sizes differ by at most one.
        seed: of the shuffle. The order of the images does not change the parts.

    Returns:
        (mean, standard deviation) over the splits.

    Raises:
        InputError: logits that are not [n, classes] or not finite; fewer images than splits.
    """
    probabilities = _probabilities(logits)
    if not 1 <= splits <= len(probabilities):
        raise InputError(f"splits={splits}: must be between 1 and the number of images, {len(probabilities)}")
    rng = np.random.default_rng(seed)
    # Sorted by a random projection first, so that the order of the images does not change the parts.
    by_content = probabilities[np.argsort(probabilities @ rng.standard_normal(probabilities.shape[1]))]
    shuffled = rng.permutation(by_content)
    scores = [np.exp(_mutual_information(part)) for part in np.array_split(shuffled, splits)]
    return float(np.mean(scores)), float(np.std(scores))


def mode_score(logits_fake: np.ndarray, class_probabilities_real: np.ndarray) -> float:
    """Compute exp(E_x KL(p(y|x) ‖ p_fake(y)) − KL(p_fake(y) ‖ p_real(y))), the mode score (Che et al. 2017).

    This is the form of Xu et al. 2018; that of Che et al. has p_real(y) in the first term, too.
    It equals the Inception Score of all images in one split if the classes are as frequent as among real
    images, and is smaller otherwise. It is biased downwards for few images.

    Args:
        logits_fake: [n, classes], before the softmax.
        class_probabilities_real: [classes], frequencies of the classes among real images, summing to 1. The
            score is 0 if a class has probability 0 here and a positive one among the fakes.

    Raises:
        InputError: shapes that do not fit, logits that are not finite, numbers that are not probabilities.
    """
    probabilities = _probabilities(logits_fake)
    real = np.asarray(class_probabilities_real, np.float64)
    if real.shape != probabilities.shape[1:]:
        raise InputError(f"class probabilities must be [{probabilities.shape[1]}], not {list(real.shape)}")
    if not (np.all(real >= 0) and abs(real.sum() - 1) < 1e-4):
        raise InputError("class probabilities must not be negative and must sum to 1")
    divergence = rel_entr(probabilities.mean(axis=0), real).sum()
    return float(np.exp(_mutual_information(probabilities) - divergence))


def class_proportions(logits: np.ndarray) -> tuple[np.ndarray, float]:
    """Compute the proportions of the classes among images (sheet 001: "most of the 10 different digit classes").

    Args:
        logits: [n, classes], before the softmax.

    Returns:
        (proportions, confidence): for each class the proportion of images with this most probable class,
        [classes], summing to 1; and the mean probability of the most probable class. A classifier may be
        confident about an image without a digit: confidence separates digits from smears, not from noise.

    Raises:
        InputError: logits that are not [n, classes] or not finite.
    """
    probabilities = _probabilities(logits)
    counts = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1])
    return counts / len(probabilities), float(probabilities.max(axis=1).mean())


def _mutual_information(probabilities):
    """Compute E KL(p(y|x) ‖ p(y)) = H(E p) − E H(p), a form without a logarithm of 0."""
    return entr(probabilities.mean(axis=0)).sum() - entr(probabilities).sum(axis=1).mean()


def _probabilities(logits):
    logits = np.asarray(logits, np.float64)
    if logits.ndim != 2 or not logits.size:
        raise InputError(f"logits must be [n, classes], not {list(logits.shape)}")
    if num_broken := np.count_nonzero(~np.isfinite(logits).all(axis=1)):
        raise InputError(f"{num_broken} of {len(logits)} rows of logits are not finite")
    return softmax(logits, axis=1)
