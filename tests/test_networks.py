"""Layer shapes and parameter counts from the sheets."""

import itertools

import keras
import numpy as np
import pytest

from hw5 import models, networks
from hw5.errors import InputError
from hw5.layers import NearestConv2D


def table(network):
    """List (name, output shape without the batch, parameters) of a network's layers."""
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


def test_tanh_vae_of_sheet_001():
    encoder, decoder = networks.tanh_vae()
    assert table(encoder) == [
        ("images", (28, 28, 1), 0),
        ("flatten", (784,), 0),
        ("hidden", (200,), 157_000),
        ("dropout", (200,), 0),
        ("mean", (32,), 6_432),
        ("log_var", (32,), 6_432),
    ]
    assert table(decoder) == [("hidden", (200,), 6_600), ("pixels", (784,), 157_584), ("image", (28, 28, 1), 0)]
    assert encoder.count_params() == 169_864
    assert decoder.count_params() == 164_184
    assert encoder.get_layer("dropout").rate == 0.1
    activations = {layer.name: layer.activation.__name__ for layer in encoder.layers if hasattr(layer, "units")}
    assert activations == {"hidden": "tanh", "mean": "linear", "log_var": "linear"}
    assert [layer.activation.__name__ for layer in decoder.layers[:2]] == ["tanh", "linear"]


def test_dropout_acts_in_training_alone():
    encoder, _ = networks.tanh_vae(dropout=0.5)
    image = np.ones((1, 28, 28, 1), np.float32)
    np.testing.assert_array_equal(encoder(image)[0], encoder(image)[0])
    assert not np.allclose(encoder(image, training=True)[0], encoder(image, training=True)[0])


# Layer by layer: output shape, parameters, activation; of convolutions kernel and stride as well.
VAE_ENCODER_OF_SHEET_004 = {
    "enc_1": ((32, 32, 16), 160, "relu", 3, 1),
    "enc_2": ((16, 16, 32), 4_640, "relu", 3, 2),
    "enc_3": ((16, 16, 32), 9_248, "relu", 3, 1),
    "enc_4": ((8, 8, 16), 4_624, "relu", 3, 2),
}
VAE_DECODER_OF_SHEET_004 = {
    "dec_3": ((16, 16, 32), 4_640, "relu", 3, 2),
    "dec_4": ((16, 16, 32), 9_248, "relu", 3, 1),
    "dec_5": ((32, 32, 16), 4_624, "relu", 3, 2),
    "dec_6": ((32, 32, 1), 145, "linear", 3, 1),  # its sigmoid is in the loss
}
VAE_DENSE_OF_SHEET_004 = {
    3: {
        "enc_5": ((6,), 6_150, "relu"),
        "enc_6": ((6,), 42, "linear"),
        "dec_1": ((3,), 12, "relu"),
        "dec_2": ((1024,), 4_096, "linear"),
    },
    10: {
        "enc_5": ((20,), 20_500, "relu"),
        "enc_6": ((20,), 420, "linear"),
        "dec_1": ((10,), 110, "relu"),
        "dec_2": ((1024,), 11_264, "linear"),
    },
    100: {
        "enc_5": ((200,), 205_000, "relu"),
        "enc_6": ((200,), 40_200, "linear"),
        "dec_1": ((100,), 10_100, "relu"),
        "dec_2": ((1024,), 103_424, "linear"),
    },
}
TOTAL = {3: (24_864, 22_765), 10: (39_592, 30_031), 100: (263_872, 132_181)}


def rows(network):
    """Return {name: (output shape, parameters, activation, and of a convolution the kernel's side and the stride)}."""
    found = {}
    for layer in network.layers:
        if layer.count_params():
            row = (layer.output.shape[1:], layer.count_params(), layer.activation.__name__)
            if hasattr(layer, "strides"):
                assert layer.padding == "same"
                (side,), (stride,) = set(layer.kernel_size), set(layer.strides)
                row += (side, stride)
            found[layer.name] = row
    return found


