"""Starts the process of the taps for a relay; nothing heavy is loaded here."""

import marshal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence

from vutrace.errors import PEER, USAGE, VutraceError
from vutrace.proxy.interest import Interest, Numbers, Way
from vutrace.proxy.taps import Taps
from vutrace.records import Channel, Side

STOP_SECONDS = 3.0


class RuleError(VutraceError):
    """Rules or scripts that cannot be used; the text says why."""

    status = USAGE


class TapError(VutraceError):
    """The process of the taps did not start."""

    status = PEER


def launch(wanted: Mapping[str, Sequence[str] | str]) -> Taps:
    """The taps for what is wanted (see `vutrace.tap.work`); RuleError, TapError."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    words = [sys.executable, "-m", "vutrace.tap.server", str(theirs.fileno())]
    # What a script prints is for the user; on stdout there may be rows, or a capture.
    typed = None if wanted.get("intercept") else subprocess.DEVNULL
    child = subprocess.Popen(words, stdin=typed, stdout=2, pass_fds=[theirs.fileno()])
    theirs.close()
    ours.send(marshal.dumps(dict(wanted)))
    answer = ours.recv(1 << 20)
    if not answer:
        child.wait()
        raise TapError(f"the rules' process ended with status {child.returncode}")
    what, *rest = marshal.loads(answer)
    if what == "error":
        child.wait()
        raise RuleError(rest[0])
    names, asked, told = rest
    return Taps(ours, names, Interest(directions(asked), directions(told)), lambda: stop(child))


def directions(ways: Sequence[tuple[str, str, list[int] | None]]) -> dict[Way, Numbers]:
    """As the relay wants them."""
    return {
        (Channel(channel), Side(sender)): None if numbers is None else frozenset(numbers)
        for channel, sender, numbers in ways
    }


def stop(child: "subprocess.Popen[bytes]") -> None:
    """Wait for its end, for a while."""
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
