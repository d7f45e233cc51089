"""What a student reads about the grading, as Markdown: what was tried, what was expected, and what came."""

VISIBLE = "visible"
# Of these even a hidden test says what happened: they tell about the submission, not about the test.
TOLD = ("out of time", "crashed", "error in a fixture", "ModuleNotFoundError", "ImportError", "not run")


def write(name: str, results: dict, titles: dict[str, str]) -> str:
    """Write the feedback on a submission.

    Args:
        results: as in results.json, with `notes`.
        titles: part → title.
    """
    tests = results["tests"]
    most = sum(test["max_score"] for test in tests)
    lines = [f"# Feedback for {name}", "", f"**{results['score']:g} of {most:g} points**", ""]
    lines += [f"- {note}" for note in results["notes"]] + [""] * bool(results["notes"])
    if results.get("changes"):
        lines += [results["changes"], ""]
    lines += ["| part | | points |", "| --- | --- | --- |"]
    by_part = {}
    for test in tests:
        by_part.setdefault(test["number"], []).append(test)
    for part, group in sorted(by_part.items(), key=lambda item: version(item[0])):
        score, most = sum(test["score"] for test in group), sum(test["max_score"] for test in group)
        lines.append(f"| {part} | {titles.get(part, '')} | {score:g} of {most:g} |")
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
