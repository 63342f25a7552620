"""`vutrace attach`: what a program that already runs says on its vhost-user sockets. Only wiring."""

from typing import Annotated

import typer

from vutrace.cli.options import Color, Device, Dissectors
from vutrace.cli.output import note, refuse_output
from vutrace.views.colour import When

EXAMPLES = """Examples:

\b
  vutrace attach $(pidof dpdk-testpmd)                  rows as they pass, until Ctrl-C
  vutrace attach 4711 -w now.pcapng -q                  only record
  vutrace attach 4711 -w - | vutrace show - --json      as a capture, for any other verb
"""


def attach(
    pid: Annotated[int, typer.Argument(metavar="PID", min=1, help="The process at either end.")],
    write: Annotated[
        str, typer.Option("-w", "--write", metavar="FILE", help="Record to FILE; - is stdout.")
    ] = "",
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Show no rows.")] = False,
    device: Device = "",
    dissector: Dissectors = None,
    color: Color = When.AUTO,
) -> None:
    """Show the vhost-user messages of a running program with strace; then detach."""
    from vutrace.cli.printers import shower
    from vutrace.cli.reading import load_dissectors
    from vutrace.cli.replay import interruptible, writing
    from vutrace.evidence.attached import NOT_SEEN, AttachedStrace
    from vutrace.session.tracker import Tracker

    refuse_output(write, quiet, board=False)
    show = shower(quiet or write == "-", color)
    tracker = Tracker(load_dissectors(dissector), device)
    with interruptible(), AttachedStrace(pid) as strace, writing(write, "") as sink:
        note(f"attached to process {pid}; {NOT_SEEN}")
        for item in strace.items():
            sink(item)
            for row in tracker.rows([item]):
                show(row)
        silent = "" if tracker.connections else "; it said nothing on a vhost-user socket"
        note(f"process {pid} has ended{silent}")


attach.__doc__ = f"{attach.__doc__}\n\n{EXAMPLES}"
