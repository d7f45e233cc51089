"""Training: build, compile, resume, loop. `fit` is the one way in which every model of this package trains."""

from hw5.training.callbacks import SampleGrids, load_or_draw_noise
from hw5.training.fitting import EVALUATION_BATCH, MODES, evaluate, fit, negative_elbo, pretrain
from hw5.training.optimizers import Adam, WarmupDecay, adam, gan_optimizers
from hw5.training.schedule import Schedule

__all__ = [
    "EVALUATION_BATCH",
    "MODES",
    "Adam",
    "SampleGrids",
    "Schedule",
    "WarmupDecay",
    "adam",
    "evaluate",
    "fit",
    "gan_optimizers",
    "load_or_draw_noise",
    "negative_elbo",
    "pretrain",
]
