"""Every model as a Keras user takes it: compile, fit, evaluate, predict, save, export, in the usual ways."""

import contextlib
import functools
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from hw5 import distributions, models, networks
from hw5.errors import InputError
from hw5.training import Adam, WarmupDecay

SHAPE = (8, 8, 1)


def autoencoder():
    return models.Autoencoder(*networks.nonlinear_autoencoder(3, SHAPE), loss="cross_entropy")


def linear():
    return models.Autoencoder(*networks.linear_autoencoder(3, SHAPE))


def denoiser():
    return models.DenoisingAutoencoder(*networks.denoising_autoencoder((9, 4), SHAPE), patch=3)


def vae(**arguments):
    return models.VAE(*networks.dense_vae(3, hidden=6, image_shape=SHAPE), **arguments)


def flow_vae():
    pair = networks.deep_tanh_vae(3, (8, 6), context=4, image_shape=SHAPE)
    return models.FlowVAE(*pair, distributions.InverseAutoregressiveFlow(1, hidden=5))


def iwae():
    return models.ImportanceWeightedVAE(*networks.deep_tanh_vae(3, (8, 6), image_shape=SHAPE), importance_samples=2)


def gan(**arguments):
    return models.GAN(*networks.dcgan(4, 3, SHAPE), **arguments)


def critic():
    pair = networks.dcgan(4, 3, SHAPE, upsampling="nearest", normalization="layer")
    return models.GAN(*pair, "wasserstein", critic_steps=2, gradient_penalty=10.0, ema_decay=0.9)


BUILDERS = [autoencoder, denoiser, vae, flow_vae, iwae, gan, critic]
# One of each base class, where all do what the bases do; for the others such a test is slow.
BASES = [vae, gan]
every_model = pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
every_base = pytest.mark.parametrize(
    "build",
    [pytest.param(build, marks=[pytest.mark.slow] * (build not in BASES)) for build in BUILDERS],
    ids=lambda build: build.__name__,
)


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


def images_for(model, count=22, dtype=np.float32):
    """Images in the range of the model, of which batches of 5 leave a rest."""
    images = np.random.default_rng(0).integers(0, 256, (count, *SHAPE), np.uint8)
    low, high = model.value_range
    return images if dtype == np.uint8 else (low + images * ((high - low) / 255)).astype(dtype)


def compiled(build, optimizer="adam", **arguments):
    model = build()
    model.compile(optimizer=optimizer, **arguments)
    return model


def weights_of(model):
    return [weight.numpy() for weight in model.trainable_variables]


def assert_trained(model, before):
    after = weights_of(model)
    assert all(np.isfinite(weight).all() for weight in after)
    assert sum(not np.array_equal(one, two) for one, two in zip(before, after, strict=True)) >= len(before) - 2


def main_metric(model):
    return "d_loss" if isinstance(model, models.GAN) else "loss"


def as_dataset(images, *more):
    return tf.data.Dataset.from_tensor_slices((images, *more) if more else images).batch(5)


INPUTS = {
    "float32": lambda images: {"x": images, "batch_size": 5},
    "float64": lambda images: {"x": images.astype(np.float64), "batch_size": 5},
    "float16": lambda images: {"x": images.astype(np.float16), "batch_size": 5},
    "tensor": lambda images: {"x": tf.constant(images), "batch_size": 5},
    "labels": lambda images: {"x": images, "y": np.arange(len(images)), "batch_size": 5},
    "dataset": lambda images: {"x": as_dataset(images)},
    "pairs": lambda images: {"x": as_dataset(images, np.arange(len(images)))},
    "validation split": lambda images: {"x": images, "validation_split": 0.3, "batch_size": 5},
    "validation arrays": lambda images: {"x": images, "validation_data": (images, None), "batch_size": 5},
    "validation pairs": lambda images: {
        "x": as_dataset(images),
        "validation_data": as_dataset(images, np.arange(len(images))),
    },
}


FORMS = [
    pytest.param(build, form, marks=[pytest.mark.slow] * (build not in BASES and form != "validation arrays"))
    for form in INPUTS
    for build in BUILDERS
]


@pytest.mark.parametrize(("build", "form"), FORMS, ids=lambda value: getattr(value, "__name__", value))
def test_fit_takes_images_in_every_form(build, form):
    model = compiled(build)
    before = weights_of(model)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*shuffle=True.*")
        history = model.fit(**INPUTS[form](images_for(model)), verbose=0).history
    assert_trained(model, before)
    expected = {metric.name for metric in model.metrics}
    expected |= {f"val_{name}" for name in expected} if "validation" in form else set()
    assert history.keys() == expected
    assert np.isfinite(list(history.values())).all()


