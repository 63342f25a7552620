"""virtio-blk: request queues, its feature bits and configuration space.

Source: virtio, "Block Device".
"""

from collections.abc import Iterator

from vutrace.plugin import (
    SECTORS,
    SIZE,
    Check,
    Device,
    Evidence,
    History,
    Layer,
    Nested,
    Once,
    RingEffect,
    Row,
    Rule,
    Severity,
    answers,
    asks,
    bit,
    enum,
    le16,
    le32,
    le64,
    number,
    pad,
    space_of,
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
SEG_MAX = bit("VIRTIO_BLK_F_SEG_MAX", FEATURES)
BLK_SIZE = bit("VIRTIO_BLK_F_BLK_SIZE", FEATURES)
SECTOR = 512
BESIDES = 2  # a request's header and its status
WRITABLE = (32, 1)  # writeback
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


def capacity(row: Row, _seen: History) -> Iterator[str]:
    """A disk without a sector."""
    if space_of(row).get("capacity") == 0:
        yield "the disk has no sectors"


def block_size(row: Row, _seen: History) -> Iterator[str]:
    """Blocks that nobody can use."""
    size = space_of(row).get("blk_size")
    offered = (row.context.offered or 0) & BLK_SIZE
    if offered and isinstance(size, int) and (size < SECTOR or size & (size - 1)):
        yield f"blocks of {size} bytes"


def segments(row: Row, seen: History) -> Iterator[str]:
    """Requests that are longer than the ring."""
    most = seen.config.get("seg_max")
    ring = row.state.rings.by_index.get(-1 if row.ring is None else row.ring)
    if not (row.context.has_feature(SEG_MAX) and isinstance(most, int) and ring and ring.size):
        return
    if most + BESIDES > ring.size:
        yield f"seg_max {most} and two descriptors more do not fit into a ring of {ring.size}"


def read_only_write(row: Row, _seen: History) -> Iterator[str]:
    """The guest may write one byte of all."""
    if number(row, "flags") == 0 and (number(row, "offset"), number(row, "size")) != WRITABLE:
        yield f"{number(row, 'size')} bytes at {number(row, 'offset')}: only writeback, byte 32, is writable"


CHECKS = (
    Check(
        Rule(
            "device.blk-no-capacity",
            Severity.WARNING,
            "virtio, Block Device",
            "The guest sees a disk of no size.",
            "Look at the file or device that the back-end was given.",
        ),
        answers(request="Config", reply="Config"),
        capacity,
        anytime=True,
    ),
    Check(
        Rule(
            "device.blk-block-size",
            Severity.WARNING,
            "virtio, Block Device",
            "Guests refuse the disk, or do not find its partitions.",
            "The block size is a power of two, of 512 or more.",
        ),
        answers(request="Config", reply="Config"),
        block_size,
    ),
    Check(
        Rule(
            "device.blk-segments",
            Severity.INFO,
            "virtio, Block Device",
            "A request of so many segments needs an indirect table; a guest without those waits for ever.",
            "Make the ring longer (QEMU: queue-size=256), or seg_max smaller.",
        ),
        asks(effect=RingEffect.KICK),
        segments,
        once=Once.SESSION,
    ),
    Check(
        Rule(
            "device.blk-read-only",
            Severity.WARNING,
            "VHOST_USER_SET_CONFIG",
            "A back-end must refuse it: nothing else of a disk's configuration is the guest's to write.",
            "Look at the driver; for a migration the front-end sets the flags to 1.",
        ),
        asks(request="Config", reply=()),
        read_only_write,
        anytime=True,
    ),
)

DEVICE = Device(
    "blk",
    number=2,
    features=FEATURES,
    legacy=frozenset({0, 7}),  # BARRIER, SCSI
    config=BlkConfig,
    ring_name=ring_name,
    notes=notes,
    checks=CHECKS,
    evidence=Evidence(
        # SPDK's vhost serves blk and scsi alike; its features tell which.
        commands=(
            r"\bvhost-user-blk[\w-]*",  # QEMU -device, qemu-storage-daemon --export, QEMU's contrib back-end
            r"--disk\b.*\bvhost_user=(true|on)",  # cloud-hypervisor
            r"--vhost-user(-blk\b| (type=)?block\b)",  # crosvm
        ),
        # QEMU asks for as much as the features reach: 57 bytes with WRITE_ZEROES, 36 with neither that nor
        # DISCARD (as long as scsi's, which nobody asks for in that length).
        config_sizes=(36, 48, 57, 60, 72, 96),
        features=bit("VIRTIO_BLK_F_SEG_MAX", FEATURES) | bit("VIRTIO_BLK_F_BLK_SIZE", FEATURES),
        without=NET_MRG_RXBUF,
    ),
)
