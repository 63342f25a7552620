"""The whole proxy: pairs of endpoints, one loop, one recorder, and what follows the capture."""

import gc
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import chain, count
from types import FrameType
from typing import TYPE_CHECKING

from vutrace.capture.target import open_target
from vutrace.capture.temporary import nameless
from vutrace.errors import PEER
from vutrace.proxy.child import PipeEnds
from vutrace.proxy.loop import READ, EventLoop
from vutrace.proxy.notes import Notes
from vutrace.proxy.pair import Pair
from vutrace.proxy.place_watch import InsertedSource
from vutrace.proxy.recorder import Bounds, Recorder
from vutrace.proxy.recording import Plan, Recording
from vutrace.records import Side
from vutrace.sockets.endpoints import Endpoint, Source, open_pairs
from vutrace.sockets.insertion import give_back_for

if TYPE_CHECKING:
    from vutrace.proxy.counting import Counting
    from vutrace.proxy.taps import Taps
    from vutrace.proxy.viewer import Viewer

VIEW_SECONDS = 2.0  # that a slow viewer gets to show the rest
LEAST_VIEW_SECONDS, LONG_SECONDS = 0.3, 0.5  # what it gets if the end of the capture took so long
TOGETHER_SECONDS = 0.2  # signals that come so close are one: timeout(1) sends two
GARBAGE = 5000  # objects between two collections: those of some tens of sessions
OK, UNREACHABLE = 0, PEER
BUFFER, SPOOL = 256 << 20, 1 << 30  # bytes
STALL = 1.0  # seconds that a reply may take without a note
# What waits takes more room than its bytes, and so does what is at work: a quarter of the buffer on the way
# to the disk, an eighth on the way to the recording process, the rest for Python.
TO_DISK, TO_RECORD = 4, 8


class LiveView(StrEnum):
    """What happens with the capture while it grows."""

    ROWS = "rows"  # shown on stdout by a child
    BOARD = "board"  # the same, as the board of rings
    BYTES = "bytes"  # copied to stdout by a child
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Options:
    """What `vutrace proxy` was asked for; `write` is a path, "" for none. Times are seconds.

    `show_on` is the descriptor that rows go to. `device` is what the user says is traced, `dissectors` are
    files for who shows it. `buffer` is bytes of memory, `spool` of disk where there is no file to write; when
    it is full, messages are counted instead of recorded, or (`full_waits`) their senders wait. A reply that
    takes `stall` seconds makes a note (0: none).
    `view` are options for who shows the rows, `taps` the rules that act, if there are any.
    Every `rings` seconds (0: never) rings are looked at; `payload` is what is kept of what goes through them
    (a word of `rings.payload_kinds`, "" for nothing) and bytes of each packet. `count_kicks`: eventfds are
    replaced, so that kicks and calls are counted.
    `orphaned` are called by a process that outlives it, should the relay be killed.
    """

    pairs: Sequence[tuple[Endpoint, Endpoint]]
    write: str = ""
    show: LiveView = LiveView.ROWS
    show_on: int = 1
    wait: float = 0.0
    socket_mode: int = 0o600
    messages: int | None = None
    duration: float | None = None
    device: str = ""
    dissectors: Sequence[str] = ()
    buffer: int = BUFFER
    spool: int = SPOOL
    full_waits: bool = False
    stall: float = STALL
    view: Sequence[str] = ()
    taps: "Taps | None" = None
    rings: float = 0.0
    payload: tuple[str, int] = ("", 0)
    count_kicks: bool = False
    orphaned: Sequence[Callable[[], None]] = ()


