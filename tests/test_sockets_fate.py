"""What has become of a process: asked of real ones."""

import fcntl
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from vutrace.sockets.fate import doing, exit_code, fate, has_ended, open_process


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing for long."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        time.sleep(0.2)
        yield process
        process.kill()


def test_one_that_lives_runs_and_waits(sleeper: subprocess.Popen[bytes]) -> None:
    pidfd = open_process(sleeper.pid)
    assert fate(sleeper.pid, pidfd) == "running"
    assert doing(sleeper.pid, pidfd).startswith("waits in ")
    os.close(pidfd)


def test_one_that_is_stopped_is_told_so(sleeper: subprocess.Popen[bytes]) -> None:
    pidfd = open_process(sleeper.pid)
    sleeper.send_signal(signal.SIGSTOP)
    time.sleep(0.1)
    assert fate(sleeper.pid, pidfd) == "stopped"
    assert doing(sleeper.pid, pidfd) == "is stopped (T)"
    os.close(pidfd)


@pytest.mark.parametrize("waited", [False, True])
@pytest.mark.parametrize(
    ("how", "told"), [(signal.SIGKILL, "killed 9"), (signal.SIGTERM, "killed 15"), (None, "exited 3")]
)
def test_one_that_ended_tells_how(how: signal.Signals | None, told: str, waited: bool) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input(); raise SystemExit(3)"], stdin=subprocess.PIPE)
    pidfd = open_process(process.pid)
    if how is None:
        assert process.stdin
        process.stdin.write(b"\n")
        process.stdin.close()
    else:
        process.send_signal(how)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    if waited:
        process.wait()
        if exit_code(pidfd) is None:
            told = "gone"  # before Linux 6.15 nobody tells any more
    assert fate(process.pid, pidfd) == told
    assert doing(process.pid, pidfd) == ("is gone" if told == "gone" else f"is gone: {told}")
    process.wait()
    os.close(pidfd)


def test_nothing_is_told_of_a_process_that_nobody_knows() -> None:
    assert open_process(0) == -1
    assert fate(0, -1) == ""
    assert doing(0, -1) == ""


def test_a_process_is_watched_by_a_descriptor_of_any_number() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    pidfd = os.pidfd_open(os.getpid())
    high = fcntl.fcntl(pidfd, fcntl.F_DUPFD_CLOEXEC, 1030)
    try:
        assert not has_ended(high, 0)
    finally:
        os.close(pidfd)
        os.close(high)
