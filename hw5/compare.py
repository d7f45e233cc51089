"""Compare runs of sections: their settings, their numbers and their curves.

    python -m hw5.compare figures/section2 results/section2/k5
    python -m hw5.compare results/section8/* --out=results/emojis.png

The code is in `hw5.homework.compare`.
"""

from hw5 import command_line
from hw5.homework.compare import run

if __name__ == "__main__":
    command_line.launch(run)
