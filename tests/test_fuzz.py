"""Damaged files of every kind, in short; `python tests/fuzz.py` is the long form."""

import numpy as np
import pytest
from fuzz import KINDS, damage, run


@pytest.mark.timeout(120)
def test_damaged_files_are_refused_or_read_as_they_were():
    report = run(len(KINDS) * 2, seed=7)
    assert not report.failures
    assert report.outcomes.total() == 2 * len(KINDS)
    assert sum(count for (_, outcome), count in report.outcomes.items() if outcome == "refused") > len(KINDS) / 2


def test_every_damage_changes_the_file():
    encoded = bytes(1000)
    results = [damage(encoded, np.random.default_rng(seed)) for seed in range(100)]
    assert {len(result) == 1000 for result in results} == {True, False}
    assert sum(result == encoded for result in results) < 5
