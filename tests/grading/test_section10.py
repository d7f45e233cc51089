"""Sheet 004: convolutional VAEs."""

import inspect

import numpy as np
import pytest
from small import IMAGES, constant_vae, cross_entropy, kl, loss
from submission import hw5, keras

ZEROS = np.zeros((2, 32, 32, 1), np.float32)


def volumes(network):
    """List the output shapes of the layers with weights, in order."""
    return [tuple(layer.output.shape[1:]) for layer in network.layers if layer.weights]


@pytest.mark.points(5, part="10.1")
def test_the_encoders_table():
    encoder, _ = hw5.networks.convolutional_vae(7)
    assert volumes(encoder) == [(32, 32, 16), (16, 16, 32), (16, 16, 32), (8, 8, 16), (14,), (14,)]
    convolutions = 9 * (1 * 16 + 16 * 32 + 32 * 32 + 32 * 16) + 16 + 32 + 32 + 16
    assert encoder.count_params() == convolutions + 1024 * 14 + 14 + 14 * 14 + 14


@pytest.mark.points(5, part="10.1")
def test_the_decoders_table():
    _, decoder = hw5.networks.convolutional_vae(7)
    assert volumes(decoder) == [(7,), (1024,), (16, 16, 32), (16, 16, 32), (32, 32, 16), (32, 32, 1)]
    convolutions = 9 * (16 * 32 + 32 * 32 + 32 * 16 + 16 * 1) + 32 + 32 + 16 + 1
    assert decoder.count_params() == 7 * 7 + 7 + 7 * 1024 + 1024 + convolutions


@pytest.mark.points(6, part="10.1")
def test_the_second_half_of_the_encoders_output_is_log_sigma(grade):
    encoder, _ = hw5.networks.convolutional_vae(2)
    last = [layer for layer in encoder.layers if isinstance(layer, keras.layers.Dense)][-1]
    last.set_weights([np.zeros(last.kernel.shape), np.float32([0.5, -1.0, 0.25, -0.75])])
    mean, log_var = encoder(ZEROS)
    np.testing.assert_allclose(mean[0], [0.5, -1.0], rtol=1e-5)
    grade(0.5, "the first half is the mean")
    np.testing.assert_allclose(log_var[0], [0.5, -1.5], rtol=1e-5)  # log σ² = 2 log σ
    grade(1)


@pytest.mark.points(4, part="10.2")
def test_three_ten_and_a_hundred_latent_dimensions():
    assert sorted(inspect.signature(hw5.section10.run).parameters["latent_dim"].default) == [3, 10, 100]


@pytest.mark.runs
@pytest.mark.points(8, part="10.3")
def test_it_goes_on_from_the_latest_checkpoint(section_run):
    first = section_run(10)
    again = section_run(10, train=False, out=first.out, run_dir=first.run_dir)
    assert not again.fed
    for name, expected in first.results["validation"].items():
        (before,), (after,) = expected.values(), again.results["validation"][name].values()
        assert after["reconstruction"] == pytest.approx(before["reconstruction"], rel=0.01)  # another draw of z


@pytest.mark.runs
@pytest.mark.points(8, part="10.4")
def test_six_curves_in_tensorboard_and_in_a_figure(section_run, grade):
    done = section_run(10)
    for history in done.results["history"].values():
        assert {"loss", "reconstruction", "kl", "val_loss", "val_reconstruction", "val_kl"} <= set(history)
    grade(0.5, "six curves")
    assert any(done.run_dir.rglob("events.out.tfevents*"))
    grade(0.75, "in TensorBoard")
    assert len(done.figures) >= 3
    grade(1)


@pytest.mark.points(5, part="10.5")
def test_the_frechet_distance_of_covariances_that_do_not_commute():
    # tr √(Σ₁Σ₂) of 2×2 matrices is √(tr + 2 √det) = √(10 + 2 √12)
    distance = hw5.metrics.frechet_distance(
        np.zeros(2), [[2.0, 1.0], [1.0, 2.0]], np.zeros(2), [[1.0, 0.0], [0.0, 4.0]]
    )
    assert distance == pytest.approx(9 - 2 * np.sqrt(10 + 2 * np.sqrt(12)), rel=1e-9)


@pytest.mark.points(3, part="10.5", visibility="hidden")
def test_the_frechet_distance_of_singular_covariances():
    direction = np.array([[3.0], [4.0]])
    distance = hw5.metrics.frechet_distance(np.zeros(2), direction @ direction.T, np.ones(2), np.diag([0.0, 1.0]))
    # tr √ of a product of rank one is the root of its trace: 26 + 2 − 2·4
    assert distance == pytest.approx(26 + 2 - 8, rel=1e-6)


@pytest.mark.runs
@pytest.mark.points(2, part="10.5")
def test_the_section_reports_it(section_run):
    for by_dimension in section_run(10).results["validation"].values():
        for row in by_dimension.values():
            assert all(np.isfinite(evaluated["fid"]) for evaluated in row["samples"].values())


@pytest.mark.points(2, part="10.6")
@pytest.mark.parametrize("builder", ["dense_vae", "shallow_vae"])
def test_other_networks_take_their_place(builder):
    encoder, decoder = getattr(hw5.networks, builder)(5, image_shape=(32, 32, 1))
    mean, log_var = encoder(ZEROS)
    assert mean.shape == log_var.shape == (2, 5)
    assert decoder(mean).shape == ZEROS.shape
    assert encoder.count_params() != hw5.networks.convolutional_vae(5)[0].count_params()


@pytest.mark.points(6, part="10.7")
def test_the_losses_are_averaged_over_the_batch():
    expected = cross_entropy().mean() + kl([0.5], [-0.4])
    for copies in (1, 4):
        images = np.concatenate([IMAGES] * copies)
        assert loss(constant_vae([0.5], [-0.4]), images) == pytest.approx(expected, rel=1e-5)


@pytest.mark.points(4, part="10.7")
def test_a_smaller_last_batch_weighs_less():
    images = np.concatenate([IMAGES, IMAGES[:1]])
    expected = cross_entropy(images).mean()
    assert loss(constant_vae([0.0], [0.0]), images, batch_size=2) == pytest.approx(expected, rel=1e-5)
