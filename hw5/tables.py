"""Tables on the standard output."""

from collections.abc import Mapping

ELBO = {"reconstruction": ("reconstruction", ".2f"), "KL": ("kl", ".2f"), "-ELBO": ("negative_elbo", ".2f")}
EVALUATION = {
    "samples": ("num_samples", ",d"),
    "FID": ("fid", ".2f"),
    "FID∞": ("fid_infinity", ".2f"),
    "±": ("fid_infinity_error", ".2f"),
    "IS": ("is", ".2f"),
    "mode score": ("mode_score", ".2f"),
    "KID": ("kid", ".4g"),
    "MMD": ("mmd", ".4g"),
    "Wasserstein": ("wasserstein", ".4g"),
    "sliced": ("sliced_wasserstein", ".4g"),
    "precision": ("precision", ".3f"),
    "recall": ("recall", ".3f"),
    "classes": ("classes_covered", "d"),
    "confidence": ("confidence", ".3f"),
    "features": ("extractor", ""),
}

REAL = "real_vs_real_"  # prefix of what `evaluate_samples` computes of real images


def print_table(title: str, rows: Mapping[str, Mapping], columns: Mapping[str, tuple[str, str]]) -> None:
    """Print numbers, one row per entry of `rows`.

    A cell without a value stays empty, and a column without any value is left out.

    Args:
        title: stands above the names of the rows.
        rows: name → values, which may be nested.
        columns: heading → (keys of the value, with "/" between them; its format).
    """
    cells = {heading: [_cell(row, *column) for row in rows.values()] for heading, column in columns.items()}
    cells = [[heading, *values] for heading, values in cells.items() if any(values)]
    if not cells:
        return
    names = [title, *rows]
    lines = [f"{name:<{max(map(len, names))}}" for name in names]
    for column in cells:
        width = max(map(len, column)) + 2
        lines = [line + f"{cell:>{width}}" for line, cell in zip(lines, column, strict=True)]
    print(*lines, sep="\n")


def print_evaluations(evaluations: Mapping[str, Mapping[str, Mapping]]) -> None:
    """Print the results of `hw5.metrics.evaluate_samples` for some models, one row per model and extractor.

    A row per extractor follows with the values of real images: compared with other real images, and class scores.

    Args:
        evaluations: name of the model → extractor → metrics.
    """
    rows, real = {}, {}
    for name, evaluated in evaluations.items():
        for key, row in evaluated.items():
            rows[f"{name}, {key}" if name else key] = row
            found = {label.removeprefix(REAL): value for label, value in row.items() if label.startswith(REAL)}
            if "real_is" in row or "real_mode_score" in row:
                found |= {"is": row.get("real_is"), "mode_score": row.get("real_mode_score")}
                found.setdefault("samples", row.get("real_is_samples"))
            if found:
                found |= {"num_samples": found.get("samples"), "extractor": row["extractor"]}
                real.setdefault(f"real vs. real, {key}", found)
    if rows:
        print_table("samples", rows | real, EVALUATION)


def _cell(value, path, form):
    for key in path.split("/"):
        if not isinstance(value, Mapping) or key not in value:
            return ""
        value = value[key]
    return "" if value is None else format(value, form)
