"""What a running QEMU tells over QMP of the rings of its vhost devices: no proxy need have seen them set up.

Source: QEMU, qapi/virtio.json: x-query-virtio and its like, since 7.2. It knows no eventfds of vhost-user.
"""

import contextlib
import json
import os
import re
import socket
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from vutrace.errors import PEER, VutraceError
from vutrace.peers.encode import encode_request
from vutrace.protocol import payloads as p
from vutrace.protocol.bits import VIRTIO_FEATURES
from vutrace.protocol.check import asks
from vutrace.protocol.effects import MemoryEffect, RingEffect
from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES
from vutrace.protocol.layers import Layer
from vutrace.protocol.spec import MessageSpec
from vutrace.records import Channel, Connection, FdInfo, FdKind, Frame, Side
from vutrace.rings.once import OpenSession
from vutrace.sockets.process import command_of

SECONDS = 3.0  # for an answer: a monitor that somebody else uses gives none
MOST_QUEUES = 1024
MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) .w.s ([0-9a-f]+) ([0-9a-f]+):([0-9a-f]+) (\d+)")
BITS = {name: 1 << number for number, name in VIRTIO_FEATURES.items()} | {"VIRTIO_RING_F_EVENT_IDX": 1 << 29}
Told = Mapping[str, Any]


class QmpError(VutraceError):
    """A QEMU that cannot be asked; the text says why."""

    status = PEER


class SharedMapping(NamedTuple):
    """Memory of a process that others may share: addresses, and where it is in which file."""

    start: int
    end: int
    offset: int
    device: int
    inode: int


class QmpMonitor:
    """A QMP socket; QmpError where nobody answers."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(SECONDS)
        try:
            self._socket.connect(path)
            self._lines = self._socket.makefile("rb")
            if "QMP" not in self._answer():
                raise QmpError(f"{path} is no QMP socket")
            self.ask("qmp_capabilities")
        except OSError as error:
            self._socket.close()
            why = "it is in use, or QEMU stands still" if isinstance(error, TimeoutError) else error.strerror
            raise QmpError(f"the QMP socket {path} gives no answer: {why}") from None

    def _answer(self) -> dict[str, Any]:
        while line := self._lines.readline():
            with contextlib.suppress(ValueError):
                told = json.loads(line)
                if isinstance(told, dict) and "event" not in told:
                    return told
        raise ConnectionResetError(0, "it closed")

    def ask(self, command: str, **arguments: object) -> Any:
        """What QEMU returns; None where it has an error to tell. Raises OSError."""
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        return self._answer().get("return")

    def close(self) -> None:
        """Leave it to others."""
        self._socket.close()


def monitor_of(pid: int) -> str:
    """The QMP socket on a process's command line; "" where there is none."""
    words = command_of(pid).split(" ")
    options = list(pairwise(words))
    paths = {each.get("id", ""): each.get("path", "") for each in values(options, "-chardev")}
    for option, value in options:
        if option in ("-qmp", "-qmp-pretty") and value.startswith("unix:"):
            return value.removeprefix("unix:").partition(",")[0]
    monitors = (each for each in values(options, "-mon") if each.get("mode") == "control")
    return next(filter(None, (paths.get(each.get("chardev", ""), "") for each in monitors)), "")


def values(options: list[tuple[str, str]], name: str) -> Iterator[dict[str, str]]:
    """The properties of every option of a name."""
    for option, value in options:
        if option == name:
            yield dict(part.partition("=")[::2] for part in value.split(","))


def qemu_sessions(pid: int, path: str) -> list[tuple[str, OpenSession]]:
    """The started vhost devices of a QEMU, each with its name, as if its messages had been seen."""
    monitor = QmpMonitor(path)
    try:
        devices = monitor.ask("x-query-virtio")
        if devices is None:
            raise QmpError("this QEMU does not tell of its rings: x-query-virtio came with 7.2")
        found = ((device["name"], frames_of(monitor, pid, device["path"])) for device in devices)
        return [
            (name, OpenSession(Connection(number, f"QEMU {pid}", name), 1, (pid,), frames))
            for number, (name, frames) in enumerate(each for each in found if each[1])
        ]
    except (OSError, KeyError, TypeError, AttributeError) as error:
        raise QmpError(f"QEMU's answer cannot be used: {error!r}") from None
    finally:
        monitor.close()


