"""A back-end that keeps to the spec in every case of the suite; faults are put into it, one at a time.

It is a disk (or with `net` a network card that drops what it is sent), with all that the protocol has.
"""

import contextlib
import os
import select
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from conform.device import Disk, Memory, Queue
from vutrace.conform.tested import NotReachedError, TestedPeer
from vutrace.dissection.message import Message
from vutrace.peers.connection import PeerConnection
from vutrace.peers.encode import encode_reply
from vutrace.protocol import payloads as p
from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES, bit
from vutrace.protocol.layers import Empty, Layer
from vutrace.protocol.spec import FdRule, ReplyRule
from vutrace.protocol.wire import HEADER, NEED_REPLY, NOFD, REPLY, VERSION
from vutrace.records import Side
from vutrace.sockets.framed import PeerError, close_all

TestedPeer.__test__ = False  # type: ignore[attr-defined]
RINGS, SLOTS, LONGEST = 2, 8, 32768
FEATURES = sum(
    bit(name, VIRTIO_FEATURES)
    for name in (
        "VIRTIO_F_VERSION_1",
        "VHOST_USER_F_PROTOCOL_FEATURES",
        "VIRTIO_F_INDIRECT_DESC",
        "VIRTIO_F_EVENT_IDX",
        "VIRTIO_F_RING_PACKED",
        "VHOST_F_LOG_ALL",
        "VIRTIO_F_ACCESS_PLATFORM",
    )
)
PROTOCOL = sum(1 << number for number in PROTOCOL_FEATURES)
ACK = bit("REPLY_ACK", PROTOCOL_FEATURES)
PROTOCOL_BIT = bit("VHOST_USER_F_PROTOCOL_FEATURES", VIRTIO_FEATURES)
CONFIG = (8192).to_bytes(8, "little") + bytes(52)
WRITABLE = 32


class RefusalError(Exception):
    """A request that must not be carried out."""


@dataclass
class Outcome:
    """What the back-end does about a message: replies, the end, its death."""

    replies: list[bytes] = field(default_factory=list)
    close: bool = False
    die: bool = False
    refused: bool = False


Fault = Callable[["Reference", Message, Outcome], None]
"""Changes what is done about a message."""


