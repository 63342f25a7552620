"""Sessions of every front-end, message by message, after what their code sends.

A `Script` keeps the lines of `transcript` with their times as they are added. Each function below plays one
front-end at one step, so that tests read as the sequence that they mean.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from kit.transcript import Line, back, connection, eventfd, front, lookup, memfd, protocol
from vutrace.dissection.device import Device
from vutrace.dissection.registry import Plugin, Registry, load
from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES
from vutrace.protocol.spec import ReplyRule
from vutrace.records import Connection, Event, EventKind, FdInfo, FdKind, Record, Side
from vutrace.session.model import SessionTimeline, Timeline
from vutrace.session.row import Row
from vutrace.session.timeline import timeline
from vutrace.session.tracker import Tracker

LOG_ALL = 1 << 26
NET_OFFER = 0x1_4400_8000  # VERSION_1, PROTOCOL_FEATURES, LOG_ALL, MRG_RXBUF
NET_TAKEN = NET_OFFER & ~LOG_ALL
BLK_OFFER = 0x1_4000_0246  # BLK_SIZE, SEG_MAX, FLUSH, ... and no MRG_RXBUF
NOFD = 0x100
MESSAGES = frozenset(spec.name for spec in FRONTEND_MESSAGES.values())


@dataclass
class Script:
    """Records in the making: one connection, one microsecond between messages."""

    need_reply: frozenset[str] = frozenset()
    records: list[Record] = field(default_factory=list)
    session: int = 1
    time_ns: int = 1_000_000_000_000
    eventfds: int = 0
    connection: int = 0

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.time_ns += int(seconds * 1e9)

    def add(self, *lines: Line) -> None:
        """What happens next."""
        for line in lines:
            self.time_ns += 1000
            place = {"time_ns": self.time_ns, "connection": self.connection, "session": self.session}
            self.records.append(replace(line.record, **place))  # type: ignore[arg-type]

    def open(self) -> None:
        """Both ends are connected."""
        self.event(EventKind.OPEN, "connected")

    def close(self, sender: Side = Side.BACKEND) -> None:
        """One side is gone; what follows is the next session."""
        self.event(EventKind.CLOSE, "closed", sender)
        self.session += 1
        self.wait(1)

    def event(self, kind: EventKind, text: str, sender: Side | None = None) -> None:
        self.add(Line(Event(0, 0, 1, kind, text, sender=sender)))

    def ask(
        self,
        name: str,
        payload: bytes = b"",
        reply: bytes | None = None,
        fds: int | str = 0,
        reply_fds: int | str = 0,
    ) -> None:
        """A request with `fds` eventfds (or one descriptor of a kind), and its reply when one is due."""
        due = reply is not None or lookup(name, None)[1].rule is ReplyRule.ALWAYS
        acknowledged = name in self.need_reply and not due
        self.add(front(name, payload, need_reply=acknowledged, fds=self.descriptors(fds)))
        if due or acknowledged:
            self.add(back(name, bytes(8) if reply is None else reply, fds=self.descriptors(reply_fds)))

    def descriptors(self, fds: int | str) -> tuple[FdInfo, ...]:
        if isinstance(fds, str):
            return (memfd(256 << 20) if fds == "memfd" else FdInfo(FdKind(fds), 1, 4711),)
        self.eventfds += fds
        return tuple(eventfd(self.eventfds - fds + i + 1) for i in range(fds))

    # The messages with a payload, by what it means.

    def get(self, name: str, value: int) -> None:
        self.ask(name, reply=struct.pack("<Q", value))

    def set(self, name: str, value: int) -> None:
        self.ask(name, struct.pack("<Q", value))

    def ring(self, name: str, ring: int, number: int = 0) -> None:
        reply = struct.pack("<II", ring, 7) if name == "GET_VRING_BASE" else None
        self.ask(name, struct.pack("<II", ring, number), reply)

    def fd(self, name: str, ring: int, nofd: bool = False) -> None:
        self.ask(name, struct.pack("<Q", ring | (NOFD if nofd else 0)), fds=0 if nofd else 1)

    def addr(self, ring: int, flags: int = 0) -> None:
        base = 0x7F00_0000_0000 + ring * 0x10000
        self.ask("SET_VRING_ADDR", struct.pack("<IIQQQQ", ring, flags, base, base + 0x2000, base + 0x1000, 0))

    def memory(self) -> None:
        table = struct.pack("<IIQQQQ", 1, 0, 0, 256 << 20, 0x7F00_0000_0000, 0)
        self.ask("SET_MEM_TABLE", table, fds="memfd")

    def config(self, size: int) -> None:
        space = struct.pack("<III", 0, size, 0) + bytes(size)
        self.ask("GET_CONFIG", space, space)

    def steps(self, ring: int, order: str) -> None:
        """A ring's messages in an order like "num base addr kick call"."""
        for word in order.split():
            RING_STEPS[word](self, ring)


