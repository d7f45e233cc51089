"""The table of mutants, and what it comes to."""

from mutant import Mutant


def order(part: str) -> list[int]:
    return [int(number) for number in part.split(".")]


def table(mutants: list[Mutant], results: dict[str, dict]) -> list[str]:
    """Return the lines of a Markdown table, a mutant each."""
    lines = ["| mutant | kind | parts expected | parts lost | |", "| --- | --- | --- | --- | --- |"]
    for mutant in mutants:
        lost = set(results[mutant.name]["lost"])
        verdict = "" if lost == set(mutant.parts) else "other parts" if lost & set(mutant.parts) else "missed"
        verdict = verdict if mutant.parts or not lost else "punished"
        expected, found = (", ".join(sorted(parts, key=order)) for parts in (mutant.parts, lost))
        lines.append(f"| {mutant.name} | {mutant.kind} | {expected} | {found} | {verdict} |")
    return lines


def by_kind(mutants: list[Mutant], results: dict[str, dict]) -> list[str]:
    """Return the lines of a Markdown table, a kind of mistakes each; what has no result was not graded."""
    head = ["mistakes in", "broken copies", "graded", "lose points", "in exactly the expected parts"]
    lines = [f"| {' | '.join(head)} |", "| --- " + 4 * "| ---: " + "|"]
    for kind in (*dict.fromkeys(mutant.kind for mutant in mutants), "all"):
        group = [mutant for mutant in mutants if kind in (mutant.kind, "all")]
        graded = [mutant for mutant in group if mutant.name in results]
        caught, exact = counts(graded, results)
        lines.append(f"| {kind} | {len(group)} | {len(graded)} | {caught} | {exact} |")
    return lines


def counts(mutants: list[Mutant], results: dict[str, dict]) -> tuple[int, int]:
    """Count the mutants that lose points in an expected part, and those that lose them in exactly those parts."""
    lost = {mutant.name: set(results[mutant.name]["lost"]) for mutant in mutants}
    caught = sum(bool(lost[mutant.name] & set(mutant.parts)) for mutant in mutants)
    return caught, sum(lost[mutant.name] == set(mutant.parts) for mutant in mutants)


def rarely_caught(parts, mutants: list[Mutant], results: dict[str, dict]) -> list[str]:
    """List the parts in which fewer than two mutants lose points that are to lose them there."""
    by_part = dict.fromkeys(parts, 0)
    for mutant in mutants:
        for part in set(mutant.parts) & set(results[mutant.name]["lost"]):
            by_part[part] += 1
    return sorted((part for part, count in by_part.items() if count < 2), key=order)
