"""Fit a linear head: a classifier of a dataset's own classes, for Inception Score, mode score and class proportions.

    python -m hw5.metrics.heads my_dataset                                     # classes are its feature `label`
    python -m hw5.metrics.heads my_faces --label=attributes/Male,attributes/Smiling     # their four combinations
    python -m hw5.metrics.heads mnist --out=mnist.head.npz                     # fits the package's own head again

The head is a softmax regression of the features that InceptionV3 computes for the FID anyway. It is stored in the
cache folder, where sections and `python -m hw5.metrics` find it by the dataset's name, or in the file `out`, which
`--head=FILE` names. The heads of mnist, cartoon_faces and emojione are part of the package.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hw5 import command_line, data
from hw5.errors import InputError
from hw5.files import output_file
from hw5.metrics.inception import Inception, InceptionSettings
from hw5.metrics.linear_head import SUFFIX, LinearHead, file_name, fit_head, own_heads
from hw5.metrics.statistics import cached_statistics
from hw5.settings import REQUIRED, Several, program, setting

# The classes of a dataset without a `label`: combinations of three independent attributes, each of about half of the
# faces, that a linear head can see: it is right about 96 %, 81 % and 90 % of the test images, but of 66 % if asked for
# Smiling.
LABELS = {
    "cartoon_faces": ("attributes/Male", "attributes/Mouth_Open", "attributes/Black_Hair|attributes/Brown_Hair"),
}
NUM_KEPT = 6000  # first training images, which FIDs use by default; the fit uses them only if there are too few others
TEST_SHARE = 5  # without a split "test", every fifth image is left out of the fit to test it
MIN_IMAGES_PER_CLASS = 5  # on average


class Arguments(InceptionSettings):
    """A head, and the images that it is fitted to."""

    dataset: str = setting(REQUIRED, "Dataset: mnist, emojione, cartoon_faces, a TFDS name, or your own.")
    label: Several[str] = setting(
        ("label",),
        "Features. Combinations of several are the classes, so they should be independent; A|B is true where A or B "
        "is. (Default: label; of cartoon_faces three attributes.)",
    )
    images: int = setting(3000, "Training images for the fit, from all parts of the split.", at_least=20)
    test_images: int = setting(1000, "Use the first n test images for the accuracy.", at_least=1)
    data_dir: Path | None = setting(None, "Folder of TFDS' datasets (default: TFDS_DATA_DIR).")
    out: Path | None = setting(None, f"File to write, …{SUFFIX} (default: a file in the cache folder).")


def main(arguments: Arguments) -> LinearHead:
    """Fit a linear head to images of a training split, store it, and print its accuracy on test images.

    Returns:
        The head.
    """
    dataset, source = arguments.dataset, {"data_dir": arguments.data_dir}
    label = arguments.label if dataset not in LABELS or not arguments.is_default("label") else LABELS[dataset]
    out = arguments.out or own_heads() / file_name(dataset)
    if not out.name.endswith(SUFFIX):
        raise InputError(f"out={out}: must end in {SUFFIX}")
    output_file(out)
    values = read_values(dataset, "train", label, **source)
    positions = training_positions(len(values), arguments.images)
    values = [values[position] for position in positions]
    classes = sorted(set(values))
    if not 2 <= len(classes) <= len(values) / MIN_IMAGES_PER_CLASS:
        raise InputError(
            f"label={','.join(label)}: {len(values)} images of {dataset} have {len(classes)} classes; a head needs two "
            f"or more, and {MIN_IMAGES_PER_CLASS} images of each on average"
        )
    extractor = Inception("fid", arguments.inception_weights, arguments.inception_dtype)

    def compute(images):
        return cached_statistics(images, extractor, verbose=True).features

    features = compute(data.load(dataset, "train", **source)[positions])
    if "test" in data.splits(dataset, **source):
        test_features = compute(data.load(dataset, "test", limit=arguments.test_images, **source))
        test_values = read_values(dataset, "test", label, **source)[: len(test_features)]
    else:
        tests = np.arange(len(features)) % TEST_SHARE == TEST_SHARE - 1
        test_features, features = features[tests][: arguments.test_images], features[~tests]
        test_values = [value for value, is_test in zip(values, tests, strict=True) if is_test][: len(test_features)]
        values = [value for value, is_test in zip(values, tests, strict=True) if not is_test]
    print(f"{dataset}: fitting {len(classes)} classes to {len(features):,} images")
    weights, bias, strengths = fit_combinations(features, values, classes)
    right = [
        classes[i] == value for i, value in zip((test_features @ weights + bias).argmax(1), test_values, strict=True)
    ]
    head = LinearHead(
        weights,
        bias,
        tuple(class_name(label, value) for value in classes),
        network="inception-fid",
        dataset=dataset,
        label=label,
        accuracy=np.mean(right),
        chance=max(map(test_values.count, classes)) / len(test_values),
        l2=strengths,
        num_images=len(features),
        num_test_images=len(test_values),
    )
    head.save(out)
    print(f"{out}: {head.name} ({head.num_test_images:,} images; the most frequent class alone {head.chance:.3f})")
    return head


def fit_combinations(
    features: np.ndarray, values: Sequence[tuple], classes: Sequence[tuple]
) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """Fit a regression for each part of the classes, and add their logits.

    The logits of a combination of parts are the sum of theirs if the parts are independent for a given image. That
    has fewer weights than a regression of all combinations, and is more accurate.

    Args:
        features: [n, d].
        values: the class of each image, a tuple of parts.
        classes: all classes.

    Returns:
        (weights [d, classes], bias [classes], strength of the penalty of each part).
    """
    weights, bias, strengths = 0, 0, []
    for of_images, of_classes in zip(zip(*values, strict=True), zip(*classes, strict=True), strict=True):
        numbers = {value: number for number, value in enumerate(sorted(set(of_classes)))}
        labels = np.array([numbers[value] for value in of_images])
        part_weights, part_bias, strength = fit_head(features, labels, len(numbers))
        columns = [numbers[value] for value in of_classes]
        weights, bias = weights + part_weights[:, columns], bias + part_bias[columns]
        strengths.append(strength)
    return weights, bias, tuple(strengths)


def training_positions(available: int, wanted: int) -> np.ndarray:
    """Choose the images for a fit: at equal distances, because neighbours may be alike (MNIST's are of one writer).

    The first images are left out as far as there are others: the scores of real images should be those of images
    that the head was not fitted to.
    """
    start = max(min(NUM_KEPT, available - wanted), 0)
    return np.linspace(start, available - 1, min(wanted, available)).round().astype(int)


def read_values(dataset: str, split: str, label: Sequence[str], **source) -> list[tuple]:
    """Read the features `label` of a split: for each image, the tuple of its values.

    Raises:
        InputError: a feature that is missing, or is no number, boolean or text; A|B of others than booleans.
    """
    columns = []
    for names in label:
        parts = [data.load(dataset, split, feature=name, **source) for name in names.split("|")]
        if (
            parts[0].ndim != 1
            or parts[0].dtype.kind == "f"
            or (len(parts) > 1 and {p.dtype.kind for p in parts} != {"b"})
        ):
            raise InputError(f"label={names}: must be a whole number, a boolean or a text; A|B joins booleans")
        columns.append(np.any(parts, axis=0).tolist() if len(parts) > 1 else parts[0].tolist())
    return list(zip(*columns, strict=True))


def class_name(label: Sequence[str], value: tuple) -> str:
    """Name a class by the values of its features: "7", or "Male, not Smiling"."""

    def word(names, one):
        if isinstance(one, bool):
            text = " or ".join(name.rpartition("/")[2] for name in names.split("|"))
            return text if one else f"not {text}" if "|" not in names else f"not ({text})"
        return one.decode(errors="replace") if isinstance(one, bytes) else str(one)

    return ", ".join(map(word, label, value))


run = program(Arguments, main, positional=("dataset",))

if __name__ == "__main__":
    command_line.launch(run)
