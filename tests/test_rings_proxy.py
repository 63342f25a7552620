"""`vutrace proxy --rings`: what the sampler gets, tells and lets go of; and that no session needs it."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.proxy_lab import SECONDS, message, wait_for
from kit.proxy_process import Process, children_of
from kit.ring_lab import Memory, Split
from kit.sessions import rows

from vutrace.peers import PROFILES, READY, FrontEnd, Server
from vutrace.records import Channel, Event, Frame, RingSample, Sample, SampleFlag, Side
from vutrace.rings import child

RING_BYTES = 0x3000


class Machine:
    """A model front-end and back-end with a proxy that looks into their rings every 20 ms."""

    def __init__(self, place: Path, words: tuple[str, ...] = ("--rings", "20ms")) -> None:
        self.process = Process(place)
        self.process.listener.close()
        (place / "back").unlink()
        self.backend = Server(str(place / "back"))
        self.backend.__enter__()
        output = ("-q", "-w", str(self.process.capture)) if words else ()
        self.child = self.process.start(*output, *words)
        self.frontend = FrontEnd(PROFILES["qemu-7.2"], timeout=SECONDS)
        self.frontend.connect(str(place / "front"))
        self.frontend.write_features()
        self.frontend.start()
        self.backend.journal.wait(READY, SECONDS)

    def ring(self, index: int) -> Split:
        """Both sides of a ring, empty."""
        memory = Memory(self.frontend.device.memory.fd, index * RING_BYTES)
        return Split(memory, 256)

    def samples(self) -> list[RingSample]:
        """What is in the capture of rings."""
        return [ring for each in self.process.records() if isinstance(each, Sample) for ring in each.rings]

    def wait_sample(self, ring: int, **fields: int) -> RingSample:
        """Until there is a sample of a ring that has these values."""

        def found() -> list[RingSample]:
            return [
                each
                for each in self.samples()
                if each.ring == ring and all(getattr(each, name) == value for name, value in fields.items())
            ]

        wait_for(found)
        return found()[-1]

    def sampler(self) -> int:
        """Its process."""
        recorder = children_of(self.child, b"\0proxy\0")
        children = Path(f"/proc/{recorder}/task").glob("*/children")
        return next(int(pid) for each in children for pid in each.read_text().split())

    def held(self) -> list[str]:
        """The descriptors of the sampler."""
        place = Path(f"/proc/{self.sampler()}/fd")
        return [os.readlink(each) for each in place.iterdir() if each.is_symlink()]

    def close(self) -> None:
        """Leave nothing running."""
        self.frontend.close()
        self.backend.__exit__(None, None, None)
        self.process.close()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    machine.close()


def notes(records: list[Frame | Event]) -> list[Event]:
    """Those of a sampler that is gone."""
    return [each for each in records if isinstance(each, Event) and "sampler" in each.attributes]


def test_what_moves_in_the_rings_is_in_the_capture(machine: Machine) -> None:
    transmit = machine.ring(1)
    transmit.make([0, 1, 2], flags=1)
    sample = machine.wait_sample(1, available=3)
    assert (sample.used, sample.in_flight, sample.driver_flags, sample.size) == (0, 3, 1, 256)
    os.eventfd_write(machine.frontend.device.notifiers.fd("kick", 1), 5)
    assert machine.wait_sample(1, kicks=5).has(SampleFlag.KICKS)
    transmit.use([0, 1])
    assert machine.wait_sample(1, used=2).used_total == 2
    machine.process.stop(machine.child)
    judged = [row for row in rows(machine.process.records()) if isinstance(row.what, Sample)]
    assert judged[-1].state.activity.by_ring[1].sample.used_total == 2


def test_nothing_is_told_while_nothing_moves(machine: Machine) -> None:
    machine.wait_sample(1)
    time.sleep(0.2)
    before = len(machine.samples())
    time.sleep(1)
    assert len(machine.samples()) == before


def test_what_the_session_has_given_up_is_not_kept(machine: Machine) -> None:
    machine.wait_sample(1)
    assert sum("/memfd:guest-memory" in name for name in machine.held()) == 1
    assert sum("[eventfd]" in name for name in machine.held()) == 6  # kick, call and error
    machine.frontend.stop()
    wait_for(lambda: sum("[eventfd]" in name for name in machine.held()) == 4)
    machine.frontend.disconnect()
    wait_for(lambda: not [name for name in machine.held() if "memfd" in name or "[eventfd]" in name])


def test_memory_that_is_made_shorter_is_told_and_the_sampler_goes_on(machine: Machine) -> None:
    machine.wait_sample(1)
    os.ftruncate(machine.frontend.device.memory.fd, 0)
    wait_for(lambda: any(each.has(SampleFlag.UNREADABLE) for each in machine.samples()))
    os.ftruncate(machine.frontend.device.memory.fd, machine.frontend.device.memory.size)
    machine.ring(0).make([0])
    machine.wait_sample(0, available=1)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGBUS])
def test_a_sampler_that_dies_is_told_and_the_session_goes_on(machine: Machine, number: int) -> None:
    machine.wait_sample(1)
    os.kill(machine.sampler(), number)
    wait_for(lambda: notes(machine.process.records()))
    machine.frontend.change_pairs(1)
    machine.frontend.stop()
    said = machine.process.stop(machine.child)
    told = f"rings are not sampled any more: the sampler was ended by {signal.Signals(number).name}"
    assert said.count(told) == 1
    assert [each.text for each in notes(machine.process.records())] == [told]


def test_a_sampler_that_hangs_is_told_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "PATIENCE_SECONDS", 1.5)
    sampler = child.SamplerChild(20_000_000)
    wait_for(lambda: select.select([sampler.fd], [], [], 0)[0])  # its first word
    (pid,) = children_named(b"vutrace.rings.sampler")
    list(sampler.take())
    sampler.send(Frame(0, 0, 1, Channel.MAIN, Side.FRONTEND, message(2, bytes(8))))
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: (sampler.look(), sampler.fd < 0)[1])
    (told,) = sampler.ended()
    assert told.text == "rings are not sampled any more: it did not answer for 1.5 s"
    assert not Path(f"/proc/{pid}").exists()
    assert list(sampler.ended()) == []


def children_named(words: bytes) -> list[int]:
    """Our own children whose command line says that."""
    pids = (pid for each in Path("/proc/self/task").glob("*/children") for pid in each.read_text().split())
    return [int(pid) for pid in pids if words in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_the_sampler_ends_with_the_proxy_however_that_ends(machine: Machine) -> None:
    machine.wait_sample(1)
    sampler = machine.sampler()
    os.kill(machine.child.pid, signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{sampler}").exists())


def rings_verb(*words: str) -> subprocess.CompletedProcess[str]:
    """`vutrace rings`, as users run it."""
    return subprocess.run([sys.executable, "-m", "vutrace", "rings", *words], capture_output=True, text=True)


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Machine]:
    """A machine whose proxy does not look into rings, and whose capture has no name."""
    machine = Machine(tmp_path, ())
    yield machine
    machine.close()


def test_rings_of_a_running_session_are_looked_at_from_outside(plain: Machine) -> None:
    transmit = plain.ring(1)
    transmit.make([0, 1, 2])
    os.eventfd_write(plain.frontend.device.notifiers.fd("kick", 1), 5)
    ran = rings_verb(str(plain.process.place / "front"), "--interval", "100ms", "--json")
    assert ran.returncode == 0, ran.stderr
    receive, send = json.loads(ran.stdout)[0]["rings"]
    assert (receive["in_flight"], receive["kicks"]) == (0, 0)
    assert (send["available"], send["used"], send["in_flight"], send["kicks"]) == (3, 0, 3, 5)
    assert send["oldest"]["head"] == 0
    lines = rings_verb(str(os.getpid()), "--interval", "100ms", "--width", "200").stdout.splitlines()
    assert lines[0] == "connection A, session 1:"
    assert lines[-1].split()[:8] == ["1", "tx0", "3", "0", "0/s", "3", "of", "256"]


@pytest.mark.parametrize("target", ["1", "/nowhere"])
def test_a_process_or_socket_of_no_session_is_told(plain: Machine, target: str) -> None:
    ran = rings_verb(target)
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"vutrace: {target}: no running vutrace proxy has a session of that process")
    assert ran.stderr.count("\n") == 1