RING_STEPS: dict[str, Callable[[Script, int], None]] = {
    "num": lambda script, ring: script.ring("SET_VRING_NUM", ring, 256),
    "base": lambda script, ring: script.ring("SET_VRING_BASE", ring, 0),
    "addr": lambda script, ring: script.addr(ring),
    "kick": lambda script, ring: script.fd("SET_VRING_KICK", ring),
    "call": lambda script, ring: script.fd("SET_VRING_CALL", ring),
    "err": lambda script, ring: script.fd("SET_VRING_ERR", ring),
    "nocall": lambda script, ring: script.fd("SET_VRING_CALL", ring, nofd=True),
    "on": lambda script, ring: script.ring("SET_VRING_ENABLE", ring, 1),
    "off": lambda script, ring: script.ring("SET_VRING_ENABLE", ring, 0),
    "halt": lambda script, ring: script.ring("GET_VRING_BASE", ring, 0),
}


# QEMU, net


@dataclass(frozen=True)
class Qemu:
    """What differs between QEMU releases on the wire."""

    protocol: int
    err: bool = False
    status: bool = False
    enable_first: bool = False
    status_last_at_stop: bool = False
    need_reply: frozenset[str] = frozenset({"SET_MEM_TABLE"})


QEMU_2_10 = Qemu(protocol("MQ", "LOG_SHMFD", "REPLY_ACK", "BACKEND_REQ"))
QEMU_7_2 = Qemu(protocol("MQ", "LOG_SHMFD", "REPLY_ACK", "BACKEND_REQ", "STATUS"), True, True, True)
QEMU_10 = Qemu(
    protocol("MQ", "LOG_SHMFD", "REPLY_ACK", "BACKEND_REQ", "STATUS", "CONFIGURE_MEM_SLOTS"),
    True,
    True,
    True,
    True,
    frozenset(
        {
            "SET_MEM_TABLE",
            "ADD_MEM_REG",
            "SET_VRING_ENABLE",
            "SET_BACKEND_REQ_FD",
            "SET_VRING_CALL",
            "SET_VRING_ERR",
        }
    ),
)


