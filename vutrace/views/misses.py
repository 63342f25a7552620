"""IOTLB misses, each with the update that ends it ("An IOTLB message")."""

from vutrace.dissection.message import Message
from vutrace.protocol.payloads import IOTLB_MISS, IOTLB_UPDATE
from vutrace.session.row import Row

KEPT = 256  # misses of a connection whose update has not come


class Misses:
    """Those of each connection that wait for an update, by address."""

    def __init__(self) -> None:
        self._waiting: dict[int, dict[int, Row]] = {}

    def feed(self, row: Row, message: Message) -> Row | None:
        """Take an IOTLB message; of an update, the first miss that it ends."""
        kind, iova = message.number_in("type"), message.number_in("iova")
        if message.reply or iova is None:
            return None
        waiting = self._waiting.setdefault(row.connection, {})
        if kind == IOTLB_MISS and len(waiting) < KEPT:
            waiting.setdefault(iova, row)
        if kind != IOTLB_UPDATE:
            return None
        end = iova + (message.number_in("size") or 0)
        ended = [waiting.pop(each) for each in [each for each in waiting if iova <= each < end]]
        return ended[0] if ended else None

    def forget(self, connection: int) -> None:
        """The connection's session is over."""
        self._waiting.pop(connection, None)
