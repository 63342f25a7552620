"""Frame to Message: finds the row, decodes the payload, says what is wrong. Never raises."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

from vutrace.dissection.checks import fd_problem, frame_problems, header_problems
from vutrace.dissection.compiler import Fields
from vutrace.dissection.layouts import Layout, Layouts, layouts_of
from vutrace.dissection.message import Message
from vutrace.protocol.layers import Empty, title
from vutrace.protocol.messages import TABLES, unknown
from vutrace.protocol.payloads import Blob
from vutrace.protocol.spec import HEADER_SIZE, REPLY, VERSION, FdRule, MessageSpec, Table
from vutrace.records import Channel, Frame, FrameFlag

LITTLE, BIG = struct.Struct("<III"), struct.Struct(">III")
BROKEN_HEADER = MessageSpec(0, "(no header)", (Blob,))
RAW_BYTES = MessageSpec(0, "(raw bytes)", (Blob,))


class Dissector:
    """Dissects frames of any channel; `extra` are messages that plug-ins add to the tables."""

    def __init__(self, extra: Mapping[Channel, Table] | None = None) -> None:
        self._tables = {
            channel: {**rows, **(extra or {}).get(channel, {})} for channel, rows in TABLES.items()
        }
        self._layouts = lru_cache(4096)(self._find)

    def __call__(self, frame: Frame) -> Message:
        """The message that `frame` holds."""
        data = frame.data
        unflagged = frame.flags is FrameFlag.NONE
        if len(data) < HEADER_SIZE or (not unflagged and frame.flags & FrameFlag.RAW):
            return headless(frame)
        request, flags, size = (BIG if frame.big_endian else LITTLE).unpack_from(data)
        layouts = self._layouts(frame.channel, request, bool(flags & REPLY), frame.big_endian)
        payload = data[HEADER_SIZE:]
        layout, fields, used, fits = layouts.read(payload)
        spec = layouts.spec
        rule = spec.reply_fds if flags & REPLY else spec.fds
        sound = (
            fits
            and size == len(payload)
            and unflagged
            and (flags | 0xC) == 0xD
            and (rule is FdRule.NONE) == (not frame.fds)
            and (rule is FdRule.NONE or rule is FdRule.ONE)
        )
        problems = () if sound else tuple(self._problems(frame, flags, size, layouts, layout, fields, fits))
        return Message(frame, spec, flags, layout.layer, fields, payload[used:], problems)

    def _find(self, channel: Channel, request: int, reply: bool, big_endian: bool) -> Layouts:
        spec = self._tables[channel].get(request) or unknown(request)
        return layouts_of(spec, reply, big_endian)

    def _problems(
        self,
        frame: Frame,
        flags: int,
        size: int,
        layouts: Layouts,
        layout: Layout,
        fields: Fields,
        fits: bool,
    ) -> Iterator[str]:
        spec = layouts.spec
        yield from frame_problems(frame)
        yield from header_problems(frame.channel, flags)
        if spec.number not in self._tables[frame.channel]:
            yield f"unknown request {spec.number}"
            return
        if not fits and not frame.flags:
            yield f"payload of {size} bytes, {title(layout.layer)} has {layouts.sizes}"
        yield from fd_problem(spec.reply_fds if flags & REPLY else spec.fds, fields, len(frame.fds))


def headless(frame: Frame) -> Message:
    """A frame that has no header to go by."""
    spec = RAW_BYTES if frame.flags & FrameFlag.RAW else BROKEN_HEADER
    data: Fields = {"data": frame.data} if frame.data else {}
    problems = tuple(frame_problems(frame)) or (f"{len(frame.data)} bytes are less than a header",)
    return Message(frame, replace(spec, request=(Empty,)), VERSION, Blob, data, b"", problems)
