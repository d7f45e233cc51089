"""All mutants, and the copies that are right another way."""

import autoencoders
import equivalents
import vaes

MUTANTS = [*autoencoders.MUTANTS, *vaes.MUTANTS]
EQUIVALENTS = [*equivalents.EQUIVALENTS]
