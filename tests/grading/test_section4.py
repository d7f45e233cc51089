"""Sheet 001: a dense VAE with a tuned KL weight."""

import inspect

import numpy as np
import pytest
from PIL import Image
from small import constant_vae, cross_entropy, kl, loss
from submission import hw5, keras, tf


@pytest.mark.points(8, part="4.1")
def test_the_layers_of_the_sheet():
    encoder, decoder = hw5.networks.tanh_vae()
    mean, log_var = encoder(np.zeros((3, 28, 28, 1), np.float32))
    assert mean.shape == log_var.shape == (3, 32)
    assert encoder.count_params() == 784 * 200 + 200 + 2 * (200 * 32 + 32)
    assert decoder.count_params() == 32 * 200 + 200 + 200 * 784 + 784
    for network in (encoder, decoder):
        hidden = next(layer for layer in network.layers if getattr(layer, "units", None) == 200)
        assert hidden.activation.__name__ == "tanh"


@pytest.mark.points(3, part="4.1")
def test_only_the_encoder_drops_units():
    encoder, decoder = hw5.networks.tanh_vae()
    drops = [any(isinstance(layer, keras.layers.Dropout) for layer in network.layers) for network in (encoder, decoder)]
    assert drops == [True, False]


@pytest.mark.points(3, part="4.1")
def test_batches_of_a_hundred():
    assert inspect.signature(hw5.section4.run).parameters["batch_size"].default == 100


@pytest.mark.points(5, part="4.2")
@pytest.mark.parametrize("weight", [0.3, 5.0])
def test_the_weight_multiplies_the_kl_divergence_alone(weight):
    expected = cross_entropy().mean() + weight * kl([1.0, -1.0], [0.5, -1.5])
    assert loss(constant_vae([1.0, -1.0], [0.5, -1.5], kl_weight=weight)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.runs
@pytest.mark.points(2, part="4.2")
def test_the_sweep_begins_at_zero(section_run):
    measured = section_run(4).results
    assert min(map(float, measured)) == 0
    assert len(measured) >= 2
    for terms in measured.values():
        assert terms["reconstruction"] > 0
        assert terms["kl"] > 0


@pytest.mark.runs
@pytest.mark.points(8, part="4.3")
def test_a_figure_of_three_rows_of_sixteen(section_run):
    shapes = [Image.open(path).size for path in section_run(4).figures.values()]
    assert any(width > 3.5 * height for width, height in shapes)


@pytest.mark.runs
@pytest.mark.points(8, part="4.4")
def test_samples_are_counted_by_class(section_run):
    for terms in section_run(4).results.values():
        by_digits = terms["samples"]["mnist_classifier"]
        proportions = np.asarray(by_digits["class_proportions"])
        assert proportions.shape == (10,)
        assert proportions.min() >= 0
        assert proportions.sum() == pytest.approx(1)
        counts = proportions * by_digits.get("num_samples", 1000)
        assert np.allclose(counts, np.round(counts))
        assert 0.1 <= by_digits["confidence"] <= 1


@pytest.mark.points(8, part="4.5")
def test_a_few_images_are_learnt_without_the_kl_divergence():
    keras.utils.set_random_seed(0)
    images = hw5.data.load("mnist", limit=8).astype(np.float32) / 255
    vae = hw5.models.VAE(*hw5.networks.tanh_vae(dropout=0.0), kl_weight=0.0)

    def error():
        return float(np.mean((images - np.asarray(vae.reconstruct(images))) ** 2))

    before = error()
    vae.compile(optimizer=keras.optimizers.Adam(0.01))
    vae.fit(tf.data.Dataset.from_tensors(images).repeat(20), shuffle=False, verbose=0)
    assert error() < 0.08 < before  # a black image has 0.1
