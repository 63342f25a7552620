"""QEMU 7.2's front-ends of other devices than net, as tables.

Sources: QEMU 7.2's hw/virtio/vhost.c (vhost_dev_start, vhost_dev_stop), hw/block/vhost-user-blk.c and
hw/virtio/vhost-user-*.c; tests/test_peers_devices.py compares them with captures of that QEMU.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from vutrace.peers.profiles import ACCEPT_7_2, DRIVER_OK, GREETING_7_2, MASKED_CALL, MEMORY_7_2, QEMU_7_2
from vutrace.peers.steps import (
    Item,
    Items,
    MessageStep,
    Profile,
    device_rings,
    each,
)

RINGS = 0x1_7000_0000  # VERSION_1, PROTOCOL_FEATURES, EVENT_IDX, INDIRECT_DESC: what a Linux guest takes
BLK = 0xE46  # SEG_MAX, BLK_SIZE, FLUSH, TOPOLOGY, CONFIG_WCE
CONFIG, INFLIGHT_SHMFD = 1 << 9, 1 << 12

CALLS = each(device_rings, "SET_VRING_CALL")
INIT: Items = (*GREETING_7_2, each(device_rings, MASKED_CALL, "SET_VRING_ERR"))
RUN: Items = (
    *MEMORY_7_2,
    each(device_rings, "SET_VRING_NUM", "SET_VRING_BASE", "SET_VRING_ADDR", "SET_VRING_KICK"),
    each(device_rings, MessageStep("SET_VRING_ENABLE", 1)),
    "GET_STATUS",
    MessageStep("SET_STATUS", DRIVER_OK),
)
STOP: Items = (
    MessageStep("SET_STATUS", 0),
    each(device_rings, MessageStep("SET_VRING_ENABLE", 0)),
    each(device_rings, "GET_VRING_BASE"),
)


@dataclass(frozen=True, slots=True)
class ModelDevice:
    """What QEMU does for a device: `rings` there always are, and one for each queue if it has `queues`.

    `features` are the device's own bits, `config` the bytes of its configuration space that QEMU reads.
    `early` and `late` are what it sends before a start, and after it and after a stop.
    """

    rings: int
    queues: bool = False
    features: int = 0
    config: int = 0
    protocol_features: int = QEMU_7_2.protocol_features
    early: Items = (CALLS,)
    late: Items = (CALLS,)

    def count(self, queues: int) -> int:
        """How many rings it has with so many queues."""
        return self.rings + (queues if self.queues else 0)

    def profile(self) -> Profile:
        """What its front-end sends."""
        asks: tuple[Item, ...] = (MessageStep("GET_CONFIG", self.config),) if self.config else ()
        start = (*self.early, *ACCEPT_7_2, *RUN, *self.late)
        masked = (each(device_rings, MASKED_CALL),) if self.late else ()
        return Profile(
            name="qemu-7.2",
            qemu=(7, 2),
            features=RINGS | self.features,
            protocol_features=self.protocol_features | (CONFIG if self.config else 0),
            acknowledged=QEMU_7_2.acknowledged,
            phases={
                "connect": (*INIT, *asks),
                "features": (),
                "start": start,
                "stop": (*STOP, *masked),
                "reset": (*STOP, *masked),
            },
        )


DEVICES: Mapping[str, ModelDevice] = {
    # Its features go out once more, before it asks for the buffer of requests in flight, which is not played.
    "blk": ModelDevice(
        rings=0,
        queues=True,
        features=BLK,
        config=57,
        protocol_features=QEMU_7_2.protocol_features & ~INFLIGHT_SHMFD,
        early=(*ACCEPT_7_2, CALLS),
        late=(),
    ),
    "fs": ModelDevice(rings=1, queues=True),
    "gpio": ModelDevice(rings=2, features=1, config=8),
    "i2c": ModelDevice(rings=1, features=1),
    "rng": ModelDevice(rings=1),
    "vsock": ModelDevice(rings=2, config=8),
}
