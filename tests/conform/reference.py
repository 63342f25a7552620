"""A back-end that keeps to the spec in every case of the suite; faults are put into it, one at a time.

It is a disk, a network card that sends back what it is sent, a GPU or a crypto device, with all that the
protocol has.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from conform.device import ACCESS_PLATFORM, Disk, Memory, Queue
from conform.moving import MovingPart
from conform.side import EndOfChannel
from vutrace.dissection.message import Message
from vutrace.peers.encode import encode_reply
from vutrace.protocol import payloads as p
from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES, bit
from vutrace.protocol.layers import Empty, Layer
from vutrace.protocol.spec import FdRule, ReplyRule
from vutrace.protocol.wire import HEADER, NEED_REPLY, REPLY, VERSION
from vutrace.sockets.framed import close_all

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
INBAND = bit("INBAND_NOTIFICATIONS", PROTOCOL_FEATURES)
IOTLB_UPDATE, IOTLB_INVALIDATE = 2, 3
OWN_FEATURES = {"blk": 1 << 11, "net": 1 << 3, "gpu": 0, "crypto": 0}
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


class Reference(MovingPart):
    """One connection's device."""

    def __init__(self, kinds: frozenset[str], device: str) -> None:
        super().__init__()
        self.kinds = kinds  # faults of behaviour, by name
        self.features = self.protocol = self.status = 0
        self.offered = FEATURES | OWN_FEATURES[device]
        self.config = bytearray(CONFIG)
        self.memory = Memory(kinds)
        work = Disk(device, self.ask_displays)
        self.queues = [Queue(index, self.memory, work, kinds, on_miss=self.miss) for index in range(RINGS)]
        if device == "net":
            self.queues[1].echo, self.queues[0].waits = self.queues[0], True
        self.passing: list[int] = []
        self.sessions: set[int] = set()
        self.channel: EndOfChannel | None = None
        self.screen: EndOfChannel | None = None
        self.later: Callable[[], None] = lambda: None

    def miss(self, address: int) -> None:
        if self.channel and "never-misses" not in self.kinds:
            self.channel.miss(address)

    def ask_displays(self) -> None:
        if self.screen and "gpu-invents" not in self.kinds:
            self.screen.ask("GPU_GET_DISPLAY_INFO", Empty())

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
        for channel in filter(None, (self.channel, self.screen)):
            channel.close()
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
        self.memory.translated = bool(features & ACCESS_PLATFORM) and "no-iommu" not in self.kinds
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

    def vring_kick(self, message: Message, fds: list[int]) -> None:
        self.queue(message).start_in_band()

    def set_log_fd(self, message: Message, fds: list[int]) -> None: ...

    def set_backend_req_fd(self, message: Message, fds: list[int]) -> None:
        if self.channel and "keeps-channel" not in self.kinds:
            self.channel.close()
        elif self.channel:
            self.kept.append(os.dup(self.channel.socket.fileno()))
        self.channel = EndOfChannel(fds.pop(), self.kinds)
        if "talks" in self.kinds:
            self.channel.miss(0)
        for queue in self.queues:
            spoken = self.protocol & INBAND and "no-message" not in self.kinds
            queue.on_call = self.channel.call if spoken else None

    def gpu_set_socket(self, message: Message, fds: list[int]) -> None:
        self.screen = EndOfChannel(fds.pop(), self.kinds)
        self.later = self.screen.negotiate

    def iotlb_msg(self, message: Message, fds: list[int]) -> Layer:
        bus, size, user = (message.number_in(name) or 0 for name in ("iova", "size", "user_address"))
        kind = message.number_in("type")
        if kind == IOTLB_UPDATE:
            if self.memory.of_user(user) is None:
                return p.Ack(status=1)
            self.memory.translate(bus, size, user)
        if kind == IOTLB_INVALIDATE:
            self.memory.forget()
        for queue in self.queues:
            queue.missed = -1
        if "asks-anyway" in self.kinds:
            self.miss(bus)
        return p.Ack(status=0)

    def create_crypto_session(self, message: Message, fds: list[int]) -> Layer:
        self.sessions.add(7)
        return p.CryptoSession(session_id=7)

    def close_crypto_session(self, message: Message, fds: list[int]) -> None:
        self.sessions.remove(message.number_in("session_id") or 0)

    def get_shared_object(self, message: Message, fds: list[int]) -> Layer:
        return Empty()

    def hear(self) -> bool:
        """Something came over the back-end channel; whether it is survived."""
        assert self.channel
        heard = self.channel.hear()
        if heard in ("end", "garbage"):
            self.channel.close()
            self.channel = None
        return f"{heard}-kills" not in self.kinds

    def reset_device(self, message: Message, fds: list[int]) -> None:
        for queue in self.queues:
            queue.stop()
            queue.enabled = False
        self.memory.clear()
        self.features = 0

    # Memory

    def set_mem_table(self, message: Message, fds: list[int]) -> Layer | None:
        regions = message.fields["regions"]
        if len(regions) > SLOTS or message.number_in("nregions") != len(regions):
            raise RefusalError("regions")
        if self.listening and not regions:
            return None  # the front-end has what it was told
        self.memory.clear()
        for region, fd in zip(regions, fds, strict=True):
            self.memory.add(region, fd)
        return self.table_told(regions)

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
        known = self.features & ACCESS_PLATFORM or all(map(self.memory.of_user, parts[:3]))
        if not known:
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
