"""Bit tables against lists of their own."""

import pytest

from vutrace.protocol.bits import (
    DEVICE_STATUS,
    GPU_PROTOCOL_FEATURES,
    PROTOCOL_FEATURE_ALIASES,
    PROTOCOL_FEATURES,
    VIRTIO_FEATURE_ALIASES,
    VIRTIO_FEATURES,
    Bits,
    bit,
    bit_names,
    bit_numbers,
)
from vutrace.protocol.messages import TABLES

PROTOCOL = """MQ LOG_SHMFD RARP REPLY_ACK MTU BACKEND_REQ CROSS_ENDIAN CRYPTO_SESSION PAGEFAULT CONFIG
BACKEND_SEND_FD HOST_NOTIFIER INFLIGHT_SHMFD RESET_DEVICE INBAND_NOTIFICATIONS CONFIGURE_MEM_SLOTS STATUS
XEN_MMAP SHARED_OBJECT DEVICE_STATE GET_VRING_BASE_INFLIGHT GPA_ADDRESSES SHMEM
GET_VRING_BASE_SKIP_DRAIN"""
GENERIC = """24 NOTIFY_ON_EMPTY 26 LOG_ALL 27 ANY_LAYOUT 28 INDIRECT_DESC 29 EVENT_IDX 30 PROTOCOL_FEATURES
32 VERSION_1 33 ACCESS_PLATFORM 34 RING_PACKED 35 IN_ORDER 36 ORDER_PLATFORM 37 SR_IOV 38 NOTIFICATION_DATA
39 NOTIF_CONFIG_DATA 40 RING_RESET 41 ADMIN_VQ 43 SUSPEND"""
STATUS = {0x01: "ACKNOWLEDGE", 0x02: "DRIVER", 0x04: "DRIVER_OK", 0x08: "FEATURES_OK", 0x10: "SUSPEND"} | {
    0x40: "DEVICE_NEEDS_RESET",
    0x80: "FAILED",
}


def test_protocol_features_are_the_specs_bits_0_to_23() -> None:
    assert dict(PROTOCOL_FEATURES) == dict(enumerate(PROTOCOL.split()))


def test_generic_virtio_features() -> None:
    words = GENERIC.split()
    listed = dict(zip(map(int, words[::2]), words[1::2], strict=True))
    prefixes = {26: "VHOST_F_", 30: "VHOST_USER_F_"}
    expected = {number: prefixes.get(number, "VIRTIO_F_") + name for number, name in listed.items()}
    assert dict(VIRTIO_FEATURES) == expected


def test_device_status_and_the_gpu_channels_features() -> None:
    assert {1 << number: name for number, name in DEVICE_STATUS.items()} == STATUS
    assert dict(GPU_PROTOCOL_FEATURES) == {0: "EDID", 1: "DMABUF2"}


@pytest.mark.parametrize(
    ("mask", "names"),
    [
        (0, []),
        (0x2008, ["REPLY_ACK", "RESET_DEVICE"]),
        (1 << 60, ["bit 60"]),
        (1 << 63 | 1, ["MQ", "bit 63"]),
    ],
)
def test_a_mask_is_named_bit_by_bit(mask: int, names: list[str]) -> None:
    assert bit_names(mask, PROTOCOL_FEATURES) == names
    assert sum(1 << number for number in bit_numbers(mask)) == mask


def test_the_first_table_that_knows_a_bit_names_it() -> None:
    own: Bits = {41: "VIRTIO_NET_F_GUEST_RSC4"}
    assert bit_names(1 << 41, own, VIRTIO_FEATURES) == ["VIRTIO_NET_F_GUEST_RSC4"]


def test_a_bit_by_name() -> None:
    assert bit("REPLY_ACK", PROTOCOL_FEATURES) == 8
    with pytest.raises(KeyError):
        bit("NO_SUCH_FEATURE", PROTOCOL_FEATURES)


def test_older_names_belong_to_bits_that_exist() -> None:
    assert PROTOCOL_FEATURE_ALIASES.keys() <= PROTOCOL_FEATURES.keys()
    assert VIRTIO_FEATURE_ALIASES.keys() <= VIRTIO_FEATURES.keys()
    assert "rust-vmm" in PROTOCOL_FEATURE_ALIASES[21][0]


def test_every_gate_is_a_feature() -> None:
    known = {*PROTOCOL_FEATURES.values(), *VIRTIO_FEATURES.values(), *GPU_PROTOCOL_FEATURES.values()}
    gates = {spec.gate for rows in TABLES.values() for spec in rows.values()}
    assert gates - known == {""}
