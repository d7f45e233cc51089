"""Networks so small that their losses are known in closed form.

Keras is imported within the functions, so that collecting the tests does not wait for TensorFlow.
"""

import contextlib
import functools

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import softmax
from scipy.stats import kstest, norm
from submission import hw5, in_worker, keras, tf

SHAPE = (2, 2, 1)
IMAGES = np.float32([[0.0, 1.0, 0.25, 0.5], [1.0, 1.0, 0.0, 0.75]]).reshape(2, *SHAPE)
LOGITS = np.float32([-1.0, 2.0, 0.5, 0.0])


@contextlib.contextmanager
def eagerly():
    """Let the submission compute without tracing, which takes most of the time of a few steps."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def cross_entropy(images=IMAGES, logits=LOGITS):
    """Compute −Σ x log p + (1 − x) log(1 − p) with p = sigmoid(logits), summed over pixels, [batch]."""
    p = sigmoid(logits)
    x = np.reshape(images, (len(images), -1)).astype(np.float64)
    return -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum(axis=1)


def kl(mean, log_var):
    """Compute ½ Σ (μ² + σ² − log σ² − 1) of one image."""
    mean, log_var = np.float64(mean), np.float64(log_var)
    return 0.5 * np.sum(mean**2 + np.exp(log_var) - log_var - 1)


@functools.cache  # a process of pytest grades one submission
def kl_constant():
    """Return what this submission adds to the KL divergence for each latent dimension: 0, or ½ as on sheet 000."""
    added = loss(constant_vae([0.0, 0.0], [0.0, 0.0])) - loss(constant_vae([0.0, 0.0], [0.0, 0.0], kl_weight=0.0))
    return 0.5 if abs(added - 1.0) < 1e-4 else 0.0


@functools.cache
def draws_kl():
    """Say whether this submission estimates the KL divergence by the z that it draws: then it varies.

    Sheet 000 prints the closed form as the loss; sheet 004 says that there is one.
    """
    one, two = (loss(constant_vae([1.0], [0.7])) for _ in range(2))
    return abs(one - two) > 1e-5


def variance_of_drawn_kl(mean, log_var):
    """Compute the variance of log q(z|x) − log p(z) of one z ~ q(z|x), over the last axis.

    In each dimension it is ½ (σ² − 1) ε² + μ σ ε and a constant.
    """
    variance = np.exp(np.float64(log_var))
    return np.sum((variance - 1) ** 2 / 2 + np.square(mean) * variance, axis=-1)


def assert_loss_has_both_terms(mean, log_var, weight=1.0, copies=1):
    """Check the loss of a VAE with this posterior: cross-entropy + weight · KL, means over images.

    If the submission draws the KL divergence, of 8,000 images or more within 6 deviations. False alarms are below
    1e-7: the sum is normal but for a skewness of at most 0.04.
    """
    drawn = draws_kl()
    images = np.tile(IMAGES, (copies * (4000 if drawn else 1), 1, 1, 1))
    tolerance = 6 * weight * np.sqrt(variance_of_drawn_kl(mean, log_var) / len(images)) if drawn else 0
    found = loss(constant_vae(mean, log_var, kl_weight=weight), images, batch_size=len(images))
    expected = cross_entropy().mean() + weight * kl_in_loss(mean, log_var)
    assert found == pytest.approx(expected, rel=1e-5, abs=tolerance)


def kl_in_loss(mean, log_var):
    """Compute the KL divergence of one image with the constant that this submission adds to it."""
    return kl(mean, log_var) + kl_constant() * len(mean)


@functools.cache
def outputs_probabilities(builder="dense_vae"):
    """Say whether decoders of this submission end in a sigmoid, and its models expect probabilities of them."""
    _, decoder = getattr(hw5.networks, builder)(3)
    decoder.set_weights([10 * np.random.default_rng(0).normal(size=w.shape) for w in decoder.get_weights()])
    outputs = np.asarray(decoder(np.random.default_rng(1).normal(size=(20, 3)).astype(np.float32)))
    return bool(outputs.min() >= 0 and outputs.max() <= 1)


def as_output(logits, builder="dense_vae"):
    """Return what decoders of this submission give for these logits: them, or their sigmoid."""
    return sigmoid(logits) if outputs_probabilities(builder) else logits


def affine(inputs, kernel, bias):
    """Apply a dense layer with these weights."""
    layer = keras.layers.Dense(len(bias))
    outputs = layer(inputs)
    layer.set_weights([np.broadcast_to(np.float32(kernel), (inputs.shape[-1], len(bias))), np.float32(bias)])
    return outputs


def constant_encoder(*outputs, shape=SHAPE):
    """Build an encoder with the same outputs for every image: one list of numbers per output."""
    images = keras.Input(shape)
    codes = [affine(keras.layers.Flatten()(images), 0.0, values) for values in outputs]
    return keras.Model(images, codes if len(codes) > 1 else codes[0])


def constant_decoder(latent_dim, values=LOGITS, shape=SHAPE, like="dense_vae"):
    """Build a decoder with the same output for every code: values, or the logits of decoders of `like`."""
    codes = keras.Input((latent_dim,))
    outputs = keras.layers.Reshape(shape)(affine(codes, 0.0, values))
    if like and outputs_probabilities(like):
        outputs = keras.layers.Activation("sigmoid")(outputs)
    return keras.Model(codes, outputs)


def identity_decoder(latent_dim, like="dense_vae"):
    """Build a decoder whose output is the code, in one row; or its sigmoid, as with `constant_decoder`.

    If it is like none, it is ½ + code/20, which lies in [0, 1], so that a model may cut images off there.
    """
    codes = keras.Input((latent_dim,))
    scale, shift = (1.0, 0.0) if like else (0.05, 0.5)
    outputs = affine(codes, scale * np.eye(latent_dim), np.full(latent_dim, shift))
    outputs = keras.layers.Reshape((1, latent_dim, 1))(outputs)
    if like and outputs_probabilities(like):
        outputs = keras.layers.Activation("sigmoid")(outputs)
    return keras.Model(codes, outputs)


def constant_vae(mean, log_var, logits=LOGITS, model="VAE", **arguments):
    """Build a VAE with this posterior and these logits for every image."""
    networks = constant_encoder(mean, log_var), constant_decoder(len(mean), logits)
    return getattr(hw5.models, model)(*networks, **arguments)


def loss(model, images=IMAGES, batch_size=100):
    """Compute the model's loss by Keras' `evaluate`."""
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    batches = tf.data.Dataset.from_tensor_slices(np.float32(images)).batch(batch_size)
    with eagerly():
        return model.evaluate(batches, verbose=0, return_dict=True)["loss"]


@in_worker
def decoded_in_fit(model, mean, log_var, logits, arguments):
    """Train a VAE whose posterior is the same for every image, and return the z of each call of its decoder.

    `fit` makes three steps of 2,000 images, traced as in a training. Nothing moves, as the learning rate is 0.
    """
    import keras
    import numpy as np
    import tensorflow as tf

    from hw5 import models

    recorded = []

    class Recorder(keras.layers.Layer):
        def call(self, z):
            def record(value):
                recorded.append(np.array(value))
                return np.float32(0)

            with tf.control_dependencies([tf.numpy_function(record, [z], tf.float32)]):
                return tf.identity(z)

        def compute_output_spec(self, z):
            return keras.KerasTensor(z.shape, z.dtype)

    def affine(inputs, values):
        layer = keras.layers.Dense(len(values))
        outputs = layer(inputs)
        layer.set_weights([np.zeros((inputs.shape[-1], len(values))), np.float32(values)])
        return outputs

    images, z = keras.Input((2, 2, 1)), keras.Input((len(mean),))
    flat = keras.layers.Flatten()(images)
    outputs = keras.layers.Reshape((2, 2, 1))(affine(Recorder()(z), logits))
    if arguments.pop("outputs_probabilities"):
        outputs = keras.layers.Activation("sigmoid")(outputs)
    encoder = keras.Model(images, [affine(flat, mean), affine(flat, log_var)])
    vae = getattr(models, model)(encoder, keras.Model(z, outputs), **arguments)
    vae.compile(optimizer=keras.optimizers.SGD(0.0))
    vae.jit_compile = False  # XLA cannot call Python, as the recorder does
    batches = tf.data.Dataset.from_tensors(np.full((2000, 2, 2, 1), 0.5, np.float32)).repeat(3)
    recorded.clear()
    vae.fit(batches, epochs=1, shuffle=False, verbose=0)
    return recorded


def assert_noise_is_normal(model, per_step=1, **arguments):
    """Check that z = μ + σ ε in every step of a training, with ε from N(0, I), new for every image and every step.

    The false alarms of each check are below 1e-7: a Kolmogorov–Smirnov test, and correlations of n pairs, which are
    normal with deviation 1/√n, within 6 deviations.
    """
    mean, log_var = [0.5, -1.0], [np.log(4.0), np.log(0.25)]
    arguments["outputs_probabilities"] = outputs_probabilities()
    parts = decoded_in_fit(model, mean, log_var, LOGITS.tolist(), arguments)
    z = np.concatenate([np.reshape(part, (-1, 2)) for part in parts])
    assert len(z) == 3 * 2000 * per_step
    epsilon = (z - mean) / np.exp(np.divide(log_var, 2))
    assert kstest(epsilon.ravel(), "norm").pvalue > 1e-7
    steps = epsilon.reshape(3, -1)  # the same numbers in two steps, for two images, or for both dimensions?
    for one, two in ((steps[0], steps[1]), (steps[1], steps[2]), epsilon.T, (epsilon[1:, 0], epsilon[:-1, 0])):
        assert abs(np.corrcoef(one, two)[0, 1]) < 6 / np.sqrt(len(one))
    half = len(epsilon) // per_step // 3  # of the images of a step with the importance samples of one image
    if per_step > 1:
        by_sample = epsilon[: half * per_step].reshape(per_step, half, 2)[:2]
        by_image = epsilon[: half * per_step].reshape(half, per_step, 2)[:, :2]
        for one, two in (by_sample.reshape(2, -1), by_image.swapaxes(0, 1).reshape(2, -1)):
            assert abs(np.corrcoef(one, two)[0, 1]) < 6 / np.sqrt(len(one))


def assert_samples_are_of_the_prior(model, like="dense_vae"):
    """Check that a model samples codes from N(0, I), new ones each time. Its decoder is `identity_decoder(2, like)`.

    False alarms are as in `assert_noise_is_normal`. Codes beyond ±8 would be lost in the sigmoid.
    """
    codes = [np.reshape(model.sample(5000), (5000, 2)).astype(np.float64) for _ in range(2)]
    if not like:
        codes = [20 * (images - 0.5) for images in codes]
    elif min(map(np.min, codes)) >= 0:
        codes = [np.log(images / (1 - images)) for images in codes]
    assert kstest(np.ravel(codes), "norm").pvalue > 1e-7
    for one, two in ((codes[0].ravel(), codes[1].ravel()), codes[0].T, (codes[0][1:, 0], codes[0][:-1, 0])):
        assert abs(np.corrcoef(one, two)[0, 1]) < 6 / np.sqrt(len(one))


def assert_training_descends_the_kl(weight=1.0):
    """Check that `fit` follows the gradient of weight · KL, averaged over the images, with its optimizer's momentum.

    The decoder is frozen and does not look at z, and the images are black. So the encoder's biases, μ and s = log σ²,
    move by the gradients μ and ½ (exp s − 1) alone. If the submission draws the KL divergence, these have errors with
    the deviations σ and ½ √(μ² σ² + 2 σ⁴) over √n; of three steps, whose velocities add up, at most 3.5 times that.
    """
    rate, momentum, steps, count = 0.1, 0.9, 3, 4000
    start = np.array([[0.4, -0.3], [0.5, -0.6]])
    vae = constant_vae(*start.tolist(), kl_weight=weight)
    vae.decoder.trainable = False
    found = _after_steps(vae, np.zeros((count, *SHAPE)), rate, momentum, steps)
    (mean, log_var), velocity = start, np.zeros((2, 2))
    for _ in range(steps):
        velocity = momentum * velocity - rate * weight * np.array([mean, (np.exp(log_var) - 1) / 2])
        mean, log_var = np.array([mean, log_var]) + velocity
    std = np.exp(start[1] / 2)
    deviation = np.array([std, np.sqrt(start[0] ** 2 * std**2 + 2 * std**4) / 2]) / np.sqrt(count)
    tolerance = 1e-4 + (6 * 3.5 * rate * weight * deviation if draws_kl() else 0)
    assert np.all(np.abs(found - [mean, log_var]) < tolerance), f"{found}, and not {mean}, {log_var}"


def assert_reparameterisation_passes_the_gradient():
    """Check that `fit` moves μ and s = log σ² along the gradient of the cross-entropy, through z = μ + exp(s/2) ε.

    The logit of a black pixel is z, so its cross-entropy is log(1 + exp z). By μ its mean has the derivative
    E sigmoid(z), and by s that of sigmoid(z) σ ε/2. Both are within 6 deviations of the means of n images.
    """
    mean, std, rate, count = 0.5, 3.0, 0.1, 20_000
    encoder = constant_encoder([mean], [2 * np.log(std)], shape=(1, 1, 1))
    vae = hw5.models.VAE(encoder, identity_decoder(1), kl_weight=0.0)
    vae.decoder.trainable = False
    moved = -np.subtract(_after_steps(vae, np.zeros((count, 1, 1, 1))), [[mean], [2 * np.log(std)]]).ravel() / rate
    for found, slope in zip(moved, (lambda e: 1.0, lambda e: std * e / 2), strict=True):

        def mean_of(power, slope=slope):
            values = quad(lambda e: (sigmoid(mean + std * e) * slope(e)) ** power * norm.pdf(e), -9, 9)
            return values[0]

        tolerance = 6 * np.sqrt((mean_of(2) - mean_of(1) ** 2) / count)
        assert abs(found - mean_of(1)) < tolerance + 1e-3, "the cross-entropy does not move μ and log σ² as it should"


def _after_steps(vae, images, rate=0.1, momentum=0.0, steps=1):
    """Train a VAE with a constant posterior, each step on all images; return its μ and log σ², [2, latent_dim]."""
    vae.compile(optimizer=keras.optimizers.SGD(rate, momentum))
    _fit_on(vae, images, steps)
    outputs = vae.encoder(np.zeros((1, *images.shape[1:]), np.float32))
    return np.array([np.asarray(part)[0] for part in outputs], np.float64)


def _fit_on(model, samples, steps):
    """Make steps of a training, each on all samples."""
    batches = tf.data.Dataset.from_tensors(np.float32(samples)).repeat(steps)
    with eagerly():
        model.fit(batches, epochs=1, shuffle=False, verbose=0)


def assert_importance_weights_are_in_the_gradient():
    """Check that `fit` moves μ and s = log σ² along the gradient of −log (1/5) Σ wᵢ.

    The decoder does not look at z, so log w = −z²/2 + ε²/2 + s/2, and its derivatives are −z and (1 − z σ ε)/2. They
    are weighted by w/Σ w: here in 200,000 draws, and there in 20,000, within 6 deviations of their means.
    """
    start, rate, count, many = np.array([[1.0], [-1.0]]), 0.1, 20_000, 200_000
    vae = constant_vae(*start.tolist(), model="ImportanceWeightedVAE", importance_samples=5)
    vae.decoder.trainable = False
    found = -(_after_steps(vae, np.zeros((count, *SHAPE)), rate) - start).ravel() / rate
    epsilon, std = np.random.default_rng(0).standard_normal((5, many)), np.exp(-0.5)
    z = 1.0 + std * epsilon
    weights = softmax((epsilon**2 - z**2) / 2, axis=0)
    slopes = np.stack([(weights * part).sum(axis=0) for part in (z, (z * std * epsilon - 1) / 2)])
    tolerance = 1e-3 + 6 * slopes.std(axis=1) * np.sqrt(1 / count + 1 / many)
    expected = slopes.mean(axis=1)
    assert np.all(np.abs(found - expected) < tolerance), f"the gradient is {found}, and not {expected}"


def assert_autoencoder_descends(cross_entropy=False):
    """Check three steps of `fit`, with momentum, of an autoencoder of four pixels and two code units, both linear.

    The loss is the squared error, a mean over pixels, or the cross-entropy, a sum over them.
    """
    rate, momentum, steps, rng = 0.1, 0.9, 3, np.random.default_rng(0)
    weights = [rng.normal(0, 0.5, shape) for shape in ((4, 2), 2, (2, 4), 4)]
    images, codes = keras.Input(SHAPE), keras.Input((2,))
    outputs = keras.layers.Reshape(SHAPE)(affine(codes, *weights[2:]))
    if cross_entropy and outputs_probabilities("nonlinear_autoencoder"):
        outputs = keras.layers.Activation("sigmoid")(outputs)
    networks = keras.Model(images, affine(keras.layers.Flatten()(images), *weights[:2])), keras.Model(codes, outputs)
    model = hw5.models.Autoencoder(*networks, **({"loss": "cross_entropy"} if cross_entropy else {}))
    model.compile(optimizer=keras.optimizers.SGD(rate, momentum))
    _fit_on(model, IMAGES, steps)
    x, velocity = IMAGES.reshape(-1, 4).astype(np.float64), [0.0] * 4
    for _ in range(steps):
        w, b, v, c = weights
        z = x @ w + b
        y = z @ v + c
        slope = (sigmoid(y) - x if cross_entropy else 2 * (y - x) / 4) / len(x)
        gradients = x.T @ (slope @ v.T), (slope @ v.T).sum(axis=0), z.T @ slope, slope.sum(axis=0)
        velocity = [momentum * old - rate * new for old, new in zip(velocity, gradients, strict=True)]
        weights = [weight + step for weight, step in zip(weights, velocity, strict=True)]
    found = [*model.encoder.get_weights(), *model.decoder.get_weights()]
    for name, got, expected in zip(("encoder", "encoder", "decoder", "decoder"), found, weights, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4, err_msg=f"weights of the {name}")


def assert_posterior_is_free(encoder, images, latent_dim):
    """Check that μ and log σ² of an encoder can be far below 0 and far above it, whatever makes the variance positive.

    The kernels of its outputs are multiplied by numbers of both signs, 1 to 1,000.
    """
    before = encoder.get_weights()
    last = [number for number, w in enumerate(before) if w.ndim == 2 and w.shape[1] in (latent_dim, 2 * latent_dim)]
    assert last, "the encoder has no dense layers for μ and log σ²"
    found = [[], []]
    for factor in [sign * 10**power for power in range(4) for sign in (-1.0, 1.0)]:
        encoder.set_weights([np.float32(factor if n in last else 1) * w for n, w in enumerate(before)])
        for values, outputs in zip(found, encoder(images), strict=False):  # a flow has a third output
            values.append(np.asarray(outputs))
    encoder.set_weights(before)
    for name, values in zip(("the mean", "log σ²"), found, strict=True):
        assert np.min(values) < -1.5, f"{name} is never far below 0"
        assert np.max(values) > 1.5, f"{name} is never far above 0"


def scaled(network, factor, shapes):
    """Multiply the weights of these shapes by a factor."""
    network.set_weights([factor * w if w.shape in shapes else w for w in network.get_weights()])


def random_weights(network, seed=0):
    """Give a network random weights, also where it starts with zeros, and return them."""
    random = np.random.default_rng(seed)
    weights = [np.float32(random.normal(0, 1 / np.sqrt(max(np.prod(w.shape[:-1]), 4)), w.shape)) for w in
               network.get_weights()]  # fmt: skip
    network.set_weights(weights)
    return weights


def heads(weights, features, latent_dim):
    """List the kernels and biases of the two outputs of an encoder, of two dense layers or the halves of one."""
    kernels = [w for w in weights if w.ndim == 2 and w.shape[0] == features and w.shape[1] <= 2 * latent_dim]
    biases = [w for w in weights if w.ndim == 1 and len(w) in (latent_dim, 2 * latent_dim)]
    kernels = [part for w in kernels for part in np.split(w, w.shape[1] // latent_dim, axis=1)]
    biases = [part for w in biases for part in np.split(w, len(w) // latent_dim)]
    return list(zip(kernels, biases, strict=True))


def point_gan(
    objective,
    *,
    rate_d=0.1,
    rate_g=0.3,
    real=1.5,
    w=0.8,
    c=-0.2,
    b=0.5,
    count=4,
    steps=1,
    momentum=0.0,
    square=False,
    sigmoid=False,
    **kwargs,
):
    """Make training steps of G(z) = b and D(x) = w·x + c, by gradient descent; all real samples are `real`.

    Args:
        real, b: numbers, or points with as many coordinates, for all of which D starts with the same w.
        count: real samples of a step.
        steps: how many.
        momentum: of both optimizers.
        square: D(x) = w·‖x‖² + c instead.
        sigmoid: D ends in a sigmoid.

    Returns:
        (w, c, b) after the steps, of the first coordinate.
    """
    z, x = keras.Input((1,)), keras.Input((np.size(b),))
    outputs = affine(keras.layers.Multiply()([x, x]) if square else x, w, [c])
    outputs = keras.layers.Activation("sigmoid")(outputs) if sigmoid else outputs
    nothing = keras.layers.Rescaling(0.0)(z)  # or else G would depend on z after its first step
    generator, discriminator = keras.Model(z, affine(nothing, 0.0, np.ravel(b))), keras.Model(x, outputs)
    gan = hw5.models.GAN(generator, discriminator, objective, activation="linear", **kwargs)
    rates = {"discriminator_optimizer": rate_d, "generator_optimizer": rate_g}
    gan.compile(**{name: keras.optimizers.SGD(rate, momentum) for name, rate in rates.items()})
    _fit_on(gan, np.tile(real, (count, 1)), steps)
    (kernel, bias), (_, offset) = discriminator.get_weights(), generator.get_weights()
    return float(kernel[0, 0]), float(bias[0]), float(offset[0])


def assert_optimizers_keep_their_state(objective, in_sigmoid=False, sign=1, rate_g=0.3):
    """Check two steps of a GAN with momentum: each player's velocity goes on from its last step.

    Args:
        objective: "non_saturating", "least_squares", also with factors ½ or 1, or "wasserstein" with this sign.
        rate_g: the generator's learning rate; with 0, its loss does not matter.
    """
    found = point_gan(objective, steps=2, momentum=0.9, sigmoid=in_sigmoid, rate_g=rate_g)
    slopes = {  # of the losses by the logits of real and generated samples, and of G's loss
        "non_saturating": (lambda x: sigmoid(x) - 1, sigmoid, lambda x: sigmoid(x) - 1),
        "least_squares": (lambda x: x - 1, lambda x: x, lambda x: x - 1),
        "wasserstein": (lambda _: -sign, lambda _: sign, lambda _: -sign),
    }[objective]
    scales = (1, 2) if objective == "least_squares" else (1,)
    expected = [_point_gan_of(*slopes, d, g * rate_g) for d in scales for g in scales]
    assert any(found == pytest.approx(one, rel=1e-3) for one in expected), f"{found}, and not {expected[0]}"


def _point_gan_of(of_real, of_fake, of_generator, scale_d, rate_g):
    """Compute `point_gan` with two steps and a momentum of 0.9."""
    (w, c, b), (speed_w, speed_c, speed_b) = (0.8, -0.2, 0.5), (0.0, 0.0, 0.0)
    for _ in range(2):
        real, fake = scale_d * of_real(1.5 * w + c), scale_d * of_fake(b * w + c)
        speed_w, speed_c = 0.9 * speed_w - 0.1 * (1.5 * real + b * fake), 0.9 * speed_c - 0.1 * (real + fake)
        w, c = w + speed_w, c + speed_c
        speed_b = 0.9 * speed_b - rate_g * of_generator(w * b + c) * w
        b += speed_b
    return w, c, b
