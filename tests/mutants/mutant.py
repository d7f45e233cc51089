"""What a broken copy of the package is, and which grading tests look at it."""

from dataclasses import dataclass
from pathlib import Path

KINDS = ("noise", "networks", "variants", "losses", "metrics", "protocol", "figures", "claims")

# The sections whose tests see a change of a file at once. A section's own file belongs to the section.
USERS = {
    "models/autoencoder.py": (1,),
    "models/vae.py": (2, 4, 5, 9, 10),
    "distributions.py": (2, 4, 5, 9, 10),
    "models/gan.py": (3, 5, 7, 8, 11),
    "models/denoising.py": (6,),
    "metrics/frechet.py": (5, 10),
}
# A change of these shows without the run of a section, which takes seconds, unless a mutant says otherwise.
SHOWS_WITHOUT_RUN = (
    "networks.py",
    "layers.py",
    "models",
    "distributions.py",
    "objectives.py",
    "metrics",
    "replicas.py",
)


@dataclass(frozen=True)
class Mutant:
    """A mistake, as a student makes it, or another right way.

    Attributes:
        name: one word, or several with hyphens.
        kind: one of KINDS.
        parts: the parts of the rubric that it must cost points in, and no others; () is right another way.
        edits: (file within hw5, old text, new text); every old text occurs once in its file.
        sections: sections to grade besides those of `parts` and those that `edits` touch.
        runs: whether tests that run a section look at it; None: as SHOWS_WITHOUT_RUN says.
    """

    name: str
    kind: str
    parts: tuple[str, ...]
    edits: tuple[tuple[str, str, str], ...]
    sections: tuple[int, ...] = ()
    runs: bool | None = None

    def graded(self) -> list[int]:
        """List the sections whose tests grade it."""
        found = {*self.sections, *(int(part.split(".")[0]) for part in self.parts)}
        for file, _, _ in self.edits:
            found |= {*USERS.get(file, ())}
            if file.startswith("section") and (number := file.removeprefix("section").removesuffix(".py")).isdigit():
                found.add(int(number))
        return sorted(found)

    def needs_runs(self) -> bool:
        """Say whether the tests that run a section are needed."""
        if self.runs is not None:
            return self.runs
        return not all(Path(file).parts[0] in SHOWS_WITHOUT_RUN for file, _, _ in self.edits)

    def changed(self, package: Path) -> dict[str, str]:
        """Return the new texts of the files that it changes.

        Raises:
            ValueError: an old text does not occur exactly once, so that the mutant would not be what it says.
        """
        texts = {}
        for file, old, new in self.edits:
            text = texts.get(file) or (package / file).read_text()
            if (count := text.count(old)) != 1:
                raise ValueError(f"{self.name}: {file} has {count} times, and not once: {old!r}")
            texts[file] = text.replace(old, new)
        return texts


def mutant(name, kind, parts, file, old, new, **others) -> Mutant:
    """Make a mistake of one edit."""
    return Mutant(name, kind, parts, ((file, old, new),), **others)


def equivalent(name, edits, sections, runs=None) -> Mutant:
    """Make a copy that is right another way, and must not lose a point in these sections."""
    return Mutant(name, "right another way", (), edits, sections, runs)
