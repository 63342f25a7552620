"""What DPDK's vhost library logs of the messages that it reads: the lines with VHOST_CONFIG.

Requests only: replies are not logged, but for what GET_VRING_BASE answers. A line says which message was
read, those behind it some of what was in it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vutrace.evidence.errors import EvidenceError
from vutrace.evidence.stamps import stamp
from vutrace.evidence.told import Item, LogSession, ToldMessage, row_named, with_regions
from vutrace.protocol.effects import RingEffect
from vutrace.protocol.spec import MessageSpec
from vutrace.protocol.wire import NOFD
from vutrace.records import Connection, FdInfo, FdKind, Lack, Side
from vutrace.session.context import RING_PACKED

LINE = re.compile(r"(?P<before>.*?)VHOST_CONFIG: ?(?:\((?P<path>[^)]*)\))?(?P<text>.*)")
READ = re.compile(r"read message VHOST_USER_(\w+)")
NEW = re.compile(r"new (?:vhost user connection|virtio connection|device, handle)")
ENDED = re.compile(r"vhost peer closed|peer closed")
SOURCE, NAMELESS = "the log of DPDK", "DPDK"
LACKING = (Lack.REPLIES, Lack.BACKEND)
NOTHING = "no line of it is 'VHOST_CONFIG: … read message VHOST_USER_…'; DPDK logs them at level info"
HEX, NUMBER = r"0x([0-9a-fA-F]+)", r"(-?\d+)"


@dataclass(slots=True)
class Pending:
    """The message that was read last, while the lines behind it may still tell of it."""

    time_ns: int | None
    row: MessageSpec
    values: dict[str, Any] = field(default_factory=dict)
    fds: tuple[FdInfo, ...] | None = None
    answer: dict[str, Any] | None = None


Take = Callable[[Pending, re.Match[str], bool], None]


def value(name: str, base: int = 16) -> Take:
    """A line that tells one field."""

    def take(pending: Pending, found: re.Match[str], packed: bool) -> None:
        pending.values[name] = int(found[1], base)

    return take


def descriptor(pending: Pending, found: re.Match[str], packed: bool) -> None:
    """vring kick idx:0 file:31, or -1 where none came."""
    index, number = int(found[1]), int(found[2])
    pending.values["u64"] = index | (NOFD if number < 0 else 0)
    pending.fds = () if number < 0 else (FdInfo(FdKind.UNKNOWN, backend_fd=number),)


def enabled(pending: Pending, found: re.Match[str], packed: bool) -> None:
    """set queue enable: 1 to qp idx: 0."""
    pending.values |= {"num": int(found[1]), "index": int(found[2])}


def base_told(pending: Pending, found: re.Match[str], packed: bool) -> None:
    """vring base idx:0 file:42: what the back-end answers, or what it was told by older versions."""
    index, number = int(found[1]), int(found[2])
    pending.values["index"] = index
    if pending.row.effect is RingEffect.STOP:
        pending.answer = {"index": index, "num": number}
    else:
        pending.values["num"] = number


def base_set(pending: Pending, found: re.Match[str], packed: bool) -> None:
    """vring base idx:0 last_used_idx:0 last_avail_idx:0; a packed ring's number has more in it."""
    pending.values["index"] = int(found[1])
    if not packed:
        pending.values["num"] = int(found[2])


def region(pending: Pending, found: re.Match[str], packed: bool) -> None:
    """guest memory region size: 0x10000000; its addresses follow."""
    pending.values.setdefault("regions", []).append({"size": int(found[1], 16)})


def of_region(name: str) -> Take:
    """A line about the last region."""

    def take(pending: Pending, found: re.Match[str], packed: bool) -> None:
        if pending.values.get("regions"):
            pending.values["regions"][-1][name] = int(found[1], 16)

    return take


