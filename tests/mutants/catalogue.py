"""All mutants, and the copies that are right another way."""

import autoencoders
import denoising
import equivalents
import gans
import measures
import more
import vaes

MUTANTS = [*autoencoders.MUTANTS, *vaes.MUTANTS, *gans.MUTANTS, *measures.MUTANTS, *denoising.MUTANTS, *more.MUTANTS]
EQUIVALENTS = [
    *equivalents.EQUIVALENTS,
    *gans.EQUIVALENTS,
    *measures.EQUIVALENTS,
    *denoising.EQUIVALENTS,
    *more.EQUIVALENTS,
]
