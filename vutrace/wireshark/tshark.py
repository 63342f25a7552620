"""tshark: where it is, how it is run, what it says when it does not like something.

Where vutrace is root, tshark is not: see unprivileged.py.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vutrace.errors import USAGE, VutraceError
from vutrace.wireshark import unprivileged

# A file that was opened for tshark, in its words.
HANDED = re.compile(r'file "/proc/self/fd/\d+"|standard input')
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


def command() -> list[str]:
    """The words that tshark's arguments follow; ToolMissingError."""
    if os.geteuid():
        return [find()]
    return [sys.executable, "-I", "-S", unprivileged.__file__, find()]


def script(folder: Path) -> Path:
    """The same as a program of its own in `folder`, for those who call tshark by its path."""
    path = folder / "tshark"
    path.write_text(f'#!/bin/sh\nexec {shlex.join(command())} "$@"\n')
    path.chmod(0o755)
    return path


def run(arguments: Sequence[str]) -> Ran:
    """Run tshark to its end."""
    ran = subprocess.run([*command(), *arguments], capture_output=True, env=environment())
    return Ran(ran.returncode, text(ran.stdout), without_greeting(text(ran.stderr)))


def environment() -> dict[str, str]:
    """The C locale: tshark's messages are looked at here, and shown among ours, which are English."""
    return {**os.environ, "LC_ALL": "C.UTF-8"}


def of_file(errors: str, path: str) -> str:
    """What tshark says of a file, by its own name also where that was handed to it."""
    return HANDED.sub(lambda _: f'file "{path}"', errors)


def without_greeting(errors: str) -> str:
    """What tshark says on stderr, but for that it runs as root."""
    return "\n".join(line for line in errors.splitlines() if not line.startswith("Running as user"))


def text(output: bytes) -> str:
    """Output as text."""
    return output.decode(errors="replace")
