"""Grade a package `hw5` by the tests of `tests/grading`.

    python -m hw5.grade ~/inbox/alice                     # the points by part
    python -m hw5.grade ~/inbox/alice --weights=trained/  # and the leaderboard's entries of trained weights
    python -m hw5.grade '~/inbox/*' --csv=grades.csv      # everybody: one row per submission, one column per part
    python -m hw5.grade --autograder=autograder/          # the folder to zip for Gradescope

The code is in `hw5.homework.grade`.
"""

from hw5 import command_line
from hw5.homework.grade import run

if __name__ == "__main__":
    command_line.launch(run)
