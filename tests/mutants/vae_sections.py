"""Mistakes in what sections do with VAEs: their data, training, figures and results (2, 4, 5, 9 and 10)."""

# ruff: noqa: E501 (edits are pieces of files)

from measures import DATA, PREPARED
from mutant import Mutant, mutant
from vaes import HEAD, Z

EVALUATED = "evaluate(samples) if evaluate else {}"
IWAE = "return models.ImportanceWeightedVAE(*pair, settings.importance_samples, **arguments)"
HISTORY = 'measured[name] = {"history": history,'
ROWS_OF_9 = "rows = np.concatenate([first[:, None], between, last[:, None]], axis=1)"
BETWEEN = "between = model.interpolate(model.encode(first), model.encode(last), shares)"
TRAIN_VALIDATION = "images, validation = run.train_validation()\n"
EVALUATION = "evaluate(model, keys if prior == settings.prior[0] else [BY_DIGITS])"

MUTANTS = [
    # section 2
    Mutant(
        "without-k-of-100",
        "protocol",
        ("2.3",),
        (("section2.py", "setting((2, 5, 10, 50, 100),", "setting((2, 5, 10, 50),"),),
        runs=False,
    ),
    mutant(
        "section-2-of-128-units",
        "networks",
        ("2.3",),
        "section2.py",
        "networks.dense_vae(dim, **shape)",
        "networks.dense_vae(dim, 128, **shape)",
    ),
    Mutant(
        "always-two-dimensions",
        "protocol",
        ("2.3",),
        (("section2.py", "networks.dense_vae(dim, **shape)", "networks.dense_vae(2, **shape)"),),
    ),
    Mutant(
        "encoder-is-not-trained",
        "protocol",
        ("2.3", "2.5"),
        (
            (
                "section2.py",
                "return models.VAE(*networks.dense_vae(dim, **shape), kl_weight=weight)",
                "encoder, decoder = networks.dense_vae(dim, **shape)\n"
                "            encoder.trainable = False\n"
                "            return models.VAE(encoder, decoder, kl_weight=weight)",
            ),
        ),
    ),
    Mutant(
        "both-weights-are-one",
        "variants",
        ("2.5",),
        (("section2.py", "networks.dense_vae(dim, **shape), kl_weight=weight)", "networks.dense_vae(dim, **shape))"),),
    ),
    Mutant(
        "negative-elbo-without-kl",
        "claims",
        ("2.5",),
        (("training/fitting.py", "sum(terms.values())}", 'terms["reconstruction"]}'),),
    ),
    # section 4
    mutant(
        "section-4-of-eight-latents",
        "networks",
        ("4.1",),
        "section4.py",
        "latent_dim: int = setting(32,",
        "latent_dim: int = setting(8,",
    ),
    mutant(
        "section-4-without-dropout",
        "networks",
        ("4.1",),
        "section4.py",
        "dropout: float = setting(0.1,",
        "dropout: float = setting(0.0,",
    ),
    Mutant(
        "batches-of-128",
        "protocol",
        ("4.1",),
        (("section4.py", "batch_size = 100", "batch_size = 128"),),
        runs=False,
    ),
    mutant(
        "section-4-batches-of-another-size",
        "protocol",
        ("4.1",),
        "section4.py",
        "images, validation, kl_weight=weight, sweep=())",
        "images, validation, kl_weight=weight, sweep=(), schedule=training.Schedule.of_steps(settings.steps, 128, settings.num_epochs))",
    ),
    Mutant(
        "only-the-chosen-weight",
        "protocol",
        ("4.2",),
        (("section4.py", "in sorted({*settings.sweep, settings.kl_weight}):", "in [settings.kl_weight]:"),),
    ),
    Mutant(
        "sweep-of-one-weight",
        "variants",
        ("4.2",),
        (("section4.py", "**network), kl_weight=weight)", "**network), kl_weight=settings.kl_weight)"),),
    ),
    Mutant(
        "reports-terms-of-training-images",
        "claims",
        ("4.2",),
        (("section4.py", "training.negative_elbo(model, validation)", "training.negative_elbo(model, images[:50])"),),
    ),
    Mutant(
        "reconstructions-are-samples",
        "figures",
        ("4.3",),
        (
            (
                "section4.py",
                'rows = [("reconstructed", reconstructed[run.settings.kl_weight]), ("new"',
                'rows = [("reconstructed", new[run.settings.kl_weight][::-1]), ("new"',
            ),
            ("section4.py", '[("existing", existing), *rows], title=title)', "[*rows], title=title)"),
        ),
    ),
    Mutant(
        "new-images-are-training-images",
        "figures",
        ("4.3",),
        (
            ("section4.py", '("new", new[run.settings.kl_weight])]', '("new", data.scale(images[:NUM_SHOWN]))]'),
            ("section4.py", '[("existing", existing), *rows], title=title)', "[*rows], title=title)"),
        ),
    ),
    Mutant("rows-of-ten", "figures", ("4.3",), (("section4.py", "NUM_SHOWN = 16", "NUM_SHOWN = 10"),)),
    Mutant(
        "classes-of-training-images",
        "claims",
        ("4.4",),
        (
            (
                "section4.py",
                EVALUATED,
                "evaluate(data.scale(data.load('mnist', limit=settings.fid_samples))) if evaluate else {}",
            ),
        ),
    ),
    Mutant(
        "classes-are-a-constant",
        "claims",
        ("4.4",),
        (
            (
                "section4.py",
                EVALUATED,
                "{'mnist_classifier': evaluate(samples)['mnist_classifier'] | {'class_proportions': np.full(10, 0.1)}}",
            ),
        ),
    ),
    mutant(
        "section-4-counts-claimed",
        "claims",
        ("4.4",),
        "section4.py",
        EVALUATED,
        '{key: row | {"num_samples": 10 * row["num_samples"]} for key, row in evaluate(samples).items()}',
    ),
    mutant(
        "labels-in-another-order",
        "protocol",
        ("4.4", "9.2"),
        DATA,
        PREPARED,
        'found = prepared.load(dataset, split, feature, limit)\n    return found[::-1] if feature == "label" else found',
    ),
    # section 5
    Mutant(
        "faces-of-the-test-split",
        "protocol",
        ("5.2",),
        (
            (
                "section5.py",
                'for split in ("train", "validation", "test"))',
                'for split in ("test", "validation", "test"))',
            ),
        ),
    ),
    mutant(
        "section-5-iwae-that-is-a-vae",
        "variants",
        ("5.4",),
        "variants.py",
        IWAE,
        "return models.VAE(*pair, **arguments)",
    ),
    mutant(
        "section-5-iwae-of-one-sample",
        "variants",
        ("5.4",),
        "variants.py",
        IWAE,
        IWAE.replace("settings.importance_samples", "1"),
    ),
    mutant(
        "section-5-flow-that-is-a-vae",
        "variants",
        ("5.4",),
        "variants.py",
        "return models.FlowVAE(*pair, distributions.InverseAutoregressiveFlow(FLOW_STEPS), **arguments)",
        "return models.VAE(*pair, **arguments)",
    ),
    Mutant(
        "traversal-of-all-dimensions-at-once",
        "figures",
        ("5.5",),
        (
            ("figures/latent.py", "low[np.arange(len(dimensions)), :, dimensions] = -3", "low[...] = -3"),
            ("figures/latent.py", "high[np.arange(len(dimensions)), :, dimensions] = 3", "high[...] = 3"),
        ),
    ),
    Mutant(
        "pixels-are-codes-again",
        "figures",
        ("5.5",),
        (("figures/latent.py", '("pixels", mixed)]', '("pixels", images)]'),),
    ),
    Mutant(
        "kl-is-not-monitored",
        "claims",
        ("5.8",),
        (
            (
                "section5.py",
                HISTORY,
                'measured[name] = {"history": {key: v for key, v in history.items() if "kl" not in key},',
            ),
        ),
    ),
    mutant(
        "section-5-vaes-curves-invented",
        "claims",
        ("5.8",),
        "section5.py",
        HISTORY,
        HISTORY.replace("history,", '{key: [90.0, 80.0] for key in history} if "kl" in history else history,'),
    ),
    # section 9
    Mutant(
        "trains-on-test-images-too",
        "protocol",
        ("9.1",),
        (
            (
                "section9.py",
                "images, validation = run.train_validation()\n",
                "images, validation = run.train_validation()\n"
                '    images = np.concatenate([images, data.load(dataset, "test")])\n',
            ),
        ),
    ),
    Mutant(
        "trains-on-test-images-alone",
        "protocol",
        ("9.1",),
        (
            (
                "section9.py",
                "images, validation = run.train_validation()\n",
                'images, validation = data.load(dataset, "test"), run.train_validation()[1]\n',
            ),
        ),
    ),
    mutant(
        "section-9-without-the-kl",
        "variants",
        ("9.1",),
        "section9.py",
        "return models.VAE(*pair)",
        "return models.VAE(*pair, kl_weight=0.0)",
    ),
    Mutant(
        "interpolation-swapped",
        "figures",
        ("9.2",),
        (("section9.py", BETWEEN, "between = model.interpolate(model.encode(last), model.encode(first), shares)"),),
    ),
    Mutant(
        "interpolation-of-pixels",
        "figures",
        ("9.2",),
        (
            (
                "section9.py",
                BETWEEN,
                "between = np.stack([first + share * (last - first) for share in shares], axis=1)",
            ),
        ),
    ),
    Mutant(
        "interpolation-without-its-ends",
        "figures",
        ("9.2",),
        (("section9.py", ROWS_OF_9, "rows = np.asarray(between)"),),
    ),
    Mutant(
        "five-interpolates", "figures", ("9.2",), (("section9.py", "NUM_INTERPOLATES = 7", "NUM_INTERPOLATES = 5"),)
    ),
    Mutant(
        "pairs-of-the-other-kind",
        "protocol",
        ("9.2",),
        (
            (
                "section9.py",
                '{"same_class": True, "different_classes": False}',
                '{"same_class": False, "different_classes": True}',
            ),
        ),
    ),
    mutant(
        "section-9-labels-of-training-images",
        "protocol",
        ("9.2",),
        "section9.py",
        'data.load(dataset, "test", feature="label")',
        'data.load(dataset, "train[:10000]", feature="label")',
    ),
    # section 10
    Mutant(
        "latents-of-3-and-10",
        "protocol",
        ("10.2",),
        (("section10.py", "setting((3, 10, 100),", "setting((3, 10),"),),
        runs=False,
    ),
    Mutant(
        "always-ten-latents",
        "protocol",
        ("10.2",),
        (("section10.py", "ARCHITECTURES[name](dim,", "ARCHITECTURES[name](10,"),),
    ),
    mutant(
        "section-10-inverted-digits",
        "protocol",
        ("10.2",),
        "section10.py",
        "images, validation = run.train_validation(SIZE)",
        "images, validation = (255 - some for some in run.train_validation(SIZE))",
    ),
    Mutant(
        "checkpoint-is-never-used",
        "protocol",
        ("10.3",),
        (
            (
                "training/callbacks.py",
                "checkpoints.assign(self._variables(), arrays)",
                "self._variables()",
            ),
        ),
    ),
    Mutant(
        "trains-again",
        "protocol",
        ("10.3",),
        (
            (
                "section.py",
                '"evaluate" if not settings.train else "restart" if settings.restart else "resume"',
                '"restart"',
            ),
        ),
    ),
    mutant(
        "never-resumes",
        "protocol",
        ("10.3",),
        "section.py",
        '"restart" if settings.restart else "resume"',
        '"restart"',
    ),
    Mutant(
        "curves-without-validation",
        "protocol",
        ("10.4",),
        (
            (
                "section10.py",
                "folder, build, images, validation, latent_dim=dim",
                "folder, build, images, latent_dim=dim",
            ),
        ),
    ),
    Mutant(
        "nothing-for-tensorboard",
        "protocol",
        ("10.4",),
        (
            (
                "training/fitting.py",
                "callbacks.append(own.TensorBoard(run_dir, checkpoint.arguments, schedule.num_epochs, *shown))",
                "pass",
            ),
        ),
    ),
    Mutant(
        "draws-originals-as-reconstructions",
        "figures",
        ("10.4",),
        (
            ("section10.py", '("reconstruction", reconstructed)]', '("reconstruction", shown)]'),
            ("section10.py", "model.reconstruct(shown))]", "shown)]"),
        ),
    ),
    mutant(
        "section-10-curves-invented",
        "claims",
        ("10.4",),
        "section10.py",
        '"trivial_predictors": trivial, "history": histories}',
        '"trivial_predictors": trivial, "history": {name: {key: [0.8 * value for value in values] for key, values in rows.items()} for name, rows in histories.items()}}',
    ),
    mutant(
        "section-10-fid-invented",
        "claims",
        ("10.5",),
        "section10.py",
        EVALUATION,
        '{key: row | {"fid": 30.0} for key, row in ' + EVALUATION + ".items()}",
    ),
    mutant(
        "section-10-fid-of-training-images",
        "claims",
        ("10.5",),
        "section10.py",
        EVALUATION,
        EVALUATION.replace(
            "(model,", '(type("Real", (), {"sample": lambda _, count, seed: data.scale(images[:count])})(),'
        ),
    ),
    mutant(
        "log-variance-with-relu",
        "networks",
        ("2.1", "4.1", "10.6"),
        "networks.py",
        HEAD,
        HEAD + 'activation="relu" if name == "log_var" else None, ',
        sections=(10,),
    ),
    mutant(
        "gradient-stops-at-the-deviation",
        "losses",
        ("2.1", "5.4"),
        "distributions.py",
        Z,
        "z = self.mean + ops.stop_gradient(ops.exp(0.5 * self.log_var)) * epsilon",
    ),
    mutant(
        "section-2-trains-on-validation-images",
        "protocol",
        ("2.3", "2.5"),
        "section2.py",
        "name, build, images, validation, k=dim",
        "name, build, validation, images, k=dim",
    ),
    mutant(
        "section-2-labels-of-k-mixed",
        "claims",
        ("2.3",),
        "section2.py",
        '[f"k={dim}"] = training',
        '[f"k={k[-1 - k.index(dim)]}"] = training',
    ),
    mutant(
        "new-images-are-reconstructions",
        "figures",
        ("4.3",),
        "section4.py",
        "model.sample(len(existing), seed=0)",
        "model.reconstruct(data.scale(images[: len(existing)]))",
    ),
    mutant(
        "new-images-of-uniform-codes",
        "noise",
        ("4.3",),
        "section4.py",
        "model.sample(len(existing), seed=0)",
        'model.decode(np.random.default_rng(0).uniform(size=(len(existing), model.latent_dim)).astype("float32"))',
    ),
    mutant(
        "section-4-trains-on-test-images",
        "protocol",
        ("4.1",),
        "section4.py",
        TRAIN_VALIDATION,
        TRAIN_VALIDATION + '    images = data.load("mnist", "test", limit=run.settings.train_size)\n',
    ),
    mutant(
        "sweep-labels-mixed",
        "claims",
        ("4.2",),
        "section4.py",
        'measured[f"{weight:g}"] =',
        'order = sorted({*settings.sweep, settings.kl_weight})\n        measured[f"{order[-1 - order.index(weight)]:g}"] =',
    ),
    mutant(
        "pairs-are-the-first-images",
        "protocol",
        ("9.2",),
        "section9.py",
        "order = list(random.permutation(len(labels)))",
        "order = list(range(len(labels)))",
    ),
    mutant(
        "seven-steps-with-the-ends",
        "figures",
        ("9.2",),
        "section9.py",
        "shares = np.linspace(0, 1, NUM_INTERPOLATES + 2)[1:-1]",
        "shares = np.linspace(0, 1, NUM_INTERPOLATES)",
    ),
    mutant(
        "section-10-validates-on-training-images",
        "claims",
        ("10.4",),
        "section10.py",
        "images, validation = run.train_validation(SIZE)",
        "images, _ = run.train_validation(SIZE)\n    validation = images",
    ),
    mutant(
        "section-10-samples-are-reconstructions",
        "figures",
        ("10.4",),
        "section10.py",
        "drawn[prior] = model.sample(num_drawn, seed=settings.seed)",
        "drawn[prior] = model.reconstruct(data.scale(images[:num_drawn]))",
    ),
    Mutant(
        "shallow-network-without-activations",
        "networks",
        ("10.6",),
        (
            (
                "networks.py",
                'layers.Conv2D(16, 4, 2, "same", activation="relu", name="enc_1")',
                'layers.Conv2D(16, 4, 2, "same", name="enc_1")',
            ),
            (
                "networks.py",
                'layers.Conv2D(32, 4, 2, "same", activation="relu", name="enc_2")',
                'layers.Conv2D(32, 4, 2, "same", name="enc_2")',
            ),
        ),
    ),
    mutant(
        "resumes-with-a-new-optimizer",
        "protocol",
        ("10.3",),
        "training/callbacks.py",
        "            checkpoints.assign(self._variables(), arrays)\n",
        "            checkpoints.assign(model.variables, arrays[: len(model.variables)])\n",
    ),
]
