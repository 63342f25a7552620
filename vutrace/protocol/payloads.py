"""The payloads of the main channel and the back-end channel, one scapy layer per structure.

Field names are those of the spec's structures (vhost-user.rst, "Message Specification" and its
payload sections). Where implementations lay a payload out in more than one way, each way is a layer
and the message's row lists them.
"""

from typing import Any

from scapy.fields import Field

from vutrace.protocol.bits import DEVICE_STATUS, PROTOCOL_FEATURES
from vutrace.protocol.layers import (
    Array,
    Fixed,
    Layer,
    Listed,
    Nested,
    Tail,
    i64,
    pad,
    u8,
    u16,
    u32,
    u64,
)
from vutrace.protocol.shows import (
    ACK,
    BYTES,
    CONFIG,
    FEATURES,
    HEX,
    MAC,
    RING,
    SECRET,
    SIZE,
    UUID,
    VRING_BASE,
    enum,
    flags,
    parts,
)

IOTLB_TYPES = {
    1: "miss",
    2: "update",
    3: "invalidate",
    4: "access fail",
    5: "batch begin",
    6: "batch end",
}
RING_WITH_FD = parts(index=0xFF, nofd=0x100)


class U64(Layer):
    """A u64 without a further meaning."""

    name = "u64"
    fields_desc = [u64("u64")]


class Ack(Layer):
    """The generic acknowledgement: 0 for success ("VHOST_USER_PROTOCOL_F_REPLY_ACK")."""

    name = "acknowledgement"
    fields_desc = [u64("status", ACK)]


class Features(Layer):
    """Virtio feature bits with the vhost ones (GET_FEATURES, SET_FEATURES)."""

    name = "features"
    fields_desc = [u64("features", FEATURES)]


class ProtocolFeatures(Layer):
    """Protocol feature bits (GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES)."""

    name = "protocol features"
    fields_desc = [u64("protocol_features", flags(PROTOCOL_FEATURES))]


class Status(Layer):
    """Virtio device status (SET_STATUS, GET_STATUS)."""

    name = "device status"
    fields_desc = [u64("status", flags(DEVICE_STATUS))]


class QueueNum(Layer):
    """How many queues the back-end supports: pairs for net, rings for the others."""

    name = "queue number"
    fields_desc = [u64("queue_num")]


class MemSlots(Layer):
    """How many memory regions the back-end accepts."""

    name = "memory slots"
    fields_desc = [u64("max_mem_slots")]


class Mtu(Layer):
    """NET_SET_MTU's payload."""

    name = "MTU"
    fields_desc = [u64("mtu")]


class Rarp(Layer):
    """SEND_RARP's payload: a u64 whose first six bytes are the address to announce."""

    name = "RARP"
    fields_desc = [Fixed("mac", 6, MAC), pad(2)]


class VringState(Layer):
    """A ring index and a number ("A vring state description")."""

    name = "vring state"
    fields_desc = [u32("index", RING), u32("num")]


class VringBase(Layer):
    """A ring index and its next available index ("A vring descriptor index…")."""

    name = "vring base"
    fields_desc = [u32("index", RING), u32("num", VRING_BASE)]


class VringEnable(Layer):
    """SET_VRING_ENABLE's payload: num is 1 or 0."""

    name = "vring enable"
    fields_desc = [u32("index", RING), u32("num", enum({0: "disable", 1: "enable"}))]


class VringEndian(Layer):
    """SET_VRING_ENDIAN's payload."""

    name = "vring endianness"
    fields_desc = [u32("index", RING), u32("num", enum({0: "little-endian", 1: "big-endian"}))]


class VringFd(Layer):
    """A ring index in bits 0-7, and bit 8 when no descriptor comes along (KICK, CALL, ERR)."""

    name = "vring fd"
    fields_desc = [u64("u64", RING_WITH_FD)]


class VringAddr(Layer):
    """Where a ring lies ("A vring address description"); `used` comes before `available`."""

    name = "vring address"
    fields_desc = [
        u32("index", RING),
        u32("flags", flags({0: "VHOST_VRING_F_LOG"})),
        u64("descriptor", HEX),
        u64("used", HEX),
        u64("available", HEX),
        u64("log", HEX),
    ]


