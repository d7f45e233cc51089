"""Mistakes in metrics and in the data of the faces, and metrics that are right another way."""

# ruff: noqa: E501 (edits are pieces of files)

from mutant import Mutant, equivalent, mutant

FRECHET, SCORES, MMD = "metrics/frechet.py", "metrics/class_scores.py", "metrics/mmd.py"
WASSERSTEIN, LIKELIHOOD = "metrics/wasserstein.py", "metrics/likelihood.py"
SQUARED = "squared = np.sum((mu1 - mu2) ** 2) + np.trace(sigma1) + np.trace(sigma2) - 2 * np.sum(np.sqrt(eigenvalues))"
DIVISOR = "/ max(count - 1, 1), count)"
PARTS = "scores = [np.exp(_mutual_information(part)) for part in np.array_split(shuffled, splits)]"
INFORMATION = "return entr(probabilities.mean(axis=0)).sum() - entr(probabilities).sum(axis=1).mean()"
DIVERGENCE = "divergence = rel_entr(probabilities.mean(axis=0), real).sum()"
MODE = "return float(np.exp(_mutual_information(probabilities) - divergence))"
ESTIMATE = "return float(_mean_of_pairs(kernel_matrix, x) + _mean_of_pairs(kernel_matrix, y) - 2 * across)"
RBF = "return np.exp(squared / (-2 * bandwidth**2))"
POLYNOMIAL = "base = a @ b.T / a.shape[1] + 1"
BOUND = "return np.logaddexp.reduce(log_weights, axis=0) - log(len(log_weights))"
DATA, PREPARED = "data/__init__.py", "return prepared.load(dataset, split, feature, limit)"
EXACT = "return cost[linear_sum_assignment(cost)].mean()"
FID = ("5.6", "8.4", "10.5", "11.4")

