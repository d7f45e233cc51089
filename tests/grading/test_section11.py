"""Sheet 004, optional: a DCGAN."""

import numpy as np
import pytest
from small import point_gan, sigmoid
from submission import class_name, hw5


@pytest.mark.points(4, part="11.1")
def test_the_generators_table():
    generator, _ = hw5.networks.dcgan(100, 16, (32, 32, 1))
    shapes = [tuple(layer.output.shape[1:]) for layer in generator.layers]
    table = [(4, 4, 64), (8, 8, 32), (16, 16, 16), (32, 32, 1)]
    assert list(dict.fromkeys(shape for shape in shapes if len(shape) == 3)) == table
    normalised = [layer for layer in generator.layers if "BatchNorm" in class_name(layer)]
    assert [tuple(layer.output.shape[1:]) for layer in normalised] == table[:-1]


@pytest.mark.points(4, part="11.1")
def test_initial_weights_deviate_by_a_fiftieth():
    for network in hw5.networks.dcgan(100, 16, (32, 32, 1)):
        kernels = [np.asarray(weight) for weight in network.trainable_weights if len(weight.shape) > 1]
        for kernel in kernels:
            assert abs(kernel.mean()) < 0.02 / 5
            assert kernel.std() == pytest.approx(0.02, rel=0.2)


@pytest.mark.points(4, part="11.1")
def test_the_discriminator_says_one_logit():
    generator, discriminator = hw5.networks.dcgan(100, 16, (32, 32, 1))
    gan = hw5.models.GAN(generator, discriminator)
    images = np.asarray(gan.generate(3))
    assert images.shape == (3, 32, 32, 1)
    assert images.min() >= 0
    assert images.max() <= 1
    assert discriminator(2 * images - 1).shape == (3, 1)


@pytest.mark.points(4, part="11.2")
def test_the_discriminators_step():
    w, c, b = 0.8, -0.2, 0.5
    real, fake = 1 - sigmoid(1.5 * w + c), sigmoid(b * w + c)
    expected = (w - 0.1 * (-1.5 * real + b * fake), c - 0.1 * (-real + fake))
    assert point_gan("non_saturating")[:2] == pytest.approx(expected, rel=1e-4)


@pytest.mark.points(8, part="11.2")
def test_the_generators_step_follows_with_the_new_discriminator():
    w, c, b = 0.8, -0.2, 0.5
    real, fake = 1 - sigmoid(1.5 * w + c), sigmoid(b * w + c)
    w, c = w - 0.1 * (-1.5 * real + b * fake), c - 0.1 * (-real + fake)
    expected = b + 0.3 * (1 - sigmoid(w * b + c)) * w  # it maximises log D(G(z))
    assert point_gan("non_saturating")[2] == pytest.approx(expected, rel=1e-4)


@pytest.mark.runs
@pytest.mark.points(4, part="11.3")
def test_five_curves_and_samples(section_run):
    done = section_run(11)
    curves = [
        done.results["history"][name] for name in ("d_loss", "g_loss", "d_real", "d_fake_g_step", "d_fake_d_step")
    ]
    assert np.isfinite(curves).all()
    assert len(done.figures) >= 3


@pytest.mark.points(4, part="11.4")
def test_the_frechet_distance_of_a_shift_and_a_rotation():
    # rotated by 45°, diag(1, 9) is [[5, 4], [4, 5]]: tr √(Σ₁Σ₂) = √(tr + 2 √det) = √(50 + 18)
    distance = hw5.metrics.frechet_distance([0.0, 0.0], np.diag([1.0, 9.0]), [2.0, -1.0], [[5.0, 4.0], [4.0, 5.0]])
    assert distance == pytest.approx(5 + 20 - 2 * np.sqrt(68), rel=1e-9)


@pytest.mark.runs
@pytest.mark.points(4, part="11.5")
def test_interpolations_of_two_models(section_run):
    figures = section_run(11).figures
    assert sum("interpol" in name for name in figures) >= 1


@pytest.mark.runs
@pytest.mark.points(4, part="11.6")
def test_what_the_discriminator_says_at_the_end(section_run):
    end = section_run(11).results["at_the_end"]
    for name in ("d_real", "d_fake_g_step"):
        assert 0 < end[name] < 1