@dataclass
class QemuNet:
    """vhost-user-net with `pairs` queue pairs."""

    script: Script
    qemu: Qemu
    pairs: int
    enabled: int = 1

    def init(self) -> None:
        """vhost_net_init for each pair."""
        script = self.script
        for pair in range(self.pairs):
            script.get("GET_FEATURES", NET_OFFER)
            script.get("GET_PROTOCOL_FEATURES", self.qemu.protocol)
            script.set("SET_PROTOCOL_FEATURES", self.qemu.protocol)
            if pair == 0:
                script.get("GET_QUEUE_NUM", 128)
            if self.qemu.protocol & protocol("CONFIGURE_MEM_SLOTS"):
                script.get("GET_MAX_MEM_SLOTS", 32)
            if pair == 0 or self.qemu is QEMU_2_10:
                script.ask("SET_BACKEND_REQ_FD", fds="socket")
            if pair == 0:
                script.ask("SET_OWNER")
            script.get("GET_FEATURES", NET_OFFER)
            for ring in (2 * pair, 2 * pair + 1):
                script.steps(ring, "call err" if self.qemu.err else "call")

    def features(self) -> None:
        """virtio_net_set_queue_pairs."""
        for ring in range(2 * self.pairs):
            self.script.steps(ring, "on" if ring < 2 * self.enabled else "off")

    def start(self) -> None:
        """vhost_net_start."""
        script = self.script
        for pair in range(self.pairs):
            rings = (2 * pair, 2 * pair + 1)
            if self.qemu.enable_first:
                self.enable(pair)
            script.set("SET_FEATURES", NET_TAKEN)
            if self.qemu.status:
                script.get("GET_STATUS", 0 if pair == 0 else 8)
                if pair == 0:
                    script.set("SET_STATUS", 8)
            if pair == 0:
                self.map_memory()
            for ring in rings:
                script.steps(ring, "num base addr kick call")
            if not self.qemu.enable_first:
                self.enable(pair)
        if self.qemu.status:
            script.get("GET_STATUS", 8)
            script.set("SET_STATUS", 0xF)

    def enable(self, pair: int) -> None:
        if pair < self.enabled:
            for ring in (2 * pair, 2 * pair + 1):
                self.script.steps(ring, "on")

    def map_memory(self) -> None:
        if self.qemu.protocol & protocol("CONFIGURE_MEM_SLOTS"):
            region = struct.pack("<QQQQQ", 0, 0, 256 << 20, 0x7F00_0000_0000, 0)
            self.script.ask("ADD_MEM_REG", region, fds="memfd")
        else:
            self.script.memory()

    def stop(self) -> None:
        """vhost_net_stop."""
        for pair in range(self.pairs):
            last = pair == self.pairs - 1 and self.qemu.status
            if last and not self.qemu.status_last_at_stop:
                self.script.set("SET_STATUS", 0)
            for ring in (2 * pair, 2 * pair + 1):
                self.script.steps(ring, "halt")
            if last and self.qemu.status_last_at_stop:
                self.script.set("SET_STATUS", 0)

    def boot(self) -> "QemuNet":
        """Everything up to a running guest."""
        self.script.open()
        self.init()
        self.script.wait(2)
        self.features()
        self.script.wait(0.1)
        self.start()
        self.script.wait(5)
        return self

    def restart(self) -> None:
        """The back-end goes and comes back while the guest runs."""
        self.script.close()
        self.script.open()
        self.init()
        self.start()
        self.script.wait(5)

    def log(self, on: bool) -> None:
        """Logging for a migration is turned on or off."""
        script = self.script
        for pair in range(self.pairs):
            if on and pair == 0:
                script.ask("SET_LOG_BASE", struct.pack("<QQ", 8192, 0), b"", "memfd")
            script.set("SET_FEATURES", NET_TAKEN | (LOG_ALL if on else 0))
            for ring in (2 * pair, 2 * pair + 1):
                script.addr(ring, int(on))


def qemu_net(qemu: Qemu, pairs: int, enabled: int = 1) -> QemuNet:
    """A front-end ready to boot."""
    return QemuNet(Script(qemu.need_reply), qemu, pairs, enabled)


# QEMU, blk


def qemu_blk(rings: int = 4) -> Script:
    """vhost-user-blk of QEMU 7.2: boot, then a reset of the guest."""
    script = Script(frozenset({"SET_MEM_TABLE"}))
    told = protocol("MQ", "REPLY_ACK", "CONFIG", "INFLIGHT_SHMFD", "STATUS")
    inflight = struct.pack("<QQHHI", 8448, 0, rings, 128, 0)
    script.open()
    script.get("GET_FEATURES", BLK_OFFER)
    script.get("GET_PROTOCOL_FEATURES", told)
    script.set("SET_PROTOCOL_FEATURES", told)
    script.get("GET_QUEUE_NUM", rings)
    script.ask("SET_OWNER")
    script.get("GET_FEATURES", BLK_OFFER)
    for ring in range(rings):
        script.steps(ring, "call err")
    script.ask(
        "GET_CONFIG", struct.pack("<III", 0, 60, 0) + bytes(60), struct.pack("<III", 0, 60, 0) + bytes(60)
    )
    script.wait(1)
    script.set("SET_FEATURES", BLK_OFFER)
    script.get("GET_STATUS", 0)
    script.set("SET_STATUS", 8)
    script.ask("GET_INFLIGHT_FD", inflight, inflight, reply_fds="memfd")
    script.ask("SET_INFLIGHT_FD", inflight, fds="memfd")
    for ring in range(rings):
        script.steps(ring, "call")
    script.set("SET_FEATURES", BLK_OFFER)
    script.get("GET_STATUS", 8)
    script.memory()
    for ring in range(rings):
        script.steps(ring, "num base addr kick")
    for ring in range(rings):
        script.steps(ring, "on")
    script.get("GET_STATUS", 8)
    script.set("SET_STATUS", 0xF)
    script.wait(3)
    for ring in range(rings):
        script.steps(ring, "off")
    for ring in range(rings):
        script.steps(ring, "halt")
    script.set("SET_STATUS", 0)
    return script


