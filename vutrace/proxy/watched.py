"""Which messages of a flow rules watch: by the number that a header begins with, before anything else."""

from collections.abc import Container

from vutrace.framing import Framer
from vutrace.proxy.flow import WORD
from vutrace.proxy.interest import NONE, Numbers
from vutrace.sockets.passed import Passed


class Everything(Container[bytes]):
    """Has every request in it."""

    def __contains__(self, _: object) -> bool:
        return True


EVERYTHING: Container[bytes] = Everything()


def requests_in(numbers: frozenset[int]) -> frozenset[bytes]:
    """The numbers as headers begin with them."""
    return frozenset(map(WORD.pack, numbers))


class TappedFramer(Framer[Passed]):
    """Tells no message that is watched among those to be taken at once; `all`: any is, for the moment."""

    asked: Numbers = NONE
    all = False

    def watch(self, asked: Numbers, all_of_them: bool) -> None:
        """Read on."""
        self.asked, self.all = asked, all_of_them
        self.between = not self.lost and not self._seen

    def pause(self) -> None:
        """Read nothing, although a message begins here: only then is the fast way of a `Flow` open."""
        self.all = self.between = False

    def asks(self, request: int) -> bool:
        """Whether the message of that number is watched."""
        return self.all or self.asked is None or request in self.asked

    def ends(self, ahead: memoryview | bytes, size: int, most: int) -> list[int]:
        """See `Framer`."""
        asked = self.asked
        if asked is None or self.all:
            return []
        begin, unpack = 0, WORD.unpack_from
        ends = super().ends(ahead, size, most)
        for count, end in enumerate(ends):
            if unpack(ahead, begin)[0] in asked:
                return ends[:count]
            begin = end
        return ends