class MemoryRegion(Layer):
    """A region of guest memory ("Memory region description")."""

    name = "memory region"
    fields_desc = [
        u64("guest_address", HEX),
        u64("size", SIZE),
        u64("user_address", HEX),
        u64("mmap_offset", HEX),
    ]


class XenMemoryRegion(Layer):
    """A region when XEN_MMAP is negotiated: 40 bytes."""

    name = "Xen memory region"
    fields_desc = [
        *MemoryRegion.fields_desc,
        u32("xen_mmap_flags", flags({0: "FOREIGN", 1: "GRANT", 8: "NO_ADVANCE_MAP"})),
        u32("domid"),
    ]


class MemoryTable(Layer):
    """ "Multiple memory regions description"; 8 bytes with no region end postcopy's exchange."""

    name = "memory table"
    fields_desc = [u32("nregions"), u32("padding"), Listed("regions", MemoryRegion, "nregions")]


class XenMemoryTable(Layer):
    """The memory table when XEN_MMAP is negotiated."""

    name = "Xen memory table"
    fields_desc = [u32("nregions"), u32("padding"), Listed("regions", XenMemoryRegion, "nregions")]


class SingleRegion(Layer):
    """ "Single memory region description" (ADD_MEM_REG, REM_MEM_REG)."""

    name = "single memory region"
    fields_desc = [u64("padding"), Nested("region", MemoryRegion)]


class XenSingleRegion(Layer):
    """A single region when XEN_MMAP is negotiated."""

    name = "single Xen memory region"
    fields_desc = [u64("padding"), Nested("region", XenMemoryRegion)]


class Log(Layer):
    """ "Log description": the area for dirty page logging."""

    name = "log"
    fields_desc = [u64("mmap_size", SIZE), u64("mmap_offset", HEX)]


class LogSize(Layer):
    """SET_LOG_BASE's reply from libvhost-user and VPP: the log's size, not a status."""

    name = "log size"
    fields_desc = [u64("log_size", SIZE)]


class Iotlb(Layer):
    """ "An IOTLB message"."""

    name = "IOTLB message"
    fields_desc = [
        u64("iova", HEX),
        u64("size", SIZE),
        u64("user_address", HEX),
        u8("permission", enum({0: "none", 1: "read-only", 2: "write-only", 3: "read-write"})),
        u8("type", enum(IOTLB_TYPES)),
        pad(6),
    ]


class Config(Layer):
    """ "Virtio device config space"; the device's dissector reads `data`."""

    name = "config space"
    fields_desc = [
        u32("offset"),
        u32("size"),
        u32("flags", enum({0: "guest write", 1: "live migration", 2: "live migration (rust-vmm)"})),
        Tail("data", CONFIG),
    ]


class Area(Layer):
    """ "Vring area description": where a ring's doorbell can be mapped."""

    name = "vring area"
    fields_desc = [u64("u64", RING_WITH_FD), u64("size", SIZE), u64("offset", HEX)]


class Inflight(Layer):
    """ "Inflight description"; 24 bytes on every known wire, 4 of them tail padding."""

    name = "inflight"
    fields_desc = [
        u64("mmap_size", SIZE),
        u64("mmap_offset", HEX),
        u16("num_queues"),
        u16("queue_size"),
        pad(4),
    ]


class Uuid(Layer):
    """ "VhostUserShared": the UUID of a shared object."""

    name = "shared object"
    fields_desc = [Fixed("uuid", 16, UUID)]


class DeviceState(Layer):
    """ "Device state transfer parameters"."""

    name = "device state transfer"
    fields_desc = [
        u32("direction", enum({0: "save", 1: "load"})),
        u32("phase", enum({0: "stopped"})),
    ]


class DeviceStateReply(Layer):
    """SET_DEVICE_STATE_FD's reply: an error number, and bit 8 when no descriptor comes along."""

    name = "device state reply"
    fields_desc = [u64("u64", parts(error=0xFF, nofd=0x100))]


