"""A channel whose other end the back-end was given: what it asks over it, and our answers."""

import socket
import time

from vutrace.conform.probe import Probe
from vutrace.dissection.message import Message
from vutrace.peers.encode import SPECS, encode_reply
from vutrace.protocol.layers import Layer
from vutrace.records import Channel

PASSED_BY = {spec.passes: spec.name for spec in SPECS.values() if spec.passes}


class SideChannel:
    """A channel that a probe passes when this is made."""

    def __init__(self, probe: Probe, channel: Channel = Channel.BACKEND) -> None:
        self.probe, self.channel = probe, channel
        probe.talk.open_side(channel, pass_socket(probe, channel))

    def next(self, wait: float | None = None) -> Message | None:
        """The next request; None where none comes within `wait` seconds, or the back-end closed it."""
        deadline = time.monotonic() + (self.probe.timeout if wait is None else wait)
        self.take()
        while not self.probe.aside and self.probe.talk.has(self.channel):
            self.probe.talk.wait(deadline)
            self.take()
            if time.monotonic() >= deadline:
                break
        return self.probe.aside.popleft() if self.probe.aside else None

    def take(self) -> None:
        """What has been read already."""
        for received in self.probe.talk.received():
            for fd in received.fds:
                self.probe.guest.keep(fd)
            self.probe.aside.append(received.message)

    def answer(self, message: Message, payload: Layer) -> None:
        """Answer a request."""
        self.raw(encode_reply(message.spec, payload))

    def raw(self, data: bytes) -> None:
        """Send bytes that need not be an answer."""
        self.probe.talk.send(self.channel, data)

    def close(self) -> None:
        """End the channel."""
        self.probe.talk.close_side(self.channel)


def pass_socket(probe: Probe, channel: Channel = Channel.BACKEND) -> socket.socket:
    """Give the back-end a channel; our end of it."""
    ours, theirs = socket.socketpair()
    with theirs:
        probe.tell(PASSED_BY[channel], b"", [theirs.fileno()])
    return ours
