"""Captures as they lie about: compressed ones and classic pcap simply open, in every verb."""

import gzip
import lzma
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.capture_samples import SAMPLE, encoded

from vutrace.capture import CaptureError, Reader, read, unpack
from vutrace.capture.blocks import ENHANCED_PACKET, BlockStream
from vutrace.records import Connection

KEPT = Path(__file__).parent.parent / "captures" / "virtio-user-testpmd.pcapng"
ZSTD = shutil.which("zstd") or sys.version_info >= (3, 14)


VUTRACE = [sys.executable, "-m", "vutrace"]


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    """A verb."""
    return subprocess.run([*VUTRACE, *words], capture_output=True, text=True, check=False)


def zstd(data: bytes) -> bytes:
    """What the program makes of it."""
    return subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout


PACKED = [
    pytest.param(gzip.compress, id="gz"),
    pytest.param(lzma.compress, id="xz"),
    pytest.param(zstd, id="zst", marks=pytest.mark.skipif(not shutil.which("zstd"), reason="no zstd")),
]


def pcap(data: bytes, order: str = "<", nanoseconds: bool = True) -> bytes:
    """The packets of a capture, as tools write them into a classic pcap file."""
    unit = 10**9 if nanoseconds else 10**6
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, 252)]
    for blocks in BlockStream([data]):
        for kind, block, start, _ in blocks:
            if kind == ENHANCED_PACKET:
                _, high, low, captured, original = struct.unpack_from("<IIIII", block, start)
                seconds, rest = divmod(high << 32 | low, 10**9)
                fraction = rest * unit // 10**9
                out.append(struct.pack(order + "IIII", seconds, fraction, captured, original))
                out.append(block[start + 20 : start + 20 + captured])
    return b"".join(out)


@pytest.mark.parametrize("pack", PACKED)
def test_a_compressed_capture_is_the_capture(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "some.name"
    path.write_bytes(pack(encoded(SAMPLE)))
    assert list(read(path)) == SAMPLE


@pytest.mark.parametrize("pack", PACKED[:2])
@given(size=st.integers(1, 300))
def test_wherever_its_bytes_are_split(pack: Callable[[bytes], bytes], size: int) -> None:
    data = pack(encoded(SAMPLE))
    assert list(Reader(unpack.opened(data[at : at + size] for at in range(0, len(data), size)))) == SAMPLE


@pytest.mark.parametrize("pack", PACKED)
def test_two_in_one_file_are_one_after_the_other(pack: Callable[[bytes], bytes]) -> None:
    data = pack(encoded(SAMPLE))
    assert len(list(Reader(unpack.opened([data + data])))) == 2 * len(SAMPLE)


@pytest.mark.parametrize("pack", PACKED)
def test_a_cut_one_reads_up_to_the_cut(pack: Callable[[bytes], bytes]) -> None:
    many = encoded([*SAMPLE, *[item for item in SAMPLE if not isinstance(item, Connection)] * 3000])
    data = pack(many)
    reader = Reader(unpack.opened([data[: len(data) * 3 // 4]]))
    assert 100 < len(list(reader)) < 3000 * len(SAMPLE)
    assert reader.cut


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="this Python does it itself")
def test_without_zstd_one_line_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(CaptureError, match=r"needs Python 3\.14, or the zstd program"):
        list(Reader(unpack.opened([b"\x28\xb5\x2f\xfd" + bytes(20)])))


@pytest.mark.skipif(not ZSTD, reason="no zstd")
def test_damaged_zstd_is_one_line() -> None:
    with pytest.raises(CaptureError, match="cannot be decompressed"):
        list(Reader(unpack.opened([b"\x28\xb5\x2f\xfd" + b"\xff" * 40])))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("nanoseconds", [True, False])
def test_classic_pcap_has_the_same_records(order: str, nanoseconds: bool) -> None:
    reader = Reader(unpack.opened([pcap(encoded(SAMPLE), order, nanoseconds)]))
    records = [item for item in reader if not isinstance(item, Connection)]
    unit = 1 if nanoseconds else 1000
    told = [item for item in SAMPLE if not isinstance(item, Connection)]
    assert [record.time_ns for record in records] == [item.time_ns // unit * unit for item in told]
    assert [getattr(record, "data", None) for record in records] == [
        getattr(item, "data", None) for item in told
    ]
    assert not reader.cut


def test_classic_pcap_that_ends_in_a_packet_is_cut() -> None:
    reader = Reader(unpack.opened([pcap(encoded(SAMPLE))[:-3]]))
    list(reader)
    assert reader.cut


@pytest.mark.parametrize("verb", ["check", "diff"])
def test_every_verb_opens_them(verb: str, tmp_path: Path) -> None:
    packed = tmp_path / "kept.pcapng.gz"
    packed.write_bytes(gzip.compress(KEPT.read_bytes()))
    more = [str(KEPT)] if verb == "diff" else []
    plain, from_packed = run(verb, str(KEPT), *more), run(verb, str(packed), *more)
    assert from_packed.stdout.replace(str(packed), str(KEPT)) == plain.stdout
    assert from_packed.returncode == plain.returncode
