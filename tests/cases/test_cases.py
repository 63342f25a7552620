"""Every case that is kept is answered: the line that must appear does, by the verb that users run."""

import re
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cases import handshake, memories, moving, replies, rings
from cases.case import Case
from vutrace.capture import Item, Writer
from vutrace.cli import app

CASES = (*handshake.CASES, *rings.CASES, *replies.CASES, *memories.CASES, *moving.CASES)


def kept(path: Path, items: list[Item]) -> str:
    """A capture file of these."""
    with path.open("wb") as file:
        writer = Writer(file)
        for item in items:
            writer.write(item)
    return str(path)


def answer(case: Case, directory: Path) -> str:
    """What vutrace says."""
    verb, *options = case.shows
    files = [kept(directory / "case.pcapng", case.capture())] if case.lines or case.records else []
    if case.against:
        files.append(kept(directory / "other.pcapng", case.other()))
    ran = CliRunner().invoke(app, [verb, *options, *files], env={"COLUMNS": "1000"})
    assert ran.exit_code in (0, 1), ran.output
    return " ".join(ran.output.split())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"case-{case.number}")
def test_the_case_is_answered(case: Case, tmp_path: Path) -> None:
    told = answer(case, tmp_path)
    for line in case.expect:
        assert line.lower() in told.lower()


def test_no_case_is_kept_twice_and_there_are_enough() -> None:
    numbers = Counter(case.number for case in CASES)
    assert max(numbers.values()) == 1
    assert len(numbers) >= 50


ROW = re.compile(r"\| (\d+) \|.*\| ([YPN]) \| (.*?) \| ")


def test_the_manual_has_every_case_with_its_mark() -> None:
    text = (Path(__file__).parent.parent.parent / "docs" / "cases.md").read_text()
    rows = {int(number): (mark, asked) for number, mark, asked in ROW.findall(text)}
    assert sorted(rows) == list(range(1, 81))
    assert {number for number, (mark, _) in rows.items() if mark != "N"} == {case.number for case in CASES}
    for case in CASES:
        assert rows[case.number][1] == f"`vutrace {' '.join(case.shows)}`"
    marks = Counter(mark for mark, _ in rows.values())
    assert f"{marks['Y']} Y, {marks['P']} P, {marks['N']} N." in text
