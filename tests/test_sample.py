"""The command that samples from a trained model."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hw5 import metrics, models, networks, sample
from hw5.errors import InputError
from hw5.models import saving

NAMES = ("section2", "section9", "section10", "section11")  # of the package's models


@pytest.fixture
def vae(tmp_path):
    model = models.VAE(*networks.dense_vae(2, hidden=4))
    models.save(model, tmp_path / "runs" / "section2" / "k2")
    return model


def test_an_array_of_the_models_own_samples(vae, tmp_path):
    images = sample.run(tmp_path / "runs" / "section2" / "k2", count=10, seed=3, out=tmp_path / "new" / "x.npy")
    np.testing.assert_array_equal(images, np.round(255 * np.asarray(vae.sample(10, seed=3))))
    np.testing.assert_array_equal(np.load(tmp_path / "new" / "x.npy"), images)
    assert images.dtype == np.uint8
    assert (sample.run(tmp_path / "runs", count=10, seed=4, out=tmp_path / "x.npy") != images).any()


def test_a_grid_and_a_folder(vae, tmp_path):
    images = sample.run(tmp_path / "runs", count=5, out=tmp_path / "pictures")
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == [f"{i:05}.png" for i in range(5)]
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "pictures" / "00004.png")), images[4, ..., 0])
    sample.run(tmp_path / "runs", count=5, out=tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as grid:
        grid.load()


def test_the_results_of_a_section_name_their_models(vae, tmp_path):
    folder = tmp_path / "figures"
    folder.mkdir()
    (folder / "metrics.json").write_text(json.dumps({"settings": {"run_dir": str(tmp_path / "runs")}}))
    assert models.find(folder) == tmp_path / "runs" / "section2" / "k2"
    models.save(vae, tmp_path / "runs" / "section2" / "k5")
    with pytest.raises(InputError, match=r"holds several models; name one of .*k2, .*k5$"):
        models.find(folder)
    (folder / "metrics.json").write_text("{}")
    with pytest.raises(InputError, match="metrics.json: names no folder of trainings"):
        models.find(folder)


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such folder, and no model of the package; these are section2, "):
        sample.run(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no trained model$"):
        sample.run(tmp_path)


def test_points_are_no_images(tmp_path):
    models.save(models.GAN(*networks.plane_gan(), activation="linear"), tmp_path)
    with pytest.raises(InputError, match=r"out=samples.png: samples of .* are \(2,\), no images; name a .npy file"):
        sample.run(tmp_path)
    assert sample.run(tmp_path, out=tmp_path / "x.npy").shape == (64, 2)


@pytest.mark.parametrize("name", ["folder.npy", "folder.png", "file/x.png", "file", "file/folder"])
def test_a_place_that_cannot_be_written_to_is_found_before_the_sampling(vae, tmp_path, name, monkeypatch):
    monkeypatch.setattr(models.VAE, "sample", None)
    for folder in ("folder.npy", "folder.png"):
        (tmp_path / folder).mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=f"^out={tmp_path}.*; name a fil|^out={tmp_path}.*; name a fold"):
        sample.run(tmp_path / "runs", out=tmp_path / name)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_of_the_package_by_its_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = sample.run(name, count=100, out=tmp_path / "x.npy")
    assert images.shape == (100, *((32, 32, 1) if name in ("section10", "section11") else (28, 28, 1)))
    # It was trained: the classifier finds most digits in its samples, those of section 2 with two latents included.
    found = metrics.evaluate_samples(images, [metrics.MnistClassifier()], metrics="class_proportions", verbose=False)
    assert found["mnist_classifier"]["classes_covered"] >= 5


def test_an_existing_folder_comes_before_a_name(vae, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert models.load("section2").latent_dim == 2
    models.save(models.VAE(*networks.dense_vae(3, hidden=4)), tmp_path / "section2")
    assert models.load("section2").latent_dim == 3
    assert models.find("section2") == Path("section2")


def test_an_unknown_name_gets_one_line_with_the_names():
    with pytest.raises(InputError) as caught:
        models.load("section1")
    names = ", ".join(NAMES)
    assert str(caught.value) == f"section1: no such folder, and no model of the package; these are {names}"


def test_the_models_of_the_package_are_small():
    assert sum(path.stat().st_size for path in saving.STORE.rglob("*")) < 6e6
