"""Training steps of sections 5, 8, 10 and 11 in 16 bits and in float32.

    python benchmarks/mixed_precision.py              # all models
    python benchmarks/mixed_precision.py "section 8"  # those whose names have one of these words

The models, batches and optimizers are those of the sections. The two types take turns, and each keeps its best time.
Only processors with instructions for bfloat16 (avx512_bf16) gain from it.
"""

import sys
import time

import numpy as np

from hw5 import models, networks, section5, section8, section10, section11, training, variants
from hw5.data import pipeline

TURNS, STEPS = 6, 20


def face_model(kind, likelihood=None):
    variant = variants.Variant(kind, "vanilla", "nearest", likelihood)
    return lambda settings, shape: getattr(variants, f"build_{kind}")(variant, settings, shape)


def emoji_gan(objective):
    design, arguments = section8.TRAININGS[objective]
    return lambda settings, shape: models.GAN(*settings.dcgan(shape, **design), objective, **arguments)


def digit_vae(settings, shape):
    with networks.precision(settings.mixed_precision):
        return models.VAE(*networks.convolutional_vae(100, image_shape=shape))


def digit_gan(settings, shape):
    return models.GAN(*settings.dcgan(shape), r1=settings.r1)


# Name → the section's settings, the shape of its images, and a function of both that builds the model.
MODELS = {
    "section 5, plain GAN": (section5.Settings, (64, 64, 3), face_model("gan")),
    "section 5, VAE": (section5.Settings, (64, 64, 3), face_model("vae", "logistic")),
    "section 8, least squares": (section8.Settings, (32, 32, 3), emoji_gan("least_squares")),
    "section 8, non-saturating": (section8.Settings, (32, 32, 3), emoji_gan("non_saturating")),
    "section 10, 100 latents": (section10.Settings, (32, 32, 1), digit_vae),
    "section 11": (section11.Settings, (32, 32, 1), digit_gan),
}


def training_turn(settings, shape, model, **compilation):
    """Return a function that trains for `STEPS` steps and returns the milliseconds of one."""
    optimizers = settings.optimizers() if isinstance(model, models.GAN) else training.adam(1e-3)
    model.compile(**optimizers(STEPS), steps_per_execution=STEPS, **compilation)
    images = np.random.default_rng(0).integers(0, 256, (1024, *shape), np.uint8)
    batches = pipeline(images, settings.batch_size, value_range=model.value_range, shuffle=True, epochs=None)

    def turn():
        started = time.perf_counter()
        model.fit(batches, steps_per_epoch=STEPS, verbose=0, shuffle=False)
        return (time.perf_counter() - started) / STEPS * 1000

    return turn


def main():
    words = sys.argv[1:]
    print("| model | batch | float32, ms | 16 bits, ms | ratio |\n| --- | --- | --- | --- | --- |")
    for name, (make_settings, shape, build) in MODELS.items():
        if words and not any(word in name for word in words):
            continue
        turns = []
        for mixed in (False, True):
            settings = make_settings(mixed_precision=mixed)
            turns.append(training_turn(settings, shape, build(settings, shape)))
        for turn in turns:
            turn()  # compilation
        single, half = np.min([[turn() for turn in turns] for _ in range(TURNS)], axis=0)
        print(f"| {name} | {settings.batch_size} | {single:.1f} | {half:.1f} | {single / half:.2f} |", flush=True)


if __name__ == "__main__":
    main()
