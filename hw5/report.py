"""Build the report: report.html, and report.pdf where LaTeX is installed.

    python -m hw5.report
    python -m hw5.report --author="Ada Lovelace, 1815"

The code is in `hw5.homework.report`, which also describes the commands of the text.
"""

from hw5 import command_line
from hw5.homework.report import run

if __name__ == "__main__":
    command_line.launch(run)
