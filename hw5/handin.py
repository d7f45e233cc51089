"""Pack the archive to hand in: the report, the code, the figures and a summary of the changes.

    python -m hw5.handin                                # hw5.zip
    python -m hw5.handin ../handout --name=2023012345   # its summary lists the changes against ../handout
    python -m hw5.handin --sheet=001 --name=ada         # sheet001/ada.zip, with what this sheet asks for

The code is in `hw5.homework.handin`, which also describes the archives.
"""

from hw5 import command_line
from hw5.homework.handin import run

if __name__ == "__main__":
    command_line.launch(run)
