"""`vutrace wireshark`: the plug-in, where it belongs, and the program behind Wireshark's interface list."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from vutrace.cli.options import CaptureFile, Device, Dissectors, Output, ReadFile
from vutrace.cli.output import note, put, say

if TYPE_CHECKING:
    from vutrace.dissection.registry import Registry

EXAMPLES = """Examples:

\b
  vutrace wireshark open start.pcapng           in Wireshark, with the plug-in and all findings
  vutrace wireshark install                     the plug-in and the interface "vhost-user proxy"
  vutrace wireshark install --uninstall
  vutrace wireshark lua > vhost_user.lua        then: tshark -X lua_script:vhost_user.lua -r start.pcapng
  vutrace proxy front.sock back.sock -w - | wireshark -k -i -
  vutrace proxy front.sock back.sock -w - | vutrace wireshark findings - | wireshark -k -i -
"""
PRIVATE = 0o600  # of a file that is new: all that the capture has is in it
CALLS = """Wireshark calls it so, once `vutrace wireshark install` was run:

\b
  --extcap-interfaces                             the interface, "vhost-user proxy"
  --extcap-interface vhost-user --extcap-dlts     its link type
  --extcap-interface vhost-user --extcap-config   its options
  --extcap-interface vhost-user --capture --fifo PIPE --listen FRONTEND --connect BACKEND
      [--device NAME] [--wait SECONDS] [--socket-mode MODE]
                                                  a proxy that records into the pipe
"""
app = typer.Typer(help="Wireshark: the plug-in that dissects captures, and live capture.", epilog=EXAMPLES)


def load_registry() -> "Registry":
    """The installed devices."""
    from vutrace.dissection.registry import load

    return load()


@app.command("lua")
def lua(dissector: Dissectors = None) -> None:
    """Print the plug-in, one self-contained Lua file, with the devices of all installed dissectors."""
    from vutrace.cli.reading import load_dissectors
    from vutrace.wireshark.plugin import plugin

    put("-", [plugin(load_dissectors(dissector))])


@app.command("findings")
def findings(
    file: CaptureFile = None,
    read: ReadFile = None,
    output: Output = "-",
    device: Device = "",
    dissector: Dissectors = None,
) -> None:
    """Write a capture that includes the findings of the rules, which the plug-in shows as expert information.

    From a pipe, each record is written at once; findings that need the end of the capture are then left out.
    """
    from vutrace.capture import create
    from vutrace.capture import read as open_reader
    from vutrace.cli.filtering import seekable
    from vutrace.cli.reading import choose_capture, is_live, load_dissectors, refuse_overwrite
    from vutrace.wireshark.findings import judged_live, with_findings

    source = choose_capture(file, read)
    refuse_overwrite(source, output)
    registry = load_dissectors(dissector)
    if is_live(source, follow=False):
        with create(output) as live:
            for piece in judged_live(open_reader(source), registry, device):
                live.write(piece)
        return
    with seekable(source, again=True) as path:
        put(output, with_findings(path, registry, device), PRIVATE)


@app.command("open", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def open_(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The capture; - is stdin.")],
    device: Device = "",
    dissector: Dissectors = None,
) -> None:
    """Open a capture in Wireshark with the plug-in and all findings; further arguments go to Wireshark."""
    from vutrace.cli.filtering import seekable
    from vutrace.cli.reading import load_dissectors
    from vutrace.wireshark.opening import open_in_wireshark

    with seekable(file, again=True) as path:
        raise typer.Exit(open_in_wireshark(path, context.args, load_dissectors(dissector), device))


@app.command("install")
def install(
    uninstall: Annotated[bool, typer.Option("--uninstall", help="Remove what was installed.")] = False,
    dissector: Dissectors = None,
) -> None:
    """Install the plug-in and the extcap program where Wireshark looks for them."""
    from vutrace.cli.reading import load_dissectors
    from vutrace.wireshark import install as files

    registry = load_dissectors(dissector)
    for line in files.uninstall(registry) if uninstall else files.install(registry):
        say([line])
    if not uninstall and not os.geteuid():
        note(files.AS_ROOT)


@app.command(
    "extcap",
    epilog=CALLS,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
def extcap(context: typer.Context) -> None:
    """Answer Wireshark, which calls this to offer "vhost-user proxy" among its interfaces."""
    from vutrace.wireshark.extcap import answer

    for line in answer(context.args, load_registry):
        say([line])