class Relay:
    """Relays in `run` until `stop`, between `sources` or those of the options, opened when it is made.

    Raises EndpointError or OSError; then nothing is left open.
    """

    def __init__(self, options: Options, sources: Sequence[tuple[Source, Source]] = ()) -> None:
        self._options = options
        sources = sources or open_pairs(options.pairs, options.socket_mode)
        try:
            self._fd = open_capture(options)
            self._open(sources)
        except BaseException:
            for source in chain(*sources):
                source.close()
            raise

    def _open(self, sources: Sequence[tuple[Source, Source]]) -> None:
        options = self._options
        places = [source.place.path for source in chain(*sources) if isinstance(source, InsertedSource)]
        self._orphaned: list[Callable[[], None]] = [
            *(partial(give_back_for, path) for path in places),
            *options.orphaned,
        ]
        self._loop = EventLoop(self._tell)
        bounds = Bounds(options.buffer // TO_RECORD, options.full_waits, options.messages, self._loop.stop)
        self._counting = counting(self._loop, self._tell) if options.count_kicks else None
        # First of all: there should be no thread yet when a process is made.
        self._recorder = Recorder(self._record, self._loop, self._tell, self._fd is not None, bounds)
        self._notes = Notes(held=options.show is LiveView.BOARD and in_place() and os.isatty(2))
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
                self._tell,
                options.taps,
                self._counting,
            )
            for both, names in zip(sources, options.pairs, strict=True)
        ]
        self._spent = 0
        self._signal = 0
        self._signals = 0
        self._signalled = -TOGETHER_SECONDS
        self._owns_process = False

    @property
    def sessions(self) -> int:
        """How many there were."""
        return sum(pair.sessions for pair in self._pairs)

    def stop(self) -> None:
        """Make `run` return; from any thread."""
        self._loop.stop()

    def stop_after(self, fd: int, seconds: float, following: Callable[[], int] = lambda: -1) -> None:
        """Stop so many seconds after `fd` became readable: a process that ended, and what it sent before.

        `following` may then name another descriptor to wait for; -1 is none.
        """

        def over() -> None:
            more = following()
            if more < 0:
                self._loop.stop()
            else:
                self.stop_after(more, seconds, following)

        def ended(_mask: int = 0) -> None:
            self._loop.forget(fd)
            self._loop.later(seconds, over)

        self._loop.watch(fd, READ, ended, ended)

    def own_process(self) -> None:
        """Have the process to itself: a signal stops `run`, which then returns 128 and its number."""
        self._owns_process = True
        self._loop.hear_signals()
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
        if self._fd is None or self._options.show is LiveView.NOTHING:
            return None
        # Imported here, when it listens already: the child takes its time anyway.
        from vutrace.proxy.viewer import Viewer, board_command, copy_command, show_command

        commands = {LiveView.ROWS: show_command, LiveView.BOARD: board_command, LiveView.BYTES: copy_command}
        shows = self._options.show is not LiveView.BYTES
        words = [word for path in self._options.dissectors if shows for word in ("--dissector", path)]
        words += self._options.view if shows else ()
        try:
            keys = self._options.show is LiveView.BOARD and not self._options.taps  # which may ask there
            return Viewer(commands[self._options.show], self._fd, words, self._options.show_on, keys)
        except OSError as error:  # no process or descriptor is left for it: the relay needs none
            what = "shown" if shows else "written to stdout"
            self._notes.tell(f"nothing is {what}: {error.strerror or error} (see ulimit -a)")
            return None

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signal = self._signal or number
        now = time.monotonic()
        if now - self._signalled > TOGETHER_SECONDS:
            self._signals += 1
            self._signalled = now
        self._loop.stop()

    def _tell(self, text: str) -> None:
        self._notes.tell(text)

    def _record(self, ends: PipeEnds, keeps: bool) -> None:
        """What the recording process does."""
        plan = None
        if keeps and self._fd is not None:
            options = self._options
            bounds = options.buffer // TO_DISK, options.spool, options.full_waits
            rings = int(options.rings * 1e9), options.payload, self._counting.table if self._counting else -1
            plan = Plan(self._fd, options.write, options.device, *bounds, options.stall, *rings)
        Recording(ends, plan, self._orphaned).run()

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
        heard, began = self._signals, time.monotonic()

        def hurry() -> bool:
            return self._signals > heard

        for pair in self._pairs:
            pair.close("vutrace stopped")
        if self._options.taps:
            for name in self._options.taps.close():
                self._tell(f"never matched: {name}")
        if self._counting:
            self._counting.close()
        left = self._recorder.close(hurry)
        seconds = LEAST_VIEW_SECONDS if time.monotonic() - began > LONG_SECONDS else VIEW_SECONDS
        if viewer and (trouble := viewer.close(seconds, hurry)):
            self._notes.tell(trouble)
        self._loop.close()
        self._notes.close()
        if not left and self._owns_process:
            let_go_of_output()


def let_go_of_output() -> None:
    """Who reads our output should see its end, although a process that shares our descriptors hangs."""
    nothing = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    for fd in (1, 2):
        os.dup2(nothing, fd)


def in_place() -> bool:
    """Whether the board is drawn in place."""
    return os.isatty(1) and os.environ.get("TERM") != "dumb"


def counting(loop: EventLoop, tell: Callable[[str], None]) -> "Counting":
    """Who counts kicks and calls; only imported where that is wanted."""
    from vutrace.proxy.counting import Counting

    return Counting(loop, tell)


def open_capture(options: Options) -> int | None:
    if options.write:
        return open_target(options.write)
    if options.show is LiveView.NOTHING:
        return None
    return nameless()
