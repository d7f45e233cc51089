"""GANs: their steps against Algorithm 1 in NumPy, their samples, and the end of a failed training."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit

from hw5 import data, models, networks, training
from hw5.errors import InputError, TrainingFailed
from hw5.layers import BatchNormalization
from hw5.models.gan import GANFailureDetector

pytestmark = pytest.mark.usefixtures("undrawn")

METRICS = ["d_loss", "g_loss", "d_real", "d_fake_d_step", "d_fake_g_step", "diversity"]
RATE = 0.1


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


def linear_gan(objective="non_saturating", **settings):
    """Build G(z) = z A, from two dimensions to three, and D(x) = x w + b."""
    generator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, use_bias=False)])
    discriminator = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    return models.GAN(generator, discriminator, objective, **{"activation": "linear"} | settings)


def image_gan(**settings):
    return models.GAN(*networks.dcgan(4, 2, (16, 16, 1)), **settings)


def plane_gan(**settings):
    return models.GAN(*networks.plane_gan(2, (8,), (8,)), activation="linear", **settings)


def compiled(gan, optimizer=keras.optimizers.SGD):
    gan.compile(optimizer(RATE), optimizer(RATE))
    return gan


def draw(*shape):
    return np.random.default_rng(len(shape)).uniform(-1, 1, shape).astype(np.float32)


def parabola(count=400):
    x = draw(count)
    return np.stack([x, x**2], axis=1)


def values(network):
    return [weight.numpy() for weight in network.weights]


def trained(network):
    return [weight.numpy() for weight in network.trainable_weights]


def same(one, other):
    return [np.array_equal(a, b) for a, b in zip(one, other, strict=True)]


def softplus(logits):
    return np.logaddexp(0, logits)


CROSS_ENTROPY = (
    lambda real, fake: (-expit(-real), expit(fake)),
    lambda real, fake: softplus(-real).mean() + softplus(fake).mean(),
)
# By objective, of real and fake logits: the derivatives of D's loss by each real and each fake logit, D's loss, the
# derivative of G's loss by each fake logit, and G's loss.
SLOPES_AND_LOSSES = {
    "minimax": (*CROSS_ENTROPY, lambda _, fake: -expit(fake), lambda _, fake: -softplus(fake).mean()),
    "non_saturating": (*CROSS_ENTROPY, lambda _, fake: -expit(-fake), lambda _, fake: softplus(-fake).mean()),
    "least_squares": (
        lambda real, fake: (real - 1, fake),
        lambda real, fake: ((real - 1) ** 2).mean() / 2 + (fake**2).mean() / 2,
        lambda _, fake: fake - 1,
        lambda _, fake: ((fake - 1) ** 2).mean() / 2,
    ),
    "wasserstein": (
        lambda real, fake: (-np.ones_like(real), np.ones_like(fake)),
        lambda real, fake: fake.mean() - real.mean(),
        lambda _, fake: -np.ones_like(fake),
        lambda _, fake: -fake.mean(),
    ),
    "hinge": (
        lambda real, fake: (-1.0 * (real < 1), 1.0 * (fake > -1)),
        lambda real, fake: np.maximum(1 - real, 0).mean() + np.maximum(1 + fake, 0).mean(),
        lambda _, fake: -np.ones_like(fake),
        lambda _, fake: -fake.mean(),
    ),
    "relativistic": (
        lambda real, fake: (-expit(fake - real), expit(fake - real)),
        lambda real, fake: softplus(fake - real).mean(),
        lambda real, fake: -expit(real - fake),
        lambda real, fake: softplus(real - fake).mean(),
    ),
}


def algorithm_1(gan, batches, objective, *, critic_steps=1, weight_clip=0.0, gradient_penalty=0.0, r1=0.0, r2=0.0):
    """Train a linear GAN in NumPy: (A, w, b) after the batches, and the means of its metrics.

    The noise is the noise that the model will draw, n times for D's steps and then again for G's.
    """
    slopes, d_loss, slope_g, g_loss = SLOPES_AND_LOSSES[objective]
    seeds = keras.random.SeedGenerator()
    seeds.state.assign(gan.seed_generator.state)
    (a,), (w, b) = values(gan.generator), values(gan.discriminator)
    output = expit if gan.objective.outputs_probability else np.asarray
    seen = {name: [] for name in METRICS}

    def record(**metrics):
        for name, value in metrics.items():
            seen[name].append(np.mean(value))

    for samples in batches:
        for real in (samples[step::critic_steps] for step in range(critic_steps)):
            n = len(real)
            fake = np.asarray(keras.random.normal((n, 2), seed=seeds)) @ a
            logits = real @ w + b, fake @ w + b
            by_real, by_fake = (slope / n for slope in slopes(*logits))
            by_w, by_b = real.T @ by_real + fake.T @ by_fake, by_real.sum(axis=0) + by_fake.sum(axis=0)
            loss = d_loss(*logits)
            if gradient_penalty:  # the gradient of a linear D is w, wherever it is taken
                keras.random.uniform((n, 1), seed=seeds)
                norm = np.linalg.norm(w)
                loss += gradient_penalty * (norm - 1) ** 2
                by_w = by_w + gradient_penalty * 2 * (norm - 1) * w / norm
            loss += (r1 + r2) / 2 * np.sum(w**2)
            by_w = by_w + (r1 + r2) * w
            record(d_loss=loss, d_real=output(logits[0]), d_fake_d_step=output(logits[1]))
            record(diversity=fake.std(axis=0).mean() / real.std(axis=0).mean())
            w, b = w - RATE * by_w, b - RATE * by_b
            if weight_clip:
                w, b = (np.clip(weight, -weight_clip, weight_clip) for weight in (w, b))
        z = np.asarray(keras.random.normal((n, 2), seed=seeds))
        logits = real @ w + b, z @ a @ w + b
        record(g_loss=g_loss(*logits), d_fake_g_step=output(logits[1]))
        a = a - RATE * z.T @ (slope_g(*logits) / n) @ w.T
    return (a, w, b), {name: np.mean(metrics) for name, metrics in seen.items()}


@pytest.mark.parametrize(
    ("objective", "settings"),
    [
        ("minimax", {}),
        ("non_saturating", {}),
        ("least_squares", {}),
        ("hinge", {}),
        ("wasserstein", {"critic_steps": 3, "weight_clip": 0.3}),
        ("wasserstein", {"critic_steps": 2, "gradient_penalty": 10.0}),
        ("non_saturating", {"r1": 3.0}),
        ("relativistic", {"r1": 0.5, "r2": 0.25}),
        ("relativistic", {"critic_steps": 2, "r2": 1.0}),
    ],
)
def test_training_steps_are_algorithm_1_in_numpy(objective, settings):
    gan, batches = compiled(linear_gan(objective, **settings)), draw(2, 12, 3)
    expected, metrics = algorithm_1(gan, batches, objective, **settings)
    for batch in batches:
        found = gan.train_step(tf.constant(batch))
    for one, other in zip([*values(gan.generator), *values(gan.discriminator)], expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert list(found) == METRICS
    for name, value in metrics.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, err_msg=name)
    if "weight_clip" in settings:
        assert max(np.abs(weight).max() for weight in values(gan.discriminator)) == np.float32(settings["weight_clip"])


def test_compiled_steps_are_the_eager_ones():
    """Check that TensorFlow does not reorder a Wasserstein critic's updates and the reads of its last layer."""
    settings = {"objective": "wasserstein", "critic_steps": 2, "weight_clip": 0.05}
    gans = [compiled(image_gan(**settings)) for _ in range(2)]
    gans[1].set_weights(gans[0].get_weights())
    gans[1].seed_generator.state.assign(gans[0].seed_generator.state)
    eager, graph = gans[0].train_step, tf.function(gans[1].train_step)
    for batch in draw(20, 16, 16, 16, 1):
        eager(tf.constant(batch))
        graph(tf.constant(batch))
        for one, other in zip(*(gan.get_weights() for gan in gans), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("penalty", [{}, {"gradient_penalty": 10.0}, {"r1": 1.0}])
def test_the_step_of_one_network_leaves_the_weights_of_the_other_alone(penalty):
    gan = compiled(image_gan(**penalty))
    g, d = trained(gan.generator), trained(gan.discriminator)
    gan.discriminator_step(tf.constant(draw(6, 16, 16, 1)))
    assert all(same(trained(gan.generator), g))
    assert not any(same(trained(gan.discriminator), d))
    d = trained(gan.discriminator)
    gan.generator_step(tf.constant(draw(6, 16, 16, 1)))
    assert all(same(trained(gan.discriminator), d))
    assert not any(same(trained(gan.generator), g))


def test_the_scales_of_a_sheet_scale_the_losses():
    scales = {"discriminator_scale": 3.0, "generator_scale": 5.0}
    plain, scaled = linear_gan("least_squares"), linear_gan("least_squares", loss_scales=scales)
    scaled.set_weights(plain.get_weights())
    scaled.seed_generator.state.assign(plain.seed_generator.state)
    one, other = (compiled(gan).test_step(tf.constant(draw(5, 3))) for gan in (plain, scaled))
    np.testing.assert_allclose([other["d_loss"], other["g_loss"]], [6 * one["d_loss"], 10 * one["g_loss"]], rtol=1e-5)


@pytest.mark.parametrize("shape", [(3,), (4, 4, 1)])
def test_the_gradient_penalty_of_a_linear_discriminator_is_known(shape):
    flat = [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(1)]
    gan = models.GAN(linear_gan().generator, keras.Sequential(flat))
    norm = np.linalg.norm(gan.discriminator.layers[-1].kernel)
    real, fake = tf.constant(draw(7, *shape)), tf.constant(5 * draw(7, *shape))
    np.testing.assert_allclose(gan.gradient_penalty_loss(real, fake), (norm - 1) ** 2, rtol=1e-5)


def test_the_gradient_penalty_is_uniform_between_real_and_generated_samples():
    inputs = keras.Input((2,))
    half_square = keras.Model(inputs, 0.5 * keras.ops.sum(inputs**2, axis=-1, keepdims=True))  # whose gradient is x
    gan, ones = models.GAN(linear_gan().generator, half_square), np.ones((20_000, 1), np.float32)
    penalty = gan.gradient_penalty_loss(tf.constant(ones * np.float32([0.6, 0.8])), tf.zeros((20_000, 2)))
    # E (|x| − 1)² for |x| even in [0, 1] is 1/3; the standard deviation of one square is √(1/5 − 1/9).
    assert abs(penalty - 1 / 3) < 5 * np.sqrt(1 / 5 - 1 / 9) / np.sqrt(20_000)


@pytest.mark.parametrize("penalty", ["r1", "r2"])
def test_r1_is_taken_at_real_samples_and_r2_at_generated_ones(penalty):
    inputs = keras.Input((3,))
    zero = keras.layers.Dense(1, kernel_initializer="zeros")(inputs)
    half_square = keras.Model(inputs, 0.5 * keras.ops.sum(inputs**2, axis=-1, keepdims=True) + zero)
    plain, penalised = (
        compiled(models.GAN(linear_gan().generator, keras.models.clone_model(half_square), **{penalty: gamma}))
        for gamma in (0.0, 3.0)
    )
    penalised.seed_generator.state.assign(plain.seed_generator.state)
    penalised.generator.set_weights(plain.generator.get_weights())
    noise = keras.random.SeedGenerator()
    noise.state.assign(plain.seed_generator.state)
    samples = {"r1": draw(50, 3), "r2": np.asarray(plain(keras.random.normal((50, 2), seed=noise)))}
    losses = []
    for gan in (plain, penalised):
        gan.discriminator_step(tf.constant(samples["r1"]))
        losses.append(gan.get_metrics_result()["d_loss"])
    # The gradient of ½‖x‖² is x.
    np.testing.assert_allclose(losses[1] - losses[0], 3 / 2 * (samples[penalty] ** 2).sum(axis=1).mean(), rtol=1e-4)


def test_the_moving_average_follows_the_recursion_and_decodes():
    gan = compiled(image_gan(ema_decay=0.3))
    expected = values(gan.generator)
    for batch, decay in zip(draw(4, 6, 16, 16, 1), (2 / 11, 3 / 12, 0.3, 0.3), strict=True):
        gan.train_step(tf.constant(batch))
        expected = [decay * old + (1 - decay) * new for old, new in zip(expected, values(gan.generator), strict=True)]
    for one, other in zip(values(gan.ema_generator), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-7)
    z = draw(5, 4)
    shown = 2 * gan.decode(z) - 1
    np.testing.assert_allclose(shown, np.tanh(gan.ema_generator(z)), atol=1e-5)
    assert np.abs(shown - gan(z)).max() > 0.1 * np.abs(shown).max()
    assert not {id(weight) for weight in gan.ema_generator.weights} & {id(w) for w in gan.trainable_weights}


@pytest.mark.parametrize("ema_decay", [0.0, 0.999])
def test_standing_statistics_are_those_of_the_weights_that_decode(ema_decay):
    """Check them against the closed form: of x = z A, z ~ N(0, I), mean 0 and variance Σ A²."""
    layers = [keras.layers.Reshape((1, 1, 3)), BatchNormalization(), keras.layers.Flatten()]
    generator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, use_bias=False), *layers])
    gan = models.GAN(generator, linear_gan().discriminator, activation="linear", ema_decay=ema_decay)
    weights, before = np.float32([[3, 0, 1], [4, 2, 0]]), gan.seed_generator.state.numpy()
    decoding = gan.ema_generator if ema_decay else generator
    decoding.layers[0].set_weights([weights])
    gan.set_standing_statistics(batches=100, batch_size=100)
    normalization = decoding.layers[2]
    variance = (weights**2).sum(axis=0)
    # The standard errors of 10,000 samples are σ/100 and σ²√2/100.
    assert (np.abs(normalization.moving_mean) < 5 * np.sqrt(variance) / 100).all()
    np.testing.assert_allclose(normalization.moving_variance, variance, rtol=5 * 2**0.5 / 100)
    assert np.std(gan.generate(5000, seed=3), axis=0) == pytest.approx(1, abs=0.1)
    assert normalization.momentum == 0.9
    assert normalization.trainable == (not ema_decay)
    np.testing.assert_array_equal(gan.seed_generator.state, before)


