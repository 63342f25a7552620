"""What moved in each ring over time, as a line of blocks; where somebody looked (proxy --rings)."""

from collections.abc import Iterator, Sequence

from vutrace.records import SampleFlag
from vutrace.session.activity import Moved
from vutrace.session.model import RingLane, SessionTimeline
from vutrace.views.samples import in_flight, rate

BLOCKS = " ▁▂▃▄▅▆▇█"
LEAST = 10  # columns


def move_lines(session: SessionTimeline, width: int) -> Iterator[str]:
    """A line for each ring that was looked at, from the session's start to its end."""
    lanes = [lane for lane in session.rings if lane.samples]
    if not lanes:
        return
    names = [f"{lane.ring.index:>3} {lane.ring.name}" for lane in lanes]
    margin, words = max(map(len, names)), [most(lane) for lane in lanes]
    room = max(LEAST, width - margin - 4 - max(map(len, words)))
    yield "what the back-end gave back, in a second"
    for lane, name, told in zip(lanes, names, words, strict=True):
        yield f"{name:{margin}} │{spark(lane.samples, session.start_ns, session.end_ns, room)}│ {told}"


def most(lane: RingLane) -> str:
    """The most that moved, and what was in flight in the end."""
    fastest = max(lane.samples, key=lambda moved: moved.used)
    least = any(moved.sample.has(SampleFlag.AT_LEAST) for moved in lane.samples)
    return f"up to {rate(fastest.used, least)}, then {in_flight(lane.moved)} in flight"


def spark(samples: Sequence[Moved], start_ns: int, end_ns: int, room: int) -> str:
    """A block for each stretch of time: the most that moved in it; a ring of which nothing is told rests."""
    heights = [0.0] * room
    length = max(1, end_ns - start_ns)
    for moved in samples:
        column = min(room - 1, max(0, (moved.time_ns - start_ns) * room // length))
        heights[column] = max(heights[column], moved.used)
    top = max(heights) or 1.0
    return "".join(BLOCKS[0 if not each else 1 + int(each / top * (len(BLOCKS) - 2))] for each in heights)
