"""A program that already runs is looked into by strace, and goes on when vutrace has let go."""

import re
import signal
from pathlib import Path

import pytest
from lab.captures import DIRECTORY
from lab.needs import STORAGE, needs
from lab.process import Lab, run
from lab.proxy import VUTRACE
from lab.storage import start_storage_daemon

pytestmark = [pytest.mark.live, needs(*STORAGE, "strace")]
BLK = DIRECTORY / "qemu-7.2-storage-daemon-blk.pcapng"


def tracers(pid: int) -> set[str]:
    """Who traces the threads of a process."""
    statuses = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status")]
    return {found[1] for status in statuses if (found := re.search(r"TracerPid:\s*(\d+)", status))}


def test_its_rows_are_those_of_the_conversation_and_it_goes_on(lab: Lab) -> None:
    image, path = lab.path("disk.img"), lab.path("blk.sock")
    image.write_bytes(bytes(1 << 20))
    daemon = start_storage_daemon(lab, path, image)
    made, again = lab.path("attached.pcapng"), lab.path("again.pcapng")
    attached = lab.start("attach", VUTRACE, "attach", str(daemon.pid), "-w", made)
    attached.wait_for("attached to process", 30)
    attached.wait_until(lambda: tracers(daemon.pid) != {"0"}, 30, "traces the daemon")
    play = [VUTRACE, "replay", BLK, "--as", "frontend", "--to", path, "-q", "-w"]
    lab.start("replay", *play, again).wait_exit(60)
    attached.wait_for("close: ", 30)
    assert attached.stop(signal.SIGINT) == 128 + signal.SIGINT
    assert "SET_VRING_KICK" in attached.output
    assert "device blk" in attached.output
    assert tracers(daemon.pid) == {"0"}
    assert "no difference" in run(VUTRACE, "diff", again, made)
    assert lab.start("again", *play, lab.path("third.pcapng")).wait_exit(60) in (0, 1)


def test_a_killed_vutrace_lets_go_as_well(lab: Lab) -> None:
    image, path = lab.path("disk.img"), lab.path("blk.sock")
    image.write_bytes(bytes(1 << 20))
    daemon = start_storage_daemon(lab, path, image)
    attached = lab.start("attach", VUTRACE, "attach", str(daemon.pid), "-q")
    attached.wait_until(lambda: tracers(daemon.pid) != {"0"}, 30, "traces the daemon")
    attached.stop(signal.SIGKILL)
    daemon.wait_until(lambda: tracers(daemon.pid) == {"0"}, 30, "is let go of")


def test_a_process_that_is_not_there_is_one_line(lab: Lab) -> None:
    attached = lab.start("attach", VUTRACE, "attach", "4194303")
    assert attached.wait_exit(30) == 4
    assert "process 4194303: there is none" in attached.output
