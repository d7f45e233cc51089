"""The settings that sections have in common; the class of a section derives from those that it needs."""

from collections.abc import Callable, Sequence
from pathlib import Path

from hw5 import layers, metrics, models, networks, training
from hw5.metrics.inception import ClassifierSettings
from hw5.settings import Settings, Several, setting
from hw5.training import Schedule

SAMPLE_METRICS = ("fid", "fid_infinity", "is", "mode_score", "class_proportions")
PROCEDURE = dict(training=False, results=False)  # where, on what, and whether anew
MIN_SAMPLES = 4  # FID∞ takes halves, precision and recall three neighbours


class Training(Settings):
    """The settings of every section.

    The defaults give good figures in minutes on two cores. The presets: "smoke" is tiny; "long" is the same for hours;
    "paper" has the sheets' full length, for a GPU; "sheet" is exactly as on the sheet.
    """

    learning_rate: float = setting(1e-3, "Highest learning rate, between warm-up and decay.", at_least=0)
    batch_size: int = setting(128, "Images per batch.", at_least=1)
    train_size: int | None = setting(None, "Use only the first n training images (default: all).", at_least=1)
    seed: int = setting(0, "Seed of the weights, the order of the images and all noise.", at_least=0, at_most=2**32 - 1)
    restart: bool = setting(False, "Start over instead of resuming from the latest checkpoints.", **PROCEDURE)
    train: bool = setting(True, "Train; if not, only evaluate the latest checkpoints.", **PROCEDURE)
    out: Path | None = setting(None, "Folder for the figures and metrics.json.", **PROCEDURE)
    run_dir: Path | None = setting(None, "Folder for checkpoints, logs and trained models.", **PROCEDURE)
    strategy: str = setting(
        "none",
        "Train on several GPUs (mirrored), or on several machines or processes (multiworker); a batch is divided.",
        choices=training.STRATEGIES,
        **PROCEDURE,
    )
    workers: Several[str] = setting(
        (), "HOST:PORT of every worker (default: TF_CONFIG's).", may_be_empty=True, may_repeat=True, **PROCEDURE
    )
    task: int | None = setting(None, "Which of the workers this process is, from 0.", at_least=0, **PROCEDURE)
    PRESETS = {"smoke": {}, "long": {}, "paper": {}, "sheet": {}}

    def of_this_machine(self):
        """Return the settings with everything chosen that depends on the machine."""
        return self

    def folders(self, section: str) -> tuple[Path, Path]:
        """Return `out` and `run_dir`, by default those of these settings alone, so that no run overwrites another's.

        The first is `figures/SECTION`, of a preset `runs/PRESET/figures/SECTION`; with other settings
        `results/SECTION/[PRESET_]SETTINGS`. The second is `runs/[PRESET/]SECTION`, with other settings of a training
        `runs/[PRESET/]SECTION-SETTINGS`.
        """
        runs, preset = Path("runs", self.preset or ""), [self.preset] if self.preset else []
        out = runs / "figures" / section if preset else Path("figures", section)
        if label := self.label():
            out = Path("results", section, "_".join([*preset, label]))
        label = self.label(training=True)
        return self.out or out, self.run_dir or runs / (f"{section}-{label}" if label else section)

    def optimizers(self):
        """Return the optimizer of an autoencoder or a VAE, as `hw5.training.fit` takes it."""
        return training.adam(self.learning_rate)


class OnImages(Training):
    """A training on a dataset of images."""

    dataset: str = setting(
        "mnist", "Dataset: mnist, emojione, cartoon_faces, a TFDS name, your own, or the path of your files."
    )


class EpochTraining(OnImages):
    """A training that is counted in passes over the images."""

    epochs: int = setting(15, "Passes over the training images.", at_least=1)

    def schedule(self, num_images: int) -> Schedule:
        return Schedule.of_epochs(num_images, self.batch_size, self.epochs)


class StepTraining(Training):
    """A training that is counted in steps.

    Attributes:
        num_epochs: parts of the training. Each gives one value of the curves, the mean over its steps.
    """

    num_epochs = 20
    steps: int = setting(1000, "Training steps, one batch each.", at_least=1)

    def schedule(self, num_images: int) -> Schedule:
        return Schedule.of_steps(self.steps, self.batch_size, self.num_epochs)


class MixedPrecision(Training):
    """The type of the networks' numbers."""

    mixed_precision: bool | None = setting(
        False,
        "Compute the networks in 16 bits, weights and losses in float32: bfloat16, or float16 on older GPUs. It is "
        "faster only where the device is made for it; the preset paper chooses it there.",
    )
    PRESETS = {"paper": dict(mixed_precision=None)}

    def of_this_machine(self):
        """Return the settings with `mixed_precision` chosen, if it is None: whether a GPU here is made for it."""
        if self.mixed_precision is not None:
            return self
        policy, is_fast = networks.half_precision()
        print(f"the networks compute in {policy if is_fast else 'float32'}")
        return self.replace(mixed_precision=is_fast)


