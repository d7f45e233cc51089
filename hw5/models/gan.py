"""Generative adversarial networks (Goodfellow et al. 2014), with one training step for all objectives."""

import keras
import tensorflow as tf
from keras import ops

from hw5 import objectives, replicas
from hw5.errors import TrainingFailed
from hw5.layers import BatchNormalization
from hw5.models.base import LatentModel, prepared_optimizer, refuse_loss, update_mean

ACTIVATIONS = ("tanh", "linear")


@keras.saving.register_keras_serializable("hw5")
class GAN(LatentModel):
    """A generator G and a discriminator D, trained against each other.

    A training step is one iteration of Algorithm 1 of sheet 003: D's step on real and generated samples, then
    G's step with new noise. With `critic_steps` n the batch is split into n, and D makes a step on each part.

    Args:
        generator: z [batch, latent_dim] → samples before `activation`.
        discriminator: samples → logits [batch, 1].
        objective: name of one of `hw5.objectives`.
        loss_scales: of a least-squares objective.
        activation: "tanh" for images in [−1, 1], or "linear".
        critic_steps: steps of D for one of G.
        weight_clip: after each of its steps, D's trainable weights are clipped to [−weight_clip, weight_clip]
            (Arjovsky et al. 2017); 0 for none.
        gradient_penalty: weight of E (‖∇D‖ − 1)² between real and generated samples (Gulrajani et al.
            2017); 0 for none.
        r1, r2: γ of the penalty γ/2 E ‖∇D‖² at real samples, and at generated ones (Mescheder et al. 2018, section
            4.1); 0 for none.
        ema_decay: decay of an exponential moving average of G's weights, which `decode` then uses (Karras et
            al. 2018); 0 for none. At step n the decay is at most (1 + n)/(10 + n), so that the average soon
            forgets the initial weights.
        augmentation: layer that D's inputs pass in training, real and generated ones, such as
            `hw5.layers.DifferentiableAugmentation`; G's gradient passes it as well.

    Metrics: `d_loss` and `g_loss`; `d_real`, D(x); `d_fake_d_step` and `d_fake_g_step`, D(G(z)) in the
    discriminator step (before D's update) and in the generator step (after it). They are probabilities where
    the objective makes them so. `diversity` is the standard deviation of generated samples over that of real
    ones; near 0, all samples are alike.
    """

    PARTS = ("generator", "discriminator", "augmentation")
    ARGUMENTS = (
        "loss_scales",
        "activation",
        "critic_steps",
        "weight_clip",
        "gradient_penalty",
        "r1",
        "r2",
        "ema_decay",
    )
    OPTIMIZERS = ("discriminator_optimizer", "generator_optimizer")
    min_batch_size = 2  # `diversity` is a standard deviation

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        objective: str = "non_saturating",
        *,
        loss_scales: dict[str, float] | None = None,
        activation: str = "tanh",
        critic_steps: int = 1,
        weight_clip: float = 0.0,
        gradient_penalty: float = 0.0,
        r1: float = 0.0,
        r2: float = 0.0,
        ema_decay: float = 0.0,
        augmentation: keras.layers.Layer | None = None,
        **kwargs,
    ):
        ema_generator = keras.models.clone_model(generator) if ema_decay else None
        super().__init__(**kwargs)
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation={activation!r}: must be one of {', '.join(ACTIVATIONS)}")
        self.generator = generator
        self.discriminator = discriminator
        self.objective_name = objective
        self.objective = objectives.get(objective, **(loss_scales or {}))
        self.loss_scales = loss_scales
        self.activation = activation
        self.critic_steps = critic_steps
        self.weight_clip = weight_clip
        self.gradient_penalty = gradient_penalty
        self.r1 = r1
        self.r2 = r2
        self.augmentation = augmentation
        self.ema_decay = ema_decay
        if ema_decay:
            self.ema_generator = ema_generator
            self.ema_generator.trainable = False
            self.ema_generator.set_weights(generator.get_weights())
        names = ("d_loss", "g_loss", "d_real", "d_fake_d_step", "d_fake_g_step", "diversity")
        self.trackers = {name: keras.metrics.Mean(name) for name in names}

    @property
    def metrics(self):
        return list(self.trackers.values())

    @property
    def latent_dim(self) -> int:
        return self.generator.input_shape[-1]

    @property
    def value_range(self) -> tuple[float, float] | None:
        return (-1.0, 1.0) if self.activation == "tanh" else None

    @property
    def batches_per_step(self) -> int:
        return self.critic_steps

    @property
    def image_shape(self) -> tuple:
        return self.discriminator.input_shape[1:]

    def compile(self, discriminator_optimizer="adam", generator_optimizer="adam", *, optimizer=None, **kwargs):
        """Compile with an optimizer for each network, or its name; the losses and the metrics are the model's own.

        Args:
            optimizer: in place of both: each network gets a copy of it.
        """
        refuse_loss(**kwargs)
        if optimizer is not None:
            config = keras.saving.serialize_keras_object(keras.optimizers.get(optimizer))
            discriminator_optimizer, generator_optimizer = map(keras.saving.deserialize_keras_object, (config, config))
        super().compile(optimizer=None, **kwargs)  # otherwise Keras attaches an optimizer of its own
        self.discriminator_optimizer = prepared_optimizer(discriminator_optimizer, self.discriminator)
        self.generator_optimizer = prepared_optimizer(generator_optimizer, self.generator, self.discriminator)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)
        self.generator_optimizer.build(self.generator.trainable_variables)

    def noise(self, count):
        """Draw z ~ N(0, I), [count, latent_dim]."""
        shape = (self.latent_dim,)
        return replicas.draw(lambda count: keras.random.normal((count, *shape), seed=self.seed_generator), count)

    def to_samples(self, outputs):
        """Map the generator's outputs to samples in the range of real ones."""
        return ops.tanh(outputs) if self.activation == "tanh" else outputs

    def call(self, z, training=False):
        """Compute samples G(z) with the weights that are trained."""
        return self.to_samples(ops.cast(self.generator(z, training=training), "float32"))

    def logits(self, samples, training=False):
        """Compute D's output before any sigmoid, float32 under every policy; in training, of augmented samples."""
        if training and self.augmentation is not None:
            samples = self.augmentation(samples)
        return ops.cast(self.discriminator(samples, training=training), "float32")

    def decode(self, z):
        """Decode z with the moving average of G's weights if there is one: images in [0, 1], or samples as they are."""
        generator = self.ema_generator if self.ema_decay else self.generator
        samples = self.to_samples(ops.cast(generator(z, training=False), "float32"))
        return 0.5 * (samples + 1.0) if self.value_range else samples

    generate = LatentModel.sample

    def train_step(self, data):
        for real in split_batch(self.images_of(data), self.critic_steps):
            self.discriminator_step(real)
        self.generator_step(real)
        if self.ema_decay:
            self.update_ema()
        return self.get_metrics_result()

    def discriminator_step(self, real):
        """Make the step of D: Algorithm 1, lines 2–6."""
        fake = self(self.noise(ops.shape(real)[0]), training=True)
        variables = self.discriminator.trainable_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            with tf.GradientTape(watch_accessed_variables=False) as at_samples:
                at_samples.watch([real, fake])
                real_logits, fake_logits = self.logits(real, training=True), self.logits(fake, training=True)
            loss = self.objective.discriminator_loss(real_logits, fake_logits)
            if self.r1 or self.r2:
                loss = loss + self.zero_centred_penalty(at_samples, (real_logits, fake_logits), (real, fake))
            if self.gradient_penalty:
                loss = loss + self.gradient_penalty * self.gradient_penalty_loss(real, fake)
            loss = sum(self.discriminator.losses, loss)  # plus the losses of regularizers
            scaled = self.discriminator_optimizer.scale_loss(loss * replicas.share(ops.shape(real)[0]))
        # Some gradients do not depend on their weight, as in the last layer of a Wasserstein critic. Without control
        # dependencies, TensorFlow may then update the weight before the logits read it.
        with tf.control_dependencies([real_logits, fake_logits]):
            self.discriminator_optimizer.apply(tape.gradient(scaled, variables), variables)
        if self.weight_clip:
            for variable in variables:
                variable.assign(ops.clip(variable, -self.weight_clip, self.weight_clip))
        self.update_metrics(
            ops.shape(real)[0],
            d_loss=loss,
            d_real=self.objective.output(real_logits),
            d_fake_d_step=self.objective.output(fake_logits),
            diversity=ops.divide_no_nan(pixel_std(fake), pixel_std(real)),  # of one image it is 0
        )

    def generator_step(self, real):
        """Make G's step: Algorithm 1, lines 7–10. Only a relativistic objective compares with real samples."""
        count = ops.shape(real)[0]
        z = self.noise(count)
        variables = self.generator.trainable_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            fake_logits = self.logits(self(z, training=True), training=True)
            logits = (
                (fake_logits, self.logits(real, training=True)) if self.objective.is_relativistic else (fake_logits,)
            )
            loss = sum(self.generator.losses, self.objective.generator_loss(*logits))
            scaled = self.generator_optimizer.scale_loss(loss * replicas.share(count))
        with tf.control_dependencies([fake_logits]):
            self.generator_optimizer.apply(tape.gradient(scaled, variables), variables)
        self.update_metrics(count, g_loss=loss, d_fake_g_step=self.objective.output(fake_logits))

    def update_ema(self):
        """Move the averaged weights towards G's weights."""
        steps = ops.cast(self.generator_optimizer.iterations, "float32")
        decay = ops.minimum(self.ema_decay, (1 + steps) / (10 + steps))
        for average, weight in zip(self.ema_generator.weights, self.generator.weights, strict=True):
            average.assign(decay * average + (1 - decay) * weight)

    def zero_centred_penalty(self, tape, logits, samples):
        """Compute R1 and R2, γ/2 E ‖∇D‖² at real and at generated samples, those whose γ is not 0."""
        weights = (self.r1, self.r2)
        chosen = [index for index, weight in enumerate(weights) if weight]
        gradients = tape.gradient([logits[index] for index in chosen], [samples[index] for index in chosen])
        return sum(
            0.5 * weights[index] * ops.mean(squared_norm(gradient))
            for index, gradient in zip(chosen, gradients, strict=True)
        )

    def finish_training(self):
        self.set_standing_statistics()

    def set_standing_statistics(self, batches: int = 20, batch_size: int = 100, seed: int = 0) -> None:
        """Replace the statistics of G's batch normalisation, as `decode` uses them, by those of many new samples.

        During training they are moving averages: of batches of other weights, and those of the averaged weights are
        averages of averages. Averaged weights are shorter than the weights that were averaged, and the variances do
        not follow. The "standing statistics" of Brock et al. (2019) are those of the weights at hand.

        Args:
            batches, batch_size: of new noise; the statistics are means over the batches.
            seed: of the noise.
        """
        generator = self.ema_generator if self.ema_decay else self.generator
        normalizations = [layer for layer in generator._flatten_layers() if isinstance(layer, BatchNormalization)]
        momentum, trainable = [layer.momentum for layer in normalizations], generator.trainable
        noise = keras.random.normal((batches, batch_size, self.latent_dim), seed=seed)
        generator.trainable = True  # frozen layers do not move their statistics
        for number, z in enumerate(noise if normalizations else ()):
            for layer in normalizations:
                layer.momentum = number / (number + 1)  # the mean over the batches so far
            generator(z, training=True)
        generator.trainable = trainable
        for layer, value in zip(normalizations, momentum, strict=True):
            layer.momentum = value

    def gradient_penalty_loss(self, real, fake):
        """Compute E (‖∇D(x̂)‖ − 1)², x̂ uniform between a real and a fake sample (Gulrajani et al. 2017, equation 3)."""
        ones = [1] * (len(real.shape) - 1)
        share = replicas.draw(
            lambda count: keras.random.uniform((count, *ones), seed=self.seed_generator), ops.shape(real)[0]
        )
        between = real + share * (fake - real)
        with tf.GradientTape() as tape:
            tape.watch(between)
            logits = self.logits(between, training=True)
        return ops.mean(ops.square(ops.sqrt(squared_norm(tape.gradient(logits, between)) + 1e-12) - 1.0))

    def predict_step(self, data):
        """Decode a batch of codes."""
        return self.decode(keras.utils.unpack_x_y_sample_weight(data)[0])

    def test_step(self, data):
        real = self.images_of(data)
        fake = self(self.noise(ops.shape(real)[0]))
        real_logits, fake_logits = self.logits(real), self.logits(fake)
        compared = [real_logits] if self.objective.is_relativistic else []
        output = self.objective.output
        self.update_metrics(
            ops.shape(real)[0],
            d_loss=self.objective.discriminator_loss(real_logits, fake_logits),
            g_loss=self.objective.generator_loss(fake_logits, *compared),
            d_real=output(real_logits),
            d_fake_d_step=output(fake_logits),
            d_fake_g_step=output(fake_logits),
            diversity=ops.divide_no_nan(pixel_std(fake), pixel_std(real)),  # of one image it is 0
        )
        return self.get_metrics_result()

    def update_metrics(self, count, **values):
        """Update metrics by their names with values of a batch of `count` samples: a number, or one of each sample."""
        for name, value in values.items():
            update_mean(self.trackers[name], ops.mean(value), count)

    def snapshot(self, images, noise) -> dict:
        return {"images": images, "samples": self.decode(noise)}

    def training_callbacks(self, history):
        return [GANFailureDetector(history)]

    def get_config(self):
        return {**super().get_config(), "objective": self.objective_name}