def test_a_generator_without_batch_normalization_has_no_standing_statistics():
    gan = linear_gan()
    before = values(gan.generator)
    gan.set_standing_statistics()
    assert all(same(values(gan.generator), before))


def test_the_discriminator_sees_augmented_samples_in_training_alone():
    class Doubling(keras.layers.Layer):
        def call(self, samples):
            return 2.0 * samples

    plain, augmented = linear_gan(), linear_gan(augmentation=Doubling())
    augmented.set_weights(plain.get_weights())
    samples = tf.constant(draw(9, 3))
    np.testing.assert_allclose(augmented.logits(samples), plain.logits(samples), rtol=1e-6)
    np.testing.assert_allclose(augmented.logits(samples, training=True), plain.logits(2 * samples), rtol=1e-6)
    for gan in (plain, augmented):
        gan.seed_generator.state.assign(plain.seed_generator.state)
    fakes = [compiled(gan)(gan.noise(9)) for gan in (plain, augmented)]
    np.testing.assert_array_equal(*fakes)  # samples themselves are not augmented


def test_overfitting_is_r_v_of_the_logits():
    gan = image_gan()
    flat = [keras.Input((16, 16, 1)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1)]
    gan = models.GAN(gan.generator, keras.Sequential(flat))
    gan.discriminator.layers[-1].set_weights([np.float32([[2.0]]), np.float32([5.0])])
    known, held_out = (np.full((7, 16, 16, 1), level, np.uint8) for level in (255, 204))  # 1 and 0.6 in [−1, 1]
    meter, logs = training.OverfittingMeter(known, held_out, count=5), {}
    meter.set_model(gan)
    meter.on_epoch_end(0, logs)
    generated = float(np.mean(gan(keras.random.normal((5, 4), seed=0))))
    assert logs["overfitting"] == pytest.approx((1 - 0.6) / (1 - generated), rel=1e-4)


