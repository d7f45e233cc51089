"""Numbers that a section reports, measured again with the models that it trained."""

import numpy as np
from small import draws_kl, kl_constant, loss, variance_of_drawn_kl
from submission import hw5

COUNT = 2000  # images for what can be measured with any


def images_of(done):
    """Return the images that a section trained on and those that it validated with, float32 in [0, 1].

    They are what `fit` got; if it got none to validate with, the last tenth of MNIST.
    """
    fit = next(fit for fit in reversed(done.fits) if fit["images"] is not None)
    validation = hw5.data.load("mnist", "train[90%:]") if fit["validation"] is None else fit["validation"]
    return np.float32(fit["images"]) / 255, np.float32(validation) / 255


def full_models(done):
    """List the trained models of whole images; layer-wise pre-training has others."""
    return [model for model in done.models if takes_images(model)]


def takes_images(model):
    """Say whether a model encodes images of 28×28."""
    try:
        model.encode(np.zeros((1, 28, 28, 1), np.float32))
    except Exception:  # its layers say it in many ways
        return False
    return True


def terms(model, images, seed=0):
    """Compute of every image −log p(x|z) of one z ~ q(z|x), and the KL divergence: two arrays [n], in nats.

    Bernoulli pixels; z is drawn here, and the KL divergence is computed from the encoder's mean and log-variance.
    """
    mean, log_var = (np.asarray(part, np.float64) for part in model.encoder(images))
    z = mean + np.exp(log_var / 2) * np.random.default_rng(seed).standard_normal(mean.shape)
    p = np.clip(np.asarray(model.decode(np.float32(z)), np.float64), 1e-7, 1 - 1e-7)
    reconstruction = -(images * np.log(p) + (1 - images) * np.log(1 - p)).sum(axis=(1, 2, 3))
    return reconstruction, 0.5 * (mean**2 + np.exp(log_var) - log_var - 1).sum(axis=1)


def error_of_drawn_kl(model, images):
    """Return 6 deviations of the mean KL divergence over images if the submission draws it, and 0 if it does not."""
    if not draws_kl():
        return 0.0
    return 6 * np.sqrt(variance_of_drawn_kl(*model.encoder(images)).mean() / len(images))


def assert_terms_are_of_models(models, reported, images):
    """Check that every reported pair of `reconstruction` and `kl` is that of one of these models.

    Args:
        images: all images that the reported numbers are means of, float32.

    The KL divergence has no noise, or that of `error_of_drawn_kl`. Of the reconstruction, the difference of two draws
    of z has the deviation s of a single image, measured here, and s/√n of the mean. 6 are a false alarm of 2e-9.
    """
    found = []
    for model in models:
        (one, kl), (two, _) = (terms(model, images, seed) for seed in (0, 1))
        kl = kl.mean() + kl_constant() * np.shape(model.encode(images[:1]))[1]
        near_kl = 2e-3 * kl + 1e-3 + error_of_drawn_kl(model, images)
        found.append((one.mean(), 6 * (one - two).std() / np.sqrt(len(one)) + 2e-3 * one.mean(), kl, near_kl))
    for row in reported:
        near = [
            abs(row["reconstruction"] - mean) <= tolerance and (row.get("kl") is None or abs(row["kl"] - kl) <= near_kl)
            for mean, tolerance, kl, near_kl in found
        ]
        assert any(near), (
            f"reconstruction {row['reconstruction']} and kl {row.get('kl')} are of no trained model: {found}"
        )


def weights_of(models, images):
    """Measure the weight of the KL divergence in the losses of models: (loss − reconstruction) / KL, and its error.

    Both use a z of their own. The error is 6 deviations of the mean difference, as above.
    """
    measured, images = [], images[:COUNT]
    for model in models:
        (one, kl), (two, _) = (terms(model, images, seed) for seed in (0, 1))
        kl = kl.mean() + kl_constant() * np.shape(model.encode(images[:1]))[1]
        tolerance = 6 * (one - two).std() / np.sqrt(len(one)) + 1e-3 * one.mean()
        weight = (loss(model, images, batch_size=COUNT) - one.mean()) / kl
        measured.append((weight, (tolerance + abs(weight) * error_of_drawn_kl(model, images)) / kl))
    return measured


def assert_rows_are_of_weights(models, rows, images):
    """Check that reported terms, by the weight of the KL divergence, are of a model with this weight in its loss.

    Args:
        rows: weight → `reconstruction` and `kl`.
        images: all images that these are means of.
    """
    measured = weights_of(models, images)
    for weight, row in rows.items():
        pairs = zip(models, measured, strict=True)
        of_weight = [model for model, (found, tolerance) in pairs if abs(found - weight) <= tolerance]
        assert of_weight, f"no model was trained with the weight {weight} of the KL divergence: {measured}"
        assert_terms_are_of_models(of_weight, [row], images)


def assert_trained_on_digits(done):
    """Check that models were trained on MNIST's training images, `train_size` of them, and validated with others."""
    most = done.arguments.get("train_size")
    digits = {image.tobytes() for image in hw5.data.load("mnist")}
    for fit in (fit for fit in done.fits if fit["is_model"] and fit["images"] is not None):
        fed = {image.tobytes() for image in fit["images"]}
        assert fed <= digits, "trained on images that are no training images of MNIST"
        assert most is None or len(fed) <= most, f"trained on {len(fed)} images, and not on {most}"
        assert_validation_is_apart(fit)


def assert_validation_is_apart(fit):
    """Check that no image was both trained on and validated with."""
    if fit["validation"] is not None:
        fed, held_out = ({image.tobytes() for image in fit[name]} for name in ("images", "validation"))
        assert not fed & held_out, "images that are trained on are validated with"


def assert_curves_are_logged(done, history, names):
    """Check that curves are those of a training: their means are near those of what Keras' `fit` logged.

    They may have other numbers than one for each epoch, so their means may differ by as much as the epochs do. Names
    that `fit` did not log are not compared.
    """
    for name in names:
        logged = [fit["logs"][name] for fit in done.fits if fit["logs"].get(name)]
        mean = np.mean(history[name])
        near = [
            abs(mean - np.mean(one)) <= 0.02 * abs(np.mean(one)) + np.ptp(one) for one in [*logged, sum(logged, [])]
        ]
        assert not logged or any(near), f"{name} is {mean:.5g} on average, and `fit` logged {logged}"
