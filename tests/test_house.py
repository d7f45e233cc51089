"""The rules of imports between the parts of the package."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import hw5

PACKAGE = Path(hw5.__file__).parent
MODULES = [
    path for path in sorted(PACKAGE.rglob("*.py")) if "handout" not in path.parts
]  # that is a package of its own
# A part of the package → the parts that it may import, besides itself and FREE.
FREE = {"errors", "files", "settings", "command_line", "tables", "results"}
MAY_IMPORT = {
    "data": set(),
    "figures": set(),
    "objectives": set(),
    "replicas": set(),
    "gaussian_mixture": set(),
    "layers": {"replicas"},
    "distributions": {"objectives", "gaussian_mixture"},
    "networks": {"layers"},
    "models": {"distributions", "layers", "objectives", "replicas"},
    "metrics": {"data"},
    "training": {"models", "figures", "data"},
    "section_settings": {"training", "models", "networks", "layers", "metrics"},
    "section": {"section_settings", "training", "data"},
    "variants": {"section_settings", "training", "models", "networks", "distributions", "layers", "data"},
    "homework": {"figures", "data"},
    "homework7": {"data", "distributions", "networks", "objectives", "training"},
    **{command: {"homework"} for command in ("report", "handin", "grade", "compare")},
    "sample": {"models", "figures"},
    "interactive": {"figures"},
}


def is_section(name):
    return name.startswith("section") and name.removeprefix("section").isdigit()


def part_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path):
    """Return the parts of hw5 that a file imports, at the top or within a function."""
    parts = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "hw5":
            names = [f"hw5.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module]
        else:
            continue
        parts |= {name.split(".")[1] for name in names if name.startswith("hw5.")}
    return parts


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    part = part_of(path)
    others = imported(path) - {part} - FREE
    assert not [name for name in others if is_section(name)]
    if is_section(part):
        return  # sections may import everything else
    if part in FREE or part == "__init__":
        assert not others
    else:
        assert others <= MAY_IMPORT[part]


@pytest.mark.parametrize(
    "module",
    ["settings", "command_line", "files", "tables", "figures", "metrics", "homework.report", "homework.handin"]
    + ["homework.grade", "homework.compare"],
)
def test_parts_without_tensorflow_do_not_import_it(module):
    code = f"import sys, hw5.{module}; print(sorted({{'tensorflow', 'keras'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert done.stdout == "[]\n"


def test_tensorflow_is_imported_without_its_messages():
    code = "import hw5.data; import keras; print(hw5.objectives.get('hinge').outputs_probability)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert (done.stdout, done.stderr) == ("False\n", "")
