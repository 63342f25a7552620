"""What each device dissector says: offsets, rings, configuration space in words, known conflicts."""

import struct
from collections.abc import Iterator

import pytest

from vutrace.dissection.registry import load
from vutrace.protocol.layers import number_at, size_of, variant
from vutrace.protocol.wire import REPLY, VERSION
from vutrace.records import Channel, Frame
from vutrace.session.tracker import Tracker
from vutrace.testing import frame
from vutrace.views.annotated import Annotator
from vutrace.views.details import generic
from vutrace.views.json_lines import JsonLines
from vutrace.views.rows import Rows
from vutrace.views.tree import Tree

REGISTRY = load()
GET_CONFIG, CREATE_CRYPTO_SESSION = 24, 26
SECRET = b"\xaa\xbb\xcc\xdd\xee\xff\x11\x22"

# virtio's device ids.
NUMBERS = {
    "net": 1, "blk": 2, "console": 3, "rng": 4, "balloon": 5, "scsi": 8, "9p": 9, "gpu": 16, "rtc": 17,
    "input": 18, "vsock": 19, "crypto": 20, "iommu": 23, "mem": 24, "sound": 25, "fs": 26, "pmem": 27,
    "rpmb": 28, "scmi": 32, "i2c": 34, "can": 36, "bt": 40, "gpio": 41, "spi": 45, "media": 48,
    "hwsim": 29, "video-encoder": 30, "video-decoder": 31, "wl": 63,
}  # fmt: skip

# Sizes of the C structures, and where some of their fields stand (QEMU's standard-headers).
SPACES: dict[str, tuple[int, dict[str, int]]] = {
    "scsi": (36, {"cdb_size": 24, "max_channel": 28, "max_lun": 32}),
    "gpu": (20, {"num_scanouts": 8, "blob_alignment": 16}),
    "input": (136, {"size": 2}),
    "vsock": (8, {"guest_cid": 0}),
    "crypto": (56, {"mac_algo_l": 24, "max_cipher_key_len": 36, "akcipher_algo": 44, "max_size": 48}),
    "gpio": (8, {"gpio_names_size": 4}),
    "sound": (16, {"controls": 12}),
    "mem": (56, {"node_id": 8, "addr": 16, "requested_size": 48}),
    "console": (12, {"rows": 2, "emerg_wr": 8}),
    "pmem": (16, {"size": 8}),
    "iommu": (40, {"domain_range_start": 24, "bypass": 36}),
    "can": (2, {"status": 0}),
    "spi": (32, {"mode_func_supported": 8, "max_cs_inactive_ns": 28}),
    "media": (40, {"device_type": 4}),
    "rpmb": (3, {"max_rd_cnt": 2}),
    "balloon": (16, {"poison_val": 12}),
    "bt": (6, {"vendor": 2, "msft_opcode": 4}),
    "video-decoder": (12, {"max_caps_length": 4, "max_resp_length": 8}),
}

RINGS = [
    ("net", 0, 0, ["rx0", "tx0", "rx1", "tx1"]),
    ("net", 0, 1, ["rx0", "tx0", "ctrl"]),
    ("net", 0, 2, ["rx0", "tx0", "rx1", "tx1", "ctrl"]),
    ("blk", 0, 0, ["req0", "req1"]),
    ("scsi", 0, 0, ["ctrl", "event", "req0", "req1"]),
    ("fs", 0, 0, ["hiprio", "req0", "req1"]),
    ("fs", 1, 0, ["hiprio", "notify", "req0"]),
    ("gpu", 0, 0, ["ctrl", "cursor"]),
    ("input", 0, 0, ["event", "status"]),
    ("vsock", 0, 0, ["rx", "tx", "event"]),
    ("crypto", 0, 0, ["data0", "data1", "data2"]),
    ("crypto", 0, 2, ["data0", "data1", "ctrl"]),
    ("i2c", 0, 0, ["req0"]),
    ("gpio", 0, 0, ["req", "event"]),
    ("sound", 0, 0, ["ctrl", "event", "tx", "rx"]),
    ("mem", 0, 0, ["guest"]),
    ("console", 0, 0, ["rx0", "tx0"]),
    ("console", 0b10, 0, ["rx0", "tx0", "ctrl-rx", "ctrl-tx", "rx1", "tx1", "rx2"]),
    ("pmem", 0, 0, ["req0"]),
    ("iommu", 0, 0, ["req", "event"]),
    ("scmi", 0, 0, ["cmd", "event"]),
    ("can", 0, 0, ["tx", "rx", "ctrl"]),
    ("rng", 0, 0, ["req0"]),
    ("spi", 0, 0, ["req0"]),
    ("media", 0, 0, ["cmd", "event"]),
    ("rtc", 0, 0, ["req", "alarm"]),
    ("balloon", 0, 0, ["inflate", "deflate", "q2"]),
    ("balloon", 0b100000, 0, ["inflate", "deflate", "report"]),
    ("balloon", 0b101010, 0, ["inflate", "deflate", "stats", "free", "report"]),
    ("bt", 0, 0, ["tx", "rx"]),
    ("rpmb", 0, 0, ["req0"]),
    ("9p", 0, 0, ["req0"]),
    ("hwsim", 0, 0, ["tx", "rx"]),
    ("video-encoder", 0, 0, ["cmd", "event"]),
    ("wl", 0, 0, ["in", "out"]),
]