@every_base
def test_bytes_are_scaled_to_the_range_of_the_model(build):
    histories = []
    for dtype in (np.uint8, np.float32):
        keras.utils.set_random_seed(1)
        model = compiled(build)
        histories.append(model.fit(images_for(model, dtype=dtype), batch_size=5, verbose=0).history)
    for name, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][name], rtol=1e-3, atol=1e-5)


@every_base
def test_labels_change_nothing(build):
    results = []
    for more in ([], [np.arange(22)]):
        keras.utils.set_random_seed(1)
        model = compiled(build)
        images = images_for(model)
        results.append(model.evaluate(as_dataset(images, *more), verbose=0, return_dict=True))
    assert results[0] == results[1]


MISTAKES = {
    "0 to 255": (lambda images: 255 * images, "images have values from .* must be floats in .*, or uint8"),
    "too low": (lambda images: images - 3, "images have values from"),
    "NaN": (lambda images: np.where(images > 0.9, np.nan, images).astype(np.float32), "images have values from nan"),
    "integers": (lambda images: images.astype(np.int64), "images are int64: must be uint8 or float"),
    "flat": (lambda images: images.reshape(len(images), -1), r"images are \[22, 64\]: must be \[n, 8, 8, 1\]"),
    "another size": (lambda images: images[:, :4], r"images are \[22, 4, 8, 1\]: must be \[n, 8, 8, 1\]"),
}


