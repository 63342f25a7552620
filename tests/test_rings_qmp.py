"""`vutrace rings` of a QEMU without a proxy: this process is the QEMU, with a monitor and with memory."""

import json
import mmap
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.ring_lab import AVAILABLE, GUEST, SIZE, USED, Memory, Split
from test_rings_proxy import rings_verb

from vutrace.evidence import qmp
from vutrace.evidence.qmp import QmpError, monitor_of, qemu_sessions

FEATURES = {"transports": ["VIRTIO_F_VERSION_1: of the standard", "VIRTIO_RING_F_EVENT_IDX: by index"]}


class Qemu:
    """A disk with one ring of 8, and a monitor that tells of it as QEMU 7.2 does."""

    def __init__(self, place: Path) -> None:
        self.memory = Memory()
        self.both = Split(self.memory)
        self._map = mmap.mmap(self.memory.fd, SIZE)
        self.start = next(
            each.start for each in qmp.mappings(os.getpid()) if each.inode == os.fstat(self.memory.fd).st_ino
        )
        self.path = str(place / "qmp")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def ring(self, queue: int) -> dict[str, int] | None:
        """As x-query-virtio-vhost-queue-status has it."""
        places = {"desc": 0, "avail": AVAILABLE, "used": USED}
        virtual = {name: self.start + at for name, at in places.items()}
        return None if queue else virtual | {"desc-phys": GUEST, "num": 8, "kick": 0, "call": 0}

    def answer(self, command: str, arguments: dict[str, Any]) -> object:
        """What is returned."""
        if command == "x-query-virtio":
            return [{"name": "vhost-user-blk", "path": "/disk"}, {"name": "virtio-rng", "path": "/rng"}]
        if command == "x-query-virtio-vhost-queue-status":
            return self.ring(arguments["queue"]) if arguments["path"] == "/disk" else None
        return {"guest-features": FEATURES} if command == "x-query-virtio-status" else {}

    def _serve(self) -> None:
        while True:
            end = self._listener.accept()[0]
            with end, end.makefile("rw") as lines:
                print(json.dumps({"QMP": {}}), file=lines, flush=True)
                for line in lines:
                    asked = json.loads(line)
                    told = self.answer(asked["execute"], asked.get("arguments", {}))
                    print(json.dumps({"event": "RTC_CHANGE"}), file=lines)
                    print(
                        json.dumps({"return": told} if told is not None else {"error": {}}),
                        file=lines,
                        flush=True,
                    )


@pytest.fixture
def qemu(tmp_path: Path) -> Iterator[Qemu]:
    made = Qemu(tmp_path)
    yield made
    os.close(made.memory.fd)


def test_a_qemu_tells_where_its_rings_are_and_they_are_read(qemu: Qemu) -> None:
    qemu.both.describe(0, 16)
    qemu.both.make([0, 1, 2])
    qemu.both.use([2])
    ran = rings_verb(str(os.getpid()), "--qmp", qemu.path, "--interval", "100ms", "--json")
    assert ran.returncode == 0, ran.stderr
    (device,) = json.loads(ran.stdout)
    (ring,) = device["rings"]
    assert (ring["available"], ring["used"], ring["in_flight"], ring["size"]) == (3, 1, 2, 8)
    assert (ring["ring_name"], ring["kicks"]) == ("req0", None)
    assert ring["driver_event"] == 0  # EVENT_IDX was acknowledged


def test_who_does_not_answer_is_told(qemu: Qemu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qmp, "SECONDS", 0.2)
    silent = socket.socket(socket.AF_UNIX)
    silent.bind(str(tmp_path / "silent"))
    silent.listen()
    for path, why in ((str(tmp_path / "silent"), "it is in use"), (str(tmp_path / "no"), "No such file")):
        with pytest.raises(QmpError, match=why):
            qemu_sessions(os.getpid(), path)
    monkeypatch.setattr(qemu, "answer", lambda *_: [{"name": 5}])
    with pytest.raises(QmpError, match="cannot be used"):
        qemu_sessions(os.getpid(), qemu.path)


@pytest.mark.parametrize(
    ("command", "path"),
    [
        ("qemu -qmp unix:/run/a.sock,server=on,wait=off", "/run/a.sock"),
        ("qemu -chardev socket,id=m,path=/run/b.sock,server=on -mon chardev=m,mode=control", "/run/b.sock"),
        ("qemu -chardev socket,id=m,fd=28 -mon chardev=m,mode=control", ""),
        ("qemu -chardev socket,id=m,path=/run/c.sock -mon chardev=m,mode=readline", ""),
    ],
)
def test_the_monitor_is_found_on_the_command_line(
    command: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qmp, "command_of", lambda _pid: command)
    assert monitor_of(1) == path
