"""Golden bytes: what each message looks like on a little-endian host, and what its fields are."""

from typing import Any

import pytest

from vutrace.dissection.dissector import Dissector
from vutrace.protocol.layers import in_order
from vutrace.protocol.messages import TABLES, layers_of
from vutrace.protocol.wire import sender_of
from vutrace.records import Channel, FdInfo, FdKind, Frame

MAIN, BACKEND = Channel.MAIN, Channel.BACKEND
Golden = tuple[Channel, str, str, dict[str, Any], int]

REGION = {"guest_address": 0, "size": 1 << 30, "user_address": 0x7FA58BE00000, "mmap_offset": 0}
ADDED = {
    "guest_address": 1 << 32,
    "size": 1 << 30,
    "user_address": 0x7FA5CBE00000,
    "mmap_offset": 1 << 30,
}
INFLIGHT = {"mmap_size": 0, "mmap_offset": 0, "num_queues": 4, "queue_size": 128, "padding": bytes(4)}
ADDRESS = {
    "index": 0,
    "flags": 1,
    "descriptor": 0x7F0000001000,
    "used": 0x7F0000003000,
    "available": 0x7F0000002000,
    "log": 0x3000,
}
IOTLB = {
    "iova": 0x1000,
    "size": 0x1000,
    "user_address": 0x7F0000001000,
    "permission": 3,
    "type": 2,
    "padding": bytes(6),
}
MAP = {
    "shmid": 1,
    "padding": bytes(7),
    "fd_offset": 0,
    "shm_offset": 0x2000,
    "len": 0x1000,
    "flags": 1,
}

# channel, name, bytes, fields, descriptors
GOLDEN: list[Golden] = [
    (MAIN, "GET_FEATURES", "01000000 01000000 00000000", {}, 0),
    (MAIN, "GET_FEATURES", "01000000 05000000 08000000 0000004001000000", {"features": 0x140000000}, 0),
    (MAIN, "SET_OWNER", "03000000 01000000 00000000", {}, 0),
    (
        MAIN,
        "SET_PROTOCOL_FEATURES",
        "10000000 01000000 08000000 bf8c010000000000",
        {"protocol_features": 0x18CBF},
        0,
    ),
    (
        MAIN,
        "SET_MEM_TABLE",
        "05000000 09000000 28000000 01000000 00000000"
        " 0000000000000000 0000004000000000 0000e08ba57f0000 0000000000000000",
        {"nregions": 1, "padding": 0, "regions": [REGION]},
        1,
    ),
    (
        MAIN,
        "SET_LOG_BASE",
        "06000000 01000000 10000000 0080000000000000 0000000000000000",
        {"mmap_size": 0x8000, "mmap_offset": 0},
        1,
    ),
    (MAIN, "SET_VRING_NUM", "08000000 01000000 08000000 01000000 00010000", {"index": 1, "num": 256}, 0),
    (
        MAIN,
        "SET_VRING_ADDR",
        "09000000 01000000 28000000 00000000 01000000"
        " 00100000007f0000 00300000007f0000 00200000007f0000 0030000000000000",
        ADDRESS,
        0,
    ),
    (
        MAIN,
        "SET_VRING_BASE",
        "0a000000 01000000 08000000 00000000 00800080",
        {"index": 0, "num": 0x80008000},
        0,
    ),
    (MAIN, "GET_VRING_BASE", "0b000000 01000000 08000000 01000000 00000000", {"index": 1, "num": 0}, 0),
    (
        MAIN,
        "GET_VRING_BASE",
        "0b000000 05000000 08000000 01000000 34120000",
        {"index": 1, "num": 0x1234},
        0,
    ),
    (MAIN, "SET_VRING_KICK", "0c000000 01000000 08000000 0100000000000000", {"u64": 1}, 1),
    (MAIN, "SET_VRING_CALL", "0d000000 09000000 08000000 0101000000000000", {"u64": 0x101}, 0),
    (MAIN, "SET_VRING_CALL", "0d000000 05000000 08000000 0000000000000000", {"status": 0}, 0),
    (MAIN, "SET_VRING_ENABLE", "12000000 01000000 08000000 02000000 01000000", {"index": 2, "num": 1}, 0),
    (
        MAIN,
        "SEND_RARP",
        "13000000 01000000 08000000 525400123456 0000",
        {"mac": bytes.fromhex("525400123456"), "padding": bytes(2)},
        0,
    ),
    (
        MAIN,
        "IOTLB_MSG",
        "16000000 09000000 20000000 0010000000000000 0010000000000000 00100000007f0000 03 02 000000000000",
        IOTLB,
        0,
    ),
    (
        MAIN,
        "GET_CONFIG",
        "18000000 01000000 14000000 00000000 08000000 00000000 0000000000000000",
        {"offset": 0, "size": 8, "flags": 0, "data": bytes(8)},
        0,
    ),
    (
        MAIN,
        "GET_INFLIGHT_FD",
        "1f000000 01000000 18000000 0000000000000000 0000000000000000 0400 8000 00000000",
        INFLIGHT,
        0,
    ),
    (
        MAIN,
        "GET_INFLIGHT_FD",
        "1f000000 05000000 18000000 0021000000000000 0000000000000000 0400 8000 00000000",
        INFLIGHT | {"mmap_size": 8448},
        1,
    ),
    (
        MAIN,
        "ADD_MEM_REG",
        "25000000 09000000 28000000 0000000000000000"
        " 0000000001000000 0000004000000000 0000e0cba57f0000 0000004000000000",
        {"padding": 0, "region": ADDED},
        1,
    ),
    (MAIN, "SET_STATUS", "27000000 01000000 08000000 0f00000000000000", {"status": 0xF}, 0),
    (
        MAIN,
        "SET_DEVICE_STATE_FD",
        "2a000000 01000000 08000000 00000000 00000000",
        {"direction": 0, "phase": 0},
        1,
    ),
    (MAIN, "SET_DEVICE_STATE_FD", "2a000000 05000000 08000000 0001000000000000", {"u64": 0x100}, 0),
    (
        BACKEND,
        "BACKEND_SHMEM_MAP",
        "09000000 09000000 28000000 01 00000000000000"
        " 0000000000000000 0020000000000000 0010000000000000 0100000000000000",
        MAP,
        1,
    ),
    (
        BACKEND,
        "BACKEND_VRING_HOST_NOTIFIER_MSG",
        "03000000 09000000 18000000 0300000000000000 0010000000000000 0000000000000000",
        {"u64": 3, "size": 0x1000, "offset": 0},
        1,
    ),
]
IDS = [f"{name}-{bytes.fromhex(data)[4]:#x}" for _, name, data, _, _ in GOLDEN]


