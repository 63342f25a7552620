"""Puts the plug-in and the extcap program where the installed Wireshark looks, and takes them away.

Only files that vutrace wrote are overwritten or removed: they begin with its mark.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vutrace.dissection.registry import Registry
from vutrace.errors import UNREADABLE, VutraceError
from vutrace.wireshark import extcap
from vutrace.wireshark.plugin import FILE_NAME, MARK, plugin

LUA_FOLDER = "Personal Lua Plugins"
# Wireshark 4.0 has only the second.
EXTCAP_FOLDERS = ("Personal Extcap path", "Extcap path")
DEFAULT_LUA_FOLDER = "~/.local/lib/wireshark/plugins"
EXTCAP_NAME = "vutrace"
MARK_WITHIN = 100

# What Wireshark asks at its start, of every program and more than once, is answered before Python has begun.
EXTCAP_PROGRAM = """#!/bin/sh
#{mark}: makes "vhost-user proxy" one of Wireshark's interfaces.
call= before=
for word in "$@"; do
  case $word in
  --capture) call=; break ;;
  --extcap-interface=*) [ "${{word#*=}}" = {interface} ] || {{ call=; break; }} ;;
  {calls}) call=$word ;;
  esac
  [ "$before" != --extcap-interface ] || [ "$word" = {interface} ] || {{ call=; break; }}
  before=$word
done
case $call in
{answers}esac
exec {python} -m vutrace wireshark extcap "$@"
"""
ANSWER = """{call})
  printf '%s\\n' {lines}
  exit ;;
"""

AS_ROOT = (
    "Wireshark 4.4 and later load no plug-in when root runs them: install as the user who runs Wireshark, too"
)

WITHOUT_LUA = "tshark -X lua_script:FILE takes what `vutrace wireshark lua` prints"
WITHOUT_EXTCAP = "WIRESHARK_EXTCAP_DIR can name a folder of your own, here and for Wireshark"


class InstallError(VutraceError):
    """Nothing could be done."""

    status = UNREADABLE


@dataclass(frozen=True, slots=True)
class Placed:
    """One file that vutrace keeps for Wireshark: where, what, its mode, and what to do without it."""

    path: Path
    content: str
    mode: int
    without: str


def folders() -> dict[str, str]:
    """Wireshark's folders by the names that `tshark -G folders` gives them; none when it is not installed."""
    for program in ("tshark", "wireshark"):
        if shutil.which(program):
            ran = subprocess.run([program, "-G", "folders"], capture_output=True, text=True)
            lines = (line.partition(":") for line in ran.stdout.splitlines())
            return {name.strip(): folder.strip() for name, _, folder in lines if folder.strip()}
    return {}


def files(registry: Registry) -> Iterator[Placed]:
    """What is to be installed; no extcap program where Wireshark has no folder for one."""
    known = folders()
    lua = Path(known.get(LUA_FOLDER, DEFAULT_LUA_FOLDER)).expanduser()
    yield Placed(lua / FILE_NAME, plugin(registry), 0o644, WITHOUT_LUA)
    folder = next((known[name] for name in EXTCAP_FOLDERS if name in known), None)
    if folder:
        yield Placed(Path(folder) / EXTCAP_NAME, extcap_program(registry), 0o755, WITHOUT_EXTCAP)


def extcap_program(registry: Registry) -> str:
    """A shell script that knows what does not change."""
    known = extcap.static(registry)
    answers = (ANSWER.format(call=call, lines=shlex.join(lines)) for call, lines in known.items())
    return EXTCAP_PROGRAM.format(
        mark=MARK.removeprefix("--"),
        interface=extcap.INTERFACE,
        calls=" | ".join(known),
        answers="".join(answers),
        python=shlex.quote(sys.executable),
    )


def install(registry: Registry) -> Iterator[str]:
    """Write the files; says of each what was done, or why not."""
    return each(files(registry), put)


def uninstall(registry: Registry) -> Iterator[str]:
    """Remove the files; says of each what was done, or why not."""
    return each(files(registry), remove)


def each(placed: Iterator[Placed], do: Callable[[Placed], str]) -> Iterator[str]:
    """Do it with every file; one that cannot be written does not keep the others, none is an InstallError."""
    done = 0
    for file in placed:
        try:
            yield do(file)
            done += 1
        except OSError as error:
            yield f"{file.path}: left out: {error.strerror}; {file.without}"
    if not done:
        raise InstallError("nothing of it could be written")


def put(file: Placed) -> str:
    """Write one file, whole or not at all."""
    there = file.path.exists()
    if there and not is_ours(file.path):
        return f"{file.path}: left alone, vutrace did not write it"
    file.path.parent.mkdir(parents=True, exist_ok=True)
    new = file.path.with_name(f".{file.path.name}.new")
    new.write_text(file.content, encoding="utf-8")
    new.chmod(file.mode)
    os.replace(new, file.path)
    return f"{file.path}: {'updated' if there else 'installed'}"


def remove(file: Placed) -> str:
    """Remove one file."""
    if not file.path.exists():
        return f"{file.path}: not there"
    if not is_ours(file.path):
        return f"{file.path}: left alone, vutrace did not write it"
    file.path.unlink()
    return f"{file.path}: removed"


def is_ours(path: Path) -> bool:
    """Whether vutrace wrote a file."""
    with path.open("rb") as file:
        return MARK.removeprefix("--").encode() in file.read(MARK_WITHIN)
