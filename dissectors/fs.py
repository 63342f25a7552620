"""virtio-fs: a file system served by virtiofsd.

Source: virtio, "File System Device".
"""

from vutrace.plugin import SIZE, TEXT, Device, Evidence, Fixed, Layer, bit, le32

FEATURES = {0: "VIRTIO_FS_F_NOTIFICATION"}
NOTIFICATION = bit("VIRTIO_FS_F_NOTIFICATION", FEATURES)


class FsConfig(Layer):
    """virtio_fs_config; notify_buf_size is there with VIRTIO_FS_F_NOTIFICATION."""

    name = "fs config"
    fields_desc = [
        Fixed("tag", 36, TEXT),
        le32("num_request_queues"),
        le32("notify_buf_size", SIZE),
    ]


def ring_name(index: int, features: int) -> str:
    """hiprio, the notification queue where negotiated, then requests."""
    special = ["hiprio", "notify"] if features & NOTIFICATION else ["hiprio"]
    return special[index] if index < len(special) else f"req{index - len(special)}"


DEVICE = Device(
    "fs",
    number=26,
    features=FEATURES,
    config=FsConfig,
    ring_name=ring_name,
    evidence=Evidence(
        commands=(
            r"\bvhost-user-fs[\w-]*",  # QEMU -device
            r"\bvirtiofsd\b",
            r"--fs\b.*\bsocket=",  # cloud-hypervisor
            r"--vhost-user(-fs\b| (type=)?fs\b)",  # crosvm
        ),
        config_sizes=(40, 44),
    ),
)