class GANFailureDetector(keras.callbacks.Callback):
    """Callback that ends the training of a GAN if the generator collapses or the discriminator saturates.

    It checks the metrics of whole epochs (`GAN`), from the second epoch on: at first all samples of a generator
    are grey. That may last thousands of steps. So a lack of diversity counts as collapse only after an epoch
    with diversity, or after many steps.

    Args:
        history: metric → its values, one for each finished epoch.
    """

    COLLAPSE_DIVERSITY = 0.05  # of the diversity of real samples
    NORMAL_DIVERSITY = 0.4  # twice that of untrained generators
    MAX_GREY_STEPS = 5000
    SATURATION_PROBABILITY = 1e-4  # of fake samples being real, and of real samples being fake

    def __init__(self, history: dict[str, list[float]]):
        super().__init__()
        self.history = history

    def on_epoch_end(self, epoch, logs=None):
        if epoch < 1:
            return
        steps = self.model.steps_done
        when = f"in epoch {epoch + 1}, by step {steps}"
        was_diverse = max(self.history.get("diversity", [0.0])) > self.NORMAL_DIVERSITY
        if logs["diversity"] < self.COLLAPSE_DIVERSITY and (was_diverse or steps >= self.MAX_GREY_STEPS):
            self.stop(f"mode collapse: {when} generated samples vary by {logs['diversity']:.1%} of what real ones do")
        real, fake = logs["d_real"], logs["d_fake_g_step"]
        if self.model.objective.outputs_probability and max(fake, 1 - real) < self.SATURATION_PROBABILITY:
            self.stop(
                f"discriminator saturated: {when} D(x) is {real:.5f} and D(G(z)) is {fake:.5f}, "
                "which leaves the generator without a gradient"
            )

    def stop(self, reason):
        if "overfitting" in self.history:
            reason += f"; its overfitting was {self.history['overfitting'][-1]:.0%} (hw5.training.OverfittingMeter)"
        raise TrainingFailed(f"{reason}; lower the learning rate", self.history)


def split_batch(samples, parts: int) -> list:
    """Split a batch into equal parts and drop the remainder; with fewer samples than parts, samples are repeated.

    Part j has the samples j, j + parts, … So the parts on several replicas, each of which has a stretch of the
    batch, are together those of one device.
    """
    count = ops.shape(samples)[0]
    least, most = (min, max) if isinstance(count, int) else (ops.minimum, ops.maximum)
    size = most(count // parts, 1)
    return [samples[least(part, most(count - 1, 0)) :: parts][:size] for part in range(parts)]


def squared_norm(gradients):
    """Compute ‖∇D‖² of every sample: [batch, …] → [batch]."""
    return ops.sum(ops.square(gradients), axis=range(1, len(gradients.shape)))


def pixel_std(samples):
    """Compute the standard deviation over the batch, averaged over pixels."""
    return ops.mean(replicas.std(samples))
