"""Makes blocks of what was forwarded, and hands them to the writer in batches. In the recording process."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from vutrace.capture import connection_block, message_blocks, record_block, section_block
from vutrace.capture.packets import link_interface, link_packet
from vutrace.capture.pseudo_header import new_frame
from vutrace.proxy.gaps import gap_event
from vutrace.proxy.pending import Item, Origin, What, ends_of, event_of, unpack_origin
from vutrace.proxy.writer import BlockWriter
from vutrace.records import (
    Acted,
    Connection,
    Deed,
    Event,
    EventKind,
    FdInfo,
    Frame,
    FrameFlag,
    Record,
    Side,
    connection_letter,
)
from vutrace.rings.wire import RingPackets

LINK_NAMES = {1: "frames", 271: "packets"}
BIG_ENDIAN = sys.byteorder == "big"


class Encoder:
    """Makes blocks for `writer`.

    `lost` counts the records that could not be encoded; `tell` gets the reason of the first. A `device` that
    the user named is written into every opening.
    """

    def __init__(self, writer: BlockWriter, tell: Callable[[str], None], device: str = "") -> None:
        self._writer = writer
        self._tell = tell
        self._device = device
        self._blocks: list[bytes] = []
        self._records = 0
        self._interfaces: dict[int, int] = {}
        self._connections: dict[int, Connection] = {}
        # By connection, session and ring: interfaces, and frames that were missed since the last one.
        self._ring_interfaces: dict[tuple[int, int, int], int] = {}
        self._missed: dict[tuple[int, int, int], int] = {}
        self._started_ns = time.time_ns()
        self.lost = 0
        writer.put(section_block(), 0)

    def encode(self, item: Item, infos: Sequence[FdInfo]) -> None:
        """Make the blocks of an item; `infos` are its descriptors, or those of the peers."""
        if item[0] >= 0:
            time_ns, origin, data, _ = item
            self.record(frame_of(time_ns, unpack_origin(origin), data, infos, FrameFlag.NONE, len(data)))
        elif item[0] == What.BURST:
            self._put_burst(*item[1:4])
        elif item[0] == What.SINGLE:
            _, time_ns, origin, data, _, _, flags, size = item
            self.record(frame_of(time_ns, unpack_origin(origin), data, infos, FrameFlag(flags), size))
        elif item[0] == What.ACTED:
            self.record(acted_frame(item, infos))
        elif item[0] == What.EVENT:
            self.record(event_of(item))
        elif item[0] == What.GAP:
            self.record(gap_event(item))
        elif item[0] == What.CONNECTION:
            self._connection(Connection(*item[1:]))

    def paths(self, connection: int) -> list[str]:
        """Where the sockets of both sides are."""
        from vutrace.session.command_line import paths_of  # which nothing waits for before a session opens

        return [*paths_of(self._connections.get(connection)).values()]

    def opening(self, item: Item, facts: Sequence[dict[str, str]]) -> None:
        """Make the block of an OPEN, whose peers are known by now."""
        _, time_ns, connection, session, text, _ = item
        attributes = {
            f"{side}_{name}": what
            for side, known in zip(Side, facts, strict=True)
            for name, what in known.items()
        }
        attributes |= words_about(self._connections.get(connection), attributes)
        whom = " and ".join(name_of(known) for known in facts)
        device = {"device": self._device} if self._device else {}
        self.record(
            Event(
                time_ns,
                connection,
                session,
                EventKind.OPEN,
                f"{text} of {whom}",
                attributes=attributes | device,
            )
        )

    def _connection(self, connection: Connection) -> None:
        self._interfaces[connection.number] = len(self._interfaces) + len(self._ring_interfaces)
        self._connections[connection.number] = connection
        self.flush()
        self._writer.put(connection_block(connection, self._started_ns), 0)

    def ring_packets(self, told: RingPackets) -> None:
        """Make the blocks of what went through a ring: packets on an interface of its own, or events.

        Each tells what was missed before it.
        """
        place = told.connection, told.session, told.ring
        missed = self._missed.pop(place, 0) + told.missed
        for each in told.kept:
            if told.link:
                data, size = each
                block = link_packet(told.time_ns, data, size, self._ring_interface(told), missed)
                self._blocks.append(block)
                self._records += 1
            else:
                text, facts = each
                self.record(request_event(told, text, facts, missed))
            missed = 0
        if missed:
            self._missed[place] = missed

    def rest_missed(self) -> None:
        """Tell in the capture what was missed since the last that was kept of each ring."""
        for (connection, session, ring), missed in self._missed.items():
            text = f"ring {ring}: {missed} came and went between looks, and were not kept"
            told = {"ring": str(ring), "missed": str(missed)}
            self.record(Event(time.time_ns(), connection, session, EventKind.PAYLOAD, text, attributes=told))
        self._missed = {}

    def _ring_interface(self, told: RingPackets) -> int:
        place = told.connection, told.session, told.ring
        if place not in self._ring_interfaces:
            self._ring_interfaces[place] = len(self._interfaces) + len(self._ring_interfaces)
            self.flush()
            letter = connection_letter(told.connection)
            name = f"{letter} session {told.session} ring {told.ring}: {LINK_NAMES[told.link]}"
            self._writer.put(link_interface(name, told.link), 0)
        return self._ring_interfaces[place]

    def _put_burst(self, time_ns: int, origin: bytes, data: bytes) -> None:
        ends = list(ends_of(data))
        frame = frame_of(time_ns, unpack_origin(origin), b"", (), FrameFlag.NONE, 0)
        self._blocks += message_blocks(frame, data, ends, self._interfaces[frame.connection])
        self._records += len(ends)

    def record(self, record: Record) -> None:
        """Make the block of a record."""
        try:
            self._blocks.append(record_block(record, self._interfaces[record.connection]))
        except Exception as error:  # whatever is wrong with one record, the others go on
            self.lost += 1
            if self.lost == 1:
                self._tell(f"a record cannot be written: {error!r}")
        else:
            self._records += 1

    def flush(self, needed: bool = False) -> None:
        """Hand over what was made; what is `needed` is written although it is late."""
        if self._blocks:
            self._writer.put(b"".join(self._blocks), 0 if needed else self._records)
        self._blocks, self._records = [], 0


def frame_of(
    time_ns: int, origin: Origin, data: bytes, fds: Sequence[FdInfo], flags: FrameFlag, size: int
) -> Frame:
    connection, session, channel, sender, *_ = origin
    where = connection, session, channel, sender
    return new_frame(time_ns, *where, data, tuple(fds), flags, size, BIG_ENDIAN, None, ())


def request_event(told: RingPackets, text: str, facts: Mapping[str, str], missed: int) -> Event:
    """A request that went through a ring."""
    more = {"missed": str(missed)} if missed else {}
    place = told.connection, told.session
    return Event(told.time_ns, *place, EventKind.PAYLOAD, text, attributes={**facts, **more})


def acted_frame(item: Item, infos: Sequence[FdInfo]) -> Frame:
    """A message that a rule acted on."""
    _, time_ns, origin, data, _, _, flags, size, went, deed, rule, came_ns, came, came_size = item
    frame = frame_of(time_ns, unpack_origin(origin), data, infos[:went], FrameFlag(flags), size)
    return replace(frame, acted=Acted(Deed(deed), rule, came_ns, came, tuple(infos[went:]), came_size))


def words_about(connection: Connection | None, attributes: Mapping[str, str]) -> dict[str, str]:
    """Of each command line the words that speak of the traced socket, for readers that cannot find them."""
    from vutrace.session.command_line import paths_in, relevant

    commands = {side: attributes.get(f"{side}_command", "") for side in Side}
    words = {side: relevant(commands[side], path) for side, path in paths_in(attributes, connection).items()}
    return {f"{side}_words": told for side, told in words.items() if told != commands[side]}


def name_of(known: dict[str, str]) -> str:
    """The program; where /proc is hidden, what the socket tells of it."""
    pid, uid, name = (known.get(each, "") for each in ("pid", "uid", "name"))
    return name or (f"process {pid} of user {uid}" if pid else "unknown")
