"""What a student reads about the grading, as Markdown: what was tried, what was expected, and what came."""

from typing import NamedTuple

VISIBLE = "visible"
# Of these even a hidden test says what happened: they tell about the submission, not about the test.
TOLD = ("out of time", "crashed", "error in a fixture", "ModuleNotFoundError", "ImportError", "not run")


class Points(NamedTuple):
    """Points of several tests.

    Attributes:
        score: the points, with those of bonus parts.
        most: the highest number of points without bonus parts.
        bonus: the points of bonus parts.
    """

    score: float
    most: float
    bonus: float

    @property
    def percent(self) -> float | None:
        """The score in percent of `most`, to a tenth; with bonus parts it can be above 100."""
        return round(100 * self.score / self.most, 1) if self.most else None

    def __str__(self):
        return f"{self.score:g} of {self.most:g}" + (f", {self.bonus:g} of them bonus" if self.bonus else "")


def points(tests: list[dict]) -> Points:
    """Add up the points of a results.json's tests."""
    bonus = [test for test in tests if is_bonus(test)]
    score, of_bonus = (round(sum(test["score"] for test in group), 6) for group in (tests, bonus))
    return Points(score, sum(test["max_score"] for test in tests if not is_bonus(test)), of_bonus)


def is_bonus(test: dict) -> bool:
    """Check whether a test's points come on top of 100 %."""
    return test.get("extra_data", {}).get("bonus", False)


def by_sheet(tests: list[dict], rubric: dict[str, dict]) -> dict[str, Points]:
    """Add up the points by sheet."""
    sheets = {}
    for test in tests:
        if test["number"] in rubric:
            sheets.setdefault(rubric[test["number"]]["sheet"], []).append(test)
    return {sheet: points(sheets[sheet]) for sheet in sorted(sheets)}


def write(name: str, results: dict, rubric: dict[str, dict]) -> str:
    """Write the feedback on a submission.

    Args:
        results: as in results.json, with `notes`.
        rubric: part → its title and sheet.
    """
    tests = results["tests"]
    titles = {part: entry["title"] for part, entry in rubric.items()}
    lines = [f"# Feedback for {name}", "", f"**{points(tests)} points**", ""]
    lines += [f"- {note}" for note in results["notes"]] + [""] * bool(results["notes"])
    if results.get("changes"):
        lines += [results["changes"], ""]
    if sheets := by_sheet(tests, rubric):
        lines += ["| sheet | points | % |", "| --- | --- | --- |"]
        lines += [f"| {sheet} | {found} | {found.percent} |" for sheet, found in sheets.items()] + [""]
    lines += ["| part | | points |", "| --- | --- | --- |"]
    by_part = {}
    for test in tests:
        by_part.setdefault(test["number"], []).append(test)
    for part, group in sorted(by_part.items(), key=lambda item: version(item[0])):
        score, most = sum(test["score"] for test in group), sum(test["max_score"] for test in group)
        way = group[0].get("extra_data", {}).get("way")
        title = titles.get(part, "") + (f": {way}" if way else "")
        lines.append(f"| {part} | {title} | {score:g} of {most:g}{', bonus' * is_bonus(group[0])} |")
    lines.append("")
    for part, group in sorted(by_part.items(), key=lambda item: version(item[0])):
        lost = [test for test in group if test["score"] < test["max_score"]]
        if lost:
            lines += [f"## {part} {titles.get(part, '')}".rstrip(), ""]
        for test in lost:
            lines += [*_about(test), ""]
    return "\n".join(lines)


def _about(test):
    points = f"{test['score']:g} of {test['max_score']:g}"
    if test["visibility"] != VISIBLE:
        lines = [f"**A check that is not shown**: {points}"]
        return lines + (_block("What happened", test["output"]) if test["output"].startswith(TOLD) else [])
    data = test.get("extra_data", {})
    lines = [f"**{test['name'][:1].upper()}{test['name'][1:]}**: {points}"]
    if data.get("tried", test["name"]) != test["name"]:
        lines += _block("Tried", data["tried"])
    if data.get("expected") or data.get("got"):
        lines += _block("Expected", data["expected"]) + _block("Got", data["got"])
        said = "\n".join(_said(test["output"]))
        return lines + (_block("Said", said) if said else [])
    return lines + _block("What happened", test["output"] or "it does not hold")


def _said(output):
    """List the lines of a message before those in which pytest repeats the assertion."""
    for line in output.removeprefix("AssertionError: ").splitlines():
        if line.startswith(("assert ", "AssertionError", "Not equal to tolerance")) or not line.strip():
            return
        yield line


def _block(title, text):
    """Show a text as it is: it may come from a submission, and is not to be read as Markdown."""
    lines = text.strip().splitlines()
    return ["", f"{title}:", "", *(f"    {line}" for line in lines)]


def version(part: str) -> list[int]:
    """Return the numbers of a part, by which parts are sorted."""
    return [int(number) if number.isdigit() else 0 for number in part.split(".")]
