"""The front-end's algorithm without I/O: a generator that yields requests and is sent their replies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from vutrace.peers.contents import Content, SendContext, content_of, take
from vutrace.peers.encode import SPECS, encode_request
from vutrace.peers.steps import MessageStep, Position, Profile, walk
from vutrace.protocol.spec import MessageSpec, ReplyRule

if TYPE_CHECKING:
    from collections.abc import Generator

    from vutrace.dissection.message import Message
    from vutrace.peers.device import GuestDevice


@dataclass(frozen=True, slots=True)
class PlannedRequest:
    """One message to send; `answered` tells that a reply has to be awaited."""

    spec: MessageSpec
    data: bytes
    fds: tuple[int, ...]
    answered: bool

    @property
    def acknowledged(self) -> bool:
        """Whether the reply is the generic acknowledgement, which NEED_REPLY asked for."""
        return self.answered and self.spec.rule in (ReplyRule.ACK, ReplyRule.ACK_OR_POSTCOPY)


Script: TypeAlias = "Generator[PlannedRequest, Message | None, None]"


def script(profile: Profile, phase: str, device: GuestDevice) -> Script:
    """The messages of a phase. Send it each request's reply, None for those that have none.

    Raises PeerError where what the back-end said cannot be worked with.
    """
    for step, place in walk(profile.phases[phase], device):
        spec = SPECS[step.message]
        if device.has(spec.gate) and not once(profile, spec, place):
            yield from perform(profile, SendContext(device, place, step))


def once(profile: Profile, spec: MessageSpec, place: Position) -> bool:
    """Whether the once-per-device filter holds the message back here."""
    if not spec.once or profile.qemu is None or place.pair == 0:
        return False
    return tuple(map(int, spec.once.split("."))) <= profile.qemu


def perform(profile: Profile, turn: SendContext) -> Script:
    name, device = turn.step.message, turn.device
    wished = name in profile.acknowledged
    reply = yield request(SPECS[name], content_of(turn), device, wished and device.has("REPLY_ACK"))
    take(device, turn.place, name, reply)
    if name in profile.barriers and not device.has("REPLY_ACK"):
        yield from perform(profile, SendContext(device, turn.place, MessageStep("GET_FEATURES")))


def request(spec: MessageSpec, content: Content, device: GuestDevice, need_reply: bool) -> PlannedRequest:
    data = encode_request(spec, content.payload, need_reply)
    return PlannedRequest(spec, data, content.fds, needs_answer(spec.rule, device, need_reply))


def needs_answer(rule: ReplyRule, device: GuestDevice, need_reply: bool) -> bool:
    if rule is ReplyRule.LOG:
        return device.has("LOG_SHMFD")
    return rule is ReplyRule.ALWAYS or need_reply