@pytest.mark.parametrize("latent_dim", VAE_DENSE_OF_SHEET_004)
def test_convolutional_vae_of_sheet_004(latent_dim):
    encoder, decoder = networks.convolutional_vae(latent_dim)
    dense = VAE_DENSE_OF_SHEET_004[latent_dim]
    assert list(rows(encoder)) == [f"enc_{i}" for i in range(1, 7)]  # in this order
    assert list(rows(decoder)) == [f"dec_{i}" for i in range(1, 7)]
    assert rows(encoder) | rows(decoder) == VAE_ENCODER_OF_SHEET_004 | VAE_DECODER_OF_SHEET_004 | dense
    assert (encoder.count_params(), decoder.count_params()) == TOTAL[latent_dim]
    assert {type(decoder.get_layer(name)) for name in VAE_DECODER_OF_SHEET_004} == {keras.layers.Conv2DTranspose}
    assert {type(encoder.get_layer(name)) for name in VAE_ENCODER_OF_SHEET_004} == {keras.layers.Conv2D}
    assert decoder.get_layer("volume").output.shape == (None, 8, 8, 16)
    assert encoder.input_shape == decoder.output_shape == (None, 32, 32, 1)
    assert encoder.output_shape == [(None, latent_dim)] * 2


@pytest.mark.parametrize(("builder", "last"), [(networks.convolutional_vae, "enc_6"), (networks.shallow_vae, "enc_3")])
def test_the_last_dense_layer_is_mean_and_log_sigma_and_the_encoder_returns_log_variance(builder, last):
    encoder, _ = builder(3)
    images = np.random.default_rng(0).random((5, 32, 32, 1), np.float32)
    both = keras.Model(encoder.input, encoder.get_layer(last).output)(images).numpy()
    mean, log_var = encoder(images)
    np.testing.assert_array_equal(mean, both[:, :3])
    np.testing.assert_array_equal(log_var, 2 * both[:, 3:])
    assert np.ptp(log_var) > 0


@pytest.mark.parametrize("builder", [networks.convolutional_vae, networks.shallow_vae])
def test_sizes_that_cannot_be_halved_twice_are_refused(builder):
    encoder, decoder = builder(3, image_shape=(20, 28, 3))
    assert encoder.input_shape == decoder.output_shape == (None, 20, 28, 3)
    with pytest.raises(InputError, match="images of 30×32 pixels .* height and width must be multiples of 4"):
        builder(3, image_shape=(30, 32, 1))


def flipped(maps):
    """Flip feature maps [batch, h, w, c] upside down and left to right."""
    return maps[:, ::-1, ::-1]


def randomise_biases(network):
    rng = np.random.default_rng(1)
    for layer in network.layers:
        if getattr(layer, "bias", None) is not None:
            layer.bias.assign(0.1 * rng.standard_normal(layer.bias.shape))


def pytorch(layer):
    """Convert a Keras convolution to PyTorch's with padding 1, its kernel flipped along both axes."""
    import torch

    kernel, bias = (np.array(weight) for weight in layer.get_weights())
    channels, stride = layer.input.shape[-1], layer.strides[0]
    if isinstance(layer, keras.layers.Conv2DTranspose):
        module = torch.nn.ConvTranspose2d(channels, layer.filters, 3, stride, padding=1, output_padding=stride - 1)
    else:
        module = torch.nn.Conv2d(channels, layer.filters, 3, stride, padding=1)
    # Keras has [h, w, in, out] and, transposed, [h, w, out, in]; PyTorch [out, in, h, w] and [in, out, h, w].
    weight = kernel[::-1, ::-1].transpose(3, 2, 0, 1)
    assert module.weight.shape == weight.shape
    module.weight.data = torch.from_numpy(weight.copy())
    module.bias.data = torch.from_numpy(bias)
    return torch.nn.Sequential(module, *[torch.nn.ReLU()] * (layer.activation.__name__ == "relu"))


