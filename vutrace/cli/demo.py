"""`vutrace demo`: only wiring. The players are in `vutrace.peers`."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from vutrace.cli.errors import UsageError

EXAMPLES = """Examples:

\b
  vutrace demo                                      QEMU 2.10 boots a guest with 20 queue pairs
  vutrace demo --restart                            its back-end is killed and restarted: no features phase
  vutrace demo --queues 2 --enabled 2 --front-end qemu-10
  vutrace demo --front-end virtio-user --rows       every message
  vutrace demo -w demo.pcapng && vutrace queues demo.pcapng
"""


def demo(
    queues: Annotated[int, typer.Option(min=1, max=128, help="Queue pairs that are configured.")] = 20,
    enabled: Annotated[int, typer.Option(min=1, help="Queue pairs that the guest enables.")] = 1,
    front_end: Annotated[
        str, typer.Option(metavar="PROFILE", help="qemu-2.10, qemu-7.2, qemu-10 or virtio-user.")
    ] = "qemu-2.10",
    restart: Annotated[bool, typer.Option("--restart", help="Kill and restart the back-end.")] = False,
    write: Annotated[
        str,
        typer.Option(
            "-w", "--write", metavar="FILE", help="Keep the capture in this file.", show_default=False
        ),
    ] = "",
    rows: Annotated[bool, typer.Option("--rows", help="Also show every message.")] = False,
) -> None:
    """See vutrace at work on model ends: real protocol, real sockets, nothing to install."""
    from vutrace.capture.temporary import directory as temporary_directory
    from vutrace.peers import PROFILES
    from vutrace.peers.scene import Play, ProxyEndedError, record

    if front_end not in PROFILES:
        raise UsageError(f"--front-end {front_end}: there are {', '.join(PROFILES)}")
    if enabled > queues:
        raise UsageError(f"--enabled {enabled}: there are only {queues} queue pairs")
    play = Play(PROFILES[front_end], queues, enabled, restart)
    # a short path: a socket's may have 107 bytes only
    with temporary_directory() as directory:
        capture = write or str(Path(directory) / "demo.pcapng")
        try:
            record(play, directory, capture)
        except ProxyEndedError as error:
            raise typer.Exit(error.status) from None
        raise typer.Exit(view(capture, rows))


demo.__doc__ = f"{demo.__doc__}\n\n{EXAMPLES}"


def view(capture: str, rows: bool) -> int:
    # As the user would, so that this shows what the verbs show.
    verbs = ["show", "timeline"] if rows else ["timeline"]
    return max(subprocess.call([sys.executable, "-m", "vutrace", verb, capture]) for verb in verbs)
