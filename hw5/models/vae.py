"""The variational autoencoder of Kingma & Welling 2014, with a tighter bound, and with a richer posterior."""

from math import log

import keras
import tensorflow as tf
from keras import ops

from hw5.flows import InverseAutoregressiveFlow
from hw5.layers import GaussianPrior, Sampling
from hw5.likelihoods import Bernoulli, Likelihood
from hw5.models.base import LatentModel
from hw5.objectives import gaussian_kl


@keras.saving.register_keras_serializable("hw5")
class VAE(LatentModel):
    """A VAE with a diagonal Gaussian posterior and a standard normal prior, or one that is fitted after training.

    It minimises  E_q[−log p(x|z)] + kl_weight · KL(q(z|x) ‖ p(z)),  estimated with one z an image: at
    kl_weight 1 the negative ELBO, equation (10) of the paper with L = 1. Both terms are sums over
    pixels or latent dimensions and means over the batch, in nats an image.

    Args:
        encoder: images [batch, h, w, c] → (μ, log σ²), each [batch, latent_dim].
        decoder: z [batch, latent_dim] → [batch, h, w, c], what the likelihood makes p(x|z) of: logits.
        kl_weight: weight of the KL divergence; 0 leaves the reconstruction alone.
        likelihood: p(x|z), one of `hw5.likelihoods`; by default Bernoulli.
        preprocessing: a layer through which images go first in training and evaluation, such as
            `hw5.layers.Dequantization`; `call`, `encode` and the like take them as they come out of it.
        prior: p(z), an `hw5.layers.GaussianPrior`; by default N(0, I). `encode` and `decode` know z by the ε
            that is N(0, I) where z is p(z).

    Metrics: `loss`, what is minimised; `reconstruction` and `kl`, its terms, the KL unweighted; with a
    likelihood that learns it, `sigma`, the standard deviation of a pixel given z, the mean over pixels.
    """

    PARTS = ("likelihood", "preprocessing", "prior")  # layers among the arguments

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        kl_weight: float = 1.0,
        likelihood: Likelihood | None = None,
        preprocessing: keras.layers.Layer | None = None,
        prior: GaussianPrior | None = None,
        **kwargs,
    ):
        super().__init__(encoder, decoder, **kwargs)
        self.kl_weight = kl_weight
        self.preprocessing = preprocessing
        self.likelihood = Bernoulli() if likelihood is None else likelihood
        if not self.likelihood.built:  # that of a loaded model is
            self.likelihood.build(decoder.output_shape)
        self.prior = prior
        if prior is not None and not prior.built:
            prior.build(decoder.input_shape)
        self.sampling = Sampling(name="sampling")
        self.loss_tracker = keras.metrics.Mean("loss")
        self.reconstruction_tracker = keras.metrics.Mean("reconstruction")
        self.kl_tracker = keras.metrics.Mean("kl")
        self.sigma_tracker = keras.metrics.Mean("sigma") if self.likelihood.learns_sigma else None

    @property
    def metrics(self):
        trackers = [self.loss_tracker, self.reconstruction_tracker, self.kl_tracker, self.sigma_tracker]
        return [tracker for tracker in trackers if tracker is not None]

    def to_images(self, outputs):
        """The mean of p(x|z)."""
        return self.likelihood.mean(outputs)

    def encode(self, images):
        """The mode μ of q(z|x), [batch, latent_dim] (sheet 000, II.4), or where a flow takes it."""
        mean, _, *context = self.encoder(images)
        z, _ = self.transform(mean, *context)
        return z if self.prior is None else self.prior.standardize(z)

    def decode(self, z):
        """Images [batch, h, w, c] of codes, which are N(0, I) a priori."""
        return super().decode(z if self.prior is None else self.prior(z))

    def fit_prior(self, batches):
        """Fit the prior to one z ~ q(z|x) of every image.

        Args:
            batches: an iterable of batches, as in training.
        """
        drawn = []
        for images in batches:
            mean, log_var, *context = self.encoder(self.prepared(images))
            drawn.append(self.transform(self.sampling(mean, log_var), *context)[0])
        self.prior.fit(ops.concatenate(drawn))

    def posterior(self, images, training=False):
        """(μ, log σ²) of q(z|x), each [batch, latent_dim]."""
        mean, log_var, *_ = self.encoder(images, training=training)
        return mean, log_var

    def transform(self, z):
        """What becomes of a sample of N(μ, σ²) before it is decoded, and how much that adds to
        log p(z) − log q(z|x); nothing here, a flow in a `FlowVAE`, which has the encoder's third output as well."""
        return z, 0.0

    def latents(self, z, *context):
        """`transform`, with what it adds to log p(z) where the prior is not N(0, I)."""
        z, gain = self.transform(z, *context)
        return z, gain if self.prior is None else gain + self.prior.log_ratio(z)

    def call(self, images, training=False):
        """Images decoded from one z ~ q(z|x) each; adds both terms of the loss (`self.losses`)."""
        mean, log_var, *context = self.encoder(images, training=training)
        z, gain = self.latents(self.sampling(mean, log_var), *context)
        outputs = self.decoder(z, training=training)
        reconstruction, kl = -self.likelihood.log_prob(images, outputs), gaussian_kl(mean, log_var) - gain
        self.add_loss(ops.mean(reconstruction))
        self.add_loss(self.kl_weight * ops.mean(kl))
        self.track(reconstruction, kl, outputs)
        return self.to_images(outputs)

    def track(self, reconstruction, kl, outputs):
        """Count both terms, and what is known of σ, in the metrics."""
        self.reconstruction_tracker.update_state(reconstruction)
        self.kl_tracker.update_state(kl)
        if self.sigma_tracker is not None:
            self.sigma_tracker.update_state(self.likelihood.sigma(outputs))

    def log_weights(self, images, epsilon):
        """log w = log p(x|z) + log p(z) − log q(z|x) for z = μ + σ·ε: exp(log w) is p(x) on average.

        The mean of log w over ε ~ N(0, I) is the ELBO, the log of the mean of w is log p(x)
        (`hw5.metrics.log_likelihood`; Burda et al. 2016, equation 8).

        Args:
            images: [batch, h, w, c].
            epsilon: [count, batch, latent_dim].

        Returns:
            [count, batch], in nats; count · batch codes are decoded at once.
        """
        log_likelihood, log_ratio, _ = self.weigh(images, epsilon)
        return log_likelihood + log_ratio

    def weigh(self, images, epsilon, training=False):
        """The parts of `log_weights`: log p(x|z) and log p(z) − log q(z|x), [count, batch] each, and the
        decoder's outputs [count · batch, h, w, c]."""
        mean, log_var, *context = self.encoder(images, training=training)
        first = mean + ops.exp(0.5 * log_var) * epsilon
        z, gain = self.latents(first, *context)
        outputs = self.decoder(ops.reshape(z, (-1, self.latent_dim)), training=training)
        repeated = ops.tile(images, (ops.shape(epsilon)[0], 1, 1, 1))
        log_likelihood = ops.reshape(self.likelihood.log_prob(repeated, outputs), ops.shape(epsilon)[:2])
        # in which the constants of both Gaussians cancel
        log_ratio = 0.5 * ops.sum(ops.square(epsilon) + log_var - ops.square(first), axis=-1) + gain
        return log_likelihood, log_ratio, outputs

    def train_step(self, images):
        images = self.prepared(images)
        with tf.GradientTape() as tape:
            self(images, training=True)
            loss = ops.sum(self.losses)
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return self._track(images, loss)

    def test_step(self, images):
        images = self.prepared(images)
        self(images)
        return self._track(images, ops.sum(self.losses))

    def prepared(self, images):
        return images if self.preprocessing is None else self.preprocessing(images)

    def _track(self, images, loss):
        # Weighted by the batch size, so that a smaller last batch does not distort the mean.
        self.loss_tracker.update_state(loss, sample_weight=ops.shape(images)[0])
        return self.get_metrics_result()

    def get_config(self):
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in self.PARTS}
        return {**super().get_config(), "kl_weight": self.kl_weight, **parts}

    @classmethod
    def from_config(cls, config):
        parts = {name: keras.saving.deserialize_keras_object(config.get(name)) for name in cls.PARTS}
        return super().from_config({**config, **parts})