@pytest.mark.parametrize(("network", "table"), [(0, VAE_ENCODER_OF_SHEET_004), (1, VAE_DECODER_OF_SHEET_004)])
def test_convolutions_are_those_of_pytorch_with_padding_1_up_to_mirroring(network, table):
    torch = pytest.importorskip("torch")
    keras.utils.set_random_seed(0)
    network = networks.convolutional_vae(3)[network]
    randomise_biases(network)
    first, *_, last = (network.get_layer(name) for name in table)
    here = keras.Model(first.input, last.output)
    there = torch.nn.Sequential(*(pytorch(network.get_layer(name)) for name in table))
    maps = np.random.default_rng(0).random((2, *first.input.shape[1:]), np.float32)
    with torch.no_grad():
        expected = there(torch.from_numpy(maps.transpose(0, 3, 1, 2).copy())).numpy().transpose(0, 2, 3, 1)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(flipped(here(flipped(maps)).numpy()), expected, atol=1e-5)
    assert not np.allclose(here(maps), expected, atol=1e-2)


@pytest.mark.parametrize("latent_dim", [3, 10])
def test_shallow_vae_of_the_bonus(latent_dim):
    encoder, decoder = networks.shallow_vae(latent_dim)
    assert [shape for _, shape, parameters in table(encoder) if parameters] == [
        (16, 16, 16),
        (8, 8, 32),
        (2 * latent_dim,),
    ]
    assert [shape for _, shape, _ in table(decoder)] == [(2048,), (8, 8, 32), (16, 16, 16), (32, 32, 1)]
    assert encoder.input_shape == decoder.output_shape == (None, 32, 32, 1)
    assert encoder.output_shape == [(None, latent_dim)] * 2
    assert decoder.layers[-1].activation.__name__ == "linear"
    deep = networks.convolutional_vae(latent_dim)
    assert len(rows(encoder)) < len(rows(deep[0]))
    assert len(rows(decoder)) < len(rows(deep[1]))


def volumes(network):
    """List the output shapes [h, w, c] of a network, one for each layer with a kernel."""
    shapes = [layer.output.shape[1:] for layer in network.layers if hasattr(layer, "kernel")]
    return [shape for shape in shapes if len(shape) == 3]


def test_dcgan_of_sheet_004():
    generator, discriminator = networks.dcgan()
    assert generator.input_shape == (None, 100)
    assert generator.layers[1].output.shape[1:] == (4, 4, 64)
    assert volumes(generator) == [(8, 8, 32), (16, 16, 16), (32, 32, 1)]
    convolutions = [layer for layer in generator.layers if isinstance(layer, keras.layers.Conv2DTranspose)]
    assert {(layer.kernel_size, layer.strides, layer.padding) for layer in convolutions} == {((4, 4), (2, 2), "same")}
    names = [type(layer).__name__ for layer in generator.layers]
    block = ["BatchNormalization", "ReLU", "Conv2DTranspose"]
    assert names == ["Dense", "Reshape", *3 * block]
    assert [layer.count_params() for layer in generator.layers if layer.count_params()] == [
        *(100 * 1024, 4 * 64),  # of a normalisation γ, β, mean and variance
        *(16 * 64 * 32, 4 * 32),
        *(16 * 32 * 16, 4 * 16),
        16 * 16,
    ]
    assert discriminator.count_params() == 16 * 16 + 16 * 16 * 32 + 4 * 32 + 16 * 32 * 64 + 4 * 64 + 1024
    assert generator.layers[-1].activation.__name__ == "linear"  # the tanh is the model's
    assert discriminator.output_shape == (None, 1)


