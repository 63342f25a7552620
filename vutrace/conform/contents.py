"""A valid message of each kind, with its descriptors, and what has to be sent before it."""

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vutrace.conform.probe import Probe
from vutrace.conform.ring import PAGE, RING_SIZE
from vutrace.protocol import payloads as p
from vutrace.protocol.layers import Empty, Layer

ACKNOWLEDGED_STATUS = 1
MTU = 1500
CONFIG_BYTES = 8
LOG_BYTES = 1 << 16
WRITE_BACK = 32  # in virtio_blk_config
MAC = bytes.fromhex("525400123456")
SECOND_REGION = 1 << 30
CIPHER, AES_CBC = 0x002, 3
UNKNOWN_OBJECT = b"\x11" * 16


@dataclass(frozen=True, slots=True)
class ValidMessage:
    """A payload and what goes with it."""

    payload: Layer
    fds: tuple[int, ...] = ()


Make = Callable[[Probe], ValidMessage]


def valid(probe: Probe, name: str) -> ValidMessage:
    """A message that a back-end has to accept, once `before` was sent."""
    make = CONTENTS.get(name)
    return make(probe) if make else ValidMessage(Empty())


def plain(make: Callable[[], Layer]) -> Make:
    """A payload that is always the same."""
    return lambda probe: ValidMessage(make())


def features(probe: Probe) -> ValidMessage:
    return ValidMessage(p.Features(features=probe.features))


def protocol_features(probe: Probe) -> ValidMessage:
    return ValidMessage(p.ProtocolFeatures(protocol_features=probe.protocol))


def memory_table(probe: Probe) -> ValidMessage:
    region = probe.guest.regions[0]
    return ValidMessage(p.MemoryTable(nregions=1, regions=[region.described()]), (region.fd,))


def new_region(probe: Probe) -> ValidMessage:
    region = probe.guest.add(SECOND_REGION)
    return ValidMessage(p.SingleRegion(region=region.described()), (region.fd,))


def known_region(probe: Probe) -> ValidMessage:
    return ValidMessage(p.SingleRegion(region=probe.guest.regions[-1].described()))


def log_area(probe: Probe) -> ValidMessage:
    fd = probe.guest.keep(os.memfd_create("log", os.MFD_CLOEXEC))
    os.ftruncate(fd, LOG_BYTES)
    return ValidMessage(p.Log(mmap_size=LOG_BYTES, mmap_offset=0), (fd,))


def event(probe: Probe) -> ValidMessage:
    return ValidMessage(Empty(), (probe.guest.eventfd(),))


def ring_fd(probe: Probe) -> ValidMessage:
    return ValidMessage(p.VringFd(u64=0), (probe.guest.eventfd(),))


def ring_address(probe: Probe) -> ValidMessage:
    start = probe.guest.regions[0].user_address
    return ValidMessage(p.VringAddr(index=0, descriptor=start, available=start + PAGE, used=start + 2 * PAGE))


def back_channel(probe: Probe) -> ValidMessage:
    ours, theirs = socket.socketpair()
    probe.guest.keep(ours.detach())
    return ValidMessage(Empty(), (probe.guest.keep(theirs.detach()),))


def config(probe: Probe) -> ValidMessage:
    return ValidMessage(p.Config(offset=0, size=CONFIG_BYTES, data=bytes(CONFIG_BYTES)))


def config_written(probe: Probe) -> ValidMessage:
    """A disk's write-back cache, the one field of common devices that a guest may write."""
    if probe.survey.device.name != "blk":
        probe.skip(f"no field of {probe.survey.device.name} is known that can be written")
    return ValidMessage(p.Config(offset=WRITE_BACK, size=1, data=b"\1"))


def inflight(probe: Probe) -> ValidMessage:
    return ValidMessage(p.Inflight(num_queues=1, queue_size=RING_SIZE))


def inflight_given(probe: Probe) -> ValidMessage:
    """The area that the back-end made for us."""
    told = probe.ask("GET_INFLIGHT_FD", inflight(probe).payload)
    return ValidMessage(p.Inflight(told.payload), tuple(probe.passed[:1]))


