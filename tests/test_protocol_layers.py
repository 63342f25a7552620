"""Every layer is a good scapy layer: it shows itself, builds what it dissects, and can be fuzzed."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.strategies import all_layers, contents, packed
from scapy.packet import fuzz

from vutrace.dissection.decoder import plain
from vutrace.plugin import SECRET, Fixed, Layer, enum, flags, mac, parts, u8, u16, u32, u64
from vutrace.protocol import payloads as p
from vutrace.protocol.layers import in_order, minimum, size_of, title
from vutrace.protocol.payloads import gpu

LAYERS = all_layers()
IDS = [f"{layer.__module__.split('.')[-1]}-{layer.__name__}" for layer in LAYERS]
EVERY_LAYER = pytest.mark.parametrize("layer", LAYERS, ids=IDS)
ORDERS = pytest.mark.parametrize("big_endian", [False, True], ids=["little-endian", "big-endian"])


@ORDERS
@EVERY_LAYER
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_what_is_dissected_builds_the_same_bytes(layer: type[Layer], big_endian: bool, data: Any) -> None:
    payload = packed(layer, data.draw(contents(layer)), big_endian)
    packet = in_order(layer, big_endian)(payload)
    assert bytes(packet) == payload
    packet.clear_cache()
    assert bytes(packet) == payload


@ORDERS
@EVERY_LAYER
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_what_is_built_from_values_dissects_to_them(layer: type[Layer], big_endian: bool, data: Any) -> None:
    values = data.draw(contents(layer))
    built = bytes(assembled(in_order(layer, big_endian), values))
    assert built == packed(layer, values, big_endian)
    if built:
        assert plain(in_order(layer, big_endian)(built)) == values


def assembled(layer: type[Layer], values: dict[str, Any]) -> Layer:
    """A packet with these values, structures inside it as packets."""
    inner = {field.name: getattr(field, "layer", None) for field in layer.fields_desc}
    return layer(**{name: assemble(inner[name], value) for name, value in values.items()})


def assemble(inner: Any, value: Any) -> Any:
    """One value as scapy wants it."""
    if isinstance(value, dict):
        return assembled(inner, value)
    return [assembled(inner, item) for item in value] if inner else value


@EVERY_LAYER
def test_it_shows_itself_empty_and_filled(layer: type[Layer]) -> None:
    empty = layer().show(dump=True)
    assert all(field.name in empty for field in layer.fields_desc)
    filled = layer(b"\xff" * size_of(layer))
    assert filled.show(dump=True)
    assert repr(filled)


@ORDERS
@EVERY_LAYER
def test_it_can_be_fuzzed(layer: type[Layer], big_endian: bool) -> None:
    for _ in range(5):
        built = bytes(fuzz(in_order(layer, big_endian)()))
        assert len(built) >= size_of(layer)


@EVERY_LAYER
def test_the_big_endian_sister_has_the_same_name(layer: type[Layer]) -> None:
    assert title(in_order(layer, True)) == title(layer) != ""


# What compiling the C structures says: offsets of fields, and the size of all.
OFFSETS: dict[type[Layer], tuple[dict[str, int], int]] = {
    p.VringAddr: ({"index": 0, "flags": 4, "descriptor": 8, "used": 16, "available": 24, "log": 32}, 40),
    p.MemoryRegion: ({"guest_address": 0, "size": 8, "user_address": 16, "mmap_offset": 24}, 32),
    p.XenMemoryRegion: ({"xen_mmap_flags": 32, "domid": 36}, 40),
    p.MemoryTable: ({"nregions": 0, "padding": 4, "regions": 8}, 8),
    p.SingleRegion: ({"padding": 0, "region": 8}, 40),
    p.XenSingleRegion: ({"region": 8}, 48),
    p.Log: ({"mmap_size": 0, "mmap_offset": 8}, 16),
    p.Iotlb: ({"iova": 0, "size": 8, "user_address": 16, "permission": 24, "type": 25}, 32),
    p.Config: ({"offset": 0, "size": 4, "flags": 8, "data": 12}, 12),
    p.Area: ({"u64": 0, "size": 8, "offset": 16}, 24),
    p.Inflight: ({"mmap_size": 0, "mmap_offset": 8, "num_queues": 16, "queue_size": 18}, 24),
    p.DeviceState: ({"direction": 0, "phase": 4}, 8),
    p.Mmap: ({"shmid": 0, "fd_offset": 8, "shm_offset": 16, "len": 24, "flags": 32}, 40),
    p.ShmemConfig: ({"num_regions": 0, "padding": 4, "memory_sizes": 8}, 2056),
    p.CryptoSession: (
        {"op_code": 0, "cipher_alg": 8, "auth_key_len": 24, "op_type": 32, "alg_chain_order": 35}
        | {"cipher_key_pointer": 40, "auth_key_pointer": 48, "key": 56, "auth_key": 120}
        | {"session_id": 1064},
        1072,
    ),
    p.AsymmetricCryptoSession: (
        {"op_code": 0, "algo": 8, "keytype": 12, "keylen": 16, "key_pointer": 24, "rsa_padding_algo": 32}
        | {"rsa_hash_algo": 36, "key": 40, "session_id": 1064},
        1072,
    ),
    p.OldCryptoSession: ({"session_id": 0, "cipher_alg": 8, "key": 56, "auth_key": 120}, 632),
    p.GpuMap: (
        {"shm_offset": 8, "len": 16, "memory_idx": 24, "handle_type": 28}
        | {"device_uuid": 32, "driver_uuid": 48},
        64,
    ),
    p.ExternalMap: ({"shm_offset": 8, "len": 16, "ptr": 24}, 32),
    gpu.CursorPos: ({"scanout_id": 0, "x": 4, "y": 8}, 12),
    gpu.CursorUpdate: ({"pos": 0, "hot_x": 12, "hot_y": 16, "data": 20}, 16404),
    gpu.Update: ({"scanout_id": 0, "x": 4, "y": 8, "width": 12, "height": 16, "data": 20}, 20),
    gpu.DmabufScanout: (
        {"width": 12, "height": 16, "fd_width": 20, "fd_height": 24, "fd_stride": 28}
        | {"fd_flags": 32, "fd_drm_fourcc": 36},
        40,
    ),
    gpu.DmabufScanout2: ({"fd_drm_fourcc": 36, "modifiers": 40}, 48),
    gpu.DisplayInfo: ({"type": 0, "fence_id": 8, "ring_idx": 20, "display0": 24, "display15": 384}, 408),
    gpu.Edid: ({"size": 24, "edid": 32}, 1056),
}


@pytest.mark.parametrize("layer", OFFSETS, ids=lambda layer: layer.__name__)
def test_fields_lie_where_the_c_structures_have_them(layer: type[Layer]) -> None:
    expected, size = OFFSETS[layer]
    found, at = {}, 0
    for field in layer.fields_desc:
        found[field.name] = at
        at += minimum(field)
    assert {name: found[name] for name in expected} == expected
    assert at == size == size_of(layer)


class Everything(Layer):
    fields_desc = [
        u64("mask", flags({0: "FIRST", 3: "FOURTH"})),
        u8("kind", enum({2: "second"})),
        u16("word", parts(index=0xFF, nofd=0x100)),
        mac(),
        Fixed("key", 4, SECRET),
        u32("count"),
    ]


def test_scapys_own_repr_shows_meaning() -> None:
    packet = Everything(mask=9, kind=2, word=0x103, mac=bytes.fromhex("525400123456"), key=b"abcd", count=7)
    text = repr(packet)
    assert "mask=0x9 FIRST+FOURTH" in text
    assert "kind=second" in text
    assert "word=index 3, nofd 1" in text
    assert "mac=52:54:00:12:34:56" in text
    assert "count=7" in text
    assert "abcd" not in text


def test_short_bytes_leave_the_fields_that_are_whole() -> None:
    region = p.MemoryRegion(bytes(20))
    assert list(region.fields) == ["guest_address", "size"]
    table = p.MemoryTable(b"\3" + bytes(7) + bytes(40))
    assert len(table.regions) == 1
