"""All mutants, and the copies that are right another way."""

import autoencoders
import denoising
import equivalents
import faces
import gan_equivalents
import gan_sections
import gans
import measures
import vae_sections
import vaes

MUTANTS = [
    *autoencoders.MUTANTS,
    *vaes.MUTANTS,
    *vae_sections.MUTANTS,
    *gans.MUTANTS,
    *gan_sections.MUTANTS,
    *measures.MUTANTS,
    *denoising.MUTANTS,
    *faces.MUTANTS,
]
EQUIVALENTS = [
    *equivalents.EQUIVALENTS,
    *gan_equivalents.EQUIVALENTS,
    *measures.EQUIVALENTS,
    *denoising.EQUIVALENTS,
]
