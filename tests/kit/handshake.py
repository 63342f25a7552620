"""One scripted session with everything a view has to show: the input of the golden texts.

A QEMU-like start with two queue pairs and, in between, what goes wrong in real traces: a failing
acknowledgement, an unknown message, a short payload, NOFD, a request that is never answered.
"""

from collections.abc import Iterator

from kit.transcript import (
    START_NS,
    Line,
    back,
    closed,
    eventfd,
    front,
    memfd,
    noted,
    opened,
    script,
    socket,
    table,
)
from vutrace.dissection.device import Device
from vutrace.dissection.registry import Failure, Plugin, Registry
from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES, bit
from vutrace.protocol.layers import Fixed, Layer, Nested, le16, le32, mac, u8
from vutrace.protocol.payloads import MemoryRegion
from vutrace.protocol.shows import SECTORS, TEXT, enum, flags
from vutrace.records import Channel, EventKind, FdInfo, FdKind, FrameFlag, Record

MIB = 1 << 20
UVA = 0x7F00_0000_0000
NET_BITS = {
    0: "VIRTIO_TOY_F_CSUM",
    15: "VIRTIO_TOY_F_MRG_RXBUF",
    21: "VIRTIO_TOY_F_ANNOUNCE",
    22: "VIRTIO_TOY_F_MQ",
}
OFFERED = sum(1 << number for number in NET_BITS) | sum(
    bit(name, VIRTIO_FEATURES)
    for name in (
        "VHOST_F_LOG_ALL",
        "VHOST_USER_F_PROTOCOL_FEATURES",
        "VIRTIO_F_VERSION_1",
        "VIRTIO_F_RING_PACKED",
    )
)
ACKED = OFFERED & ~(1 << 21 | 1 << 22 | bit("VHOST_F_LOG_ALL", VIRTIO_FEATURES))
PROTOCOL = sum(
    bit(name, PROTOCOL_FEATURES)
    for name in ("MQ", "LOG_SHMFD", "RARP", "REPLY_ACK", "MTU", "BACKEND_REQ", "CONFIG", "STATUS")
)


class Limits(Layer):
    """A structure within the toy's configuration space."""

    name = "limits"
    fields_desc = [le16("first"), le16("last")]


class ToyConfig(Layer):
    """A configuration space with a field of every kind."""

    name = "toy config"
    fields_desc = [
        mac("mac"),
        le16("status", flags({0: "LINK_UP", 1: "ANNOUNCE"})),
        le32("capacity", SECTORS),
        u8("duplex", enum({0: "half", 1: "full"})),
        Fixed("tag", 7, TEXT),
        Nested("limits", Limits),
    ]


def ring_name(index: int, _features: int) -> str:
    """As virtio-net's."""
    return f"{'tx' if index % 2 else 'rx'}{index // 2}"


def notes(features: int) -> Iterator[str]:
    """One line."""
    yield f"toy header: {12 if features >> 32 & 1 else 10} bytes"


TOY = Device("toy", 1, NET_BITS, ToyConfig, ring_name, notes, pairs=True)
REGISTRY = Registry(
    {"toy": Plugin(TOY, "tests (handshake)", "1.0")},
    (Failure("broken", "elsewhere (broken)", "ImportError: no module"),),
)
CONFIG = bytes.fromhex("525400123456 0100 00080000 01") + b"toy\0\0\0\0" + bytes.fromhex("0100 0900")


def negotiation() -> list[Line]:
    """Features, protocol features and what they open."""
    return [
        opened("qemu", "testpmd", frontend_pid="4711"),
        front("GET_FEATURES"),
        back("GET_FEATURES", features=OFFERED),
        front("GET_PROTOCOL_FEATURES"),
        back("GET_PROTOCOL_FEATURES", protocol_features=PROTOCOL),
        front("SET_PROTOCOL_FEATURES", protocol_features=PROTOCOL & ~bit("STATUS", PROTOCOL_FEATURES)),
        front("GET_QUEUE_NUM"),
        back("GET_QUEUE_NUM", queue_num=2),
        front("SET_BACKEND_REQ_FD", fds=[socket(4712)], need_reply=True),
        back("SET_BACKEND_REQ_FD", status=0),
        front("SET_OWNER"),
        front("GET_FEATURES"),
        back("GET_FEATURES", features=OFFERED),
        front("GET_CONFIG", offset=0, size=len(CONFIG), data=bytes(len(CONFIG))),
        back("GET_CONFIG", offset=0, size=len(CONFIG), data=CONFIG),
        front("SET_CONFIG", offset=6, size=2, flags=1, data=CONFIG[6:8]),
    ]


def ring(index: int, base: int = 0x8000_8000) -> list[Line]:
    """What starts one ring."""
    at = UVA + 0x10000 * index
    return [
        front("SET_VRING_NUM", index=index, num=256),
        front("SET_VRING_BASE", index=index, num=base),
        front(
            "SET_VRING_ADDR",
            index=index,
            flags=index & 1,
            descriptor=at,
            available=at + 0x1000,
            used=at + 0x2000,
        ),
        front("SET_VRING_KICK", u64=index, fds=[eventfd(10 + index, 1, 31 + index, 26 + index)]),
        front("SET_VRING_CALL", u64=index | 0x100)
        if index == 3
        else front("SET_VRING_CALL", u64=index, fds=[eventfd(20 + index)]),
    ]


