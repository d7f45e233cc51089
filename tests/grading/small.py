"""Networks so small that their losses are known in closed form.

Keras is imported within the functions, so that collecting the tests does not wait for TensorFlow.
"""

import numpy as np
from submission import hw5, keras, tf

SHAPE = (2, 2, 1)
IMAGES = np.float32([[0.0, 1.0, 0.25, 0.5], [1.0, 1.0, 0.0, 0.75]]).reshape(2, *SHAPE)
LOGITS = np.float32([-1.0, 2.0, 0.5, 0.0])


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


def constant_decoder(latent_dim, values=LOGITS, shape=SHAPE):
    """Build a decoder with the same output for every code."""
    codes = keras.Input((latent_dim,))
    return keras.Model(codes, keras.layers.Reshape(shape)(affine(codes, 0.0, values)))


def constant_vae(mean, log_var, logits=LOGITS, model="VAE", **arguments):
    """Build a VAE with this posterior and these logits for every image."""
    networks = constant_encoder(mean, log_var), constant_decoder(len(mean), logits)
    return getattr(hw5.models, model)(*networks, **arguments)


def loss(model, images=IMAGES, batch_size=100):
    """Compute the model's loss by Keras' `evaluate`."""
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    batches = tf.data.Dataset.from_tensor_slices(np.float32(images)).batch(batch_size)
    return model.evaluate(batches, verbose=0, return_dict=True)["loss"]


def point_gan(objective, *, rate_d=0.1, rate_g=0.3, real=1.5, w=0.8, c=-0.2, b=0.5, **arguments):
    """Make one training step of G(z) = b and D(x) = w·x + c, by plain gradient descent; all real samples are `real`.

    Returns:
        (w, c, b) after the step.
    """
    z, x = keras.Input((1,)), keras.Input((1,))
    generator, discriminator = keras.Model(z, affine(z, 0.0, [b])), keras.Model(x, affine(x, w, [c]))
    gan = hw5.models.GAN(generator, discriminator, objective, activation="linear", **arguments)
    rates = {"discriminator_optimizer": rate_d, "generator_optimizer": rate_g}
    gan.compile(**{name: keras.optimizers.SGD(rate) for name, rate in rates.items()})
    gan.fit(tf.data.Dataset.from_tensors(np.full((4, 1), real, np.float32)), epochs=1, shuffle=False, verbose=0)
    (kernel, bias), (_, offset) = discriminator.get_weights(), generator.get_weights()
    return float(kernel[0, 0]), float(bias[0]), float(offset[0])
