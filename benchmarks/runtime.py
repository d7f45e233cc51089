"""Settings of TensorFlow's runtime that might make a training step faster, compared with its defaults.

    python benchmarks/runtime.py                # all models, a quarter of an hour
    python benchmarks/runtime.py "section 10"   # those whose names have one of these words

A setting holds for a whole process, so each has processes of its own. They take turns, and each keeps its best time.
"""

import json
import os
import subprocess
import sys

import numpy as np
import tensorflow as tf
from mixed_precision import MODELS, training_turn

from hw5 import models, networks, section1, section2

# Name → (environment, threads of an operation or 0 for as many as there are cores, whether XLA compiles the step).
SETTINGS = {
    "default": ({}, 0, False),
    "one thread": ({}, 1, False),
    "caller's thread": ({"TF_ONEDNN_THREADPOOL_USE_CALLER_THREAD": "1"}, 0, False),
    "XLA": ({}, 0, True),
    "XLA, oneDNN": ({"XLA_FLAGS": "--xla_cpu_experimental_onednn_custom_call=true"}, 0, True),
}
ALL_MODELS = {
    "linear autoencoder": (
        section1.Settings,
        (28, 28, 1),
        lambda settings, shape: section1.autoencoder("linear", 50, 0, shape),
    ),
    "dense VAE": (section2.Settings, (28, 28, 1), lambda settings, shape: models.VAE(*networks.dense_vae(10))),
} | MODELS
ROUNDS, TURNS = 2, 6


def times(setting: str, names: list[str]) -> list[float]:
    """Return the milliseconds of a step of each model in this process, the least of `TURNS` turns."""
    _, threads, xla = SETTINGS[setting]
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    found = []
    for name in names:
        make_settings, shape, build = ALL_MODELS[name]
        settings = make_settings()
        turn = training_turn(settings, shape, build(settings, shape), jit_compile=xla)
        turn()  # compilation
        found.append(min(turn() for _ in range(TURNS)))
    return found


def main():
    words = sys.argv[1:]
    names = [name for name in ALL_MODELS if not words or any(word in name for word in words)]
    least = dict.fromkeys(SETTINGS, np.inf)
    for _ in range(ROUNDS):
        for setting, (environment, *_) in SETTINGS.items():
            child = [sys.executable, __file__, "--times", setting, *names]
            done = subprocess.run(child, env=os.environ | environment, stdout=subprocess.PIPE, check=True)
            least[setting] = np.minimum(least[setting], json.loads(done.stdout.splitlines()[-1]))
    print(f"| ms per step | {' | '.join(SETTINGS)} |\n| --- |{' --- |' * len(SETTINGS)}")
    for name, *row in zip(names, *least.values(), strict=True):
        print(f"| {name} | {' | '.join(f'{value:.2f}' for value in row)} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--times"]:
        print(json.dumps(times(sys.argv[2], sys.argv[3:])))
    else:
        main()
