"""The page of the timeline: self-contained, complete, and safe whatever a capture has in it."""

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from kit.sessions import QEMU_2_10, QEMU_7_2, Script, qemu_blk, qemu_net, rows, timeline_of
from kit.transcript import START_NS, Line, back, closed, connection, front, opened, raw, script

from vutrace.capture import read
from vutrace.dissection.registry import load
from vutrace.records import Event, EventKind, Record, Side
from vutrace.rules.judge import Judge
from vutrace.session.row import Row
from vutrace.session.timeline import timeline
from vutrace.session.tracker import Tracker
from vutrace.views.timeline.formats import DrawingOptions
from vutrace.views.timeline.html import data as page_data
from vutrace.views.timeline.html.columns import COLUMNS, PROBLEM, STEPS
from vutrace.views.timeline.html.page import SCRIPTS, asset, render
from vutrace.views.timeline.part import with_rings

CAPTURES = sorted((Path(__file__).parent.parent / "captures").glob("*.pcapng"))
ASSETS = Path(page_data.__file__).parent


def page_of(script: Script) -> str:
    """The page of a script's records."""
    return "".join(render(timeline_of(script), DrawingOptions(lambda: rows(script.records))))


def data_of(page: str) -> dict:
    """The page's data."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found[1])


def rows_in(session: dict) -> list[dict]:
    """A session's rows with the columns decoded."""
    columns = dict(session["rows"])
    for name in STEPS:
        total = 0
        columns[name] = [total := total + step for step in columns[name]]
    return [dict(zip(COLUMNS, line, strict=True)) for line in zip(*columns.values(), strict=True)]


def only_session(page: str) -> tuple[dict, dict]:
    """The data, and the one session in it."""
    data = data_of(page)
    (connection,) = data["connections"]
    (session,) = connection["sessions"]
    return data, session


def test_the_page_refers_to_nothing_outside_of_it() -> None:
    page = page_of(qemu_net(QEMU_7_2, 2).boot().script)
    code = page.replace(re.search(r'id="data">(.*?)</script>', page, re.S)[1], "")
    assert not re.search(
        r"https?:|//cdn|\bsrc=|\bhref=|@import|url\(|fetch\(|XMLHttp|WebSocket|import\(", code
    )
    assert "default-src 'none'" in page


def test_every_asset_is_in_the_page() -> None:
    assert {path.stem for path in ASSETS.glob("*.js")} == set(SCRIPTS)
    page = page_of(qemu_blk())
    assert all(asset(f"{name}.js") in page for name in SCRIPTS)
    assert "/*" + "script*/" not in page
    assert "/*" + "data*/" not in page


def test_every_row_is_there_with_its_dissection() -> None:
    script = qemu_net(QEMU_2_10, 2).boot().script
    data, session = only_session(page_of(script))
    found = rows_in(session)
    assert [row["number"] for row in found] == list(range(1, len(script.records) + 1))
    addr = next(row for row in found if data["texts"][row["name"]] == "SET_VRING_ADDR")
    assert "descriptor: 0x7f0000000000" in data["texts"][addr["tree"]]
    assert data["texts"][addr["bytes"]].startswith("09000000")
    assert data["kinds"][addr["kind"]] == "configure"
    assert addr["ring"] == 0


def test_a_reply_points_to_its_request() -> None:
    data, session = only_session(page_of(qemu_blk()))
    by_number = {row["number"]: row for row in rows_in(session)}
    replies = [row for row in by_number.values() if row["request"]]
    assert replies
    assert all(by_number[row["number"] - row["request"]]["name"] == row["name"] for row in replies)
    assert all(data["kinds"][row["kind"]] == "reply" and row["latency"] == 1000 for row in replies)


def test_what_is_sent_once_per_device_is_set_apart() -> None:
    data, session = only_session(page_of(qemu_net(QEMU_2_10, 3).boot().script))
    once = [row for row in rows_in(session) if data["kinds"][row["kind"]] == "once"]
    assert {data["texts"][row["name"]] for row in once} == {"SET_OWNER", "GET_QUEUE_NUM", "SET_MEM_TABLE"}


def test_phases_and_loops_are_there() -> None:
    _, session = only_session(page_of(qemu_net(QEMU_2_10, 3).boot().script))
    assert [phase["name"] for phase in session["phases"]] == ["init", "features", "start", "running"]
    (loop,) = session["phases"][0]["loops"]
    assert [turn[0] for turn in loop["turns"]] == ["pair 0", "pair 1", "pair 2"]
    assert session["phases"][0]["lines"][0].startswith("3 × [GET_FEATURES")


def test_sessions_have_their_own_rows() -> None:
    guest = qemu_net(QEMU_7_2, 1).boot()
    guest.restart()
    (connection,) = data_of(page_of(guest.script))["connections"]
    first, second = (rows_in(session) for session in connection["sessions"])
    assert first[-1]["number"] + 1 == second[0]["number"]
    assert len(first) + len(second) == len(guest.script.records)


def test_only_the_wanted_rings_are_in_the_page() -> None:
    script = qemu_net(QEMU_7_2, 3).boot().script
    drawn = with_rings(timeline_of(script), lambda lane: lane.pair == 1)
    _, session = only_session("".join(render(drawn, DrawingOptions(lambda: rows(script.records)))))
    assert {ring["index"] for ring in session["rings"]} == {2, 3}
    found = rows_in(session)
    assert {row["ring"] for row in found} == {-1, 2, 3}
    assert session["omitted"] == len(script.records) - len(found)


def test_a_long_capture_keeps_its_ends_and_counts_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_data, "ROWS_KEPT", 20)
    script = qemu_net(QEMU_7_2, 4).boot().script
    _, session = only_session(page_of(script))
    total = len(script.records)
    numbers = [row["number"] for row in rows_in(session)]
    assert numbers == [*range(1, 21), *range(total - 19, total + 1)]
    assert session["omitted"] == total - 40