class Reference:
    """One connection's device."""

    def __init__(self, kinds: frozenset[str], net: bool) -> None:
        self.kinds = kinds  # faults of behaviour, by name
        self.features = self.protocol = self.status = 0
        self.offered = FEATURES | (1 << 3 if net else 1 << 11)
        self.config = bytearray(CONFIG)
        self.memory = Memory(kinds)
        self.queues = [Queue(index, self.memory, Disk(net), kinds) for index in range(RINGS)]
        if net:
            self.queues[1].echo, self.queues[0].waits = self.queues[0], True
        self.kept: list[int] = []

    def handle(self, message: Message, fds: list[int]) -> Outcome:
        """Carry it out, strictly."""
        spec, out = message.spec, Outcome()
        acknowledge = message.need_reply and bool(self.protocol & ACK)
        try:
            self.look(message)
            act = getattr(self, spec.name.lower(), None)
            if act is None:
                raise RefusalError("unknown")
            reply: Layer | None = act(message, fds)
        except (RefusalError, OSError, ValueError, KeyError) as error:
            out.refused = True
            return self.refuse(message, out, acknowledge, str(error))
        if reply is None and acknowledge:
            reply = p.Ack(status=0)
        if reply is not None:
            out.replies.append(encode_reply(spec, reply))
        return out

    def look(self, message: Message) -> None:
        """What a message has to be, whatever it says."""
        if message.flags & ~NEED_REPLY != VERSION:
            raise RefusalError("flags")
        if message.problems or message.rest:
            raise RefusalError("; ".join(map(str, message.problems)) or "bytes behind the payload")
        if (gate := message.spec.gate) in PROTOCOL_FEATURES.values() and not self.protocol & bit(
            gate, PROTOCOL_FEATURES
        ):
            raise RefusalError("not negotiated")
        if message.spec.fds is FdRule.NONE and message.frame.fds:
            raise RefusalError("descriptors")
        if message.ring is not None and message.ring >= RINGS:
            raise RefusalError("there is no such ring")

    def refuse(self, message: Message, out: Outcome, acknowledge: bool, why: str) -> Outcome:
        """An error where there is a way to say so, else the end."""
        if acknowledge and message.spec.rule is not ReplyRule.ALWAYS:
            number = HEADER.unpack_from(message.frame.data)[0]
            out.replies.append(HEADER.pack(number, VERSION | REPLY, 8) + (1).to_bytes(8, "little"))
        else:
            out.close = True
        return out

    def close(self) -> None:
        """Everything is given back."""
        close_all(self.kept)
        self.memory.clear()
        for queue in self.queues:
            queue.close()

    # Negotiation

    def get_features(self, message: Message, fds: list[int]) -> Layer:
        return p.Features(features=self.offered)

    def set_features(self, message: Message, fds: list[int]) -> None:
        features = message.number_in("features") or 0
        if features & ~self.offered:
            raise RefusalError("not offered")
        self.features = features
        for queue in self.queues:
            queue.features = features
            queue.enabled |= not features & PROTOCOL_BIT and "disabled" not in self.kinds

    def get_protocol_features(self, message: Message, fds: list[int]) -> Layer:
        return p.ProtocolFeatures(protocol_features=PROTOCOL)

    def set_protocol_features(self, message: Message, fds: list[int]) -> None:
        wanted = message.number_in("protocol_features") or 0
        inband = bit("INBAND_NOTIFICATIONS", PROTOCOL_FEATURES)
        needs = ACK | bit("BACKEND_REQ", PROTOCOL_FEATURES)
        if wanted & ~PROTOCOL or (wanted & inband and wanted & needs != needs):
            raise RefusalError("protocol features")
        self.protocol = wanted

    def set_owner(self, message: Message, fds: list[int]) -> None: ...

    def reset_owner(self, message: Message, fds: list[int]) -> None: ...

    def get_queue_num(self, message: Message, fds: list[int]) -> Layer:
        return p.QueueNum(queue_num=RINGS if self.offered & 1 << 11 else 1)

    def get_status(self, message: Message, fds: list[int]) -> Layer:
        return p.Status(status=self.status)

    def set_status(self, message: Message, fds: list[int]) -> None:
        self.status = message.number_in("status") or 0

    def net_set_mtu(self, message: Message, fds: list[int]) -> None: ...

    def send_rarp(self, message: Message, fds: list[int]) -> None: ...

    def set_vring_endian(self, message: Message, fds: list[int]) -> None: ...

    def vring_kick(self, message: Message, fds: list[int]) -> None: ...

    def set_log_fd(self, message: Message, fds: list[int]) -> None: ...

    def set_backend_req_fd(self, message: Message, fds: list[int]) -> None:
        if self.kept and "keeps-channel" not in self.kinds:
            os.close(self.kept.pop())
        self.kept.append(fds.pop())
        if "talks" in self.kinds:
            os.write(self.kept[-1], bytes(12))

    def iotlb_msg(self, message: Message, fds: list[int]) -> Layer:
        place = message.number_in("user_address") or 0
        outside = message.number_in("type") == 2 and self.memory.of_user(place) is None
        return p.Ack(status=1 if outside else 0)

    def reset_device(self, message: Message, fds: list[int]) -> None:
        for queue in self.queues:
            queue.stop()
            queue.enabled = False
        self.memory.clear()
        self.features = 0

    # Memory

    def set_mem_table(self, message: Message, fds: list[int]) -> None:
        regions = message.fields["regions"]
        if len(regions) > SLOTS or message.number_in("nregions") != len(regions):
            raise RefusalError("regions")
        self.memory.clear()
        for region, fd in zip(regions, fds, strict=True):
            self.memory.add(region, fd)

    def get_max_mem_slots(self, message: Message, fds: list[int]) -> Layer:
        return p.MemSlots(max_mem_slots=SLOTS)

    def add_mem_reg(self, message: Message, fds: list[int]) -> None:
        if len(self.memory.regions) >= SLOTS or not fds:
            raise RefusalError("slots")
        if "additions-lost" not in self.kinds or not self.memory.regions:
            self.memory.add(message.fields["region"], fds[0])

    def rem_mem_reg(self, message: Message, fds: list[int]) -> None:
        if not self.memory.remove(message.fields["region"]):
            raise RefusalError("no such region")

    def set_log_base(self, message: Message, fds: list[int]) -> Layer | None:
        if "no-log" not in self.kinds:
            self.memory.log = os.dup(fds[0])
        return Empty() if self.protocol & bit("LOG_SHMFD", PROTOCOL_FEATURES) else None

    # Rings

    def queue(self, message: Message) -> Queue:
        assert message.ring is not None
        return self.queues[message.ring]

    def set_vring_num(self, message: Message, fds: list[int]) -> None:
        size = message.number_in("num") or 0
        if not 0 < size <= LONGEST or size & (size - 1):
            raise RefusalError("size")
        self.queue(message).size = size

    def set_vring_base(self, message: Message, fds: list[int]) -> None:
        self.queue(message).set_base(message.number_in("num") or 0)

    def set_vring_addr(self, message: Message, fds: list[int]) -> None:
        parts = [message.number_in(part) or 0 for part in ("descriptor", "available", "used", "log")]
        if any(self.memory.of_user(part) is None for part in parts[:3]):
            raise RefusalError("outside")
        self.queue(message).set_address(parts, message.number_in("flags") or 0)

    def set_vring_kick(self, message: Message, fds: list[int]) -> None:
        self.queue(message).start(fds.pop() if fds else -1)

    def set_vring_call(self, message: Message, fds: list[int]) -> None:
        self.queue(message).set_call(fds.pop() if fds else -1)

    def set_vring_err(self, message: Message, fds: list[int]) -> None: ...

    def set_vring_enable(self, message: Message, fds: list[int]) -> None:
        if (message.number_in("num") or 0) > 1:
            raise RefusalError("2")
        self.queue(message).enabled = bool(message.number_in("num"))

    def get_vring_base(self, message: Message, fds: list[int]) -> Layer:
        queue = self.queue(message)
        base = queue.base()
        queue.stop()
        return p.VringBase(index=queue.index, num=base)

    get_vring_base_skip_drain = get_vring_base

    # Configuration space, in-flight, shared memory, device state

    def get_config(self, message: Message, fds: list[int]) -> Layer:
        offset, size = message.number_in("offset") or 0, message.number_in("size") or 0
        if offset + size > len(self.config) or len(message.payload) != 12 + size:
            return Empty()
        data = bytes(self.config[offset : offset + size])
        if "config-offset" in self.kinds:
            data = bytes(self.config[:size])
        return p.Config(offset=offset, size=size, data=data)

    def set_config(self, message: Message, fds: list[int]) -> None:
        offset, data = message.number_in("offset") or 0, message.payload[12:]
        if (offset != WRITABLE or len(data) != 1) and "config-writable" not in self.kinds:
            raise RefusalError("read-only")
        self.config[offset : offset + len(data)] = data

    def get_inflight_fd(self, message: Message, fds: list[int]) -> Layer:
        size, queues = message.number_in("queue_size") or 0, message.number_in("num_queues") or 0
        if queues > RINGS:
            return p.Inflight()
        area = 4096 * queues if "inflight-small" not in self.kinds else 16
        fd = os.memfd_create("inflight", os.MFD_CLOEXEC)
        os.ftruncate(fd, area)
        self.passing = [fd]
        return p.Inflight(mmap_size=area, num_queues=queues, queue_size=size)

    def set_inflight_fd(self, message: Message, fds: list[int]) -> None: ...

    def get_shmem_config(self, message: Message, fds: list[int]) -> Layer:
        return p.ShmemConfig()

    def set_device_state_fd(self, message: Message, fds: list[int]) -> Layer:
        good = message.number_in("direction") in (0, 1) and not message.number_in("phase")
        return p.DeviceStateReply(u64=NOFD | (0 if good else 1))

    def check_device_state(self, message: Message, fds: list[int]) -> Layer:
        return p.Ack(status=0)


