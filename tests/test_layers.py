"""The layers that Keras lacks."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from hw5 import layers, replicas
from hw5.layers import BatchNormalization, NearestConv2D, SelfModulatedBatchNormalization


@pytest.mark.parametrize("build", [layers.PatchNoise, layers.Dequantization, layers.Binarization])
def test_noise_is_new_in_each_call_and_the_same_for_the_same_seed(build):
    images = np.full((2, 9, 9, 1), 0.5, np.float32)
    first, second = build(seed=7), build(seed=7)
    draws, again = ([np.asarray(keras.tree.flatten(layer(images))[0]) for _ in range(2)] for layer in (first, second))
    assert not np.allclose(*draws)
    np.testing.assert_array_equal(draws, again)
    assert first.get_config()["seed"] == 7


@pytest.mark.parametrize("build", [layers.PatchNoise, layers.Dequantization, layers.Binarization])
def test_noise_goes_on_where_it_was_saved(build):
    images, store = np.full((2, 9, 9, 1), 0.5, np.float32), {}
    layer, twin = build(seed=7), build(seed=8)
    layer(images)
    layer.save_own_variables(store)
    assert list(store) == ["seed_generator_state"]
    twin.load_own_variables(store)
    for one, other in zip(keras.tree.flatten(layer(images)), keras.tree.flatten(twin(images)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_noise_is_float32_under_every_policy_unless_it_is_asked_for():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert layers.Dequantization().compute_dtype == "float32"
        assert layers.Dequantization(dtype="float16", name="cells").compute_dtype == "float16"
    finally:
        keras.config.set_dtype_policy(policy)


def test_dequantization_stays_in_the_cell_of_its_level():
    levels = np.repeat(np.arange(256), 400).reshape(256, 20, 20, 1)
    position = 256 * np.float64(layers.Dequantization(seed=3)(np.float32(levels / 255))) - levels  # u
    # Of n uniform numbers, mean and variance are 1/2 ± 1/√(12 n) and 1/12 ± 1/√(180 n); five of them.
    assert abs(position.mean() - 1 / 2) < 5 / np.sqrt(12 * position.size)
    assert abs(position.var() - 1 / 12) < 5 / np.sqrt(180 * position.size)
    assert -1e-4 < position.min() < position.max() < 1 + 1e-4  # float32 has 2⁻²⁴ of 256


def test_binarization_draws_ones_as_often_as_a_pixel_is_bright():
    grey = np.array([0.0, 0.1, 0.75, 1.0], np.float32)
    drawn = layers.Binarization(seed=3)(np.broadcast_to(grey, (2000, 5, 4, 4)))
    assert set(np.unique(drawn)) == {0.0, 1.0}
    # The error of a mean of n draws is √(p (1 − p)/n): none where a pixel is black or white.
    error = np.abs(np.mean(drawn, axis=(0, 1, 2)) - grey)
    np.testing.assert_array_less(error, 5 * np.sqrt(grey * (1 - grey) / 40_000) + 1e-9)


def test_dropout_drops_its_rate_and_keeps_the_mean():
    images = np.full((40, 50, 20), 3.0, np.float32)
    layer = layers.Dropout(0.4, seed=1)
    dropped = np.asarray(layer(images, training=True))
    assert abs(np.mean(dropped == 0) - 0.4) < 5 * np.sqrt(0.4 * 0.6 / images.size)
    np.testing.assert_allclose(dropped[dropped != 0], 3 / 0.6, rtol=1e-6)
    assert np.ptp(np.mean(dropped == 0, axis=(1, 2))) > 0  # each image loses its own
    again, other = (np.asarray(layers.Dropout(0.4, seed=seed)(images, training=True)) for seed in (1, 2))
    np.testing.assert_array_equal(again, dropped)
    assert (other != dropped).any()
    for kept in (layer(images), layer(images, training=False), layers.Dropout(0.0)(images, training=True)):
        np.testing.assert_array_equal(kept, images)


def test_patch_noise_stays_inside_one_patch_and_reaches_every_place():
    images = np.full((2000, 12, 10, 1), 0.5, np.float32)
    noisy, mask = map(np.asarray, layers.PatchNoise(4, 0.1, seed=1)(images))
    np.testing.assert_array_equal(mask.sum(axis=(1, 2, 3)), 16)
    np.testing.assert_array_equal(noisy[mask == 0], 0.5)
    inside = noisy[mask == 1] - 0.5
    assert inside.std() == pytest.approx(0.1, rel=0.02)
    assert abs(inside.mean()) < 5 * 0.1 / len(inside) ** 0.5
    rows, columns = mask.any(axis=(2, 3)).argmax(axis=1), mask.any(axis=(1, 3)).argmax(axis=1)
    assert set(rows) == set(range(9))
    assert set(columns) == set(range(7))
    assert mask[0].any(axis=(1, 2)).sum() == mask[0].any(axis=(0, 2)).sum() == 4  # a square


def test_patch_noise_is_new_each_call_and_clipped():
    images = np.zeros((50, 9, 9, 3), np.float32)
    layer = layers.PatchNoise(9, 2.0, seed=1)
    (first, _), (second, _) = layer(images), layer(images)
    assert np.abs(first - second).max() > 0
    assert np.asarray(first).min() == 0
    assert np.asarray(first).max() == 1
    assert layers.PatchNoise.from_config(layer.get_config()).stddev == 2.0


def positions(height=8, width=6):
    """Images whose two channels are the row and the column of the pixel."""
    return np.stack(np.indices((height, width)), axis=-1).astype(np.float32)


def test_translation_shifts_each_image_as_a_whole_and_repeats_its_edge():
    images = np.tile(positions(), (500, 1, 1, 1))
    moved = np.asarray(layers.DifferentiableAugmentation(translation=0.25, seed=1)(images))
    shifts = moved[:, 3, 3] - [3, 3]  # two rows of 8, and round(1.5) = 2 columns of 6, never reach the edge there
    for image, (down, right) in zip(moved, shifts, strict=True):
        rows, columns = np.clip(np.arange(8) + down, 0, 7), np.clip(np.arange(6) + right, 0, 5)
        np.testing.assert_array_equal(image[..., 0], np.broadcast_to(rows[:, None], (8, 6)))
        np.testing.assert_array_equal(image[..., 1], np.broadcast_to(columns, (8, 6)))
    assert {tuple(shift) for shift in shifts} == {(i, j) for i in range(-2, 3) for j in range(-2, 3)}


def test_cutout_greys_one_square_that_may_be_cut_by_the_edge():
    layer = layers.DifferentiableAugmentation(translation=0, cutout=0.5, seed=1)
    kept = np.asarray(layer(np.ones((2000, 8, 8, 1), np.float32)))[..., 0]
    assert set(np.unique(kept)) == {0, 1}
    heights, widths = ((kept == 0).any(axis=axis).sum(axis=1) for axis in (2, 1))
    np.testing.assert_array_equal((kept == 0).sum(axis=(1, 2)), heights * widths)  # a rectangle
    assert set(heights) == set(widths) == {2, 3, 4}  # half of it lies outside at most
    assert (kept == 0).mean(axis=0).min() > 0.05  # it reaches every pixel


def test_colours_change_in_brightness_saturation_and_contrast_but_not_in_hue():
    images = np.random.default_rng(0).uniform(-1, 1, (300, 4, 4, 3)).astype(np.float32)
    changed = np.asarray(layers.DifferentiableAugmentation(translation=0, color=True, seed=1)(images))
    # Chroma, a pixel's difference from its own grey, is scaled by one factor for each image: contrast · saturation.
    before, after = (pixels - pixels.mean(axis=-1, keepdims=True) for pixels in (images, changed))
    factor = (before * after).sum(axis=(1, 2, 3)) / (before**2).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(after, factor[:, None, None, None] * before, atol=1e-5)
    assert factor.min() >= 0
    assert 2 < factor.max() <= 3  # 2 · 1.5 at most
    brightness = changed.mean(axis=(1, 2, 3)) - images.mean(axis=(1, 2, 3))
    assert np.abs(brightness).max() <= 0.5 + 1e-5
    assert abs(brightness.mean()) < 5 * 12**-0.5 / 300**0.5  # of U(−½, ½)
    assert changed.std(axis=(1, 2, 3)).max() > 1.2 * images.std()


def test_augmentation_passes_gradients_and_survives_its_config():
    layer = layers.DifferentiableAugmentation(translation=0.25, cutout=0.5, color=True, seed=3)
    images = tf.constant(positions()[None])
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = layer(images)
    assert 0 < np.abs(tape.gradient(outputs, images)).max() < 100
    config = layer.get_config()
    assert (config["translation"], config["cutout"], config["color"], config["seed"]) == (0.25, 0.5, True, 3)
    again = layers.DifferentiableAugmentation.from_config(config)
    np.testing.assert_array_equal(again(images), outputs)
    assert not np.allclose(again(images), outputs)  # new in each call
    nothing = layers.DifferentiableAugmentation(translation=0)
    np.testing.assert_array_equal(nothing(images), images)


def normalizations(*kinds):
    """Layers for three channels with one γ and β, and their common input."""
    inputs = np.random.default_rng(0).normal(2, 3, (6, 4, 5, 3)).astype(np.float32)
    for layer in kinds:
        layer.build(inputs.shape)
        layer.gamma.assign([0.5, 2.0, -1.0])
        layer.beta.assign([1.0, 0.0, 0.3])
    return inputs


def test_batch_normalization_in_training_is_the_formula_and_keras_layer():
    layer, reference = BatchNormalization(), keras.layers.BatchNormalization(epsilon=1e-5)
    inputs = normalizations(layer, reference)
    x = inputs.astype(np.float64)
    normalized = (x - x.mean(axis=(0, 1, 2))) / np.sqrt(x.var(axis=(0, 1, 2)) + 1e-5)
    outputs = layer(inputs, training=True)
    np.testing.assert_allclose(outputs, [0.5, 2.0, -1.0] * normalized + [1.0, 0.0, 0.3], atol=2e-6)
    np.testing.assert_allclose(outputs, reference(inputs, training=True), atol=2e-6)


def test_batch_normalization_remembers_as_pytorch_does_and_infers_with_it():
    layer = BatchNormalization()
    first = normalizations(layer)
    second = 0.5 * first[::-1] - 1
    mean, variance = np.zeros(3), np.ones(3)
    for batch in (first, second):
        layer(batch, training=True)
        flat = batch.reshape(-1, 3).astype(np.float64)
        mean = 0.9 * mean + 0.1 * flat.mean(axis=0)
        variance = 0.9 * variance + 0.1 * flat.var(axis=0, ddof=1)
    np.testing.assert_allclose(layer.moving_mean, mean, rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, variance, rtol=1e-5)
    expected = [0.5, 2.0, -1.0] * (first - mean) / np.sqrt(variance + 1e-5) + [1.0, 0.0, 0.3]
    np.testing.assert_allclose(layer(first), expected, atol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, mean, rtol=1e-5)  # inference learns nothing


def test_batch_normalization_has_the_gradients_of_keras_layer():
    layer, reference = BatchNormalization(), keras.layers.BatchNormalization(epsilon=1e-5)
    inputs = tf.constant(normalizations(layer, reference))
    weights = np.random.default_rng(1).normal(size=inputs.shape).astype(np.float32)

    def gradients(of):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = of(inputs, training=True)
            value = tf.reduce_sum(weights * outputs**2)
        return tape.gradient(value, [inputs, of.gamma.value, of.beta.value])

    for one, other in zip(gradients(layer), gradients(reference), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4 * np.abs(other).max())


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_batch_normalization_of_several_replicas_is_that_of_the_whole_batch(dtype, monkeypatch):
    # Each takes the moments of all replicas. Here they are those of one, so the layer must do what it does alone.
    alone, layer = BatchNormalization(dtype=dtype), BatchNormalization(dtype=dtype)
    inputs = tf.cast(normalizations(alone, layer), alone.compute_dtype)
    expected = alone(inputs, training=True)
    monkeypatch.setattr(layers, "replicas", SimpleNamespace(count=lambda: 2, moments=replicas.moments))
    outputs = layer(inputs, training=True)
    assert outputs.dtype == expected.dtype
    np.testing.assert_allclose(np.float32(outputs), np.float32(expected), rtol=0.01, atol=2e-6)
    for one, other in zip(layer.weights, alone.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    monkeypatch.setattr(layers, "replicas", SimpleNamespace(count=lambda: 2))  # inference takes no moments
    np.testing.assert_allclose(np.float32(layer(inputs)), np.float32(alone(inputs)), rtol=0.01, atol=2e-6)


def test_batch_normalization_survives_its_config():
    layer = BatchNormalization(momentum=0.8, epsilon=1e-3, gamma_initializer=keras.initializers.Constant(3.0))
    twin = BatchNormalization.from_config(layer.get_config())
    assert (twin.momentum, twin.epsilon) == (0.8, 1e-3)
    twin.build((None, 4, 4, 2))
    np.testing.assert_array_equal(twin.gamma, [3.0, 3.0])


def test_batch_normalization_keeps_float32_statistics_of_bfloat16_images():
    layer, mixed = BatchNormalization(), BatchNormalization(dtype="mixed_bfloat16")
    inputs = normalizations(layer, mixed)
    outputs = mixed(inputs, training=True)
    assert outputs.dtype == "bfloat16"
    np.testing.assert_allclose(np.float32(outputs), layer(inputs, training=True), atol=0.05)
    for one, other in zip(mixed.weights, layer.weights, strict=True):
        assert one.dtype == "float32"
        np.testing.assert_allclose(one, other, rtol=5e-3, atol=5e-3)


def test_batch_normalization_that_is_frozen_keeps_its_statistics():
    layer = BatchNormalization()
    images = keras.random.normal((6, 4, 4, 3), mean=2.0, seed=0)
    layer(images, training=True)
    layer.trainable = False
    before = layer.get_weights()
    np.testing.assert_allclose(layer(images, training=True), layer(images, training=False), rtol=1e-6)
    for one, two in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, two)


def self_modulated(**arguments):
    """A layer for three channels and two latents, its inputs, and its weights A and B."""
    layer = SelfModulatedBatchNormalization(**arguments)
    images = np.random.default_rng(0).normal(2, 3, (6, 4, 5, 3)).astype(np.float32)
    z = np.random.default_rng(1).normal(size=(6, 2)).astype(np.float32)
    layer.build([images.shape, z.shape])
    layer.gamma.assign([0.5, 2.0, -1.0])
    layer.beta.assign([1.0, 0.0, 0.3])
    a, b = np.random.default_rng(2).normal(size=(2, 2, 3))
    layer.modulation.assign(np.concatenate([a, b], axis=1))
    return layer, images, z, a, b


def test_self_modulation_is_the_formula_image_by_image():
    layer, images, z, a, b = self_modulated()
    x = images.astype(np.float64)
    normalized = (x - x.mean(axis=(0, 1, 2))) / np.sqrt(x.var(axis=(0, 1, 2)) + 1e-5)
    outputs = layer([images, z], training=True)
    for one, own_z, output in zip(normalized, z.astype(np.float64), outputs, strict=True):
        shifted = [0.5, 2.0, -1.0] * one + [1.0, 0.0, 0.3]
        np.testing.assert_allclose(output, (1 + own_z @ a) * shifted + own_z @ b, atol=1e-5)


def test_self_modulation_without_z_is_batch_normalization():
    layer, images, z, *_ = self_modulated()
    plain = BatchNormalization()
    normalizations(plain)
    for training in (True, False):
        np.testing.assert_allclose(
            layer([images, 0 * z], training=training), plain(images, training=training), rtol=1e-6
        )


def test_self_modulation_after_training_makes_each_image_on_its_own():
    layer, images, z, *_ = self_modulated()
    layer([images, z], training=True)
    np.testing.assert_allclose(layer([images, z])[:2], layer([images[:2], z[:2]]), rtol=1e-5)


def test_self_modulation_in_bfloat16_is_that_of_float32_with_fewer_digits():
    (layer, images, z, *_), (mixed, *_) = self_modulated(), self_modulated(dtype="mixed_bfloat16")
    outputs = mixed([images, z], training=True)
    assert outputs.dtype == "bfloat16"
    expected = layer([images, z], training=True)
    np.testing.assert_allclose(np.float32(outputs), expected, atol=0.02 * np.abs(expected).max())
    assert {weight.dtype for weight in mixed.weights} == {"float32"}


def test_self_modulation_begins_close_to_none():
    layer = SelfModulatedBatchNormalization()
    layer.build([(None, 4, 4, 200), (None, 100)])
    # The error of a standard deviation of n draws is σ/√(2 n); five of them.
    assert np.std(layer.modulation) == pytest.approx(0.02, rel=5 / np.sqrt(2 * 40_000))
    assert abs(np.mean(layer.modulation)) < 5 * 0.02 / np.sqrt(40_000)
    assert layer.compute_output_shape([(None, 4, 4, 200), (None, 100)]) == (None, 4, 4, 200)


@pytest.mark.parametrize("shape", [(4, 4, 6), (5, 3, 2)])
def test_nearest_convolution_is_upsampling_and_convolution(shape):
    images = tf.random.stateless_normal((2, *shape), seed=(0, 0))
    convolution = keras.layers.Conv2D(7, 3, padding="same", bias_initializer="ones", activation="relu")
    apart = keras.Sequential([keras.layers.UpSampling2D(2), convolution])
    layer = NearestConv2D(7, activation="relu")
    assert layer(images).shape == apart(images).shape == layer.compute_output_shape(images.shape)
    assert layer.count_params() == apart.count_params()
    layer.set_weights(apart.get_weights())
    np.testing.assert_allclose(layer(images), apart(images), atol=1e-5)
    gradients = []
    for function in (layer, apart):
        with tf.GradientTape() as tape:
            tape.watch(images)
            loss = tf.reduce_sum(function(images) ** 2)
        gradients.append(tape.gradient(loss, [images, *(variable.value for variable in function.weights)]))
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_nearest_convolution_survives_its_config_and_computes_in_bfloat16():
    layer = NearestConv2D(3, use_bias=False, dtype="mixed_bfloat16")
    outputs = layer(np.ones((1, 4, 4, 2), np.float32))
    assert outputs.dtype == "bfloat16"
    assert layer.kernel.dtype == "float32"
    again = NearestConv2D.from_config(layer.get_config())
    assert again(outputs[..., :2]).shape == (1, 16, 16, 3)
