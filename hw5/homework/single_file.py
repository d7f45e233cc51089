"""One Python file of everything that a module uses: its own text, after the definitions that it imports from hw5.

    python -m hw5.homework.single_file hw5/homework7.py homework7.ada.py

The text of each definition is copied as it stands, comments included. Only what is used is taken: the functions,
classes and constants that the module names, those that these name, and so on. They stand in the order of their
modules, each module after those that it uses, under a comment with its name. Imports of other packages come first.

What serves a training on several devices is left out: `SUBSTITUTES` names what takes its place.
"""

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

from hw5.errors import InputError
from hw5.files import atomic_write

PACKAGE = "hw5"
# Name of the package → the import that is the same on one device.
SUBSTITUTES = {("hw5.layers", "Dropout"): "from keras.layers import Dropout"}


class Module:
    """The text of a module, and what its top level defines and imports.

    Attributes:
        definitions: name → the statement that defines it.
        inner: name → (module, name) of an import from this package.
        outer: name → the import statement of another package that binds it alone.
    """

    def __init__(self, path: Path):
        text = path.read_text(encoding="utf-8")
        self.lines = text.splitlines()
        self.tree = ast.parse(text)
        self.definitions, self.inner, self.outer = {}, {}, {}
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                self.definitions[node.name] = node
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
                self.definitions |= dict.fromkeys(names, node)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                self._add_import(node)

    def _add_import(self, node):
        for alias in node.names:
            name = alias.asname or alias.name
            source = node.module if isinstance(node, ast.ImportFrom) else alias.name
            if source.split(".")[0] == PACKAGE:
                self.inner[name] = (source, alias.name)
            else:
                self.outer[name.split(".")[0]] = ast.unparse(type(node)(**{**vars(node), "names": [alias]}))

    def text_of(self, node: ast.stmt) -> str:
        """Return the lines of a statement, with its decorators and the comment above it."""
        first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))]) - 1
        while first and self.lines[first - 1].startswith("#"):
            first -= 1
        return "\n".join(self.lines[first : node.end_lineno])


def single_file(source: Path, root: Path) -> str:
    """Return the text of one file that does what the module `source` does, without the package.

    Args:
        root: folder that holds the package.

    Raises:
        InputError: two modules define one name, or one uses a module of the package as a whole.
    """
    modules, taken, imports = {}, {}, set()
    definitions, uses = {}, {}  # module → names that are taken from it, and → modules that these use

    def module(name):
        if name not in modules:
            path = root.joinpath(*name.split("."))
            path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            modules[name] = Module(path)
        return modules[name]

    def take(found, nodes, own_name):
        for name in sorted({n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name)}):
            if name in found.outer:
                imports.add(found.outer[name])
            elif name in found.inner:
                used = take_definition(*found.inner[name])
                if own_name and used:
                    uses[own_name].append(used)
            elif name in found.definitions and own_name:
                take_definition(own_name, name)

    def take_definition(place, name):
        """Take a definition, and return the module that it is from."""
        if (place, name) in SUBSTITUTES:
            imports.add(SUBSTITUTES[place, name])
            return None
        found = module(place)
        if name in found.inner:  # imported there from where it is defined
            return take_definition(*found.inner[name])
        if name not in found.definitions:
            raise InputError(f"{place}.{name}: is no definition; import functions and classes by their names")
        if taken.setdefault(name, place) != place:
            raise InputError(f"{name}: is defined in {taken[name]} and in {place}; one file has one of a name")
        uses.setdefault(place, [])
        wanted = definitions.setdefault(place, set())
        if name not in wanted:
            wanted.add(name)
            take(found, [found.definitions[name]], place)
        return place

    start = Module(source)
    own = [node for node in start.tree.body[1:] if not isinstance(node, ast.Import | ast.ImportFrom)]
    take(start, own, None)
    if clash := sorted(taken.keys() & start.definitions.keys()):
        raise InputError(f"{clash[0]}: is defined in {source} and in {taken[clash[0]]}; one file has one of a name")

    parts = [f'"""{ast.get_docstring(start.tree, clean=False)}"""\n\n{_sorted_imports(imports)}']
    for place in TopologicalSorter(uses).static_order():
        found = modules[place]
        nodes = dict.fromkeys(found.definitions[name] for name in found.definitions if name in definitions[place])
        parts.append(f"# From {place}" + _joined(found, nodes))
    first = next(index for index, line in enumerate(start.lines) if line and start.text_of(own[0]).startswith(line))
    parts.append(f"# From {PACKAGE}.{source.stem}\n\n" + "\n".join(start.lines[first:]))
    head, first, *others = parts
    return "\n\n\n".join([f"{head}\n\n{first}", *others]) + "\n"


def _joined(module, nodes):
    """Join statements, with two empty lines around functions and classes, and one between others."""
    text, after_block = "", False
    for node in nodes:
        is_block = isinstance(node, ast.FunctionDef | ast.ClassDef)
        text += ("\n\n\n" if is_block or after_block else "\n\n") + module.text_of(node)
        after_block = is_block
    return text


def _sorted_imports(lines):
    """Sort and join imports as the house does: the standard library's before the others', `import` before `from`."""
    plain = sorted(line for line in lines if line.startswith("import"))
    names = {}
    for line in sorted(line for line in lines if line.startswith("from")):
        source, _, name = line.removeprefix("from ").partition(" import ")
        names.setdefault(source, []).append(name)
    every = plain + [f"from {source} import {', '.join(found)}" for source, found in names.items()]
    standard = [line for line in every if line.split()[1].split(".")[0] in sys.stdlib_module_names]
    groups = standard, [line for line in every if line not in standard]
    return "\n\n".join("\n".join(group) for group in groups if group)


def main(source: str, target: str) -> None:
    """Write the single file of the module at `source`, whose package lies in the folder above its own."""
    path = Path(source)
    with atomic_write(target) as partial:
        partial.write_text(single_file(path, path.resolve().parents[1]), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
