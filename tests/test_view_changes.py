"""What a message changes is told as a change: features, memory, configuration space, IOTLB, indexes."""

import struct

from kit.transcript import Line, back, closed, connection, front, memfd, opened, script, table

from vutrace.dissection.registry import load
from vutrace.records import Side
from vutrace.session.timeline import timeline
from vutrace.session.tracker import Tracker
from vutrace.views.annotated import AnnotatedRow, Annotator
from vutrace.views.changes import row_words
from vutrace.views.json_lines import JsonLines
from vutrace.views.rows import Rows, link
from vutrace.views.text import size
from vutrace.views.timeline.facts import facts

MIB = 1 << 20
LOG_ALL, VERSION_1 = 1 << 26, 1 << 32


def shown(*lines: Line, device: str = "net") -> list[AnnotatedRow]:
    """The rows of a session."""
    tracker = Tracker(load(), device)
    return list(Annotator(tracker.connections).annotate_all(tracker.rows([connection(), *script(*lines)])))


def words(*lines: Line, device: str = "net") -> list[str]:
    """What each message is told as."""
    return [row_words(each, each.row.what) for each in shown(*lines, device=device)]  # type: ignore[arg-type]


def test_features_that_are_taken_again_tell_what_is_new() -> None:
    offer = back("GET_FEATURES", features=VERSION_1 | LOG_ALL)
    _, _, first, second, third, same = words(
        front("GET_FEATURES"),
        offer,
        *(front("SET_FEATURES", features=mask) for mask in (VERSION_1, VERSION_1 | LOG_ALL, VERSION_1 | 4)),
        front("SET_FEATURES", features=VERSION_1 | 4),
    )
    assert first == "0x100000000 -LOG_ALL"
    assert second == "0x104000000 as before, but +LOG_ALL"
    assert third == "0x100000004 as before, but +CTRL_GUEST_OFFLOADS (not offered) -LOG_ALL"
    assert same == "0x100000004 as before"


def test_a_memory_table_tells_what_came_and_went() -> None:
    low, high, more = (0, 256 * MIB, 0x7F0000000000), (1 << 32, 128 * MIB, 0x7F1000000000), (1 << 33, MIB, 1)
    first, grown, same, shrunk = words(
        front("SET_MEM_TABLE", table(low), fds=[memfd(1)]),
        front("SET_MEM_TABLE", table(low, high), fds=[memfd(1), memfd(2)]),
        front("SET_MEM_TABLE", table(low, high), fds=[memfd(1), memfd(2)]),
        front("SET_MEM_TABLE", table(high, more), fds=[memfd(2), memfd(3)]),
    )
    assert first == "1 region, 256 MiB at gpa 0"
    assert grown == "2 regions, 384 MiB: +128 MiB at gpa 0x100000000"
    assert same == "2 regions, 384 MiB: as before"
    assert shrunk == "2 regions, 129 MiB: +1 MiB at gpa 0x200000000, -256 MiB at gpa 0"


def config(capacity: int) -> Line:
    space = struct.pack("<Q", capacity) + bytes(52)
    return back("GET_CONFIG", offset=0, size=60, flags=0, data=space)


def test_a_configuration_space_tells_what_changed() -> None:
    ask = front("GET_CONFIG", offset=0, size=60, flags=0, data=bytes(60))
    told = words(ask, config(2048), ask, config(2048), ask, config(4096), device="blk")[1::2]
    assert told[0].startswith("60 bytes at 0: capacity 2048 sectors")
    assert told[1] == "60 bytes at 0: as before"
    assert told[2].startswith("60 bytes at 0: capacity 2048 → 4096 sectors")
    assert "," not in told[2].partition("→")[2]


def test_a_ring_that_starts_elsewhere_resumes() -> None:
    assert words(
        front("SET_VRING_BASE", index=0, num=0),
        front("SET_VRING_BASE", index=0, num=3),
    ) == ["ring 0: avail 0", "ring 0: resumes at avail 3"]
    packed = front("SET_FEATURES", features=VERSION_1 | 1 << 34)
    fresh, later = (front("SET_VRING_BASE", index=0, num=num) for num in (0x80008000, 0x80078007))
    assert words(packed, fresh, later)[1:] == [
        "ring 0: avail 0 wrap 1, used 0 wrap 1",
        "ring 0: resumes at avail 7 wrap 1, used 7 wrap 1",
    ]


def test_an_iotlb_update_names_the_miss_that_it_ends() -> None:
    miss = back("BACKEND_IOTLB_MSG", iova=0x1800, size=0, user_address=0, permission=1, type=1)
    other = front("IOTLB_MSG", iova=0x8000, size=4096, user_address=1, permission=3, type=2)
    update = front("IOTLB_MSG", iova=0x1000, size=4096, user_address=1, permission=3, type=2)
    rows = shown(miss, other, update, update)
    assert [link(each) for each in rows] == ["", "", "[miss 1, +0.200 ms]", ""]
    assert '"miss": 1' in next(JsonLines().lines(rows[2]))


def test_the_first_row_of_a_connection_tells_its_sockets() -> None:
    rows = shown(opened(), closed())
    assert "A is front.sock ⇄ back.sock" in "\n".join(Rows().lines(rows[0]))
    assert '"endpoints": {"frontend": "front.sock", "backend": "back.sock"}' in next(
        JsonLines().lines(rows[0])
    )
    assert "A is" not in "\n".join(Rows().lines(rows[1]))


def test_who_sent_on_another_channel_and_who_closed_which_is_told() -> None:
    rows = shown(opened(), back("BACKEND_CONFIG_CHANGE_MSG"), closed(Side.BACKEND))
    text = "\n".join(line for each in rows for line in Rows().lines(each))
    assert "@<" in text
    assert "close: main channel: the backend closed" in text


def test_the_timeline_has_the_other_channels_and_who_closed() -> None:
    tracker = Tracker(load(), "net")
    lines = (opened(), *[back("BACKEND_CONFIG_CHANGE_MSG")] * 3, closed(Side.BACKEND))
    drawn = timeline(tracker.rows([connection(), *script(*lines)]), tracker.connections)
    (session,) = drawn.connections[0].sessions
    assert session.closed_by is Side.BACKEND
    assert ("3 × BACKEND_CONFIG_CHANGE_MSG from the back-end, rows 2–4",) in [
        fact.lines for fact in facts(session)
    ]


def test_sizes_are_exact() -> None:
    assert size(255 * MIB + 4096) == "255 MiB + 4 KiB"
    assert size(256 * MIB) == "256 MiB"
    assert size(8448) == "8448 bytes"
    assert size(3 * MIB + 4097) == "3149825 bytes"
    assert size(1) == "1 byte"
