"""Linear heads: softmax regressions that turn a network's features into class logits, fitted and stored in small files.

A head makes the Inception Score one of the dataset's own classes, as Barratt & Sharma 2018 advise for images
that are not ImageNet's. `python -m hw5.metrics.heads` fits one. This file is NumPy and SciPy alone.
"""

import dataclasses
import os
import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp, softmax

from hw5.errors import InputError
from hw5.files import atomic_write, cache_folder

SUFFIX = ".head.npz"
PACKAGE = Path(__file__).parent  # with the heads of the embedded datasets
STRENGTHS = tuple(10.0**power for power in range(-4, 2))  # of the L2 penalty
MAX_ITERATIONS = 200  # of L-BFGS
VALIDATION_SHARE = 5  # every fifth image chooses the strength


@dataclasses.dataclass(frozen=True)
class LinearHead:
    """Class logits as a linear function of features: features @ weights + bias.

    Attributes:
        weights, bias: float32 [d, classes] and [classes]. The standardisation of the features is folded in.
        classes: their names.
        network: network and weights that it takes the features of, such as "inception-fid".
        dataset, label: the dataset, and its features whose values are the classes.
        accuracy: share of the test images that it classifies right; NaN if it is not known.
        chance: the accuracy of always naming the class that is most frequent among the test images.
        l2: strength of the penalty, for each of `label`.
        num_images, num_test_images: number of images for the fit, and for the accuracy.
    """

    weights: np.ndarray
    bias: np.ndarray
    classes: tuple[str, ...]
    network: str
    dataset: str
    label: tuple[str, ...] = ("label",)
    accuracy: float = float("nan")
    chance: float = float("nan")
    l2: tuple[float, ...] = ()
    num_images: int = 0
    num_test_images: int = 0

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Compute the logits, float32 [n, classes], of features [n, d]."""
        return np.asarray(features, np.float32) @ self.weights + self.bias

    @property
    def name(self) -> str:
        """What it is, for results: "linear head: 10 classes of mnist, test accuracy 0.970"."""
        accuracy = f", test accuracy {self.accuracy:.3f}" if np.isfinite(self.accuracy) else ""
        return f"linear head: {len(self.classes)} classes of {self.dataset}{accuracy}"

    def save(self, path: str | os.PathLike) -> None:
        """Write it to one file, complete or not at all."""
        with atomic_write(path) as partial, partial.open("wb") as file:
            np.savez_compressed(file, **dataclasses.asdict(self))

    @classmethod
    def load(cls, path: str | os.PathLike) -> "LinearHead":
        """Read a file that `save` wrote; nothing is unpickled.

        Raises:
            InputError: the file is missing, damaged, or holds no head.
        """
        try:
            with np.load(path) as file:
                found = {field.name: file[field.name] for field in dataclasses.fields(cls)}
            head = cls(
                np.float32(found["weights"]),
                np.float32(found["bias"]),
                tuple(map(str, found["classes"])),
                str(found["network"]),
                str(found["dataset"]),
                tuple(map(str, found["label"])),
                *(float(found[name]) for name in ("accuracy", "chance")),
                tuple(map(float, found["l2"])),
                *(int(found[name]) for name in ("num_images", "num_test_images")),
            )
        except FileNotFoundError as error:
            raise InputError(f"{path}: no such file; python -m hw5.metrics.heads makes one") from error
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            reason = " ".join(str(error).split())[:100]
            raise InputError(f"{path}: holds no linear head ({reason})") from error
        shape = (len(head.weights), len(head.classes))
        if head.weights.shape != shape or head.bias.shape != shape[1:] or shape[1] < 2:
            shapes = f"weights {head.weights.shape}, bias {head.bias.shape}, {len(head.classes)} classes"
            raise InputError(f"{path}: holds no linear head ({shapes})")
        if not (np.isfinite(head.weights).all() and np.isfinite(head.bias).all()):
            raise InputError(f"{path}: holds no linear head (weights that are not finite)")
        return head


def find_head(dataset: str, path: str | os.PathLike | None = None) -> LinearHead | None:
    """Load the head of a dataset: from `path`, from the package, or from the cache folder; None if there is none.

    The package's head comes before one in the cache folder, so that scores on an embedded dataset are those of
    the same classifier everywhere.

    Raises:
        InputError: the file is damaged, or `path` does not exist.
    """
    if path is not None:
        return LinearHead.load(path)
    if not dataset:
        return None
    places = [folder / file_name(dataset) for folder in (PACKAGE, own_heads())]
    return next((LinearHead.load(place) for place in places if place.is_file()), None)


def own_heads() -> Path:
    """Return the folder of the heads that the user has made. It is never cleared, unlike that of the statistics."""
    return cache_folder() / "heads"


def file_name(dataset: str) -> str:
    """Return the name of the file of a dataset's head; that of a TFDS name such as "emnist/letters" has no "/"."""
    return re.sub(r"[^\w.-]", "_", dataset) + SUFFIX