@keras.saving.register_keras_serializable("hw5")
class ImportanceWeightedVAE(VAE):
    """The importance weighted autoencoder of Burda et al. 2016: a VAE that minimises a tighter bound.

    −E log (1/k) Σ w_i  with  w_i = p(x|z_i) p(z_i) / q(z_i|x)  and z_i ~ q(z|x) independent, equation (8):
    between the negative ELBO, which it is for k = 1, and −log p(x), to which it falls with k.

    Args:
        importance_samples: k.
        encoder, decoder, likelihood, preprocessing: as in `VAE`. There is no weight of the KL divergence.

    Metrics: `loss`, the bound in nats an image; `reconstruction` and `kl`, the terms of the negative ELBO,
    which is not what is minimised; `sigma` as in `VAE`.
    """

    def __init__(self, encoder: keras.Model, decoder: keras.Model, importance_samples: int = 5, **kwargs):
        super().__init__(encoder, decoder, **kwargs)
        if importance_samples < 1 or self.kl_weight != 1.0:
            raise ValueError(f"importance_samples={importance_samples}, kl_weight={self.kl_weight}: at least 1, and 1")
        self.importance_samples = importance_samples

    def call(self, images, training=False):
        """Images decoded from the first of k z ~ q(z|x) each; adds the loss."""
        shape = (self.importance_samples, ops.shape(images)[0], self.latent_dim)
        epsilon = keras.random.normal(shape, seed=self.sampling.seed_generator)
        log_likelihood, log_ratio, outputs = self.weigh(images, epsilon, training=training)
        # The gradient of logsumexp weighs that of each log w_i by its share of Σ w, equation (13).
        bound = ops.logsumexp(log_likelihood + log_ratio, axis=0) - log(self.importance_samples)
        self.add_loss(-ops.mean(bound))
        self.track(-log_likelihood, -log_ratio, outputs)
        return self.to_images(outputs[: ops.shape(images)[0]])

    def get_config(self):
        config = {**super().get_config(), "importance_samples": self.importance_samples}
        del config["kl_weight"]
        return config


