"""What IOTLB messages told: which I/O addresses are where in the front-end's memory."""

from bisect import bisect_right, insort

from vutrace.dissection.message import Message
from vutrace.protocol.check import asks
from vutrace.records import SampleFlag
from vutrace.rings.unread import UnreadError

TRANSLATES = asks(request="Iotlb")
UPDATE, INVALIDATE = 2, 3
KEPT = 65536


class Translations:
    """Translations by I/O address; those that are too many are forgotten, the lowest first."""

    def __init__(self) -> None:
        self._entries: list[tuple[int, int, int]] = []  # begin, end, where

    def feed(self, message: Message) -> bool:
        """Take a message; whether it was about translations."""
        if not TRANSLATES(message.spec, message.channel, message.reply):
            return False
        iova, size = message.number_in("iova") or 0, message.number_in("size") or 0
        kind = message.number_in("type")
        if kind in (UPDATE, INVALIDATE):
            self._forget(iova, iova + size)
        if kind == UPDATE and size:
            insort(self._entries, (iova, iova + size, message.number_in("user_address") or 0))
            del self._entries[: len(self._entries) - KEPT]
        return True

    def translate(self, address: int, size: int) -> int:
        """Where the bytes from `address` on are, through neighbours that lie side by side there as well.

        Raises UnreadError where nobody told.
        """
        at = bisect_right(self._entries, address, key=lambda entry: entry[0]) - 1
        if at < 0 or address >= self._entries[at][1]:
            raise UnreadError(SampleFlag.OUTSIDE)
        begin, end, where = self._entries[at]
        found = where + address - begin
        while end < address + size:
            at += 1
            if at == len(self._entries):
                raise UnreadError(SampleFlag.OUTSIDE)
            begin, further, there = self._entries[at]
            if begin != end or there != found + end - address:
                raise UnreadError(SampleFlag.OUTSIDE)
            end = further
        return found

    def _forget(self, start: int, end: int) -> None:
        kept = [(b, e, w) for b, e, w in self._entries if e <= start or end <= b]
        if len(kept) < len(self._entries):
            self._entries = kept
