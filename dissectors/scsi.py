"""virtio-scsi: a host adapter; requests come behind a control and an event ring.

Source: virtio, "SCSI Host Device".
"""

from vutrace.plugin import SECTORS, SIZE, Device, Evidence, Layer, bit, le16, le32, unit

FEATURES = {
    0: "VIRTIO_SCSI_F_INOUT",
    1: "VIRTIO_SCSI_F_HOTPLUG",
    2: "VIRTIO_SCSI_F_CHANGE",
    3: "VIRTIO_SCSI_F_T10_PI",
}
SPECIAL = ("ctrl", "event")
# SPDK offers these together; of the bits behind scsi's own, blk, net and gpu have some.
SPDK = ("VIRTIO_SCSI_F_INOUT", "VIRTIO_SCSI_F_HOTPLUG", "VIRTIO_SCSI_F_CHANGE")
ANY_LAYOUT, OTHERS = 1 << 27, 0xFFFFF0


class ScsiConfig(Layer):
    """virtio_scsi_config."""

    name = "scsi config"
    fields_desc = [
        le32("num_queues"),
        le32("seg_max", unit("segments")),
        le32("max_sectors", SECTORS),
        le32("cmd_per_lun"),
        le32("event_info_size", SIZE),
        le32("sense_size", SIZE),
        le32("cdb_size", SIZE),
        le16("max_channel"),
        le16("max_target"),
        le32("max_lun"),
    ]


def ring_name(index: int, _features: int) -> str:
    """Task management, asynchronous events, then requests."""
    return SPECIAL[index] if index < len(SPECIAL) else f"req{index - len(SPECIAL)}"


DEVICE = Device(
    "scsi",
    number=8,
    features=FEATURES,
    config=ScsiConfig,
    ring_name=ring_name,
    evidence=Evidence(
        # SPDK's vhost serves blk and scsi alike, so its name tells nothing; its features do.
        commands=(r"\bvhost-(user|device)-scsi\b", r"\bvirtio-id=8\b"),
        features=ANY_LAYOUT | sum(bit(name, FEATURES) for name in SPDK),
        without=OTHERS,
    ),
)
