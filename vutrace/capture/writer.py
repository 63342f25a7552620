"""A capture file that somebody writes record by record."""

import os
import time
from typing import BinaryIO, Self

from vutrace.capture.encode import connection_block, record_block, section_block
from vutrace.capture.target import open_target
from vutrace.records import Connection, Record


def create(path: str | os.PathLike[str]) -> BinaryIO:
    """An empty, unbuffered file for a capture, "-" is stdout. OSError: see `open_target`."""
    if os.fspath(path) == "-":
        return open(1, "wb", buffering=0, closefd=False)
    return open(open_target(os.fspath(path)), "wb", buffering=0)


def append(file: BinaryIO, block: bytes) -> None:
    """Write the whole of a block, also where the system takes it in parts. Raises OSError."""
    written = file.write(block)
    while written < len(block):
        block = block[written:]
        written = file.write(block)


class Writer:
    """Writes connections and records to a path ("-" is stdout) or an open binary stream.

    The section header is written at once; every connection has to come before its records
    (ValueError otherwise). Use it as a context manager, or `close()` it. OSError is the caller's.
    """

    def __init__(self, target: str | os.PathLike[str] | BinaryIO, *, hardware: str = "") -> None:
        self._owned = isinstance(target, str | os.PathLike)
        self._file = create(target) if isinstance(target, str | os.PathLike) else target
        self._started_ns = time.time_ns()
        self._interfaces: dict[int, int] = {}
        append(self._file, section_block(hardware))

    def write(self, item: Connection | Record) -> None:
        """Append one connection or record, whole."""
        append(self._file, self._encode(item))

    def close(self) -> None:
        """Close the file, if it was opened here."""
        if self._owned:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _encode(self, item: Connection | Record) -> bytes:
        if isinstance(item, Connection):
            if item.number in self._interfaces:
                raise ValueError(f"connection {item.number} is in the capture already")
            self._interfaces[item.number] = len(self._interfaces)
            return connection_block(item, self._started_ns)
        if item.connection not in self._interfaces:
            raise ValueError(f"connection {item.connection} must be written before its records")
        return record_block(item, self._interfaces[item.connection])
