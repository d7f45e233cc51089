"""Generative adversarial networks (Goodfellow et al. 2014), with one training step for all objectives."""

import keras
import tensorflow as tf
from keras import ops

from hw5 import objectives
from hw5.layers import SavedNoise
from hw5.models.base import decode_in_parts

ACTIVATIONS = ("tanh", "linear")


@keras.saving.register_keras_serializable("hw5")
class GAN(SavedNoise, keras.Model):
    """A generator G and a discriminator D that play against each other.

    A training step is one round of Algorithm 1 of sheet 003: D's step on real and generated samples, then
    G's step with fresh noise. With `critic_steps` n the batch is cut into n, and D makes a step on each.

    Args:
        generator: z [batch, latent_dim] → samples before `activation`.
        discriminator: samples → logits [batch, 1].
        objective: name of one of `hw5.objectives`.
        scales: of a least-squares objective.
        activation: "tanh", images in [−1, 1], or "linear".
        critic_steps: steps of D for one of G.
        clip: D's trainable weights are cut to [−clip, clip] after its steps (Arjovsky et al. 2017); 0 does not.
        gradient_penalty: weight of E (‖∇D‖ − 1)² between real and generated samples (Gulrajani et al.
            2017); 0 leaves it out.
        r1: γ of the penalty γ/2 E ‖∇D‖² at real samples (Mescheder et al. 2018, equation 9); 0 leaves it out.
        average: decay of a running average of G's weights, with which `generate` then works (Karras et al.
            2018); 0 leaves it out. At step n it is (1 + n)/(10 + n) at most, so that what G was at first is
            soon forgotten.

    Metrics: `d_loss` and `g_loss`; `d_real`, `d_fake_d_step` and `d_fake_g_step`: D(x), and D(G(z)) as D's
    step finds it, before D's weights move and after G's did, and as G's step does, before G's weights move
    and after D's did. Where D's output is a logit, they are probabilities. `diversity` is the standard
    deviation of generated samples over that of real ones; near 0, G makes one sample only.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        objective: str = "non_saturating",
        *,
        scales: dict | None = None,
        activation: str = "tanh",
        critic_steps: int = 1,
        clip: float = 0.0,
        gradient_penalty: float = 0.0,
        r1: float = 0.0,
        average: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation={activation!r}: must be one of {', '.join(ACTIVATIONS)}")
        self.generator = generator
        self.discriminator = discriminator
        self.objective = objectives.get(objective, **(scales or {}))
        self.settings = {
            "objective": objective,
            "scales": scales,
            "activation": activation,
            "critic_steps": critic_steps,
            "clip": clip,
            "gradient_penalty": gradient_penalty,
            "r1": r1,
            "average": average,
        }
        self.critic_steps = critic_steps
        self.clip = clip
        self.gradient_penalty = gradient_penalty
        self.r1 = r1
        self.average = average
        if average:
            self.averaged_generator = keras.models.clone_model(generator)
            self.averaged_generator.trainable = False
            self.averaged_generator.set_weights(generator.get_weights())
        self.seed_generator = keras.random.SeedGenerator()
        names = ("d_loss", "g_loss", "d_real", "d_fake_d_step", "d_fake_g_step", "diversity")
        self.trackers = {name: keras.metrics.Mean(name) for name in names}
        self.built = True

    @property
    def metrics(self):
        return list(self.trackers.values())

    @property
    def latent_dim(self) -> int:
        return self.generator.input_shape[-1]

    @property
    def value_range(self) -> tuple[float, float] | None:
        """What the discriminator's real images must be scaled to; None for samples that are no images."""
        return (-1.0, 1.0) if self.settings["activation"] == "tanh" else None

    @property
    def optimizers(self) -> list[keras.optimizers.Optimizer]:
        return [self.discriminator_optimizer, self.generator_optimizer]

    def compile(self, discriminator_optimizer, generator_optimizer, **kwargs):
        super().compile(optimizer=None, **kwargs)  # Keras would attach one of its own
        self.discriminator_optimizer = discriminator_optimizer
        self.generator_optimizer = generator_optimizer
        discriminator_optimizer.build(self.discriminator.trainable_variables)
        generator_optimizer.build(self.generator.trainable_variables)

    def noise(self, count):
        """z ~ N(0, I), [count, latent_dim]."""
        return keras.random.normal((count, self.latent_dim), seed=self.seed_generator)

    def activate(self, outputs):
        """The generator's outputs as samples in the range of real ones."""
        return ops.tanh(outputs) if self.settings["activation"] == "tanh" else outputs

    def call(self, z, training=False):
        """Samples G(z), of the weights that are trained."""
        return self.activate(self.generator(z, training=training))

    def decode(self, z):
        """What is shown of G(z), with averaged weights if there are any: images in [0, 1], or samples as they are."""
        generator = self.averaged_generator if self.average else self.generator
        samples = self.activate(generator(z, training=False))
        return 0.5 * (samples + 1.0) if self.value_range else samples

    def generate(self, count: int, seed: int | None = None):
        """`decode` for `count` codes drawn from N(0, I): new ones each call, or for a seed always the same."""
        z = keras.random.normal((count, self.latent_dim), seed=self.seed_generator if seed is None else seed)
        return decode_in_parts(self, z)

    sample = generate

    def train_step(self, samples):
        for real in ops.split(samples, self.critic_steps):
            self.discriminator_step(real)
        self.generator_step(ops.shape(real)[0])
        if self.average:
            steps = ops.cast(self.generator_optimizer.iterations, "float32")
            decay = ops.minimum(self.average, (1 + steps) / (10 + steps))
            for averaged, weight in zip(self.averaged_generator.weights, self.generator.weights, strict=True):
                averaged.assign(decay * averaged + (1 - decay) * weight)
        return self.get_metrics_result()

    def discriminator_step(self, real):
        """Algorithm 1, lines 2–6."""
        fake = self(self.noise(ops.shape(real)[0]), training=True)
        variables = self.discriminator.trainable_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            with tf.GradientTape(watch_accessed_variables=False) as at_real:
                at_real.watch(real)
                real_logits = self.discriminator(real, training=True)
            fake_logits = self.discriminator(fake, training=True)
            loss = self.objective.discriminator_loss(real_logits, fake_logits)
            if self.r1:
                loss = loss + 0.5 * self.r1 * ops.mean(squared_norm(at_real.gradient(real_logits, real)))
            if self.gradient_penalty:
                loss = loss + self.gradient_penalty * self.penalty(real, fake)
        self.discriminator_optimizer.apply(tape.gradient(loss, variables), variables)
        if self.clip:
            for variable in variables:
                variable.assign(ops.clip(variable, -self.clip, self.clip))
        self.track(
            d_loss=loss,
            d_real=self.objective.output(real_logits),
            d_fake_d_step=self.objective.output(fake_logits),
            diversity=deviation(fake) / deviation(real),
        )

    def generator_step(self, count):
        """Algorithm 1, lines 7–10."""
        z = self.noise(count)
        variables = self.generator.trainable_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            fake_logits = self.discriminator(self(z, training=True), training=True)
            loss = self.objective.generator_loss(fake_logits)
        self.generator_optimizer.apply(tape.gradient(loss, variables), variables)
        self.track(g_loss=loss, d_fake_g_step=self.objective.output(fake_logits))

    def penalty(self, real, fake):
        """E (‖∇D(x̂)‖ − 1)², x̂ evenly between a real and a generated sample (Gulrajani et al. 2017, equation 3)."""
        share = keras.random.uniform((ops.shape(real)[0], *[1] * (len(real.shape) - 1)), seed=self.seed_generator)
        between = real + share * (fake - real)
        with tf.GradientTape() as tape:
            tape.watch(between)
            logits = self.discriminator(between, training=True)
        return ops.mean(ops.square(ops.sqrt(squared_norm(tape.gradient(logits, between)) + 1e-12) - 1.0))

    def test_step(self, real):
        fake = self(self.noise(ops.shape(real)[0]))
        real_logits, fake_logits = self.discriminator(real), self.discriminator(fake)
        output = self.objective.output
        self.track(
            d_loss=self.objective.discriminator_loss(real_logits, fake_logits),
            g_loss=self.objective.generator_loss(fake_logits),
            d_real=output(real_logits),
            d_fake_d_step=output(fake_logits),
            d_fake_g_step=output(fake_logits),
            diversity=deviation(fake) / deviation(real),
        )
        return self.get_metrics_result()

    def track(self, **values):
        for name, value in values.items():
            self.trackers[name].update_state(value)

    def snapshot(self, images, noise) -> dict:
        """What is logged during training: real images in [0, 1], and samples of one fixed noise."""
        return {"images": images, "samples": self.decode(noise)}

    def get_config(self):
        networks = {
            name: keras.saving.serialize_keras_object(getattr(self, name)) for name in ("generator", "discriminator")
        }
        return {**super().get_config(), **networks, **self.settings}

    @classmethod
    def from_config(cls, config):
        networks = {
            name: keras.saving.deserialize_keras_object(config[name]) for name in ("generator", "discriminator")
        }
        return cls(**{**config, **networks})


def squared_norm(gradients):
    """‖∇D‖² of every sample: [batch, …] → [batch]."""
    return ops.sum(ops.square(gradients), axis=range(1, len(gradients.shape)))


def deviation(samples):
    """Standard deviation over the batch, mean over pixels."""
    return ops.mean(ops.std(samples, axis=0))
