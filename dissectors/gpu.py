"""virtio-gpu: two rings here; what it draws goes over a second protocol on GPU_SET_SOCKET's socket.

Source: virtio, "GPU Device"; vhost-user-gpu.rst for the socket.
"""

from vutrace.plugin import SIZE, Device, Evidence, Layer, flags, le32

FEATURES = {
    0: "VIRTIO_GPU_F_VIRGL",
    1: "VIRTIO_GPU_F_EDID",
    2: "VIRTIO_GPU_F_RESOURCE_UUID",
    3: "VIRTIO_GPU_F_RESOURCE_BLOB",
    4: "VIRTIO_GPU_F_CONTEXT_INIT",
    5: "VIRTIO_GPU_F_BLOB_ALIGNMENT",
}
EVENTS = flags({0: "DISPLAY"})
RINGS = {0: "ctrl", 1: "cursor"}


class GpuConfig(Layer):
    """virtio_gpu_config; blob_alignment is there with VIRTIO_GPU_F_BLOB_ALIGNMENT."""

    name = "gpu config"
    fields_desc = [
        le32("events_read", EVENTS),
        le32("events_clear", EVENTS),
        le32("num_scanouts"),
        le32("num_capsets"),
        le32("blob_alignment", SIZE),
    ]


def ring_name(index: int, _features: int) -> str:
    """Commands, and the cursor's own."""
    return RINGS.get(index, f"q{index}")


DEVICE = Device(
    "gpu",
    number=16,
    features=FEATURES,
    config=GpuConfig,
    ring_name=ring_name,
    evidence=Evidence(
        commands=(
            r"\bvhost-user-(gpu|vga)\b",  # QEMU -device, QEMU's contrib back-end
            r"\bvhost-device-gpu\b",
            r"--vhost-user(-gpu\b| .*\btype=gpu\b)",  # crosvm
            r"\bvirtio-id=16\b",
        ),
        messages=("GPU_SET_SOCKET",),
    ),
)