@pytest.mark.parametrize("golden", GOLDEN, ids=IDS)
def test_the_bytes_dissect_to_the_fields(golden: Golden) -> None:
    channel, name, text, fields, fds = golden
    data = bytes.fromhex(text)
    sender = sender_of(channel, reply=bool(data[4] & 4))
    descriptors = (FdInfo(FdKind.OTHER),) * fds
    message = Dissector()(Frame(0, 0, 1, channel, sender, data, descriptors, wire_size=len(data)))
    assert (message.name, message.fields, message.rest, message.problems) == (name, fields, b"", ())
    assert message.reply == bool(data[4] & 4)
    assert message.need_reply == bool(data[4] & 8)


@pytest.mark.parametrize("golden", GOLDEN, ids=IDS)
def test_the_layers_build_the_bytes_from_the_fields(golden: Golden) -> None:
    channel, name, text, fields, _ = golden
    data = bytes.fromhex(text)
    spec = next(spec for spec in TABLES[channel].values() if spec.name == name)
    layouts = layers_of(spec, bool(data[4] & 4))
    layer = next(layer for layer in layouts if {field.name for field in layer.fields_desc} == set(fields))
    built = in_order(layer, False)(**{key: packet(layer, key, value) for key, value in fields.items()})
    assert bytes(built) == data[12:]


def packet(layer: Any, name: str, value: Any) -> Any:
    """A field's value as scapy wants it: structures as packets."""
    inner = getattr(next(field for field in layer.fields_desc if field.name == name), "layer", None)
    if isinstance(value, list):
        return [inner(**item) for item in value]
    return inner(**value) if inner else value


ACK = next(spec for spec in TABLES[MAIN].values() if spec.name == "POSTCOPY_END").reply
