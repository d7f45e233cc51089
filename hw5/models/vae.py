"""Variational autoencoders: the plain one, one with a normalising flow, and one with a tighter bound."""

from math import log
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from hw5 import replicas
from hw5.distributions import (
    Bernoulli,
    DiagonalGaussian,
    FlowPosterior,
    GaussianPrior,
    InverseAutoregressiveFlow,
    Likelihood,
    StandardNormal,
)
from hw5.errors import InputError
from hw5.models.base import EncoderDecoder, update_mean

GRADIENTS = ("total", "path")
MIN_MEAN = 1e-3  # of a pixel whose logit is a bias: logits from −6.9 to 6.9, also of pixels that are always 0 or 1


@keras.saving.register_keras_serializable("hw5")
class VAE(EncoderDecoder):
    """The variational autoencoder of Kingma & Welling 2014, with a diagonal Gaussian posterior.

    It minimises  E_q[−log p(x|z)] + kl_weight · KL(q(z|x) ‖ p(z)),  estimated with one z per image: at
    kl_weight 1 the negative ELBO, equation (10) of the paper with L = 1. Both terms are sums over pixels or
    latent dimensions and means over the batch, in nats per image.

    `encode` returns and `decode` expects whitened codes ε = L⁻¹(z − m), which are N(0, I) under the prior
    N(m, L Lᵀ). With the prior N(0, I), they are z itself.

    Args:
        encoder: images [batch, h, w, c] → (μ, log σ²), each [batch, latent_dim].
        decoder: z [batch, latent_dim] → [batch, h, w, likelihood.output_channels(c)].
        kl_weight: weight of the KL divergence; 0 leaves the reconstruction alone.
        likelihood: p(x|z), one of `hw5.distributions`; None is Bernoulli, of the decoder's outputs as logits.
        preprocessing: layer that is applied to images in training and evaluation, such as
            `hw5.layers.Dequantization`; `call`, `encode` and the like take images that have passed it.
        prior: p(z), one of `hw5.distributions`; None is N(0, I).
        flow: layer (z [..., latent_dim], context) → (z, log |det ∂z/∂z₀| [...]) that makes the posterior a
            normalising flow (`FlowVAE`). The encoder then has a third output, the context [batch, n]. None for none.
        gradient: how the gradient of log q(z|x) is estimated. "total": with respect to z and to the parameters of q.
            "path": with respect to z alone. Its other part has the mean 0, and is noise that does not vanish where
            q is the true posterior (Roeder et al. 2017, equation 7, "sticking the landing"). The KL divergence is
            then estimated with the z that is decoded. A flow cannot have it.

    Metrics: `loss`, what is minimised; `reconstruction` and `kl`, its terms, the KL divergence without its
    weight, in closed form or else an estimate, which may be negative for a batch; with a likelihood that has one,
    `sigma`, the standard deviation of a pixel given z, averaged over pixels.
    """

    PARTS = (*EncoderDecoder.PARTS, "likelihood", "preprocessing", "prior", "flow")
    ARGUMENTS = ("kl_weight", "gradient")
    sample_axes: ClassVar[tuple[int, ...]] = ()  # of z in a training step, before the axis of the batch

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        kl_weight: float = 1.0,
        likelihood: Likelihood | None = None,
        preprocessing: keras.layers.Layer | None = None,
        prior: StandardNormal | None = None,
        flow: InverseAutoregressiveFlow | None = None,
        gradient: str = "total",
        **kwargs,
    ):
        super().__init__(encoder, decoder, **kwargs)
        if gradient not in GRADIENTS:
            raise InputError(f"gradient={gradient}: must be one of {', '.join(GRADIENTS)}")
        if gradient == "path" and flow is not None:
            # log q(z|x) as a function of z alone needs the inverse of the flow, one step per latent dimension.
            raise InputError("gradient=path: is not for a posterior with a flow; gradient=total is")
        self._kl_weight = kl_weight
        self.gradient = gradient
        self.flow = flow
        if flow is not None and not flow.built:
            flow.build((None, self.latent_dim), encoder.output_shape[2])
        self.preprocessing = preprocessing
        self.likelihood = Bernoulli() if likelihood is None else likelihood
        self.prior = StandardNormal() if prior is None else prior
        if not self.likelihood.built:  # a loaded likelihood is already built
            self.likelihood.build(decoder.output_shape)
        if not self.prior.built:
            self.prior.build(decoder.input_shape)
        self.epsilon_generator = keras.random.SeedGenerator()
        self.loss_tracker = keras.metrics.Mean("loss")
        self.reconstruction_tracker = keras.metrics.Mean("reconstruction")
        self.kl_tracker = keras.metrics.Mean("kl")
        self.sigma_tracker = keras.metrics.Mean("sigma") if self.likelihood.has_sigma else None

    @property
    def kl_weight(self) -> float:
        """Weight of the KL divergence; it may be set during a training, as a warm-up does."""
        return self._kl_weight

    @kl_weight.setter
    def kl_weight(self, value: float):
        self._kl_weight = value
        self.trace_steps_again()

    def trace_steps_again(self):
        """Make Keras trace its steps again, because a trace keeps the values and layers that it was made with."""
        if self.train_function is not None:
            self.make_train_function(force=True)
        if self.test_function is not None:
            self.make_test_function(force=True)

    @property
    def metrics(self):
        trackers = [self.loss_tracker, self.reconstruction_tracker, self.kl_tracker, self.sigma_tracker]
        return [tracker for tracker in trackers if tracker is not None]

    def posterior(self, images, training=False):
        """Compute q(z|x) of images [batch, h, w, c]."""
        mean, log_var, *context = self.encoder(images, training=training)
        gaussian = DiagonalGaussian(mean, log_var)
        return FlowPosterior(gaussian, self.flow, *context) if self.flow is not None and self.flow.steps else gaussian

    def encode(self, images):
        """Encode images as the z of ε = 0, [batch, latent_dim]: the mode μ of q(z|x) (sheet 000, II.4), or f(μ)."""
        z, _ = self.posterior(images).sample(0.0)
        return self.prior.whiten(z)

    def decode(self, z):
        return self.likelihood.mean(self.decode_outputs(self.prior.color(z)))

    def log_importance_terms(self, images, posterior, epsilon, training=False):
        """Compute the three terms of log w = log p(x|z) + log p(z) − log q(z|x).

        Args:
            images: [batch, h, w, c].
            posterior: q(z|x) of the images.
            epsilon: noise of z, [batch, latent_dim] or [count, batch, latent_dim]; all codes are decoded at once.

        Returns:
            (log p(x|z), log p(z), log q(z|x), outputs): three times [batch] or [count, batch] in nats, and the
            decoder's outputs [count · batch, h, w, likelihood.output_channels(c)].
        """
        z, log_posterior = posterior.sample(epsilon)
        if self.gradient == "path":
            z, set_gradient_factor = with_gradient_factor(z)
            log_posterior = posterior.stop_gradient().log_prob(z)
        if len(epsilon.shape) == 3:
            images = ops.tile(images, (ops.shape(epsilon)[0], 1, 1, 1))
        outputs = self.decode_outputs(ops.reshape(z, (-1, self.latent_dim)), training)
        log_likelihood = ops.reshape(self.likelihood.log_prob(images, outputs), ops.shape(epsilon)[:-1])
        log_prior = self.prior.log_prob(z)
        if self.gradient == "path":
            factor = self.path_gradient_factor(log_likelihood + log_prior - log_posterior)
            set_gradient_factor(ops.stop_gradient(factor)[..., None])
        return log_likelihood, log_prior, log_posterior, outputs

    def path_gradient_factor(self, log_weights):
        """Return the factor, of the shape of log w, of the gradient with respect to each z."""
        return ops.ones_like(log_weights)

    def log_weights(self, images, epsilon):
        """Compute log w = log p(x|z) + log p(z) − log q(z|x) for z = μ + σ·ε: exp(log w) is p(x) on average.

        The mean of log w over ε ~ N(0, I) is the ELBO, the log of the mean of w is log p(x)
        (`hw5.metrics.log_likelihood`; Burda et al. 2016, equation 8).

        Args:
            images: [batch, h, w, c].
            epsilon: [count, batch, latent_dim].

        Returns:
            [count, batch], in nats; count · batch codes are decoded at once.
        """
        log_likelihood, log_prior, log_posterior, _ = self.log_importance_terms(images, self.posterior(images), epsilon)
        return log_likelihood + log_prior - log_posterior

    def bound(self, posterior, log_likelihood, log_prior, log_posterior):
        """Compute the terms of the loss, with the KL divergence in closed form where there is one.

        Returns:
            (terms, reconstruction, KL divergence): scalars whose sum is minimised, and both of each image, [batch] in
            nats.
        """
        closed = self.prior.has_closed_kl and isinstance(posterior, DiagonalGaussian) and self.gradient == "total"
        reconstruction, kl = -log_likelihood, self.prior.kl(posterior) if closed else log_posterior - log_prior
        return [ops.mean(reconstruction), self.kl_weight * ops.mean(kl)], reconstruction, kl

    def call(self, images, training=False):
        """Reconstruct images from one z ~ q(z|x) each, and add the terms of the loss (`self.losses`)."""
        terms, outputs = self.bound_and_outputs(images, training)
        for term in terms:
            self.add_loss(term)
        return self.likelihood.mean(outputs[: ops.shape(images)[0]])

    def bound_and_outputs(self, images, training=False):
        """Draw z ~ q(z|x), update the metrics, and return the terms of the loss and the decoder's outputs."""
        posterior = self.posterior(images, training)
        epsilon = self.draw_epsilon(*self.sample_axes, ops.shape(images)[0])
        *log_terms, outputs = self.log_importance_terms(images, posterior, epsilon, training)
        terms, reconstruction, kl = self.bound(posterior, *log_terms)
        self.update_metrics(reconstruction, kl, outputs)
        return terms, outputs

    def draw_epsilon(self, *shape):
        """Draw noise of z from N(0, I), [*shape, latent_dim]."""
        *axes, batch = shape
        return replicas.draw(
            lambda count: keras.random.normal((*axes, count, self.latent_dim), seed=self.epsilon_generator),
            batch,
            axis=len(axes),
        )

    def update_metrics(self, reconstruction, kl, outputs):
        """Update the metrics of the terms, each [batch], and that of σ."""
        self.reconstruction_tracker.update_state(reconstruction)
        self.kl_tracker.update_state(kl)
        if self.sigma_tracker is not None:
            self.sigma_tracker.update_state(self.likelihood.sigma(outputs))

    def preprocess(self, images):
        return images if self.preprocessing is None else self.preprocessing(images)

    def batch_loss(self, images, training=False):
        images = self.preprocess(images)
        # Not those of `self.losses`: there, replicas add theirs to each other's.
        terms, _ = self.bound_and_outputs(images, training)
        loss = sum(self.losses_of_parts(), ops.sum(terms))
        update_mean(self.loss_tracker, loss, ops.shape(images)[0])
        return loss

    def start_training(self, images):
        """Start the biases of a Bernoulli decoder's last layer at the logit of the mean image.

        So the decoder starts at the best output that ignores z, and no steps are lost on the way there. Burda et al.
        do this in the code of their paper (2016), with the same bounds of the mean. It takes a bias for every pixel.
        A layer with one bias for a channel stays as it is: a decoder that starts at one grey is good enough without z
        that the Kullback-Leibler divergence may switch off some of few latents for good.
        """
        last = next(layer for layer in reversed(self.decoder.layers) if layer.weights)
        bias = getattr(last, "bias", None)
        if isinstance(self.likelihood, Bernoulli) and bias is not None and bias.shape[0] == np.prod(images.shape[1:]):
            mean = np.mean(images, axis=0, dtype=np.float64) / (255 if images.dtype == np.uint8 else 1)
            mean = np.clip(mean, MIN_MEAN, 1 - MIN_MEAN)
            bias.assign(np.log(mean / (1 - mean)).ravel())

    def draw_codes(self, count, seed=None):
        return self.prior.draw_codes(count, self.latent_dim, self.seed_generator if seed is None else seed)

    def draw_latents(self, batches):
        """Draw one z ~ q(z|x) of every image. Returns [n, latent_dim].

        Args:
            batches: an iterable of batches, as in training.
        """
        drawn = [self.posterior(x).sample(self.draw_epsilon(len(x)))[0] for x in map(self.preprocess, batches)]
        return ops.concatenate(drawn)

    def fit_prior(self, latents, prior: StandardNormal | None = None):
        """Replace the prior by one that is fitted to latents of the training images (`draw_latents`).

        Args:
            latents: [n, latent_dim].
            prior: one of `hw5.distributions`; None is a Gaussian.

        Raises:
            InputError: too few images.
        """
        prior = GaussianPrior() if prior is None else prior
        if not prior.built:
            prior.build((None, self.latent_dim))
        prior.fit(latents)
        self._tracker.untrack(self.prior)  # Keras would keep its weights as the model's
        self.prior = prior
        self.trace_steps_again()


