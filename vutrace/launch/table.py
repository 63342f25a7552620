"""The table of programs: ours, behind what plug-ins and files bring, so that these may say it better."""

from collections.abc import Iterable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from vutrace.dissection.registry import import_file
from vutrace.errors import USAGE, VutraceError
from vutrace.launch.options import SocketOption
from vutrace.launch.programs import SOCKET_OPTIONS

GROUP = "vutrace.programs"


class TableError(VutraceError):
    """A file that was named has no row; the text says so."""

    status = USAGE


def load_table(files: Iterable[Path] = ()) -> tuple[list[SocketOption], list[str]]:
    """The rows, the first that fits being the one; and a line for each plug-in that does not load."""
    rows, troubles = list[SocketOption](), list[str]()
    for path in files:
        found = list(rows_in(vars(import_file(path)).values()))
        if not found:
            raise TableError(f"{path}: defines no vutrace.plugin.SocketOption")
        rows += found
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            rows += rows_in([entry.load()])
        except (Exception, SystemExit) as error:  # a stranger's module may raise anything on import
            troubles.append(f"plug-in {entry.name}: {type(error).__name__}: {error}")
    return [*rows, *SOCKET_OPTIONS], troubles


def rows_in(values: Iterable[Any]) -> Iterator[SocketOption]:
    """The rows among values, and in lists and tuples among them."""
    for value in values:
        if isinstance(value, SocketOption):
            yield value
        elif isinstance(value, list | tuple):
            yield from (each for each in value if isinstance(each, SocketOption))
