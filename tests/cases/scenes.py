"""Pieces of conversations that the cases are made of, in the words of `transcript`."""

from collections.abc import Iterable

from kit.transcript import Line, ask, back, eventfd, front, memfd, opened, protocol, table

from vutrace.protocol.bits import VIRTIO_FEATURES, bit
from vutrace.records import FdInfo

PROTOCOL_BIT = bit("VHOST_USER_F_PROTOCOL_FEATURES", VIRTIO_FEATURES)
VERSION_1 = bit("VIRTIO_F_VERSION_1", VIRTIO_FEATURES)
LOG_ALL = bit("VHOST_F_LOG_ALL", VIRTIO_FEATURES)
PACKED = bit("VIRTIO_F_RING_PACKED", VIRTIO_FEATURES)
MRG_RXBUF, MQ_BIT = 1 << 15, 1 << 22
NET = PROTOCOL_BIT | VERSION_1 | MRG_RXBUF
BLK = PROTOCOL_BIT | VERSION_1 | 0x246
UVA, GIB, MIB = 0x7F00_0000_0000, 1 << 30, 1 << 20

QEMU = (
    "qemu-system-x86_64 -object memory-backend-memfd,id=m,size=1G,share=on -numa node,memdev=m"
    " -chardev socket,id=c0,path=front.sock"
)
NET_CARD = " -netdev vhost-user,id=n0,chardev=c0,queues={} -device virtio-net-pci,netdev=n0"
DISK = " -device vhost-user-blk-pci,chardev=c0"
TESTPMD = "dpdk-testpmd --vdev net_vhost0,iface=back.sock,queues={} -- -i"


def net(queues: int = 1, offered_queues: int | None = None, more: str = "") -> Line:
    """QEMU with a network card meets testpmd."""
    front_end = QEMU + NET_CARD.format(queues) + more
    back_end = TESTPMD.format(queues if offered_queues is None else offered_queues)
    return met(front_end, back_end)


def met(frontend: str, backend: str, names: tuple[str, str] = ("qemu-system-x86", "dpdk-testpmd")) -> Line:
    """Both are there, and these are their command lines."""
    known = {"frontend_command": frontend, "backend_command": backend}
    return opened(*names, frontend_pid="100", backend_pid="200", **known)


def hello(offer: int = NET, protocol_offer: int | None = None, queues: int | None = None) -> list[Line]:
    """The handshake as QEMU has it, up to SET_OWNER."""
    lines = ask("GET_FEATURES", {"features": offer})
    if protocol_offer is not None:
        lines += ask("GET_PROTOCOL_FEATURES", {"protocol_features": protocol_offer})
        lines.append(front("SET_PROTOCOL_FEATURES", protocol_features=protocol_offer))
    if queues is not None:
        lines += ask("GET_QUEUE_NUM", {"queue_num": queues})
    return [*lines, front("SET_OWNER"), *ask("GET_FEATURES", {"features": offer})]


def calls(rings: Iterable[int]) -> list[Line]:
    """Call descriptors."""
    return [front("SET_VRING_CALL", u64=ring, fds=[eventfd(40 + ring)]) for ring in rings]


def features(mask: int = NET) -> Line:
    """The driver's choice."""
    return front("SET_FEATURES", features=mask)


def memory(size: int = GIB, fds: list[FdInfo] | None = None, need_reply: bool = False) -> Line:
    """One region from address 0."""
    given = [memfd(size)] if fds is None else fds
    return front("SET_MEM_TABLE", table((0, size, UVA)), fds=given, need_reply=need_reply)


def ring(index: int, base: int = 0, kick: bool = True) -> list[Line]:
    """A ring of 256, set up and kicked."""
    start = UVA + index * 0x10000
    where = {"descriptor": start, "available": start + 0x2000, "used": start + 0x3000}
    lines = [
        front("SET_VRING_NUM", index=index, num=256),
        front("SET_VRING_BASE", index=index, num=base),
        front("SET_VRING_ADDR", index=index, **where),
    ]
    if kick:
        lines.append(front("SET_VRING_KICK", u64=index, fds=[eventfd(20 + index)]))
    return lines


def enable(index: int, on: bool = True) -> Line:
    """A ring is switched."""
    return front("SET_VRING_ENABLE", index=index, num=int(on))


def stop(index: int, base: int = 0) -> list[Line]:
    """A ring is stopped, and where it stood."""
    return [front("GET_VRING_BASE", index=index), back("GET_VRING_BASE", index=index, num=base)]


def running(rings: int = 2, offer: int = NET, accepted: int | None = None, base: int = 0) -> list[Line]:
    """A device that runs, after a handshake."""
    lines = [*hello(offer, protocol("MQ", "REPLY_ACK"), 1), *calls(range(rings))]
    lines += [features(offer if accepted is None else accepted), memory(need_reply=True)]
    lines.append(back("SET_MEM_TABLE", status=0))
    for index in range(rings):
        lines += ring(index, base)
    return lines + [enable(index) for index in range(rings)]
