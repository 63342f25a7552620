"""What of the specification captures exercised: nothing that came is missing, nothing else is seen."""

import json
import re
from pathlib import Path

import pytest
from test_imports import process, run

from vutrace.capture import read
from vutrace.dissection.registry import load
from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES
from vutrace.records import Channel, Frame, Side
from vutrace.rules.judge import Judge
from vutrace.session.tracker import Tracker
from vutrace.views.coverage.counting import Coverage, transitions_there

CAPTURES = Path(__file__).parent.parent.parent / "captures"
KEPT = sorted(CAPTURES.glob("*.pcapng"))
START = CAPTURES / "qemu-7.2-testpmd.pcapng"


def counts_of(*paths: Path) -> dict[str, dict[str, int]]:
    """The sections by name, from JSON."""
    found = json.loads(run("coverage", "--format", "json", *paths).stdout)
    return {section["name"]: section["counts"] for section in found["sections"]}


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_every_message_is_counted(path: Path) -> None:
    counted = counts_of(path)
    frames = [item for item in read(path) if isinstance(item, Frame)]
    sent = [frame for frame in frames if frame.channel is Channel.MAIN and frame.sender is Side.FRONTEND]
    numbers = [int.from_bytes(frame.data[:4], "little") for frame in sent]
    names = {row.name: row.number for row in FRONTEND_MESSAGES.values()}
    requests = counted["requests, main channel"]
    assert {name: numbers.count(number) for name, number in names.items()} == {
        name: requests[name] for name in names
    }
    every = [name for name in counted if name.startswith(("requests", "replies"))]
    assert sum(sum(counted[name].values()) for name in every) == len(frames)


def test_rings_pass_the_transitions_that_the_rows_have() -> None:
    counted = counts_of(START)["transitions of rings"]
    assert set(counted) == set(transitions_there())
    assert counted["stopped -> started by its kick descriptor"] == 2
    assert counted["stopped -> started by its kick in band"] == 0


def test_bits_are_those_of_the_masks() -> None:
    counted = counts_of(START)
    masks = re.findall(r'"protocol_features": (\d+)', run("show", "--json", START).stdout)
    offered, acknowledged = counted["protocol features offered"], counted["protocol features acknowledged"]
    assert sum(map(bool, offered.values())) == int(masks[0]).bit_count()
    assert sum(map(bool, acknowledged.values())) == int(masks[1]).bit_count()


def test_a_rule_that_is_broken_could_be_asked() -> None:
    found = Coverage()
    registry = load()
    for path in KEPT:
        tracker, judge = Tracker(registry), Judge()
        for row in judge.rows(tracker.rows(read(path))):
            found.feed(row)
    sections = {section.name: section for section in found.sections()}
    asked, broken = set(sections["rules that could be asked"].seen), sections["rules that were broken"].seen
    elsewhere = {name for name in broken if name.startswith(("frame.", "reply.", "device.dissector"))}
    assert set(broken) - elsewhere <= asked
    assert found.sessions >= len(KEPT)


def test_several_captures_are_counted_together() -> None:
    one, other, both = counts_of(KEPT[0]), counts_of(START), counts_of(KEPT[0], START)
    name = "requests, main channel"
    assert both[name] == {each: one[name][each] + other[name][each] for each in both[name]}


def test_text_says_what_is_missing() -> None:
    text = run("coverage", START).stdout
    assert re.search(r"^requests, main channel +\d+ of +45 +\d+ %\n  missing: RESET_OWNER", text)
    assert re.search(r"^ +1  SET_OWNER$", run("coverage", START, "--all").stdout, re.MULTILINE)


def test_the_page_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "coverage.html"
    assert run("coverage", START, "--format", "html", "-o", path).returncode == 0
    page = path.read_text()
    assert '<li class="seen">SET_OWNER <small>1</small></li>' in page
    assert not re.search(r"(src|href)=|@import|https?://", page)


def test_the_output_never_overwrites_a_capture() -> None:
    ran = process("coverage", START, "-o", START)
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)