class GANTraining(OnImages, StepTraining, MixedPrecision):
    """The training of a DCGAN."""

    latent_dim: int = setting(100, "Latent dimensions.", at_least=1)
    hidden: int = setting(16, "Channels at half the image's size.", at_least=1)
    upsampling: str = setting("deconv", "How the generator doubles the size.", choices=networks.UPSAMPLINGS)
    learning_rate: float = setting(1e-3, "Learning rate of both networks.", at_least=0)
    discriminator_learning_rate: float | None = setting(
        None, "Learning rate of the discriminator, where it is not the generator's.", at_least=0
    )
    beta_1: float = setting(0.5, "Adam's decay of the mean gradient.", at_least=0, at_most=0.9999)
    beta_2: float = setting(0.999, "Adam's decay of the mean squared gradient.", at_least=0, at_most=0.99999)
    ema_decay: float = setting(
        0.0,
        "Decay of the moving average of the generator's weights, which is used for samples; 0 for none.",
        at_least=0,
        at_most=0.99999,
    )

    def dcgan(self, image_shape, **design):
        """Build (generator, discriminator) for images of that shape.

        Args:
            design: more arguments of `hw5.networks.dcgan`; they come before the settings.
        """
        with networks.precision(self.mixed_precision):
            return networks.dcgan(self.latent_dim, self.hidden, image_shape, **{"upsampling": self.upsampling} | design)

    def optimizers(self):
        """Return the optimizers of a GAN, as `hw5.training.fit` takes them."""
        return training.gan_optimizers(self.learning_rate, self.discriminator_learning_rate, self.beta_1, self.beta_2)


# Without what this package adds, and with the optimizer of Radford et al. 2016.
PLAIN_DCGAN = dict(r1=0, normalization="batch", self_modulation=False, translation=0, ema_decay=0)
PLAIN_DCGAN |= dict(learning_rate=2e-4, beta_1=0.5, beta_2=0.999)


class SmoothGANTraining(GANTraining):
    """The training of a DCGAN whose discriminator is kept smooth, and whose z reaches every layer of the generator."""

    r1: float = setting(
        1.0,
        "γ of the penalty of D's gradient at real images (Mescheder et al. 2018); 0, as on the sheets, for none.",
        at_least=0,
    )
    normalization: str = setting(
        "none", "The discriminator's normalisation; the sheets' is batch.", choices=networks.NORMALIZATIONS
    )
    self_modulation: bool = setting(True, "z modulates every normalisation of the generator (Chen et al. 2019).")
    translation: float = setting(
        0.0,
        "Largest shift of what D sees, in shares of an image, so that it cannot learn few images by heart (Zhao et al. "
        "2020); 0, as on the sheets, for none.",
        at_least=0,
        at_most=1,
    )
    beta_1, beta_2 = 0.0, 0.9  # Gulrajani et al. 2017; in few steps the samples are better than with momentum
    PRESETS = {"sheet": PLAIN_DCGAN}

    def dcgan(self, image_shape, **design):
        own = {"normalization": self.normalization, "self_modulation": self.self_modulation}
        return super().dcgan(image_shape, **own | design)

    def augmentation(self):
        """Make the layer that changes what D sees, or None."""
        return layers.DifferentiableAugmentation(self.translation) if self.translation else None

    def gan(self, image_shape, objective="non_saturating", **arguments):
        """Build the GAN for images of that shape, untrained.

        Args:
            arguments: more arguments of `hw5.models.GAN`; they come before the settings.
        """
        own = dict(r1=self.r1, ema_decay=self.ema_decay, augmentation=self.augmentation())
        return models.GAN(*self.dcgan(image_shape), objective, **own | arguments)


class SampleEvaluation(Settings):
    """The evaluation of generated images."""

    fid_samples: int = setting(
        3000, "Generated images for the FID; as many real ones are used.", at_least=MIN_SAMPLES, training=False
    )


class InceptionEvaluation(SampleEvaluation, ClassifierSettings):
    """The evaluation of generated images by InceptionV3: 700 images a minute on two cores without AVX-512."""

    fid_samples = 1000
    PRESETS = {preset: dict(fid_samples=3000) for preset in ("long", "paper", "sheet")}
    shards: int = setting(
        1, "Parts of an evaluation, which several processes work on at the same time.", at_least=1, **PROCEDURE
    )

    def extractors(self, dataset: str) -> list:
        """Return the extractors for a dataset (`hw5.metrics.extractors_for`)."""
        how = {"head": self.head, "weights": self.weights}
        return metrics.extractors_for(dataset, self.inception_weights, self.inception_dtype, **how)

    def evaluator(self, size: int, names: Sequence[str] = SAMPLE_METRICS, **source) -> Callable[..., dict]:
        """Make a function that compares samples of a model with training images, and these with held-out ones.

        Args:
            size: height and width of the images.
            names: metrics (`hw5.metrics.evaluate_samples`).
            source: more arguments of `hw5.data.load`.

        Returns:
            A function of a model and of the keys of the extractors to use; by default all of the dataset's.
        """
        extractors = self.extractors(self.dataset)
        how = dict(metrics=names, seed=self.seed, shards=self.shards)
        compare = metrics.evaluator(self.dataset, extractors, self.fid_samples, size, source, **how)

        def evaluate(model, keys=None):
            used = [extractor for extractor in extractors if keys is None or extractor.key in keys]
            return compare(model.sample(self.fid_samples, seed=self.seed), extractors=used)

        return evaluate
