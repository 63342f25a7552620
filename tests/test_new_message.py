"""A message that is new to the tables takes a row, a layer and a bit: everything else is told by those."""

import struct

import pytest

from vutrace.dissection.registry import Registry
from vutrace.protocol import bits, messages
from vutrace.protocol.effects import Purpose
from vutrace.protocol.layers import Layer, u32, u64
from vutrace.protocol.shows import SIZE
from vutrace.protocol.spec import FdRule, MessageSpec, missing_columns
from vutrace.records import Channel, FdInfo, FdKind, Frame, Side
from vutrace.session.fd_ledger import Slot
from vutrace.session.tracker import Tracker
from vutrace.views import listing
from vutrace.views.annotated import Annotator
from vutrace.views.changes import words_of

NUMBER, BIT = 4545, 63


class Pmu(Layer):
    """A payload."""

    name = "PMU"
    fields_desc = [u64("size", SIZE), u32("vcpus"), u32("flags")]


ROW = MessageSpec(
    NUMBER, "SET_PMU_FD", (Pmu,), fds=FdRule.ONE, gate="PMU", purpose=Purpose.PREPARE, role="pmu"
)


@pytest.fixture
def with_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table with the new row."""
    table = {**messages.TABLES[Channel.MAIN], NUMBER: ROW}
    monkeypatch.setitem(messages.TABLES, Channel.MAIN, table)
    monkeypatch.setitem(bits.PROTOCOL_FEATURES, BIT, "PMU")


@pytest.mark.usefixtures("with_row")
def test_a_new_message_is_dissected_listed_and_kept_track_of() -> None:
    payload = struct.pack("<QII", 4096, 2, 0)
    data = struct.pack("<III", NUMBER, 1, len(payload)) + payload
    fds = (FdInfo(FdKind.MEMFD, 1, 7, 4096),)
    frame = Frame(0, 0, 1, Channel.MAIN, Side.FRONTEND, data, fds, wire_size=len(data))
    (shown,) = Annotator().annotate_all([Tracker(Registry({})).feed(frame)])
    row = shown.row
    assert row.problems == ()
    assert words_of(shown, row.what) == "size 4 KiB, vcpus 2, flags 0"  # type: ignore[arg-type]
    assert list(row.state.fds.slots) == [Slot("pmu")]
    assert row.phase == "start"
    assert any(line["name"] == "SET_PMU_FD" for line in listing.messages(Registry({})))
    assert missing_columns(ROW, Channel.MAIN) == []