MUTANTS = [
    # Fréchet distances
    mutant(
        "fid-without-the-root",
        "metrics",
        FID,
        FRECHET,
        SQUARED,
        SQUARED.replace(" - 2 * np.sum(np.sqrt(eigenvalues))", ""),
    ),
    mutant("fid-root-counted-once", "metrics", FID, FRECHET, SQUARED, SQUARED.replace("- 2 * np.sum", "- np.sum")),
    mutant(
        "fid-of-eigenvalues-not-their-roots",
        "metrics",
        FID,
        FRECHET,
        SQUARED,
        SQUARED.replace("np.sqrt(eigenvalues)", "eigenvalues"),
    ),
    mutant(
        "fid-of-the-distance-of-means",
        "metrics",
        FID,
        FRECHET,
        SQUARED,
        SQUARED.replace("np.sum((mu1 - mu2) ** 2)", "np.linalg.norm(mu1 - mu2)"),
    ),
    mutant(
        "fid-with-rows-for-columns",
        "metrics",
        FID,
        FRECHET,
        "_pivoted_cholesky(sigma1).T @ _pivoted_cholesky(sigma2)",
        "_pivoted_cholesky(sigma1) @ _pivoted_cholesky(sigma2).T",
        sections=(8,),
    ),
    mutant("fid-of-means-alone", "metrics", FID, FRECHET, SQUARED, "squared = np.sum((mu1 - mu2) ** 2)"),
    mutant(
        "fid-of-variances-alone",
        "metrics",
        FID,
        FRECHET,
        SQUARED,
        SQUARED.replace("np.sum(np.sqrt(eigenvalues))", "np.sum(np.sqrt(np.diag(sigma1) * np.diag(sigma2)))"),
    ),
    mutant(
        "fid-as-its-root",
        "metrics",
        FID,
        FRECHET,
        "return max(float(squared), 0.0)",
        "return max(float(squared), 0.0) ** 0.5",
    ),
    mutant("covariance-with-divisor-n", "metrics", ("8.4",), FRECHET, DIVISOR, "/ max(count, 1), count)"),
    mutant(
        "covariance-not-centred",
        "metrics",
        ("8.4",),
        FRECHET,
        f"(scatter + scatter.T) {DIVISOR}",
        "(scatter + scatter.T) / max(count - 1, 1) + np.outer(mean, mean), count)",
    ),
    mutant(
        "section-8-of-300-images",
        "protocol",
        ("8.4",),
        "section8.py",
        "    batch_size = 16\n",
        "    batch_size = 16\n    fid_samples = 300\n",
        runs=False,
    ),
    # scores of classes
    mutant(
        "is-of-one-split",
        "metrics",
        ("5.6",),
        SCORES,
        PARTS,
        PARTS.replace("np.array_split(shuffled, splits)", "[shuffled]"),
    ),
    mutant(
        "is-with-one-marginal",
        "metrics",
        ("5.6",),
        SCORES,
        PARTS,
        "scores = [np.exp(entr(probabilities.mean(axis=0)).sum() - entr(part).sum(axis=1).mean()) for part in np.array_split(shuffled, splits)]",
    ),
    mutant(
        "is-with-its-standard-error",
        "metrics",
        ("5.6",),
        SCORES,
        "float(np.std(scores))",
        "float(np.std(scores) / len(scores) ** 0.5)",
    ),
    mutant(
        "is-without-its-exponential",
        "metrics",
        ("5.6", "8.4"),
        SCORES,
        PARTS,
        PARTS.replace("np.exp(_mutual_information(part))", "_mutual_information(part)"),
    ),
    mutant(
        "is-of-the-reversed-divergence",
        "metrics",
        ("5.6", "8.4"),
        SCORES,
        PARTS,
        PARTS.replace("_mutual_information(part)", "rel_entr(part.mean(axis=0), part).sum(axis=1).mean()"),
    ),
    mutant(
        "is-to-the-base-2",
        "metrics",
        ("5.6", "8.4"),
        SCORES,
        PARTS,
        PARTS.replace("_mutual_information(part)", "_mutual_information(part) / np.log(2)"),
    ),
    mutant(
        "is-of-probabilities-of-probabilities",
        "metrics",
        ("5.6", "8.4"),
        SCORES,
        "return softmax(logits, axis=1)",
        "return softmax(softmax(logits, axis=1), axis=1)",
        sections=(5, 8),
    ),
    mutant(
        "is-of-logits",
        "metrics",
        ("5.6", "8.4"),
        SCORES,
        "return softmax(logits, axis=1)",
        "return np.abs(logits) / np.abs(logits).sum(axis=1, keepdims=True)",
        sections=(5, 8),
    ),
    mutant(
        "is-of-the-likeliest-classes",
        "metrics",
        ("5.6", "8.4"),
        SCORES,
        "return entr(probabilities.mean(axis=0)).sum()",
        "shares = np.bincount(probabilities.argmax(axis=1)) / len(probabilities)\n    return entr(shares).sum()",
        sections=(5, 8),
    ),
    mutant(
        "mode-score-of-the-reversed-divergence",
        "metrics",
        ("5.6",),
        SCORES,
        DIVERGENCE,
        "divergence = rel_entr(real, probabilities.mean(axis=0)).sum()",
    ),
    mutant(
        "mode-score-of-the-likeliest-classes",
        "metrics",
        ("5.6",),
        SCORES,
        DIVERGENCE,
        "shares = np.bincount(probabilities.argmax(axis=1), minlength=len(real)) / len(probabilities)\n    divergence = rel_entr(shares, real).sum()",
    ),
    mutant("mode-score-without-the-classes", "metrics", ("5.6",), SCORES, MODE, MODE.replace(" - divergence", "")),
    mutant("mode-score-with-a-plus", "metrics", ("5.6",), SCORES, MODE, MODE.replace(" - divergence", " + divergence")),
    # maximum mean discrepancy
    mutant(
        "mmd-biased",
        "metrics",
        ("5.6",),
        MMD,
        "    return total / (len(x) * (len(x) - 1))",
        "    return (total + sum(np.trace(kernel_matrix(row[None], row[None])) for row in x)) / len(x) ** 2",
    ),
    mutant(
        "mmd-of-the-distance-not-squared",
        "metrics",
        ("5.6",),
        MMD,
        RBF,
        "return np.exp(np.sqrt(squared.clip(0)) / (-2 * bandwidth**2))",
    ),
    mutant("mmd-without-the-half", "metrics", ("5.6",), MMD, RBF, "return np.exp(-squared / bandwidth**2)"),
    mutant("mmd-across-counted-once", "metrics", ("5.6",), MMD, ESTIMATE, ESTIMATE.replace("- 2 * across", "- across")),
    mutant(
        "mmd-as-its-root",
        "metrics",
        ("5.6",),
        MMD,
        ESTIMATE,
        "return float(max(_mean_of_pairs(kernel_matrix, x) + _mean_of_pairs(kernel_matrix, y) - 2 * across, 0.0) ** 0.5)",
    ),
    mutant("mmd-kernel-without-its-dimension", "metrics", ("5.6",), MMD, POLYNOMIAL, "base = a @ b.T + 1"),
    mutant("mmd-kernel-squared", "metrics", ("5.6",), MMD, "return base * base * base", "return base * base"),
    # Wasserstein distance
    mutant(
        "wasserstein-without-the-assignment", "metrics", ("5.6",), WASSERSTEIN, EXACT, "return np.diag(cost).mean()"
    ),
    mutant("wasserstein-of-nearest-points", "metrics", ("5.6",), WASSERSTEIN, EXACT, "return cost.min(axis=1).mean()"),
    mutant("wasserstein-of-all-pairs", "metrics", ("5.6",), WASSERSTEIN, EXACT, "return cost.mean()"),
    mutant("wasserstein-as-a-sum", "metrics", ("5.6",), WASSERSTEIN, EXACT, EXACT.replace(".mean()", ".sum()")),
    mutant(
        "wasserstein-of-coordinates",
        "metrics",
        ("5.6",),
        WASSERSTEIN,
        "cost = cdist(x, y) ** order",
        'cost = cdist(x, y, "chebyshev") ** order / 2',
    ),
    mutant(
        "wasserstein-of-order-2",
        "metrics",
        ("5.6",),
        WASSERSTEIN,
        "order: float = 1,",
        "order: float = 2,",
    ),
    # likelihood
    Mutant(
        "estimate-without-one-over-k",
        "metrics",
        ("5.6",),
        ((LIKELIHOOD, BOUND, BOUND.removesuffix(" - log(len(log_weights))")),),
    ),
    Mutant(
        "estimate-averages-logarithms",
        "metrics",
        ("5.6",),
        ((LIKELIHOOD, BOUND, "return np.mean(log_weights, axis=0)"),),
    ),
    Mutant(
        "bits-per-pixel-for-bits-per-dimension",
        "metrics",
        ("5.6",),
        ((LIKELIHOOD, "    dimensions = prod(image_shape)", "    dimensions = prod(image_shape[:2])"),),
    ),
    Mutant(
        "bits-in-nats",
        "metrics",
        ("5.6",),
        (
            (
                LIKELIHOOD,
                "return -log_probability / (dimensions * log(2))",
                "return -log_probability / dimensions",
            ),
        ),
    ),
    Mutant(
        "no-determinant-of-the-scaling",
        "metrics",
        ("5.6",),
        ((LIKELIHOOD, "+ dimensions * log((high - low) / levels)", "+ 0 * high * low"),),
    ),
    mutant(
        "bits-of-the-unit-interval-alone",
        "metrics",
        ("5.6",),
        LIKELIHOOD,
        "log((high - low) / levels)",
        "log((levels if value_range is None else 1) / levels) + 0 * low * high",
    ),
    Mutant(
        "no-dequantisation",
        "metrics",
        ("5.6",),
        (
            (
                LIKELIHOOD,
                "unit = (images + sixteen_bits / np.float32(2**16)) / np.float32(256)",
                "unit = images / np.float32(256)",
            ),
        ),
    ),
    Mutant(
        "estimate-of-100-samples",
        "metrics",
        ("5.6",),
        (("metrics/importance_sampling.py", "num_samples: int = 2000,\n    *,", "num_samples: int = 100,\n    *,"),),
    ),
    # 5.1: the data of the faces
    mutant(
        "faces-of-one-split",
        "protocol",
        ("5.1",),
        DATA,
        PREPARED,
        'return prepared.load(dataset, "train" if name == "cartoon_faces" else split, feature, limit)',
        runs=False,
    ),
    mutant(
        "faces-in-blue",
        "protocol",
        ("5.1",),
        DATA,
        PREPARED,
        'found = prepared.load(dataset, split, feature, limit)\n    return found[..., ::-1] if name == "cartoon_faces" and feature == "image" else found',
        runs=False,
    ),
    mutant(
        "faces-without-limit",
        "protocol",
        ("5.1",),
        DATA,
        PREPARED,
        'return prepared.load(dataset, split, feature, None if name == "cartoon_faces" else limit)',
        runs=False,
    ),
    mutant(
        "faces-as-floats",
        "protocol",
        ("5.1",),
        DATA,
        PREPARED,
        'found = prepared.load(dataset, split, feature, limit)\n    return np.float32(found) / 255 if name == "cartoon_faces" and feature == "image" else found',
        runs=False,
    ),
    mutant(
        "wasserstein-of-city-blocks",
        "metrics",
        ("5.6",),
        WASSERSTEIN,
        "cost = cdist(x, y) ** order",
        'cost = cdist(x, y, "cityblock") ** order',
    ),
    mutant(
        "wasserstein-by-a-greedy-assignment",
        "metrics",
        ("5.6",),
        WASSERSTEIN,
        EXACT,
        "total = 0.0\n    for row in range(len(cost)):\n        nearest = cost[row].argmin()\n        total += cost[row, nearest]\n        cost[:, nearest] = np.inf\n    return total / len(x)",
    ),
    mutant("mmd-across-divided-by-one-count", "metrics", ("5.6",), MMD, "/ (len(x) * len(y))", "/ (len(x) * len(x))"),
    mutant(
        "dequantised-alike-in-all-images",
        "noise",
        ("5.6",),
        LIKELIHOOD,
        "integers(0, 2**16, images.shape, np.uint16)",
        "integers(0, 2**16, images.shape[1:], np.uint16)",
    ),
    mutant(
        "dequantised-alike-in-all-channels",
        "noise",
        ("5.6",),
        LIKELIHOOD,
        "integers(0, 2**16, images.shape, np.uint16)",
        "integers(0, 2**16, (*images.shape[:-1], 1), np.uint16)",
    ),
    mutant(
        "emojis-in-blue",
        "protocol",
        ("8.1",),
        DATA,
        PREPARED,
        'found = prepared.load(dataset, split, feature, limit)\n    return found[..., ::-1] if name == "emojione" and feature == "image" else found',
        runs=False,
    ),
    mutant(
        "covariance-of-blocks-averaged", "metrics", ("8.4",), FRECHET, "gap * np.sqrt(count * share)])", "0 * gap])"
    ),
    mutant(
        "estimate-with-uniform-noise",
        "noise",
        ("5.6",),
        "metrics/importance_sampling.py",
        "generator.standard_normal(shape, np.float32) for",
        "generator.random(shape, np.float32) for",
    ),
    mutant(
        "estimate-at-the-mode",
        "noise",
        ("5.6",),
        "metrics/importance_sampling.py",
        "generator.standard_normal(shape, np.float32) for",
        "np.zeros(shape, np.float32) for",
    ),
    mutant(
        "estimate-underflows",
        "metrics",
        ("5.6",),
        LIKELIHOOD,
        BOUND,
        "return np.log(np.mean(np.exp(log_weights), axis=0))",
        runs=True,
    ),
]