class InProcess(TestedPeer):
    """The reference as what is tested: a thread for each connection, dead for good when a fault kills it."""

    def __init__(
        self, fault: Fault | None = None, kinds: frozenset[str] = frozenset(), net: bool = False
    ) -> None:
        self.fault, self.kinds, self.net = fault, kinds, net
        self.dead = False
        self.leaked: list[int] = []
        self.threads: list[threading.Thread] = []

    def open(self, timeout: float) -> socket.socket:
        """A connection to a new device."""
        if self.dead or ("once" in self.kinds and self.threads):
            raise NotReachedError("it is gone")
        ours, theirs = socket.socketpair()
        thread = threading.Thread(target=self.serve, args=(theirs,), daemon=True)
        self.threads.append(thread)
        thread.start()
        return ours

    def crash(self, patience: float = 0.0) -> str:
        """Whether a fault killed it."""
        if patience:
            for thread in self.threads[-1:]:
                thread.join(patience)
        return "killed by SIGSEGV" if self.dead else ""

    def running(self) -> bool:
        """Until it died."""
        return not self.dead

    def rest(self) -> str:
        """All connections are over; it is alive again for the next case."""
        for thread in self.threads:
            thread.join(2)
        self.threads.clear()
        close_all(self.leaked)
        self.leaked.clear()
        dead, self.dead = self.dead, False
        return "killed by SIGSEGV" if dead else ""

    def serve(self, end: socket.socket) -> None:
        """One connection, to its end."""
        device = Reference(self.kinds, self.net)
        device.passing = []
        connection = PeerConnection(end, Side.FRONTEND)
        try:
            while self.turn(device, end, connection):
                pass
        except PeerError:
            self.dead |= "broken-off" in self.kinds
        except MemoryError:
            self.dead = True
        finally:
            connection.close()
            device.close()

    def turn(self, device: Reference, end: socket.socket, connection: PeerConnection) -> bool:
        """Whatever comes first: a message, a kick."""
        kicks = {queue.kick: queue for queue in device.queues if queue.kick >= 0}
        polls = any(queue.polls for queue in device.queues)
        ready = select.select([end, *kicks], [], [], 0.001 if polls else None)[0]
        for fd in ready:
            if fd in kicks:
                with contextlib.suppress(OSError):
                    os.read(fd, 8)
        if end in ready and not self.message(device, end, connection):
            return False
        for queue in reversed(device.queues):  # what is sent comes back
            queue.serve()
        return True

    def message(self, device: Reference, end: socket.socket, connection: PeerConnection) -> bool:
        """One message; whether the connection goes on."""
        if "short-reads" in self.kinds:
            look = end.recv(4096, socket.MSG_PEEK)
            if 0 < len(look) < 12 or (len(look) >= 12 and len(look) < 12 + HEADER.unpack_from(look)[2]):
                return False
            if len(look) > 12 + HEADER.unpack_from(look)[2] if look else False:
                return False
        received = connection.receive("a request")
        if received is None:
            self.dead |= "closing-kills" in self.kinds
            return False
        message, fds = received.message, received.fds
        size = HEADER.unpack_from(message.frame.data)[2] if len(message.frame.data) >= 12 else 0
        out = device.handle(message, fds) if size <= 1 << 16 else Outcome(close=True, refused=True)
        if self.fault:
            self.fault(device, message, out)
        if "keeps-descriptors" in self.kinds:
            self.leaked += fds
        else:
            close_all(fds)
        if out.die:
            self.dead = True
            return False
        for reply in out.replies:
            with contextlib.suppress(PeerError):
                connection.send(reply, device.passing, "a reply")
            close_all(device.passing)
            device.passing = []
        return not out.close
