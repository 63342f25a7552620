"""`vutrace scrub`: a capture without what is private, to be given away. Only wiring."""

from typing import Annotated

import typer

from vutrace.cli.errors import UsageError
from vutrace.cli.options import Device, Dissectors
from vutrace.cli.output import note, refuse_output, tell

EXAMPLES = """Examples:

\b
  vutrace scrub start.pcapng for-the-list.pcapng        and a list of what was replaced
  vutrace scrub start.pcapng - --keep paths | vutrace show -
  vutrace scrub start.pcapng out.pcapng --keep macs --keep names
"""


def scrub(
    file: Annotated[str, typer.Argument(metavar="IN", help="A capture; - is stdin.")],
    output: Annotated[str, typer.Argument(metavar="OUT", help="The capture to write; - is stdout.")],
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT",
            help="Do not replace paths, names, arguments, macs, addresses, keys, uuids, texts, opaque.",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Do not list what was replaced.")] = False,
    device: Device = "",
    dissector: Dissectors = None,
) -> None:
    """Replace private data in a capture; rows, timelines, check and diff stay the same."""
    from vutrace.capture import connection_block, record_block, section_block
    from vutrace.capture.writer import append, create
    from vutrace.cli.reading import load_dissectors, noting, open_capture, refuse_overwrite
    from vutrace.evidence.replacements import Private
    from vutrace.evidence.scrub import Scrubber, remaining
    from vutrace.records import Connection

    known = {str(each) for each in Private}
    for word in keep or ():
        if word not in known:
            raise UsageError(f"--keep {word}: one of {', '.join(known)} is needed")
    refuse_output(output, quiet=False, board=False)
    refuse_overwrite(file, output)
    reader = open_capture(file, False, None)
    items = list(noting(file, reader, reader))
    scrubber = Scrubber(load_dissectors(dissector), [Private(word) for word in keep or ()])
    blocks, interfaces = [section_block(system="unknown")], dict[int, int]()
    started = min((item.time_ns for item in items if not isinstance(item, Connection)), default=0)
    for item in scrubber.scrub(items, device):
        if isinstance(item, Connection):
            interfaces[item.number] = len(interfaces)
            blocks.append(connection_block(item, started))
        else:
            blocks.append(record_block(item, interfaces[item.connection]))
    replaced = scrubber.replaced()
    with create(output) as made:
        for block in blocks:
            append(made, block)
    for each in () if quiet else replaced:
        tell(each.line)
    note(f"{len(replaced)} values were replaced; look through the list, and at vutrace show -V {output}")
    for each in remaining(replaced, b"".join(blocks)):
        note(f"still there, as part of something else: {each.line}")


scrub.__doc__ = f"{scrub.__doc__}\n\n{EXAMPLES}"
