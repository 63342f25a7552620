"""Frame to Message: finds the row, decodes the payload, says what is wrong. Never raises."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

from vutrace.dissection.checks import (
    LESS_THAN_HEADER,
    NO_LAYOUT,
    UNKNOWN_REQUEST,
    fd_problem,
    frame_problems,
    header_problems,
    sender_problem,
    size_problems,
)
from vutrace.dissection.decoder import Fields
from vutrace.dissection.kept import LONGEST, Kept
from vutrace.dissection.layouts import Layouts, layouts_of
from vutrace.dissection.message import Message
from vutrace.dissection.partly import partly
from vutrace.problems import Problem
from vutrace.protocol.layers import Layer, title
from vutrace.protocol.messages import TABLES, unknown
from vutrace.protocol.payloads import Blob
from vutrace.protocol.spec import NOTHING, MessageSpec, Table
from vutrace.protocol.wire import BIG, HEADER_SIZE, LITTLE, VHOST_USER, is_reply
from vutrace.records import UNKNOWN as NOT_KNOWN
from vutrace.records import Channel, Frame, FrameFlag

READ_LITTLE, READ_BIG = LITTLE.unpack_from, BIG.unpack_from
SOUND = FrameFlag.NONE
CANNOT_COUNT = FrameFlag.FDS_UNKNOWN | FrameFlag.PAYLOAD_UNKNOWN | FrameFlag.FDS_LOST
BROKEN_HEADER = MessageSpec(0, "(no header)", ("Blob",))
RAW_BYTES = MessageSpec(0, "(raw bytes)", ("Blob",))


class Dissector:
    """Dissects frames of any channel; `extra` are messages that plug-ins add to the tables."""

    def __init__(self, extra: Mapping[Channel, Table] | None = None) -> None:
        self._tables = {
            channel: {**rows, **(extra or {}).get(channel, {})} for channel, rows in TABLES.items()
        }
        self._known: Kept[tuple[object, ...], Message] = Kept()
        self._layouts = lru_cache(4096)(self._find)

    def __call__(self, frame: Frame) -> Message:
        """The message that `frame` holds; one that came before, but for its frame, is not read again."""
        if len(frame.data) > LONGEST or (frame.flags is not SOUND and frame.flags & NOT_KNOWN):
            return self._read(frame)
        key = (
            *(frame.data, frame.channel, frame.sender, frame.flags, frame.wire_size, frame.big_endian),
            len(frame.fds),
        )
        known = self._known.get(key)
        if known:
            return known.again(frame)
        return self._known.keep(key, self._read(frame)._replace(content=object()))

    def _read(self, frame: Frame) -> Message:
        data = frame.data
        if len(data) < HEADER_SIZE or (frame.flags is not SOUND and frame.flags & FrameFlag.RAW):
            return headless(frame)
        request, flags, size = (READ_BIG if frame.big_endian else READ_LITTLE)(data)
        payload = data[HEADER_SIZE:]
        layouts = self._layouts(
            frame.channel, request, is_reply(frame.channel, frame.sender, flags), frame.big_endian
        )
        if frame.flags is not SOUND and frame.flags & NOT_KNOWN:
            return self._partly(frame, layouts, flags, payload)
        layer, fields, used, fits = layouts.read(payload)
        # Everything in order, as nearly always: one look instead of every check.
        if (
            fits
            and size == len(payload)
            and flags in layouts.flags
            and frame.flags is SOUND
            and frame.sender is layouts.sender
            and len(frame.fds) == layouts.fds
        ):
            return Message.of(frame, layouts.spec, flags, layer, fields)
        problems = tuple(self._problems(frame, flags, size, layouts, layer, fields, fits))
        return Message.of(frame, layouts.spec, flags, layer, fields, payload[used:], problems)

    def _partly(self, frame: Frame, layouts: Layouts, flags: int, payload: bytes) -> Message:
        """A message of which the source knew a part: it has the fields that are known, and no others."""
        if not frame.flags & FrameFlag.PAYLOAD_UNKNOWN:
            layer, fields, used, fits = layouts.read(payload)
            rest = payload[used:]
        else:
            layer, fields, rest, fits = *partly(layouts, payload, frame.known), b"", True
        problems = self._problems(frame, flags, len(payload), layouts, layer, fields, fits)
        return Message.of(frame, layouts.spec, flags, layer, fields, rest, tuple(problems))

    def _find(self, channel: Channel, request: int, reply: bool, big_endian: bool) -> Layouts:
        spec = self._tables[channel].get(request)
        if spec is not None:
            return layouts_of(spec, reply, big_endian, channel)
        # Without lawful flags an unknown message never passes unexamined.
        return replace(layouts_of(unknown(request), reply, big_endian, channel), flags=frozenset())

    def _problems(
        self,
        frame: Frame,
        flags: int,
        size: int,
        layouts: Layouts,
        layer: type[Layer],
        fields: Fields,
        fits: bool,
    ) -> Iterator[Problem]:
        spec = layouts.spec
        if frame.flags is not SOUND:
            yield from frame_problems(frame)
        if flags not in layouts.flags:
            yield from header_problems(frame.channel, flags, is_reply(frame.channel, frame.sender, flags))
        if frame.sender is not layouts.sender:
            yield sender_problem(frame.sender, bool(flags & VHOST_USER.reply))
        if spec.number not in self._tables[frame.channel]:
            yield UNKNOWN_REQUEST.problem(spec.number)
            return
        if frame.flags & ~NOT_KNOWN == SOUND:
            yield from size_problems(size, len(frame.data) - HEADER_SIZE)
            if not fits:
                bytes_ = "byte" if size == 1 else "bytes"
                yield NO_LAYOUT.problem(size, bytes_, expected(layer, layouts.sizes))
        if not frame.flags & CANNOT_COUNT:
            yield from fd_problem(layouts.rule, fields, len(frame.fds))


def expected(layer: type[Layer], sizes: str) -> str:
    """What a payload should have been."""
    return f"{sizes} ({title(layer)})" if sizes != "0" else "none"


def headless(frame: Frame) -> Message:
    """A frame that has no header to go by."""
    spec = RAW_BYTES if frame.flags & FrameFlag.RAW else BROKEN_HEADER
    data: Fields = {"data": frame.data} if frame.data else {}
    problems = tuple(frame_problems(frame)) or (LESS_THAN_HEADER.problem(len(frame.data)),)
    return Message.of(frame, replace(spec, request=NOTHING), VHOST_USER.version, Blob, data, b"", problems)
