"""What rules did, as it is written and read: any deed, damage, older readers, Wireshark."""

import contextlib
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.proxy_lab import message
from kit.wireshark_json import needs_tshark, tshark, write_plugin

from vutrace.capture import Writer, read
from vutrace.capture.acted import MOST_FDS, NAME_LIMIT, TLV_CAME, decode_acted, encode_acted
from vutrace.capture.errors import MalformedError
from vutrace.dissection.registry import Registry, load
from vutrace.records import Acted, Channel, Connection, Deed, Event, EventKind, FdInfo, FdKind, Frame, Side
from vutrace.session.acted import dropped_frame
from vutrace.session.tracker import Tracker

EVENTFD = FdInfo(FdKind.EVENTFD, eventfd_id=3)
ENABLED, DISABLED = (message(18, struct.pack("=II", 3, on)) for on in (1, 0))
CHANGED = Acted(Deed.CHANGED, "SET_VRING_ENABLE : set num=0", 900, ENABLED, (EVENTFD,), len(ENABLED))
FRAME = Frame(1000, 0, 1, Channel.MAIN, Side.FRONTEND, DISABLED, (EVENTFD,), wire_size=20, acted=CHANGED)


def written(path: Path, *records: Frame | Event) -> list[Frame | Event]:
    """What is read of them."""
    with Writer(path) as writer:
        writer.write(Connection(0, "f", "b"))
        for record in records:
            writer.write(record)
    return [item for item in read(path) if not isinstance(item, Connection)]


@settings(deadline=None)
@given(
    st.sampled_from(Deed),
    st.text(max_size=40),
    st.integers(0, 2**64 - 1),
    st.binary(max_size=99),
    st.integers(0, MOST_FDS),
)
def test_any_deed_is_read_as_it_was_written(deed: Deed, rule: str, ns: int, data: bytes, fds: int) -> None:
    changed = deed is Deed.CHANGED
    acted = Acted(deed, rule, ns, data if changed else b"", (EVENTFD,) * (fds * changed), len(data) * changed)
    value = encode_acted(acted)
    wanted = replace(acted, rule=rule.encode("utf-8", "replace")[:NAME_LIMIT].decode())
    assert decode_acted(b"xx" + value, 2, 2 + len(value)) == wanted


def test_a_frame_keeps_what_was_done_to_it(tmp_path: Path) -> None:
    assert written(tmp_path / "x.pcapng", FRAME) == [FRAME]


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_damage_is_refused_or_read(data: bytes) -> None:
    with contextlib.suppress(MalformedError):
        assert decode_acted(data, 0, len(data)).deed in Deed


def test_a_deed_of_later_versions_reads_as_a_change() -> None:
    value = struct.pack("<IQI", 99, 5, 12) + struct.pack("<II", TLV_CAME, 4) + b"abcd"
    assert decode_acted(value, 0, len(value)) == Acted(Deed.CHANGED, "", 5, b"abcd", (), 12)


@pytest.mark.parametrize(
    "facts", [{}, {"data": "zz"}, {"data": "00", "fds": "-1"}, {"data": "00", "fds": "many"}, {"data": ""}]
)
def test_a_dropped_message_that_is_damaged_is_only_an_event(facts: dict[str, str]) -> None:
    event = Event(0, 0, 1, EventKind.DROPPED, "dropped", Channel.MAIN, Side.FRONTEND, facts)
    assert dropped_frame(event) is None
    row = Tracker(Registry({})).feed(event)
    assert row.what is event


def test_the_row_has_both_messages() -> None:
    row = Tracker(Registry({})).feed(FRAME)
    assert row.came
    assert (row.came.fields["num"], row.came.frame.time_ns) == (1, 900)
    assert not row.state.rings.enabled  # what the back-end got


@needs_tshark
def test_wireshark_shows_both(tmp_path: Path) -> None:
    lua = write_plugin(load(), tmp_path)
    made = replace(FRAME, acted=Acted(Deed.MADE, "R", 5))
    written(tmp_path / "x.pcapng", FRAME, replace(FRAME, acted=None), made)
    fields = [word for name in ("deed", "rule", "came") for word in ("-e", f"vhost_user.{name}")]
    text = tshark(tmp_path / "x.pcapng", lua, "-T", "fields", *fields, "-Y", "vhost_user.deed")
    assert [line.split("\t") for line in text.splitlines()] == [
        ["changed", "SET_VRING_ENABLE : set num=0", ENABLED.hex()],
        ["made", "R", ""],
    ]
    info = tshark(tmp_path / "x.pcapng", lua, "-T", "fields", "-e", "_ws.col.Info", "-Y", "frame.number == 1")
    assert "(changed by 'SET_VRING_ENABLE : set num=0')" in info
