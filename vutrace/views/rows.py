"""One line per row, after btmon: direction first, then who, which ring, what, and what matters in it.

On a terminal a row has one line: its detail gives way where that is too narrow. What is wrong is never cut.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache

from vutrace.dissection.kept import Kept
from vutrace.dissection.message import Message
from vutrace.protocol.layers import Empty
from vutrace.records import (
    Channel,
    Direction,
    Event,
    EventKind,
    Frame,
    FrameFlag,
    Sample,
    Side,
    connection_letter,
)
from vutrace.views.annotated import AnnotatedRow
from vutrace.views.changes import row_words
from vutrace.views.colour import Paint, bare
from vutrace.views.descriptors import short
from vutrace.views.fitting import GAP, LEAST, NARROW, clipped, hung, shared
from vutrace.views.notes import notes_of
from vutrace.views.samples import sample_words
from vutrace.views.text import duration, happened, printable
from vutrace.views.times import WIDTH, Clock, relative

DIRECTIONS = {Side.FRONTEND: Direction.TO_BACKEND.value, Side.BACKEND: Direction.TO_FRONTEND.value}
SIDE, NOTE = Direction.SIDE_CHANNEL.value, Direction.NOTE.value
DETAIL_WIDTH = 33
letter_of = lru_cache(4096)(connection_letter)
Words = Callable[[AnnotatedRow, Message], str]

HANGING = 9  # columns that further lines of a row are indented


class Rows:
    """Annotated rows as lines.

    `clock` gives the time column of `width` characters, `paint` the colours; `columns` is how wide a line may
    be, None for as wide as it takes. `words` tells what a message says. `zone` is the clock's.
    """

    def __init__(
        self,
        clock: Clock = relative,
        width: int = WIDTH,
        paint: Paint = bare,
        columns: int | None = None,
        words: Words = row_words,
        zone: str = "",
    ) -> None:
        self.clock, self.width, self.paint, self.words = clock, width, paint, words
        self.time_heading = f"time {zone}" if zone else "time"
        self.columns = None if columns is None else max(columns, LEAST)
        self.narrow = columns is not None and columns < NARROW
        self._said: Kept[tuple[object, ...], str] = Kept()

    def heading(self) -> str:
        names = f"{'message':<21} {'':<10} {'detail':<{DETAIL_WIDTH}}{GAP}fds"
        head = f"{'#':>6}    {self.time_heading:>{self.width}} conn ring   {names}"
        if self.narrow:
            head = f"{'#':>6}    {self.time_heading:>{self.width}}   ring  message, detail, fds"
        return self.paint(head, "heading")

    def lines(self, shown: AnnotatedRow) -> Iterator[str]:
        """The row's line, and one for each note that goes with it."""
        yield from self.row_lines(shown)
        yield from self.notes(shown)

    def notes(self, shown: AnnotatedRow) -> Iterator[str]:
        """What the row gave rise to, a line each."""
        for note in notes_of(shown):
            head = (
                f"{'':>6} {NOTE:<2} {'':>{self.width}} {self.letter(shown)}{'' if self.narrow else '       '}"
            )
            for line in hung(f"{head}{note}", self.columns, len(head) + 2):
                yield self.paint(line, NOTE)

    def line(self, shown: AnnotatedRow) -> str:
        """The row alone."""
        return "\n".join(self.row_lines(shown))

    def row_lines(self, shown: AnnotatedRow) -> list[str]:
        """The row's own line; on a terminal further ones where it has problems."""
        what = shown.row.what
        return self.event(shown, what) if isinstance(what, Event) else self.message(shown, what)

    def time(self, shown: AnnotatedRow) -> str:
        """When it was, where that is known."""
        return self.clock(shown) if shown.row.timed else "?"

    def letter(self, shown: AnnotatedRow) -> str:
        what = shown.row.what
        letter = letter_of(what.connection if isinstance(what, Event) else what.frame.connection)
        return f"{letter} " if self.narrow else f"{letter:<4} "

    def event(self, shown: AnnotatedRow, event: Event) -> list[str]:
        """Something that happened."""
        style = "problem" if event.kind is EventKind.ERROR else NOTE
        head = f"{shown.row.number:>6} {NOTE:<2} {self.time(shown):>{self.width}} {self.letter(shown)}"
        head += "" if self.narrow else "      "
        first, *more = hung(f"{head}{event_words(shown, event)}", self.columns, len(head) + 2)
        line = head + self.paint(first[len(head) :], style)
        return self.with_problems(shown, [line, *(self.paint(each, style) for each in more)], len(first))

    def message(self, shown: AnnotatedRow, message: Message) -> list[str]:
        row, frame = shown.row, message.frame
        way = DIRECTIONS[frame.sender]
        glyph = way if frame.channel is Channel.MAIN else f"{SIDE}{way}"
        style = glyph[0]
        before = f" {self.time(shown):>{self.width}} {self.letter(shown)}"
        number = f"{row.number:>6} "
        place = len(number) + 2 + len(before)
        called = clipped(self.called(shown, message), None if self.columns is None else self.columns - place)
        used = place + len(called) + 1
        room = None if self.columns is None else max(self.columns - used, 0)
        linked = acknowledged(shown.answer) if shown.answer else link(shown, self.narrow)
        words, rest = shared(self.said(shown, message), [linked, descriptors_of(frame)], room)
        behind = sum(len(GAP) + len(each) for each in rest if each)
        pad = DETAIL_WIDTH if room is None else 0 if self.narrow else min(DETAIL_WIDTH, room - behind)
        text = words.ljust(pad)
        tail = "".join(
            GAP + self.paint(each, part) for each, part in zip(rest, ("", "fds"), strict=True) if each
        )
        line = f"{number}{self.paint(f'{glyph:<2}', style)}{before}{self.paint(called, style)} {text}{tail}"
        return self.with_problems(shown, [line.rstrip()], used + len(text) + behind)

    def said(self, shown: AnnotatedRow, message: Message) -> str:
        """What the message says, kept for the next of the same where nothing else decides about it."""
        if message.content is None or shown.config or message.spec.memory is not None:
            return with_unknown(message, printable(self.words(shown, message)))
        key = message.content, shown.row.context
        words = self._said.get(key)
        return self._said.keep(key, printable(self.words(shown, message))) if words is None else words

    def called(self, shown: AnnotatedRow, message: Message) -> str:
        """The ring, the message's name, and what sort of message it is."""
        ring, name = printable(shown.row.ring_name) or unnamed(message), printable(message.name)
        flag = "reply" if message.reply else "need-reply" if message.need_reply and not shown.answer else ""
        flags = message.frame.flags
        if flags and not flag and flags & FrameFlag.FLAGS_UNKNOWN:
            flag = "?"
        return f"{ring:<5} {name} {flag}".rstrip() if self.narrow else f"{ring:<6} {name:<21} {flag:<10}"

    def with_problems(self, shown: AnnotatedRow, lines: list[str], length: int) -> list[str]:
        """The lines with what is wrong behind them; below them where that is too long for the terminal."""
        if not shown.problems:
            return lines
        text = f"! {'; '.join(printable(problem.text) for problem in shown.problems)}"
        if self.columns is None or (len(lines) == 1 and length + len(GAP) + len(text) <= self.columns):
            return [*lines[:-1], f"{lines[-1]}{GAP}{self.paint(text, 'problem')}"]
        below = hung(" " * HANGING + text, self.columns, HANGING + 2)
        return [*lines, *(self.paint(each, "problem") for each in below)]


