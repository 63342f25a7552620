"""The back-end channel, and notifications that are messages."""

import select
from collections.abc import Iterator

from vutrace.conform.case import Case, Level, UnmetError
from vutrace.conform.driver import STILL, Driver, works
from vutrace.conform.probe import Probe
from vutrace.conform.side import SideChannel, pass_socket
from vutrace.dissection.message import Message
from vutrace.peers.encode import SPECS, encode_reply
from vutrace.protocol import payloads as p
from vutrace.protocol.effects import RingEffect
from vutrace.protocol.wire import HEADER, NOFD, VERSION

PATIENCE = 0.5
GIB = 1 << 30


def replaced(probe: Probe) -> None:
    probe.hello()
    with pass_socket(probe) as first, pass_socket(probe):
        if not select.select([first], [], [], PATIENCE)[0] or first.recv(1):
            raise UnmetError("the earlier channel is still open")


def quiet(probe: Probe) -> None:
    probe.hello()
    side = SideChannel(probe)
    probe.memory()
    if message := side.next(STILL):
        raise UnmetError(f"{message.name} came over the channel")


def works_without(probe: Probe) -> None:
    """The front-end's end of the channel closes while the device runs."""
    driver, side = with_channel(probe)
    driver.work_once()
    side.close()
    driver.work_once()


def unasked_answer(probe: Probe) -> None:
    driver, side = with_channel(probe)
    side.raw(encode_reply(SPECS["SET_OWNER"], p.Ack(status=0)))
    driver.work_once()
    probe.survives()


def garbage(probe: Probe) -> None:
    driver, side = with_channel(probe)
    side.raw(HEADER.pack(GIB, VERSION, GIB))
    driver.work_once()
    probe.survives()


def with_channel(probe: Probe) -> tuple[Driver, SideChannel]:
    """A device that runs and has a back-end channel."""
    works(probe)
    probe.hello()
    side = SideChannel(probe)
    probe.memory()
    driver = Driver(probe)
    driver.start()
    return driver, side


# In-band notifications


def in_band(probe: Probe, descriptor: bool) -> tuple[Driver, SideChannel]:
    """A device whose rings start with a message; with `descriptor` they have one to call by."""
    works(probe)
    probe.hello()
    side = SideChannel(probe)
    probe.memory()
    driver = Driver(probe)
    for ring in driver.rings.values():
        driver.describe(ring)
        flag, fds = (0, [ring.call_fd]) if descriptor else (NOFD, [])
        probe.tell("SET_VRING_CALL", p.VringFd(u64=ring.index | flag), fds)
    driver.enable()
    return driver, side


def kicks(driver: Driver) -> None:
    """A request, and a kick that is a message."""
    request = driver.place()
    driver.probe.tell("VRING_KICK", p.VringState(index=driver.ring.index))
    driver.done([request])


def kicked(probe: Probe) -> None:
    driver, _ = in_band(probe, descriptor=True)
    kicks(driver)


def call_of(driver: Driver, side: SideChannel) -> Message:
    """The message that says that a request is done, answered where it asks for that."""
    kicks(driver)
    while message := side.next():
        if message.need_reply:
            side.answer(message, p.Ack(status=0))
        if message.spec.effect is RingEffect.NOTHING and message.ring == driver.ring.index:
            return message
    raise UnmetError("no call came, neither by a descriptor nor over the back-end channel")


def called(probe: Probe) -> None:
    call_of(*in_band(probe, descriptor=False))


def call_waits(probe: Probe) -> None:
    message = call_of(*in_band(probe, descriptor=False))
    if not message.need_reply:
        raise UnmetError(f"{message.name} came without NEED_REPLY")


def descriptor_preferred(probe: Probe) -> None:
    driver, side = in_band(probe, descriptor=True)
    kicks(driver)
    if not driver.ring.called(probe.timeout):
        raise UnmetError("the call descriptor was not written")
    if message := side.next(STILL):
        raise UnmetError(f"{message.name} came although there is a call descriptor")


def cases() -> Iterator[Case]:
    """All of them."""
    back, should = "Back-end communication", Level.SHOULD
    bands, needs = "In-band notifications", ("INBAND_NOTIFICATIONS", "BACKEND_REQ", "REPLY_ACK")
    yield from (
        Case("channel/replaced", back, "SET_BACKEND_REQ_FD twice", "the earlier channel is closed", replaced,
             should, ("BACKEND_REQ",)),
        Case("channel/quiet-while-stopped", "Suspended device state", "a channel of a device that is stopped",
             "nothing comes over it", quiet, needs=("BACKEND_REQ",)),
        Case("channel/ends", back, "the end of the channel while the device runs", "requests come back",
             works_without, should, ("BACKEND_REQ",)),
        Case("channel/unasked-answer", back, "an answer over the channel that nobody asked for",
             "requests come back", unasked_answer, should, ("BACKEND_REQ",)),
        Case("channel/garbage", back, "a message of 1 GiB announced over the channel", "requests come back",
             garbage, should, ("BACKEND_REQ",)),
        Case("in-band/kick", "VHOST_USER_VRING_KICK", "a ring without a kick descriptor, VRING_KICK",
             "the ring starts, and the request comes back", kicked, needs=needs),
        Case("in-band/call", "VHOST_USER_BACKEND_VRING_CALL", "a ring without a call descriptor",
             "BACKEND_VRING_CALL over the back-end channel", called, needs=needs),
        Case("in-band/call-waits", bands, "a ring without a call descriptor",
             "BACKEND_VRING_CALL with NEED_REPLY, to wait until it was handled", call_waits, should, needs),
        Case("in-band/descriptor-preferred", "VHOST_USER_SET_VRING_CALL", "a ring with a call descriptor",
             "it is written, and no message comes", descriptor_preferred, should, needs),
    )  # fmt: skip
