"""A connection with the live peer, however it is to be had, within a time."""

import select
import socket
import time

from vutrace.records import Side
from vutrace.sockets.endpoints import Endpoint, How, Source
from vutrace.sockets.framed import PeerError

RETRY = 0.05


def meet(source: Source, endpoint: Endpoint, peer: Side, timeout: float) -> socket.socket:
    """The next connection of `source`; PeerError when there is none within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    why = "nobody connected"
    while not source.spent:
        if source.listener:
            wait_arrival(source, source.listener, deadline)
        if source.ready:
            try:
                return source.take()
            except OSError as error:  # not there yet, or another process was faster
                why = error.strerror or str(error)
        if time.monotonic() >= deadline:
            break
        time.sleep(0 if endpoint.how is How.LISTEN else RETRY)
    else:
        why = "its one connection is used up"
    raise PeerError(f"a {peer.words} was awaited at {endpoint} for {timeout:g} s: {why}")


def wait_arrival(source: Source, listener: socket.socket, deadline: float) -> None:
    """Wait until somebody connects, or until the deadline."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    if poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        source.arrived()
