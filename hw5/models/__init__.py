"""The models: `keras.Model` subclasses, each with its own `train_step`."""

from hw5.models.autoencoder import Autoencoder
from hw5.models.denoising import DenoisingAutoencoder
from hw5.models.gan import GAN
from hw5.models.saving import find, load, save
from hw5.models.vae import VAE, FlowVAE, ImportanceWeightedVAE

__all__ = [
    "GAN",
    "VAE",
    "Autoencoder",
    "DenoisingAutoencoder",
    "FlowVAE",
    "ImportanceWeightedVAE",
    "find",
    "load",
    "save",
]
