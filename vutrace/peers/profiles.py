"""The front-ends that can be played, as tables.

Sources: QEMU's hw/net/virtio-net.c, hw/net/vhost_net.c, hw/virtio/vhost.c and vhost-user.c of each
version; DPDK's drivers/net/virtio/virtio_user of 22.11 and 25.11. tests/live/test_peers_live.py compares all
but qemu-2.10 with the programs themselves.

A guest's reset makes QEMU tell the state of every ring since 10.1 and, as a fix, since 7.2.18 and in 10.0.x
("virtio: Call set_features during reset"); it resets a back-end that can be reset since 9.2, also at the
driver's first reset.
"""

from dataclasses import replace

from vutrace.peers.steps import (
    Items,
    MessageStep,
    Profile,
    Selector,
    all_pairs,
    all_rings,
    changed_pairs,
    each,
    enabled,
    enabled_pairs,
    first_connection,
    first_connection_made,
    first_pair,
    further_pairs,
    last_pair,
    receive_rings,
    rings,
    started_pairs,
    transmit_rings,
    with_mtu,
    with_new_region,
    with_table,
    without_status,
)

# What a Linux guest of QEMU acknowledges, and what DPDK's virtio driver does.
LINUX_GUEST = 0x1_7060_E783
DPDK_DRIVER = 0x9_5044_8000

FEATURES_OK = 0x08
ACKNOWLEDGED = 0x0B  # ACKNOWLEDGE | DRIVER | FEATURES_OK
DRIVER_OK = 0x0F

MASKED_CALL = MessageStep("SET_VRING_CALL", fd="masked")
MTU = MessageStep("NET_SET_MTU", when=with_mtu)
ENABLE_RINGS = each(rings, "SET_VRING_ENABLE")
ENABLE_RINGS_IN_USE = each(rings, MessageStep("SET_VRING_ENABLE", when=enabled))
START_RINGS = each(
    rings, "SET_VRING_NUM", "SET_VRING_BASE", "SET_VRING_ADDR", "SET_VRING_KICK", "SET_VRING_CALL"
)
STOP_RINGS = each(rings, "GET_VRING_BASE")
EVERY_RING: Items = (each(all_pairs, ENABLE_RINGS),)

INIT_2_10: Items = (
    each(
        all_pairs,
        "GET_FEATURES",
        "GET_PROTOCOL_FEATURES",
        "SET_PROTOCOL_FEATURES",
        "GET_QUEUE_NUM",
        "SET_BACKEND_REQ_FD",
        "SET_OWNER",
        "GET_FEATURES",
        each(rings, MASKED_CALL),
    ),
)
START_2_10: Items = (
    MTU,
    each(started_pairs, "SET_FEATURES", "SET_MEM_TABLE", START_RINGS, ENABLE_RINGS_IN_USE),
)
STOP_2_10: Items = (each(started_pairs, STOP_RINGS),)

QEMU_2_10 = Profile(
    name="qemu-2.10",
    qemu=(2, 10),
    features=LINUX_GUEST,
    protocol_features=0x7F,
    acknowledged=frozenset({"SET_MEM_TABLE", "SET_BACKEND_REQ_FD", "NET_SET_MTU"}),
    phases={
        "connect": INIT_2_10,
        "features": EVERY_RING,
        "start": START_2_10,
        "pairs": EVERY_RING,
        "stop": STOP_2_10,
        "reset": STOP_2_10,
    },
)

GREETING_7_2: Items = (
    "GET_FEATURES",
    "GET_PROTOCOL_FEATURES",
    "SET_PROTOCOL_FEATURES",
    "GET_QUEUE_NUM",
    "GET_MAX_MEM_SLOTS",
    "SET_BACKEND_REQ_FD",
    "SET_OWNER",
    "GET_FEATURES",
)
INIT_7_2: Items = (each(all_pairs, *GREETING_7_2, each(rings, MASKED_CALL, "SET_VRING_ERR")),)
ACCEPT_7_2: Items = (
    "SET_FEATURES",
    "GET_STATUS",
    MessageStep("SET_STATUS", FEATURES_OK, when=without_status(FEATURES_OK)),
)
MEMORY_7_2: Items = (
    MessageStep("SET_MEM_TABLE", when=with_table),
    MessageStep("ADD_MEM_REG", when=with_new_region),
)
START_7_2: Items = (
    MTU,
    each(
        started_pairs,
        ENABLE_RINGS_IN_USE,
        *ACCEPT_7_2,
        *MEMORY_7_2,
        START_RINGS,
        MessageStep("GET_STATUS", when=last_pair),
        MessageStep("SET_STATUS", DRIVER_OK, when=last_pair),
    ),
)
STOP_7_2: Items = (each(started_pairs, MessageStep("SET_STATUS", 0, when=last_pair), STOP_RINGS),)

