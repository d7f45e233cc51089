"""What each technique of the GANs changes: one training per row, and the FID, precision and recall of its samples.

    python benchmarks/ablation.py                              # digits: all rows, 5 minutes of one core each
    python benchmarks/ablation.py "R1 1" --steps=8000
    python benchmarks/ablation.py --dataset=emojione           # emojis: all rows, 45 minutes of one core each
    python benchmarks/ablation.py --dataset=cartoon_faces      # faces: all rows, an hour of one core each

Digits: MNIST at 28×28, 2,000 steps of 64 images, Adam with β₁ = ½ and learning rate 2e-3, moving average 0.999; the
metrics are of 3,000 samples by the classifier of digits. Emojis: the networks of section 8, 20,000 steps of 16 images,
learning rate 1e-3, moving average 0.999; 3,000 samples and all images by InceptionV3. Faces: the plain GAN of section 5
with its nearest upsampling, 25,000 steps, the rest as for emojis; 3,000 images. FIDs are with the standing statistics
of the generator and, with --left, in brackets with those that the training left. Seconds are those of the processor for
the training: what else runs changes them little.
"""

import argparse
import dataclasses
import functools
import time
from pathlib import Path

import keras

from hw5 import data, layers, metrics, models, networks, training

PENALIZED = dict(normalization="none")
MODULATED = dict(normalization="none", self_modulation=True)
NEAREST = MODULATED | dict(upsampling="nearest")
NO_MOMENTUM = dict(beta_1=0.0, beta_2=0.9)
TRANSLATION = functools.partial(layers.DifferentiableAugmentation, 1 / 8)
# Name → (the networks' arguments, the GAN's, those of the optimizers). An augmentation is a function that makes one;
# `wider` is by how much D is.
DIGITS = {
    "gradient penalty, D with batch normalisation": ({}, dict(gradient_penalty=10.0), {}),
    "gradient penalty, D without": (PENALIZED, dict(gradient_penalty=10.0), {}),
    "gradient penalty, D without, rate falls to 0": (PENALIZED, dict(gradient_penalty=10.0), dict(decay=True)),
    "R1 1": (PENALIZED, dict(r1=1.0), {}),
    "R1 1, self-modulation": (MODULATED, dict(r1=1.0), {}),
    "R1 0.1, self-modulation": (MODULATED, dict(r1=0.1), {}),
    "R1 0.01, self-modulation": (MODULATED, dict(r1=0.01), {}),
    "R1 1, self-modulation, β₂ 0.99": (MODULATED, dict(r1=1.0), dict(beta_2=0.99)),
    "R1 1, self-modulation, β₁ 0": (MODULATED, dict(r1=1.0), dict(beta_1=0.0)),
    "R1 1, self-modulation, β₁ 0, β₂ 0.99": (MODULATED, dict(r1=1.0), dict(beta_1=0.0, beta_2=0.99)),
    "R1 1, self-modulation, β₁ 0, β₂ 0.9": (MODULATED, dict(r1=1.0), NO_MOMENTUM),
    "R1 0.1, self-modulation, β₁ 0, β₂ 0.9": (MODULATED, dict(r1=0.1), NO_MOMENTUM),
    "R1 1, self-modulation, β₁ 0, β₂ 0.9, rate 4e-3": (MODULATED, dict(r1=1.0), NO_MOMENTUM | dict(rate=4e-3)),
    "R1 1, self-modulation, β₁ 0, β₂ 0.9, translation": (
        MODULATED,
        dict(r1=1.0, augmentation=TRANSLATION),
        NO_MOMENTUM,
    ),
    "R1 1, self-modulation, rate 4e-3": (MODULATED, dict(r1=1.0), dict(rate=4e-3)),
    "R1 1, self-modulation, nearest, rate falls to 0": (NEAREST, dict(r1=1.0), dict(decay=True)),
    "R1 5, self-modulation, nearest": (NEAREST, dict(r1=5.0), {}),
    "R1 1 and R2 1, self-modulation": (MODULATED, dict(r1=1.0, r2=1.0), {}),
    "R1 1 and R2 1, self-modulation, relativistic": (MODULATED, dict(objective="relativistic", r1=1.0, r2=1.0), {}),
    "R1 1, self-modulation, translation": (MODULATED, dict(r1=1.0, augmentation=TRANSLATION), {}),
}
EMOJIS = {
    "R1 5, self-modulation, nearest": (NEAREST, dict(r1=5.0), {}),
    "the same, translation": (NEAREST, dict(r1=5.0, augmentation=TRANSLATION), {}),
    "the same, translation and cutout": (
        NEAREST, dict(r1=5.0, augmentation=functools.partial(TRANSLATION, cutout=0.5)), {}
    ),
    "the same, R1 1": (NEAREST, dict(r1=1.0), {}),
    "the same, R1 1, translation": (NEAREST, dict(r1=1.0, augmentation=TRANSLATION), {}),
    "the same, R1 1, β₁ 0, β₂ 0.9": (NEAREST, dict(r1=1.0), NO_MOMENTUM),
    "the same, R1 1, β₁ 0, β₂ 0.9, translation": (NEAREST, dict(r1=1.0, augmentation=TRANSLATION), NO_MOMENTUM),
    "the same, R1 0.2, β₁ 0, β₂ 0.9, translation": (NEAREST, dict(r1=0.2, augmentation=TRANSLATION), NO_MOMENTUM),
    "the same, R1 1, β₁ 0, β₂ 0.9, translation, cutout": (
        NEAREST, dict(r1=1.0, augmentation=functools.partial(TRANSLATION, cutout=0.5)), NO_MOMENTUM
    ),
    "the same, R1 1, β₁ 0, β₂ 0.9, translation, colour": (
        NEAREST, dict(r1=1.0, augmentation=functools.partial(TRANSLATION, color=True)), NO_MOMENTUM
    ),
    "the same, R1 1, β₁ 0, β₂ 0.9, translation, D twice as wide": (
        NEAREST | dict(wider=2), dict(r1=1.0, augmentation=TRANSLATION), NO_MOMENTUM
    ),
}  # fmt: skip
FACES = {
    "R1 5, self-modulation, nearest": (NEAREST, dict(r1=5.0), {}),
    "the same, translation": (NEAREST, dict(r1=5.0, augmentation=TRANSLATION), {}),
    "the same, R1 1, β₁ 0, β₂ 0.9, translation": (NEAREST, dict(r1=1.0, augmentation=TRANSLATION), NO_MOMENTUM),
}


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What the rows of a dataset have in common.

    Attributes:
        rows: the techniques.
        size: height and width of the images, in pixels.
        hidden: channels of the networks at half that size.
        rate: learning rate of both networks.
        num_real: first images of the dataset that samples are compared with; None: all.
        extractor: makes the network of the metrics.
    """

    rows: dict
    size: int
    hidden: int
    steps: int
    batch_size: int
    rate: float
    num_samples: int
    num_real: int | None
    extractor: type


EXPERIMENTS = {
    "mnist": Experiment(DIGITS, 28, 16, 2000, 64, 2e-3, 3000, 3000, metrics.MnistClassifier),
    "emojione": Experiment(EMOJIS, 32, 32, 20_000, 16, 1e-3, 3000, None, metrics.Inception),
    "cartoon_faces": Experiment(FACES, 64, 16, 25_000, 16, 1e-3, 3000, 3000, metrics.Inception),
}


def optimizers(steps, rate, beta_1=0.5, beta_2=0.999, decay=False):
    learning_rate = keras.optimizers.schedules.PolynomialDecay(rate, steps, 0.0) if decay else rate
    make = functools.partial(training.optimizers.Adam, learning_rate, beta_1=beta_1, beta_2=beta_2)
    return {"generator_optimizer": make(), "discriminator_optimizer": make()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", help="techniques; by default all of the dataset")
    parser.add_argument("--dataset", choices=EXPERIMENTS, default="mnist")
    parser.add_argument("--steps", type=int, help="training steps; by default those of the dataset")
    parser.add_argument("--left", action="store_true", help="measure the statistics that the training left as well")
    parser.add_argument("--run_dir", type=Path, default=Path("runs/benchmark_ablation"))
    chosen = parser.parse_args()
    experiment = EXPERIMENTS[chosen.dataset]
    if unknown := [name for name in chosen.rows if name not in experiment.rows]:
        parser.error(f"{chosen.dataset} has no row {unknown[0]!r}; its rows are: {'; '.join(experiment.rows)}")
    images = data.resize(data.load(chosen.dataset), experiment.size)
    real, extractor = images[: experiment.num_real], experiment.extractor()
    schedule = training.Schedule.of_steps(chosen.steps or experiment.steps, experiment.batch_size, 20)

    def measured(gan):
        how = dict(real_images=real, metrics=("fid", "precision_recall"), verbose=False)
        (row,) = metrics.evaluate_samples(gan.generate(experiment.num_samples, seed=0), [extractor], **how).values()
        return row

    print("| technique | FID | precision | recall | seconds |\n| --- | --- | --- | --- | --- |")
    for name in chosen.rows or experiment.rows:
        design, arguments, rates = experiment.rows[name]

        def build(design=design, arguments=arguments):
            made = {key: value() if key == "augmentation" else value for key, value in arguments.items()}
            shape = dict(image_shape=images.shape[1:], **design)
            wider = shape.pop("wider", 1)
            generator, discriminator = networks.dcgan(hidden=experiment.hidden, **shape)
            if wider > 1:
                _, discriminator = networks.dcgan(hidden=wider * experiment.hidden, **shape)
            return models.GAN(generator, discriminator, ema_decay=0.999, **made)

        adam = functools.partial(optimizers, **{"rate": experiment.rate} | rates)
        how = dict(run_dir=chosen.run_dir / chosen.dataset / name, schedule=schedule, optimizers=adam)
        started = time.process_time()
        gan, _ = training.fit(build, images, **how)
        seconds, after = time.process_time() - started, measured(gan)
        row = [name, f"{after['fid']:.1f}", f"{after['precision']:.2f}", f"{after['recall']:.2f}", f"{seconds:,.0f}"]
        if chosen.left:
            gan.ema_generator.set_weights(left_by_the_training(build, images, how))
            row[1] += f" ({measured(gan)['fid']:.1f})"
        print("|", " | ".join(row), "|", flush=True)


def left_by_the_training(build, images, how):
    """Return the generator's weights as the last checkpoint has them, before the statistics were replaced."""
    finish, models.GAN.finish_training = models.GAN.finish_training, lambda _: None
    try:
        gan, _ = training.fit(build, images, mode="evaluate", **how)
    finally:
        models.GAN.finish_training = finish
    return gan.ema_generator.get_weights()


if __name__ == "__main__":
    main()