def frames_of(monitor: QmpMonitor, pid: int, path: str) -> list[Frame]:
    """What set up a device's rings; nothing where no vhost back-end runs it."""
    rings = {}
    for queue in range(MOST_QUEUES):
        told = monitor.ask("x-query-virtio-vhost-queue-status", path=path, queue=queue)
        if not told:
            break
        if told["desc"]:
            rings[queue] = told
    if not rings:
        return []
    status = monitor.ask("x-query-virtio-status", path=path)
    shared = mappings(pid)
    return [
        frame(row(request="Features"), p.Features(features=features_of(status["guest-features"]))),
        table(shared, list(rings.values())),
        *(frame for ring, told in rings.items() for frame in ring_frames(ring, told)),
    ]


def features_of(told: Told) -> int:
    """The bits that the rings' form depends on, by their names."""
    names = {text.partition(":")[0] for text in told["transports"]}
    return sum(bit for name, bit in BITS.items() if name in names)


def table(shared: list[SharedMapping], rings: list[Told]) -> Frame:
    """The memory that rings lie in."""
    used = {
        each: told["desc-phys"] - (told["desc"] - each.start)
        for told in rings
        for each in shared
        if each.start <= told["desc"] < each.end
    }
    if not used:
        raise QmpError("the rings are in memory that QEMU does not share")
    regions = [
        p.MemoryRegion(
            guest_address=guest % (1 << 64),
            size=each.end - each.start,
            user_address=each.start,
            mmap_offset=each.offset,
        )
        for each, guest in used.items()
    ]
    fds = tuple(FdInfo(FdKind.MEMFD, each.device, each.inode, each.end - each.start) for each in used)
    return frame(row(memory=MemoryEffect.TABLE), p.MemoryTable(nregions=len(regions), regions=regions), fds)


def ring_frames(ring: int, told: Told) -> Iterator[Frame]:
    """Size, addresses and start of a ring."""
    places = {"descriptor": told["desc"], "used": told["used"], "available": told["avail"]}
    yield frame(row(effect=RingEffect.SIZE), p.VringState(index=ring, num=told["num"]))
    yield frame(row(effect=RingEffect.ADDRESSES), p.VringAddr(index=ring, **places))
    yield frame(row(effect=RingEffect.KICK), p.VringFd(u64=ring | 1 << 8))


def row(**columns: object) -> MessageSpec:
    """The first request that has such values in its columns."""
    chosen = asks(Channel.MAIN, **columns)
    return next(spec for spec in FRONTEND_MESSAGES.values() if chosen(spec, Channel.MAIN, False))


def frame(spec: MessageSpec, payload: Layer, fds: tuple[FdInfo, ...] = ()) -> Frame:
    """A message as a front-end sends it."""
    data = encode_request(spec, payload)
    return Frame(0, 0, 1, Channel.MAIN, Side.FRONTEND, data, fds, wire_size=len(data))


def mappings(pid: int) -> list[SharedMapping]:
    """What a process has mapped so that others see it; QmpError where that cannot be seen."""
    try:
        with open(f"/proc/{pid}/maps") as file:
            found = list(filter(None, map(MAPPING.match, file)))
    except OSError as error:
        raise QmpError(f"the memory of process {pid} cannot be seen: {error.strerror}") from None
    return [mapping_of(*each.groups()) for each in found]


def mapping_of(start: str, end: str, offset: str, major: str, minor: str, inode: str) -> SharedMapping:
    """A line of maps."""
    device = os.makedev(int(major, 16), int(minor, 16))
    return SharedMapping(int(start, 16), int(end, 16), int(offset, 16), device, int(inode))