@pytest.mark.parametrize("build", BASES, ids=lambda build: build.__name__)
@pytest.mark.parametrize("name", MISTAKES)
def test_images_that_are_wrong_are_refused_in_one_line(build, name):
    make, message = MISTAKES[name]
    model = compiled(build)
    wrong, before = make(images_for(model)), weights_of(model)
    message = message.replace("22", r"\d+")
    for call in (
        lambda: model.fit(wrong, verbose=0),
        lambda: model.fit(as_dataset(wrong), verbose=0),
        lambda: model.fit(images_for(model), validation_data=(wrong, None), verbose=0),
        lambda: model.evaluate(wrong, verbose=0),
        lambda: model.evaluate(as_dataset(wrong, np.arange(22)), verbose=0),
    ):
        with pytest.raises(InputError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)
    for one, two in zip(before, weights_of(model), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_gan_warns_of_images_from_0_to_1():
    model = compiled(gan)
    with pytest.warns(UserWarning, match=r"from 0 to 1; this model takes images in \[-1, 1\]"):
        model.fit(images_for(vae()), verbose=0)


@every_model
def test_what_a_model_with_a_loss_of_its_own_cannot_follow_is_refused(build):
    for arguments in ({"loss": "mse"}, {"metrics": ["accuracy"]}):
        with pytest.raises(InputError, match="this model has its own"):
            compiled(build, **arguments)
    model = compiled(build)
    for arguments in ({"sample_weight": np.ones(22)}, {"class_weight": {0: 1.0}}):
        with pytest.raises(InputError, match="this model weighs all images alike"):
            model.fit(images_for(model), verbose=0, **arguments)
    with pytest.raises(InputError, match="this model weighs all images alike"):
        model.fit(as_dataset(images_for(model), np.arange(22), np.ones(22)), verbose=0)


OPTIMIZERS = {
    "name": lambda: "sgd",
    "keras": lambda: keras.optimizers.RMSprop(1e-3),
    "adamw": lambda: keras.optimizers.AdamW(1e-3, weight_decay=0.1),
    "hw5": lambda: Adam(1e-3),
    "schedule": lambda: Adam(WarmupDecay(1e-3, 10)),
    "keras schedule": lambda: Adam(keras.optimizers.schedules.CosineDecay(1e-3, 10)),
    "clipnorm": lambda: Adam(1e-3, clipnorm=0.5),
    "clipvalue": lambda: Adam(1e-3, clipvalue=0.5),
    "global_clipnorm": lambda: Adam(1e-3, global_clipnorm=0.5),
    "weight_decay": lambda: Adam(1e-3, weight_decay=0.1),
    "use_ema": lambda: Adam(1e-3, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2),
    "accumulation": lambda: Adam(1e-3, gradient_accumulation_steps=2),
    "amsgrad": lambda: Adam(1e-3, amsgrad=True),
    "loss_scale": lambda: Adam(1e-3, loss_scale_factor=8.0),
}


ADAM = [name for name in OPTIMIZERS if name not in ("name", "keras", "adamw", "keras schedule", "schedule")]


@pytest.mark.parametrize(
    ("build", "name"),
    [
        # With Adam's arguments the next test trains a model of the VAE's base.
        pytest.param(build, name, marks=[pytest.mark.slow] * (build is vae and name in ADAM))
        for name in OPTIMIZERS
        for build in BASES
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_every_optimizer_trains(build, name):
    model = compiled(build, OPTIMIZERS[name]())
    before = weights_of(model)
    model.fit(images_for(model, 24), batch_size=4, verbose=0)
    assert_trained(model, before)


@pytest.mark.parametrize("name", ADAM)
def test_the_fused_adam_does_what_keras_adam_does(name):
    after = []
    for kind in (Adam, keras.optimizers.Adam):
        keras.utils.set_random_seed(2)
        config = OPTIMIZERS[name]().get_config()
        model = compiled(linear, kind.from_config(config))
        before = weights_of(model)
        model.fit(images_for(model, 24), batch_size=4, epochs=2, verbose=0, shuffle=False)
        assert_trained(model, before)
        after.append(weights_of(model))
    for one, two in zip(*after, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)


@every_base
def test_a_learning_rate_may_be_set_after_compiling(build):
    model = compiled(build)
    images = images_for(model, 24)
    model.fit(images, batch_size=4, verbose=0)
    for optimizer in model.optimizers:
        optimizer.learning_rate = 0.0
    before = weights_of(model)
    model.fit(images, batch_size=4, verbose=0)
    for one, two in zip(before, weights_of(model), strict=True):
        np.testing.assert_array_equal(one, two)


WAYS = {
    "eagerly": {"run_eagerly": True},
    "jit": {"jit_compile": True},
    "steps_per_execution": {"steps_per_execution": 3},
}


@pytest.mark.parametrize(
    ("build", "way"),
    [
        pytest.param(build, way, marks=[pytest.mark.slow] * (build not in BASES and way != "eagerly"))
        for build in BUILDERS
        for way in WAYS
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_ways_to_run_a_step_agree(build, way):
    # XLA and the other kernels round, and draw, in their own ways; a wrong gradient would be far off.
    rtol = 0.05 if way == "jit" else 1e-3
    np.testing.assert_allclose(losses_of(build, way), losses_of(build), rtol=rtol)


@functools.cache
def losses_of(build, way=None):
    """Train a model with the seed 3, and return the history of its loss."""
    keras.utils.set_random_seed(3)
    model = compiled(build, "sgd", **WAYS.get(way, {}))
    images = images_for(model, 24)
    history = model.fit(images, batch_size=4, epochs=1, shuffle=False, verbose=0).history
    model.evaluate(images, batch_size=4, verbose=0)
    return history[main_metric(model)]


@contextlib.contextmanager
def policy(name):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize(
    ("build", "name"),
    [
        pytest.param(build, name, marks=[pytest.mark.slow] * (build not in BASES and name == "mixed_float16"))
        for build in BUILDERS
        for name in ("mixed_bfloat16", "mixed_float16")
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_mixed_precision(build, name):
    with policy(name):
        model = build()
    model.compile(optimizer=keras.optimizers.Adam(1e-2))
    assert all(variable.dtype == "float32" for variable in model.trainable_variables)
    for optimizer in model.optimizers:  # gradients of float16 would vanish without
        assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer) == (name == "mixed_float16")
    before, images = weights_of(model), images_for(model, 24)
    history = model.fit(images, batch_size=4, epochs=2, verbose=0).history
    assert np.isfinite(list(history.values())).all()
    assert_trained(model, before)


@every_base
def test_predict_is_deterministic_and_leaves_the_metrics_alone(build):
    model = compiled(build)
    images = images_for(model)
    model.fit(images, batch_size=5, verbose=0)
    inputs = np.zeros((7, 4), np.float32) if isinstance(model, models.GAN) else images
    before = [metric.result().numpy() for metric in model.metrics]
    first, again = (model.predict(inputs, batch_size=size, verbose=0) for size in (5, 3))
    np.testing.assert_allclose(first, again, atol=1e-5)
    natural = model.decode(inputs) if isinstance(model, models.GAN) else model.reconstruct(images)
    np.testing.assert_allclose(first, natural, atol=1e-5)
    assert [metric.result().numpy() for metric in model.metrics] == before


@every_model
def test_the_batch_size_does_not_change_an_evaluation_of_what_is_no_noise(build):
    model = compiled(build)
    if build in (autoencoder, linear):
        one, two = (model.evaluate(images_for(model), batch_size=size, verbose=0) for size in (22, 5))
        np.testing.assert_allclose(one, two, rtol=1e-5)
    result = model.evaluate(images_for(model, 1), verbose=0, return_dict=True)  # a batch of one
    assert np.isfinite(list(result.values())).all()


@every_model
def test_summary_shows_the_networks_and_their_parameters(build):
    lines = []
    model = build()
    model.summary(print_fn=lines.append)
    text = "\n".join(lines)
    for name in ("generator", "discriminator") if isinstance(model, models.GAN) else ("encoder", "decoder"):
        network = getattr(model, name)
        assert network.name[:12] in text
        assert f"{network.count_params():,}" in text


@every_model
def test_a_keras_file_has_the_optimizer_and_goes_on_as_the_model_would(build, tmp_path):
    model = compiled(build, Adam(1e-3))
    images = images_for(model, 20)
    model.fit(images, batch_size=5, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    assert loaded.steps_done == model.steps_done == 4
    for one, two in zip(model.optimizers, loaded.optimizers, strict=True):
        assert type(two) is Adam
        for variable, other in zip(one.variables, two.variables, strict=True):
            np.testing.assert_array_equal(variable, other)
    for each in (model, loaded):
        each.fit(images, batch_size=5, verbose=0, shuffle=False)
    for one, two in zip(model.variables, loaded.variables, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-7)


@every_base
def test_weights_have_the_optimizers_state(build, tmp_path):
    model, other = compiled(build), compiled(build)
    model.fit(images_for(model, 20), batch_size=5, verbose=0)
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    assert other.steps_done == 4
    for one, two in zip([model, *model.optimizers], [other, *other.optimizers], strict=True):
        for variable, its_copy in zip(one.variables, two.variables, strict=True):
            np.testing.assert_array_equal(variable, its_copy)


@every_model
def test_an_exported_model_decodes(build, tmp_path):
    model = build()
    model.export(tmp_path / "exported")
    served = tf.saved_model.load(str(tmp_path / "exported"))
    codes = np.random.default_rng(0).normal(size=(3, model.latent_dim)).astype(np.float32)
    np.testing.assert_allclose(served.decode(codes), model.decode(codes), atol=1e-5)
    if not isinstance(model, models.GAN):
        images = images_for(model, 2)
        np.testing.assert_allclose(served.encode(images), model.encode(images), atol=1e-5)
        np.testing.assert_allclose(served.reconstruct(images), model.reconstruct(images), atol=1e-5)


@every_base
def test_callbacks_of_keras(build, tmp_path):
    model = compiled(build)
    monitored = f"val_{main_metric(model)}"
    callbacks = [
        keras.callbacks.EarlyStopping(monitored, patience=0, min_delta=1e9, mode="min"),
        keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", monitored, save_best_only=True, mode="min"),
        keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True),
        keras.callbacks.TensorBoard(tmp_path / "logs", write_graph=False),
        keras.callbacks.BackupAndRestore(tmp_path / "backup"),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.TerminateOnNaN(),
    ]
    if not isinstance(model, models.GAN):  # it looks for `model.optimizer`; a GAN has two
        callbacks.append(keras.callbacks.ReduceLROnPlateau(monitored, patience=0, min_delta=1e9, mode="min"))
    images = images_for(model)
    history = model.fit(images, validation_data=(images, None), epochs=9, verbose=0, callbacks=callbacks).history
    assert len(history["val_" + main_metric(model)]) == 2  # stopped
    assert keras.models.load_model(tmp_path / "best.keras").steps_done in (1, 2)
    assert (tmp_path / "2.weights.h5").exists()
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3
    if not isinstance(model, models.GAN):
        assert float(model.optimizer.learning_rate.numpy()) < 1e-3


def test_a_kl_weight_may_warm_up():
    model = compiled(lambda: vae(kl_weight=0.0), "sgd")
    images = images_for(model)
    model.fit(images, verbose=0)
    before = model.evaluate(images, verbose=0, return_dict=True)
    assert before["loss"] == pytest.approx(before["reconstruction"], rel=1e-5)
    warm_up = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, _: setattr(model, "kl_weight", float(epoch)))
    model.fit(images, epochs=3, verbose=0, callbacks=[warm_up])
    after = model.evaluate(images, verbose=0, return_dict=True)
    assert after["loss"] == pytest.approx(after["reconstruction"] + 2 * after["kl"], rel=1e-5)


@pytest.mark.parametrize("build", [autoencoder, denoiser, vae, gan], ids=lambda build: build.__name__)
def test_regularizers_are_part_of_the_loss(build):
    losses = []
    for strength in (0.0, 100.0):
        keras.utils.set_random_seed(0)
        model = build()
        network = model.discriminator if build is gan else model.encoder
        layer = next(layer for layer in network.layers if getattr(layer, "kernel", None) is not None)
        layer.kernel.regularizer = keras.regularizers.L2(strength)
        model.compile(optimizer=keras.optimizers.SGD(0.0))
        expected = strength * float(np.sum(np.square(layer.kernel)))
        losses.append(model.fit(images_for(model, 4), verbose=0).history[main_metric(model)][0])
    assert losses[1] - losses[0] == pytest.approx(expected, rel=0.01)


@every_model
def test_networks_can_be_plotted(build, tmp_path):
    pytest.importorskip("pydot")
    model = build()
    for name in model.PARTS[:2]:
        keras.utils.plot_model(getattr(model, name), tmp_path / f"{name}.png")