@pytest.mark.parametrize(
    ("image_shape", "start", "doublings"),
    [((32, 32, 1), 4, 3), ((28, 28, 1), 7, 2), ((64, 64, 3), 4, 4), ((48, 48, 3), 6, 3), ((8, 8, 1), 4, 1)],
)
def test_dcgans_are_mirror_images_of_any_depth(image_shape, start, doublings):
    generator, discriminator = networks.dcgan(10, 2, image_shape)
    first = generator.layers[1].output.shape[1:]
    assert first == (start, start, 2 * 2 ** (doublings - 1))
    assert len(volumes(generator)) == doublings
    assert [image_shape, *volumes(discriminator)] == [first, *volumes(generator)][::-1]
    kernels = [[w.shape for w in network.weights if "kernel" in w.path] for network in (generator, discriminator)]
    assert kernels[0][1:] == kernels[1][-2::-1]
    normalized = [sum("Batch" in type(layer).__name__ for layer in part.layers) for part in (generator, discriminator)]
    assert normalized == [doublings, doublings - 1]


@pytest.mark.parametrize("image_shape", [(30, 30, 1), (36, 36, 1), (28, 32, 1), (7, 7, 1), (4, 8, 1), (2, 2, 1)])
def test_dcgans_refuse_sizes_that_cannot_be_halved_to_a_small_square(image_shape):
    message = "images of {}×{} pixels .* must be square, with a side of 4, 5, 6 or 7 times a power of 2"
    with pytest.raises(InputError, match=message.format(*image_shape)):
        networks.dcgan(image_shape=image_shape)


def test_the_dense_layers_of_a_dcgan_are_the_convolutions_of_a_pixel():
    generator, discriminator = networks.dcgan(10, 3)
    rng = np.random.default_rng(0)
    z, maps = rng.normal(size=(5, 10)).astype(np.float32), rng.normal(size=(5, 4, 4, 12)).astype(np.float32)
    dense, last = generator.layers[0], discriminator.layers[-1]

    transposed = keras.layers.Conv2DTranspose(12, 4, 1, "valid", use_bias=False)
    transposed.build((None, 1, 1, 10))
    assert transposed.count_params() == dense.count_params() == 16 * 10 * 12
    transposed.set_weights([dense.kernel.numpy().reshape(10, 4, 4, 12).transpose(1, 2, 3, 0)])
    np.testing.assert_allclose(generator.layers[1](dense(z)), transposed(z[:, None, None]), atol=1e-6)

    convolution = keras.layers.Conv2D(1, 4, 1, "valid", use_bias=False)
    convolution.build((None, 4, 4, 12))
    assert convolution.count_params() == last.count_params() == 16 * 12
    convolution.set_weights([last.kernel.numpy().reshape(4, 4, 12, 1)])
    np.testing.assert_allclose(last(maps.reshape(5, -1)), convolution(maps)[:, 0, 0], atol=1e-6)


@pytest.mark.parametrize(("upsampling", "weights"), [("deconv", 16), ("nearest", 9), ("bilinear", 9)])
def test_upsamplings_of_a_dcgan_make_the_same_sizes(upsampling, weights):
    """Count the weights for 64×64×3: kernel 4 has 16 for each pair of channels, a convolution after interpolation 9."""
    generator, discriminator = networks.dcgan(10, 4, (64, 64, 3), upsampling)
    assert generator.output_shape == (None, 64, 64, 3)
    assert volumes(generator) == [(8, 8, 16), (16, 16, 8), (32, 32, 4), (64, 64, 3)]
    channels = [32, 16, 8, 4, 3]
    convolutions = sum(weights * first * second for first, second in itertools.pairwise(channels))
    assert generator.count_params() == 10 * 512 + convolutions + 4 * (32 + 16 + 8 + 4)
    assert discriminator.count_params() == networks.dcgan(10, 4, (64, 64, 3))[1].count_params()
    kinds = {"deconv": keras.layers.Conv2DTranspose, "nearest": NearestConv2D, "bilinear": keras.layers.UpSampling2D}
    used = {type(layer) for layer in generator.layers}
    assert {name for name, kind in kinds.items() if kind in used} == {upsampling}
    assert {getattr(layer, "interpolation", "bilinear") for layer in generator.layers} == {"bilinear"}
    decoder = networks.dcgan_vae(10, 4, (64, 64, 3), upsampling)[1]
    first, *others = [weight.shape for weight in generator.weights]
    assert [weight.shape for weight in decoder.weights] == [first, first[1:], *others]  # the first layer's biases


