"""virtio-blk: request queues, its feature bits and configuration space.

Source: virtio, "Block Device".
"""

from collections.abc import Iterator

from vutrace.plugin import (
    SECTORS,
    SIZE,
    Device,
    Evidence,
    Layer,
    Nested,
    bit,
    enum,
    le16,
    le32,
    le64,
    pad,
    u8,
    unit,
)

FEATURES = {
    0: "VIRTIO_BLK_F_BARRIER",
    1: "VIRTIO_BLK_F_SIZE_MAX",
    2: "VIRTIO_BLK_F_SEG_MAX",
    4: "VIRTIO_BLK_F_GEOMETRY",
    5: "VIRTIO_BLK_F_RO",
    6: "VIRTIO_BLK_F_BLK_SIZE",
    7: "VIRTIO_BLK_F_SCSI",
    9: "VIRTIO_BLK_F_FLUSH",
    10: "VIRTIO_BLK_F_TOPOLOGY",
    11: "VIRTIO_BLK_F_CONFIG_WCE",
    12: "VIRTIO_BLK_F_MQ",
    13: "VIRTIO_BLK_F_DISCARD",
    14: "VIRTIO_BLK_F_WRITE_ZEROES",
    15: "VIRTIO_BLK_F_LIFETIME",
    16: "VIRTIO_BLK_F_SECURE_ERASE",
    17: "VIRTIO_BLK_F_ZONED",
}
RO = bit("VIRTIO_BLK_F_RO", FEATURES)
NET_MRG_RXBUF = 1 << 15  # every net back-end offers it


class Geometry(Layer):
    """Cylinders, heads and sectors, where anybody still asks."""

    name = "geometry"
    fields_desc = [le16("cylinders"), u8("heads"), u8("sectors")]


class Zoned(Layer):
    """Characteristics of a zoned device."""

    name = "zoned"
    fields_desc = [
        le32("zone_sectors", SECTORS),
        le32("max_open_zones"),
        le32("max_active_zones"),
        le32("max_append_sectors", SECTORS),
        le32("write_granularity", SIZE),
        u8("model", enum({0: "not zoned", 1: "host-managed", 2: "host-aware"})),
        pad(3, "unused2"),
    ]


class BlkConfig(Layer):
    """virtio_blk_config: a device has it as far as its features reach."""

    name = "blk config"
    glance = ("capacity", "num_queues", "blk_size", "seg_max", "size_max", "max_discard_sectors")
    fields_desc = [
        le64("capacity", SECTORS),
        le32("size_max", SIZE),
        le32("seg_max", unit("segments")),
        Nested("geometry", Geometry),
        le32("blk_size", SIZE),
        u8("physical_block_exp"),
        u8("alignment_offset", unit("blocks")),
        le16("min_io_size", unit("blocks")),
        le32("opt_io_size", unit("blocks")),
        u8("writeback", enum({0: "write-through", 1: "write-back"})),
        pad(1, "unused0"),
        le16("num_queues"),
        le32("max_discard_sectors", SECTORS),
        le32("max_discard_seg", unit("segments")),
        le32("discard_sector_alignment", SECTORS),
        le32("max_write_zeroes_sectors", SECTORS),
        le32("max_write_zeroes_seg", unit("segments")),
        u8("write_zeroes_may_unmap", enum({0: "no", 1: "yes"})),
        pad(3, "unused1"),
        le32("max_secure_erase_sectors", SECTORS),
        le32("max_secure_erase_seg", unit("segments")),
        le32("secure_erase_sector_alignment", SECTORS),
        Nested("zoned", Zoned),
    ]


def ring_name(index: int, _features: int) -> str:
    """Every ring takes requests."""
    return f"req{index}"


def notes(features: int) -> Iterator[str]:
    """What the guest may not do."""
    if features & RO:
        yield "the disk is read-only (VIRTIO_BLK_F_RO)"


DEVICE = Device(
    "blk",
    number=2,
    features=FEATURES,
    config=BlkConfig,
    ring_name=ring_name,
    notes=notes,
    evidence=Evidence(
        # SPDK's vhost serves blk and scsi alike; its features tell which.
        commands=(
            r"\bvhost-user-blk[\w-]*",  # QEMU -device, qemu-storage-daemon --export, QEMU's contrib back-end
            r"--disk\b.*\bvhost_user=(true|on)",  # cloud-hypervisor
            r"--vhost-user(-blk\b| (type=)?block\b)",  # crosvm
        ),
        # QEMU asks for as much as the features reach: 57 bytes with WRITE_ZEROES.
        config_sizes=(48, 57, 60, 72, 96),
        features=bit("VIRTIO_BLK_F_SEG_MAX", FEATURES) | bit("VIRTIO_BLK_F_BLK_SIZE", FEATURES),
        without=NET_MRG_RXBUF,
    ),
)