def event_words(shown: AnnotatedRow, event: Event) -> str:
    """What happened; a close tells of which socket."""
    if isinstance(event, Sample):
        return f"{event.kind}: {sample_words(shown.row)}"
    return happened(event)


def unnamed(message: Message) -> str:
    """What stands for the ring of a message: a question mark where the source did not tell which it is."""
    about, flags = message.spec.ring and message.ring is None, message.frame.flags
    return "?" if about and flags and flags & FrameFlag.PAYLOAD_UNKNOWN else "-"


def with_unknown(message: Message, words: str) -> str:
    """The words of a message, with a question mark for what the source did not tell of it."""
    flags = message.frame.flags
    if not flags or not flags & FrameFlag.PAYLOAD_UNKNOWN or message.layer is Empty:
        return words
    return f"{words}, ?" if words else "?"


def descriptors_of(frame: Frame) -> str:
    """What came along; a question mark where there may have been more."""
    told = short(frame.fds) if frame.fds else ""
    if not frame.flags or not frame.flags & FrameFlag.FDS_UNKNOWN:
        return told
    return f"{told}, ?" if told else "?"


def link(shown: AnnotatedRow, narrow: bool = False) -> str:
    """The request that a reply answers, and how long it took; or the miss that an update ends."""
    row, miss = shown.row, shown.miss
    if row.request is not None:
        name, passed = str(row.reply_to), row.latency_ns
    elif miss is not None:
        name, passed = f"miss {miss.number}", row.since_first_ns - miss.since_first_ns
    else:
        return ""
    if passed is None:
        return f"[{name}]"
    return f"[{name}] {duration(passed)}" if narrow else f"[{name}, {passed / 1e6:+.3f} ms]"


def acknowledged(answer: AnnotatedRow) -> str:
    """That a request was acknowledged, and how long it took."""
    return f"= ok, {duration(answer.row.latency_ns or 0)}"
