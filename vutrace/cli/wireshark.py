"""`vutrace wireshark`: the plug-in, where it belongs, and the program behind Wireshark's interface list."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vutrace.cli.output import note, put, say

if TYPE_CHECKING:
    from vutrace.dissection.registry import Registry

EXAMPLES = """Examples:

\b
  vutrace wireshark install                     the plug-in and the interface "vhost-user proxy"
  vutrace wireshark install --uninstall
  vutrace wireshark lua > vhost_user.lua        then: tshark -X lua_script:vhost_user.lua -r start.pcapng
  vutrace proxy front.sock back.sock -w - | wireshark -k -i -
"""
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

Dissectors = Annotated[
    list[Path] | None,
    typer.Option("--dissector", metavar="FILE.py", help="A dissector to put in.", show_default=False),
]


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


@app.command("install")
def install(
    uninstall: Annotated[bool, typer.Option("--uninstall", help="Take away what was installed.")] = False,
    dissector: Dissectors = None,
) -> None:
    """Put the plug-in and the extcap program where the installed Wireshark looks."""
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
