"""The whole proxy: pairs of endpoints, one loop, one recorder, and what follows the capture."""

import gc
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, count
from types import FrameType
from typing import TYPE_CHECKING

from vutrace.capture.target import Target, is_regular, open_target
from vutrace.capture.temporary import ELSEWHERE, nameless
from vutrace.proxy.encoder import Encoder
from vutrace.proxy.loop import Loop
from vutrace.proxy.notes import Notes
from vutrace.proxy.pair import Pair
from vutrace.proxy.recorder import Recorder
from vutrace.proxy.writer import Writer
from vutrace.records import Side
from vutrace.sockets.endpoints import Endpoint, Source, open_pairs

if TYPE_CHECKING:
    from vutrace.proxy.viewer import Viewer

WRITE_SECONDS = 10.0  # that a slow disk gets at the end
VIEW_SECONDS = 2.0  # that a slow viewer gets
GARBAGE = 5000  # objects between two collections: those of some tens of sessions
OK, UNREACHABLE = 0, 4


class Show(StrEnum):
    """What happens with the capture while it grows."""

    ROWS = "rows"  # shown on stdout by a child
    BOARD = "board"  # the same, as the board of rings
    BYTES = "bytes"  # copied to stdout by a child
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Options:
    """What `vutrace proxy` was asked for; `write` is a path, "" for none. Times are seconds.

    `device` is what the user says is traced, `dissectors` are files for who shows it.
    """

    pairs: Sequence[tuple[Endpoint, Endpoint]]
    write: str = ""
    show: Show = Show.ROWS
    wait: float = 0.0
    socket_mode: int = 0o600
    messages: int | None = None
    duration: float | None = None
    device: str = ""
    dissectors: Sequence[str] = ()


class Relay:
    """Relays in `run` until `stop`, between `sources` or those of the options, opened when it is made.

    Raises EndpointError or OSError; then nothing is left open.
    """

    def __init__(self, options: Options, sources: Sequence[tuple[Source, Source]] = ()) -> None:
        self._options = options
        sources = sources or open_pairs(options.pairs, options.socket_mode)
        try:
            self._fd = _open_capture(options)
        except OSError:
            for source in chain(*sources):
                source.close()
            raise
        self._notes = Notes(held=options.show is Show.BOARD and in_place() and os.isatty(2))
        self._writer = self._make_writer()
        self._loop = Loop(self._notes.tell)
        self._encoder = Encoder(
            self._writer, options.messages, self._loop.stop, self._notes.tell, options.device
        )
        self._recorder = Recorder(self._encoder, self._loop.remind)
        numbers = count()
        self._pairs = [
            Pair(
                self._loop,
                self._recorder,
                dict(zip(Side, both, strict=True)),
                (str(names[0]), str(names[1])),
                numbers,
                options.wait,
                self._pair_spent,
                self._notes.tell,
            )
            for both, names in zip(sources, options.pairs, strict=True)
        ]
        self._spent = 0
        self._signal = 0

    def _make_writer(self) -> Writer | None:
        if self._fd is None:
            return None
        path = self._options.write
        target = Target(self._fd, path, self._notes.tell) if path and is_regular(path) else None
        return Writer(self._fd, self._recording_failed, target)

    def stop(self) -> None:
        """Make `run` return; from any thread."""
        self._loop.stop()

    def own_process(self) -> None:
        """Have the process to itself: a signal stops `run`, which then returns 128 and its number."""
        # A full collection in the middle of a handshake would show in its latencies. What is here now stays;
        # messages leave no cycles, sessions do.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GARBAGE)
        # A shell ignores SIGINT for what it starts with &; whoever sends it means it. nohup means it too.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._on_signal)

    def run(self) -> int:
        """Relay until something stops it; the exit status."""
        viewer = None
        try:
            for pair in self._pairs:
                pair.start()
            if self._options.duration is not None:
                self._loop.later(self._options.duration, self._loop.stop)
            viewer = self._start_viewer()
            self._loop.run()
        finally:
            self._close(viewer)
        return self._status()

    def _start_viewer(self) -> "Viewer | None":
        if self._fd is None or self._options.show is Show.NOTHING:
            return None
        # Imported here, when it listens already: the child takes its time anyway.
        from vutrace.proxy.viewer import Viewer, board_command, copy_command, show_command

        commands = {Show.ROWS: show_command, Show.BOARD: board_command, Show.BYTES: copy_command}
        shows = self._options.show is not Show.BYTES
        words = [word for path in self._options.dissectors if shows for word in ("--dissector", path)]
        try:
            return Viewer(commands[self._options.show], self._fd, words)
        except OSError as error:  # no process or descriptor is left for it: the relay needs none
            what = "shown" if shows else "written to stdout"
            self._notes.tell(f"nothing is {what}: {error.strerror or error} (see ulimit -a)")
            return None

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signal = number
        self._loop.stop()

    def _recording_failed(self, error: OSError) -> None:
        why = error.strerror or str(error)
        place = "" if self._options.write else f" ({ELSEWHERE})"
        self._notes.tell(
            f"RECORDING STOPPED: {why}{place}. The capture is whole up to here;"
            " the session goes on unrecorded"
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
        elif lost := writer.lost + self._encoder.lost:
            self._notes.tell(f"{lost} records are not in the capture")


def in_place() -> bool:
    """Whether the board is drawn in place."""
    return os.isatty(1) and os.environ.get("TERM") != "dumb"


def _open_capture(options: Options) -> int | None:
    if options.write:
        return open_target(options.write)
    if options.show is Show.NOTHING:
        return None
    return nameless()
