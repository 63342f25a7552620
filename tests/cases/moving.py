"""Cases of rings in memory, as `proxy --rings` samples them, and of what other tools recorded."""

from io import BytesIO

from kit.transcript import Line, front

from cases.case import Case
from cases.scenes import enable, net, running, stop
from vutrace.capture.pseudo_header import sample_of
from vutrace.evidence.sources import SOURCES
from vutrace.records import Event, Frame, RingSample, SampleFlag

KNOWN = SampleFlag.INDEXES | SampleFlag.KICKS
REQUEST = KNOWN | SampleFlag.CHAIN | SampleFlag.REQUEST


def look(seconds: float, flags: int = KNOWN, ring: int = 0, **fields: int) -> Line:
    """A sample of a ring, so long after what came before."""
    sample = RingSample(ring, int(flags), **{"size": 256, **fields})
    return Line(sample_of(0, 0, 1, (sample,), 100_000_000), int(seconds * 1e9))


def waits(kicks: int, ring: int = 0) -> list[Line]:
    """Requests that nobody takes for a second, with so many kicks unread."""
    known = {"available": 3, "in_flight": 3, "available_total": 3, "kicks": kicks, "ring": ring}
    return [look(0.1, REQUEST, **known), look(1.2, REQUEST, age_ms=1300, **known)]


def of_strace(*calls: str) -> list[Frame | Event]:
    """The records of a trace by strace."""
    text = "".join(f"100 17955612{place:02}.608454 {call}\n" for place, call in enumerate(calls))
    items = SOURCES["strace"].read(BytesIO(text.encode()))
    return [item for item in items if isinstance(item, (Frame, Event))]


SENDS = (
    "sendmsg(18<UNIX-STREAM:[11->12]>, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="
    '"\\f\\0\\0\\0\\1\\0\\0\\0\\10\\0\\0\\0\\1\\0\\0\\0\\0\\0\\0\\0", iov_len=20}], msg_iovlen=1, '
    "msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, "
    "cmsg_data=[31<anon_inode:[eventfd]>]}], "
    "msg_controllen=24, msg_flags=0}, 0) = 20"
)
CONNECTS = (
    "socket(AF_UNIX, SOCK_STREAM, 0) = 18<UNIX-STREAM:[11]>",
    'connect(18<UNIX-STREAM:[11]>, {sa_family=AF_UNIX, sun_path="/run/vhost.sock"}, 110) = 0',
)

CASES = (
    # the kick came before the ring was enabled, and was taken for nothing
    Case(
        8,
        ("ring.stuck", "rx0: 3 chains in flight, none came back for 1.3 s; no kick waits"),
        [net(), *running(1)[:-1], enable(0), *waits(kicks=0)],
    ),
    # the driver kicked before the restart, and has no reason to do so again
    Case(
        9,
        ("ring.stuck", "3 chains in flight, none came back for 1.3 s; no kick waits"),
        [net(), *running(2, base=2), *waits(kicks=0)],
    ),
    Case(
        13,
        ("ring.base-behind-used", "the base is 90, and the used index in memory was at 100 already"),
        [net(), *running(1), look(0.1, available=100, used=100, used_total=100), *stop(0, 90)],
    ),
    # the back-end waits for the control message that waits for it, and reads no kicks meanwhile
    Case(
        68,
        (
            "owes the reply to GET_VRING_BASE",
            "ring.kick-not-taken",
            "kicked 4 times since the back-end last looked",
        ),
        [net(), *running(2), front("GET_VRING_BASE", index=1), *waits(kicks=4)],
    ),
    Case(
        69,
        ("ring.kick-not-taken", "kicked 7 times since the back-end last looked"),
        [net(), *running(1), *waits(kicks=7)],
    ),
    # octal, as strace prints it
    Case(
        76,
        ("SET_VRING_KICK", "ring 1"),
        records=of_strace(*CONNECTS, SENDS),
        shows=("show",),
    ),
)
