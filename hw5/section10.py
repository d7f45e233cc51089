"""Section 10: convolutional VAEs (sheet 004).

VAEs of MNIST at 32×32 with the sheet's layer table and 3, 10 and 100 latent dimensions, and with a
dense and a shallower pair of networks in its place.

    python -m hw5.section10                                              # everything
    python -m hw5.section10 --architecture=convolutional --latent_dim=10   # one model
    python -m hw5.section10 --notrain                                    # evaluate the latest checkpoints

`tensorboard --logdir runs` shows the curves, images, reconstructions and samples during training.
"""

import time

from hw5 import data, figures, flags, models, networks, results, training

SIZE = 32
ARCHITECTURES = {
    "convolutional": networks.convolutional_vae,
    "shallow": networks.shallow_vae,
    "dense": networks.dense_vae,
}
COLUMNS = 10


def run(
    *,
    latent_dim=(3, 10, 100),
    architecture=tuple(ARCHITECTURES),
    dataset="mnist",
    steps=1500,
    batch_size=128,
    learning_rate=2e-3,
    train_size=None,
    seed=0,
    restart=False,
    train=True,
    out="figures/section10",
    run_dir="runs/section10",
):
    """Train a VAE of every architecture for every latent dimension, and draw the figures.

    Args:
        latent_dim: numbers of latent dimensions (10.2).
        architecture: "convolutional", the sheet's table; "shallow", "dense", the bonus (10.6).
        steps: length of each training, the sheet's `num_train_steps`.

    Returns:
        The contents of metrics.json; `results` holds reconstruction, kl and negative_elbo (validation,
        nats an image) by architecture and latent dimension.
    """
    settings, started = dict(locals()), time.time()
    folder, run_dir = results.output_folder(out), results.output_folder(run_dir, "run_dir")
    images, validation = (data.resize(part, SIZE) for part in data.train_validation(dataset, train_size))
    shown, length = data.scale(validation[:COLUMNS]), training.recorded(steps)
    latent_dim = sorted({latent_dim} if isinstance(latent_dim, int) else set(latent_dim))
    architecture = [architecture] if isinstance(architecture, str) else architecture

    measured, histories, samples = {}, {}, {}
    for name in architecture:
        rows = [("validation", shown)]
        for dim in latent_dim:
            print(f"{name} VAE, latent dimension {dim}")
            model, history = training.fit(
                lambda name=name, dim=dim: models.VAE(*ARCHITECTURES[name](dim, image_shape=images.shape[1:])),
                images,
                validation,
                run_dir=run_dir / f"{name}_z{dim}",
                settings={"dataset": dataset, "train_size": train_size, "architecture": name, "latent_dim": dim},
                **length,
                batch_size=batch_size,
                learning_rate=learning_rate,
                seed=seed,
                restart=restart,
                train=train,
            )
            terms = training.negative_elbo(model, validation)
            measured.setdefault(name, {})[dim] = terms | {"parameters": model.count_params()}
            histories[f"{name}, latent {dim}"] = history
            title = f"{name}, latent dimension {dim}, batch size {batch_size}, {steps:,} training steps"
            path = folder / f"curves_{name}_z{dim}.png"
            figures.training_curves(path, history, steps=length["steps_per_epoch"], title=title)  # 10.4
            noise = training.fixed_noise(run_dir / f"{name}_z{dim}", dim, seed)[:COLUMNS]
            images_of = [("validation", shown), ("reconstruction", model.reconstruct(shown))]
            figures.image_rows(folder / f"images_{name}_z{dim}.png", [*images_of, ("sample", model.decode(noise))])
            rows += [(f"latent {dim}", images_of[1][1])]
            samples[name, dim] = model.decode(noise)
        rows += [(f"sample, latent {dim}", samples[name, dim]) for dim in latent_dim]
        figures.image_rows(folder / f"overview_{name}.png", rows)

    lines = {
        f"{name}": (latent_dim, [row["negative_elbo"] for row in by_dim.values()]) for name, by_dim in measured.items()
    }
    axes = dict(xlabel="latent dimensions", ylabel="validation $-$ELBO, nats an image")
    figures.curves(folder / "negative_elbo.png", lines, **axes, log="x", markers=True)
    print_table(measured)
    headline = {f"-ELBO z={dim}": row["negative_elbo"] for dim, row in measured[architecture[0]].items()}
    content = {"validation": measured, "history": histories}
    return results.save_metrics(folder, settings=settings, results=content, headline=headline, started=started)


def print_table(measured):
    """Validation reconstruction, KL and −ELBO in nats an image, a row per model."""
    print(f"{'validation, nats an image':<28}{'parameters':>12}{'reconstruction':>16}{'KL':>9}{'-ELBO':>9}")
    for name, by_dim in measured.items():
        for dim, row in by_dim.items():
            line = f"{f'{name}, latent {dim}':<28}{row['parameters']:>12,}{row['reconstruction']:>16.2f}"
            print(line + f"{row['kl']:>9.2f}{row['negative_elbo']:>9.2f}")


if __name__ == "__main__":
    flags.shared(run)
    flags.DEFINE_multi_integer(
        "latent_dim", flags.default(run, "latent_dim"), "Latent dimensions; repeat for several.", lower_bound=1
    )
    flags.DEFINE_multi_enum(
        "architecture", flags.default(run, "architecture"), list(ARCHITECTURES), "Networks; repeat for several."
    )
    flags.launch(run)
