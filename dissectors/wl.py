"""Virtio wayland, as crosvm has it; no configuration space and no section of the virtio specification.

Source: crosvm, devices/src/virtio/vhost_user_backend/wl.rs and its device constants.
"""

from vutrace.plugin import Device, Evidence

FEATURES = {1: "VIRTIO_WL_F_TRANS_FLAGS", 2: "VIRTIO_WL_F_SEND_FENCES", 3: "VIRTIO_WL_F_USE_SHMEM"}
RINGS = {0: "in", 1: "out"}


def ring_name(index: int, _features: int) -> str:
    """To the guest, and from it."""
    return RINGS.get(index, f"q{index}")


DEVICE = Device(
    "wl",
    number=63,
    features=FEATURES,
    ring_name=ring_name,
    evidence=Evidence(
        commands=(
            r"\bcrosvm\b.*\bdevice(s --)? wl\b",
            r"--vhost-user-wl\b|--vhost-user (type=)?wl\b",  # crosvm run
            r"\bvirtio-id=63\b",
        )
    ),
)