def test_the_overfitting_meter_takes_images_from_the_whole_of_an_ordered_set():
    images = np.arange(100, dtype=np.uint8).reshape(100, 1, 1, 1)
    known, held_out = training.OverfittingMeter(images, images[:3], count=4).samples
    np.testing.assert_array_equal(known, data.random_subset(images, 4))
    assert held_out.ravel().tolist() == [0, 1, 2]


def test_images_are_the_tanh_of_the_generator_scaled_to_0_1():
    gan = linear_gan(activation="tanh")
    gan.generator.set_weights([np.float32([[5, -1, 0], [0.5, 3, 0]])])
    z = draw(50, 2)
    outputs = z @ gan.generator.get_weights()[0]
    np.testing.assert_allclose(gan(z), np.tanh(outputs), atol=1e-6)
    np.testing.assert_allclose(gan.decode(z), expit(2 * outputs), atol=1e-6)  # (tanh x + 1)/2 = σ(2x)
    assert gan.value_range == (-1, 1)
    images = gan.generate(200).numpy()
    assert 0 <= images.min() < 0.01
    assert 0.99 < images.max() <= 1


def test_samples_that_are_no_images_are_left_as_they_are():
    gan, z = linear_gan(), draw(4, 2)
    np.testing.assert_array_equal(gan.decode(z), gan.generator(z))
    assert gan.value_range is None


