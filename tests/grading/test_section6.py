"""Sheet 003, 1.2: a denoising autoencoder of patches."""

import numpy as np
import pytest
from PIL import Image
from submission import hw5


@pytest.mark.runs
@pytest.mark.points(8, part="6.1")
def test_noise_is_inside_one_patch_of_8_by_8_alone(section_run):
    noisy = section_run(6).results["noisy"]
    assert float(noisy["mse"]) == pytest.approx(float(noisy["patch_mse"]) * 64 / 784, rel=1e-5)
    assert 0.01 < float(noisy["patch_mse"]) < 0.3


@pytest.mark.points(4, part="6.1")
def test_a_multilayer_perceptron():
    encoder, decoder = hw5.networks.denoising_autoencoder((64, 32))
    assert encoder.count_params() == 784 * 64 + 64 + 64 * 32 + 32
    assert decoder.count_params() == 32 * 64 + 64 + 64 * 784 + 784


@pytest.mark.runs
@pytest.mark.points(6, part="6.2")
def test_a_figure_of_clean_noisy_and_denoised_rows(section_run):
    assert any(np.ptp(np.asarray(Image.open(path))) > 100 for path in section_run(6).figures.values())


@pytest.mark.runs
@pytest.mark.points(4, part="6.3")
@pytest.mark.parametrize("name", ["noisy", "median filter", "denoised"])
def test_psnr_and_mse(section_run, name):
    row = {key: float(value) for key, value in section_run(6).results[name].items()}
    assert row["psnr"] == pytest.approx(-10 * np.log10(row["mse"]))
    assert row["patch_psnr"] == pytest.approx(-10 * np.log10(row["patch_mse"]))