@pytest.mark.parametrize(("upsampling", "weights"), [("deconv", 16), ("nearest", 9), ("bilinear", 9)])
def test_self_modulation_reaches_every_normalization_and_ends_in_a_convolution(upsampling, weights):
    generator, plain = (networks.dcgan(10, 4, (64, 64, 3), upsampling, self_modulation=it)[0] for it in (True, False))
    assert generator.output_shape == plain.output_shape
    assert volumes(generator) == [(8, 8, 16), (16, 16, 8), (32, 32, 4), (64, 64, 4), (64, 64, 3)]
    *_, normalization, activation, last = generator.layers
    assert type(last) is keras.layers.Conv2D
    assert last.kernel.shape == (3, 3, 4, 3)
    assert [type(layer).__name__ for layer in (normalization, activation)] == [
        "SelfModulatedBatchNormalization",
        "ReLU",
    ]
    # the last doubling has 4 channels instead of 3, and is normalised; 10 latents modulate γ and β
    added = weights * 4 * (4 - 3) + 4 * 4 + 9 * 4 * 3
    assert generator.count_params() - plain.count_params() == added + 10 * 2 * (32 + 16 + 8 + 4 + 4)


@pytest.mark.parametrize("side", [10, 14])
def test_a_self_modulated_generator_doubles_at_least_once(side):
    generator = networks.dcgan(10, 4, (side, side, 1), self_modulation=True)[0]
    assert volumes(generator) == [(side, side, 4), (side, side, 1)]


def test_upsamplings_and_normalizations_are_known():
    with pytest.raises(InputError, match="upsampling=cubic: must be one of deconv, nearest, bilinear"):
        networks.dcgan(upsampling="cubic")
    with pytest.raises(InputError, match="normalization=instance: must be one of batch, layer, none"):
        networks.dcgan(normalization="instance")


@pytest.mark.parametrize("normalization", ["layer", "none"])
def test_a_discriminator_without_batch_normalization_values_single_images(normalization):
    discriminator = networks.dcgan(10, 4, normalization=normalization)[1]
    images = np.random.default_rng(0).normal(size=(6, 32, 32, 1)).astype(np.float32)
    np.testing.assert_allclose(
        discriminator(images, training=True)[:2], discriminator(images[:2], training=True), rtol=1e-4, atol=1e-6
    )


def test_without_normalization_the_signal_keeps_its_size():
    discriminator = networks.dcgan(10, 32, (64, 64, 3), normalization="none")[1]
    images = np.random.default_rng(0).normal(size=(64, 64, 64, 3)).astype(np.float32)
    volume = keras.Sequential(discriminator.layers[:-1])(images)
    # He et al. 2015: each layer, with its leaky ReLU, keeps E x² but for a factor of (1 + 0.2²) in place of 1, and
    # for the zeros around the image.
    assert 0.5 < np.mean(np.square(volume)) < 1.5


def test_dcgan_vae_mirrors_its_decoder():
    encoder, decoder = networks.dcgan_vae(10, 4, (64, 64, 3), output_channels=4, context=7)
    assert encoder.output_shape == [(None, 10), (None, 10), (None, 7)]
    assert decoder.output_shape == (None, 64, 64, 4)
    downwards = volumes(encoder.get_layer("convolutions"))
    assert downwards == [(32, 32, 4), (16, 16, 8), (8, 8, 16), (4, 4, 32)]
    assert len(networks.dcgan_vae(10, 4)[0].outputs) == 2