def test_generated_samples_are_new_each_time_and_for_a_seed_the_same():
    gan = image_gan()
    np.testing.assert_array_equal(gan.generate(3, seed=1), gan.generate(3, seed=1))
    assert not np.allclose(gan.generate(3, seed=1), gan.generate(3, seed=2))
    assert not np.allclose(gan.generate(3), gan.generate(3))
    assert gan.sample(2).shape == (2, 16, 16, 1)


def test_many_samples_are_decoded_in_batches_that_make_no_difference():
    gan = linear_gan(activation="tanh")
    z = keras.random.normal((1201, 2), seed=3)
    np.testing.assert_allclose(gan.generate(1201, seed=3), gan.decode(z), atol=1e-6)


def test_a_gan_interpolates_between_codes():
    gan, (first, last) = image_gan(), draw(2, 3, 4)
    images = gan.interpolate(first, last, [0.0, 0.5])
    assert images.shape == (3, 2, 16, 16, 1)
    np.testing.assert_allclose(images[:, 0], gan.decode(first), atol=1e-6)
    np.testing.assert_allclose(images[:, 1], gan.decode((first + last) / 2), atol=1e-6)


def test_an_evaluation_leaves_all_weights_alone():
    gan = compiled(image_gan(ema_decay=0.9))
    before = [values(part) for part in (gan.generator, gan.discriminator, gan.ema_generator)]
    measured = gan.evaluate(draw(20, 16, 16, 1), batch_size=8, verbose=0, return_dict=True)
    assert set(measured) == set(METRICS)
    assert np.isfinite(list(measured.values())).all()
    for part, weights in zip((gan.generator, gan.discriminator, gan.ema_generator), before, strict=True):
        assert all(same(values(part), weights))


