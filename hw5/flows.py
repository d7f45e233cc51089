"""Normalising flows: invertible maps of z with a known Jacobian determinant, for a VAE's posterior."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable("hw5")
class InverseAutoregressiveFlow(keras.layers.Layer):
    """The inverse autoregressive flow of Kingma et al. 2016, algorithm 1.

    Every step is z ← σ ⊙ z + (1 − σ) ⊙ m, in which m_i and σ_i depend on the context and on z_1 … z_{i−1}
    alone: the Jacobian is triangular, and log |det| = Σ log σ_i. They come from a masked network of one
    hidden layer (Germain et al. 2015), and the order of the dimensions is reversed from step to step.

    Args:
        steps: of the flow; with 0, z stays what it is.
        hidden: units of the hidden layer.
    """

    INITIAL = 2.0  # σ starts near 1, as the authors advise: sigmoid(2) = 0.88

    def __init__(self, steps: int = 2, hidden: int = 200, **kwargs):
        super().__init__(**kwargs)
        self.steps = steps
        self.hidden = hidden

    def build(self, z_shape, context_shape):
        latent_dim, context_dim = z_shape[-1], context_shape[-1]
        of_inputs = np.arange(1, latent_dim + 1)
        of_hidden = 1 + np.arange(self.hidden) % max(latent_dim - 1, 1)  # sees z up to that dimension
        into = of_inputs[:, None] <= of_hidden
        out_of = of_hidden[:, None] < of_inputs
        self.masks = [mask.astype(np.float32) for mask in (into, np.concatenate([out_of, out_of], axis=1))]
        self.networks = [
            {
                "into": self._kernel(f"into_{step}", (latent_dim, self.hidden)),
                "context": self._kernel(f"context_{step}", (context_dim, self.hidden)),
                "bias": self.add_weight((self.hidden,), "zeros", name=f"bias_{step}"),
                "out_of": self._kernel(f"out_of_{step}", (self.hidden, 2 * latent_dim), gain=0.1),
                "out_bias": self.add_weight((2 * latent_dim,), "zeros", name=f"out_bias_{step}"),
                # the first dimension has no other to depend on
                "past": self._kernel(f"past_{step}", (context_dim, 2 * latent_dim), gain=0.1),
            }
            for step in range(self.steps)
        ]

    def _kernel(self, name, shape, gain=1.0):
        return self.add_weight(shape, keras.initializers.VarianceScaling(gain**2, "fan_avg"), name=name)

    def call(self, z, context):
        """z [..., batch, latent_dim] and context [batch, n] → (z of that shape, log |det ∂z/∂z₀| [..., batch])."""
        log_det = ops.zeros_like(z[..., 0])
        into, out_of = self.masks
        for number, weights in enumerate(self.networks):
            z = z[..., ::-1] if number else z
            hidden = ops.matmul(z, weights["into"] * into) + ops.matmul(context, weights["context"]) + weights["bias"]
            outputs = ops.matmul(ops.elu(hidden), weights["out_of"] * out_of)
            outputs = outputs + ops.matmul(context, weights["past"]) + weights["out_bias"]
            move, gate = ops.split(outputs, 2, axis=-1)
            gate = gate + self.INITIAL
            sigma = ops.sigmoid(gate)
            z = sigma * z + (1.0 - sigma) * move
            log_det = log_det + ops.sum(ops.log_sigmoid(gate), axis=-1)
        return z, log_det

    def get_config(self):
        return {**super().get_config(), "steps": self.steps, "hidden": self.hidden}