def test_deep_tanh_vae_of_burda():
    encoder, decoder = networks.deep_tanh_vae()
    sizes = [785 * 200, 201 * 200, 2 * 201 * 50]
    assert encoder.count_params() == sum(sizes)
    assert decoder.count_params() == 51 * 200 + 201 * 200 + 201 * 784


@pytest.mark.parametrize(
    "build",
    [
        lambda: networks.dcgan(10, 4, (32, 32, 3))[::-1],
        lambda: networks.dcgan(10, 4, (32, 32, 3), self_modulation=True)[::-1],
        lambda: networks.dcgan_vae(10, 4, (32, 32, 3)),
        lambda: networks.convolutional_vae(10, (32, 32, 3)),
        lambda: networks.shallow_vae(10, (32, 32, 3)),
        lambda: networks.dense_vae(10, image_shape=(32, 32, 3)),
    ],
    ids=["dcgan", "self_modulated_dcgan", "dcgan_vae", "convolutional_vae", "shallow_vae", "dense_vae"],
)
def test_mixed_precision_keeps_weights_and_outputs_in_float32(build):
    with networks.precision():
        networks_of_both = build()
    assert keras.config.dtype_policy().name == "float32"
    images = np.random.default_rng(0).random((8, 32, 32, 3), np.float32)
    z = np.random.default_rng(0).normal(size=(8, 10)).astype(np.float32)
    for network, inputs in zip(networks_of_both, (images, z), strict=True):
        assert {weight.dtype for weight in network.weights} == {"float32"}
        outputs = keras.tree.flatten(network(inputs, training=True))
        assert {output.dtype.name for output in outputs} == {"float32"}
        computed = [layer.compute_dtype for layer in network._flatten_layers() if hasattr(layer, "kernel")]
        assert "bfloat16" in computed
    with networks.precision(False):
        assert networks.dcgan(10, 4)[0].layers[0].compute_dtype == "float32"


def test_weights_of_a_dcgan_start_out_normal_and_each_on_its_own():
    keras.utils.set_random_seed(0)
    kernels = [w.numpy().ravel() for network in networks.dcgan() for w in network.weights if "kernel" in w.path]
    scales = [w.numpy() for network in networks.dcgan() for w in network.weights if "gamma" in w.path]
    for values, mean in ((np.concatenate(kernels), 0), (np.concatenate(scales), 1)):  # five standard errors
        assert abs(values.mean() - mean) < 5 * 0.02 / len(values) ** 0.5
        assert abs(values.std() / 0.02 - 1) < 5 / (2 * len(values)) ** 0.5
    for i, kernel in enumerate(kernels):
        for other in kernels[:i]:
            n = min(len(kernel), len(other))
            assert abs(np.corrcoef(kernel[:n], other[:n])[0, 1]) < 5 / n**0.5


