"""`vutrace export`: a capture for other programs."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vutrace.cli.errors import UsageError
from vutrace.cli.options import (
    CaptureFile,
    Device,
    DisplayFilter,
    Dissectors,
    Messages,
    OneChannel,
    OneRing,
    Output,
    PlainFilter,
    ReadFile,
    Secrets,
    Sender,
)
from vutrace.cli.output import put
from vutrace.records import Connection

if TYPE_CHECKING:
    from vutrace.dissection.registry import Registry
    from vutrace.views.annotated import AnnotatedRow

EXAMPLES = """Examples:

\b
  vutrace export start.pcapng -o plain.pcapng             readable in Wireshark without the plug-in
  vutrace export start.pcapng -o start.csv                the suffix selects the format
  vutrace export start.pcapng --format json | jq '.[0]'
  vutrace export start.pcapng -o ring0.pcapng --ring 0    a part of it
"""
PRIVATE, SHARED = 0o600, 0o666  # of a file that is new; less the umask
PCAPNG = "wireshark"
SUFFIXES = {".pcapng": PCAPNG, ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}
COLUMNS = [
    "number",
    "time",
    "connection",
    "session",
    "channel",
    "sender",
    "kind",
    "name",
    "ring",
    "ring_name",
]
COLUMNS += [
    "reply",
    "need_reply",
    "size",
    "reply_to",
    "latency",
    "phase",
    "loop",
    "detail",
    "fds",
    "problems",
]

AnnotatedRows = Iterable["AnnotatedRow | Connection"]


def export(
    file: CaptureFile = None,
    read: ReadFile = None,
    output: Output = "-",
    format_: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="wireshark, json, jsonl or csv.")
    ] = "",
    display_filter: DisplayFilter = "",
    message: Messages = None,
    ring: OneRing = "",
    channel: OneChannel = None,
    sender: Sender = None,
    filter_: PlainFilter = "",
    device: Device = "",
    dissector: Dissectors = None,
    secrets: Secrets = False,
) -> None:
    """Write a capture for other programs: Wireshark without a plug-in, JSON, CSV.

    The result still contains the peers' command lines and file paths.
    """
    from vutrace.cli.filtering import open_filtered, row_filter
    from vutrace.cli.reading import choose_capture, load_dissectors, refuse_overwrite

    name = format_ or SUFFIXES.get(Path(output).suffix.lower(), "")
    if name not in (PCAPNG, *WRITERS):
        told = f"--format {format_}" if format_ else f"-o {output} does not tell the format; --format"
        raise UsageError(f"{told}: one of {', '.join((PCAPNG, *WRITERS))} is needed")
    source = choose_capture(file, read)
    refuse_overwrite(source, output)
    registry = load_dissectors(dissector)
    wanted = row_filter(registry, message, ring, channel, sender, filter_)
    everything = name in ("json", "jsonl")  # as `show --json`
    pcapng = name == PCAPNG
    with open_filtered(source, display_filter, registry, device, everything, again=pcapng) as rows:
        # A capture of a part keeps what tells the device, by which rings are named.
        passed = begin(rows.with_connections(wanted, opens=pcapng))
        write = partial(wireshark, rows.path, registry, device) if pcapng else WRITERS[name]
        put(output, write(passed, secrets), PRIVATE if secrets else SHARED)


export.__doc__ = f"{export.__doc__}\n\n{EXAMPLES}"


def begin(rows: AnnotatedRows) -> AnnotatedRows:
    """The same, the first of them there already: what cannot be read is told before anything is written."""
    rest = iter(rows)
    return chain(list(islice(rest, 1)), rest)


def wireshark(
    path: str, registry: "Registry", device: str, rows: AnnotatedRows, secrets: bool
) -> Iterator[bytes]:
    """pcapng, with what is found in the whole capture."""
    from vutrace.wireshark.export import export_blocks
    from vutrace.wireshark.findings import found_in

    return export_blocks(rows, found_in(path, registry, device), secrets)


def jsonl(rows: AnnotatedRows, secrets: bool) -> Iterator[bytes]:
    """As `vutrace show --json`."""
    from vutrace.views.json_lines import JsonLines

    lines = JsonLines(secrets).lines
    for shown in rows:
        if not isinstance(shown, Connection):
            yield from (f"{line}\n".encode() for line in lines(shown))


def json(rows: AnnotatedRows, secrets: bool) -> Iterator[bytes]:
    """The same objects as one array."""
    before = b"[\n"
    for line in jsonl(rows, secrets):
        yield before + line.rstrip(b"\n")
        before = b",\n"
    yield b"[]\n" if before == b"[\n" else b"\n]\n"


def csv(rows: AnnotatedRows, secrets: bool) -> Iterator[bytes]:
    """A table with a heading; what a row says stands in `detail`."""
    from csv import DictWriter
    from io import StringIO
    from json import loads

    from vutrace.dissection.message import Message
    from vutrace.outgoing import cell
    from vutrace.views.changes import words_of
    from vutrace.views.descriptors import short
    from vutrace.views.json_lines import JsonLines

    text = StringIO()
    writer = DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    lines = JsonLines(secrets).lines
    for shown in rows:
        if isinstance(shown, Connection):
            continue
        what, made = shown.row.what, loads(next(iter(lines(shown))))
        made["detail"] = words_of(shown, what) if isinstance(what, Message) else what.text
        made["fds"] = short(what.frame.fds) if isinstance(what, Message) else ""
        made["problems"] = "; ".join(made["problems"])
        writer.writerow({key: cell(each) if isinstance(each, str) else each for key, each in made.items()})
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


WRITERS: dict[str, Callable[[AnnotatedRows, bool], Iterator[bytes]]] = {
    "json": json,
    "jsonl": jsonl,
    "csv": csv,
}
