"""strace on a program that already runs: started, read line by line, and ended so that nothing is left."""

import ctypes
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from vutrace.errors import PEER, VutraceError
from vutrace.evidence.conversations import Item
from vutrace.evidence.strace import CALLS, StraceReader
from vutrace.records import Event, EventKind, Side
from vutrace.sockets.process import command_of, read_proc

OPTIONS = ("-f", "-yy", "-xx", "-ttt", "-s", "65536", "-e", "signal=none", "-e", f"trace={','.join(CALLS)}")
SET_DEATH_SIGNAL = 1  # prctl
PATIENCE = 5.0  # seconds that strace may take to let go
MISSING = "strace is not installed; it is what looks into a program that already runs"
NOT_SEEN = (
    "what passed before is not known: the features, the memory, how rings were set up. "
    "It shows when the ends reconnect"
)


class AttachError(VutraceError):
    """A program that cannot be looked into: one line why, and what to do."""

    status = PEER


class AttachedStrace:
    """strace on process `pid`, all its threads; a context manager, at whose end it has let go."""

    def __init__(self, pid: int) -> None:
        program = shutil.which("strace")
        if program is None:
            raise AttachError(MISSING)
        self.pid = pid
        self._process = subprocess.Popen(
            [program, *OPTIONS, "-o", "/dev/stdout", "-p", str(pid)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="surrogateescape",
            start_new_session=True,  # Ctrl-C is ours alone: we ask it to let go
            preexec_fn=end_with_parent,
        )

    def __enter__(self) -> "AttachedStrace":
        return self

    def __exit__(self, *_: object) -> None:
        self.detach()

    def items(self) -> Iterator[Item]:
        """What the program says on its vhost-user sockets, until it ends. Raises AttachError."""
        assert self._process.stdout
        reader = StraceReader()
        for line in self._process.stdout:
            for item in reader.take(line):
                yield described(item, self.pid)
        if not reader.calls and self._process.wait() != 0:
            raise AttachError(self._why())

    def detach(self) -> None:
        """Let go of the program, which goes on as if nothing had been; what strace still says is not read."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self._process.communicate(timeout=PATIENCE)
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()

    def _why(self) -> str:
        """strace's reason, in our words where it is one of the two usual."""
        assert self._process.stderr
        told = self._process.stderr.read().strip().splitlines()
        reason = told[-1].removeprefix("strace: ") if told else "strace ended at once"
        if "not permitted" in reason:
            return (
                f"process {self.pid}: not permitted; root may, or its owner where "
                "/proc/sys/kernel/yama/ptrace_scope is 0, and nobody while another tracer is attached"
            )
        if "No such process" in reason:
            return f"process {self.pid}: there is none"
        return f"process {self.pid}: {reason}"


def end_with_parent() -> None:
    """In the child: strace lets go when we are killed, too."""
    ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, signal.SIGINT)


def described(item: Item, pid: int) -> Item:
    """The item; the first event of a session with the program's name and command line."""
    if not isinstance(item, Event) or item.kind not in (EventKind.OPEN, EventKind.NOTE):
        return item
    side = next((side for side in Side if f"{side}_pid" in item.attributes), None)
    if side is None:
        return item
    name = read_proc(pid, "comm").strip() or str(pid)
    told = {f"{side}_pid": str(pid), f"{side}_name": name, f"{side}_command": command_of(pid)}
    return replace(item, attributes={**item.attributes, **told})
