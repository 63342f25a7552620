"""The timeline drawn: exact text for scripted sessions and kept captures, and what the other formats promise.

In the golden texts of captures, what another run of the same programs would change (times, durations,
paths) is masked.
"""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from kit.sessions import (
    QEMU_2_10,
    QEMU_7_2,
    Script,
    cloud_hypervisor,
    qemu_blk,
    qemu_net,
    spdk,
    stranger,
    timeline_of,
    virtio_user_server_restart,
)
from kit.transcript import front

from vutrace.capture import read
from vutrace.dissection.registry import load
from vutrace.session.model import Timeline
from vutrace.session.timeline import timeline
from vutrace.session.tracker import Tracker
from vutrace.views import queues
from vutrace.views.colour import painted
from vutrace.views.timeline.formats import FORMATS, DrawingOptions, Scale
from vutrace.views.timeline.part import with_rings
from vutrace.views.timeline.text import ESCAPE

HERE = Path(__file__).parent
Golden = Callable[[str, str], None]
CAPTURES = sorted((HERE.parent / "captures").glob("*.pcapng"))
SVG = "{http://www.w3.org/2000/svg}"


def draw(built: Timeline, name: str = "text", scale: Scale = Scale.ORDER, width: int = 110) -> str:
    return "".join(map(str, FORMATS[name].render(built, DrawingOptions(list, scale, width))))


def restarted(pairs: int) -> Script:
    front_end = qemu_net(QEMU_2_10, pairs).boot()
    front_end.restart()
    return front_end.script


def migrated() -> Script:
    front_end = qemu_net(QEMU_7_2, 3, 2).boot()
    front_end.log(on=True)
    front_end.script.wait(1)
    front_end.stop()
    return front_end.script


