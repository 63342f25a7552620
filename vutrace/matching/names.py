"""Messages by the names, aliases and numbers that people write."""

import difflib
from collections.abc import Iterable

from vutrace.dissection.registry import Registry
from vutrace.errors import USAGE, VutraceError
from vutrace.protocol.messages import PREFIX, TABLES, find
from vutrace.records import Channel


class UnknownMessageError(VutraceError):
    """No table has a message of that name; the text names the nearest."""

    status = USAGE


def messages_called(names: Iterable[str], registry: Registry) -> frozenset[tuple[Channel, int]]:
    """The messages of these names, aliases or numbers, vendors' among them; UnknownMessageError."""
    return frozenset(found for name in names for found in messages_of(name, registry))


def messages_of(name: str, registry: Registry) -> list[tuple[Channel, int]]:
    """The messages that one name means."""
    wanted = name.upper().removeprefix(PREFIX)
    found = [(channel, spec.number) for channel, spec in find(name)]
    found += [
        (channel, spec.number)
        for channel, table in registry.messages.items()
        for spec in table.values()
        if wanted in (spec.name, *spec.aliases)
    ]
    if not found and wanted.isdecimal():
        found = [(channel, int(wanted)) for channel in Channel]
    if not found:
        raise UnknownMessageError(f"no message is called '{name}'{nearest(wanted)}")
    return found


def nearest(wanted: str) -> str:
    """The names that may have been meant."""
    names = [spec.name for table in TABLES.values() for spec in table.values()]
    close = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(close)}?" if close else "; see `vutrace list messages`"
