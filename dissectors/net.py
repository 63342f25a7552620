"""virtio-net: queue pairs, its feature bits and configuration space.

Source: virtio, "Network Device".
"""

from collections.abc import Iterator

from vutrace.plugin import (
    Check,
    Device,
    Evidence,
    History,
    Layer,
    Once,
    Purpose,
    RingEffect,
    Row,
    Rule,
    Severity,
    asks,
    bit,
    enum,
    flags,
    le16,
    le32,
    mac,
    number,
    u8,
    unit,
)

FEATURES = {
    0: "VIRTIO_NET_F_CSUM",
    1: "VIRTIO_NET_F_GUEST_CSUM",
    2: "VIRTIO_NET_F_CTRL_GUEST_OFFLOADS",
    3: "VIRTIO_NET_F_MTU",
    5: "VIRTIO_NET_F_MAC",
    6: "VIRTIO_NET_F_GSO",
    7: "VIRTIO_NET_F_GUEST_TSO4",
    8: "VIRTIO_NET_F_GUEST_TSO6",
    9: "VIRTIO_NET_F_GUEST_ECN",
    10: "VIRTIO_NET_F_GUEST_UFO",
    11: "VIRTIO_NET_F_HOST_TSO4",
    12: "VIRTIO_NET_F_HOST_TSO6",
    13: "VIRTIO_NET_F_HOST_ECN",
    14: "VIRTIO_NET_F_HOST_UFO",
    15: "VIRTIO_NET_F_MRG_RXBUF",
    16: "VIRTIO_NET_F_STATUS",
    17: "VIRTIO_NET_F_CTRL_VQ",
    18: "VIRTIO_NET_F_CTRL_RX",
    19: "VIRTIO_NET_F_CTRL_VLAN",
    20: "VIRTIO_NET_F_CTRL_RX_EXTRA",
    21: "VIRTIO_NET_F_GUEST_ANNOUNCE",
    22: "VIRTIO_NET_F_MQ",
    23: "VIRTIO_NET_F_CTRL_MAC_ADDR",
    41: "VIRTIO_NET_F_GUEST_RSC4",
    42: "VIRTIO_NET_F_GUEST_RSC6",
    50: "VIRTIO_NET_F_DEVICE_STATS",
    51: "VIRTIO_NET_F_HASH_TUNNEL",
    52: "VIRTIO_NET_F_VQ_NOTF_COAL",
    53: "VIRTIO_NET_F_NOTF_COAL",
    54: "VIRTIO_NET_F_GUEST_USO4",
    55: "VIRTIO_NET_F_GUEST_USO6",
    56: "VIRTIO_NET_F_HOST_USO",
    57: "VIRTIO_NET_F_HASH_REPORT",
    59: "VIRTIO_NET_F_GUEST_HDRLEN",
    60: "VIRTIO_NET_F_RSS",
    61: "VIRTIO_NET_F_RSC_EXT",
    62: "VIRTIO_NET_F_STANDBY",
    63: "VIRTIO_NET_F_SPEED_DUPLEX",
}
# GSO was too coarse, GUEST_RSC4 and GUEST_RSC6 were one hypervisor's own.
LEGACY = frozenset({6, 41, 42})
MRG_RXBUF = bit("VIRTIO_NET_F_MRG_RXBUF", FEATURES)
MTU = bit("VIRTIO_NET_F_MTU", FEATURES)
MQ = bit("VIRTIO_NET_F_MQ", FEATURES)
RSS = bit("VIRTIO_NET_F_RSS", FEATURES)
CTRL_VQ = bit("VIRTIO_NET_F_CTRL_VQ", FEATURES)
VERSION_1, RING_PACKED = 1 << 32, 1 << 34

HASH_TYPES = flags(
    dict(enumerate(["IPv4", "TCPv4", "UDPv4", "IPv6", "TCPv6", "UDPv6", "IP_EX", "TCP_EX", "UDP_EX"]))
)
TUNNEL_NAMES = [
    "GRE_2784",
    "GRE_2890",
    "GRE_7676",
    "GRE_UDP",
    "VXLAN",
    "VXLAN_GPE",
    "GENEVE",
    "IPIP",
    "NVGRE",
]
TUNNEL_TYPES = flags(dict(enumerate(TUNNEL_NAMES)))

# What decides the length of the header before every packet, the strongest first.
HEADER_LENGTHS = [
    (bit("VIRTIO_NET_F_HASH_REPORT", FEATURES), 20, "VIRTIO_NET_F_HASH_REPORT"),
    (VERSION_1, 12, "VIRTIO_F_VERSION_1"),
    (RING_PACKED, 12, "VIRTIO_F_RING_PACKED"),  # it implies VERSION_1; DPDK goes by either
    (MRG_RXBUF, 12, "VIRTIO_NET_F_MRG_RXBUF"),
    (0, 10, "neither VIRTIO_F_VERSION_1 nor VIRTIO_NET_F_MRG_RXBUF"),
]


class NetConfig(Layer):
    """virtio_net_config: a device has it as far as its features reach."""

    name = "net config"
    fields_desc = [
        mac("mac"),
        le16("status", flags({0: "LINK_UP", 1: "ANNOUNCE"})),
        le16("max_virtqueue_pairs"),
        le16("mtu", unit("bytes")),
        le32("speed", unit("Mb/s")),
        u8("duplex", enum({0: "half", 1: "full", 0xFF: "unknown"})),
        u8("rss_max_key_size", unit("bytes")),
        le16("rss_max_indirection_table_length"),
        le32("supported_hash_types", HASH_TYPES),
        le32("supported_tunnel_types", TUNNEL_TYPES),
    ]