EQUIVALENTS = [
    equivalent(
        "fid-in-float32",
        (
            (
                FRECHET,
                "[np.asarray(array, np.float64) for array in (mu1, sigma1, mu2, sigma2)]",
                "[np.float64(np.float32(array)) for array in (mu1, sigma1, mu2, sigma2)]",
            ),
            (FRECHET, "return max(float(squared), 0.0)", "return np.float32(max(float(squared), 0.0))"),
        ),
        (8, 10, 11),
        False,
    ),
    equivalent(
        "fid-by-sqrtm",
        (
            (
                FRECHET,
                SQUARED,
                "from scipy.linalg import sqrtm\n\n    root = np.real(sqrtm(np.float32(sigma1 @ sigma2)))\n    squared = np.sum((mu1 - mu2) ** 2) + np.trace(sigma1) + np.trace(sigma2) - 2 * np.trace(root)",
            ),
        ),
        (8, 11),
        False,
    ),
    equivalent(
        "is-of-clipped-probabilities",
        ((SCORES, "return softmax(logits, axis=1)", "return np.clip(softmax(logits, axis=1), 1e-7, 1 - 1e-7)"),),
        (5, 8),
        False,
    ),
    equivalent(
        "is-of-divergences",
        ((SCORES, INFORMATION, "return rel_entr(probabilities, probabilities.mean(axis=0)).sum(axis=1).mean()"),),
        (5, 8),
        False,
    ),
    equivalent(
        "is-in-order", ((SCORES, "shuffled = rng.permutation(by_content)", "shuffled = probabilities"),), (5, 8), False
    ),
    equivalent(
        "mode-score-by-its-first-form",
        ((SCORES, MODE, "return float(np.exp(rel_entr(probabilities, real).sum(axis=1).mean() - 2 * divergence))"),),
        (5,),
        False,
    ),
    equivalent(
        "mmd-by-distances",
        (
            (
                MMD,
                "squared = np.sum(a * a, axis=1)[:, None] + np.sum(b * b, axis=1) - 2 * a @ b.T",
                "squared = np.sum((a[:, None] - b) ** 2, axis=-1)",
            ),
        ),
        (5,),
        False,
    ),
    equivalent(
        "wasserstein-in-float32",
        ((WASSERSTEIN, EXACT, "return np.float32(cost)[linear_sum_assignment(cost)].mean()"),),
        (5,),
        False,
    ),
    equivalent(
        "importance-samples-of-the-same-noise",
        (
            (
                "metrics/importance_sampling.py",
                "np.random.default_rng([seed, first_image + start + i])",
                "np.random.default_rng(seed)",
            ),
        ),
        (5,),
    ),
]
