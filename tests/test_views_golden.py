"""What the views print of the scripted session, to the letter."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import pytest
from kit.handshake import REGISTRY, handshake
from kit.transcript import connection

from vutrace.capture import read
from vutrace.cli.list_ import output
from vutrace.dissection.registry import Registry, load
from vutrace.session.tracker import Tracker
from vutrace.views import listing
from vutrace.views.annotated import AnnotatedRow, Annotator
from vutrace.views.colour import painted
from vutrace.views.fitting import LEAST
from vutrace.views.folding import folded, place_of_request
from vutrace.views.json_lines import JsonLines
from vutrace.views.printing import Printer, Text
from vutrace.views.rows import Rows
from vutrace.views.times import STYLES
from vutrace.views.tree import Tree

Check = Callable[[str, str], None]

NOTHING = Registry({})
CAPTURES = Path(__file__).parent.parent / "captures"
ROWS_SHOWN = 300


def annotated_rows() -> Iterable[AnnotatedRow]:
    """The session as it is shown."""
    return Annotator().annotate_all(Tracker(REGISTRY, "toy").rows([connection(), *handshake()]))


def text_of(printer: Printer, rows: Iterable[AnnotatedRow]) -> str:
    """All that a view prints."""
    return "".join(line + "\n" for line in printed(printer, rows))


def printed(printer: Printer, rows: Iterable[AnnotatedRow]) -> Iterator[str]:
    """Heading and lines."""
    yield from printer.heading()
    for shown in rows:
        yield from printer.lines(shown)


@pytest.mark.parametrize(
    ("name", "printer"),
    [
        ("rows.txt", Text(Rows())),
        ("tree.txt", Text(Rows(), Tree())),
        ("hex.txt", Text(Rows(), dump=True)),
        ("secrets.txt", Text(Rows(), Tree(True), dump=True, secrets=True)),
        ("json.txt", JsonLines()),
        ("colour.txt", Text(Rows(paint=painted))),
        ("narrow.txt", Text(Rows(columns=80))),
        ("wide.txt", Text(Rows(columns=120))),
        *(
            (f"time-{name}.txt", Text(Rows(style.make(), style.width)))
            for name, style in STYLES.items()
            if name in ("d", "ud", "e")
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_session(golden: Check, name: str, printer: Printer) -> None:
    golden(name, text_of(printer, annotated_rows()))


@pytest.mark.parametrize("columns", [10, 60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    lines = text_of(Text(Rows(columns=columns)), annotated_rows()).splitlines()
    assert max(map(len, lines)) <= max(columns, LEAST)


def test_what_is_wrong_is_never_cut() -> None:
    told = {problem.text for shown in annotated_rows() for problem in shown.problems}
    words = " ".join(text_of(Text(Rows(columns=60)), annotated_rows()).split())
    assert told
    assert all(" ".join(each.split()) in words for each in told)


def test_a_request_and_its_ok_are_one_row() -> None:
    rows = list(annotated_rows())
    plain = [each for each in rows if place_of_request(rows, each) is not None]
    text = text_of(Text(Rows()), folded(rows))
    assert plain
    assert text.count("= ok, ") == len(plain)
    numbers = [int(line.split()[0]) for line in text.splitlines() if line.split()[0].isdecimal()]
    assert numbers == [each.row.number for each in rows if each not in plain]


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcapng")), ids=lambda path: path.stem)
def test_what_real_programs_said(golden: Check, path: Path) -> None:
    tracker = Tracker(load())
    rows = islice(tracker.rows(read(path)), ROWS_SHOWN)
    golden(
        f"captures/{path.stem}.txt", text_of(Text(Rows()), Annotator(tracker.connections).annotate_all(rows))
    )


@pytest.mark.parametrize("json", [False, True], ids=["table", "json"])
@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("messages", list(listing.messages(NOTHING))),
        ("features", list(listing.features(REGISTRY.devices))),
        ("devices", list(listing.devices(REGISTRY))),
        ("dissectors", list(listing.dissectors(REGISTRY))),
        ("fields", list(listing.fields(REGISTRY))),
    ],
)
def test_list(
    golden: Check,
    capsys: pytest.CaptureFixture[str],
    name: str,
    lines: list[listing.Line],
    json: bool,
) -> None:
    output(lines, json)
    golden(f"list-{name}.{'json' if json else 'txt'}", capsys.readouterr().out)
