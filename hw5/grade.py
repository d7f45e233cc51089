"""Grade a package `hw5` by the tests of `tests/grading`.

    python -m hw5.grade ~/inbox/alice                     # the points by part; also of a zip file or a notebook
    python -m hw5.grade ~/inbox/alice --weights=trained/  # and the leaderboard's entries of trained weights
    python -m hw5.grade '~/inbox/*' --csv=grades.csv      # everybody: a table, feedback; again, to go on after a stop
    python -m hw5.grade --autograder=autograder/          # the folder to zip for Gradescope
    python -m hw5.grade --starter=starter/                # the package that students fill in

The code is in `hw5.homework.grade`, and docs/grading.md describes it.
"""

from hw5 import command_line
from hw5.homework.grade import run

if __name__ == "__main__":
    command_line.launch(run)
