"""virtio-vsock: sockets between guest and host.

Source: virtio, "Socket Device".
"""

from vutrace.plugin import Device, Evidence, Layer, le64

FEATURES = {
    0: "VIRTIO_VSOCK_F_STREAM",
    1: "VIRTIO_VSOCK_F_SEQPACKET",
    2: "VIRTIO_VSOCK_F_NO_IMPLIED_STREAM",
}
RINGS = {0: "rx", 1: "tx", 2: "event"}


class VsockConfig(Layer):
    """virtio_vsock_config: the guest's address; 2 is always the host's."""

    name = "vsock config"
    fields_desc = [le64("guest_cid")]


def ring_name(index: int, _features: int) -> str:
    """Receive, transmit, and events, which QEMU keeps to itself."""
    return RINGS.get(index, f"q{index}")


DEVICE = Device(
    "vsock",
    number=19,
    features=FEATURES,
    config=VsockConfig,
    ring_name=ring_name,
    evidence=Evidence(
        commands=(
            r"\bvhost-(user|device)-vsock\b",
            r"--vhost-user(-vsock\b| .*\btype=vsock\b)",  # crosvm
            r"\bvirtio-id=19\b",
        )
    ),
)
