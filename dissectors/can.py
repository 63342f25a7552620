"""virtio-can: a CAN controller.

Source: virtio, "CAN Device".
"""

from vutrace.plugin import Device, Evidence, Layer, flags, le16

FEATURES = {
    0: "VIRTIO_CAN_F_CAN_CLASSIC",
    1: "VIRTIO_CAN_F_CAN_FD",
    2: "VIRTIO_CAN_F_RTR_FRAMES",
    3: "VIRTIO_CAN_F_LATE_TX_ACK",
}
RINGS = {0: "tx", 1: "rx", 2: "ctrl"}


class CanConfig(Layer):
    """virtio_can_config."""

    name = "can config"
    fields_desc = [le16("status", flags({0: "BUSOFF"}))]


def ring_name(index: int, _features: int) -> str:
    """Transmit comes first here."""
    return RINGS.get(index, f"q{index}")


DEVICE = Device(
    "can",
    number=36,
    features=FEATURES,
    config=CanConfig,
    ring_name=ring_name,
    evidence=Evidence(commands=(r"\bvhost-(user|device)-can\b", r"\bvirtio-id=36\b"), config_sizes=(2,)),
)
