"""A device's status, its reset, its configuration space, its area of requests in flight."""

from collections.abc import Iterator
from functools import partial

from vutrace.conform.case import Case, Level, UnmetError
from vutrace.conform.contents import START, before, valid
from vutrace.conform.groups.rings import set_up
from vutrace.conform.probe import Probe
from vutrace.conform.ring import RING_SIZE
from vutrace.protocol import payloads as p

ALL_ONES = 0xFFFF_FFFF


def status_kept(probe: Probe) -> None:
    probe.hello()
    for status in (1, 3):
        probe.tell("SET_STATUS", p.Status(status=status))
        if (told := probe.number("GET_STATUS", "status")) != status:
            raise UnmetError(f"status {told:#x} after SET_STATUS {status:#x}")


def status_zero(probe: Probe) -> None:
    probe.hello()
    probe.tell("SET_STATUS", p.Status(status=3))
    probe.tell("SET_STATUS", p.Status(status=0))
    if told := probe.number("GET_STATUS", "status"):
        raise UnmetError(f"status {told:#x} after SET_STATUS 0")


def reset_then(probe: Probe) -> None:
    set_up(probe)
    probe.tell("RESET_DEVICE")
    probe.tell("SET_FEATURES", p.Features(features=probe.features))
    for name in START:
        content = valid(probe, name)
        probe.tell(name, content.payload, content.fds)


def config(offset: int, size: int) -> p.Config:
    return p.Config(offset=offset, size=size, data=bytes(size))


def config_size(offset: int, size: int, probe: Probe) -> None:
    probe.hello()
    reply = probe.ask("GET_CONFIG", config(offset, size))
    told = (reply.number_in("offset"), reply.number_in("size"), len(reply.payload) - 12)
    if reply.payload and told != (offset, size, size):
        raise UnmetError(f"offset {told[0]}, size {told[1]}, {told[2]} bytes")


def config_consistent(probe: Probe) -> None:
    probe.hello()
    whole = probe.ask("GET_CONFIG", config(0, 8)).payload[12:]
    part = probe.ask("GET_CONFIG", config(4, 4)).payload[12:]
    if part and part != whole[4:]:
        raise UnmetError(f"bytes 4 to 7 are {whole[4:].hex()} with the rest and {part.hex()} by themselves")


def config_beyond(offset: int, size: int, probe: Probe) -> None:
    probe.hello()
    probe.send("GET_CONFIG", p.Config(offset=offset, size=size, data=bytes(min(size, 256))))
    probe.survives()


def config_read_only(probe: Probe) -> None:
    """The capacity of a disk, which no guest may change."""
    probe.hello()
    before_ = probe.ask("GET_CONFIG", config(0, 8)).payload[12:]
    probe.send("SET_CONFIG", p.Config(offset=0, size=8, data=b"\x55" * 8))
    probe.survives()
    if not probe.target.running():
        return
    probe.hello()
    if probe.ask("GET_CONFIG", config(0, 8)).payload[12:] != before_:
        raise UnmetError("the capacity was changed")


def inflight_area(probe: Probe) -> None:
    before(probe, "GET_INFLIGHT_FD")
    reply = probe.ask("GET_INFLIGHT_FD", valid(probe, "GET_INFLIGHT_FD").payload)
    size = reply.number_in("mmap_size") or 0
    if size < RING_SIZE * 16 or len(probe.passed) != 1:
        raise UnmetError(f"{size} bytes, {len(probe.passed)} descriptors")


def inflight_huge(probe: Probe) -> None:
    before(probe, "GET_INFLIGHT_FD")
    probe.send("GET_INFLIGHT_FD", p.Inflight(num_queues=0xFFFF, queue_size=0xFFFF))
    probe.survives()


def cases() -> Iterator[Case]:
    """All of them."""
    goes = "it goes on or closes, and does not die"
    get, should = "VHOST_USER_GET_CONFIG", Level.SHOULD
    config_, inflight = ("CONFIG",), ("INFLIGHT_SHMFD",)
    yield from (
        Case("status/kept", "VHOST_USER_GET_STATUS", "SET_STATUS and GET_STATUS", "what was set", status_kept,
             should, ("STATUS",)),
        Case("status/zero-resets", "VHOST_USER_SET_STATUS", "SET_STATUS 0", "status 0", status_zero, should,
             ("STATUS",)),
        Case("reset/device-starts-again", "VHOST_USER_RESET_DEVICE", "RESET_DEVICE, then a start",
             "the device starts again, without SET_OWNER", reset_then, needs=("RESET_DEVICE",)),
        *(Case(f"configuration/{size}-bytes-at-{offset}", get, f"GET_CONFIG of {size} bytes at {offset}",
               "as many bytes as were asked for, or no payload", partial(config_size, offset, size),
               needs=config_) for offset, size in ((0, 1), (0, 8), (4, 4))),
        Case("configuration/parts-agree", "Virtio device config space",
             "GET_CONFIG of a whole and of its part",
             "the same bytes", config_consistent, should, config_),
        *(Case(f"configuration/{word}", get, f"GET_CONFIG of {size} bytes at {offset}", goes,
               partial(config_beyond, offset, size), should, config_)
          for word, offset, size in (("far", 1 << 20, 8), ("wraps", 0xFFFF_FFFC, 8), ("huge", 0, ALL_ONES))),
        Case("configuration/read-only", "VHOST_USER_SET_CONFIG", "SET_CONFIG of a disk's capacity",
             "the capacity stays", config_read_only, needs=config_, device="blk"),
        Case("inflight/area", "VHOST_USER_GET_INFLIGHT_FD", "GET_INFLIGHT_FD of one queue",
             "an area with a descriptor, with room for every descriptor of the ring", inflight_area,
             needs=inflight),
        Case("inflight/huge", "VHOST_USER_GET_INFLIGHT_FD", "GET_INFLIGHT_FD of 65535 queues of 65535", goes,
             inflight_huge, should, inflight),
    )  # fmt: skip
