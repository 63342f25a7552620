"""Makes blocks of what was forwarded, in small steps, and hands them to the writer in batches."""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from vutrace.capture import connection_block, record_block, section_block
from vutrace.proxy.pending import Burst, Item, Origin, Single
from vutrace.proxy.writer import Writer
from vutrace.records import Connection, Event, EventKind, FdInfo, Frame, FrameFlag, Record

BIG_ENDIAN = sys.byteorder == "big"


class Encoder:
    """Makes blocks for `writer`; without one it only counts.

    `limit` is how many messages are recorded; `on_limit` is called when that is reached. `lost` counts the
    records that could not be encoded; `tell` gets the reason of the first. A `device` that the user named is
    written into every opening.
    """

    def __init__(
        self,
        writer: Writer | None,
        limit: int | None = None,
        on_limit: Callable[[], None] = lambda: None,
        tell: Callable[[str], None] = lambda text: None,
        device: str = "",
    ) -> None:
        self._writer = writer
        self._limit = limit
        self._on_limit = on_limit
        self._tell = tell
        self._device = device
        self._blocks: list[bytes] = []
        self._interfaces: dict[int, int] = {}
        self._started_ns = time.time_ns()
        self.messages = 0
        self.lost = 0
        if writer:
            writer.put(section_block(), 0)

    def connection(self, connection: Connection) -> None:
        """A connection, before its first record."""
        self._interfaces[connection.number] = len(self._interfaces)
        self.flush()
        if self._writer:
            self._writer.put(connection_block(connection, self._started_ns), 0)

    def encode(self, item: Item) -> Iterator[None]:
        """Make its blocks; yields after each."""
        if isinstance(item, Burst):
            yield from self._encode_burst(item)
        elif isinstance(item, Single):
            fds = tuple([passed.inspect() for passed in item.fds])
            self._put_frame(item.time_ns, item.origin, item.data, fds, item.flags, item.wire_size)
        else:
            self._put(self._named(item))
        yield

    def _named(self, event: Event) -> Event:
        if not self._device or event.kind is not EventKind.OPEN:
            return event
        return replace(event, attributes={**event.attributes, "device": self._device})

    def flush(self) -> None:
        """Hand over what was made."""
        if self._blocks and self._writer:
            self._writer.put(b"".join(self._blocks), len(self._blocks))
        self._blocks.clear()

    def _encode_burst(self, item: Burst) -> Iterator[None]:
        begin = 0
        for end in item.ends:
            self._put_frame(item.time_ns, item.origin, item.data[begin:end], (), FrameFlag.NONE, end - begin)
            begin = end
            yield

    def _put_frame(
        self, time_ns: int, origin: Origin, data: bytes, fds: tuple[FdInfo, ...], flags: FrameFlag, size: int
    ) -> None:
        if self.messages == self._limit:
            return
        self.messages += 1
        self._put(
            Frame(
                time_ns,
                origin.connection,
                origin.session,
                origin.channel,
                origin.sender,
                data,
                fds,
                flags,
                size,
                BIG_ENDIAN,
            )
        )
        if self.messages == self._limit:
            self._on_limit()

    def _put(self, record: Record) -> None:
        if not self._writer:
            return
        try:
            self._blocks.append(record_block(record, self._interfaces[record.connection]))
        except Exception as error:  # whatever is wrong with one record, the others and the relay go on
            self.lost += 1
            if self.lost == 1:
                self._tell(f"a record cannot be written: {error!r}")