class Mmap(Layer):
    """ "MMAP request": a mapping in a shared memory region (SHMEM_MAP, SHMEM_UNMAP)."""

    name = "MMAP request"
    fields_desc = [
        u8("shmid"),
        pad(7),
        u64("fd_offset", HEX),
        u64("shm_offset", HEX),
        u64("len", SIZE),
        u64("flags", flags({0: "RW"})),
    ]


class ShmemConfig(Layer):
    """ "Shared memory region configuration": a size for each of 256 ids."""

    name = "shared memory configuration"
    fields_desc = [u32("num_regions"), u32("padding"), Array("memory_sizes", "Q", 256, SIZE)]


# virtio, "Crypto Device": the opcodes that create sessions, (service << 8) | operation.
CRYPTO_OPERATIONS = {
    0x002: "CIPHER_CREATE_SESSION",
    0x102: "HASH_CREATE_SESSION",
    0x202: "MAC_CREATE_SESSION",
    0x302: "AEAD_CREATE_SESSION",
    0x404: "AKCIPHER_CREATE_SESSION",
}

SYMMETRIC: list[Field[Any, Any]] = [
    u32("cipher_alg"),
    u32("key_len"),
    u32("hash_alg"),
    u32("hash_result_len"),
    u32("auth_key_len"),
    u32("add_len"),
    u8("op_type", enum({0: "none", 1: "cipher", 2: "algorithm chaining"})),
    u8("direction", enum({1: "encrypt", 2: "decrypt"})),
    u8("hash_mode"),
    u8("alg_chain_order"),
    pad(4),
    u64("cipher_key_pointer", SECRET),
    u64("auth_key_pointer", SECRET),
    Fixed("key", 64, SECRET),
    Fixed("auth_key", 512, SECRET),
]


class CryptoSession(Layer):
    """A crypto session as QEMU 8.1 and later and DPDK lay it out (1072 bytes)."""

    name = "crypto session"
    fields_desc = [
        u64("op_code", enum(CRYPTO_OPERATIONS)),
        *SYMMETRIC,
        Fixed("asymmetric", 432, SECRET),
        i64("session_id"),
    ]


class AsymmetricCryptoSession(Layer):
    """The same 1072 bytes for an asymmetric cipher: op_code is VIRTIO_CRYPTO_AKCIPHER_CREATE_SESSION."""

    name = "asymmetric crypto session"
    marks = ("op_code", frozenset([0x404]))
    fields_desc = [
        u64("op_code", enum(CRYPTO_OPERATIONS)),
        u32("algo"),
        u32("keytype", enum({1: "public", 2: "private"})),
        u32("keylen"),
        pad(4),
        u64("key_pointer", SECRET),
        u32("rsa_padding_algo", enum({0: "raw", 1: "PKCS1"})),
        u32("rsa_hash_algo"),
        Fixed("key", 1024, SECRET),
        i64("session_id"),
    ]


class OldCryptoSession(Layer):
    """A crypto session up to QEMU 8.0 (632 bytes)."""

    name = "crypto session (QEMU before 8.1)"
    fields_desc = [i64("session_id"), *SYMMETRIC]


class CryptoSessionId(Layer):
    """CLOSE_CRYPTO_SESSION's payload."""

    name = "crypto session id"
    fields_desc = [u64("session_id")]


class GpuMap(Layer):
    """crosvm's GPU_MAP (1006)."""

    name = "GPU map"
    fields_desc = [
        u8("shmid"),
        pad(7),
        u64("shm_offset", HEX),
        u64("len", SIZE),
        u32("memory_idx"),
        u32("handle_type"),
        Fixed("device_uuid", 16, UUID),
        Fixed("driver_uuid", 16, UUID),
    ]


class ExternalMap(Layer):
    """crosvm's EXTERNAL_MAP (1007)."""

    name = "external map"
    fields_desc = [
        u8("shmid"),
        pad(7),
        u64("shm_offset", HEX),
        u64("len", SIZE),
        u64("ptr", SECRET),
    ]


class Blob(Layer):
    """Bytes that no table describes."""

    name = "data"
    fields_desc = [Tail("data", BYTES)]
