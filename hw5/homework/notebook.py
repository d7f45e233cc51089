"""A package `hw5` made of the cells of notebooks.

Only what defines something is taken: functions, classes, and the imports and assignments that these use. Trainings and
figures between them are left out. A cell that begins with `%%writefile hw5/…` is that file. Every module of the package
has all names, since a notebook has one namespace. The `run` of section 3 is `section3_run`, `run_section3` or
`section3`.
"""

import ast
import json
import re
from pathlib import Path

from hw5.errors import InputError

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
OTHERS = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.If, ast.Try)
MAGIC = re.compile(r"^(\s*)[%!].*$", re.MULTILINE)
WRITEFILE = re.compile(r"%%writefile\s+(?:\./)?(hw5/[\w/]+\.py)\s*\n")
RUN_NAMES = ("{}_run", "run_{}", "{}")


def interface(tests: Path) -> dict[str, list[str]]:
    """List the names of the package that the tests use, by module: of `hw5.metrics.fid(…)`, metrics and fid."""
    found = {}
    for path in sorted(tests.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Attribute(attr=name, value=ast.Attribute(attr=module, value=ast.Name(id="hw5"))):
                    found.setdefault(module, set()).add(name)
    return {module: sorted(names) for module, names in sorted(found.items())}


def make_package(notebooks: list[Path], folder: Path, wanted: dict[str, list[str]]) -> list[str]:
    """Write the package `folder`/hw5.

    Returns:
        What could not be taken or found, in words.

    Raises:
        InputError: a file is no notebook, or there is no name of the package in any of them.
    """
    notes, statements, package = [], [], folder / "hw5"
    package.mkdir()
    (package / "__init__.py").touch()
    for notebook in notebooks:
        for number, text in enumerate(cells(notebook), 1):
            if file := WRITEFILE.match(text):
                (folder / file[1]).parent.mkdir(parents=True, exist_ok=True)
                (folder / file[1]).write_text(text[file.end() :], encoding="utf-8")
                continue
            try:
                statements += parse(text)
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # the last two: too deep
                notes.append(f"{notebook.name}, cell {number} is no Python and was left out: {error}")
    kept = needed(statements)
    names = {name for statement in kept for name in bound(statement)}
    (package / "notebook.py").write_text(ast.unparse(ast.Module(kept, [])) + "\n", encoding="utf-8")
    missing = []
    for module, wanted_names in wanted.items():
        if (package / f"{module}.py").exists() or (package / module).exists():  # written by a cell
            continue
        text = "from hw5.notebook import *\n"
        if re.fullmatch(r"section\d+", module):
            spelled = [name.format(module) for name in RUN_NAMES if name.format(module) in names]
            text = f"from hw5.notebook import {spelled[0]} as run\n" if spelled else ""
            missing += [] if spelled else [f"hw5.{module}.run"]
        else:
            missing += [f"hw5.{module}.{name}" for name in wanted_names if name not in names]
        (package / f"{module}.py").write_text(text, encoding="utf-8")
    count = sum(len(wanted_names) for wanted_names in wanted.values())
    if len(missing) == count and wanted:
        raise InputError("holds no package hw5, and its notebooks define none of its names")
    return notes + [f"not found in the notebook: {', '.join(missing)}"] * bool(missing)


def cells(notebook: Path) -> list[str]:
    """Read the code cells of a notebook.

    Raises:
        InputError: it is none.
    """
    try:
        content = json.loads(notebook.read_text(encoding="utf-8-sig"))
        found = [cell["source"] for cell in content["cells"] if cell["cell_type"] == "code"]
        return [source if isinstance(source, str) else "".join(source) for source in found]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{notebook.name}: is no notebook ({type(error).__name__}: {error})") from error


def parse(text: str) -> list[ast.stmt]:
    """Parse a cell; lines for IPython are left out, and all of a cell that is for another program, as `%%bash`."""
    if re.match(r"\s*%%(?!time|capture)", text):
        return []
    try:
        return ast.parse(text).body
    except SyntaxError:
        return ast.parse(MAGIC.sub(r"\1pass", text)).body


def needed(statements: list[ast.stmt]) -> list[ast.stmt]:
    """Choose the definitions, and the imports and assignments that they use, directly or not."""
    kept = {index for index, statement in enumerate(statements) if isinstance(statement, DEFINITIONS)}
    while True:
        used = {name for index in kept for name in loaded(statements[index])}
        more = {
            index
            for index, statement in enumerate(statements)
            if index not in kept and isinstance(statement, OTHERS) and used & bound(statement)
        }
        if not more:
            return [statements[index] for index in sorted(kept)]
        kept |= more


def bound(statement: ast.stmt) -> set[str]:
    """List the names that a statement gives a value at the top level."""
    names, left = set(), [statement]
    while left:
        node = left.pop()
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.Import() | ast.ImportFrom():
                names |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
            case ast.Name(ctx=ast.Store()):
                names.add(node.id)
            case _:
                left += ast.iter_child_nodes(node)
    return names


def loaded(statement: ast.stmt) -> set[str]:
    """List the names whose value a statement uses."""
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
