"""What can be wrong with one message by itself: header, size and descriptors.

Sources: vhost-user.rst, "Header", "Communication" and the sections of the messages.
"""

from collections.abc import Callable, Iterator

from vutrace.dissection.decoder import Fields
from vutrace.protocol.spec import KNOWN_FLAGS, REPLY, VERSION, VERSION_MASK, FdRule
from vutrace.records import Channel, Frame, FrameFlag, Side

FRAME_PROBLEMS = {
    FrameFlag.CUT: "recorded only in part: the message is larger than the record bound",
    FrameFlag.PARTIAL: "the sender closed before the message was whole",
    FrameFlag.FDS_LOST: "descriptors were lost: the kernel truncated the ancillary data",
    FrameFlag.RAW: "framing is lost: bytes as they came",
}


def frame_problems(frame: Frame) -> Iterator[str]:
    """What the relay noticed."""
    return (text for flag, text in FRAME_PROBLEMS.items() if frame.flags & flag)


def header_problems(channel: Channel, flags: int, reply: bool) -> Iterator[str]:
    """Version 1 and no unknown bits; the GPU channel has no version, and anything goes in its requests."""
    if channel is Channel.GPU:
        if reply and flags != REPLY:
            yield f"flags {flags:#x}: only REPLY is known on the GPU channel"
        return
    if flags & VERSION_MASK != VERSION:
        yield f"version {flags & VERSION_MASK} in flags {flags:#x}, expected 1"
    if flags & ~KNOWN_FLAGS:
        yield f"unknown bits in flags {flags:#x}"


def sender_problem(sender: Side, reply: bool) -> str:
    """A message that went the wrong way; the REPLY flag alone tells requests from replies."""
    sent, due = ("reply", "requests") if reply else ("request", "replies")
    return f"a {sent} from the {sender.words}, which sends only {due} on this channel"


def size_problems(announced: int, recorded: int) -> Iterator[str]:
    """The header's size must be that of the payload."""
    if announced != recorded:
        yield f"the header announces {announced} bytes, {recorded} follow"


def number(fields: Fields, name: str) -> int:
    """A numeric field, 0 where it is absent."""
    value = fields.get(name)
    return value if isinstance(value, int) else 0


def regions(fields: Fields) -> int:
    """How many regions a memory table or a single-region message describes."""
    return number(fields, "nregions") if "nregions" in fields else int("region" in fields)


FDS_EXPECTED: dict[FdRule, Callable[[Fields], tuple[int, int]]] = {
    FdRule.NONE: lambda fields: (0, 0),
    FdRule.ONE: lambda fields: (1, 1),
    FdRule.AT_MOST_ONE: lambda fields: (0, 1),
    FdRule.PER_REGION: lambda fields: (regions(fields),) * 2,
    FdRule.UNLESS_NOFD: lambda fields: (0, 0) if number(fields, "u64") & 0x100 else (1, 1),
    FdRule.IF_MAPPED: lambda fields: (1, 1) if number(fields, "mmap_size") else (0, 0),
    FdRule.IF_OK: lambda fields: (0, 0) if number(fields, "status") else (1, 1),
    FdRule.IF_SHOWN: lambda fields: (1, 1) if number(fields, "width") or number(fields, "height") else (0, 0),
}


def fd_problem(rule: FdRule, fields: Fields, count: int) -> Iterator[str]:
    """A number of descriptors that the message does not allow."""
    least, most = FDS_EXPECTED[rule](fields)
    if not least <= count <= most:
        expected = "no descriptor" if most == 0 else f"{least} to {most}" if least != most else str(most)
        yield f"{count} descriptor{'s' * (count != 1)} attached, expected {expected}"
