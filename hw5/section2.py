"""Section 2: variational autoencoders (sheet 000, part II).

A dense VAE of MNIST with k latent dimensions, with the KL divergence in its loss and (II.5) without.

    python -m hw5.section2                        # everything
    python -m hw5.section2 --k=5                  # one k, with and without the KL divergence
    python -m hw5.section2 --k=5 --kl_weight=1    # one model
"""

import time

import numpy as np

from hw5 import data, figures, flags, models, networks, results, training, visualize


def run(
    *,
    k=(2, 5, 10, 50, 100),
    kl_weight=(1.0, 0.0),
    activation="softplus",
    dataset="mnist",
    epochs=15,
    batch_size=128,
    learning_rate=1e-2,
    train_size=None,
    seed=0,
    restart=False,
    train=True,
    out="figures/section2",
    run_dir="runs/section2",
):
    """Train the VAE for every k and KL weight and draw the figures.

    Args:
        k: numbers of latent dimensions.
        kl_weight: weights of the KL divergence; 1 is the ELBO (II.2), 0 the cross-entropy alone (II.5).
        activation: of the encoder's hidden layer.

    Returns:
        The contents of metrics.json; `results` holds reconstruction, kl and negative_elbo (validation,
        nats an image) by KL weight and k.
    """
    settings, started = dict(locals()), time.time()
    folder, run_dir = results.output_folder(out), results.output_folder(run_dir, "run_dir")
    k = sorted(set(k))
    images, validation = data.train_validation(dataset, train_size)

    trained, measured, histories = {}, {}, {}
    for weight in kl_weight:
        for dim in k:
            print(f"VAE, k = {dim}, KL weight {weight:g}")
            name = f"k{dim}" if weight == 1 else f"k{dim}_kl{weight:g}"
            model, history = training.fit(  # II.3
                lambda dim=dim, weight=weight: models.VAE(
                    *networks.dense_vae(dim, activation=activation, image_shape=images.shape[1:]), kl_weight=weight
                ),
                images,
                validation,
                run_dir=run_dir / name,
                settings=dict(dataset=dataset, train_size=train_size, k=dim, kl_weight=weight, activation=activation),
                epochs=epochs,
                batch_size=batch_size,
                learning_rate=learning_rate,
                seed=seed,
                restart=restart,
                train=train,
            )
            trained[weight, dim] = model
            histories[f"kl_weight={weight:g}, k={dim}"] = history
            measured.setdefault(f"kl_weight={weight:g}", {})[f"k={dim}"] = training.negative_elbo(model, validation)
            visualize.code_figures(model, images, validation, folder, name)  # II.4
            if dim == 2:
                visualize.latent_plane(model, folder / f"plane_{name}.png")

    draw_comparisons(folder, trained, data.scale(validation[: visualize.SHOWN]), k, kl_weight)
    if 2 in k:
        inputs = data.scale(validation)
        codes = {f"KL weight {weight:g}": np.asarray(trained[weight, 2].encode(inputs)) for weight in kl_weight}
        labels = data.load(dataset, "train[90%:]", feature="label") if data.has_feature(dataset, "label") else None
        figures.scatter(folder / "codes_k2.png", codes, labels, xlabel=r"$\mu_1$", ylabel=r"$\mu_2$")
    print_table(measured)
    by_k = measured[f"kl_weight={max(kl_weight):g}"]
    headline = {f"-ELBO {dim}": terms["negative_elbo"] for dim, terms in by_k.items()}
    return results.save_metrics(
        folder,
        settings=settings,
        results={"validation": measured, "history": histories},
        headline=headline,
        started=started,
    )


def draw_comparisons(folder, trained, originals, k, kl_weight):
    """Reconstructions and samples over k for each KL weight, and of all weights side by side for each k."""
    for weight in kl_weight:
        rows = [("original", originals)]
        rows += [(f"$k = {dim}$", trained[weight, dim].reconstruct(originals)) for dim in k]
        rows += [(f"sample, $k = {dim}$", trained[weight, dim].sample(len(originals), seed=0)) for dim in k]
        figures.image_rows(folder / f"overview_kl{weight:g}.png", rows, title=f"KL weight {weight:g}")
    if len(kl_weight) > 1:
        for dim in k:
            rows = [("original", originals)]
            rows += [(f"KL weight {weight:g}", trained[weight, dim].reconstruct(originals)) for weight in kl_weight]
            rows += [
                (f"sample, weight {weight:g}", trained[weight, dim].sample(len(originals), seed=0))
                for weight in kl_weight
            ]
            figures.image_rows(folder / f"kl_weights_k{dim}.png", rows)


def print_table(measured):
    """Validation reconstruction, KL and −ELBO in nats an image, a row per model."""
    print(f"{'validation, nats an image':<28}{'reconstruction':>15}{'KL':>10}{'-ELBO':>10}")
    for weight, by_k in measured.items():
        for dim, terms in by_k.items():
            reconstruction, kl, negative_elbo = terms.values()
            print(f"{f'{weight}, {dim}':<28}{reconstruction:>15.2f}{kl:>10.2f}{negative_elbo:>10.2f}")


if __name__ == "__main__":
    flags.shared(run)
    flags.DEFINE_multi_integer("k", flags.default(run, "k"), "Latent dimensions; repeat for several.", lower_bound=1)
    flags.DEFINE_multi_float("kl_weight", flags.default(run, "kl_weight"), "KL weight; repeat.", lower_bound=0)
    flags.DEFINE_enum(
        "activation", flags.default(run, "activation"), networks.ACTIVATIONS, "Non-linearity of the encoder."
    )
    flags.launch(run)
