"""extcap: "vhost-user proxy" among Wireshark's interfaces, with its options; starts and stops from there.

Wireshark calls with --extcap-interfaces, --extcap-dlts, --extcap-config, or --capture. A capture is a
`vutrace proxy` whose bytes go to Wireshark's pipe; when Wireshark stops it, the relay ends, and so do
the connections that it relays. Source: Wireshark's doc/extcap.4.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn

from vutrace import __version__
from vutrace.errors import USAGE, VutraceError
from vutrace.proxy.options import DEVICE, IN_DIALOG, Option

if TYPE_CHECKING:
    from vutrace.dissection.registry import Registry

INTERFACE = "vhost-user"
LINK_TYPE = "252"
CALLS = ("--extcap-interfaces", "--extcap-dlts", "--extcap-config", "--capture")


class ExtcapError(VutraceError):
    """A call that cannot be answered; the text says what is missing."""

    status = USAGE


def parser() -> argparse.ArgumentParser:
    """The words that Wireshark calls with; it may know more of them than we do."""
    made = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for flag in CALLS:
        made.add_argument(flag, action="store_true")
    for option in ("--extcap-interface", "--extcap-version", "--fifo", "--listen", "--connect"):
        made.add_argument(option, default="")
    for shared in IN_DIALOG:
        made.add_argument(shared.call, default="")
    return made


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """What is asked; ExtcapError where a value is missing."""
    try:
        return parser().parse_known_args(arguments)[0]
    except argparse.ArgumentError as error:
        raise ExtcapError(str(error)) from None


def answer(arguments: Sequence[str], load: "Callable[[], Registry]") -> Iterator[str]:
    """The lines that answer a call; `--capture` does not return. Only the dialog needs the devices, which
    take a while to load.
    """
    asked = parse(arguments)
    if asked.extcap_interface not in ("", INTERFACE):
        raise ExtcapError(f"--extcap-interface {asked.extcap_interface}: there is only {INTERFACE}")
    if asked.capture:
        capture(asked)
    elif asked.extcap_interfaces:
        yield from interfaces()
    elif asked.extcap_dlts:
        yield f"dlt {{number={LINK_TYPE}}}{{name=WIRESHARK_UPPER_PDU}}{{display=vhost-user}}"
    elif asked.extcap_config:
        yield from config(load())
    else:
        raise ExtcapError(f"extcap needs one of {', '.join(CALLS)}; see its --help")


def static(registry: "Registry") -> dict[str, list[str]]:
    """The calls whose answer is always the same."""
    return {
        words[-1]: list(answer(words, lambda: registry))
        for words in (
            ["--extcap-interfaces"],
            ["--extcap-interface", INTERFACE, "--extcap-dlts"],
            ["--extcap-interface", INTERFACE, "--extcap-config"],
        )
    }


def interfaces() -> Iterator[str]:
    yield f"extcap {{version={__version__}}}{{display=vutrace}}"
    yield f"interface {{value={INTERFACE}}}{{display=vhost-user proxy}}"


def config(registry: "Registry") -> Iterator[str]:
    """The options in Wireshark's dialog."""
    yield argument(0, "--listen", "Front-end side", "string", "Socket that the front-end connects to", True)
    yield argument(1, "--connect", "Back-end side", "string", "Socket that the back-end listens on", True)
    for number, option in enumerate(IN_DIALOG, start=2):
        kind = "selector" if option is DEVICE else "string"
        yield argument(number, option.call, option.label, kind, tooltip(option))
        yield from values(number, registry) if option is DEVICE else ()


def tooltip(option: Option) -> str:
    """What an option means, and what it is if nothing is entered."""
    return f"{option.help.removesuffix('.')}; {option.default} if empty" if option.default else option.help


def values(number: int, registry: "Registry") -> Iterator[str]:
    """The devices to choose from."""
    yield f"value {{arg={number}}}{{value=}}{{display=find out}}{{default=true}}"
    for device in registry.devices:
        yield f"value {{arg={number}}}{{value={device.name}}}{{display={device.name}}}{{default=false}}"


def argument(number: int, call: str, display: str, kind: str, about: str, required: bool = False) -> str:
    """One option."""
    words = {"number": number, "call": call, "display": display, "type": kind, "tooltip": about}
    words |= {"required": "true"} if required else {}
    return "arg " + "".join(f"{{{name}={value}}}" for name, value in words.items())


def capture(asked: argparse.Namespace) -> NoReturn:
    """Become the proxy, whose capture goes to Wireshark's pipe by way of a process that judges it.

    OSError when the pipe cannot be opened.
    """
    if not asked.fifo or not asked.listen or not asked.connect:
        raise ExtcapError("--capture needs --fifo, --listen and --connect")
    pipe = os.open(asked.fifo, os.O_WRONLY)
    command = [sys.executable, "-m", "vutrace", "proxy", asked.listen, asked.connect, "-w", "-"]
    for option in IN_DIALOG:
        value = getattr(asked, option.key)
        command += [option.call, value] if value else []
    judging = [sys.executable, "-m", "vutrace", "wireshark", "findings", "-"]
    # In a session of its own, it outlives a Ctrl-C until the proxy has said its last.
    judge = subprocess.Popen(judging, stdin=subprocess.PIPE, stdout=pipe, start_new_session=True)
    assert judge.stdin
    os.dup2(judge.stdin.fileno(), sys.stdout.fileno())
    os.execv(sys.executable, command)
