"""Section 10: convolutional VAEs (sheet 004).

VAEs of MNIST at 32×32 with the sheet's layer table and 3, 10 and 100 latent dimensions, and with a
dense and a shallower pair of networks in its place.

    python -m hw5.section10                                              # everything
    python -m hw5.section10 --architecture=convolutional --latent_dim=10   # one model
    python -m hw5.section10 --notrain                                    # evaluate the latest checkpoints
    python -m hw5.section10 --fid_samples=10000                          # the FID of papers, for a GPU

`tensorboard --logdir runs` shows the curves, images, reconstructions and samples during training.
"""

import time

from hw5 import data, figures, flags, metrics, models, networks, results, training
from hw5.metrics import MnistClassifier

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
    steps=5000,
    batch_size=64,
    learning_rate=4e-3,
    mixed_precision=False,
    train_size=None,
    seed=0,
    fid_samples=3000,
    inception_weights=None,
    inception_dtype="float32",
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
        mixed_precision: networks in bfloat16; their weights and the losses in float32.
        fid_samples: samples of each model for the FID (10.5) to as many training images: with InceptionV3
            for the first architecture, and with the MNIST classifier, which takes seconds, for all.

    Returns:
        The contents of metrics.json; `results` holds by architecture and latent dimension reconstruction,
        kl and negative_elbo (validation, nats an image), and fid, `metrics.frechet_report` by extractor.
    """
    settings, started = dict(locals()), time.time()
    folder, run_dir = results.output_folder(out), results.output_folder(run_dir, "run_dir")
    images, validation = (data.resize(part, SIZE) for part in data.train_validation(dataset, train_size))
    shown, length = data.scale(validation[:COLUMNS]), training.recorded(steps)
    latent_dim, architecture = sorted(set(flags.several(latent_dim))), flags.several(architecture)
    extractors = metrics.extractors_for(dataset, inception_weights, inception_dtype)
    real = metrics.reference(dataset, fid_samples, SIZE)

    measured, histories, samples = {}, {}, {}
    for name in architecture:
        rows = [("validation", shown)]
        for dim in latent_dim:
            print(f"{name} VAE, latent dimension {dim}")

            def build(name=name, dim=dim):
                with networks.precision(mixed_precision):
                    pair = ARCHITECTURES[name](dim, image_shape=images.shape[1:])
                return models.VAE(*pair)

            model, history = training.fit(
                build,
                images,
                validation,
                run_dir=run_dir / f"{name}_z{dim}",
                settings={
                    "dataset": dataset,
                    "train_size": train_size,
                    "architecture": name,
                    "latent_dim": dim,
                    "mixed_precision": mixed_precision,
                },
                **length,
                batch_size=batch_size,
                learning_rate=learning_rate,
                seed=seed,
                restart=restart,
                train=train,
            )
            terms = training.negative_elbo(model, validation)
            judges = [each for each in extractors if name == architecture[0] or isinstance(each, MnistClassifier)]
            generated = model.sample(fid_samples, seed=seed)
            fid = {judge.name: metrics.frechet_report(*real, generated, judge, seed=seed) for judge in judges}  # 10.5
            measured.setdefault(name, {})[dim] = terms | {"parameters": model.count_params(), "fid": fid}
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

    draw_comparison(folder, measured, latent_dim)
    print_table(measured)
    first = measured[architecture[0]]
    headline = {f"-ELBO z={dim}": row["negative_elbo"] for dim, row in first.items()}
    headline |= {f"FID z={dim}": row["fid"][extractors[0].name]["fid"] for dim, row in first.items() if extractors}
    content = {"validation": measured, "history": histories}
    return results.save_metrics(folder, settings=settings, results=content, headline=headline, started=started)


def draw_comparison(folder, measured, latent_dim):
    """−ELBO, and the Fréchet distance by the MNIST classifier, over the latent dimensions, a line an architecture."""
    axes = dict(xlabel="latent dimensions", log="x", markers=True)
    lines = {name: (latent_dim, [row["negative_elbo"] for row in rows.values()]) for name, rows in measured.items()}
    figures.curves(folder / "negative_elbo.png", lines, ylabel="validation $-$ELBO, nats an image", **axes)
    judge = MnistClassifier.name
    lines = {
        name: (latent_dim, [row["fid"][judge]["fid"] for row in rows.values()])
        for name, rows in measured.items()
        if all(judge in row["fid"] for row in rows.values())
    }
    if lines:
        figures.curves(folder / "fid_mnist_classifier.png", lines, ylabel="FID, features of digits", **axes)


def print_table(measured):
    """Validation terms in nats an image, and Fréchet distances with what it takes to read them, by model."""
    print(f"{'':<28}{'parameters':>12}{'reconstruction':>16}{'KL':>9}{'-ELBO':>9}")
    rows = [(f"{name}, latent {dim}", row) for name, by_dim in measured.items() for dim, row in by_dim.items()]
    for name, row in rows:
        line = f"{name:<28}{row['parameters']:>12,}{row['reconstruction']:>16.2f}"
        print(line + f"{row['kl']:>9.2f}{row['negative_elbo']:>9.2f}")
    print(f"{'':<28}{'images':>12}{'FID':>9}{'floor':>9}{'FID∞':>9}{'±':>7}  features")
    for name, row in rows:
        for judge, fid in row["fid"].items():
            line = f"{name:<28}{fid['images']:>12,}{fid['fid']:>9.2f}{fid['floor']:>9.2f}"
            print(line + f"{fid['fid_infinity']:>9.2f}{fid['fid_infinity_error']:>7.2f}  {judge}")


if __name__ == "__main__":
    flags.shared(run)
    flags.DEFINE_multi_integer(
        "latent_dim", flags.default(run, "latent_dim"), "Latent dimensions; repeat for several.", lower_bound=1
    )
    flags.DEFINE_multi_enum(
        "architecture", flags.default(run, "architecture"), list(ARCHITECTURES), "Networks; repeat for several."
    )
    flags.launch(run)
