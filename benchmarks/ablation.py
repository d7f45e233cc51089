"""What each technique of the GANs changes: digits by a short training, one row per technique.

    python benchmarks/ablation.py                 # all rows, about 3 minutes each on two cores
    python benchmarks/ablation.py "R1 1" --steps=8000

MNIST at 28×28, 2,000 steps of 64 images, Adam with β₁ = ½ and learning rate 2e-3, moving average 0.999. FID, precision
and recall are of 3,000 samples by the classifier of digits, with the standing statistics of the generator and, in
brackets, with those that the training left.
"""

import argparse
import functools
import time
from pathlib import Path

import keras

from hw5 import data, layers, metrics, models, networks, training

PENALIZED = dict(normalization="none")
MODULATED = dict(normalization="none", self_modulation=True)
# Name → (the networks' arguments, the GAN's, those of the optimizers).
ROWS = {
    "gradient penalty, D with batch normalisation": ({}, dict(gradient_penalty=10.0), {}),
    "gradient penalty, D without": (PENALIZED, dict(gradient_penalty=10.0), {}),
    "gradient penalty, D without, rate falls to 0": (PENALIZED, dict(gradient_penalty=10.0), dict(decay=True)),
    "R1 1": (PENALIZED, dict(r1=1.0), {}),
    "R1 1, self-modulation": (MODULATED, dict(r1=1.0), {}),
    "R1 0.1, self-modulation": (MODULATED, dict(r1=0.1), {}),
    "R1 0.01, self-modulation": (MODULATED, dict(r1=0.01), {}),
    "R1 0.1, self-modulation, β₂ 0.99": (MODULATED, dict(r1=0.1), dict(beta_2=0.99)),
    "R1 0.1, self-modulation, rate 4e-3": (MODULATED, dict(r1=0.1), dict(rate=4e-3)),
    "R1 1, self-modulation, nearest, rate falls to 0": (
        MODULATED | dict(upsampling="nearest"), dict(r1=1.0), dict(decay=True)
    ),
    "R1 5, self-modulation, nearest": (MODULATED | dict(upsampling="nearest"), dict(r1=5.0), {}),
    "R1 0.1, self-modulation, relativistic, R2 0.1": (
        MODULATED, dict(objective="relativistic", r1=0.1, r2=0.1), dict(beta_1=0.0, beta_2=0.99)
    ),
    "R1 0.1, self-modulation, translation": (
        MODULATED, dict(r1=0.1, augmentation=layers.DifferentiableAugmentation), {}
    ),
}  # fmt: skip


def optimizers(steps, rate=2e-3, beta_1=0.5, beta_2=0.999, decay=False):
    learning_rate = keras.optimizers.schedules.PolynomialDecay(rate, steps, 0.0) if decay else rate
    make = functools.partial(training.optimizers.Adam, learning_rate, beta_1=beta_1, beta_2=beta_2)
    return {"generator_optimizer": make(), "discriminator_optimizer": make()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", default=[*ROWS])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--run_dir", type=Path, default=Path("runs/benchmark_ablation"))
    chosen = parser.parse_args()
    images, _ = data.train_validation("mnist")
    names = ("fid", "precision_recall")
    evaluate = metrics.evaluator("mnist", [metrics.MnistClassifier()], 3000, 28, metrics=names, verbose=False)
    print("| technique | FID | precision | recall | seconds |\n| --- | --- | --- | --- | --- |")
    for name in chosen.rows:
        design, arguments, rates = ROWS[name]

        def build(design=design, arguments=arguments):
            made = {key: value() if key == "augmentation" else value for key, value in arguments.items()}
            return models.GAN(*networks.dcgan(image_shape=(28, 28, 1), **design), ema_decay=0.999, **made)

        def measured(gan):
            return evaluate(gan.generate(3000, seed=0))["mnist_classifier"]

        started = time.time()
        how = dict(run_dir=chosen.run_dir / name, schedule=training.Schedule.of_steps(chosen.steps, 64, 20))
        gan, _ = training.fit(build, images, optimizers=functools.partial(optimizers, **rates), **how)
        seconds, after = time.time() - started, measured(gan)
        gan.ema_generator.set_weights(left_by_the_training(build, how, rates, images))
        row = [
            f"{after['fid']:.1f} ({measured(gan)['fid']:.1f})",
            f"{after['precision']:.2f}",
            f"{after['recall']:.2f}",
        ]
        print("|", " | ".join([name, *row, f"{seconds:.0f}"]), "|", flush=True)


def left_by_the_training(build, how, rates, images):
    """Return the generator's weights as the last checkpoint has them, before the statistics were replaced."""
    finish, models.GAN.finish_training = models.GAN.finish_training, lambda _: None
    try:
        gan, _ = training.fit(build, images, optimizers=functools.partial(optimizers, **rates), mode="evaluate", **how)
    finally:
        models.GAN.finish_training = finish
    return gan.ema_generator.get_weights()


if __name__ == "__main__":
    main()
