"""Rows of a capture that a Wireshark display filter lets through."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vutrace.cli.errors import UsageError

if TYPE_CHECKING:
    from vutrace.capture import Reader
    from vutrace.dissection.registry import Registry
    from vutrace.matching.matcher import Chooser
    from vutrace.records import Channel, Connection, Side
    from vutrace.session.row import Row
    from vutrace.views.annotated import AnnotatedRow

Wanted = Callable[[], bool]
Frames = set[int] | None


def frames_of_filter(file: str, display_filter: str, registry: "Registry", device: str) -> Frames:
    """The frame numbers that a filter lets through, None for all; FilterError, ToolMissingError."""
    from vutrace.wireshark.display_filter import matching as ask

    return ask(file, display_filter, registry, device) if display_filter else None


def filter_of(reader: "Reader", frames: Frames) -> Wanted:
    """Whether the record that `reader` gave last is among the frames.

    The reader's counts tell its frame number, because a frame may be a packet that is not vutrace's.
    """
    if frames is None:
        return lambda: True
    reader.ahead = 1
    return lambda: reader.records + reader.skipped in frames


def filter_rows(reader: "Reader", frames: Frames, rows: "Iterator[Row]") -> "Iterator[Row]":
    """The rows that a filter lets through."""
    through = filter_of(reader, frames)
    return (row for row in rows if through())


@contextmanager
def seekable(file: str, again: bool) -> Iterator[str]:
    """The path of a capture; a compressed one, and stdin, is kept plain to be read `again`, by tshark too."""
    from vutrace.capture.unpack import is_compressed

    if not again or (file != "-" and not is_compressed(file)):
        yield file
        return
    from vutrace.capture import CaptureError
    from vutrace.capture.reader import file_chunks
    from vutrace.capture.temporary import directory, temporary
    from vutrace.capture.unpack import opened

    with directory() as folder:
        path = Path(folder) / "plain.pcapng"
        with temporary(), path.open("wb") as kept:
            kept.writelines(opened(file_chunks(file)))
        try:
            yield str(path)
        except CaptureError as error:
            raise CaptureError(str(error).replace(str(path), file)) from None


def display_filter_of(
    display_filter: str, file: str, reader: "Reader", registry: "Registry", device: str, follow: bool = False
) -> Wanted:
    """Whether the filter lets the record through that `reader` gave last; UsageError while it grows."""
    if display_filter and follow:
        raise UsageError("-Y needs a whole capture; --message, --ring, --channel and --from can follow one")
    return filter_of(reader, frames_of_filter(file, display_filter, registry, device))


class FilteredRows:
    """A capture's rows as they are seen, of those that a filter lets through; `path` is the capture's."""

    def __init__(self, path: str, reader: "Reader", rows: "Iterable[AnnotatedRow]", through: Wanted) -> None:
        self.path, self._reader, self._rows, self._through = path, reader, rows, through

    def with_connections(
        self, wanted: "Chooser", opens: bool = False
    ) -> "Iterator[AnnotatedRow | Connection]":
        """The wanted rows, each connection before its first; `opens`: sessions' first, too."""
        from vutrace.views.annotated import begins_session

        told = 0
        for shown in self._rows:
            yield from self._reader.connections[told:]
            told = len(self._reader.connections)
            chosen = self._through() and wanted.wants(shown.row)
            if chosen or (opens and begins_session(shown.row)):
                yield shown


@contextmanager
def open_filtered(
    file: str,
    display_filter: str,
    registry: "Registry",
    device: str,
    everything: bool = False,
    again: bool = False,
) -> "Iterator[FilteredRows]":
    """The judged rows of a capture, those that a filter lets through.

    `everything`: infos, too; `again`: it is to be read once more, from the rows' `path`.
    """
    from vutrace.capture import read
    from vutrace.cli.reading import judged, noting, track
    from vutrace.session.tracker import Tracker
    from vutrace.views.annotated import Annotator

    with seekable(file, again or bool(display_filter)) as path:
        reader = read(path)
        through = display_filter_of(display_filter, path, reader, registry, device)
        tracker = Tracker(registry, device)
        rows = judged(noting(file, reader, track(reader, tracker)), everything)
        yield FilteredRows(path, reader, Annotator(tracker.connections).annotate_all(rows), through)


def row_filter(
    registry: "Registry",
    names: list[str] | None = None,
    ring: str = "",
    channel: "Channel | None" = None,
    sender: "Side | None" = None,
    text: str = "",
) -> "Chooser":
    """The plain filters."""
    from vutrace.matching.grammar import parse_match
    from vutrace.matching.matcher import Chooser
    from vutrace.matching.names import messages_called

    matcher = parse_match(text, registry)
    if names:
        called = messages_called(names, registry)
        matcher = replace(matcher, messages=matcher.messages & called if matcher.messages else called)
    if ring.isdecimal():
        matcher = replace(matcher, rings=frozenset({int(ring)}), ring_names=frozenset())
    elif ring:
        matcher = replace(matcher, ring_names=frozenset({ring}), rings=frozenset())
    return Chooser(replace(matcher, channel=channel or matcher.channel, sender=sender or matcher.sender))
