"""Bit tables: protocol features, generic virtio features, device status, GPU protocol features.

Three bit spaces travel in u64 payloads and must not be mixed; device-specific virtio bits belong to
the devices (see the dissectors).
"""

from collections.abc import Iterator, Mapping

Bits = Mapping[int, str]

# vhost-user.rst, "Protocol features"; aliases are older names of the same bit.
PROTOCOL_FEATURES: Bits = {
    0: "MQ",
    1: "LOG_SHMFD",
    2: "RARP",
    3: "REPLY_ACK",
    4: "MTU",
    5: "BACKEND_REQ",
    6: "CROSS_ENDIAN",
    7: "CRYPTO_SESSION",
    8: "PAGEFAULT",
    9: "CONFIG",
    10: "BACKEND_SEND_FD",
    11: "HOST_NOTIFIER",
    12: "INFLIGHT_SHMFD",
    13: "RESET_DEVICE",
    14: "INBAND_NOTIFICATIONS",
    15: "CONFIGURE_MEM_SLOTS",
    16: "STATUS",
    17: "XEN_MMAP",
    18: "SHARED_OBJECT",
    19: "DEVICE_STATE",
    20: "GET_VRING_BASE_INFLIGHT",
    21: "GPA_ADDRESSES",
    22: "SHMEM",
    23: "GET_VRING_BASE_SKIP_DRAIN",
}

PROTOCOL_FEATURE_ALIASES: Mapping[int, tuple[str, ...]] = {
    4: ("NET_MTU",),
    5: ("SLAVE_REQ",),
    10: ("SLAVE_SEND_FD",),
    # QEMU's SHARED_OBJECT was 17, too, until it moved to 18.
    17: ("SHARED_OBJECT in older QEMU",),
    # rust-vmm's vhost up to 0.16 has SHMEM at bit 21; upstream gave 21 away and SHMEM 22.
    21: ("SHMEM in rust-vmm <= 0.16",),
    22: ("SHMEM_MAP",),
}

# virtio, "Reserved Feature Bits", and the two that only vhost and vhost-user have.
VIRTIO_FEATURES: Bits = {
    24: "VIRTIO_F_NOTIFY_ON_EMPTY",
    26: "VHOST_F_LOG_ALL",
    27: "VIRTIO_F_ANY_LAYOUT",
    28: "VIRTIO_F_INDIRECT_DESC",
    29: "VIRTIO_F_EVENT_IDX",
    30: "VHOST_USER_F_PROTOCOL_FEATURES",
    32: "VIRTIO_F_VERSION_1",
    33: "VIRTIO_F_ACCESS_PLATFORM",
    34: "VIRTIO_F_RING_PACKED",
    35: "VIRTIO_F_IN_ORDER",
    36: "VIRTIO_F_ORDER_PLATFORM",
    37: "VIRTIO_F_SR_IOV",
    38: "VIRTIO_F_NOTIFICATION_DATA",
    39: "VIRTIO_F_NOTIF_CONFIG_DATA",
    40: "VIRTIO_F_RING_RESET",
    41: "VIRTIO_F_ADMIN_VQ",
    43: "VIRTIO_F_SUSPEND",
}

VIRTIO_FEATURE_ALIASES: Mapping[int, tuple[str, ...]] = {
    27: ("VHOST_NET_F_VIRTIO_NET_HDR",),
    28: ("VIRTIO_RING_F_INDIRECT_DESC",),
    29: ("VIRTIO_RING_F_EVENT_IDX",),
    30: ("VIRTIO_F_BAD_FEATURE", "VIRTIO_F_UNUSED"),
    33: ("VIRTIO_F_IOMMU_PLATFORM",),
}

# virtio, "Legacy Interface: Reserved Feature Bits": only drivers from before virtio 1.0 use them.
LEGACY_FEATURES = frozenset({24, 27})

# virtio, "Device Status Field"
DEVICE_STATUS: Bits = {
    0: "ACKNOWLEDGE",
    1: "DRIVER",
    2: "DRIVER_OK",
    3: "FEATURES_OK",
    4: "SUSPEND",
    6: "DEVICE_NEEDS_RESET",
    7: "FAILED",
}

# vhost-user-gpu.rst, "Protocol features"
GPU_PROTOCOL_FEATURES: Bits = {0: "EDID", 1: "DMABUF2"}


def bit_numbers(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set, from the lowest; a negative mask is a word of 64 bits."""
    if mask < 0:
        mask &= 2**64 - 1
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


def bit_names(mask: int, *tables: Bits) -> list[str]:
    """The names of the bits in `mask`, in bit order; the first table that knows a bit names it."""
    return [next((table[bit] for table in tables if bit in table), f"bit {bit}") for bit in bit_numbers(mask)]


def bit(name: str, table: Bits) -> int:
    """The mask of the bit called `name`; KeyError when the table has none."""
    for number, known in table.items():
        if known == name:
            return 1 << number
    raise KeyError(name)
