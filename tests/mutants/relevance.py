"""Which tests can see a change of the package: those that name what was changed, or what uses that.

A test names what its function, its fixtures, and the functions of the grading that these use name. Of the package,
everything at the top level of a module that mentions a changed name counts as changed. Names of different things that
are equal make more tests look, and never fewer. Sections, and the modules that only they use, count as changed only if
they are: tests that run a section always look, and the others do not come that way.
"""

import ast
import functools
import inspect
import types

LIBRARY = ("networks", "layers", "models", "distributions", "objectives", "metrics", "replicas", "data", "gaussian_mix")


def _names(node) -> set[str]:
    found = {child.id for child in ast.walk(node) if isinstance(child, ast.Name)}
    found |= {child.attr for child in ast.walk(node) if isinstance(child, ast.Attribute)}
    return found | {child.value for child in ast.walk(node) if isinstance(getattr(child, "value", None), str)}


def definitions(file: str, text: str) -> dict[str, tuple[str, set[str]]]:
    """List what a module defines at its top level: name → (its code, the names in it).

    What a section runs is not its name `run`, which all sections have, but the name of the module. Statements that
    define nothing come under the name "".
    """
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.asname for alias in node.names if alias.asname] or [""]
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = sorted({name for target in targets for name in _names(target)})
        else:
            names = [""]
        for name in names:
            name = file.removesuffix(".py") if name == "run" else name
            code, mentioned = found.get(name, ("", set()))
            found[name] = code + ast.dump(node), mentioned | _names(node)
    return found


def changed_names(before: dict[str, str], after: dict[str, str]) -> set[str] | None:
    """Return the names of a package that a change changes, directly or by what they use; None: it may be any.

    Args:
        before: the texts of all modules by file. after: those of the modules that differ.
    """
    changed = set()
    for file, text in after.items():
        old, new = definitions(file, before[file]), definitions(file, text)
        changed |= {name for name in {*old, *new} if old.get(name, [""])[0] != new.get(name, [""])[0]}
    if "" in changed:
        return None
    library = {file: text for file, text in before.items() if file.startswith(LIBRARY) or file in after}
    everything = [(name, names) for file, text in library.items() for name, (_, names) in _parsed(file, text)]
    while more := {name for name, names in everything if name and name not in changed and names & changed}:
        changed |= more
    return changed


@functools.cache
def _parsed(file, text):
    return list(definitions(file, text).items())


def names_of_test(item) -> set[str]:
    """Return the names and texts in a collected test, its fixtures, and the functions that these use."""
    fixtures = [found[-1].func for found in item._fixtureinfo.name2fixturedefs.values()]
    left, seen, names = [item.function, *fixtures], set(), set()
    while left:
        function = inspect.unwrap(left.pop())
        if isinstance(function, types.FunctionType) and function not in seen:
            seen.add(function)
            found = _names_of_code(function.__code__)
            names |= found | {value for value in function.__defaults__ or () if isinstance(value, str)}
            left += [function.__globals__[name] for name in found & function.__globals__.keys()]
            left += [cell.cell_contents for cell in function.__closure__ or ()]
    values = getattr(item, "callspec", None) and item.callspec.params.values()
    return names | {value for value in values or () if isinstance(value, str)}


def _names_of_code(code):
    found = {*code.co_names}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names_of_code(constant)
        elif isinstance(constant, str):
            found.add(constant)
        elif isinstance(constant, tuple):
            found |= {value for value in constant if isinstance(value, str)}
    return found


class Relevant:
    """A pytest plugin that leaves out tests that cannot see a change. Those that run a section see all."""

    def __init__(self, changed: set[str] | None):
        self.changed = changed

    def pytest_collection_modifyitems(self, config, items):
        def sees(item):
            return self.changed is None or item.get_closest_marker("runs") or self.changed & names_of_test(item)

        left_out = [item for item in items if not sees(item)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