TELLS: Mapping[re.Pattern[str], Take] = {
    re.compile(rf"negotiated Virtio features: {HEX}"): value("features"),
    re.compile(rf"negotiated Vhost-user protocol features: {HEX}"): value("protocol_features"),
    re.compile(rf"new device status\({HEX}\)"): value("status"),
    re.compile(rf"vring (?:kick|call) idx: ?{NUMBER} file: ?{NUMBER}"): descriptor,
    re.compile(rf"set queue enable: {NUMBER} to qp idx: ?{NUMBER}"): enabled,
    re.compile(rf"vring base idx: ?{NUMBER} file: ?{NUMBER}"): base_told,
    re.compile(rf"vring base idx: ?{NUMBER} last_used_idx: ?\d+ last_avail_idx: ?{NUMBER}"): base_set,
    re.compile(rf"guest memory region(?: \d+,)? size: {HEX}"): region,
    re.compile(rf"guest physical addr: {HEX}"): of_region("guest_address"),
    re.compile(rf"guest virtual +addr: {HEX}"): of_region("user_address"),
    re.compile(rf"mmap off *: {HEX}"): of_region("mmap_offset"),
}
REGION = {"guest_address", "size", "user_address", "mmap_offset"}


@dataclass(slots=True)
class LoggedDevice:
    """One device of the log: its current session, and the message whose lines may not be over."""

    connection: int
    sessions: int = 0
    session: LogSession | None = None
    pending: Pending | None = None
    packed: bool = False


def read_dpdk(lines: Iterable[str]) -> Iterator[Item]:
    """The messages in a log of DPDK's vhost library; EvidenceError where there is none."""
    devices = dict[str, LoggedDevice]()
    messages = 0
    for line in lines:
        found = LINE.match(line)
        if found is None:
            continue
        name, time_ns = found["path"] or NAMELESS, stamp(found["before"])
        if name not in devices and (READ.search(found["text"]) or NEW.search(found["text"])):
            devices[name] = LoggedDevice(len(devices))
            yield Connection(devices[name].connection, "unknown", name)
        if name in devices:
            messages += bool(READ.search(found["text"]))
            yield from told(devices[name], time_ns, found["text"].strip())
    for device in devices.values():
        yield from finished(device)
    if not messages:
        raise EvidenceError(NOTHING)


def told(device: LoggedDevice, time_ns: int | None, text: str) -> Iterator[Item]:
    """What one line of a device brings."""
    if read := READ.search(text):
        yield from finished(device)
        yield from begun(device, time_ns, whole=False)
        if row := row_named(read[1]):
            device.pending = Pending(time_ns, row)
    elif NEW.search(text):
        yield from finished(device)
        yield from begun(device, time_ns, whole=True)
    elif ENDED.search(text):
        yield from finished(device)
        if device.session and not device.session.closed:
            yield device.session.ended(time_ns, Side.FRONTEND)
    elif device.pending:
        learn(device, device.pending, text)


def learn(device: LoggedDevice, pending: Pending, text: str) -> None:
    """Take what a line tells of the message before it."""
    for pattern, take in TELLS.items():
        if found := pattern.search(text):
            take(pending, found, device.packed)
            device.packed = bool(pending.values.get("features", device.packed * RING_PACKED) & RING_PACKED)


def begun(device: LoggedDevice, time_ns: int | None, whole: bool) -> Iterator[Item]:
    """A session, where none is open."""
    if device.session is None or device.session.closed:
        device.sessions += 1
        device.session = LogSession(device.connection, device.sessions, SOURCE, LACKING)
        middle = "" if whole else "; it begins in the middle, what came before is not known"
        yield device.session.opened(time_ns, middle, whole)


def finished(device: LoggedDevice) -> Iterator[Item]:
    """The message that is pending: no more lines tell of it."""
    pending, device.pending = device.pending, None
    if pending is None or device.session is None:
        return
    values, fds = dict(pending.values), pending.fds
    if regions := values.get("regions"):
        known = all(set(each) == REGION for each in regions)
        values, regions = (with_regions(pending.row, regions), regions) if known else ({}, [])
        fds = (FdInfo(FdKind.UNKNOWN),) * len(regions) if regions else None
    answered = pending.answer is not None
    yield device.session.frame(
        pending.time_ns, ToldMessage(pending.row.number, values=values, fds=fds, replies=answered)
    )
    if answered:
        yield device.session.frame(
            pending.time_ns, ToldMessage(pending.row.number, reply=True, values=pending.answer, fds=())
        )
