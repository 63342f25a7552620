"""Chosen values of each row, with tabs between, after tshark's -T fields; by the keys of JSON."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from vutrace.errors import USAGE, VutraceError
from vutrace.views.annotated import AnnotatedRow
from vutrace.views.json_lines import JsonLines

PREFIX = "vhost_user."
# Wireshark's names of what we call otherwise.
OTHERWISE = {
    "frame.number": "number",
    "frame.time_relative": "time",
    "frame.time_epoch": "time_ns",
    "message": "name",
    "response_to": "reply_to",
    "detail": "names",
}


class UnknownKeyError(VutraceError):
    """No row has a value of that name."""

    status = USAGE


class FieldLines:
    """Values by their names: a key, or keys with dots between as in fields.num."""

    def __init__(self, names: Sequence[str], secrets: bool = False) -> None:
        self._objects = JsonLines(secrets)
        self._paths = [path_of(name) for name in names]

    def heading(self) -> Iterator[str]:
        """Nothing, as with tshark."""
        return iter(())

    def lines(self, shown: AnnotatedRow) -> Iterator[str]:
        """The row's line."""
        for text in self._objects.lines(shown):
            made = json.loads(text)
            made.pop("schema", None)  # what all rows have
            for path in self._paths:
                if path[0] not in made and path[0] not in SOMETIMES:
                    raise UnknownKeyError(f"-e {'.'.join(path)}: there is {', '.join(made)}")
            yield "\t".join(words(value_at(made, path)) for path in self._paths)


SOMETIMES = ("device", "notes", "endpoints", "miss", "rest", "text", "acted")


def path_of(name: str) -> list[str]:
    """The keys that lead to a value."""
    known = OTHERWISE.get(name) or OTHERWISE.get(name.removeprefix(PREFIX)) or name.removeprefix(PREFIX)
    return known.split(".")


def value_at(made: Any, path: Sequence[str]) -> Any:
    """The value, of a list each one's; None where there is none."""
    for i, key in enumerate(path):
        if isinstance(made, list):
            return [value_at(each, path[i:]) for each in made]
        made = made.get(key) if isinstance(made, dict) else None
    return made


def words(value: Any) -> str:
    """A value in one word; nothing for none."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ",".join(map(words, value))
    return str(value) if isinstance(value, str) else json.dumps(value)
