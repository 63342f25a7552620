"""tshark: where it is, what it says when it does not like something."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from vutrace.errors import USAGE, VutraceError

INSTALL = "tshark is not installed; on Debian and Ubuntu: apt-get install tshark"


class ToolMissingError(VutraceError):
    """A program or package that is needed is not installed; the text says how to get it."""

    status = USAGE


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run of tshark ended; `errors` is stderr without what it says at every start."""

    status: int
    output: str
    errors: str


def find() -> str:
    """The path of tshark; ToolMissingError when there is none."""
    path = shutil.which("tshark")
    if path is None:
        raise ToolMissingError(INSTALL)
    return path


def run(arguments: Sequence[str]) -> Ran:
    """Run tshark to its end."""
    # The C locale: its messages are looked at here, and shown among ours, which are English.
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    ran = subprocess.run([find(), *arguments], capture_output=True, env=environment)
    errors = [line for line in text(ran.stderr).splitlines() if not line.startswith("Running as user")]
    return Ran(ran.returncode, text(ran.stdout), "\n".join(errors))


def text(output: bytes) -> str:
    """Output as text."""
    return output.decode(errors="replace")
