"""The objectives of GANs."""


def get(name):
    """3.1 (optional), 5.4 (the ways WGAN and LSGAN), 8.2: Return an objective.

    Args:
        name: "non_saturating", with the cross-entropy, where the generator maximises log D(G(z)); "least_squares";
            "wasserstein", where the clipping is not part of the objective. You need those of your sheet.

    Returns:
        An object with two functions of D's outputs, [batch, 1], for real and generated samples:
        `discriminator_loss(real, fake)` and `generator_loss(fake)`, both averaged over the batch. Each player minimises
        its loss. The cross-entropies are of logits, and D's two terms are added, without ½. The least squares are
        those of sheet 003: ½ and ½ for D, 1 for G.
    """
    # TODO start
    raise NotImplementedError
    # TODO end
