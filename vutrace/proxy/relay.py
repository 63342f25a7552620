"""The whole proxy: pairs of endpoints, one loop, one recorder, and what follows the capture."""

import gc
import itertools
import os
import resource
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import FrameType
from typing import TYPE_CHECKING

from vutrace.proxy.endpoints import Endpoint, EndpointError, Source, open_source
from vutrace.proxy.loop import Loop
from vutrace.proxy.notes import Notes
from vutrace.proxy.pair import Pair
from vutrace.proxy.recorder import Recorder
from vutrace.proxy.writer import Writer
from vutrace.records import Side

if TYPE_CHECKING:
    from vutrace.proxy.viewer import Viewer

WRITE_SECONDS = 10.0  # that a slow disk gets at the end
VIEW_SECONDS = 2.0  # that a slow viewer gets
TIDY_SECONDS = 30.0
OK, UNREACHABLE = 0, 4


class Show(StrEnum):
    """What happens with the capture while it grows."""

    ROWS = "rows"  # shown on stdout by a child
    BYTES = "bytes"  # copied to stdout by a child
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Options:
    """What `vutrace proxy` was asked for; `write` is a path, "" for none. Times are seconds."""

    pairs: Sequence[tuple[Endpoint, Endpoint]]
    write: str = ""
    show: Show = Show.ROWS
    wait: float = 0.0
    socket_mode: int = 0o600
    messages: int | None = None
    duration: float | None = None


class Relay:
    """Listens from the moment it is made (EndpointError where it cannot), relays in `run` until `stop`."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._sources = _open_sources(options)
        self._fd = _open_capture(options)
        self._notes = Notes()
        self._writer = Writer(self._fd, self._recording_failed) if self._fd is not None else None
        self._loop = Loop()
        self._recorder = Recorder(self._writer, options.messages, self._loop.stop)
        numbers = itertools.count()
        self._pairs = [
            Pair(
                self._loop,
                self._recorder,
                sources,
                (str(names[0]), str(names[1])),
                numbers,
                options.wait,
                self._pair_spent,
                self._notes.tell,
            )
            for sources, names in zip(self._sources, options.pairs, strict=True)
        ]
        self._spent = 0
        self._signal = 0

    def stop(self) -> None:
        """Make `run` return; from any thread."""
        self._loop.stop()

    def own_process(self) -> None:
        """Have the process to itself: a signal stops `run`, which then returns 128 and its number."""
        _allow_many_descriptors()
        # A collection in the middle of a handshake would show in its latencies; nothing here makes cycles
        # but errors, so that now and then is enough.
        gc.collect()
        gc.freeze()
        gc.disable()
        self._loop.later(TIDY_SECONDS, self._tidy)
        # A shell ignores SIGINT for what it starts with &; whoever sends it means it. nohup means it too.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._on_signal)

    def run(self) -> int:
        """Relay until something stops it; the exit status."""
        for pair in self._pairs:
            pair.start()
        if self._options.duration is not None:
            self._loop.later(self._options.duration, self._loop.stop)
        viewer = self._start_viewer()
        try:
            self._loop.run(self._recorder)
        finally:
            self._close(viewer)
        return self._status()

    def _tidy(self) -> None:
        gc.collect()
        self._loop.later(TIDY_SECONDS, self._tidy)

    def _start_viewer(self) -> "Viewer | None":
        if self._fd is None or self._options.show is Show.NOTHING:
            return None
        # Imported here, when it listens already: the child takes its time anyway.
        from vutrace.proxy.viewer import Viewer, copy_command, show_command

        command = copy_command if self._options.show is Show.BYTES else show_command
        return Viewer(command, self._fd)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signal = number
        self._loop.stop()

    def _recording_failed(self, error: OSError) -> None:
        why = error.strerror or str(error)
        self._notes.tell(
            f"RECORDING STOPPED: {why}. The capture is whole up to here; the session goes on unrecorded"
        )

    def _pair_spent(self) -> None:
        self._spent += 1
        if self._spent == len(self._pairs):
            self._loop.stop()

    def _status(self) -> int:
        if self._signal:
            return 128 + self._signal
        unreached = self._spent and not all(pair.reached for pair in self._pairs)
        return UNREACHABLE if unreached else OK

    def _close(self, viewer: "Viewer | None") -> None:
        for pair in self._pairs:
            pair.close("vutrace stopped")
        self._recorder.close()
        if self._writer:
            self._close_writer(self._writer)
        if viewer and (trouble := viewer.close(VIEW_SECONDS)):
            self._notes.tell(trouble)
        self._loop.close()
        self._notes.close()

    def _close_writer(self, writer: Writer) -> None:
        if not writer.close(WRITE_SECONDS):
            self._notes.tell("the capture's disk is too slow: the end of the capture is missing")
        elif writer.lost:
            self._notes.tell(f"{writer.lost} records are not in the capture")


def _open_sources(options: Options) -> list[dict[Side, Source]]:
    opened: list[dict[Side, Source]] = []
    try:
        for frontend, backend in options.pairs:
            sources: dict[Side, Source] = {}
            opened.append(sources)
            for side, endpoint in ((Side.FRONTEND, frontend), (Side.BACKEND, backend)):
                sources[side] = open_source(endpoint, options.socket_mode)
    except EndpointError:
        for sources in opened:
            for source in sources.values():
                source.close()
        raise
    return opened


def _allow_many_descriptors() -> None:
    # 253 in one message, of several connections at once, are more than the usual soft limit has room for.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _open_capture(options: Options) -> int | None:
    if options.write:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        return os.open(options.write, flags, 0o600)
    if options.show is Show.NOTHING:
        return None
    # Without a name: nothing is left behind, however this process ends.
    return os.open(os.environ.get("TMPDIR") or "/tmp", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
