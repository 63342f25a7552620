"""The processes at the two ends of each session: what they owe, and what became of them.

In the recording process: looking at a process takes a file or two of /proc, and one that ends is waited for
a little.
"""

import os
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from vutrace.proxy.pending import Item, What, ends_of, unpack_origin
from vutrace.proxy.stalls import AGREES, SessionId, Stalls
from vutrace.records import Channel, Event, EventKind, Side
from vutrace.sockets.fate import doing, fate, open_process

KEPT = 1024  # sessions at a time
HEAD = 8  # of a header: request and flags
NUMBER = struct.Struct("=I")
AGREED = NUMBER.pack(AGREES.number)


@dataclass(frozen=True, slots=True)
class Peer:
    """A process; `pidfd` is -1 where there is none that can be watched."""

    pid: int
    name: str
    pidfd: int

    def close(self) -> None:
        """It is not watched any more."""
        if self.pidfd >= 0:
            os.close(self.pidfd)


NOBODY = Peer(0, "", -1)


class PeerWatch:
    """Watches both ends of every session; a reply that is owed for `seconds` (0: none) makes a note."""

    def __init__(self, seconds: float) -> None:
        self._peers: dict[SessionId, dict[Side, Peer]] = {}
        self._stalls = Stalls(seconds, self._doing) if seconds else None
        # Messages, by where they come from and the begin of their header, that nobody owes an answer for.
        self._nothing: set[tuple[bytes, bytes]] = set()

    def opened(self, item: Item, facts: Sequence[Mapping[str, str]]) -> None:
        """A session begins between two processes, of which `facts` are known."""
        place = SessionId(item[2], item[3])
        if len(self._peers) < KEPT:
            self._peers[place] = {side: watched(known) for side, known in zip(Side, facts, strict=True)}

    def messages(self, item: Item) -> Sequence[Event]:
        """Take what was forwarded; a note for each reply that was long in coming."""
        if self._stalls is None:
            return ()
        if item[0] >= 0:
            return self._message(self._stalls, *item[:3])
        return [note for each in messages_in(item) for note in self._message(self._stalls, *each)]

    def _message(self, stalls: Stalls, time_ns: int, origin: bytes, data: bytes) -> Sequence[Event]:
        key = origin, data[:HEAD]
        if key in self._nothing:
            return ()
        connection, session, channel, sender, *_ = unpack_origin(origin)
        place = SessionId(connection, session)
        note, meant = stalls.frame(time_ns, place, channel, sender, data)
        # What is agreed on changes what is owed.
        if data[: NUMBER.size] == AGREED or len(self._nothing) >= KEPT:
            self._nothing.clear()
        if not meant:
            self._nothing.add(key)
        return (note,) if note else ()

    def closing(self, event: Event) -> Event:
        """The end of a session, with what its two processes do now; of other events what they tell."""
        if event.kind is EventKind.DROPPED and self._stalls and event.sender:
            data = bytes.fromhex(event.attributes["data"])
            place = SessionId(event.connection, event.session)
            self._stalls.dropped(event.time_ns, place, event.channel, event.sender, data)
        if event.kind is not EventKind.CLOSE or event.channel is not Channel.MAIN:
            return event
        place = SessionId(event.connection, event.session)
        if self._stalls:
            self._stalls.over(place)
        peers = self._peers.pop(place, {})
        told = {f"{side}_process": fate(peer.pid, peer.pidfd) for side, peer in peers.items()}
        for peer in peers.values():
            peer.close()
        return replace(
            event, attributes={**event.attributes, **{key: text for key, text in told.items() if text}}
        )

    def due(self) -> list[Event]:
        """What is to be said now of replies that did not come."""
        return list(self._stalls.due(time.time_ns())) if self._stalls else []

    def wait_ms(self) -> int | None:
        """How long until there may be something to be said; None while nobody owes anything."""
        wait_ns = self._stalls.wait_ns(time.time_ns()) if self._stalls else None
        return None if wait_ns is None else wait_ns // 1_000_000 + 1

    def _doing(self, place: SessionId, side: Side) -> tuple[str, str]:
        peer = self._peers.get(place, {}).get(side, NOBODY)
        known = ", ".join(filter(None, (peer.name, f"pid {peer.pid}" if peer.pid else "")))
        return f"the {side.words} ({known})" if known else f"the {side.words}", doing(peer.pid, peer.pidfd)


def watched(known: Mapping[str, str]) -> Peer:
    """A process of which this is known."""
    pid = int(known.get("pid", "0"))
    return Peer(pid, known.get("name", ""), open_process(pid) if pid else -1)


def messages_in(item: Item) -> Iterator[tuple[int, bytes, bytes]]:
    """Time, origin and bytes of each message of an item that is no `Fresh`."""
    if item[0] in (What.SINGLE, What.ACTED):
        yield item[1], item[2], item[3]
    elif item[0] == What.BURST:
        begin = 0
        for end in ends_of(item[3]):
            yield item[1], item[2], item[3][begin:end]
            begin = end
