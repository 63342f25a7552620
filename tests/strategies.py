"""Hypothesis strategies for the shared records: everything a capture can hold."""

from dataclasses import replace

from hypothesis import strategies as st

from vutrace.records import (
    Channel,
    Connection,
    Event,
    EventKind,
    FdInfo,
    FdKind,
    Frame,
    FrameFlag,
    Record,
    Side,
)

U16 = st.integers(0, 2**16 - 1)
U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)


def texts(max_size: int = 40) -> st.SearchStrategy[str]:
    """Any text, and names from the kernel that are not UTF-8."""
    foreign = st.binary(max_size=max_size).map(lambda name: name.decode("utf-8", "surrogateescape"))
    return st.text(max_size=max_size) | foreign


def fd_infos() -> st.SearchStrategy[FdInfo]:
    """Descriptors of every kind, each property known or not."""
    number = st.none() | st.integers(0, 2**31 - 1)
    return st.builds(
        FdInfo,
        kind=st.sampled_from(FdKind),
        device=U64,
        inode=U64,
        size=st.none() | U64,
        seals=st.none() | U32,
        name=texts(),
        eventfd_id=number,
        eventfd_count=st.none() | U64,
        access=st.sampled_from(["", "r", "w", "rw"]),
        frontend_fd=number,
        backend_fd=number,
    )


def frames(connections: st.SearchStrategy[int] = U32) -> st.SearchStrategy[Frame]:
    """Messages of arbitrary bytes; `wire_size` is that of `data`, or more where the frame is CUT."""
    frame = st.builds(
        Frame,
        time_ns=U64,
        connection=connections,
        session=U32,
        channel=st.sampled_from(Channel),
        sender=st.sampled_from(Side),
        data=st.binary(max_size=64),
        fds=st.lists(fd_infos(), max_size=4).map(tuple),
        flags=st.integers(0, 15).map(FrameFlag),
        big_endian=st.booleans(),
    )
    return st.builds(_with_wire_size, frame, st.integers(0, 2**32))


def _with_wire_size(frame: Frame, missing: int) -> Frame:
    return replace(frame, wire_size=len(frame.data) + (missing if FrameFlag.CUT in frame.flags else 0))


def events(connections: st.SearchStrategy[int] = U32) -> st.SearchStrategy[Event]:
    """Events of every kind."""
    return st.builds(
        Event,
        time_ns=U64,
        connection=connections,
        session=U32,
        kind=st.sampled_from(EventKind),
        text=texts(),
        channel=st.sampled_from(Channel),
        sender=st.none() | st.sampled_from(Side),
        attributes=st.dictionaries(texts(12), texts(), max_size=4),
    )


def records(connections: st.SearchStrategy[int] = U32) -> st.SearchStrategy[Record]:
    """Messages and events."""
    return frames(connections) | events(connections)


def connections(numbers: st.SearchStrategy[int] = U16) -> st.SearchStrategy[Connection]:
    """Connections whose endpoints are called anything."""
    return st.builds(Connection, numbers, texts(), texts())


@st.composite
def captures(draw: st.DrawFn, max_records: int = 8) -> list[Connection | Record]:
    """What a capture holds, in order: some connections, then records of them."""
    known = draw(st.lists(connections(), min_size=1, max_size=3, unique_by=lambda each: each.number))
    numbers = st.sampled_from([each.number for each in known])
    return [*known, *draw(st.lists(records(numbers), max_size=max_records))]
