"""A socket that is read and written by the message: what comes whole, what comes late, what is lost."""

import os
import resource
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vutrace.peers import PeerConnection
from vutrace.records import Channel, FrameFlag, Side
from vutrace.replay.channel import ChannelEnd, LiveSession
from vutrace.sockets.framed import AT_ONCE, FramedSocket, PeerClosedError, PeerError, close_all

GET_FEATURES = struct.pack("=III", 1, 1, 0)
Ends = tuple[FramedSocket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair()
    framed = FramedSocket(ours, Side.BACKEND)
    yield framed, theirs
    framed.close()
    theirs.close()


@contextmanager
def room_for(descriptors: int) -> Iterator[None]:
    """A limit that lets this process have so many descriptors more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.dup(0)  # the lowest number that is free
    os.close(probe)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe + descriptors, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def pass_on(theirs: socket.socket, data: bytes, number: int) -> None:
    """Send `number` descriptors along."""
    fds = [os.eventfd(0) for _ in range(number)]
    socket.send_fds(theirs, [data], fds)
    close_all(fds)


def test_a_message_in_pieces_comes_whole_with_its_descriptors(ends: Ends) -> None:
    framed, theirs = ends
    pass_on(theirs, GET_FEATURES[:5], 2)
    assert list(framed.read()) == []
    theirs.send(GET_FEATURES[5:] + GET_FEATURES)
    first, second = framed.read()
    assert (first.data, len(first.fds), second.data, second.fds) == (GET_FEATURES, 2, GET_FEATURES, ())
    close_all(first.fds)


def test_who_never_pauses_is_read_in_turns(ends: Ends) -> None:
    framed, theirs = ends
    for _ in range(AT_ONCE + 3):
        theirs.send(GET_FEATURES)
    assert [len(list(framed.read())), len(list(framed.read()))] == [AT_ONCE, 3]


def test_a_message_that_was_broken_off_is_marked(ends: Ends) -> None:
    framed, theirs = ends
    theirs.send(GET_FEATURES[:7])
    theirs.close()
    [message] = framed.read()
    assert (message.data, message.flags, framed.closed) == (GET_FEATURES[:7], FrameFlag.PARTIAL, True)


def test_what_came_before_an_error_is_not_lost_with_it(ends: Ends) -> None:
    framed, theirs = ends
    theirs.send(GET_FEATURES + struct.pack("=III", 1, 1, 0xFFFFFFFF))
    reading = framed.read()
    assert next(reading).data == GET_FEATURES
    with pytest.raises(PeerError, match=r"^the back-end sent a message of 4294967295 bytes$"):
        next(reading)


def test_descriptors_of_what_never_comes_whole_are_closed(ends: Ends) -> None:
    framed, theirs = ends
    before = open_descriptors()
    pass_on(theirs, GET_FEATURES[:5], 3)
    assert list(framed.read()) == []
    assert open_descriptors() == before + 3
    framed.close()
    assert open_descriptors() == before - 1


def test_who_does_not_read_or_has_gone_is_told_apart(ends: Ends) -> None:
    framed, theirs = ends
    with pytest.raises(PeerError, match=r"^the back-end has not read for 0.1 s$"):
        framed.send(bytes(4 << 20), (), 0.1)
    theirs.close()
    with pytest.raises(PeerClosedError, match=r"^the back-end closed the connection$"):
        framed.send(GET_FEATURES, (), 0.1)
    assert framed.closed


def framed_read(end: socket.socket) -> object:
    return list(FramedSocket(end, Side.FRONTEND).read())


def peers_read(end: socket.socket) -> object:
    return PeerConnection(end, Side.FRONTEND).receive("a request", 1.0)


def replay_read(end: socket.socket) -> object:
    return list(ChannelEnd(end, Channel.MAIN, Side.BACKEND, LiveSession(0, 1)).read())


@pytest.mark.parametrize("read", [framed_read, peers_read, replay_read])
def test_descriptors_that_there_was_no_room_for_are_an_error(read: Callable[[socket.socket], object]) -> None:
    ours, theirs = socket.socketpair()
    pass_on(theirs, GET_FEATURES, 5)
    before = open_descriptors()
    with (
        room_for(2),
        pytest.raises(PeerError, match="descriptors from the front-end were lost: no room for them"),
    ):
        read(ours)
    assert open_descriptors() == before
    ours.close()
    theirs.close()
