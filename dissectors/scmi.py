"""virtio-scmi: Arm's System Control and Management Interface; no configuration space.

Source: virtio, "SCMI Device".
"""

from vutrace.plugin import Device, Evidence

FEATURES = {0: "VIRTIO_SCMI_F_P2A_CHANNELS", 1: "VIRTIO_SCMI_F_SHARED_MEMORY"}
RINGS = {0: "cmd", 1: "event"}


def ring_name(index: int, _features: int) -> str:
    """Commands, and what the platform says by itself (with VIRTIO_SCMI_F_P2A_CHANNELS)."""
    return RINGS.get(index, f"q{index}")


DEVICE = Device(
    "scmi",
    number=32,
    features=FEATURES,
    ring_name=ring_name,
    evidence=Evidence(commands=(r"\bvhost-(user|device)-scmi\b", r"\bvirtio-id=32\b")),
)
