"""Every section as its user runs it: a process with flags, at tiny settings and with mistakes."""

import json
import subprocess
import sys

import pytest
from PIL import Image

from hw5 import models, section1, section2
from hw5.errors import InputError

TINY = ["--epochs=1", "--train_size=300", "--batch_size=50"]
SECTIONS = {
    1: {
        "flags": ["--k=2", "--k=5", "--hidden=32", "--hidden=16"],
        "figures": {f"{kind}_{name}_k{k}" for kind in ("reconstruction", "interpolation")
                    for name in ("linear", "nonlinear", "stacked", "pretrained") for k in (2, 5)}
        | {f"reconstructions_{name}" for name in ("linear", "nonlinear", "stacked", "pretrained")}
        | {"error", "principal_angles", "pretraining"},
        "models": {f"{name}_k{k}" for name in ("linear", "nonlinear", "stacked", "pretrained") for k in (2, 5)},
    },
    2: {
        "flags": ["--k=2", "--k=5"],
        "figures": {f"{kind}_{name}" for kind in ("reconstruction", "interpolation")
                    for name in ("k2", "k5", "k2_kl0", "k5_kl0")}
        | {"plane_k2", "plane_k2_kl0", "codes_k2", "overview_kl1", "overview_kl0", "kl_weights_k2", "kl_weights_k5"},
        "models": {"k2", "k5", "k2_kl0", "k5_kl0"},
    },
}  # fmt: skip


def call(section, *flags, cwd):
    command = [sys.executable, "-m", f"hw5.section{section}", *flags]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_writes_its_figures_and_numbers(section, tmp_path):
    done = call(section, *TINY, *SECTIONS[section]["flags"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    folder = tmp_path / "figures" / f"section{section}"
    assert {path.stem for path in folder.glob("*.png")} == SECTIONS[section]["figures"]
    for path in folder.glob("*.png"):
        with Image.open(path) as image:
            image.load()
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["settings"]["train_size"] == 300
    assert metrics["settings"]["seed"] == 0
    assert metrics["headline"]
    assert "ms/step" in done.stdout  # Keras' progress bar
    assert done.stderr == ""
    saved = [path.parent for path in (tmp_path / "runs" / f"section{section}").rglob("config.json")]
    assert {path.name for path in saved} == SECTIONS[section]["models"]
    assert models.load(saved[0]).latent_dim in (2, 5)


MISTAKES = [
    (["--k=0"], "--k=0"),
    (["--k=abc"], "--k=abc"),
    (["--dataset=minst"], "unknown dataset 'minst'; embedded are cartoon_faces, emojione, mnist"),
    (["--out=precious"], "--out=precious: is, or lies under, a file"),
    (["--run_dir=precious/models"], "--run_dir=precious/models: is, or lies under, a file"),
    (["--epochs=0"], "--epochs=0"),
    (["--batch_size=-1"], "--batch_size=-1"),
    (["--learning_rate=-1"], "--learning_rate=-1"),
    (["--train_size=99999"], "--train_size=99999: mnist has only 54000 training images"),
    (["--seed=x"], "--seed=x"),
    (["--seed=9999999999"], "--seed=9999999999"),
    (["--no_such_flag"], "no_such_flag"),
    (["stray"], "unexpected argument 'stray'"),
]


@pytest.mark.parametrize(
    ("flags", "message"), MISTAKES, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
@pytest.mark.parametrize("section", SECTIONS)
def test_mistakes_get_one_line_and_exit_code_1(section, flags, message, tmp_path):
    (tmp_path / "precious").write_text("do not lose me")
    done = call(section, *flags, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert (tmp_path / "precious").read_text() == "do not lose me"


@pytest.mark.parametrize(
    "flag", [(1, "--variant=convolutional"), (1, "--k=784"), (2, "--activation=step"), (2, "--kl_weight=-1")]
)
def test_mistakes_in_a_sections_own_flags(flag, tmp_path):
    done = call(*flag, cwd=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert flag[1] in done.stderr


@pytest.mark.parametrize("section", SECTIONS)
def test_help_lists_the_shared_flags_and_the_sections_own(section, tmp_path):
    done = call(section, "--help", cwd=tmp_path)
    for name in ("--k:", "--epochs:", "--batch_size:", "--learning_rate:", "--train_size:", "--seed:", "--out:"):
        assert name in done.stdout


def test_sections_are_callable_without_flags(tmp_path):
    where = dict(out=tmp_path / "figures", run_dir=tmp_path / "runs", train_size=200, epochs=1)
    first = section1.run(variant="linear", k=[3], **where)
    assert first["results"]["mse"]["linear"][3] > first["results"]["pca_mse"][3] > 0
    second = section2.run(k=[3], kl_weight=[1.0], **where)
    terms = second["results"]["validation"]["kl_weight=1"]["k=3"]
    assert terms["negative_elbo"] == pytest.approx(terms["reconstruction"] + terms["kl"])
    assert second["settings"]["k"] == [3]


def test_mistakes_of_a_caller_are_input_errors(tmp_path):
    where = dict(out=tmp_path / "figures", run_dir=tmp_path / "runs", train_size=200, epochs=1)
    with pytest.raises(InputError, match="--variant=liner: must be one of linear, nonlinear, stacked"):
        section1.run(variant=["liner"], **where)
    with pytest.raises(InputError, match="unknown dataset 'minst'"):
        section2.run(dataset="minst", **where)


def test_a_dataset_in_colour_and_without_labels(tmp_path):
    where = dict(out=tmp_path / "figures", run_dir=tmp_path / "runs", train_size=200, epochs=1)
    section2.run(k=[2], kl_weight=[1.0], dataset="emojione", **where)
    assert Image.open(tmp_path / "figures" / "reconstruction_k2.png").mode == "RGB"
    assert (tmp_path / "figures" / "codes_k2.png").exists()
