"""What is said of rings, before anything runs on them."""

from collections.abc import Iterator
from functools import partial

from vutrace.conform.case import Case, Level, UnmetError
from vutrace.conform.contents import START, valid
from vutrace.conform.probe import Probe
from vutrace.conform.ring import PAGE, RING_SIZE
from vutrace.protocol import payloads as p
from vutrace.protocol.layers import Layer
from vutrace.protocol.wire import NOFD

OUTSIDE = 0x6000_0000_0000
NO_RING = 250
ALL_ONES = 0xFFFF_FFFF
ACKED = ("REPLY_ACK",)


def set_up(probe: Probe, but: str = "", **instead: Layer) -> None:
    """Ring 0, configured as far as `but`, with other payloads for some messages."""
    probe.hello()
    for name in START:
        if name == but:
            return
        content = valid(probe, name)
        probe.tell(name, instead.get(name, content.payload), content.fds)


def base_returns(base: int, probe: Probe) -> None:
    set_up(probe, SET_VRING_BASE=p.VringBase(index=0, num=base))
    reply = probe.ask("GET_VRING_BASE", p.VringState(index=0))
    if (reply.number_in("index"), reply.number_in("num")) != (0, base):
        raise UnmetError(f"ring {reply.number_in('index')}, base {reply.number_in('num')} instead of {base}")


def base_unstarted(probe: Probe) -> None:
    probe.hello()
    probe.memory()
    probe.tell("SET_VRING_NUM", p.VringState(index=0, num=RING_SIZE))
    probe.send("GET_VRING_BASE", p.VringState(index=0))
    probe.survives()


def stop_twice(probe: Probe) -> None:
    set_up(probe)
    probe.ask("GET_VRING_BASE", p.VringState(index=0))
    probe.send("GET_VRING_BASE", p.VringState(index=0))
    probe.survives()


def call_early(probe: Probe) -> None:
    probe.hello()
    content = valid(probe, "SET_VRING_CALL")
    probe.tell("SET_VRING_CALL", content.payload, content.fds)


def without_fd(name: str, probe: Probe) -> None:
    set_up(probe, but=name)
    probe.tell(name, p.VringFd(u64=NOFD))


def again(name: str, probe: Probe) -> None:
    set_up(probe)
    content = valid(probe, name)
    probe.tell(name, content.payload, content.fds)


def enable_early(probe: Probe) -> None:
    probe.hello()
    probe.tell("SET_VRING_ENABLE", p.VringEnable(index=0, num=0))


def off_and_on(probe: Probe) -> None:
    set_up(probe)
    for num in (0, 0, 1, 1):
        probe.tell("SET_VRING_ENABLE", p.VringEnable(index=0, num=num))


def wrong(name: str, payload: Layer, fds: int, probe: Probe) -> None:
    set_up(probe, but=name)
    probe.refused(name, payload, [probe.guest.eventfd() for _ in range(fds)])


def harmless(name: str, payload: Layer, fds: int, probe: Probe) -> None:
    set_up(probe, but=name)
    probe.send(name, payload, [probe.guest.eventfd() for _ in range(fds)])
    probe.survives()


def address_before_memory(probe: Probe) -> None:
    probe.hello()
    probe.send("SET_VRING_ADDR", valid(probe, "SET_VRING_ADDR").payload)
    probe.survives()


def kick_unconfigured(probe: Probe) -> None:
    probe.hello()
    content = valid(probe, "SET_VRING_KICK")
    probe.send("SET_VRING_KICK", content.payload, content.fds)
    probe.send("SET_VRING_ENABLE", p.VringEnable(index=0, num=1))
    probe.survives()


def every_ring(probe: Probe) -> None:
    probe.hello()
    count = probe.number("GET_QUEUE_NUM", "queue_num") * (2 if probe.survey.device.pairs else 1)
    for index in range(count):
        probe.tell("SET_VRING_NUM", p.VringState(index=index, num=RING_SIZE))
        probe.tell("SET_VRING_ENABLE", p.VringEnable(index=index, num=0))


