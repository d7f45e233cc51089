"""The distributions of a VAE: likelihoods p(x|z), priors p(z), and posteriors q(z|x) with and without a flow."""

from math import expm1, log, pi, sqrt
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from hw5.errors import InputError
from hw5.gaussian_mixture import fit_gaussian_mixture
from hw5.objectives import bernoulli_loss, gaussian_kl

LOG_2_PI = log(2 * pi)
SCALE_SHARINGS = ("shared", "per_pixel", "per_image", "predicted")
# An eighth of a grey level. Without this bound, the density grows without limit at pixels that never change.
# PixelCNN++ has the same bound, log s ≥ −7 for images in [−1, 1].
MIN_SCALE = 5e-4


# Likelihoods p(x|z)


class Distribution(keras.layers.Layer):
    """A layer that computes in float32 under every policy, or its densities would lose their digits."""

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)


class Likelihood(Distribution):
    """p(x|z) with independent pixels, whose location is the sigmoid of the decoder's output.

    Attributes:
        has_sigma: whether there is a `sigma`.
        is_continuous: whether `log_prob` is a log-density of continuous images, not a log-probability.
    """

    has_sigma = False
    is_continuous = False

    def output_channels(self, channels: int) -> int:
        """Return the number of channels of the decoder's output, for images with that many channels."""
        return channels

    def sigma(self, outputs):
        """Return the standard deviation of a pixel, in the units of the images; it broadcasts to their shape."""
        raise NotImplementedError

    def log_prob(self, images, outputs):
        """Compute log p(x|z), summed over pixels: a probability of discrete images, a density of continuous ones.

        Args:
            images: [batch, h, w, c] in [0, 1].
            outputs: [batch, h, w, output_channels(c)], the decoder's output for z.

        Returns:
            [batch], in nats per image.
        """
        raise NotImplementedError

    def mean(self, outputs):
        """Return the mean of p(x|z), images [batch, h, w, c] in [0, 1]; if discretised, before the tails are cut."""
        return ops.sigmoid(outputs)


@keras.saving.register_keras_serializable("hw5")
class Bernoulli(Likelihood):
    """Pixels that are 0 or 1; the decoder's outputs are logits.

    Grey values count as probabilities (`objectives.bernoulli_loss`). That trains well, but then the result is
    neither the probability nor the density of an image: it gives no bits per pixel.
    """

    def log_prob(self, images, outputs):
        return -bernoulli_loss(images, outputs)


def positive(raw_scale):
    """Map real numbers to scales above MIN_SCALE."""
    return MIN_SCALE + ops.softplus(raw_scale)


def raw_scale_initializer(initial_scale: float):
    """Return the initializer of a variable that `positive` maps to `initial_scale`."""
    return keras.initializers.Constant(log(expm1(initial_scale - MIN_SCALE)))