# The others


def virtio_user(pairs: int = 2, enabled: int = 1) -> Script:
    """DPDK's virtio-user: start, one pair more, stop."""
    script = Script(frozenset({"SET_MEM_TABLE", "SET_STATUS"}))
    script.open()
    script.ask("SET_OWNER")
    virtio_user_features(script, pairs)
    virtio_user_start(script, pairs)
    script.wait(1)
    for pair in range(1, enabled):
        script.steps(2 * pair, "on")
        script.steps(2 * pair + 1, "on")
    script.wait(1)
    virtio_user_stop(script, pairs, enabled)
    return script


def virtio_user_features(script: Script, pairs: int) -> None:
    told = protocol("MQ", "REPLY_ACK", "STATUS")
    script.get("GET_FEATURES", NET_OFFER)
    script.get("GET_PROTOCOL_FEATURES", told)
    script.set("SET_PROTOCOL_FEATURES", told)
    for ring in range(2 * pairs):
        script.steps(ring, "call")
    script.set("SET_FEATURES", NET_TAKEN)
    script.set("SET_STATUS", 0xB)
    script.get("GET_STATUS", 0xB)


def virtio_user_start(script: Script, pairs: int) -> None:
    script.get("GET_STATUS", 0xB)
    script.memory()
    for ring in range(2 * pairs):
        script.steps(ring, "num base addr kick")
    script.steps(0, "on")
    script.steps(1, "on")
    script.set("SET_STATUS", 0xF)


def virtio_user_stop(script: Script, pairs: int, enabled: int) -> None:
    for ring in range(2 * enabled):
        script.steps(ring, "off")
    for ring in range(2 * pairs):
        script.steps(ring, "halt")


def virtio_user_server_restart(pairs: int = 2) -> Script:
    """Server mode: the stop goes to the new back-end, SET_OWNER is left out."""
    script = virtio_user(pairs)
    del script.records[-2 * (2 * pairs) - 2 :]  # the port was not stopped
    script.close()
    script.open()
    virtio_user_stop(script, pairs, 1)  # to the new back-end, which knows nothing
    virtio_user_features(script, pairs)
    virtio_user_start(script, pairs)
    return script


def spdk(rings: int = 3) -> Script:
    """SPDK's initiator: SET_FEATURES before the protocol features, ENABLE at queue setup."""
    script = Script()
    told = protocol("MQ", "CONFIG")
    script.open()
    script.ask("SET_OWNER")
    script.get("GET_FEATURES", BLK_OFFER)
    script.set("SET_FEATURES", BLK_OFFER)
    script.get("GET_PROTOCOL_FEATURES", told)
    script.set("SET_PROTOCOL_FEATURES", told)
    script.ask(
        "GET_CONFIG", struct.pack("<III", 0, 256, 0) + bytes(256), struct.pack("<III", 0, 256, 0) + bytes(256)
    )
    for ring in range(rings):
        script.steps(ring, "on")
    script.get("GET_QUEUE_NUM", rings)
    for ring in range(rings):
        script.steps(ring, "call")
    script.memory()
    script.get("GET_FEATURES", BLK_OFFER)
    for ring in range(rings):
        script.steps(ring, "num base addr kick")
    script.wait(2)
    for ring in range(rings):
        script.steps(ring, "halt")
    return script