def crypto_session(probe: Probe) -> ValidMessage:
    """AES-CBC, 16 bytes of key."""
    session = p.CryptoSession(op_code=CIPHER, cipher_alg=AES_CBC, key_len=16, op_type=1, direction=1)
    return ValidMessage(session)


def crypto_session_made(probe: Probe) -> ValidMessage:
    """A session that the back-end has made, where it may be asked for one."""
    if not probe.has("CRYPTO_SESSION"):
        return ValidMessage(p.CryptoSessionId(session_id=1))
    made = probe.number("CREATE_CRYPTO_SESSION", "session_id", crypto_session(probe).payload)
    return ValidMessage(p.CryptoSessionId(session_id=made))


CONTENTS: Mapping[str, Make] = {
    "SET_FEATURES": features,
    "SET_PROTOCOL_FEATURES": protocol_features,
    "SET_MEM_TABLE": memory_table,
    "SET_LOG_BASE": log_area,
    "SET_LOG_FD": event,
    "SET_VRING_NUM": plain(lambda: p.VringState(index=0, num=RING_SIZE)),
    "SET_VRING_BASE": plain(lambda: p.VringBase(index=0, num=0)),
    "SET_VRING_ADDR": ring_address,
    "SET_VRING_KICK": ring_fd,
    "SET_VRING_CALL": ring_fd,
    "SET_VRING_ERR": ring_fd,
    "SET_VRING_ENABLE": plain(lambda: p.VringEnable(index=0, num=1)),
    "GET_VRING_BASE": plain(lambda: p.VringState(index=0)),
    "GET_VRING_BASE_SKIP_DRAIN": plain(lambda: p.VringState(index=0)),
    "SET_VRING_ENDIAN": plain(lambda: p.VringEndian(index=0, num=0)),
    "VRING_KICK": plain(lambda: p.VringState(index=0)),
    "SEND_RARP": plain(lambda: p.Rarp(mac=MAC)),
    "NET_SET_MTU": plain(lambda: p.Mtu(mtu=MTU)),
    "SET_BACKEND_REQ_FD": back_channel,
    "IOTLB_MSG": plain(lambda: p.Iotlb(type=3, size=PAGE)),
    "GET_CONFIG": config,
    "SET_CONFIG": config_written,
    "GET_INFLIGHT_FD": inflight,
    "SET_INFLIGHT_FD": inflight_given,
    "ADD_MEM_REG": new_region,
    "REM_MEM_REG": known_region,
    "CREATE_CRYPTO_SESSION": crypto_session,
    "CLOSE_CRYPTO_SESSION": crypto_session_made,
    "GET_SHARED_OBJECT": plain(lambda: p.Uuid(uuid=UNKNOWN_OBJECT)),
    "SET_STATUS": plain(lambda: p.Status(status=ACKNOWLEDGED_STATUS)),
}

# The order of a start that every back-end knows.
START = (
    "SET_MEM_TABLE",
    "SET_VRING_NUM",
    "SET_VRING_BASE",
    "SET_VRING_ADDR",
    "SET_VRING_CALL",
    "SET_VRING_ERR",
    "SET_VRING_KICK",
    "SET_VRING_ENABLE",
)
# What else a message needs to have been said.
BEFORE: Mapping[str, tuple[str, ...]] = {
    "REM_MEM_REG": ("ADD_MEM_REG",),
    "GET_VRING_BASE": START,
    "GET_VRING_BASE_SKIP_DRAIN": START,
    "VRING_KICK": START,
    "ADD_MEM_REG": (),
    "SET_VRING_ENABLE": START[:-1],
}


def before(probe: Probe, name: str) -> None:
    """Negotiate, and send what has to come before a message."""
    probe.hello(owner=name != "SET_OWNER")
    if name == "SET_OWNER":
        return
    known = START[: START.index(name)] if name in START else ("SET_MEM_TABLE",)
    for each in BEFORE.get(name, known):
        content = valid(probe, each)
        probe.tell(each, content.payload, content.fds)


def prepared(probe: Probe, name: str) -> ValidMessage:
    """A message that has to be accepted now: all that has to come before it was sent."""
    before(probe, name)
    return valid(probe, name)