def ring_name(index: int, _features: int) -> str:
    """Even rings receive (the guest's view), odd ones transmit."""
    return f"{'tx' if index % 2 else 'rx'}{index // 2}"


def notes(features: int) -> Iterator[str]:
    """The header length that both sides must agree on, or every packet is garbage."""
    length, why = next((length, why) for mask, length, why in HEADER_LENGTHS if features & mask == mask)
    yield f"virtio-net header: {length} bytes ({why})"


def mtu_unacknowledged(row: Row, _seen: History) -> Iterator[str]:
    """An MTU for a driver that did not ask."""
    if not row.context.has_feature(MTU):
        yield "VIRTIO_NET_F_MTU is not acknowledged"


def beyond_pairs(row: Row, _seen: History) -> Iterator[str]:
    """A second pair that the driver did not ask for."""
    features, ring = row.context.features, row.ring or 0
    if ring >= 2 and features is not None and not features & (MQ | RSS | CTRL_VQ):
        yield f"ring {ring} is started; without VIRTIO_NET_F_MQ there is one pair"


def short_header(row: Row, _seen: History) -> Iterator[str]:
    """Ten bytes where most have twelve."""
    taken, offered = number(row, "features"), row.context.offered or 0
    if offered & (MRG_RXBUF | VERSION_1) and not taken & (MRG_RXBUF | VERSION_1):
        yield "neither VIRTIO_F_VERSION_1 nor VIRTIO_NET_F_MRG_RXBUF: the header is 10 bytes"


def packed_legacy(row: Row, _seen: History) -> Iterator[str]:
    """A ring of virtio 1.1 for a driver of before 1.0."""
    taken = number(row, "features")
    if taken & RING_PACKED and not taken & VERSION_1:
        yield "VIRTIO_F_RING_PACKED without VIRTIO_F_VERSION_1"


def half_a_pair(row: Row, _seen: History) -> Iterator[str]:
    """A ring is enabled while the other one of its pair is not set up."""
    rings = row.state.rings
    if row.ring is None or not number(row, "num") or row.ring not in rings.started:
        return
    other = rings.by_index.get(row.ring ^ 1)
    if other is None or not other.configured:
        yield f"ring {row.ring ^ 1} of the same pair is not set up yet"


CHECKS = (
    Check(
        Rule(
            "device.net-mtu",
            Severity.WARNING,
            "VHOST_USER_NET_SET_MTU",
            "The message is for a driver that acknowledged VIRTIO_NET_F_MTU.",
            "Send it after the driver's features, if they have the bit.",
            deviates=("qemu: sends it before SET_FEATURES of the first pair (hw/net/vhost_net.c)",),
        ),
        asks(request="Mtu"),
        mtu_unacknowledged,
    ),
    Check(
        Rule(
            "device.net-beyond-pairs",
            Severity.WARNING,
            "virtio, Network Device",
            "The driver uses the first pair alone: what a back-end puts into another one is lost.",
            "Compare the guest's number of queues with the front-end's (mq=on).",
        ),
        asks(effect=RingEffect.KICK),
        beyond_pairs,
        once=Once.SESSION,
    ),
    Check(
        Rule(
            "device.net-short-header",
            Severity.INFO,
            "virtio, Network Device",
            "Packets have a header of 10 bytes, not 12; a back-end that takes 12 makes garbage of them.",
            "If packets are broken: mrg_rxbuf=on in the front-end, or a newer driver.",
        ),
        asks(purpose=Purpose.FEATURES),
        short_header,
        once=Once.SESSION,
    ),
    Check(
        Rule(
            "device.net-packed-legacy",
            Severity.WARNING,
            "virtio, Packed Virtqueues",
            "Packed rings are of virtio 1.1; back-ends take the header for that of a legacy driver.",
            "Acknowledge VIRTIO_F_VERSION_1 with them (DPDK before 22eaf26135 got the header wrong).",
        ),
        asks(purpose=Purpose.FEATURES),
        packed_legacy,
        once=Once.SESSION,
    ),
    Check(
        Rule(
            "device.net-half-a-pair",
            Severity.WARNING,
            "VHOST_USER_SET_VRING_ENABLE",
            "DPDK hands the device to its application with half of a queue pair: no tx queue.",
            "Set both rings of a pair up before enabling one of them.",
            deviates=(
                "crosvm: starts and enables ring by ring (devices/src/virtio/vhost_user_frontend)",
                "firecracker: starts and enables ring by ring (src/vmm/src/devices/virtio/vhost_user.rs)",
            ),
        ),
        asks(effect=RingEffect.ENABLE),
        half_a_pair,
        once=Once.SESSION,
    ),
)

DEVICE = Device(
    "net",
    number=1,
    features=FEATURES,
    legacy=LEGACY,
    config=NetConfig,
    ring_name=ring_name,
    notes=notes,
    checks=CHECKS,
    control_ring="ctrl",
    pairs=True,
    evidence=Evidence(
        commands=(
            r'\bvhost-user,\S*|"type": *"vhost-user"',  # QEMU -netdev
            r"\b(net|eth)_vhost\w*",  # DPDK's vhost driver
            r"\b(net_)?virtio_user\w*",  # DPDK's front-end
            r"\bovs-vswitchd\b",
            r"--net\b.*\bvhost_user=(true|on)",  # cloud-hypervisor
            r"--vhost-user(-net\b| (type=)?net\b)",  # crosvm
            r"\bpasst\b",
        ),
        messages=("NET_SET_MTU", "SEND_RARP"),
        config_sizes=(24, 28),
        features=MRG_RXBUF,
    ),
)
