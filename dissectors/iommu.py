"""virtio-iommu: translations that the guest asks for.

Source: virtio, "IOMMU Device".
"""

from vutrace.plugin import HEX, SIZE, Device, Evidence, Layer, enum, le32, le64, pad, u8

FEATURES = {
    0: "VIRTIO_IOMMU_F_INPUT_RANGE",
    1: "VIRTIO_IOMMU_F_DOMAIN_RANGE",
    2: "VIRTIO_IOMMU_F_MAP_UNMAP",
    3: "VIRTIO_IOMMU_F_BYPASS",
    4: "VIRTIO_IOMMU_F_PROBE",
    5: "VIRTIO_IOMMU_F_MMIO",
    6: "VIRTIO_IOMMU_F_BYPASS_CONFIG",
}
RINGS = {0: "req", 1: "event"}


class IommuConfig(Layer):
    """virtio_iommu_config; both ends of a range belong to it."""

    name = "iommu config"
    fields_desc = [
        le64("page_size_mask", HEX),
        le64("input_range_start", HEX),
        le64("input_range_end", HEX),
        le32("domain_range_start"),
        le32("domain_range_end"),
        le32("probe_size", SIZE),
        u8("bypass", enum({0: "no", 1: "yes"})),
        pad(3, "reserved"),
    ]


def ring_name(index: int, _features: int) -> str:
    """Requests, and faults."""
    return RINGS.get(index, f"q{index}")


DEVICE = Device(
    "iommu",
    number=23,
    features=FEATURES,
    config=IommuConfig,
    ring_name=ring_name,
    evidence=Evidence(commands=(r"\bvhost-(user|device)-iommu\b", r"\bvirtio-id=23\b")),
)
