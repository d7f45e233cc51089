"""Layer shapes and parameter counts from the sheets."""

import pytest

from hw5 import networks


def table(network):
    """[(name, output shape without the batch, parameters)] of a network's layers."""
    return [(layer.name, layer.output.shape[1:], layer.count_params()) for layer in network.layers]


def test_linear_autoencoder_of_sheet_000():
    encoder, decoder = networks.linear_autoencoder(5)
    assert table(encoder) == [("flatten", (784,), 0), ("code", (5,), 784 * 5 + 5)]
    assert table(decoder) == [("pixels", (784,), 5 * 784 + 784), ("image", (28, 28, 1), 0)]
    assert encoder.count_params() == 3925
    assert decoder.count_params() == 4704
    assert {layer.activation.__name__ for layer in (*encoder.layers, *decoder.layers) if hasattr(layer, "units")} == {
        "linear"
    }


def test_nonlinear_autoencoder_has_a_relu_after_the_code_and_returns_logits():
    encoder, decoder = networks.nonlinear_autoencoder(5)
    assert encoder.get_layer("code").activation.__name__ == "relu"
    assert decoder.get_layer("pixels").activation.__name__ == "linear"
    assert encoder.count_params() + decoder.count_params() == 3925 + 4704


def test_stacked_autoencoder_is_its_own_mirror_image():
    encoder, decoder = networks.stacked_autoencoder(10, hidden=(512, 128))
    assert table(encoder) == [
        ("flatten", (784,), 0),
        ("down_1", (512,), 401_920),
        ("down_2", (128,), 65_664),
        ("code", (10,), 1_290),
    ]
    assert table(decoder) == [
        ("up_2", (128,), 1_408),
        ("up_1", (512,), 66_048),
        ("pixels", (784,), 402_192),
        ("image", (28, 28, 1), 0),
    ]
    assert encoder.get_layer("code").activation.__name__ == "linear"


def test_dense_vae_of_sheet_000():
    encoder, decoder = networks.dense_vae(2)
    assert [shape[1:] for shape in encoder.output_shape] == [(2,), (2,)]
    assert {name: parameters for name, _, parameters in table(encoder) if parameters} == {
        "hidden": 401_920,
        "mean": 1_026,
        "log_var": 1_026,
    }
    assert table(decoder) == [
        ("hidden", (512,), 2 * 512 + 512),
        ("pixels", (784,), 402_192),
        ("image", (28, 28, 1), 0),
    ]
    assert decoder.get_layer("hidden").activation.__name__ == "sigmoid"  # sheet 000, II.1
    assert {encoder.get_layer(name).activation.__name__ for name in ("mean", "log_var")} == {"linear"}


@pytest.mark.parametrize(
    "builder",
    [networks.linear_autoencoder, networks.nonlinear_autoencoder, networks.stacked_autoencoder, networks.dense_vae],
)
def test_other_image_shapes(builder):
    encoder, decoder = builder(4, image_shape=(32, 32, 3))
    assert encoder.input_shape == decoder.output_shape == (None, 32, 32, 3)
