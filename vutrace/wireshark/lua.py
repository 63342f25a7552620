"""Python values as Lua table constructors."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

Value: TypeAlias = "bool | int | str | Sequence[Value] | Mapping[str, Value] | Mapping[int, Value] | None"

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
PLAIN = re.compile(r"[ !#-\[\]-~]")
KEYWORDS = frozenset({"and", "do", "else", "end", "for", "function", "if", "in", "local", "nil", "not", "or"})
WIDTH = 100


class Code(str):
    """Lua that stands as it is where a value is expected."""

    __slots__ = ()


def literal(value: object, indent: str = "") -> str:
    """`value` as Lua: short tables on one line, longer ones an entry a line. TypeError for other types."""
    if isinstance(value, Mapping | list | tuple):
        return table(value, indent)
    return scalar(value)


def scalar(value: object) -> str:
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return str(value) if isinstance(value, Code) else quoted(value)
    raise TypeError(f"no Lua for a {type(value).__name__}")


def quoted(text: str) -> str:
    """A Lua string; bytes beyond printable ASCII as decimal escapes."""
    return '"' + "".join(map(escaped, text)) + '"'


def escaped(character: str) -> str:
    if PLAIN.match(character):
        return character
    return "".join(f"\\{byte:03d}" for byte in character.encode("utf-8", "surrogateescape"))


def table(value: object, indent: str) -> str:
    deeper = indent + "  "
    entries = list(entry_lines(value, deeper))
    line = "{ " + ", ".join(entries) + " }" if entries else "{}"
    if len(line) + len(indent) <= WIDTH and "\n" not in line:
        return line
    return "{\n" + "".join(f"{deeper}{entry},\n" for entry in entries) + indent + "}"


def entry_lines(value: object, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if item is not None:
                yield f"{key_of(key)} = {literal(item, indent)}"
    elif isinstance(value, list | tuple):
        yield from (literal(item, indent) for item in value)


def key_of(key: object) -> str:
    if isinstance(key, str) and NAME.fullmatch(key) and key not in KEYWORDS:
        return key
    return f"[{literal(key)}]"
