"""A message on its way, as rules and scripts see it, and what is to become of it.

Whatever is asked for is done together, in this order: wait, then answer in the receiver's place, then send
what is left of the message, then close.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from vutrace.dissection.device import UNKNOWN_DEVICE, Device
from vutrace.dissection.message import Message
from vutrace.framing import MAX_FDS
from vutrace.matching.values import MatchError
from vutrace.protocol.wire import HEADER_SIZE
from vutrace.records import Channel, FdInfo, Side
from vutrace.session.row import Row
from vutrace.session.state import SessionState
from vutrace.tap.descriptors import make
from vutrace.tap.payload import answer_to, resized, with_field, with_header

SLICE = 0.05  # seconds between two pieces of a slow message
LONGEST = 128 << 10  # bytes of a payload that is lengthened
Step = tuple[Any, ...]
"""("wait", seconds), ("until", file or "" for a key), ("swap",), or an op without its number."""


@dataclass(slots=True)
class PassagePlan:
    """What was asked for."""

    seconds: float = 0.0
    until: str | None = None
    swap: bool = False
    answers: list[bytes] = field(default_factory=list)
    dropped: bool = False
    copies: int = 1
    rate: float = 0.0
    close: Side | None = None
    close_after: int | None = None
    shut: Side | None = None


class PassingMessage:
    """One message that waits to be decided on. What it tells is as it came, with what was `set` since."""

    def __init__(self, row: Row, devices: Sequence[Device], fds: Sequence[int], random: Random) -> None:
        assert isinstance(row.what, Message)
        self.row, self._message = row, row.what
        known = row.context.device
        self._devices = devices if known is UNKNOWN_DEVICE else (known,)
        self._fds, self._random = fds, random
        self.data = row.what.frame.data
        self.descriptors: list[int | str] = list(range(len(fds)))
        self.plan = PassagePlan()
        self.rule = ""
        self.notes: list[str] = []

    # What it is.

    @property
    def name(self) -> str:
        """Without VHOST_USER_."""
        return self._message.name

    @property
    def reply(self) -> bool:
        """Whether it answers a request."""
        return self._message.reply

    @property
    def need_reply(self) -> bool:
        """Whether its sender asks for an acknowledgement."""
        return self._message.need_reply

    @property
    def sender(self) -> Side:
        """Who sent it."""
        return self._message.frame.sender

    @property
    def channel(self) -> Channel:
        """Which socket it came on."""
        return self._message.channel

    @property
    def ring(self) -> int | None:
        """The ring that it is about."""
        return self.row.ring

    @property
    def ring_name(self) -> str:
        """As the device calls it."""
        return self.row.ring_name

    @property
    def fields(self) -> Mapping[str, Any]:
        """The payload's values by name."""
        return self._message.fields

    @property
    def fds(self) -> tuple[FdInfo, ...]:
        """What its descriptors are."""
        return self._message.frame.fds

    @property
    def phase(self) -> str:
        """What the device is going through, "" where it is not known."""
        return str(self.row.phase or "")

    @property
    def state(self) -> SessionState:
        """How everything stands, this message taken for sent."""
        return self.row.state

    @property
    def size(self) -> int:
        """Bytes of payload."""
        return len(self.data) - HEADER_SIZE

    @property
    def words(self) -> str:
        """It in a few words."""
        ring = f" ring {self.ring}" if self.ring is not None else ""
        return f"{self.name}{ring}{' reply' if self.reply else ''}"

    @property
    def said(self) -> str:
        """Its values, one after the other."""
        fields = self._now().fields
        values = " ".join(f"{name}={value:#x}" for name, value in fields.items() if isinstance(value, int))
        fds = f" {len(self.descriptors)} fds" if self.descriptors else ""
        return f"{values or f'{self.size} bytes'}{fds}"

    # What may be done to it.

    def delay(self, seconds: float, most: float = 0.0) -> None:
        """Let it wait: so long, or some time up to `most`, as the seed has it."""
        self.plan.seconds += self._random.uniform(seconds, most) if most > seconds else seconds

    def hold(self, file: str = "") -> None:
        """Let it wait until that file exists, or without one until somebody at the terminal lets it go."""
        self.plan.until = file

    def drop(self, reply: bool = False) -> None:
        """Keep it from its receiver; a reply only where that is meant."""
        if self.reply and not reply:
            raise MatchError(f"{self.words} is not dropped: its receiver waits for it; drop(reply=True) does")
        self.plan.dropped = True

    def duplicate(self, times: int = 1) -> None:
        """Send it so many times more."""
        self.plan.copies += times

    def swap(self) -> None:
        """Let the next message of its sender go first, if one comes within a second."""
        self.plan.swap = True

    def set(self, path: str, value: int | str, sign: str = "=") -> None:
        """Another value in a field, for instance `regions.0.size`, `header.flags`; `|=` and `-=` for bits."""
        self.data = with_field(self._now(), sign, path, str(value), self._devices)

    def _now(self) -> Message:
        from vutrace.tap.work import dissect

        frame = self._message.frame
        return self._message if self.data == frame.data else dissect(frame, self.data)

    def resize(self, size: int) -> None:
        """Cut the payload to so many bytes, or lengthen it with zeros; the header says so."""
        if not 0 <= size <= LONGEST:
            raise MatchError(f"a payload of {size} bytes: 0 to {LONGEST} can be made")
        self.data = resized(self.data, size)

    def lie(self, size: int, sign: str = "=") -> None:
        """Have the header tell another size than the payload has."""
        self.data = with_header(self.data, "size", sign, size)

    def answer(self, **values: int | str) -> None:
        """Answer it in its receiver's place, who never sees it."""
        self.answer_with([(name, str(value)) for name, value in values.items()])

    def answer_with(self, values: Sequence[tuple[str, str]]) -> None:
        """As `answer`, by paths."""
        if self.reply:
            raise MatchError(f"{self.words} cannot be answered")
        self.plan.answers.append(answer_to(self._message, values, self._devices))
        self.plan.dropped = True

    def close(self, side: str, after: int | None = None) -> None:
        """Close the connection to one side: when the message is sent, or when `after` bytes of it are."""
        self.plan.close, self.plan.close_after = Side(side), after

    def half_close(self, side: str) -> None:
        """Tell one side that nothing more comes."""
        self.plan.shut = Side(side)

    def slow(self, rate: float) -> None:
        """Send it at so many bytes per second."""
        self.plan.rate = rate

    def strip(self) -> None:
        """Without descriptors."""
        self.descriptors = []

    def add_descriptor(self, kind: str) -> None:
        """One more, of a kind that `vutrace.tap.descriptors` makes."""
        if len(self.descriptors) >= MAX_FDS:
            raise MatchError(f"{MAX_FDS} descriptors are the most that one message can carry")
        self.descriptors.append(kind)

    def replace_descriptor(self, place: int, kind: str) -> None:
        """Another one in the place of one that came."""
        if place < len(self.descriptors):
            self.descriptors[place] = kind

    def note(self, text: str) -> None:
        """A line for the user, and in the capture."""
        self.notes.append(text)

    def reset(self) -> None:
        """Let it pass as it came."""
        self.data, self.plan = self._message.frame.data, PassagePlan()
        self.descriptors = list(range(len(self._fds)))

    # What becomes of it.

    @property
    def untouched(self) -> bool:
        """Whether it passes as if nobody had watched."""
        same = self.data == self._message.frame.data and self.descriptors == list(range(len(self._fds)))
        return same and self.plan == PassagePlan()

    def steps(self) -> Iterator[Step]:
        """What is to be done, one after the other; descriptors are made when they are sent."""
        plan = self.plan
        if plan.seconds:
            yield "wait", plan.seconds
        if plan.until is not None:
            yield "until", plan.until
        if plan.swap:
            yield ("swap",)
        # Looked at again: what waited may have been changed meanwhile.
        if self.plan.answers:
            yield ("answered",)
        for answer in self.plan.answers:
            yield "back", answer, self.rule
        for _ in range(0 if self.plan.dropped else self.plan.copies):
            yield from self._sending()
        if plan.shut:
            yield "shut", str(plan.shut)
        if plan.close:
            yield "close", str(plan.close), self.rule

    def _sending(self) -> Iterator[Step]:
        data, plan = self.data, self.plan
        end = len(data) if plan.close_after is None else min(plan.close_after, len(data))
        piece = max(1, int(plan.rate * SLICE)) if plan.rate else max(1, end)
        made = [
            make(each, self._original(at)) if isinstance(each, str) else -1
            for at, each in enumerate(self.descriptors)
        ]
        refs = [-1 if isinstance(each, str) else each for each in self.descriptors]
        new = [fd for fd in made if fd >= 0]
        for begin in range(0, end, piece):
            if begin:
                yield "wait", piece / plan.rate
            last = begin + piece >= len(data)
            yield "out", data[begin : min(begin + piece, end)], refs, last, self.rule, new
            refs, new = [], []

    def _original(self, place: int) -> int:
        return self._fds[place] if place < len(self._fds) else -1
