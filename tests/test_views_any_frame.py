"""Whatever a capture holds and however a dissector fails: views print it, one line to a row, and go on."""

import json
import struct
from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from kit.strategies import fd_infos, frames, texts
from scapy.fields import ByteEnumField, FlagsField, IEEEFloatField

from vutrace.dissection.device import Device
from vutrace.dissection.registry import Plugin, Registry
from vutrace.protocol.layers import Fixed, Layer, Tail, i64, le32
from vutrace.protocol.messages import TABLES
from vutrace.protocol.shows import FEATURES, RING, flags, parts
from vutrace.protocol.spec import MessageSpec, table
from vutrace.records import Channel, Event, EventKind, Frame, FrameFlag, Record, Side
from vutrace.session.row import Row
from vutrace.session.tracker import Tracker
from vutrace.views.annotated import Annotator
from vutrace.views.colour import painted
from vutrace.views.json_lines import JsonLines
from vutrace.views.printing import Printer, Text
from vutrace.views.rows import Rows
from vutrace.views.times import STYLES
from vutrace.views.tree import Tree


class OddConfig(Layer):
    """A stranger's idea of a layer: values that are not what their Show says, and scapy's own fields."""

    name = "odd"
    fields_desc = [
        i64("signed_mask", flags({0: "ZERO"})),
        Fixed("mask_of_bytes", 3, FEATURES),
        Fixed("parts_of_bytes", 2, parts(low=1)),
        le32("number", RING),
        FlagsField("scapy_flags", 0, 8, ["a", "b"]),
        ByteEnumField("scapy_enum", 0, {1: "one"}),
        IEEEFloatField("scapy_float", 0),
        Tail("left"),
    ]


def fails(*_: object) -> str:
    """A function of a plug-in that raises."""
    raise RuntimeError("of the\nplug-in")


ODD = Device(
    "odd",
    config=OddConfig,
    ring_name=fails,
    notes=fails,
    messages={Channel.MAIN: table(MessageSpec(200, "ODD\n", (OddConfig,), (OddConfig,)))},
)
REGISTRY = Registry({"odd": Plugin(ODD, "tests")})
PRINTERS: list[Printer] = [
    Text(Rows(paint=painted), Tree(), dump=True),
    Text(Rows(), Tree(True), dump=True, secrets=True),
    *(Text(Rows(style.make(), style.width)) for style in STYLES.values()),
    JsonLines(),
    JsonLines(secrets=True),
]


@st.composite
def messages(draw: st.DrawFn) -> Frame:
    """Known messages with payloads of about the right size."""
    channel = draw(st.sampled_from(Channel))
    number = draw(st.sampled_from([*TABLES[channel], 0, 200, 999]))
    sizes = [0, 7, 8, 16, 20, 24, 32, 36, 40, 48, 69, 632, 1072, 2056]
    payload = draw(st.sampled_from(sizes).flatmap(lambda size: st.binary(min_size=size, max_size=size)))
    size = draw(st.sampled_from([len(payload), len(payload), 0, 2**32 - 1]))
    order = draw(st.sampled_from("<>"))
    header = struct.pack(f"{order}III", number, draw(st.sampled_from([0, 1, 4, 5, 9, 13, 0xFFFFFFFF])), size)
    return Frame(
        draw(st.integers(0, 2**64 - 1)),
        0,
        1,
        channel,
        draw(st.sampled_from(Side)),
        header + payload,
        tuple(draw(st.lists(fd_infos(), max_size=3))),
        draw(st.sampled_from(FrameFlag)),
        draw(st.sampled_from([0, len(header + payload), 2**40])),
        order == ">",
    )


def events() -> st.SearchStrategy[Event]:
    """Events with any text."""
    attributes = st.dictionaries(texts() | st.just("frontend_name"), texts(), max_size=3)
    kinds, sides = st.sampled_from(EventKind), st.sampled_from(Side) | st.none()
    return st.builds(
        Event,
        st.integers(0, 2**64 - 1),
        st.just(0),
        st.just(1),
        kinds,
        texts(),
        st.just(Channel.MAIN),
        sides,
        attributes,
    )


def rows_of(records: Iterable[Record]) -> list[Row]:
    """The rows, with the stranger's dissector."""
    return list(Tracker(REGISTRY, "odd").rows(records))


@settings(deadline=None)
@given(st.lists(messages() | events() | frames(st.just(0)), max_size=4))
def test_no_view_ever_raises_and_every_line_is_one_line(records: list[Record]) -> None:
    rows = rows_of([replace(record, connection=0, session=1) for record in records])
    for printer in PRINTERS:
        lines = [line for shown in Annotator().annotate_all(rows) for line in printer.lines(shown)]
        assert len(lines) >= len(rows)
        assert not any("\n" in line or line.splitlines()[1:] for line in lines)


@settings(deadline=None)
@given(st.lists(messages() | events(), max_size=4))
def test_json_lines_are_json_with_the_fixed_keys(records: list[Record]) -> None:
    rows = rows_of(records)
    for shown in Annotator().annotate_all(rows):
        (line,) = JsonLines().lines(shown)
        first, *keys = json.loads(line)  # the first line of a capture names its schema
        assert (first, keys[: len(KEYS)]) == ("schema", KEYS)


KEYS = [
    "number",
    "time",
    "time_ns",
    "time_ns_text",
    "connection",
    "session",
    "channel",
    "sender",
    "kind",
    "request",
    "name",
    "reply",
    "need_reply",
    "ring",
    "ring_name",
    "size",
    "fields",
    "names",
    "fds",
    "reply_to",
    "latency",
    "phase",
    "loop",
    "problems",
]


def test_what_a_dissector_raises_is_a_problem_of_its_row() -> None:
    frame = Frame(
        0, 0, 1, Channel.MAIN, Side.FRONTEND, struct.pack("<IIIQ", 2, 1, 8, 1), (), FrameFlag.NONE, 20
    )
    (shown,) = Annotator().annotate_all(rows_of([frame]))
    assert [problem.text for problem in shown.problems] == ["dissector odd: RuntimeError: of the\nplug-in"]
