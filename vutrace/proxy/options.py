"""The options of `vutrace proxy` that Wireshark's dialog offers as well, each declared here only."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Option:
    """An option with a value: its name, its value in the help, what it means, and its label in a dialog."""

    call: str
    metavar: str
    help: str
    label: str
    default: str = ""

    @property
    def key(self) -> str:
        """Its name in a program."""
        return self.call.removeprefix("--").replace("-", "_")


DEVICE = Option(
    "--device",
    "NAME",
    "The device (net, blk, ...), if it is not recognised.",
    label="Device",
)
WAIT = Option("--wait", "S", "Seconds that one side may wait for the other.", label="Wait (s)", default="0")
SOCKET_MODE = Option(
    "--socket-mode", "MODE", "Mode of the sockets, in octal.", label="Mode of sockets", default="600"
)
IN_DIALOG = (DEVICE, WAIT, SOCKET_MODE)