def cloud_hypervisor(pairs: int = 2) -> Script:
    """cloud-hypervisor, net: boot, pause and resume, reset."""
    script = Script(MESSAGES)
    told = protocol("MQ", "REPLY_ACK", "BACKEND_REQ", "INFLIGHT_SHMFD")
    rings = range(2 * pairs)
    script.open()
    script.ask("SET_OWNER")
    script.get("GET_FEATURES", NET_OFFER)
    script.get("GET_PROTOCOL_FEATURES", told)
    script.set("SET_PROTOCOL_FEATURES", told)
    script.get("GET_QUEUE_NUM", pairs)
    script.wait(1)
    script.set("SET_FEATURES", NET_TAKEN)
    script.memory()
    for ring in rings:
        script.steps(ring, "num")
    inflight = struct.pack("<QQHHI", 8448, 0, 2 * pairs, 128, 0)
    script.ask("GET_INFLIGHT_FD", inflight, inflight, reply_fds="memfd")
    script.ask("SET_INFLIGHT_FD", inflight, fds="memfd")
    for ring in rings:
        script.steps(ring, "addr base call kick")
    for ring in rings:
        script.steps(ring, "on")
    script.ask("SET_BACKEND_REQ_FD", fds="socket")
    script.wait(1)
    for ring in rings:
        script.steps(ring, "off")
    script.wait(1)
    for ring in rings:
        script.steps(ring, "on")
    script.wait(1)
    for ring in rings:
        script.steps(ring, "off halt")
    return script


def crosvm(pairs: int = 1) -> Script:
    """crosvm, net: start and reset."""
    script = Script()
    told = protocol("MQ", "BACKEND_REQ", "CONFIG", "REPLY_ACK", "DEVICE_STATE")
    rings = range(2 * pairs)
    script.open()
    script.ask("SET_OWNER")
    script.get("GET_FEATURES", NET_OFFER)
    script.get("GET_PROTOCOL_FEATURES", told)
    script.set("SET_PROTOCOL_FEATURES", told)
    script.ask("SET_BACKEND_REQ_FD", fds="socket")
    script.get("GET_QUEUE_NUM", pairs)
    script.wait(1)
    script.set("SET_FEATURES", NET_TAKEN)
    script.memory()
    for ring in rings:
        script.steps(ring, "num addr base call kick on")
    script.wait(1)
    for ring in rings:
        script.steps(ring, "off halt")
    return script


def libkrun(rings: int = 2) -> Script:
    """libkrun: SET_OWNER late, memory before features."""
    script = Script()
    script.open()
    script.get("GET_FEATURES", BLK_OFFER)
    script.get("GET_PROTOCOL_FEATURES", protocol("CONFIG", "MQ"))
    script.set("SET_PROTOCOL_FEATURES", protocol("CONFIG", "MQ"))
    script.get("GET_QUEUE_NUM", rings)
    script.wait(1)
    script.ask("SET_OWNER")
    script.memory()
    script.set("SET_FEATURES", BLK_OFFER)
    for ring in range(rings):
        script.steps(ring, "num base addr kick call on")
    return script


def stranger(rings: int = 2) -> Script:
    """A front-end never seen before: everything upside down, no protocol features at all."""
    script = Script()
    script.open()
    script.memory()
    for ring in reversed(range(rings)):
        script.steps(ring, "kick addr num base call")
    script.get("GET_FEATURES", 1 << 32)
    script.set("SET_FEATURES", 1 << 32)
    script.add(front(4242, b"what?"))
    script.wait(1)
    for ring in reversed(range(rings)):
        script.steps(ring, "halt")
    return script


# Reading them


def timeline_of(script: Script, device: str = "") -> Timeline:
    """The timeline of a script's records."""
    return timeline(rows(script.records, device), {0: endpoints()})


def sessions_of(script: Script) -> tuple[SessionTimeline, ...]:
    """Its sessions."""
    return timeline_of(script).connections[0].sessions


def phases_of(session: SessionTimeline) -> list[str]:
    """The names of its phases; brackets where the device ran without a message."""
    return [str(phase.phase) if phase.first else f"({phase.phase})" for phase in session.phases]


NET = Device(
    "net", number=1, ring_name=lambda index, _: f"{'tx' if index % 2 else 'rx'}{index // 2}", pairs=True
)


def endpoints() -> Connection:
    """The connection that the scripts run on."""
    return connection(0, "/run/vm.sock", "/run/dpdk.sock")


def rows(records: Iterable[Record], device: str = "") -> Iterator[Row]:
    """The rows of a script's records."""
    plugins = {"net": Plugin(NET, "tests")} | dict(load().plugins)
    return Tracker(Registry(plugins), device).rows([endpoints(), *records])
