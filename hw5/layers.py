"""Layers that Keras lacks."""

import keras
from keras import ops


class SavedNoise:
    """Mixin for a layer or model without weights of its own, but with a `seed_generator`.

    It saves the generator's state with the weights, which Keras leaves out: a loaded model goes on with
    the noise that the saved one would have drawn.
    """

    def save_own_variables(self, store):
        store["seed_generator_state"] = self.seed_generator.state.numpy()

    def load_own_variables(self, store):
        self.seed_generator.state.assign(store["seed_generator_state"])


@keras.saving.register_keras_serializable("hw5")
class Sampling(SavedNoise, keras.layers.Layer):
    """Draw z = μ + exp(s/2)·ε with ε ~ N(0, I), differentiably in μ and s.

    The reparametrisation trick of Kingma & Welling 2014, section 2.4; s = log σ² (sheet 000, II.1).
    Args:
        seed: integer seed; None takes one from Keras' global seed.
    """

    def __init__(self, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, mean, log_var):
        """Both arguments and the result: float [batch, latent_dim]."""
        epsilon = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
        return mean + ops.exp(0.5 * log_var) * epsilon

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}