def test_names_of_a_capture_cannot_end_the_script() -> None:
    script = qemu_blk()
    opening = script.records[0]
    assert isinstance(opening, Event)
    script.records[0] = replace(opening, text="</script><script>alert(1)</script><!--")
    page = page_of(script)
    assert "<script>alert" not in page
    data, session = only_session(page)
    assert data["texts"][rows_in(session)[0]["words"]].startswith("</script>")


def test_keys_are_not_in_the_page() -> None:
    script = Script()
    script.open()
    key = bytes(range(0x50, 0x60))
    script.ask("CREATE_CRYPTO_SESSION", bytes(600) + key + bytes(424))
    page = page_of(script)
    assert key.hex() not in page
    assert "**" in page


def test_a_capture_without_records_makes_a_page() -> None:
    page = "".join(render(timeline([], {}), DrawingOptions(lambda: [])))
    assert data_of(page)["connections"] == []


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_every_kept_capture_is_drawn_whole(path: Path) -> None:
    def again() -> Iterable[Row]:
        return Tracker(load()).rows(read(path))

    reader, tracker = read(path), Tracker(load())
    drawn = timeline(tracker.rows(reader), tracker.connections)
    data = data_of("".join(render(drawn, DrawingOptions(again))))
    counts = [len(session["rows"]["number"]) for each in data["connections"] for session in each["sessions"]]
    assert sum(counts) == drawn.rows


def test_hostile_bytes_make_a_page() -> None:
    script = Script()
    for number in (0, 9, 40, 4242):
        for size in (0, 1, 7, 12, 40):
            sender = Side.BACKEND if size % 2 else Side.FRONTEND
            script.add(raw(sender, number, 0xFFFFFFFF, bytes(range(size))))
    _, session = only_session(page_of(script))
    assert len(rows_in(session)) == len(script.records)


def judged_page(records: list[Record]) -> dict:
    """The data of a page of judged records."""

    def judged() -> Iterable[Row]:
        return Judge().rows(Tracker(load()).rows([connection(), *records]))

    drawn = timeline(judged(), {0: connection()})
    return data_of("".join(render(drawn, DrawingOptions(judged))))


def conversation(*lines: Line) -> tuple[dict, dict]:
    """The data of one judged session, and that session."""
    data = judged_page(script(*lines))
    return data, data["connections"][0]["sessions"][0]


def test_a_failure_is_told_in_words_with_the_row_where_it_broke() -> None:
    _, session = conversation(opened("qemu", "testpmd"), front("GET_FEATURES"), closed(Side.BACKEND))
    assert session["failed"]
    assert session["broke"] == 3
    assert "GET_FEATURES" in session["verdict"]
    assert session["ended"] == "closed by the back-end"


def test_a_session_that_ended_in_order_has_no_banner() -> None:
    _, session = only_session(page_of(qemu_net(QEMU_7_2, 1).boot().script))
    assert not session["failed"]
    assert session["broke"] is None
    assert session["verdict"].startswith("Still open")


def test_a_front_end_that_leaves_running_rings_is_worth_a_look_and_no_failure() -> None:
    records = [*qemu_net(QEMU_7_2, 1).boot().script.records]
    records += script(closed(), start_ns=records[-1].time_ns + 10**9)
    (session,) = judged_page(records)["connections"][0]["sessions"]
    assert (session["failed"], session["look"]) == (False, True)
    assert session["broke"] == len(records)


def test_a_side_that_is_not_there_is_marked_at_its_row_and_no_session_is_open() -> None:
    _, session = conversation(
        Line(Event(0, 0, 0, EventKind.ERROR, text="the back-end at back.sock cannot be reached"))
    )
    assert rows_in(session)[0]["flags"] & PROBLEM
    assert session["failed"]
    assert session["ended"] == "it never began"


def test_sessions_that_are_not_drawn_are_counted_with_those_that_they_are_like() -> None:
    short = (opened("qemu"), front("GET_FEATURES"), back("GET_FEATURES", features=0), closed())
    other = (opened("qemu"), front("SET_OWNER"), closed(Side.BACKEND))
    records = [
        record
        for number in range(1, 1201)
        for record in script(
            *(other if number == 600 else short), session=number, start_ns=START_NS + number * 5_000_000
        )
    ]
    (whole,) = judged_page(records)["connections"]
    assert whole["omitted"] == 1  # the one that is not like the others
    assert sum(1 + each["more"] for each in whole["sessions"]) == 1199


def test_what_was_accepted_has_names() -> None:
    _, session = only_session(page_of(qemu_net(QEMU_7_2, 1).boot().script))
    agreed = [text for about, text in session["agreed"] if about == "accepted"]
    assert "VERSION_1" in agreed[0].split()
    assert "MQ" in agreed[1].split()


def test_sessions_that_came_to_the_same_have_one_likeness() -> None:
    def records(number: int, *lines: Line) -> list[Record]:
        return script(*lines, session=number, start_ns=START_NS + number * 10**9)

    short = (opened("qemu"), front("GET_FEATURES"), back("GET_FEATURES", features=0), closed())
    items = [
        connection(),
        *records(1, *short),
        *records(2, *short),
        *records(3, opened(), front("SET_OWNER")),
    ]

    def judged() -> Iterable[Row]:
        return Judge().rows(Tracker(load()).rows(items))

    page = "".join(render(timeline(judged(), {0: connection()}), DrawingOptions(judged)))
    first, second, third = (each["likeness"] for each in data_of(page)["connections"][0]["sessions"])
    assert first == second != third