def test_a_saved_gan_generates_the_same(tmp_path):
    scales = {"discriminator_scale": 0.5, "generator_scale": 1.0}
    settings = {"objective": "least_squares", "loss_scales": scales, "critic_steps": 2}
    settings |= {"weight_clip": 0.1, "ema_decay": 0.9}
    gan = compiled(image_gan(**settings), keras.optimizers.Adam)
    gan.train_step(tf.constant(draw(8, 16, 16, 1)))
    models.save(gan, tmp_path)
    loaded = models.load(tmp_path)
    assert type(loaded) is models.GAN
    assert {name: loaded.get_config()[name] for name in settings} == settings
    assert loaded.batches_per_step == 2
    np.testing.assert_array_equal(loaded.generate(5, seed=1), gan.generate(5, seed=1))
    np.testing.assert_array_equal(loaded(draw(5, 4)), gan(draw(5, 4)))
    np.testing.assert_array_equal(loaded.discriminator(draw(2, 16, 16, 1)), gan.discriminator(draw(2, 16, 16, 1)))
    np.testing.assert_array_equal(loaded.generate(5), gan.generate(5))  # it continues with the same noise


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="activation='relu': must be one of tanh, linear"):
        linear_gan(activation="relu")
    with pytest.raises(InputError, match="objective=vanilla: must be one of minimax"):
        linear_gan("vanilla")