SAID = [
    (
        "blk",
        struct.pack("<Q", 2097152) + bytes(52),
        "capacity 2097152 sectors (1 GiB)",
    ),
    (
        "net",
        bytes(24) + struct.pack("<I", 1 << 4 | 1 << 6),
        "supported_tunnel_types VXLAN GENEVE",
    ),
    ("media", struct.pack("<II", 1 << 23 | 1 << 26, 0), "device_caps META_CAPTURE STREAMING"),
    ("crypto", struct.pack("<14I", *[0] * 7, 1 << 22, *[0] * 6), "mac_algo_h ZUC_EIA3"),
    ("net", bytes.fromhex("525400000001") + b"\1\0", "mac 52:54:00:00:00:01, status LINK_UP"),
    ("fs", b"lab".ljust(36, b"\0") + struct.pack("<I", 1), "tag lab, num_request_queues 1"),
    (
        "scsi",
        struct.pack("<III", 4, 128, 65535),
        "num_queues 4, seg_max 128 segments, max_sectors 65535 sectors",
    ),
    ("vsock", struct.pack("<Q", 3), "guest_cid 3"),
    ("9p", struct.pack("<H", 4) + b"home", "tag_len 4 bytes, tag home"),
    ("gpio", struct.pack("<HHI", 8, 0, 64), "ngpio 8 lines, gpio_names_size 64 bytes"),
    ("rpmb", bytes([8, 1, 1]), "capacity 8 × 128 KiB (1 MiB), max_wr_cnt 1 blocks (256 bytes)"),
    ("balloon", struct.pack("<II", 256, 0), "num_pages 256 pages (1 MiB)"),
    ("mem", struct.pack("<Q", 2 << 20), "block_size 2 MiB"),
    ("can", b"\1\0", "status BUSOFF"),
    (
        "input",
        bytes([1, 0, 6]) + bytes(5) + b"Tablet".ljust(128, b"\0"),
        "select ID_NAME, subsel 0, size 6 bytes, string Tablet",
    ),
    (
        "input",
        bytes([3, 0, 8]) + bytes(5) + struct.pack("<4H", 6, 0x627, 3, 1) + bytes(120),
        "bustype VIRTUAL, vendor 0x627",
    ),
    (
        "input",
        bytes([0x11, 1, 2]) + bytes(5) + b"\xff\3" + bytes(126),
        "select EV_BITS, subsel KEY, size 2 bytes, bitmap ff03",
    ),
    (
        "input",
        bytes([0x12, 0, 20]) + bytes(5) + struct.pack("<II", 0, 32767) + bytes(120),
        "select ABS_INFO, subsel 0, size 20 bytes, min 0, max 32767",
    ),
    ("bt", struct.pack("<BHH", 0, 2, 0xFC1E), "type primary, vendor Intel, msft_opcode 0xfc1e"),
    ("bt", struct.pack("<BBHH", 0, 0, 2, 0xFC1E), "type primary, vendor Intel, msft_opcode 0xfc1e"),
]


def lines(device: str, frames: list[Frame], secrets: bool = False) -> Iterator[str]:
    """Row, tree and JSON of every frame."""
    for shown in Annotator().annotate_all(Tracker(REGISTRY, device).rows(frames)):
        yield from Rows().lines(shown)
        yield from Tree(secrets).lines(shown)
        yield from JsonLines(secrets).lines(shown)


def config_reply(data: bytes, offset: int = 0) -> Frame:
    payload = struct.pack("<III", offset, len(data), 0) + data
    return frame(GET_CONFIG, payload, flags=VERSION | REPLY)


def test_every_device_type_is_here_with_virtios_number() -> None:
    assert {
        device.name: device.number for device in REGISTRY.devices if device.number in NUMBERS.values()
    } == NUMBERS
    assert REGISTRY.failures == ()


