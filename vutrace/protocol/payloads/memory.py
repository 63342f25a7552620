"""Guest memory: regions, the IOMMU, the dirty log, shared memory regions."""

from vutrace.protocol.layers import Array, Layer, Listed, Nested, pad, u8, u32, u64
from vutrace.protocol.shows import HEX, SIZE, enum, flags

REGION = "{size:size} at gpa {guest_address:address}"
SINGLE_REGION = "{region}, uva {region.user_address:address}"
IOTLB_MISS, IOTLB_UPDATE = 1, 2
IOTLB_TYPES = {
    1: "miss",
    2: "update",
    3: "invalidate",
    4: "access fail",
    5: "batch begin",
    6: "batch end",
}


class MemoryRegion(Layer):
    """A region of guest memory ("Memory region description")."""

    name = "memory region"
    words = REGION
    fields_desc = [
        u64("guest_address", HEX),
        u64("size", SIZE),
        u64("user_address", HEX),
        u64("mmap_offset", HEX),
    ]


class XenMemoryRegion(Layer):
    """A region when XEN_MMAP is negotiated: 40 bytes."""

    name = "Xen memory region"
    words = REGION
    fields_desc = [
        *MemoryRegion.fields_desc,
        u32("xen_mmap_flags", flags({0: "FOREIGN", 1: "GRANT", 8: "NO_ADVANCE_MAP"})),
        u32("domid"),
    ]


class MemoryTable(Layer):
    """The spec's "Multiple memory regions description"; 8 bytes with no region end postcopy's exchange."""

    name = "memory table"
    words = "{regions:table region size}"
    fields_desc = [u32("nregions"), u32("padding"), Listed("regions", MemoryRegion, "nregions")]


class XenMemoryTable(Layer):
    """The memory table when XEN_MMAP is negotiated."""

    name = "Xen memory table"
    words = "{regions:table region size}"
    fields_desc = [u32("nregions"), u32("padding"), Listed("regions", XenMemoryRegion, "nregions")]


class SingleRegion(Layer):
    """The spec's "Single memory region description" (ADD_MEM_REG, REM_MEM_REG)."""

    name = "single memory region"
    words = SINGLE_REGION
    fields_desc = [u64("padding"), Nested("region", MemoryRegion)]


class XenSingleRegion(Layer):
    """A single region when XEN_MMAP is negotiated."""

    name = "single Xen memory region"
    words = SINGLE_REGION
    fields_desc = [u64("padding"), Nested("region", XenMemoryRegion)]


class Log(Layer):
    """The spec's "Log description": the area for dirty page logging."""

    name = "log"
    words = "{mmap_size:size} at offset {mmap_offset:address}"
    fields_desc = [u64("mmap_size", SIZE), u64("mmap_offset", HEX)]


class LogSize(Layer):
    """SET_LOG_BASE's reply from libvhost-user and VPP: the log's size, not a status."""

    name = "log size"
    fields_desc = [u64("log_size", SIZE)]


class Iotlb(Layer):
    """The spec's "An IOTLB message"."""

    name = "IOTLB message"
    words = (
        "{type} iova {iova:address}"
        "[type=2? +{size:size} = uva {user_address:address} {permission}"
        "|[type=3? +{size:size}| {permission}]]"
    )
    fields_desc = [
        u64("iova", HEX),
        u64("size", SIZE),
        u64("user_address", HEX),
        u8("permission", enum({0: "none", 1: "read-only", 2: "write-only", 3: "read-write"})),
        u8("type", enum(IOTLB_TYPES)),
        pad(6),
    ]


class Mmap(Layer):
    """The spec's "MMAP request": a mapping in a shared memory region (SHMEM_MAP, SHMEM_UNMAP)."""

    name = "MMAP request"
    words = (
        "shmid {shmid}: {len:size} at {shm_offset:address}"
        ", fd offset {fd_offset:address}, [flags&1?read-write|read-only]"
    )
    fields_desc = [
        u8("shmid"),
        pad(7),
        u64("fd_offset", HEX),
        u64("shm_offset", HEX),
        u64("len", SIZE),
        u64("flags", flags({0: "RW"})),
    ]


class ShmemConfig(Layer):
    """The spec's "Shared memory region configuration": a size for each of 256 ids."""

    name = "shared memory configuration"
    words = "{memory_sizes:sizes shmid}"
    fields_desc = [u32("num_regions"), u32("padding"), Array("memory_sizes", "Q", 256, SIZE)]


# virtio, "Crypto Device": the opcodes that create sessions, (service << 8) | operation.
