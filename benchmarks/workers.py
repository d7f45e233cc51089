"""Throughput of two workers compared with one, each with one thread on a core of its own.

    python benchmarks/workers.py

Every worker has a batch of 128, so two train on 256 images a step. Prints a table: images per second of one and of two
workers, their ratio, and its half, the efficiency.
"""

import multiprocessing
import os
import socket
import sys
import tempfile
import time

BATCH = 128  # images per worker
WARM_UP, STEPS, REPEATS = 10, 40, 3


def build(name):
    from hw5 import models, networks

    if name == "dense VAE":
        return models.VAE(*networks.dense_vae(20))
    if name == "convolutional VAE":
        return models.VAE(*networks.convolutional_vae(100))
    return models.GAN(*networks.dcgan(100, 16, (32, 32, 1)), ema_decay=0.99)


def work(name, addresses, task, results):
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[task]})
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(null, stream.fileno())
    import keras
    import numpy as np
    import tensorflow as tf

    from hw5 import training

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    strategy = training.make_strategy("multiworker", addresses, task) if len(addresses) > 1 else None
    size = 28 if name == "dense VAE" else 32
    images = np.random.default_rng(0).integers(0, 256, (2048, size, size, 1), np.uint8)

    class Clock(keras.callbacks.Callback):
        best = float("inf")

        def on_train_batch_end(self, batch, logs=None):
            if batch + 1 == WARM_UP:
                self.started = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            self.best = min(self.best, time.perf_counter() - self.started)

    clock = Clock()
    optimizers = training.gan_optimizers(1e-4) if "GAN" in name else training.adam(1e-4)
    schedule = training.Schedule(BATCH * len(addresses), REPEATS, WARM_UP + STEPS)
    training.Schedule.steps_per_execution = 1  # as a cluster has it
    how = dict(run_dir=tempfile.mkdtemp(), schedule=schedule, optimizers=optimizers)
    training.fit(lambda: build(name), images, callbacks=[clock], strategy=strategy, **how)
    if task == 0:
        results.put(schedule.batch_size * STEPS / clock.best)
        results.close()
        results.join_thread()
    os._exit(0)


def images_per_second(name, number):
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    addresses = [f"127.0.0.1:{server.getsockname()[1]}" for server in servers]
    for server in servers:
        server.close()
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=work, args=(name, addresses, task, results)) for task in range(number)]
    for worker in workers:
        worker.start()
    value = results.get(timeout=600)
    for worker in workers:
        worker.join()
    return value


if __name__ == "__main__":
    print("| model | one worker, images/s | two workers | ratio | efficiency |\n| --- | --- | --- | --- | --- |")
    for name in ("dense VAE", "convolutional VAE", "GAN of section 11"):
        one, two = (images_per_second(name, number) for number in (1, 2))
        print(f"| {name} | {one:,.0f} | {two:,.0f} | {two / one:.2f} | {two / one / 2:.0%} |", flush=True)