@pytest.mark.parametrize("name", SPACES)
def test_configuration_space_is_laid_out_as_the_c_structure(name: str) -> None:
    layer = REGISTRY.device(name).config
    assert layer is not None
    size, starts = SPACES[name]
    assert size_of(layer) == size
    assert all(size_of(each) in (size, 5) for each in layer.variants)
    assert {field: number_at(layer, field)[0] for field in starts} == starts


@pytest.mark.parametrize(("name", "features", "queues", "rings"), RINGS)
def test_rings_are_called(name: str, features: int, queues: int, rings: list[str]) -> None:
    device = REGISTRY.device(name)
    assert [device.name_of_ring(ring, features, queues) for ring in range(len(rings))] == rings


@pytest.mark.parametrize(("name", "data", "words"), SAID)
def test_configuration_space_is_said_in_words(name: str, data: bytes, words: str) -> None:
    shown = next(iter(Annotator().annotate_all(Tracker(REGISTRY, name).rows([config_reply(data)]))))
    assert shown.layout is not None
    assert words in generic(shown.layout, shown.config, shown.row.context)


def test_a_disks_capacity_and_limits_are_seen_at_a_glance() -> None:
    limits = struct.pack("<QIIIIBBHIBBH", 2097152, 0, 126, 0, 512, 0, 0, 1, 1, 0, 0, 4)
    space = limits + struct.pack("<III", 32768, 1, 1) + bytes(12)
    row = "\n".join(lines("blk", [config_reply(space)])).splitlines()[0]
    assert row.partition("at 0: ")[2].startswith(
        "capacity 2097152 sectors (1 GiB), num_queues 4, blk_size 512 bytes, seg_max 126 segments, "
        "max_discard_sectors 32768 sectors (16 MiB), …"
    )


def test_a_disk_that_is_read_only_says_so() -> None:
    acked = frame(2, struct.pack("<Q", 1 << 32 | 1 << 5))
    assert "the disk is read-only" in "\n".join(lines("blk", [acked]))


def test_spdks_scsi_is_told_by_what_it_offers() -> None:
    offered = frame(1, struct.pack("<Q", 0x15C000007), flags=VERSION | REPLY)
    (row,) = Tracker(REGISTRY).rows([offered])
    assert row.context.device.name == "scsi"
    assert row.context.reason == (
        "VIRTIO_SCSI_F_INOUT VIRTIO_SCSI_F_HOTPLUG VIRTIO_SCSI_F_CHANGE VIRTIO_F_ANY_LAYOUT offered"
    )


def test_an_answer_that_does_not_say_what_it_answers_is_shown_as_bytes() -> None:
    layer = REGISTRY.device("input").config
    assert layer is not None
    assert variant(layer, b"\x10" + bytes(135)) is layer
    assert variant(layer, b"") is layer


def test_the_control_ring_is_told_by_get_queue_num() -> None:
    asked, answered = frame(17, b""), frame(17, struct.pack("<Q", 2), flags=VERSION | REPLY)
    rings = [frame(8, struct.pack("<II", ring, 256)) for ring in range(5)]
    rows = list(Tracker(REGISTRY, "net").rows([asked, answered, *rings]))
    assert [row.ring_name for row in rows[2:]] == ["rx0", "tx0", "rx1", "tx1", "ctrl"]


def crypto(size: int, op_code: int = 2) -> bytes:
    """A session of either layout, full of secrets from byte 24 on."""
    head = struct.pack("<Q4I", op_code, 1, 16, 0, 0)
    return (head + SECRET * 200)[: size - 8] + bytes(8)


@pytest.mark.parametrize(
    "payload",
    [
        crypto(1072),
        crypto(1072, 0x404),
        crypto(632),
        crypto(700),
        crypto(640),
        crypto(1072)[:90],
        crypto(2000),
    ],
    ids=["symmetric", "asymmetric", "before 8.1", "odd", "odd too", "cut", "long"],
)
def test_keys_and_host_pointers_are_shown_only_when_asked_for(payload: bytes) -> None:
    message = frame(CREATE_CRYPTO_SESSION, payload)
    hidden, open_ = (" ".join(lines("crypto", [message], secrets)) for secrets in (False, True))
    assert SECRET.hex() not in hidden
    assert SECRET.hex() in open_ or str(struct.unpack("<Q", SECRET)[0]) in open_


def early_session() -> bytes:
    """AES-128-CBC as QEMU 2.12 to 7.0 send it: op_code comes before cipher_alg, op_type after add_len."""
    head = struct.pack("<q7I4B4xQQ", 0, 0x2, 3, 16, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0)
    return head.ljust(632, b"\0")


