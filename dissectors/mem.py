"""virtio-mem: memory in blocks that the host asks the guest to plug and unplug.

Source: virtio, "Memory Device".
"""

from vutrace.plugin import HEX, SIZE, Device, Evidence, Layer, le16, le64, pad

FEATURES = {
    0: "VIRTIO_MEM_F_ACPI_PXM",
    1: "VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE",
    2: "VIRTIO_MEM_F_PERSISTENT_SUSPEND",
}


class MemConfig(Layer):
    """virtio_mem_config; node_id is there with VIRTIO_MEM_F_ACPI_PXM."""

    name = "mem config"
    fields_desc = [
        le64("block_size", SIZE),
        le16("node_id"),
        pad(6),
        le64("addr", HEX),
        le64("region_size", SIZE),
        le64("usable_region_size", SIZE),
        le64("plugged_size", SIZE),
        le64("requested_size", SIZE),
    ]


def ring_name(index: int, _features: int) -> str:
    """One ring of guest requests."""
    return "guest" if index == 0 else f"q{index}"


DEVICE = Device(
    "mem",
    number=24,
    features=FEATURES,
    config=MemConfig,
    ring_name=ring_name,
    evidence=Evidence(commands=(r"\bvhost-(user|device)-mem\b", r"\bvirtio-id=24\b")),
)
