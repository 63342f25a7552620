"""Sequences of messages, as independent witnesses tell them: QEMU's trace, DPDK's log, and vutrace."""

import struct
from pathlib import Path
from typing import NamedTuple

from vutrace.capture import read
from vutrace.records import Channel, Frame

HEADER = struct.Struct("<III")  # request, flags, size of the payload


class Message(NamedTuple):
    """One message of the main channel, as far as every witness can tell it."""

    sender: str
    request: int
    flags: int


def frames(capture: Path) -> list[Frame]:
    """The messages in a capture, on all channels."""
    return [item for item in read(capture) if isinstance(item, Frame)]


def captured(capture: Path, session: int | None = None) -> list[Message]:
    """What vutrace saw on the main channel, in one session or in all."""
    return [
        Message(frame.sender, *HEADER.unpack_from(frame.data)[:2])
        for frame in frames(capture)
        if frame.channel is Channel.MAIN and session in (None, frame.session)
    ]


def requests(messages: list[Message]) -> list[int]:
    """The request numbers that the front-end sent."""
    return [message.request for message in messages if message.sender == "frontend"]
