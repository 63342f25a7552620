"""`vutrace replay --as` from the outside: exit statuses, and a capture that is whole whatever happens."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from kit.replay_stage import CAPTURES

from vutrace.capture import read
from vutrace.peers import DPDK_22_11, PROFILES, FrontEnd, Offer, Server
from vutrace.records import Event, EventKind, Frame

NAME = CAPTURES / "qemu-7.2-testpmd.pcapng"
REPLAY = [sys.executable, "-m", "vutrace", "replay"]


def acted(path: Path, offer: Offer, *options: str | Path) -> subprocess.CompletedProcess[str]:
    command = [*REPLAY, str(NAME), "--as", "frontend", "--to", str(path), *map(str, options)]
    with Server(str(path), offer):
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def test_the_same_is_0_and_its_rows_are_shown(tmp_path: Path) -> None:
    ran = acted(tmp_path / "s", DPDK_22_11, "-w", tmp_path / "again.pcapng")
    assert (ran.returncode, ran.stderr) == (
        0, "1 session; 78 requests; 16 replies, 16 as recorded; 0 differences\n",
    )  # fmt: skip
    assert "SET_MEM_TABLE         need-reply 1 region, 256 MiB at gpa 0         memfd 256 MiB" in ran.stdout
    assert data(tmp_path / "again.pcapng") == data(NAME)


def data(path: Path) -> list[bytes]:
    return [item.data for item in read(path) if isinstance(item, Frame)]


def test_another_answer_is_1(tmp_path: Path) -> None:
    ran = acted(tmp_path / "s", replace(DPDK_22_11, queue_pairs=2), "-q")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.splitlines() == [
        "[7] GET_QUEUE_NUM: queue_num: recorded 128, live 2",
        "1 session; 78 requests; 16 replies, 15 as recorded; 1 difference",
    ]


def test_an_end_is_4_with_the_message_and_the_reason(tmp_path: Path) -> None:
    offer = replace(DPDK_22_11, features=DPDK_22_11.features & ~(1 << 22))
    ran = acted(tmp_path / "s", offer, "-q", "-w", tmp_path / "again.pcapng")
    assert ran.returncode == 4
    last = ran.stderr.splitlines()[-1]
    assert re.match("vutrace: the back-end (has )?closed the connection; ", last)  # as it was noticed
    assert last.endswith(
        "[48] SET_FEATURES acknowledges 0x400000 (VIRTIO_NET_F_MQ), which this back-end does not offer"
    )
    whole = read(tmp_path / "again.pcapng")
    assert closed(list(whole))
    assert not whole.cut


def closed(items: list[object]) -> bool:
    return isinstance(items[-1], Event) and items[-1].kind is EventKind.CLOSE


@contextmanager
def waiting(path: Path, *options: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A recorded back-end that listens at `path`."""
    command = [*REPLAY, str(NAME), "--as", "backend", "--to", str(path), *map(str, options)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 20
        while not path.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("connected", [False, True])
def test_a_signal_ends_it_cleanly(
    number: signal.Signals, status: int, connected: bool, tmp_path: Path
) -> None:
    path, capture = tmp_path / "s", tmp_path / "again.pcapng"
    with waiting(path, "-w", capture) as process, FrontEnd(PROFILES["qemu-7.2"]) as frontend:
        if connected:
            frontend.connect(str(path))
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (status, "")
    assert not os.path.exists(path)
    whole = read(capture)
    items = list(whole)
    assert not whole.cut
    assert not connected or closed(items)


def test_several_connections_are_chosen_from(tmp_path: Path) -> None:
    """The option names them; nothing is tried before."""
    from kit.capture_samples import SAMPLE, encoded

    two = tmp_path / "two.pcapng"
    two.write_bytes(encoded(SAMPLE))
    command = [*REPLAY, str(two), "--as", "frontend", "--to", str(tmp_path / "s")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert ran.returncode == 2
    assert ran.stderr == f"vutrace: {two} has connections A, B: --connection chooses one\n"


@pytest.mark.parametrize("content", [b"no capture", b""])
def test_what_is_no_capture_is_3_or_2(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    command = [*REPLAY, str(file), "--as", "frontend", "--to", "s"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert ran.returncode == (3 if content else 2)
    assert "Traceback" not in ran.stderr