SCRIPTS: dict[str, Callable[[], Script]] = {
    "qemu-2.10-20-pairs": lambda: restarted(20),
    "qemu-7.2-migration": migrated,
    "qemu-7.2-blk": qemu_blk,
    "virtio-user-server": virtio_user_server_restart,
    "spdk": spdk,
    "cloud-hypervisor": cloud_hypervisor,
    "stranger": stranger,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripted_sessions_in_text(name: str, golden: Golden) -> None:
    golden(f"timeline/{name}.txt", draw(timeline_of(SCRIPTS[name]())))


@pytest.mark.parametrize("name", ["qemu-2.10-20-pairs", "qemu-7.2-migration"])
def test_scripted_sessions_in_true_time(name: str, golden: Golden) -> None:
    golden(f"timeline/{name}.time.txt", draw(timeline_of(SCRIPTS[name]()), scale=Scale.TIME))


def test_scripted_sessions_as_mermaid(golden: Golden) -> None:
    golden("timeline/qemu-2.10-20-pairs.mmd", draw(timeline_of(restarted(20)), "mermaid"))


def test_scripted_rings_as_a_table(golden: Golden) -> None:
    lines = queues.text(timeline_of(restarted(3)), None)
    golden("queues/qemu-2.10-3-pairs.txt", "\n".join(lines))


def captured(path: Path) -> Timeline:
    tracker = Tracker(load())
    return timeline(tracker.rows(read(path)), tracker.connections)


MASKS = [
    (r"\d+\.\d{6}", "T"),
    (r"\d[\d.e+]* (s|ms|µs|ns)\b", "D"),
    (r"(listen|connect):\S+/", r"\1:"),
    (r"0x[0-9a-f]{6,}", "ADDRESS"),
    (r"eventfd#\d+", "eventfd#N"),
    (r" +", " "),
    (r"-{3,}", "---"),
]


def masked(lines: Iterable[str]) -> str:
    """What another run would tell in the same way."""
    text = "\n".join(line.rstrip() for line in lines) + "\n"
    for pattern, mask in MASKS:
        text = re.sub(pattern, mask, text)
    return text


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_kept_captures(path: Path, golden: Golden) -> None:
    text = draw(captured(path), width=118).splitlines()
    golden(f"timeline/captures/{path.stem}.txt", masked(text))


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_rings_of_kept_captures_as_a_table(path: Path, golden: Golden) -> None:
    golden(f"queues/captures/{path.stem}.txt", masked(queues.text(captured(path), None)))


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_no_kept_capture_has_an_unknown_course(path: Path) -> None:
    for connection in captured(path).connections:
        for session in connection.sessions:
            assert session.device_reason
            names = [str(phase.phase) for phase in session.phases]
            assert names[:1] in (["init"], ["stop"])
            # Some were made without a driver in the guest: no ring of theirs was ever kicked.
            kicked = any(mark.name == "SET_VRING_KICK" for lane in session.rings for mark in lane.marks)
            assert ("start" in names) == kicked
            assert not kicked or names[names.index("start") + 1] == "running"


def test_lines_fit_the_width() -> None:
    for width in (60, 80, 132):
        for line in draw(timeline_of(migrated()), width=width).splitlines():
            assert len(line) <= width


def test_many_rings_are_folded_and_few_are_not() -> None:
    many = draw(timeline_of(qemu_net(QEMU_7_2, 128).boot().script), width=100)
    assert "rings 4–255: same" in many
    assert len(many.splitlines()) < 40
    few = draw(timeline_of(qemu_net(QEMU_7_2, 1).boot().script), width=100)
    assert "same" not in few


def test_only_the_rings_that_are_wanted() -> None:
    whole = timeline_of(restarted(4))
    session = with_rings(whole, lambda lane: lane.pair == 2).connections[0].sessions[0]
    assert [lane.ring.index for lane in session.rings] == [4, 5]
    assert session.phases == whole.connections[0].sessions[0].phases


def test_colour_changes_nothing_but_colour() -> None:
    built = timeline_of(restarted(20))
    coloured = "".join(
        map(str, FORMATS["text"].render(built, DrawingOptions(list, Scale.ORDER, 110, painted)))
    )
    assert ESCAPE.sub("", coloured) == draw(built)
    assert "\x1b[1;31m{SET_OWNER}\x1b[0m" in coloured


def test_what_was_agreed_and_who_owes_what_is_told() -> None:
    script = migrated()
    script.add(front("GET_FEATURES", b""))
    text = draw(timeline_of(script))
    assert "3 × features offered 0x144008000, acknowledged 0x140008000 -LOG_ALL  (row 34)" in text
    assert "SET_MEM_TABLE: +256 MiB at gpa 0" in text
    assert "27 received, 6 of them replaced an earlier one" in text
    assert "GET_FEATURES was never answered by the back-end" in text


def test_json_has_the_shape_that_was_promised() -> None:
    built = json.loads(draw(timeline_of(restarted(20)), "json"))
    connection = built["connections"][0]
    assert connection["connection"] == "A"
    session = connection["sessions"][0]
    assert session["session"] == 1
    init, features, start, running = session["phases"]
    assert [each["name"] for each in session["phases"]] == ["init", "features", "start", "running"]
    assert {"name", "first", "last", "start", "end", "loops", "once"} <= set(init)
    assert init["once"] == ["GET_QUEUE_NUM", "SET_OWNER"]
    (loop,) = init["loops"]
    assert (loop["name"], loop["count"], len(loop["iterations"])) == ("queue pair", 20, 20)
    assert {"queue_pair", "first", "last", "messages", "anomalies"} <= set(loop["iterations"][3])
    assert loop["iterations"][3]["messages"].count("SET_VRING_CALL") == 2
    assert (running["first"], running["last"], running["start"]) == (None, None, start["end"])
    assert features["messages"] == 40
    ring = session["rings"][0]
    assert (ring["ring"], ring["name"]) == (0, "rx0")
    assert {"state", "start", "end", "first"} <= set(ring["spans"][0])
    assert [span["state"] for span in ring["spans"]] == ["stopped", "configured", "running", "stopped"]


def test_svg_is_one_picture_without_references() -> None:
    for scale in Scale:
        picture = ElementTree.fromstring(draw(timeline_of(restarted(20)), "svg", scale))
        tags = {each.tag.removeprefix(SVG) for each in picture.iter()}
        assert tags == {"svg", "style", "rect", "text", "title"}
        titles = [each.text or "" for each in picture.iter(f"{SVG}title")]
        assert sum("once per device" in title for title in titles) == 6  # 3 in each session
        assert sum(title.startswith("SET_VRING_ENABLE: ") for title in titles) == 40 + 2 + 2
        names = [each.text or "" for each in picture.iter(f"{SVG}text")]
        assert sum(name.strip() == "39 tx19" for name in names) == 2


def test_mermaid_blocks_end() -> None:
    for script in (restarted(3), migrated(), qemu_blk()):
        lines = [line.strip() for line in draw(timeline_of(script), "mermaid").splitlines()]
        assert sum(line.startswith(("loop ", "rect ")) for line in lines) == lines.count("end")


def test_queues_tell_state_rule_and_descriptors() -> None:
    text = "\n".join(queues.text(timeline_of(restarted(2)), 0))
    assert "session 2" in text
    assert "session 1" not in text
    assert "yes (sent 1)" in text
    assert "no (sent -)" in text  # a restarted back-end is told of the enabled pair only
    assert "started by SET_VRING_KICK; enabled by SET_VRING_ENABLE" in text
    rings = json.loads(queues.objects(timeline_of(restarted(2)), 1))[0]["rings"]
    assert [ring["enable_sent"] for ring in rings] == [True, True, False, False]
    assert set(rings[0]["fds"]) == {"kick", "call"}


def test_rounds_that_came_to_the_same_are_one_whatever_their_rows() -> None:
    text = "".join(
        map(
            str,
            FORMATS["text"].render(
                timeline_of(qemu_net(QEMU_7_2, 2).boot().script), DrawingOptions(lambda: [])
            ),
        )
    )
    assert " × features offered" in text


def test_sessions_that_are_drawn_alike_are_drawn_once() -> None:
    script = Script()
    for _ in range(4):
        script.open()
        script.ask("GET_FEATURES")
        script.close()
    script.open()
    script.ask("SET_OWNER")
    text = draw(timeline_of(script))
    assert "3 sessions, 2 to 4: the same, but for rows and times" in text
    assert [line.split(",")[0] for line in text.splitlines() if line.startswith("session")] == [
        "session 1",
        "session 5",
    ]