def cases() -> Iterator[Case]:
    """All of them."""
    states, num = "Ring states", "VHOST_USER_SET_VRING_NUM"
    base, call = "VHOST_USER_GET_VRING_BASE", "VHOST_USER_SET_VRING_CALL"
    enable, address = "VHOST_USER_SET_VRING_ENABLE", "VHOST_USER_SET_VRING_ADDR"
    kick, should, may = "VHOST_USER_SET_VRING_KICK", Level.SHOULD, Level.MAY
    end, goes = "an error or the end of the connection", "it goes on or closes, and does not die"
    nowhere = p.VringAddr(index=0, descriptor=OUTSIDE, available=OUTSIDE + PAGE, used=OUTSIDE + 2 * PAGE)
    yield from (
        Case("rings/base-0-comes-back", base, "a ring started at 0 and stopped", "its number and base 0",
             partial(base_returns, 0)),
        Case("rings/base-7-comes-back", base, "a ring started at 7 and stopped", "its number and base 7",
             partial(base_returns_at, 7)),
        Case("rings/base-65535-comes-back", base, "a ring started at 65535 and stopped",
             "its number and base 65535", partial(base_returns_at, 65535)),
        Case("rings/stop-unstarted", base, "GET_VRING_BASE of a ring that never started", goes,
             base_unstarted,
             may),
        Case("rings/stop-twice", base, "GET_VRING_BASE twice", goes, stop_twice, may),
        Case("rings/call-before-all", call, "SET_VRING_CALL before memory and size", "it is accepted",
             call_early),
        Case("rings/call-again", call, "SET_VRING_CALL of a ring that runs", "it is accepted",
             partial(again, "SET_VRING_CALL")),
        Case("rings/error-again", "VHOST_USER_SET_VRING_ERR", "SET_VRING_ERR of a ring that runs",
             "it is accepted", partial(again, "SET_VRING_ERR")),
        Case("rings/call-without-descriptor", call, "SET_VRING_CALL with the bit that says so",
             "it is accepted: the front-end polls", partial(without_fd, "SET_VRING_CALL")),
        Case("rings/error-without-descriptor", "VHOST_USER_SET_VRING_ERR",
             "SET_VRING_ERR with the bit that says so", "it is accepted", partial(without_fd,
             "SET_VRING_ERR")),
        Case("rings/kick-without-descriptor", kick, "SET_VRING_KICK with the bit that says so",
             "it is accepted: the back-end polls", partial(without_fd, "SET_VRING_KICK"), should),
        Case("rings/disabled-before-all", enable, "SET_VRING_ENABLE 0 before everything else",
             "it is accepted",
             enable_early, should),
        Case("rings/off-and-on", enable, "a ring disabled twice and enabled twice", "all are accepted",
             off_and_on),
        Case("rings/size-0", num, "a ring of 0 descriptors", end,
             partial(wrong, "SET_VRING_NUM", p.VringState(index=0, num=0), 0), may, ACKED),
        Case("rings/size-odd", num, "a ring of 100 descriptors, no power of two", goes,
             partial(harmless, "SET_VRING_NUM", p.VringState(index=0, num=100), 0), may),
        Case("rings/size-too-large", num, "a ring of 65536 descriptors", end,
             partial(wrong, "SET_VRING_NUM", p.VringState(index=0, num=65536), 0), should, ACKED),
        Case("rings/size-huge", num, "a ring of 2^32-1 descriptors", end,
             partial(wrong, "SET_VRING_NUM", p.VringState(index=0, num=0xFFFF_FFFF), 0), should, ACKED),
        *(Case(f"rings/no-such-ring-{word}", "Multiple queue support",
               f"{name} of ring {ALL_ONES if 'huge' in word else NO_RING}", end,
               partial(wrong, name, payload, fds), should, ACKED)
          for word, name, payload, fds in beyond()),
        Case("rings/address-outside-memory", address, "addresses that no region has",
             "an error now, or at the start of the ring", partial(harmless, "SET_VRING_ADDR",
                                                                   nowhere, 0), should),
        Case("rings/address-before-memory", address, "SET_VRING_ADDR before any memory", goes,
             address_before_memory, may),
        Case("rings/kick-unconfigured", states, "SET_VRING_KICK of a ring without size and addresses", goes,
             kick_unconfigured, should),
        Case("rings/enable-2", enable, "SET_VRING_ENABLE with 2", goes,
             partial(harmless, "SET_VRING_ENABLE", p.VringEnable(index=0, num=2), 0), may),
        Case("multi-queue/every-ring", "Multiple queue support", "size and state of every ring there is",
             "all are accepted", every_ring, needs=("MQ",)),
    )  # fmt: skip


def base_returns_at(base: int, probe: Probe) -> None:
    """A ring that is empty at its base: the available index stands there, too."""
    region = probe.guest.regions[0]
    for page in (1, 2):
        region.write(page * PAGE + 2, base.to_bytes(2, "little"))
    base_returns(base, probe)


def beyond() -> tuple[tuple[str, str, Layer, int], ...]:
    """Messages about a ring that no device has."""
    return (
        ("size", "SET_VRING_NUM", p.VringState(index=NO_RING, num=RING_SIZE), 0),
        ("base", "SET_VRING_BASE", p.VringBase(index=NO_RING, num=0), 0),
        ("call", "SET_VRING_CALL", p.VringFd(u64=NO_RING), 1),
        ("kick", "SET_VRING_KICK", p.VringFd(u64=NO_RING), 1),
        ("enable", "SET_VRING_ENABLE", p.VringEnable(index=NO_RING, num=1), 0),
        ("index-huge", "SET_VRING_NUM", p.VringState(index=0xFFFF_FFFF, num=RING_SIZE), 0),
    )