def start() -> list[Line]:
    """Memory, the rings of two pairs, and their switches; one of them fails."""
    regions = table(
        (0, 640 * 1024, UVA),
        (MIB, 255 * MIB, UVA + MIB),
        (1 << 32, 3 << 30, UVA + (1 << 32)),
        (1 << 40, 8192, UVA),
    )
    memory = [memfd(1 << 32)] * 3 + [FdInfo(FdKind.HUGETLBFS, 30, 5, 8192, name="/dev/hugepages/a b\n")]
    return [
        front("SET_FEATURES", features=ACKED),
        front("SET_MEM_TABLE", regions, fds=memory, need_reply=True),
        back("SET_MEM_TABLE", status=0, after_ms=0.302),
        *(line for index in range(4) for line in ring(index)),
        front("SET_VRING_ENABLE", index=0, num=1, need_reply=True),
        back("SET_VRING_ENABLE", status=0),
        front("SET_VRING_ENABLE", index=2, num=0, need_reply=True),
        back("SET_VRING_ENABLE", status=1),
        front("SET_VRING_ENABLE", index=3, num=7, need_reply=True),
        back("SET_VRING_ENABLE", status=2**64 - 22),
        front("SET_FEATURES", features=ACKED),
        front("SET_STATUS", status=0xF),
        front("SEND_RARP", mac=bytes.fromhex("525400123456")),
        front("NET_SET_MTU", mtu=1500),
    ]


def other_channels() -> list[Line]:
    """The back-end's own requests, and the GPU's."""
    return [
        back("BACKEND_CONFIG_CHANGE_MSG"),
        back(
            "BACKEND_VRING_HOST_NOTIFIER_MSG",
            u64=3,
            size=4096,
            offset=0,
            fds=[FdInfo(FdKind.OTHER, inode=9)],
            need_reply=True,
        ),
        front("BACKEND_VRING_HOST_NOTIFIER_MSG", status=0),
        back("BACKEND_IOTLB_MSG", iova=0x1000, permission=1, type=1),
        back(
            "BACKEND_SHMEM_MAP",
            shmid=1,
            fd_offset=0x2000,
            shm_offset=0x1000,
            len=4096,
            flags=1,
            fds=[memfd(4096)],
        ),
        back("BACKEND_SHARED_OBJECT_ADD", uuid=bytes(range(16))),
        back("GPU_UPDATE", scanout_id=0, x=1, y=2, width=640, height=480, data=bytes(64)),
        back("GPU_CURSOR_POS", scanout_id=0, x=5, y=6),
        back("GPU_DMABUF_SCANOUT", scanout_id=1),
    ]


def the_rest() -> list[Line]:
    """What no implementation should send, and what only some do."""
    return [
        front("IOTLB_MSG", iova=0x1000, size=4096, user_address=UVA, permission=3, type=2, need_reply=True),
        back("IOTLB_MSG", status=0),
        front("GET_INFLIGHT_FD", num_queues=4, queue_size=128),
        back("GET_INFLIGHT_FD", mmap_size=8448, num_queues=4, queue_size=128, fds=[memfd(8448)]),
        front("SET_LOG_BASE", mmap_size=0x8000, fds=[memfd(0x8000)]),
        back("SET_LOG_BASE", log_size=0x8000),
        front(
            "ADD_MEM_REG",
            region=MemoryRegion(guest_address=MIB, size=MIB, user_address=UVA),
            fds=[memfd(MIB)],
        ),
        front("SET_DEVICE_STATE_FD", direction=0, phase=0, fds=[FdInfo(FdKind.PIPE, inode=77)]),
        back("SET_DEVICE_STATE_FD", u64=0x100),
        front("CREATE_CRYPTO_SESSION", op_code=2, key_len=16, key=b"not to be seen!!"),
        front(4242, b"hello"),
        front(0x1234, bytes(range(40))),
        front("SET_VRING_NUM", b"\1\0\0\0\2"),
        front("SET_VRING_KICK", u64=1),
        front("SET_MEM_TABLE", table((0, MIB, UVA)), marks=FrameFlag.CUT, fds=[memfd(MIB)]),
        front(77, b"\0lost", channel=Channel.BACKEND, marks=FrameFlag.RAW),
        noted("no such file\n\x1b[31mor directory", EventKind.ERROR),
        front("GET_VRING_BASE", index=0),
        back("GET_VRING_BASE", index=0, num=0x8005_8007),
        front("GET_VRING_BASE", index=1),
        closed(),
    ]


def handshake() -> list[Record]:
    """The whole session."""
    return script(*negotiation(), *start(), *other_channels(), *the_rest(), start_ns=START_NS)
