"""The suite of mutants: its edits fit the package, every part has some, and the grading finds them."""

import json
import os
import subprocess
import sys

import pytest
import summary
from bench import GRADING, PACKAGE, Bench
from catalogue import EQUIVALENTS, MUTANTS
from mutant import KINDS, Mutant
from relevance import changed_names, definitions

RUBRIC = [part for sheet in json.loads((GRADING / "rubric.json").read_text()).values() for part in sheet["parts"]]


@pytest.mark.parametrize("mutant", [*MUTANTS, *EQUIVALENTS], ids=lambda mutant: mutant.name)
def test_the_edits_fit_the_package(mutant):
    for file, text in mutant.changed(PACKAGE).items():
        assert text != (PACKAGE / file).read_text()
        compile(text, file, "exec")
    assert set(mutant.parts) <= set(RUBRIC)
    assert mutant.kind in (KINDS if mutant.parts else ["right another way"])
    assert mutant.graded()


def test_names_are_unique():
    names = [mutant.name for mutant in [*MUTANTS, *EQUIVALENTS]]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("part", RUBRIC)
def test_every_part_has_two_mutants(part):
    assert sum(part in mutant.parts for mutant in MUTANTS) >= 2


@pytest.mark.parametrize("old", ["no such text", "import"])
def test_an_edit_that_does_not_fit_is_an_error(old):
    with pytest.raises(ValueError, match="not once"):
        Mutant("one", "losses", ("2.1",), (("models/vae.py", old, ""),)).changed(PACKAGE)


def test_what_a_table_says():
    one, two, three = (Mutant(name, "losses", ("1.1", "1.10"), ()) for name in ("one", "two", "three"))
    lost = {"one": {"1.1": [], "1.10": []}, "two": {"1.1": [], "2.1": []}, "three": {"2.1": []}}
    results = {name: {"lost": parts} for name, parts in lost.items()}
    assert summary.counts([one, two, three], results) == (2, 1)
    assert summary.by_kind([one, two, three], results)[-1] == "| all | 3 | 3 | 2 | 1 |"
    assert summary.by_kind([one, two, three], {"one": results["one"]})[-1] == "| all | 3 | 1 | 1 | 1 |"
    assert summary.rarely_caught(["1.10", "1.1"], [one, two, three], results) == ["1.10"]
    lines = summary.table([one, two, three], results)[2:]
    assert [line.split("|")[5].strip() for line in lines] == ["", "other parts", "missed"]


def test_what_a_change_reaches():
    texts = {
        "networks.py": "RATE = 1\ndef one(): return RATE\ndef two(): return one()\ndef three(): return 3\n",
        "section1.py": "def run(k):\n    two()\n",
    }

    def reached(file, old, new):
        assert texts[file].count(old) == 1
        return changed_names(texts, {file: texts[file].replace(old, new)})

    assert reached("networks.py", "RATE = 1", "RATE = 2") == {"RATE", "one", "two"}
    assert reached("networks.py", "return 3", "return 4") == {"three"}
    assert reached("section1.py", "(k)", "(k=1)") == {"section1"}
    assert reached("networks.py", "RATE = 1", "print(1)\nRATE = 1") is None
    assert reached("networks.py", "def three(): return 3\n", "") == {"three"}


def test_every_module_of_the_package_can_be_read():
    for file, text in Bench().texts.items():
        assert definitions(file, text)


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
def test_mutants_lose_points_and_equivalents_do_not(tmp_path):
    command = [sys.executable, str(PACKAGE.parent / "tests" / "mutants"), f"--table={tmp_path}/table.json"]
    subprocess.run([*command, f"--jobs={os.cpu_count()}"], check=True)
    results = json.loads((tmp_path / "table.json").read_text())
    caught, exact = summary.counts(MUTANTS, results)
    assert caught >= 0.95 * len(MUTANTS)
    assert exact >= 0.9 * len(MUTANTS)
    assert [mutant.name for mutant in EQUIVALENTS if results[mutant.name]["lost"]] == []
    assert summary.rarely_caught(RUBRIC, MUTANTS, results) == []
