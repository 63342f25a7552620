"""What tshark's users type out of habit: taken where it means something here, else answered in a line."""

from typing import Annotated

import typer

from vutrace.cli.errors import UsageError

TYPES = ("json", "jsonl", "ek", "fields", "text", "tabs")
OutputType = Annotated[
    str, typer.Option("-T", metavar="json|fields|text", help="As in tshark; fields prints those given by -e.")
]
FieldNames = Annotated[
    list[str] | None,
    typer.Option(
        "-e",
        metavar="NAME",
        help="With -T fields: a key of --json, as name, ring_name, latency or fields.num; may be repeated.",
        show_default=False,
    ),
]
LineBuffered = Annotated[bool, typer.Option("-l", help="Flush each line, also into a pipe.")]
NoNames = Annotated[bool, typer.Option("-n", hidden=True)]
Quiet = Annotated[bool, typer.Option("-q", hidden=True)]
Statistics = Annotated[list[str] | None, typer.Option("-z", hidden=True)]
SomeDetails = Annotated[str, typer.Option("-O", hidden=True)]
Writes = Annotated[str, typer.Option("-w", hidden=True)]


def refuse_tshark(quiet: bool, statistics: list[str] | None, details: str, writes: str) -> None:
    """UsageError for an option that another verb answers."""
    if statistics or quiet:
        option = f"-z {statistics[0]}" if statistics else "-q"
        raise UsageError(f"{option}: show prints rows; vutrace stats FILE counts, and tells latencies")
    if details:
        raise UsageError(f"-O {details}: -V is everything about each message, --message NAME chooses some")
    if writes:
        raise UsageError(f"-w {writes}: show writes no capture; vutrace export FILE -o {writes} does")


def as_json(output_type: str, names: list[str] | None, json: bool, other: bool) -> bool:
    """Whether the output is JSON; UsageError for options that exclude each other. `other`: -V, -x."""
    if output_type and output_type not in TYPES:
        raise UsageError(f"-T {output_type}: json, fields or text is needed")
    fields = output_type == "fields"
    if fields != bool(names):
        raise UsageError("-T fields needs -e NAME" if fields else "-e NAME goes with -T fields")
    wanted = json or output_type in ("json", "jsonl", "ek")
    if (wanted or fields) and other:
        raise UsageError("-V and -x are for rows: JSON has everything in it")
    if json and fields:
        raise UsageError("one of --json and -T fields")
    return wanted