class LocationScale(Likelihood):
    """A likelihood with a learned scale, kept positive as MIN_SCALE + softplus(variable + predicted).

    Args:
        scale_sharing: which numbers have one scale together. "shared": all. "per_pixel": those at one h, w, c, of all
            images; a variable for each. "per_image": those of one image; a function of z, the mean over the pixels of
            one more channel of the decoder's output. "predicted": none; the decoder's output has a second half of its
            channels, for the scale at each h, w, c as a function of z.
        initial_scale: the scale before training (where the decoder's channels for it are 0), in the units of the
            images.
    """

    has_sigma = True

    def __init__(self, scale_sharing: str, initial_scale: float, **kwargs):
        super().__init__(**kwargs)
        if scale_sharing not in SCALE_SHARINGS:
            raise InputError(f"scale_sharing={scale_sharing}: must be one of {', '.join(SCALE_SHARINGS)}")
        if initial_scale <= MIN_SCALE:
            raise InputError(f"initial_scale={initial_scale}: must be above {MIN_SCALE}")
        self.scale_sharing = scale_sharing
        self.initial_scale = initial_scale

    def output_channels(self, channels):
        return channels + {"per_image": 1, "predicted": channels}.get(self.scale_sharing, 0)

    def build(self, output_shape):
        shape = output_shape[1:] if self.scale_sharing == "per_pixel" else ()
        self.raw_scale = self.add_weight(shape, raw_scale_initializer(self.initial_scale), name="raw_scale")

    def scale(self, outputs):
        """Return the scale, of a shape that broadcasts to that of the images."""
        predicted = 0.0
        if self.scale_sharing == "per_image":
            predicted = ops.mean(outputs[..., -1:], axis=(1, 2, 3), keepdims=True)
        elif self.scale_sharing == "predicted":
            predicted = outputs[..., outputs.shape[-1] // 2 :]
        return positive(self.raw_scale + predicted)

    def mean(self, outputs):
        end = {"per_image": -1, "predicted": outputs.shape[-1] // 2}.get(self.scale_sharing)
        return super().mean(outputs[..., :end])

    def get_config(self):
        return {
            **super().get_config(),
            "scale_sharing": self.scale_sharing,
            "initial_scale": self.initial_scale,
        }


@keras.saving.register_keras_serializable("hw5")
class Gaussian(LocationScale):
    """Continuous pixels x ~ N(μ, σ²), where σ is the learned scale, as in the σ-VAE (Rybkin et al. 2021)."""

    is_continuous = True

    def __init__(self, scale_sharing: str = "shared", initial_scale: float = 0.2, **kwargs):
        super().__init__(scale_sharing, initial_scale, **kwargs)

    def sigma(self, outputs):
        return self.scale(outputs)

    def log_prob(self, images, outputs):
        sigma = self.sigma(outputs)
        standardized = (images - self.mean(outputs)) / sigma
        log_density = -0.5 * ops.square(standardized) - ops.log(sigma) - 0.5 * LOG_2_PI
        return ops.sum(log_density, axis=(1, 2, 3))


@keras.saving.register_keras_serializable("hw5")
class DiscretizedLogistic(LocationScale):
    """8-bit pixels k/255: the mass of a logistic distribution within half a level of each.

    Levels 0 and 255 take the tails as well, so the 256 probabilities sum to 1 (Kingma et al. 2016;
    Salimans et al. 2017, equation 2, with one component). The standard deviation is π/√3 times the scale.
    """

    def __init__(self, scale_sharing: str = "shared", initial_scale: float = 0.1, **kwargs):
        super().__init__(scale_sharing, initial_scale, **kwargs)

    def sigma(self, outputs):
        return self.scale(outputs) * (pi / sqrt(3))

    def log_prob(self, images, outputs):
        return ops.sum(log_logistic_mass(images, self.mean(outputs), self.scale(outputs)), axis=(1, 2, 3))


def log_logistic_mass(images, location, scale):
    """Compute the logarithm of the mass of a logistic distribution within half a level of each pixel k/255.

    Args:
        images: k/255; levels 0 and 255 take the tails as well.
        location, scale: of the distributions; all three broadcast.
    """
    # With S the sigmoid and a < b the ends of a bin,  S(b) − S(a) = S(b) · S(−a) · (1 − exp(a − b)):
    # this avoids a difference of nearly equal numbers. The open end of a tail turns two of the factors into 1.
    centre = (images - location) / scale
    half = 0.5 / 255 / scale
    first, last = images < 0.5 / 255, images > 254.5 / 255
    log_upper = ops.where(last, 0.0, ops.log_sigmoid(centre + half))
    log_lower = ops.where(first, 0.0, ops.log_sigmoid(half - centre))
    log_width = ops.where(first | last, 0.0, ops.log(-ops.expm1(-2.0 * half)))
    return log_upper + log_lower + log_width


@keras.saving.register_keras_serializable("hw5")
class LogisticMixture(Likelihood):
    """8-bit pixels: a mixture of discretised logistic distributions, its parameters predicted for each pixel.

    P(x | z) = Π over pixels of Σ_k π_k Π_c P(x_c; μ_kc, s_kc), with P of `DiscretizedLogistic`. The channels of a
    pixel choose their component together, so a component is a colour (Salimans et al. 2017, section 2.1, without
    the linear dependence of a channel on those before it). At an edge whose place z does not tell, two colours are
    possible, and the one in the middle is not: a mixture can say so, one distribution cannot.

    The variables are the locations and the scale where the decoder's output is 0. At the start the components are
    grey levels spread over [0, 1].

    Args:
        components: K.
        initial_scale: s of every component before training, in the units of the images.
    """

    def __init__(self, components: int = 5, initial_scale: float = 0.1, **kwargs):
        super().__init__(**kwargs)
        self.components = components
        self.initial_scale = initial_scale

    def output_channels(self, channels):
        """Return K (1 + 2 c): a logit of π_k, and c locations and c scales, for each component."""
        return self.components * (1 + 2 * channels)

    def build(self, output_shape):
        shares = (np.arange(self.components) + 0.5) / self.components
        locations = keras.initializers.Constant(np.log(shares / (1 - shares))[:, None])
        self.raw_locations = self.add_weight((self.components, 1), locations, name="raw_locations")
        self.raw_scale = self.add_weight((), raw_scale_initializer(self.initial_scale), name="raw_scale")

    def parameters(self, outputs):
        """Return (log π [batch, h, w, K], μ and s [batch, h, w, K, c])."""
        outputs = ops.reshape(outputs, (*ops.shape(outputs)[:-1], self.components, -1))
        logits, locations, scales = outputs[..., 0], *ops.split(outputs[..., 1:], 2, axis=-1)
        locations, scales = ops.sigmoid(self.raw_locations + locations), positive(self.raw_scale + scales)
        return ops.log_softmax(logits, axis=-1), locations, scales

    def log_prob(self, images, outputs):
        log_shares, locations, scales = self.parameters(outputs)
        log_masses = ops.sum(log_logistic_mass(images[..., None, :], locations, scales), axis=-1)
        return ops.sum(ops.logsumexp(log_shares + log_masses, axis=-1), axis=(1, 2))

    def mean(self, outputs):
        log_shares, locations, _ = self.parameters(outputs)
        return ops.sum(ops.exp(log_shares)[..., None] * locations, axis=-2)

    def get_config(self):
        return {**super().get_config(), "components": self.components, "initial_scale": self.initial_scale}


# Posteriors q(z|x)


class DiagonalGaussian(NamedTuple):
    """The posterior N(μ, diag σ²) of each image.

    Attributes:
        mean, log_var: μ and log σ², each [batch, latent_dim].
    """

    mean: Any
    log_var: Any

    def sample(self, epsilon):
        """Map noise to z = μ + σ ε, differentiably in μ and σ (Kingma & Welling 2014, section 2.4).

        Args:
            epsilon: from N(0, I), [..., batch, latent_dim]; 0.0 gives the mode μ.

        Returns:
            (z, log q(z|x)): [..., batch, latent_dim] and [..., batch], the second in nats.
        """
        z = self.mean + ops.exp(0.5 * self.log_var) * epsilon
        return z, -0.5 * ops.sum(ops.square(epsilon) + self.log_var + LOG_2_PI, axis=-1)

    def log_prob(self, z):
        """Compute log q(z|x) of z [..., batch, latent_dim]. Returns [..., batch], in nats."""
        squares = ops.square(z - self.mean) * ops.exp(-self.log_var)
        return -0.5 * ops.sum(squares + self.log_var + LOG_2_PI, axis=-1)

    def stop_gradient(self):
        """Return the same distribution, through whose parameters no gradient passes."""
        return DiagonalGaussian(ops.stop_gradient(self.mean), ops.stop_gradient(self.log_var))


class FlowPosterior(NamedTuple):
    """The posterior of z = f(z₀, context) with z₀ from a Gaussian and f a flow (Rezende & Mohamed 2015).

    Attributes:
        gaussian: distribution of z₀.
        flow: layer (z₀, context) → (z, log |det ∂z/∂z₀|).
        context: [batch, n], the encoder's output for the flow.
    """

    gaussian: DiagonalGaussian
    flow: keras.layers.Layer
    context: Any

    def sample(self, epsilon):
        """Map noise to z; log q(z|x) = log N(z₀; μ, σ²) − log |det ∂z/∂z₀|. Shapes as in `DiagonalGaussian`."""
        z, log_prob = self.gaussian.sample(epsilon)
        z, log_det = self.flow(z, self.context)
        return z, log_prob - log_det


@keras.saving.register_keras_serializable("hw5")
class InverseAutoregressiveFlow(Distribution):
    """The inverse autoregressive flow of Kingma et al. 2016, algorithm 1.

    Every step is z ← σ ⊙ z + (1 − σ) ⊙ m, where m_i and σ_i depend on the context and on z_1 … z_{i−1} alone.
    So the Jacobian is triangular, and log |det| = Σ log σ_i. A masked network of one hidden layer computes m
    and σ (Germain et al. 2015). The order of the dimensions is reversed from step to step.

    Args:
        steps: of the flow; with 0, z does not change.
        hidden: units of the hidden layer.
    """

    INITIAL_GATE = 2.0  # σ starts near 1, as the authors advise: sigmoid(2) = 0.88

    def __init__(self, steps: int = 2, hidden: int = 200, **kwargs):
        super().__init__(**kwargs)
        self.steps = steps
        self.hidden = hidden

    def build(self, z_shape, context_shape):
        latent_dim, context_dim = z_shape[-1], context_shape[-1]
        dimension = np.arange(1, latent_dim + 1)
        last_seen = 1 + np.arange(self.hidden) % max(latent_dim - 1, 1)  # hidden units see z up to that dimension
        output_mask = last_seen[:, None] < dimension
        masks = dimension[:, None] <= last_seen, np.concatenate([output_mask, output_mask], axis=1)
        self.masks = [mask.astype(np.float32) for mask in masks]
        self.networks = [
            {
                "z_kernel": self._kernel(f"z_kernel_{step}", (latent_dim, self.hidden)),
                "context_kernel": self._kernel(f"context_kernel_{step}", (context_dim, self.hidden)),
                "hidden_bias": self.add_weight((self.hidden,), "zeros", name=f"hidden_bias_{step}"),
                "output_kernel": self._kernel(f"output_kernel_{step}", (self.hidden, 2 * latent_dim), gain=0.1),
                "output_bias": self.add_weight((2 * latent_dim,), "zeros", name=f"output_bias_{step}"),
                # the first dimension depends on the context alone
                "skip_kernel": self._kernel(f"skip_kernel_{step}", (context_dim, 2 * latent_dim), gain=0.1),
            }
            for step in range(self.steps)
        ]

    def _kernel(self, name, shape, gain=1.0):
        return self.add_weight(shape, keras.initializers.VarianceScaling(gain**2, "fan_avg"), name=name)

    def call(self, z, context):
        """Transform z [..., batch, latent_dim] with context [batch, n].

        Returns:
            (z of the same shape, log |det ∂z/∂z₀| [..., batch]).
        """
        log_det = ops.zeros_like(z[..., 0])
        z_mask, output_mask = self.masks
        for step, weights in enumerate(self.networks):
            z = z[..., ::-1] if step else z
            hidden = ops.matmul(z, weights["z_kernel"] * z_mask) + ops.matmul(context, weights["context_kernel"])
            hidden = ops.elu(hidden + weights["hidden_bias"])
            outputs = ops.matmul(hidden, weights["output_kernel"] * output_mask)
            outputs = outputs + ops.matmul(context, weights["skip_kernel"]) + weights["output_bias"]
            m, gate = ops.split(outputs, 2, axis=-1)
            gate = gate + self.INITIAL_GATE
            sigma = ops.sigmoid(gate)
            z = sigma * z + (1.0 - sigma) * m
            log_det = log_det + ops.sum(ops.log_sigmoid(gate), axis=-1)
        return z, log_det

    def get_config(self):
        return {**super().get_config(), "steps": self.steps, "hidden": self.hidden}


# Priors p(z)


@keras.saving.register_keras_serializable("hw5")
class StandardNormal(Distribution):
    """The prior N(0, I).

    Attributes:
        has_closed_kl: whether there is a `kl`.
    """

    has_closed_kl = True

    def fit(self, z):
        """Fit the prior to latents [n, latent_dim]; N(0, I) stays as it is."""

    def draw_codes(self, count, latent_dim, seed):
        """Draw z ~ p(z), whitened (`whiten`). Returns [count, latent_dim].

        Args:
            seed: an integer or a `SeedGenerator`.
        """
        return keras.random.normal((count, latent_dim), seed=seed)

    def log_prob(self, z):
        """Compute log p(z) of z [..., latent_dim]. Returns [...], in nats."""
        return -0.5 * ops.sum(ops.square(z) + LOG_2_PI, axis=-1)

    def kl(self, posterior: DiagonalGaussian):
        """Compute KL(q(z|x) ‖ p(z)) in closed form. Returns [batch], in nats per image."""
        return gaussian_kl(posterior.mean, posterior.log_var)

    def whiten(self, z):
        """Map z ~ p(z) to ε with mean 0 and covariance I, ε ~ N(0, I) if p(z) is Gaussian, both [..., latent_dim]."""
        return z

    def color(self, epsilon):
        """Map ε to z, the inverse of `whiten`."""
        return epsilon


@keras.saving.register_keras_serializable("hw5")
class GaussianPrior(StandardNormal):
    """The prior N(m, L Lᵀ): N(0, I) until it is fitted to the latents of images.

    The Gaussian with the mean and the covariance of z ~ q(z|x), x from the training images, has the largest
    ELBO of all Gaussians. A VAE trains with N(0, I) and gets the fitted prior afterwards: if its latents are only
    roughly N(0, I), many samples of N(0, I) are far from the latents of images (Ghosh et al. 2020, section 4).

    Attributes:
        mean: m, [latent_dim].
        cholesky: L, lower triangular, [latent_dim, latent_dim].
    """

    def build(self, z_shape):
        size = z_shape[-1]
        self.mean = self.add_weight((size,), "zeros", trainable=False, name="mean")
        self.cholesky = self.add_weight((size, size), "identity", trainable=False, name="cholesky")

    def fit(self, z):
        """Set m and L Lᵀ to the mean and the covariance of latents [n, latent_dim].

        Raises:
            InputError: n is too small.
        """
        check_prior("gaussian", *np.shape(z))
        z = np.asarray(z, np.float64)
        self.mean.assign(z.mean(axis=0))
        self.cholesky.assign(np.linalg.cholesky(np.cov(z, rowvar=False)))

    def log_prob(self, z):
        return super().log_prob(self.whiten(z)) - self._log_det()

    def kl(self, posterior):
        # ½ (tr(Σ⁻¹ diag σ²) + |L⁻¹ (μ − m)|² − d + log |Σ| − Σ log σ²) with Σ = L Lᵀ
        variance = ops.exp(posterior.log_var)
        trace = ops.matmul(variance, ops.sum(ops.square(ops.inv(self.cholesky)), axis=0))
        distance = ops.sum(ops.square(self.whiten(posterior.mean)) - posterior.log_var - 1.0, axis=-1)
        return 0.5 * (trace + distance) + self._log_det()

    def whiten(self, z):
        """Compute ε = L⁻¹ (z − m)."""
        return ops.matmul(z - self.mean, ops.transpose(ops.inv(self.cholesky)))

    def color(self, epsilon):
        """Compute z = m + L ε."""
        return self.mean + ops.matmul(epsilon, ops.transpose(self.cholesky))

    def _log_det(self):
        return ops.sum(ops.log(ops.diagonal(self.cholesky)))


@keras.saving.register_keras_serializable("hw5")
class GaussianMixturePrior(GaussianPrior):
    """The prior Σ_k π_k N(m_k, L_k L_kᵀ): N(0, I) until it is fitted to the latents of images.

    Latents of images are clusters, of digits or of styles, and a Gaussian has much mass between them. Ghosh et al.
    (2020, section 4) fit ten components with full covariances, after the training.

    `whiten` has the mean and the covariance of the mixture. So a code has mean 0 and covariance I, and a line or a step
    in a code means what it means with a Gaussian; only `draw_codes` knows the clusters. There is no `kl`.

    Args:
        components: K.

    Attributes:
        mean, cholesky: as of `GaussianPrior`, of the whole mixture.
        log_weights: log π, [K].
        means, choleskys: m_k, [K, latent_dim], and L_k, lower triangular, [K, latent_dim, latent_dim].
    """

    has_closed_kl = False

    def __init__(self, components: int = 10, **kwargs):
        super().__init__(**kwargs)
        self.components = components

    def build(self, z_shape):
        super().build(z_shape)
        count, size = self.components, z_shape[-1]
        self.log_weights = self._variable("log_weights", np.full(count, -log(count)))
        self.means = self._variable("means", np.zeros((count, size)))
        self.choleskys = self._variable("choleskys", np.tile(np.eye(size), (count, 1, 1)))

    def _variable(self, name, value):
        return self.add_weight(value.shape, keras.initializers.Constant(value), trainable=False, name=name)

    def fit(self, z):
        """Fit the mixture to latents [n, latent_dim] (`hw5.gaussian_mixture`), and m and L to its moments.

        Raises:
            InputError: n is too small.
        """
        super().fit(z)
        mixture, _ = fit_gaussian_mixture(np.asarray(z), self.components)
        self.log_weights.assign(np.log(mixture.weights))
        self.means.assign(mixture.means)
        self.choleskys.assign(mixture.choleskys)
        mean, covariance = mixture.moments()
        self.mean.assign(mean)
        self.cholesky.assign(np.linalg.cholesky(covariance))

    def draw_codes(self, count, latent_dim, seed):
        generator = seed if isinstance(seed, keras.random.SeedGenerator) else keras.random.SeedGenerator(seed)
        chosen = keras.random.categorical(self.log_weights[None], count, seed=generator)[0]
        epsilon = keras.random.normal((count, latent_dim), seed=generator)
        by_component = self.means[:, None] + ops.einsum("kij,nj->kni", self.choleskys, epsilon)
        z = ops.einsum("nk,kni->ni", ops.one_hot(chosen, self.components), by_component)
        return self.whiten(z)

    def log_prob(self, z):
        whitened = ops.einsum("kij,...kj->...ki", ops.inv(self.choleskys), z[..., None, :] - self.means)
        log_dets = ops.sum(ops.log(ops.diagonal(self.choleskys, axis1=1, axis2=2)), axis=-1)
        log_densities = -0.5 * ops.sum(ops.square(whitened) + LOG_2_PI, axis=-1) - log_dets
        return ops.logsumexp(self.log_weights + log_densities, axis=-1)

    def get_config(self):
        return {**super().get_config(), "components": self.components}


def check_prior(name: str, num_images: int, latent_dim: int) -> None:
    """Check that a prior of `PRIORS` can be fitted to so many images.

    Raises:
        InputError: it cannot: the covariance would have no inverse.
    """
    if name != "standard" and num_images <= latent_dim:
        reason = f"{num_images} images are too few to fit a prior of {latent_dim} latents to"
        raise InputError(f"prior={name}: {reason}; prior=standard keeps N(0, I)")


PRIORS = {"standard": StandardNormal, "gaussian": GaussianPrior, "mixture": GaussianMixturePrior}
