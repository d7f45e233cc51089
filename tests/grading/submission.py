"""The graded package, imported when a test asks for it: what cannot be imported costs points and nothing else."""

import importlib
import sys
from pathlib import Path


class Submission:
    """`hw5.metrics` is the submission's module of that name.

    Attributes:
        folder: where its files must lie; None for whatever Python finds.
    """

    folder = None

    def __init__(self):
        self._failures = {}

    def __getattr__(self, name):
        if name in self._failures:  # an import that takes a minute to fail need not do it for every test
            raise self._failures[name]
        try:
            module = importlib.import_module(f"hw5.{name}")
            if self.folder:
                self._check()
        except BaseException as error:
            self._failures[name] = error
            raise
        return module

    def _check(self):
        modules = [module for key, module in sys.modules.items() if key.partition(".")[0] == "hw5"]
        files = [Path(module.__file__).resolve() for module in modules if getattr(module, "__file__", None)]
        for file in files:
            if not file.is_relative_to(self.folder):
                raise ImportError(f"{file} was imported, which is not of the submission in {self.folder}")


hw5 = Submission()