def fit(folder, build=plane_gan, samples=None, *, steps=30, epochs=3, batch_size=20, mode="resume", **rates):
    return training.fit(
        build,
        parabola() if samples is None else samples,
        run_dir=folder,
        schedule=training.Schedule.of_steps(steps, batch_size, epochs),
        optimizers=training.gan_optimizers(**{"learning_rate": 1e-3} | rates),
        mode=mode,
    )


def test_a_gan_learns_where_the_points_are(tmp_path):
    gan, history = fit(tmp_path, samples=parabola() + np.float32([3, 0]), steps=400, epochs=4, learning_rate=5e-3)
    assert np.asarray(gan.generate(500, seed=0))[:, 0].mean() == pytest.approx(3, abs=1)
    assert list(map(len, history.values())) == [4] * len(METRICS)
    assert set(history) == set(METRICS)
    assert not any(value in (None, 0) for name in METRICS for value in history[name])


@pytest.mark.parametrize("frozen", ["generator", "discriminator"])
def test_each_network_has_a_learning_rate_and_0_is_one(tmp_path, frozen):
    rates = {"generator": 1e-3, "discriminator": 1e-3} | {frozen: 0.0}
    gan, _ = fit(tmp_path, learning_rate=rates["generator"], discriminator_learning_rate=rates["discriminator"])
    keras.utils.set_random_seed(0)
    untrained = plane_gan()
    for name, rate in rates.items():
        assert all(same(values(getattr(gan, name)), values(getattr(untrained, name)))) == (rate == 0)


def test_a_critic_gets_its_steps_and_each_step_its_batch(tmp_path):
    gan, _ = fit(tmp_path, lambda: plane_gan(objective="wasserstein", critic_steps=3), steps=6)
    assert gan.discriminator_optimizer.iterations.numpy() == 18
    assert gan.generator_optimizer.iterations.numpy() == gan.steps_done == 6


def test_a_training_that_diverges_reports_it_and_keeps_its_history(tmp_path):
    message = r"training diverged: \w+ is (nan|inf) in epoch \d+, after step \d+; lower the learning rate"
    with pytest.raises(TrainingFailed, match=message) as caught:
        fit(tmp_path, learning_rate=1e6)
    assert caught.value.history == {}
    assert isinstance(caught.value, InputError)
    assert not list((tmp_path / "checkpoints").glob("*.npz"))


def test_a_failure_is_remembered_until_something_changes(tmp_path, monkeypatch):
    with pytest.raises(TrainingFailed) as first:
        fit(tmp_path, learning_rate=1e6)
    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "fit", lambda *_, **__: pytest.fail("trained"))
        for mode in ("resume", "evaluate"):
            with pytest.raises(TrainingFailed) as again:
                fit(tmp_path, learning_rate=1e6, mode=mode)
            assert (str(again.value), again.value.history) == (str(first.value), first.value.history)
    fit(tmp_path, learning_rate=1e-3)
    fit(tmp_path, learning_rate=1e-3, mode="evaluate")
    with pytest.raises(TrainingFailed):
        fit(tmp_path, learning_rate=1e6, mode="restart")


def test_a_batch_of_one_sample_is_refused(tmp_path):
    with pytest.raises(InputError, match="batch_size=1: must be at least 2"):
        fit(tmp_path, batch_size=1)
    with pytest.raises(InputError, match="1 images are too few"):
        fit(tmp_path, samples=parabola()[:1])
    with pytest.raises(InputError, match="400 images are too few: this model trains on 600 or more"):
        fit(tmp_path, lambda: plane_gan(critic_steps=300))


