"""Grade broken copies of the package, and copies that are right another way, with the grading tests.

    python tests/mutants                                  # all
    python tests/mutants --section=2                      # those that the tests of a section grade
    python tests/mutants constant-noise --table=out.json  # one; what the file has is not graded again
    python tests/mutants --table=out.json --summary       # what the file has, of any state of the package and the tests

A mutant is graded by the tests of the sections whose parts it is to lose points in, and of those that use what it
changes. Tests that run a section are left out where a mutant shows without a run. So a line says nothing about points
in other sections.
"""

import argparse
import json
from pathlib import Path

import summary
from bench import GRADING, Bench
from catalogue import EQUIVALENTS, MUTANTS


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="mutants; by default all")
    parser.add_argument("--section", type=int, action="append", default=[], help="those graded by its tests")
    parser.add_argument("--table", type=Path, help="JSON file of results, to go on with")
    parser.add_argument("--summary", action="store_true", help="grade nothing")
    parser.add_argument("--jobs", type=int, default=1, help="number of mutants to grade at once")
    arguments = parser.parse_args()

    def is_meant(mutant):
        by_section = not arguments.section or set(arguments.section) & set(mutant.graded())
        return by_section and (not arguments.names or mutant.name in arguments.names)

    everything = [*MUTANTS, *EQUIVALENTS]
    if unknown := sorted({*arguments.names} - {mutant.name for mutant in everything}):
        parser.error(f"no mutant is named {', '.join(unknown)}")
    meant = [mutant for mutant in everything if is_meant(mutant)]
    bench = Bench(arguments.table, arguments.jobs)
    for number, mutant in enumerate(bench.grade([] if arguments.summary else meant), 1):
        found = bench.results[mutant.name]
        print(f"[{number}/{len(meant)}] {mutant.name}: {found['seconds']} s", flush=True)
        if set(found["lost"]) != set(mutant.parts):
            print(f"    expected {', '.join(mutant.parts) or 'nothing'}, lost:", flush=True)
            for part, tests in found["lost"].items():
                print("\n".join(f"    {part}: {' '.join(test.split())}" for test in tests), flush=True)
    graded = [mutant for mutant in meant if mutant.name in bench.results]
    print(*summary.table(graded, bench.results), "", sep="\n")
    print(*summary.by_kind([mutant for mutant in meant if mutant.parts], bench.results), "", sep="\n")
    mutants, equivalents = ([mutant for mutant in graded if bool(mutant.parts) == broken] for broken in (True, False))
    punished = [mutant.name for mutant in equivalents if bench.results[mutant.name]["lost"]]
    print(f"{len(equivalents)} graded are right another way; points lose: {', '.join(punished) or 'none'}")
    if mutants:
        caught, exact = (f"{count / len(mutants):.1%}" for count in summary.counts(mutants, bench.results))
        sheets = json.loads((GRADING / "rubric.json").read_text()).values()
        parts = [part for sheet in sheets for part in sheet["parts"]]
        rare = summary.rarely_caught(parts, mutants, bench.results)
        print(
            f"{len(mutants)} graded mutants: {caught} lose points, {exact} in exactly the expected parts; "
            f"parts with fewer than two: {', '.join(rare) or 'none'}"
        )


if __name__ == "__main__":
    main()
