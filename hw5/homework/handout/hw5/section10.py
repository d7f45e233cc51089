"""Section 10: convolutional VAEs (sheet 004)."""


def run(
    out="figures/section10",
    run_dir="runs/section10",
    train=True,
    latent_dim=(),
    steps=5000,
    train_size=None,
    batch_size=64,
):
    """Train a VAE of MNIST at 32×32 for each latent dimension, and measure its FID.

    The training goes on from the latest checkpoint, weights and optimizer (10.3), gets validation images as
    `validation_data` of `fit`, and writes its curves for TensorBoard (10.4). Draw the curves, validation images, their
    reconstructions, and new images.

    Args:
        run_dir: folder for checkpoints and TensorBoard.
        train: False only evaluates the latest checkpoint.
        latent_dim: choose the sheet's as the default (10.2).

    Returns:
        {"results": {"validation": {"convolutional": {latent_dim: {"reconstruction": nats per image, "samples":
        {the name of the network that gives the features: {"fid": …}}}}}, "history": {a name of the training: {"loss",
        "reconstruction", "kl", "val_loss", "val_reconstruction", "val_kl": numbers over the training}}}}
    """
    # TODO start
    raise NotImplementedError
    # TODO end
