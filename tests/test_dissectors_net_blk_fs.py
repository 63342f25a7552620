"""The dissectors of net, blk and fs: bits, rings, configuration space, and what the features imply."""

import ast
import struct
from pathlib import Path

import pytest
import vutrace_dissectors

from vutrace.dissection.compiler import compile_layer
from vutrace.dissection.device import Device
from vutrace.dissection.registry import load
from vutrace.protocol.bits import VIRTIO_FEATURES, bit
from vutrace.protocol.layers import minimum, size_of

NET, BLK, FS = (load().device(name) for name in ("net", "blk", "fs"))
MRG_RXBUF = bit("VIRTIO_NET_F_MRG_RXBUF", NET.features)
HASH_REPORT = bit("VIRTIO_NET_F_HASH_REPORT", NET.features)
VERSION_1 = bit("VIRTIO_F_VERSION_1", VIRTIO_FEATURES)
NOTIFICATION = 1

NET_BITS = """
0 CSUM 1 GUEST_CSUM 2 CTRL_GUEST_OFFLOADS 3 MTU 5 MAC 6 GSO 7 GUEST_TSO4 8 GUEST_TSO6 9 GUEST_ECN
10 GUEST_UFO 11 HOST_TSO4 12 HOST_TSO6 13 HOST_ECN 14 HOST_UFO 15 MRG_RXBUF 16 STATUS 17 CTRL_VQ 18 CTRL_RX
19 CTRL_VLAN 20 CTRL_RX_EXTRA 21 GUEST_ANNOUNCE 22 MQ 23 CTRL_MAC_ADDR 41 GUEST_RSC4 42 GUEST_RSC6
50 DEVICE_STATS 51 HASH_TUNNEL 52 VQ_NOTF_COAL 53 NOTF_COAL 54 GUEST_USO4 55 GUEST_USO6 56 HOST_USO
57 HASH_REPORT 59 GUEST_HDRLEN 60 RSS 61 RSC_EXT 62 STANDBY 63 SPEED_DUPLEX"""
BLK_BITS = """
0 BARRIER 1 SIZE_MAX 2 SEG_MAX 4 GEOMETRY 5 RO 6 BLK_SIZE 7 SCSI 9 FLUSH 10 TOPOLOGY 11 CONFIG_WCE
12 MQ 13 DISCARD 14 WRITE_ZEROES 15 LIFETIME 16 SECURE_ERASE 17 ZONED"""


def test_dissectors_use_only_the_public_api() -> None:
    for file in Path(vutrace_dissectors.__file__).parent.glob("*.py"):
        imports = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
        ours = {node.module for node in imports if (node.module or "").startswith("vutrace")}
        assert ours <= {"vutrace.plugin"}, file.name


@pytest.mark.parametrize(
    ("device", "prefix", "listed"),
    [
        (NET, "VIRTIO_NET_F_", NET_BITS),
        (BLK, "VIRTIO_BLK_F_", BLK_BITS),
        (FS, "VIRTIO_FS_F_", "0 NOTIFICATION"),
    ],
)
def test_feature_bits_have_their_full_names(device: Device, prefix: str, listed: str) -> None:
    words = listed.split()
    expected = {int(number): prefix + name for number, name in zip(words[::2], words[1::2], strict=True)}
    assert dict(device.features) == expected


@pytest.mark.parametrize(
    ("device", "features", "names"),
    [
        (NET, 0, ["rx0", "tx0", "rx1", "tx1"]),
        (BLK, 0, ["req0", "req1", "req2", "req3"]),
        (FS, 0, ["hiprio", "req0", "req1", "req2"]),
        (FS, NOTIFICATION, ["hiprio", "notify", "req0", "req1"]),
    ],
)
def test_rings_have_short_names(device: Device, features: int, names: list[str]) -> None:
    assert [device.ring_name(index, features) for index in range(4)] == names


def test_the_ring_behind_nets_pairs_is_the_control_queue() -> None:
    assert NET.name_of_ring(8, 0, queues=4) == "ctrl"
    assert NET.name_of_ring(8, 0) == "rx4"


@pytest.mark.parametrize(
    ("features", "length", "why"),
    [
        (0, 10, "neither"),
        (MRG_RXBUF, 12, "VIRTIO_NET_F_MRG_RXBUF"),
        (VERSION_1, 12, "VIRTIO_F_VERSION_1"),
        (VERSION_1 | MRG_RXBUF, 12, "VIRTIO_F_VERSION_1"),
        (VERSION_1 | HASH_REPORT, 20, "VIRTIO_NET_F_HASH_REPORT"),
    ],
)
def test_the_features_imply_the_length_of_nets_header(features: int, length: int, why: str) -> None:
    (note,) = NET.notes(features)
    assert note.startswith(f"virtio-net header: {length} bytes ({why}")


OFFSETS = {
    "net": {"mac": 0, "status": 6, "max_virtqueue_pairs": 8, "mtu": 10, "speed": 12, "duplex": 16}
    | {"rss_max_key_size": 17, "rss_max_indirection_table_length": 18, "supported_hash_types": 20}
    | {"supported_tunnel_types": 24},
    "blk": {"capacity": 0, "size_max": 8, "seg_max": 12, "geometry": 16, "blk_size": 20}
    | {"physical_block_exp": 24, "alignment_offset": 25, "min_io_size": 26, "opt_io_size": 28}
    | {"writeback": 32, "num_queues": 34, "max_discard_sectors": 36, "max_discard_seg": 40}
    | {"discard_sector_alignment": 44, "max_write_zeroes_sectors": 48, "max_write_zeroes_seg": 52}
    | {"write_zeroes_may_unmap": 56, "max_secure_erase_sectors": 60, "max_secure_erase_seg": 64}
    | {"secure_erase_sector_alignment": 68, "zoned": 72},
    "fs": {"tag": 0, "num_request_queues": 36, "notify_buf_size": 40},
}
SIZES = {"net": 28, "blk": 96, "fs": 44}


@pytest.mark.parametrize("device", [NET, BLK, FS], ids=lambda device: device.name)
def test_configuration_fields_lie_where_the_headers_have_them(device: Device) -> None:
    assert device.config
    found, at = {}, 0
    for field in device.config.fields_desc:
        found[field.name] = at
        at += minimum(field)
    assert {name: found[name] for name in OFFSETS[device.name]} == OFFSETS[device.name]
    assert size_of(device.config) == SIZES[device.name]


@pytest.mark.parametrize("big_endian", [False, True])
def test_configuration_space_is_little_endian_on_every_host(big_endian: bool) -> None:
    assert BLK.config
    fields, _ = compile_layer(BLK.config, big_endian)(struct.pack("<Q", 2048) + bytes(52))
    assert fields["capacity"] == 2048


def test_fields_beyond_a_shorter_configuration_space_are_absent() -> None:
    assert BLK.config
    assert FS.config
    assert NET.config
    assert "zoned" not in compile_layer(BLK.config)(bytes(60))[0]
    assert list(compile_layer(BLK.config)(bytes(60))[0])[-1] == "unused1"
    assert "notify_buf_size" not in compile_layer(FS.config)(bytes(40))[0]
    assert list(compile_layer(NET.config)(bytes(8))[0]) == ["mac", "status"]


def test_scapy_shows_a_configuration_with_its_units() -> None:
    assert BLK.config
    assert NET.config
    assert "2048 sectors" in repr(BLK.config(capacity=2048))
    net = NET.config(mac=bytes.fromhex("525400123456"), status=1, speed=10000, duplex=1)
    for text in ("52:54:00:12:34:56", "LINK_UP", "10000 Mb/s", "full"):
        assert text in repr(net)