@keras.saving.register_keras_serializable("hw5")
class FlowVAE(VAE):
    """A VAE whose posterior is a normalising flow (Rezende & Mohamed 2015): z = f(z₀, x), z₀ ~ N(μ, σ²).

    log q(z|x) = log N(z₀; μ, σ²) − log |det ∂z/∂z₀|, of which the KL divergence is estimated with the z that
    is decoded. The part of N(μ, σ²) has a closed form, but with it the gradient would be noisy in proportion
    to μ and z₀, which only z keeps small; on binarised MNIST, training then diverged. A flow of no steps is a
    `VAE`, closed form and all.

    Args:
        encoder: images → (μ, log σ², context), the last [batch, n] for the flow.
        flow: a layer (z [..., latent_dim], context) → (z, log |det ∂z/∂z₀| [...]), one of `hw5.flows`.
        decoder, kl_weight, likelihood, preprocessing: as in `VAE`.

    Metrics: as of `VAE`; `kl` is an estimate and may be negative for a batch.
    """

    PARTS = (*VAE.PARTS, "flow")

    def __init__(self, encoder: keras.Model, decoder: keras.Model, flow: InverseAutoregressiveFlow, **kwargs):
        super().__init__(encoder, decoder, **kwargs)
        self.flow = flow
        if not flow.built:  # that of a loaded model is
            flow.build((None, self.latent_dim), encoder.output_shape[2])

    def call(self, images, training=False):
        """Images decoded from one z ~ q(z|x) each; adds both terms of the loss."""
        if not self.flow.steps:
            return super().call(images, training)
        shape = (1, ops.shape(images)[0], self.latent_dim)
        epsilon = keras.random.normal(shape, seed=self.sampling.seed_generator)
        log_likelihood, log_ratio, outputs = self.weigh(images, epsilon, training=training)
        self.add_loss(-ops.mean(log_likelihood))
        self.add_loss(-self.kl_weight * ops.mean(log_ratio))
        self.track(-log_likelihood, -log_ratio, outputs)
        return self.to_images(outputs)

    def transform(self, z, context):
        moved, log_det = self.flow(z, context)
        return moved, log_det + 0.5 * ops.sum(ops.square(z) - ops.square(moved), axis=-1)
