"""Training: build, compile, resume, loop. `fit` is the one way in which every model of this package trains."""

from hw5.training.callbacks import GeneratedPoints, OverfittingMeter, SampleGrids, load_or_draw_noise
from hw5.training.distribution import STRATEGIES, check_equal, devices, is_chief, make_strategy, quiet_unless_chief
from hw5.training.fitting import active_latents, draw_latents, evaluate, fit, negative_elbo, pretrain
from hw5.training.optimizers import Adam, WarmupDecay, adam, gan_optimizers
from hw5.training.schedule import Schedule

__all__ = [
    "STRATEGIES",
    "Adam",
    "GeneratedPoints",
    "OverfittingMeter",
    "SampleGrids",
    "Schedule",
    "WarmupDecay",
    "active_latents",
    "adam",
    "check_equal",
    "devices",
    "draw_latents",
    "evaluate",
    "fit",
    "gan_optimizers",
    "is_chief",
    "load_or_draw_noise",
    "make_strategy",
    "negative_elbo",
    "pretrain",
    "quiet_unless_chief",
]
