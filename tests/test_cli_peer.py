"""`vutrace peer`: each model end by itself, and the habits of back-ends that are not DPDK's."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_cli_show import Run, run  # noqa: F401

from vutrace.dissection.dissector import Dissector
from vutrace.peers.backend import BackEnd
from vutrace.peers.backend_profiles import HABITS, PLAYED, BackEndProfile
from vutrace.peers.state import RefusedError
from vutrace.protocol.messages import TABLES
from vutrace.records import Channel, Frame, Side

SECONDS = 30
CHANNEL, FRONT = Channel.MAIN, Side.FRONTEND
PEER = [sys.executable, "-m", "vutrace", "peer"]


@contextmanager
def backend_at(path: Path, *words: str) -> Iterator[list[str]]:
    """A back-end in a process of its own; afterwards there is its status, what it said, and its errors."""
    command, left = [*PEER, "backend", str(path), *words], list[str]()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + SECONDS
    while not path.exists() and child.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    try:
        yield left
    finally:
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=SECONDS)
        left += [str(child.returncode), out, err]


@pytest.mark.parametrize(
    ("profile", "frontend"),
    [("dpdk", "qemu-10"), ("libvhost-user", "qemu-7.2"), ("rust-vmm", "qemu-11"), ("passt", "virtio-user")],
)
def test_both_ends_from_the_command_line(
    run: Run,  # noqa: F811
    tmp_path: Path,
    profile: str,
    frontend: str,
) -> None:
    path = tmp_path / "back.sock"
    with backend_at(path, "--profile", profile, "--queues", "1") as left:
        ran = run("peer", "frontend", path, "--profile", frontend, "--hold", "0")
    status, out, err = left
    assert (ran.status, ran.err) == (0, "")
    assert [line.split()[0] for line in ran.lines] == ["connected", "started:", "stopped"]
    assert "virtio is now ready for processing" in out
    assert (status, err) == ("130", "")
    assert not path.exists()


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["frontend", "none.sock", "--device", "gpu"], 2, "there are net, blk, fs"),
        (
            ["frontend", "none.sock", "--device", "blk", "--profile", "qemu-10"],
            2,
            "goes with --profile qemu-7.2",
        ),
        (["frontend", "none.sock", "--device", "rng", "--queues", "2"], 2, "no number of queues"),
        (["frontend", "none.sock", "--profile", "xen"], 2, "there are qemu-2.10"),
        (["frontend", "none.sock", "--enabled", "2"], 2, "only 1 queue pairs"),
        (["backend", "b.sock", "--profile", "xen"], 2, "there are dpdk"),
        (["backend", "b.sock", "--device", "toaster"], 2, "toaster"),
        (["backend", "tcp:1.2.3.4:5"], 2, "passes descriptors"),
        (["backend", "/nowhere/b.sock"], 4, "No such file or directory"),
    ],
)
def test_what_cannot_be_played_is_a_line(
    run: Run,  # noqa: F811
    words: list[str],
    status: int,
    says: str,
) -> None:
    ran = run("peer", *words)
    assert ran.status == status
    assert says in ran.err


def said(habits: BackEndProfile, device: str, name: str, payload: bytes, protocol: int = 0) -> bytes | None:
    """The answer to a message that asks for one."""
    backend = BackEnd(habits.offer(device), habits=habits)
    backend.state.protocol = protocol
    (spec,) = (row for table in TABLES.values() for row in table.values() if row.name == name)
    data = spec.number.to_bytes(4, "little") + (9).to_bytes(4, "little") + len(payload).to_bytes(4, "little")
    frame = Frame(0, 0, 1, CHANNEL, FRONT, data + payload, wire_size=len(data) + len(payload))
    return backend.handle(Dissector({})(frame), [])


@pytest.mark.parametrize(("name", "answers"), [("dpdk", True), ("libvhost-user", True), ("rust-vmm", False)])
def test_who_acknowledges_without_having_agreed_to(name: str, answers: bool) -> None:
    asked = said(HABITS[name], "net", "SET_VRING_NUM", bytes(4) + (256).to_bytes(4, "little"))
    assert (asked is not None) is answers
    agreed = said(HABITS[name], "net", "SET_VRING_NUM", bytes(4) + (256).to_bytes(4, "little"), 1 << 3)
    assert agreed is not None


@pytest.mark.parametrize(("name", "gives_up"), [("dpdk", False), ("libvhost-user", True), ("passt", True)])
def test_who_answers_an_error_and_who_goes(name: str, gives_up: bool) -> None:
    beyond = (9999).to_bytes(4, "little") + (256).to_bytes(4, "little")
    if gives_up:
        with pytest.raises(RefusedError):
            said(HABITS[name], "net", "SET_VRING_NUM", beyond)
    else:
        answer = said(HABITS[name], "net", "SET_VRING_NUM", beyond)
        assert answer is not None
        assert answer[12:] == (1).to_bytes(8, "little")


@pytest.mark.parametrize("name", HABITS)
def test_nothing_is_offered_that_is_not_played(name: str) -> None:
    for device in ("net", "blk", "rng"):
        offer = HABITS[name].offer(device)
        assert not offer.protocol_features & ~PLAYED
        assert bool(offer.config) is (device != "net")