def with_gradient_factor(z):
    """Return z, and a function that sets the factor by which the gradient with respect to it is multiplied.

    So the factor may depend on what is computed from z. It must be set before the gradient is computed.
    """
    factors = []

    @tf.custom_gradient
    def identity(value):
        return tf.identity(value), lambda gradient: gradient * factors[-1]

    return identity(z), factors.append


@keras.saving.register_keras_serializable("hw5")
class FlowVAE(VAE):
    """A VAE whose posterior is a normalising flow (Rezende & Mohamed 2015): z = f(z₀, x), z₀ ~ N(μ, σ²).

    The KL divergence is estimated with the z that is decoded. The KL of N(μ, σ²) has a closed form. With it, the
    gradient is noisy in proportion to μ and z₀, and only z keeps these small; on binarised MNIST, training then
    diverged. A flow of no steps is a `VAE`.

    Args:
        encoder: images → (μ, log σ², context), the last [batch, n] for the flow.
        flow, decoder, kl_weight, likelihood, preprocessing, prior: as in `VAE`.
    """

    def __init__(self, encoder: keras.Model, decoder: keras.Model, flow: InverseAutoregressiveFlow, **kwargs):
        super().__init__(encoder, decoder, flow=flow, **kwargs)


@keras.saving.register_keras_serializable("hw5")
class ImportanceWeightedVAE(VAE):
    """The importance weighted autoencoder of Burda et al. 2016: a VAE that minimises a tighter bound.

    −E log (1/k) Σ w_i  with  w_i = p(x|z_i) p(z_i) / q(z_i|x)  and z_i ~ q(z|x) independent, equation (8):
    the negative ELBO for k = 1, and lower with larger k, down to −log p(x).

    With gradient "path" the encoder's gradient is doubly reparameterised (Tucker et al. 2019, equation 8):
    Σ w̃_i² (∂ log w_i / ∂z_i) ∂z_i/∂φ with w̃ = w / Σ w. It has the mean of the other one, and a signal-to-noise ratio
    that grows with k, where that of the other falls. For k = 1 it is that of `VAE`. The decoder's is the same for both.

    Args:
        importance_samples: k.
        encoder, decoder, likelihood, preprocessing, prior, flow, gradient: as in `VAE`. The KL divergence has no
            weight.

    Metrics: `loss`, the bound in nats per image; `reconstruction` and `kl`, the terms of the negative ELBO,
    which is not what is minimised; `sigma` as in `VAE`.
    """

    ARGUMENTS = ("importance_samples", "gradient")

    def __init__(self, encoder: keras.Model, decoder: keras.Model, importance_samples: int = 5, **kwargs):
        super().__init__(encoder, decoder, **kwargs)
        if importance_samples < 1:
            raise InputError(f"importance_samples={importance_samples}: must be at least 1")
        if self.kl_weight != 1.0:
            raise ValueError(f"kl_weight={self.kl_weight}: must be 1, as the bound has no term of its own for the KL")
        self.importance_samples = importance_samples
        self.sample_axes = (importance_samples,)

    def path_gradient_factor(self, log_weights):
        """Return w̃: `bound` multiplies the gradient by it as well."""
        return ops.softmax(log_weights, axis=0)

    def bound(self, posterior, log_likelihood, log_prior, log_posterior):
        """Compute the loss, −log (1/k) Σ w_i."""
        # The gradient of logsumexp weighs that of each log w_i by its share of Σ w, equation (13).
        log_mean = ops.logsumexp(log_likelihood + log_prior - log_posterior, axis=0) - log(self.importance_samples)
        return [-ops.mean(log_mean)], -ops.mean(log_likelihood, axis=0), ops.mean(log_posterior - log_prior, axis=0)