QEMU_7_2 = Profile(
    name="qemu-7.2",
    qemu=(7, 2),
    features=LINUX_GUEST,
    protocol_features=0x1FDFF,  # bits 0-16 but CONFIG, which QEMU's network device has no use for
    acknowledged=QEMU_2_10.acknowledged | {"ADD_MEM_REG"},
    phases={
        "connect": INIT_7_2,
        "features": EVERY_RING,
        "start": START_7_2,
        "pairs": EVERY_RING,
        "stop": STOP_7_2,
        "reset": (*STOP_7_2, *EVERY_RING),
    },
)

STOP_10: Items = (each(started_pairs, STOP_RINGS, MessageStep("SET_STATUS", 0, when=last_pair)),)

QEMU_10 = Profile(
    name="qemu-10",
    qemu=(10, 0),
    features=LINUX_GUEST,
    protocol_features=0xFFDFF,
    acknowledged=QEMU_7_2.acknowledged | {"SET_VRING_ENABLE"},
    barriers=frozenset({"SET_VRING_ENABLE"}),
    phases={
        **QEMU_7_2.phases,
        "features": ("RESET_DEVICE", *EVERY_RING),
        "stop": STOP_10,
        "reset": (*STOP_10, "RESET_DEVICE", *EVERY_RING),
    },
)

QEMU_11 = replace(
    QEMU_10,
    name="qemu-11",
    qemu=(11, 1),
    # bits 0-22 but CONFIG, GET_VRING_BASE_INFLIGHT (for devices that migrate it), GPA_ADDRESSES (not played)
    protocol_features=0x4FFDFF,
    acknowledged=QEMU_10.acknowledged | {"SET_VRING_KICK", "SET_VRING_CALL", "SET_VRING_ERR"},
)

# It stops a ring and starts it from the beginning, whatever GET_VRING_BASE answered.
CONFIGURE_RING = ("SET_VRING_NUM", MessageStep("SET_VRING_BASE", 0), "SET_VRING_ADDR", "SET_VRING_KICK")
SWITCH_ON = each(rings, MessageStep("SET_VRING_ENABLE", 1))
SWITCH_OFF = each(rings, MessageStep("SET_VRING_ENABLE", 0))

# A first start asks for the status once more than a reconnect: the driver's own check of FEATURES_OK.
CONNECT_VIRTIO_USER: Items = (
    MessageStep("SET_OWNER", when=first_connection),
    "GET_FEATURES",
    "GET_PROTOCOL_FEATURES",
    "SET_PROTOCOL_FEATURES",
)


def features_virtio_user(*orders: Selector) -> Items:
    """The driver's features, with the calls of all rings in this order."""
    return (
        *(each(order, "SET_VRING_CALL") for order in orders),
        "SET_FEATURES",
        MessageStep("SET_STATUS", ACKNOWLEDGED),
        MessageStep("GET_STATUS", when=first_connection_made),
    )


def start_virtio_user(*orders: Selector) -> Items:
    """DRIVER_OK, with all rings in this order."""
    return (
        "GET_STATUS",
        "SET_MEM_TABLE",
        *(each(order, *CONFIGURE_RING) for order in orders),
        each(first_pair, SWITCH_ON),
        MessageStep("SET_STATUS", DRIVER_OK),
        each(further_pairs, SWITCH_ON),
    )


# Up to 22.11 the receive rings of all pairs come before the transmit rings.
VIRTIO_USER = Profile(
    name="virtio-user",
    qemu=None,
    features=DPDK_DRIVER,
    protocol_features=0x10009,  # MQ, REPLY_ACK, STATUS
    acknowledged=frozenset({"SET_MEM_TABLE", "SET_STATUS"}),
    guest_address=0x1_0000_0000,
    user_address=0x1_0000_0000,
    phases={
        "connect": CONNECT_VIRTIO_USER,
        "features": features_virtio_user(receive_rings, transmit_rings),
        "start": start_virtio_user(receive_rings, transmit_rings),
        "pairs": (each(changed_pairs, ENABLE_RINGS),),
        "stop": (each(enabled_pairs, SWITCH_OFF), each(all_pairs, STOP_RINGS)),
        "reset": (each(enabled_pairs, SWITCH_OFF), each(all_pairs, STOP_RINGS)),
    },
    # As a server that lost its back-end: it stops the device at the new one first.
    again=("stop", "connect", "features", "start"),
)

VIRTIO_USER_23 = replace(
    VIRTIO_USER,
    name="virtio-user-23.03",
    phases={
        **VIRTIO_USER.phases,
        "features": features_virtio_user(all_rings),
        "start": start_virtio_user(all_rings),
    },
)

PROFILES = {
    profile.name: profile for profile in (QEMU_2_10, QEMU_7_2, QEMU_10, QEMU_11, VIRTIO_USER, VIRTIO_USER_23)
}
