"""Broken captures and mutated records through every verb: a line and a status, whatever they hold.

`python bench/hostile.py files records` does the same by the thousand.
"""

from pathlib import Path
from random import Random

import pytest
from broken import CAPTURES, VERBS, Ran, damaged, load, record_file, run


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    load()


def told(runs: list[Ran]) -> list[str]:
    """What went wrong, with the command that shows it."""
    return [f"vutrace {' '.join(ran.words)}: {ran.wrong}" for ran in runs if ran.wrong]


@pytest.mark.parametrize("seed", range(2))
def test_a_damaged_file_is_read_as_far_as_it_goes_by_every_verb(seed: int, tmp_path: Path) -> None:
    random, path = Random(seed), tmp_path / f"{seed}.pcapng"
    path.write_bytes(damaged(random, random.choice(CAPTURES).read_bytes()))
    assert not told([run(line, path, tmp_path) for line in VERBS])


@pytest.mark.parametrize("seed", range(1))
def test_mutated_records_pass_through_every_verb(seed: int, tmp_path: Path) -> None:
    path = tmp_path / f"{seed}.pcapng"
    record_file(Random(seed), path, 300)
    assert not told([run(line, path, tmp_path) for line in VERBS])
