"""The fused Adam, the learning rate schedule, and the optimizers of each kind of model."""

import functools
from collections.abc import Callable

import keras
import tensorflow as tf
from keras import ops


@keras.saving.register_keras_serializable("hw5")
class Adam(keras.optimizers.Adam):
    """Keras' Adam (Kingma & Ba 2015), updated by TensorFlow's fused kernel.

    Keras writes the update as a dozen elementwise operations, each a trip through memory as large as
    the variable; in a dense VAE that costs a third of the step. The arithmetic is the same: slots,
    ε outside the bias correction, checkpoints.
    """

    def update_step(self, gradient, variable, learning_rate):
        if self.amsgrad or not isinstance(gradient, tf.Tensor):
            return super().update_step(gradient, variable, learning_rate)
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, variable.dtype)
        return tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.cast(self.beta_1, variable.dtype) ** step,
            beta2_power=tf.cast(self.beta_2, variable.dtype) ** step,
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


@keras.saving.register_keras_serializable("hw5")
class WarmupDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Learning rate that rises linearly in the first twentieth of the steps and then falls linearly to 0.

    Adam's first steps have the full length whatever the gradient; on 512 positive features they move
    log σ² by several units each, and a VAE without its KL divergence never comes back from there.

    Args:
        peak: learning rate at the end of the warm-up.
        steps: length of the training, in steps.
    """

    def __init__(self, peak: float, steps: int):
        self.peak = peak
        self.steps = steps
        self.warmup = max(steps // 20, 1)

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rising = (step + 1.0) / self.warmup
        falling = (self.steps - step) / (self.steps - self.warmup + 1)
        return self.peak * ops.clip(ops.minimum(rising, falling), 0.0, 1.0)

    def get_config(self):
        return {"peak": self.peak, "steps": self.steps}


OPTIMIZERS = ("adam", "rmsprop")


def adam(learning_rate: float) -> Callable[[int], dict]:
    """Choose Adam with the learning rate of `WarmupDecay`, for autoencoders and VAEs.

    Returns:
        A function of the number of steps, as `hw5.training.fit` takes it.
    """
    return lambda steps: {"optimizer": Adam(WarmupDecay(learning_rate, steps))}


def gan_optimizers(
    learning_rate: float,
    discriminator_learning_rate: float | None = None,
    beta_1: float = 0.5,
    beta_2: float = 0.999,
    name: str = "adam",
) -> Callable[[int], dict]:
    """Choose two optimizers of constant learning rate, for a GAN.

    Args:
        learning_rate: of both networks, unless the discriminator has its own (Heusel et al. 2017).
        beta_1, beta_2: of Adam; ½ and 0.999 are Radford et al.'s, 0 and 0.9 Gulrajani et al.'s (2017).
        name: "adam" or "rmsprop".

    Returns:
        A function of the number of steps, as `hw5.training.fit` takes it.
    """
    make = functools.partial(Adam, beta_1=beta_1, beta_2=beta_2) if name == "adam" else keras.optimizers.RMSprop
    rates = {
        "generator_optimizer": learning_rate,
        "discriminator_optimizer": learning_rate
        if discriminator_learning_rate is None
        else discriminator_learning_rate,
    }
    return lambda steps: {network: make(rate) for network, rate in rates.items()}