def test_a_generator_of_one_sample_ends_the_training(tmp_path, monkeypatch):
    monkeypatch.setattr(GANFailureDetector, "MAX_GREY_STEPS", 100)

    def constant():
        gan = plane_gan()
        gan.generator.layers[-1].kernel.assign(np.zeros((8, 2)))
        return gan

    message = "mode collapse: in epoch 2, by step 100 generated samples vary by 0.0% of what real ones do; "
    with pytest.raises(TrainingFailed, match=message) as caught:
        fit(tmp_path, constant, learning_rate=0.0, steps=100, epochs=2)
    assert {name: len(seen) for name, seen in caught.value.history.items()} == dict.fromkeys(METRICS, 1)


def test_a_saturated_discriminator_ends_the_training(tmp_path):
    def hopeless():
        gan = linear_gan()
        gan.discriminator.set_weights([np.full((3, 1), 100.0), np.array([-1000.0])])  # D(x) = σ(100 (Σ x − 10))
        return gan

    message = r"discriminator saturated: in epoch 2, by step 20 D\(x\) is 1.00000 and D\(G\(z\)\) is 0.00000, "
    with pytest.raises(TrainingFailed, match=message) as caught:
        fit(tmp_path, hopeless, draw(400, 3) + 9, learning_rate=0.0)
    assert len(caught.value.history["d_loss"]) == 1


FINE = {"diversity": 0.8, "d_real": 0.7, "d_fake_g_step": 0.3}


@pytest.mark.parametrize(
    ("objective", "epoch", "changes", "message", "diversity"),
    [
        ("non_saturating", 1, {}, None, 0.5),
        ("non_saturating", 1, {"diversity": 0.04}, "mode collapse: in epoch 2, by step 100 .* by 4.0% of what", 0.5),
        ("non_saturating", 1, {"diversity": 0.04}, None, 0.06),  # still grey
        ("non_saturating", 0, {"diversity": 0.04}, None, 0.5),  # at the start, all is grey
        (
            "minimax",
            7,
            {"d_real": 0.99995, "d_fake_g_step": 5e-5},
            "discriminator saturated: in epoch 8, by step 100 D.x. is 0.99995",
            0.5,
        ),
        ("minimax", 7, {"d_real": 0.99995}, None, 0.5),  # certain of the real ones only
        ("minimax", 7, {"d_fake_g_step": 5e-5}, None, 0.5),
        ("least_squares", 7, {"d_real": 1.0, "d_fake_g_step": 0.0}, None, 0.5),  # no probabilities
        ("hinge", 7, {"d_real": 1.0, "d_fake_g_step": 0.0}, None, 0.5),
    ],
)
def test_the_detector_ends_failed_trainings_and_no_others(objective, epoch, changes, message, diversity):
    history = {"d_loss": [1.0], "diversity": [diversity]}
    gan = compiled(linear_gan(objective))
    (detector,) = gan.training_callbacks(history)
    detector.set_model(gan)
    gan.generator_optimizer.iterations.assign(100)
    if message is None:
        detector.on_epoch_end(epoch, FINE | changes)
        return
    with pytest.raises(TrainingFailed, match=message) as caught:
        detector.on_epoch_end(epoch, FINE | changes)
    assert caught.value.history == history
    assert str(caught.value).endswith("; lower the learning rate")


def test_the_detector_follows_the_history_that_the_training_fills():
    history, gan = {}, compiled(linear_gan())
    (detector,) = gan.training_callbacks(history)
    detector.set_model(gan)
    detector.on_epoch_end(1, FINE | {"diversity": 0.04})
    history["diversity"] = [0.5]
    history["overfitting"] = [0.1, 0.25]
    with pytest.raises(TrainingFailed, match="mode collapse.*; its overfitting was 25%"):
        detector.on_epoch_end(2, FINE | {"diversity": 0.04})
