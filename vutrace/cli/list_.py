"""`vutrace list`: the tables that everything else is derived from."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vutrace.cli.options import Dissectors
from vutrace.cli.output import columns, say

if TYPE_CHECKING:
    from vutrace.dissection.registry import Registry

EXAMPLES = """Examples:

\b
  vutrace list messages                    number, layouts, reply and descriptor rules of every message
  vutrace list messages --json | jq -r 'select(.ring).name'
  vutrace list features --device net       all bits, those of virtio-net among them
  vutrace list devices                     what the installed dissectors know
  vutrace list dissectors --dissector my.py
  vutrace list fields | grep guest_address
  vutrace list rules --json | jq -r 'select(.severity == "error").name'
"""

app = typer.Typer(
    help=f"Messages, feature bits, devices, dissectors, fields and rules.\n\n{EXAMPLES}",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]


@app.command(short_help="Numbers, layouts, reply and descriptor rules.")
def messages(json: Json = False, dissector: Dissectors = None) -> None:
    """Every message: number, layouts with their sizes, when it is answered, descriptors, gate, ring.

    "once" is the QEMU version since which it is sent once per device, "since" the one that brought it.
    """
    from vutrace.views import listing

    output(listing.messages(registry_of(dissector)), json)


@app.command(short_help="Protocol, virtio and device feature bits.")
def features(
    device: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Also list this device's virtio bits; may be repeated."),
    ] = None,
    json: Json = False,
    dissector: Dissectors = None,
) -> None:
    """Every bit: protocol features, virtio features, device status, GPU protocol features."""
    from vutrace.views import listing

    registry = registry_of(dissector)
    output(listing.features([registry.device(name) for name in device or []]), json)


@app.command(short_help="What the installed dissectors know.")
def devices(json: Json = False, dissector: Dissectors = None) -> None:
    """Every device with a dissector: virtio id, feature bits, configuration space, names of rings."""
    from vutrace.views import listing

    output(listing.devices(registry_of(dissector)), json)


@app.command(short_help="Where each comes from, what it covers, and which failed to load.")
def dissectors(json: Json = False, dissector: Dissectors = None) -> None:
    """Every dissector: where it is from, what it claims; and those that failed, with the reason."""
    from vutrace.views import listing

    output(listing.dissectors(registry_of(dissector)), json)


@app.command(short_help="Every field: type, offset, size, meaning.")
def fields(json: Json = False, dissector: Dissectors = None) -> None:
    """Every field of every layer: type, offset and size in bytes, meaning."""
    from vutrace.views import listing

    output(listing.fields(registry_of(dissector)), json)


@app.command(short_help="The rules of check.")
def rules(json: Json = False, dissector: Dissectors = None) -> None:
    """Every rule: severity, the spec's section, what it means, what to do, and who is known to break it."""
    from vutrace.rules.catalogue import rules
    from vutrace.views.findings.pages import listed

    output(listed(rules(registry_of(dissector).devices).values()), json)


def registry_of(files: list[Path] | None) -> "Registry":
    """The installed dissectors and those in `files`."""
    from vutrace.dissection.registry import load

    return load(files or [])


def output(lines: Iterable[Mapping[str, Any]], json: bool) -> None:
    """A table, or an object per line."""
    if json:
        from json import dumps

        say(dumps(line) for line in lines)
        return
    from vutrace.views.tables import table

    known = list(lines)
    headers = list(known[0]) if known else []
    say(table([cells(line, headers) for line in known], headers, "plain", columns()))


def cells(line: Mapping[str, Any], headers: Iterable[str]) -> list[str]:
    """A line as text: nothing for what is absent or false."""
    return [cell(line.get(header)) for header in headers]


def cell(value: Any) -> str:
    if value is True:
        return "yes"
    if value is None or value is False:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
