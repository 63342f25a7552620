"""Command lines taken apart: which words of one speak of the traced socket.

A capture keeps a command line as one text with spaces between its words. The path of the socket may be
another for the process than for us: in a chroot, a container or a mount namespace. Its last part mostly is
the same, and a process that was told of one vhost-user device means that one.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from vutrace.records import Connection, Side

CHARDEV = ("-chardev", "--chardev")
CHARDEV_ID = re.compile(r'\bid"?[=:]"?([^,"}]+)')
NETDEV = ("-netdev", "--netdev")
VHOST_USER = re.compile(r"\bvhost-user\b")


class Word(NamedTuple):
    """A word of a command line and the option before it; "" where there is none."""

    option: str
    text: str

    @property
    def values(self) -> Mapping[str, str]:
        """The word as QEMU and DPDK write parameters: "a,b=c", or a JSON object; "" is the first without a
        key.
        """
        return values_of(self.text)


@lru_cache(256)
def values_of(text: str) -> Mapping[str, str]:
    """The parameters of a word; a boolean is "on" or "off"."""
    if text.startswith("{"):
        return from_json(text)
    first, *rest = text.strip("'\"").split(",")
    name, equals, value = first.partition("=")
    found = {name: value} if equals else {"": first}
    for part in rest:
        name, equals, value = part.partition("=")
        found[name] = value if equals else "on"
    return found


def from_json(text: str) -> Mapping[str, str]:
    """The top level of a JSON object; nothing where the text is none."""
    try:
        known = json.loads(text)
    except ValueError:
        return {}
    words = {True: "on", False: "off"}
    found = {key: words[value] if isinstance(value, bool) else str(value) for key, value in known.items()}
    return found | {"": found.get("driver", found.get("type", found.get("qom-type", "")))}


@lru_cache(64)
def words_of(command: str) -> tuple[Word, ...]:
    """A command line without its program; `--option=value` is a word by itself."""
    return tuple(pairs(command.split()[1:]))


def pairs(words: list[str]) -> Iterator[Word]:
    """Each word with the option before it."""
    option = ""
    for word in words:
        if word.startswith("-"):
            option, equals, _ = word.partition("=")
            if not equals:
                continue
        yield Word(option, word)


def program_of(command: str) -> str:
    """The program's name without its directory; behind a dynamic linker that was told a program, that one."""
    words = command.split()
    name = base(words[0]) if words else ""
    if name.startswith("ld-linux"):
        programs = [word.text for word in words_of(command) if "/" in word.text and word.option == ""]
        linked = [word.text for word in words_of(command) if word.option == "--library-path"]
        return base((programs or linked[1:] or [name])[0])
    return name


def base(path: str) -> str:
    """The last part of a path."""
    return path.rpartition("/")[2]


def paths_of(connection: Connection | None) -> dict[Side, str]:
    """Where each side's socket is."""
    ends = {Side.FRONTEND: connection.frontend, Side.BACKEND: connection.backend} if connection else {}
    return {side: path_of(ends.get(side, "")) for side in Side}


def paths_in(attributes: Mapping[str, str], connection: Connection | None) -> dict[Side, str]:
    """The same by the names that the two processes have for them, as an OPEN event's `attributes` tell."""
    return {side: attributes.get(f"{side}_path", path) for side, path in paths_of(connection).items()}


def path_of(endpoint: str) -> str:
    """The socket's path in "listen:PATH", "connect:PATH" or a bare PATH; "" for "fd:N"."""
    how, colon, path = endpoint.partition(":")
    if colon and how in ("listen", "connect"):
        return path
    return "" if colon and how == "fd" else endpoint


@lru_cache(64)
def relevant(command: str, path: str) -> str:
    """The part of a command line that speaks of the socket at `path`, without the path itself.

    A command that does not name the socket counts as a whole.
    """
    if not is_qemu(command):
        ours = about(command, path)
        if not ours:
            return command
        named = re.compile(rf"(?<![\w./@-])(?:[\w./@-]*/)?{re.escape(base(path))}(?![\w./-])")
        said = (named.sub("…", f"{option} {word}") for option, word in ours)
        return " ".join([program_of(command), *said])
    return " ".join(word.text for word in about(command, path) if word.option not in CHARDEV)


def is_qemu(command: str) -> bool:
    """Whether a command line has chardevs: QEMU's, which may have many devices."""
    return any(word.option in CHARDEV for word in words_of(command))


@lru_cache(64)
def about(command: str, path: str) -> tuple[Word, ...]:
    """The words that speak of the socket at `path`; of QEMU's command what hangs on the chardev of it."""
    words = words_of(command)
    if not is_qemu(command):
        named = tuple(word for word in words if mentions(word.text, path))
        return named or tuple(word for word in words if mentions(word.text, base(path), r"(?<![\w.-])"))
    devices = {word: chain(words, word) for word in words if word.option in CHARDEV}
    exact = [word for word in devices if mentions(word.text, path)]
    named = tuple(exact) or tuple(word for word in devices if ends_like(word, path))
    ours = named or tuple(word for word, on in devices.items() if any(VHOST_USER.search(w.text) for w in on))
    if len(ours) != 1:  # several devices and none of them is ours for sure
        return tuple(word for chardev in exact for word in devices[chardev])
    return devices[ours[0]]


def ends_like(chardev: Word, path: str) -> bool:
    """Whether a chardev's socket has the same last part as `path`."""
    return bool(base(path)) and base(chardev.values.get("path", "")) == base(path)


def chain(words: tuple[Word, ...], chardev: Word) -> tuple[Word, ...]:
    """A chardev, what uses it, and what uses the network device that does."""
    found = CHARDEV_ID.search(chardev.text)
    on = tuple(word for word in words if found and hangs_on(word.text, "chardev", found[1]))
    nets = [word.values.get("id", "") for word in on if word.option in NETDEV]
    cards = (word for word in words for net in nets if hangs_on(word.text, "netdev", net))
    return (chardev, *on, *cards)


def mentions(word: str, path: str, before: str = r"(?<![\w./-])") -> bool:
    """Whether a word names the path, and not one that only begins or ends like it."""
    return bool(path) and re.search(rf"{before}{re.escape(path)}(?![\w./-])", word) is not None


def hangs_on(word: str, kind: str, name: str) -> bool:
    """Whether a word of QEMU's command uses an object: chardev=ID, or "chardev":"ID" in JSON."""
    return re.search(rf'\b{kind}"?[=:]"?{re.escape(name)}(?![\w.-])', word) is not None