def fit_head(
    features: np.ndarray, labels: np.ndarray, num_classes: int, strengths: Sequence[float] = STRENGTHS
) -> tuple[np.ndarray, np.ndarray, float]:
    """Fit a multinomial logistic regression with an L2 penalty of validated strength.

    Every fifth image is left out of a first fit with each strength. The one with the smallest cross-entropy on
    these images is taken, because the Inception Score depends on the probabilities and not on the most probable
    class alone; and fitted to all images.

    Args:
        features: [n, d].
        labels: integers [n] from 0 to `num_classes` − 1.
        strengths: weights of half the squared norm of the coefficients of standardised features.

    Returns:
        (weights [d, classes], bias [classes], strength), for features as they are, float32.

    Raises:
        InputError: fewer than ten images.
    """
    if len(features) < 2 * VALIDATION_SHARE:
        raise InputError(f"{len(features)} images are too few for a linear head; it needs {2 * VALIDATION_SHARE}")
    mean, std = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    std[std < 1e-6] = np.inf  # a constant feature gets no weight
    standard = ((features - mean) / std).astype(np.float32)
    validated = np.arange(len(features)) % VALIDATION_SHARE == 0

    solution, losses = np.zeros((len(mean) + 1, num_classes)), []
    for strength in sorted(strengths, reverse=True):  # each fit begins where the last one ended
        solution = _minimize(standard[~validated], labels[~validated], solution, strength)
        log_probabilities = log_softmax(standard[validated] @ solution[1:] + solution[0], axis=1)
        losses.append((-log_probabilities[np.arange(validated.sum()), labels[validated]].mean(), strength))
        if losses[-1] > min(losses):
            break  # weaker penalties fit the images that were seen even closer
    strength = min(losses)[1]
    solution = _minimize(standard, labels, solution, strength)
    weights = solution[1:] / std[:, None]
    return np.float32(weights), np.float32(solution[0] - mean @ weights), strength


def _minimize(features, labels, start, strength):
    """Minimise cross-entropy + ½ strength ‖weights‖² over (bias; weights) [1 + d, classes]."""
    target = np.zeros((len(labels), start.shape[1]), np.float32)
    target[np.arange(len(labels)), labels] = 1

    def loss_and_gradient(flat):
        solution = flat.reshape(start.shape)
        logits = features @ np.float32(solution[1:]) + np.float32(solution[0])
        difference = (softmax(logits, axis=1) - target) / len(labels)
        cross_entropy = (logsumexp(logits, axis=1) - (logits * target).sum(axis=1)).mean(dtype=np.float64)
        gradient = np.concatenate([difference.sum(axis=0)[None], features.T @ difference]).astype(np.float64)
        gradient[1:] += strength * solution[1:]
        return cross_entropy + strength / 2 * np.sum(solution[1:] ** 2), gradient.ravel()

    found = minimize(loss_and_gradient, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": MAX_ITERATIONS})
    return found.x.reshape(start.shape)
