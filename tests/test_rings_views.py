"""What the views make of samples of rings: rates, blocks, counters, JSON."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from kit.sessions import QEMU_7_2, Script, endpoints, qemu_net, rows, timeline_of
from kit.wireshark_json import needs_tshark, write_plugin

from vutrace.capture import Writer
from vutrace.capture.pseudo_header import sample_of
from vutrace.dissection.registry import load
from vutrace.records import DirtyLog, NoticeTimes, RingSample, SampleFlag
from vutrace.session.model import Timeline
from vutrace.session.series import Series
from vutrace.views.annotated import Annotator
from vutrace.views.board import Board
from vutrace.views.board_text import board_lines
from vutrace.views.json_lines import JsonLines
from vutrace.views.printing import Text
from vutrace.views.queues import text as queues_text
from vutrace.views.rows import Rows
from vutrace.views.samples import rate
from vutrace.views.timeline.formats import DrawingOptions
from vutrace.views.timeline.html.data import ring_data
from vutrace.views.timeline.json import render as render_json
from vutrace.views.timeline.perfetto import render
from vutrace.views.timeline.text_moves import move_lines

KNOWN = int(SampleFlag.INDEXES | SampleFlag.KICKS)
TOTALS = (0, 100, 400, 400, 400)


def sampled() -> Script:
    """A guest that boots, and whose ring 1 moves 100 chains, 300, and then none."""
    script = qemu_net(QEMU_7_2, 1).boot().script
    for total in TOTALS:
        script.wait(0.1)
        ring = RingSample(
            1, KNOWN, 256, total + 3, total, 3, available_total=total + 3, used_total=total, kicks=2
        )
        script.records.append(sample_of(script.time_ns, 0, 1, (ring,), 100_000_000))
    return script


def printed(printer: Any) -> list[str]:
    """All lines of the rows."""
    shown = Annotator().annotate_all(rows(sampled().records))
    return [line for each in shown for line in printer.lines(each)]


@pytest.mark.parametrize(
    ("per_second", "words"),
    [(0, "0/s"), (0.5, "0.5/s"), (12, "12/s"), (9343, "9.3 k/s"), (84_960, "85 k/s"), (14.5e6, "14 M/s")],
)
def test_a_rate_reads_well(per_second: float, words: str) -> None:
    assert rate(per_second) == words


def test_a_row_tells_what_moved() -> None:
    lines = [line.split("sample: ")[1] for line in printed(Text(Rows())) if "sample: " in line]
    assert lines[1:4] == [f"tx0 {words}, 3 of 256 in flight" for words in ("1.0 k/s", "3.0 k/s", "0/s")]


def test_json_has_everything_that_is_known_and_null_elsewhere() -> None:
    samples = [each for each in map(json.loads, printed(JsonLines())) if each["kind"] == "sample"]
    (ring,) = samples[2]["samples"]
    assert (ring["ring_name"], ring["format"], ring["used"], ring["used_per_second"]) == (
        "tx0",
        "split",
        400,
        3000,
    )
    assert (ring["kicks"], ring["calls"], ring["oldest"], ring["used_wrap"]) == (2, None, None, None)


def counted() -> Script:
    """The same guest; ring 1 was kicked twice, its driver called once, and a log of dirty pages is there."""
    script = qemu_net(QEMU_7_2, 1).boot().script
    script.wait(0.1)
    flags = KNOWN | int(SampleFlag.COUNTED | SampleFlag.MARKED)
    ring = RingSample(1, flags, 256, 3, 0, 3, kick_total=2, call_total=1, marked=3, marked_used=9)
    notices = NoticeTimes(1, "kick", ((script.time_ns - 1000, 1), (script.time_ns, 2)))
    log = DirtyLog(4096, 12)
    script.records.append(sample_of(script.time_ns, 0, 1, (ring,), 100_000_000, (notices,), log))
    return script


def test_counted_kicks_are_in_the_row_and_with_their_times_in_json() -> None:
    shown = Annotator().annotate_all(rows(counted().records))
    text, made = Text(Rows()), JsonLines()
    both = [(" ".join(text.lines(each)), json.loads(next(iter(made.lines(each))))) for each in shown]
    line, found = both[-1]
    assert "tx0 0/s, 3 of 256 in flight, 2 kicks, 1 call; log: 12 pages dirty" in " ".join(line.split())
    (ring,) = found["samples"]
    assert (ring["kick_total"], ring["call_total"], ring["uncalled"]) == (2, 1, None)
    assert (ring["inflight_marked"], ring["inflight_used"]) == (3, 9)
    assert [total for _, total in ring["kick_times"]] == [1, 2]
    assert ring["kick_times"][1][0] == found["time"]
    assert "call_times" not in ring
    assert found["log"] == {"size": 4096, "dirty": 12, "unwritten_ms": 0}


def test_queues_and_the_board_have_what_moved_last() -> None:
    table = "\n".join(queues_text(timeline_of(sampled()), None))
    assert table.count("0/s") == 1
    assert "3 of 256" in table
    board = Board({})
    for row in rows(sampled().records):
        board.feed(row)
    lines = board_lines(board, board.now_ns, 200, 100)
    assert any("moves" in line and "in flight" in line for line in lines)
    assert any("tx0" in line and "0/s" in line and "3 of 256" in line for line in lines)
    assert not any("sample" in line for line in lines)


def test_what_was_never_looked_at_is_in_no_view() -> None:
    script = qemu_net(QEMU_7_2, 1).boot().script
    timeline = timeline_of(script)
    session = timeline.connections[0].sessions[0]
    assert list(move_lines(session, 80)) == []
    assert "in flight" not in "\n".join(queues_text(timeline, None))
    assert all("samples" not in ring for ring in ring_objects(timeline))


def test_the_blocks_of_a_ring_are_as_high_as_what_moved() -> None:
    session = timeline_of(sampled()).connections[0].sessions[0]
    _, line = move_lines(session, 80)
    name, blocks, words = line.split("│")
    assert name.split() == ["1", "tx0"]
    assert words == " up to 3.0 k/s, then 3 of 256 in flight"
    assert [each for each in blocks if each != " "] == ["▃", "█"]
    assert len(line) <= 80


def ring_objects(timeline: Timeline) -> list[dict[str, Any]]:
    """The rings of the first session, as JSON."""
    made = json.loads("".join(render_json(timeline, DrawingOptions(lambda: iter(())))))
    found: list[dict[str, Any]] = made["connections"][0]["sessions"][0]["rings"]
    return found


def test_the_page_and_json_have_the_series() -> None:
    timeline = timeline_of(sampled())
    lane = timeline.connections[0].sessions[0].rings[1]
    assert [used for _, used in ring_data(lane, {})["samples"]] == [0, 1000, 3000, 0, 0]
    told = ring_objects(timeline)[1]["samples"]
    assert [(each["used_per_second"], each["in_flight"], each["calls"]) for each in told][:2] == [
        (0, 3, None),
        (1000, 3, None),
    ]


def test_perfetto_has_a_counter_for_what_moves_and_what_is_in_flight() -> None:
    trace_pb2 = pytest.importorskip("perfetto.protos.perfetto.trace.perfetto_trace_pb2")
    trace = trace_pb2.Trace()
    script = sampled()
    trace.ParseFromString(b"".join(render(timeline_of(script), DrawingOptions(lambda: rows(script.records)))))
    tracks = {
        packet.track_descriptor.uuid: packet.track_descriptor.name
        for packet in trace.packet
        if packet.track_descriptor.HasField("counter")
    }
    values: dict[str, list[int]] = {name: [] for name in tracks.values()}
    for packet in trace.packet:
        if packet.track_event.type == packet.track_event.TYPE_COUNTER:
            values[tracks[packet.track_event.track_uuid]].append(packet.track_event.counter_value)
    assert values == {
        "tx0: made available per s": [0, 1000, 3000, 0, 0],
        "tx0: used per s": [0, 1000, 3000, 0, 0],
        "tx0: in flight": [3] * 5,
    }


def test_many_samples_are_thinned_and_the_fastest_are_kept() -> None:
    series = Series(keep=8)
    for row in rows(sampled().records):
        for _ in range(4):
            series.feed(row.changes.moved)
    kept = series.of(1)
    assert len(kept) <= 8
    assert max(moved.used for moved in kept) == 3000


@needs_tshark
def test_wireshark_has_fields_for_what_is_in_a_ring(tmp_path: Path) -> None:
    capture, script = tmp_path / "sampled.pcapng", write_plugin(load(), tmp_path)
    with Writer(capture) as writer:
        for item in [endpoints(), *sampled().records]:
            writer.write(item)
    words = ["tshark", "-X", f"lua_script:{script}", "-r", str(capture), "-T", "fields", "-e", "_ws.col.Info"]
    for field in ("ring", "used", "in_flight", "used_total", "kicks"):
        words += ["-e", f"vhost_user.sample.{field}"]
    ran = subprocess.run([*words, "-Y", "vhost_user.sample"], capture_output=True, text=True, check=True)
    told = "= sample: ring 1: 3 of 256 in flight"
    assert ran.stdout.splitlines() == [f"{told}\t1\t{total}\t3\t{total}\t2" for total in TOTALS]


@needs_tshark
def test_wireshark_has_fields_for_counted_kicks_where_there_are_any(tmp_path: Path) -> None:
    capture, script = tmp_path / "counted.pcapng", write_plugin(load(), tmp_path)
    with Writer(capture) as writer:
        for item in [endpoints(), *sampled().records[-1:], *counted().records[-1:]]:
            writer.write(item)
    words = ["tshark", "-X", f"lua_script:{script}", "-r", str(capture), "-T", "fields"]
    for field in ("ring", "kick_total", "call_total"):
        words += ["-e", f"vhost_user.sample.{field}"]
    ran = subprocess.run([*words, "-Y", "vhost_user.sample"], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["1\t\t", "1\t2\t1"]
