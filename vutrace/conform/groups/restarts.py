"""Rings that start, stop and start again, over one connection and over the next."""

import time
from collections.abc import Iterator

from vutrace.conform.case import Case, Level, UnmetError
from vutrace.conform.driver import Driver, running
from vutrace.conform.packed import PackedRing
from vutrace.conform.probe import Probe
from vutrace.protocol import payloads as p
from vutrace.protocol.bits import VIRTIO_FEATURES, bit

VERSION_1 = bit("VIRTIO_F_VERSION_1", VIRTIO_FEATURES)


def still_after_stop(probe: Probe) -> None:
    driver = running(probe)
    driver.work_once()
    driver.stop()
    driver.place()
    driver.ring.kick()
    driver.still()


def base_counts(probe: Probe) -> None:
    driver = running(probe)
    for _ in range(3):
        driver.work_once()
    base = driver.stop()
    ring = driver.ring
    wanted = ring.position() if isinstance(ring, PackedRing) else (ring.base + 3) & 0xFFFF
    if base != wanted:
        raise UnmetError(f"base {base:#x} instead of {wanted:#x}")


def starts_again(probe: Probe) -> None:
    driver = running(probe)
    for _ in range(3):
        driver.work_once()
    driver.ring.base = driver.stop()
    driver.start()
    driver.work_once()


def before_kick(probe: Probe) -> None:
    """A request that is there when the ring starts, without a kick of its own."""
    probe.hello()
    probe.memory()
    driver = Driver(probe)
    request = driver.place()
    driver.start()
    driver.done([request])


def after_reconnect(probe: Probe) -> None:
    running(probe).work_once()
    probe.disconnect()
    time.sleep(0.02)
    if not probe.target.running():
        probe.skip("the program ended with the connection")
    probe.guest.renew()
    running(probe).work_once()


def after_reset(probe: Probe) -> None:
    running(probe).work_once()
    probe.tell("RESET_DEVICE")
    probe.guest.renew()
    probe.tell("SET_FEATURES", p.Features(features=probe.features))
    probe.memory()
    driver = Driver(probe)
    driver.start()
    driver.work_once()


def without_protocol(probe: Probe) -> None:
    """Without PROTOCOL_FEATURES a ring is enabled when it starts."""
    probe.features, probe.protocol = probe.number("GET_FEATURES", "features") & VERSION_1, 0
    probe.send("SET_OWNER")
    probe.send("SET_FEATURES", p.Features(features=probe.features))
    probe.memory()
    driver = Driver(probe)
    driver.start()
    try:
        driver.work_once()
    except UnmetError as error:
        raise UnmetError(f"{error}; SET_VRING_ENABLE is not needed") from None


def cases() -> Iterator[Case]:
    """Starting, stopping, and starting again."""
    states = "Ring states"
    yield from (
        Case("rings/request-before-start", states, "a ring that has a request when it starts",
             "it comes back, without another kick", before_kick, Level.SHOULD),
        Case("rings/enabled-by-default", states, "a start without PROTOCOL_FEATURES and SET_VRING_ENABLE",
             "requests come back", without_protocol),
        Case("reconnect/works-again", "Communication", "a new connection after one that worked",
             "requests come back, in other memory", after_reconnect, Level.SHOULD),
        Case("reset/works-again", "VHOST_USER_RESET_DEVICE", "RESET_DEVICE, and a start in other memory",
             "requests come back", after_reset, needs=("RESET_DEVICE",)),
    )  # fmt: skip