def test_crypto_sessions_of_qemu_before_7_1_are_told_by_where_op_type_stands() -> None:
    row = next(lines("crypto", [frame(CREATE_CRYPTO_SESSION, early_session())]))
    assert "cipher 3 with 16 bytes of key" in row
    assert "QEMU before 7.1" in "\n".join(lines("crypto", [frame(CREATE_CRYPTO_SESSION, early_session())]))


def test_the_two_crypto_layouts_are_told_by_their_size() -> None:
    old, new = (next(lines("crypto", [frame(CREATE_CRYPTO_SESSION, crypto(size))])) for size in (632, 1072))
    assert "!" not in old + new


def test_bit_21_says_that_older_rust_vmm_means_shmem() -> None:
    offered = frame(15, struct.pack("<Q", 1 << 21), flags=VERSION | REPLY)
    assert "  21 GPA_ADDRESSES (SHMEM in rust-vmm <= 0.16)" in "\n".join(lines("fs", [offered]))


def test_bit_17_is_shared_object_where_shared_objects_are_asked_for() -> None:
    acked, asked = frame(16, struct.pack("<Q", 1 << 17)), frame(41, bytes(16))
    assert "bit 17 means SHARED_OBJECT here" in "\n".join(lines("gpu", [acked, asked]))
    newer = frame(16, struct.pack("<Q", 1 << 17 | 1 << 18))
    assert "bit 17 means SHARED_OBJECT here" not in "\n".join(lines("gpu", [newer, asked]))


def test_bits_of_older_drivers_are_marked() -> None:
    offered = frame(1, struct.pack("<Q", 1 << 6 | 1 << 27), flags=VERSION | REPLY)
    tree = "\n".join(lines("net", [offered]))
    assert "6 VIRTIO_NET_F_GSO (legacy)" in tree
    assert "27 VIRTIO_F_ANY_LAYOUT (VHOST_NET_F_VIRTIO_NET_HDR, legacy)" in tree


def test_packed_rings_mean_a_net_header_of_12_bytes() -> None:
    net = REGISTRY.device("net")
    assert list(net.notes(1 << 34)) == ["virtio-net header: 12 bytes (VIRTIO_F_RING_PACKED)"]


def test_36_bytes_of_configuration_space_speak_for_blk_alone() -> None:
    told = [device.name for device in REGISTRY.devices if 36 in device.evidence.config_sizes]
    assert told == ["blk"]


def test_the_range_of_an_axis_has_a_sign() -> None:
    axis = bytes([0x12, 0, 20, 0, 0, 0, 0, 0]) + struct.pack("<iiIII", -32768, 32767, 16, 128, 0)
    assert "min -32768, max 32767" in next(lines("input", [config_reply(axis.ljust(136, b"\0"))]))


def test_number_44_is_read_by_its_size() -> None:
    downstream = frame(44, struct.pack("<II", 3, 0))
    regular = frame(44, b"")
    answer = frame(44, struct.pack("<II256Q", 1, 0, 1 << 20, *[0] * 255), flags=VERSION | REPLY)
    rows = "\n".join(lines("fs", [downstream, regular, answer]))
    assert "index 3" in rows or "ring 3" in rows
    assert "payload of" not in rows


def test_shmem_of_older_rust_vmm_is_said_where_it_is_used() -> None:
    acked = frame(16, struct.pack("<Q", 1 << 21))
    assert "bit 21 means SHMEM here" in "\n".join(lines("fs", [acked, frame(44, b"")]))
    newer = frame(16, struct.pack("<Q", 1 << 22))
    assert "bit 21 means SHMEM here" not in "\n".join(lines("fs", [newer, frame(44, b"")]))


def test_request_44_and_the_older_crypto_session_are_said() -> None:
    assert "GET_VRING_BASE_SKIP_DRAIN here" in "\n".join(lines("blk", [frame(44, bytes(8))]))
    assert "QEMU before 8.1" in "\n".join(lines("crypto", [frame(CREATE_CRYPTO_SESSION, crypto(632))]))


def test_gpu_payloads_are_summarised_not_swallowed() -> None:
    pixels = struct.pack("<5I", 0, 0, 0, 640, 480) + bytes(640 * 480 * 4)
    update = frame(8, pixels, Channel.GPU, flags=0)
    row, *tree = lines("gpu", [update])
    assert "640×480 at 0,0, 1200 KiB of pixels" in row
    assert max(map(len, [row, *tree[:-1]])) < 200
