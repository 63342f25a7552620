"""Tables for terminals of any width."""

import os
import pty
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vutrace.views.tables import table

HEADERS = ("bit", "name", "note")
ROWS = [["1", "MQ", "several queues, as many as are asked for"], ["24", "XEN_MMAP", ""]]
VERBS = ("messages", "features", "devices", "dissectors", "fields")


def test_a_table_that_fits_is_left_as_it_is() -> None:
    assert table(ROWS, HEADERS, "plain", 200) == table(ROWS, HEADERS, "plain", None)
    assert len(table(ROWS, HEADERS, "plain", None)) == 3


def test_the_widest_column_is_wrapped_between_words() -> None:
    assert table(ROWS, HEADERS, "plain", 40) == [
        "bit    name      note",
        "1      MQ        several queues, as many",
        "                 as are asked for",
        "24     XEN_MMAP",
    ]


def test_where_words_would_break_each_row_is_said() -> None:
    assert table(ROWS, HEADERS, "plain", 22) == [
        "1 MQ: note several",
        "    queues, as many as",
        "    are asked for",
        "24 XEN_MMAP",
    ]


CELLS = st.text("ab ", max_size=30).map(str.strip)


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=4), st.integers(40, 120))
def test_every_word_is_there_whole(rows: list[list[str]], width: int) -> None:
    wide = sorted(" ".join(table(rows, HEADERS, "plain", None)[1:]).split())
    assert wide == sorted(word for row in rows for cell in row for word in cell.split())
    drawn = " ".join(table(rows, HEADERS, "plain", width))
    assert all(word in drawn for word in wide)


@pytest.mark.parametrize("what", VERBS)
def test_lists_fit_a_terminal_of_80_columns(what: str) -> None:
    command = f"stty cols 80; exec {sys.executable} -m vutrace list {what}"
    ours, theirs = pty.openpty()
    child = subprocess.Popen(["sh", "-c", command], stdin=theirs, stdout=theirs, env=columnless())
    os.close(theirs)
    seen = b""
    try:
        while piece := os.read(ours, 65536):
            seen += piece
    except OSError:  # the other end is closed
        pass
    assert child.wait(30) == 0
    assert max(map(len, seen.decode().splitlines())) <= 80


def columnless() -> dict[str, str]:
    """The environment without what would go before the terminal's width."""
    return {name: value for name, value in os.environ.items() if name != "COLUMNS"}
