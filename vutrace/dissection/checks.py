"""What can be wrong with one message by itself: header, size and descriptors.

Sources: vhost-user.rst, "Header", "Communication" and the sections of the messages.
"""

from collections.abc import Iterator

from vutrace.dissection.decoder import Fields
from vutrace.problems import Problem, ProblemText, Rule, Severity
from vutrace.protocol.spec import FD_COUNTS, FdCount, FdRule
from vutrace.protocol.wire import WIRES
from vutrace.records import Channel, Frame, FrameFlag, Side

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

CUT = Rule(
    "frame.cut",
    INFO,
    "Header",
    "Only the head of a very long message was kept; it was forwarded whole.",
    "Nothing is wrong with the session; what the message says behind the bound is not known.",
)
PARTIAL = Rule(
    "frame.broken-off",
    ERROR,
    "Communication",
    "The sender closed the connection, or died, in the middle of a message.",
    "Look at how the sender ended: its log, its exit status, a core dump.",
)
FDS_LOST = Rule(
    "frame.descriptors-lost",
    ERROR,
    "Communication",
    "The kernel could not hand over all descriptors, so that the receiver lacks some.",
    "Raise the limit of open files (ulimit -n) of the process that received them.",
)
RAW = Rule(
    "frame.no-framing",
    ERROR,
    "Header",
    "The bytes are no vhost-user messages any more: the stream is out of step, or another protocol.",
    "Look at the message before: its size, or its payload, is wrong.",
)
SHORT = Rule(
    "frame.short-header",
    ERROR,
    "Header",
    "What came is shorter than the 12 bytes of a header.",
    "Look at how the sender ended.",
)
VERSION = Rule(
    "frame.wrong-version",
    ERROR,
    "Header",
    "The version in the flags is not 1: QEMU, DPDK and others refuse such a message.",
    "Mend the sender: the two lowest bits of the flags must be 1.",
)
FLAGS = Rule(
    "frame.unknown-flags",
    WARNING,
    "Header",
    "The header has flags that nobody has defined.",
    "Mend the sender: only the version, REPLY and NEED_REPLY have a meaning.",
)
WRONG_WAY = Rule(
    "frame.wrong-way",
    ERROR,
    "Communication",
    "A side sent what only the other side sends on this channel.",
    "Look at the REPLY flag of the message, and at which end is which.",
)
SIZE = Rule(
    "frame.size-differs",
    ERROR,
    "Header",
    "The payload is not as long as the header says.",
    "Mend the sender; what follows may be read from a wrong place.",
)
PAYLOAD = Rule(
    "frame.payload-size",
    ERROR,
    "Message Specification",
    "The payload has a size that no known layout of this message has.",
    "Look at the versions of both ends: one may know another layout.",
)
FDS = Rule(
    "frame.descriptor-count",
    ERROR,
    "Communication",
    "More or fewer descriptors came along than this message carries.",
    "Look at the sender; the receiver may close the connection.",
)
UNKNOWN = Rule(
    "frame.unknown-request",
    WARNING,
    "Message types",
    "The message is not in the specification, nor among those of the installed dissectors.",
    "Install a dissector for the vendor's messages, or look for a newer vutrace.",
)
RULES = (CUT, PARTIAL, FDS_LOST, RAW, SHORT, VERSION, FLAGS, WRONG_WAY, SIZE, PAYLOAD, FDS, UNKNOWN)

FRAME_PROBLEMS = {
    FrameFlag.CUT: CUT.problem("recorded only in part: the message is larger than the record bound"),
    FrameFlag.PARTIAL: PARTIAL.problem("the sender closed before the message was whole"),
    FrameFlag.FDS_LOST: FDS_LOST.problem("descriptors were lost: the kernel truncated the ancillary data"),
    FrameFlag.RAW: RAW.problem("framing is lost: bytes as they came"),
}


ONLY_REPLY = ProblemText(FLAGS, "flags {:#x}: only REPLY is known on the {}")
WRONG_VERSION = ProblemText(VERSION, "version {:d} in flags {:#x}, expected {:d}")
UNKNOWN_BITS = ProblemText(FLAGS, "unknown bits in flags {:#x}")
FROM_OTHER_SIDE = ProblemText(WRONG_WAY, "a {} from the {}, which sends only {} on this channel")
SIZES_DIFFER = ProblemText(SIZE, "the header announces {:d} bytes, {:d} follow")
NO_LAYOUT = ProblemText(PAYLOAD, "payload of {:d} {}, expected {}")
ODD_COUNT = ProblemText(FDS, "{:d} descriptor{} attached, expected {}")
UNKNOWN_REQUEST = ProblemText(UNKNOWN, "unknown request {:d}")
LESS_THAN_HEADER = ProblemText(SHORT, "{:d} bytes are less than a header")


def frame_problems(frame: Frame) -> Iterator[Problem]:
    """What the relay noticed."""
    return (problem for flag, problem in FRAME_PROBLEMS.items() if frame.flags & flag)


def header_problems(channel: Channel, flags: int, reply: bool) -> Iterator[Problem]:
    """The right version and no unknown bits; where REPLY tells nothing, requests may have any."""
    wire = WIRES[channel]
    if not wire.marked:
        if reply and flags not in wire.flags(reply=True):
            yield ONLY_REPLY.problem(flags, channel.words)
        return
    if flags & wire.version_mask != wire.version:
        yield WRONG_VERSION.problem(flags & wire.version_mask, flags, wire.version)
    if flags & ~wire.known:
        yield UNKNOWN_BITS.problem(flags)


def sender_problem(sender: Side, reply: bool) -> Problem:
    """A message that went the wrong way; the REPLY flag alone tells requests from replies."""
    sent, due = ("reply", "requests") if reply else ("request", "replies")
    return FROM_OTHER_SIDE.problem(sent, sender.words, due)


def size_problems(announced: int, recorded: int) -> Iterator[Problem]:
    """The header's size must be that of the payload."""
    if announced != recorded:
        yield SIZES_DIFFER.problem(announced, recorded)


def number(fields: Fields, name: str) -> int:
    """A numeric field, 0 where it is absent."""
    value = fields.get(name)
    return value if isinstance(value, int) else 0


def regions(fields: Fields) -> int:
    """How many regions a memory table or a single-region message describes."""
    return number(fields, "nregions") if "nregions" in fields else int("region" in fields)


def expected_fds(count: FdCount, fields: Fields) -> tuple[int, int]:
    """The least and the most descriptors that a message with these fields may carry."""
    if count.per_region:
        return (regions(fields),) * 2
    says = any(number(fields, name) & count.mask for name in count.fields)
    return count.then if says else count.otherwise


def fd_problem(rule: FdRule, fields: Fields, count: int) -> Iterator[Problem]:
    """A number of descriptors that the message does not allow."""
    least, most = expected_fds(FD_COUNTS[rule], fields)
    if not least <= count <= most:
        expected = "no descriptor" if most == 0 else f"{least} to {most}" if least != most else str(most)
        yield ODD_COUNT.problem(count, "s" * (count != 1), expected)
