"""The parameters of one word of a command line: "a,b=c" as QEMU and DPDK write them, or a JSON object."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

KINDS = "driver", "qom-type", "type"
"""Keys of what the first parameter without a key says."""


class Parameters(ABC):
    """Values by key; "" is the kind, which may stand first without a key. A boolean is on or off."""

    values: Mapping[str, str]

    @abstractmethod
    def changed(self, key: str, value: str) -> str:
        """The word with another value of a key."""

    def get(self, key: str) -> str:
        """The value of a key; "" where it has none."""
        if key or key in self.values:
            return self.values.get(key, "")
        return next((self.values[kind] for kind in KINDS if kind in self.values), "")


class KeyedList(Parameters):
    """ "kind,key=value,flag"; a comma in a value is written twice where the program is QEMU."""

    def __init__(self, text: str) -> None:
        self._parts = re.split(r"(?<!,),(?!,)", text)
        self.values = dict(map(self._pair, enumerate(self._parts)))

    def _pair(self, numbered: tuple[int, str]) -> tuple[str, str]:
        number, part = numbered
        key, equals, value = part.partition("=")
        if not equals:
            return ("", part) if number == 0 else (part, "on")
        return key, value.replace(",,", ",")

    def changed(self, key: str, value: str) -> str:
        """See `Parameters`."""
        return ",".join(
            f"{key}={value}" if part.partition("=")[0] == key and "=" in part else part
            for part in self._parts
        )


class JsonObject(Parameters):
    """A JSON object; the keys of nested ones are joined by dots."""

    def __init__(self, text: str) -> None:
        self._object = json.loads(text)
        self.values = dict(flat(self._object, ""))

    def changed(self, key: str, value: str) -> str:
        """See `Parameters`."""
        changed = json.loads(json.dumps(self._object))
        *above, last = key.split(".")
        inner: dict[str, Any] = changed
        for part in above:
            inner = inner[part]
        inner[last] = value
        return json.dumps(changed)


class SingleValue(Parameters):
    """A word that is one value."""

    def __init__(self, text: str) -> None:
        self.values = {"": text}

    def changed(self, key: str, value: str) -> str:
        """See `Parameters`."""
        return value


def flat(known: Mapping[str, Any], above: str) -> Iterator[tuple[str, str]]:
    """The values of an object, those of nested ones with the keys above them."""
    for key, value in known.items():
        if isinstance(value, dict):
            yield from flat(value, f"{above}{key}.")
        else:
            words = {True: "on", False: "off"}
            yield f"{above}{key}", words[value] if isinstance(value, bool) else str(value)


def parameters(text: str) -> Parameters:
    """The parameters of a word."""
    if text.startswith("{"):
        try:
            return JsonObject(text)
        except (ValueError, AttributeError):
            return SingleValue(text)
    return KeyedList(text)
