"""virtio-bt: a Bluetooth controller; VIRTIO_BT_F_CONFIG_V2 lays its configuration space out anew.

Source: Linux, virtio_bt.h (virtio itself only has the device's number).
"""

from vutrace.plugin import HEX, Device, Evidence, Layer, enum, le16, pad, u8

FEATURES = {
    0: "VIRTIO_BT_F_VND_HCI",
    1: "VIRTIO_BT_F_MSFT_EXT",
    2: "VIRTIO_BT_F_AOSP_EXT",
    3: "VIRTIO_BT_F_CONFIG_V2",
}
TYPES = enum({0: "primary"})
VENDORS = enum({0: "none", 1: "Zephyr", 2: "Intel", 3: "Realtek"})
RINGS = {0: "tx", 1: "rx"}


class OldBtConfig(Layer):
    """virtio_bt_config: 5 bytes, packed."""

    name = "bt config (without CONFIG_V2)"
    fields_desc = [u8("type", TYPES), le16("vendor", VENDORS), le16("msft_opcode", HEX)]


class BtConfig(Layer):
    """virtio_bt_config_v2; 5 bytes are the older layout."""

    name = "bt config"
    variants = (OldBtConfig,)
    fields_desc = [
        u8("type", TYPES),
        pad(1, "alignment"),
        le16("vendor", VENDORS),
        le16("msft_opcode", HEX),
    ]


def ring_name(index: int, _features: int) -> str:
    """HCI packets from the guest and to it."""
    return RINGS.get(index, f"q{index}")


DEVICE = Device(
    "bt",
    number=40,
    features=FEATURES,
    config=BtConfig,
    ring_name=ring_name,
    evidence=Evidence(commands=(r"\bvhost-(user|device)-bt\b", r"\bvirtio-id=40\b"), config_sizes=(5, 6)),
)