def pytorch_dcgan():
    """Build the networks of the table of sheet 004 in PyTorch."""
    from torch import nn

    def block(layer, activation):
        return layer, nn.BatchNorm2d(layer.out_channels), activation

    options = dict(kernel_size=4, bias=False)
    generator = [*block(nn.ConvTranspose2d(100, 64, **options), nn.ReLU())]
    discriminator = [nn.Conv2d(1, 16, stride=2, padding=1, **options), nn.LeakyReLU(0.2)]
    for width in (32, 16):
        generator += block(nn.ConvTranspose2d(2 * width, width, stride=2, padding=1, **options), nn.ReLU())
    for width in (32, 64):
        discriminator += block(nn.Conv2d(width // 2, width, stride=2, padding=1, **options), nn.LeakyReLU(0.2))
    generator += [nn.ConvTranspose2d(16, 1, stride=2, padding=1, **options)]
    return nn.Sequential(*generator), nn.Sequential(*discriminator, nn.Conv2d(64, 1, **options))


def to_keras(weight, shape):
    """Convert a weight of PyTorch's DCGAN to the weight of ours at the same place."""
    if weight.ndim < 4:
        return weight
    if len(shape) == 2:  # of our dense layers; in the one [in, out, h, w], in the other [1, in, h, w]
        return weight.transpose(0, 2, 3, 1).reshape(shape)
    return weight.transpose(2, 3, 1, 0)  # Keras has [h, w, in, out], and transposed [h, w, out, in]


def test_a_dcgan_is_that_of_pytorch_in_training_and_after():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    z, images = rng.normal(size=(8, 100)).astype(np.float32), rng.uniform(-1, 1, (8, 32, 32, 1)).astype(np.float32)
    for ours, theirs, inputs in zip(networks.dcgan(), pytorch_dcgan(), (z, images), strict=True):
        weights = [value.numpy() for name, value in theirs.state_dict().items() if "num_batches" not in name]
        assert len(ours.weights) == len(weights)
        ours.set_weights([to_keras(w, v.shape) for w, v in zip(weights, ours.weights, strict=True)])
        maps = torch.from_numpy(inputs.reshape(8, -1, 1, 1) if inputs is z else inputs.transpose(0, 3, 1, 2).copy())
        for training in (True, False):
            theirs.train(training)
            with torch.no_grad():
                expected = theirs(maps).numpy().transpose(0, 2, 3, 1)
            found = ours(inputs, training=training).numpy()
            assert expected.std() > 1e-3
            np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-3, atol=1e-4 * expected.std())


def test_plane_gan_of_sheet_003():
    generator, discriminator = networks.plane_gan(3, (16, 8), (32, 5))
    assert [w.shape for w in generator.weights if "kernel" in w.path] == [(3, 16), (16, 8), (8, 2)]
    kernels = [w.shape for w in discriminator.weights if "kernel" in w.path]
    assert kernels == [(2, 32), (32, 5), (5, 2), (2, 1)]
    assert discriminator.get_layer("features").output.shape == (None, 2)
    points = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    features = keras.Model(discriminator.inputs[0], discriminator.get_layer("features").output)(points)
    np.testing.assert_allclose(discriminator.layers[-1](features), discriminator(points), rtol=1e-6)


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (lambda: models.Autoencoder(*networks.linear_autoencoder(3)), (28, 28, 1)),
        (lambda: models.Autoencoder(*networks.nonlinear_autoencoder(3), loss="cross_entropy"), (28, 28, 1)),
        (lambda: models.Autoencoder(*networks.stacked_autoencoder(3), loss="cross_entropy"), (28, 28, 1)),
        (lambda: models.DenoisingAutoencoder(*networks.denoising_autoencoder((64, 32)), patch=5), (28, 28, 1)),
        (lambda: models.VAE(*networks.dense_vae(3)), (28, 28, 1)),
        (lambda: models.VAE(*networks.tanh_vae(3)), (28, 28, 1)),
        (lambda: models.VAE(*networks.convolutional_vae(3)), (32, 32, 1)),
        (lambda: models.VAE(*networks.shallow_vae(3)), (32, 32, 1)),
    ],
    ids=["linear", "nonlinear", "stacked", "denoising", "dense_vae", "tanh_vae", "convolutional_vae", "shallow_vae"],
)
def test_models_of_all_networks_survive_being_saved(build, shape, tmp_path):
    model = build()
    images = np.random.default_rng(0).random((4, *shape), np.float32)
    models.save(model, tmp_path)
    loaded = models.load(tmp_path)
    assert type(loaded) is type(model)
    for one, two in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(loaded.reconstruct(images), model.reconstruct(images))
    np.testing.assert_array_equal(loaded(images), model(images))  # with the noise that the saved one draws
    for one, two in zip(loaded.encoder.layers, model.encoder.layers, strict=True):
        assert one.get_config() == two.get_config()
