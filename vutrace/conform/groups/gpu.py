"""The GPU's channel: what is negotiated over it, and a display that a guest asks for.

Source: vhost-user-gpu.rst.
"""

from collections.abc import Iterator
from functools import partial

from vutrace.conform.case import Case, Level, UnmetError
from vutrace.conform.driver import Driver
from vutrace.conform.probe import Probe
from vutrace.conform.side import SideChannel
from vutrace.conform.work import DISPLAY_INFO, GPU_TOLD_DISPLAYS
from vutrace.dissection.message import Message
from vutrace.protocol import payloads as p
from vutrace.protocol.bits import GPU_PROTOCOL_FEATURES
from vutrace.protocol.layers import Empty, Layer
from vutrace.protocol.spec import ReplyRule
from vutrace.records import Channel

KNOWN = sum(1 << number for number in GPU_PROTOCOL_FEATURES)


def first_asked(probe: Probe) -> tuple[SideChannel, Message]:
    """The channel, and what comes over it first."""
    probe.hello()
    side = SideChannel(probe, Channel.GPU)
    message = side.next()
    if message is None:
        raise UnmetError(f"nothing came over the channel within {probe.timeout:g} s")
    return side, message


def asks_features(probe: Probe) -> None:
    _, message = first_asked(probe)
    if message.name != "GPU_GET_PROTOCOL_FEATURES":
        raise UnmetError(f"{message.name} came first")


def takes_what_is_offered(offered: int, probe: Probe) -> None:
    side, message = first_asked(probe)
    side.answer(message, p.GpuProtocolFeatures(protocol_features=offered))
    while request := side.next():
        if request.name == "GPU_SET_PROTOCOL_FEATURES":
            taken = request.number_in("protocol_features") or 0
            if taken & ~offered:
                raise UnmetError(f"{taken:#x} was taken of {offered:#x}")
            return
        reply_to(side, request)
    raise UnmetError("GPU_SET_PROTOCOL_FEATURES did not come")


def reply_to(side: SideChannel, message: Message) -> None:
    """What a front-end without a screen answers."""
    answers: dict[str, Layer] = {
        "GPU_GET_PROTOCOL_FEATURES": p.GpuProtocolFeatures(protocol_features=0),
        "GPU_GET_DISPLAY_INFO": p.DisplayInfo(type=GPU_TOLD_DISPLAYS),
        "GPU_GET_EDID": p.Edid(),
    }
    if message.spec.rule is ReplyRule.ALWAYS:
        side.answer(message, answers.get(message.name, Empty()))


def display_asked(probe: Probe) -> None:
    """A guest asks for its displays; the device asks us, and tells the guest."""
    side, message = first_asked(probe)
    reply_to(side, message)
    probe.memory()
    driver = Driver(probe, work=DISPLAY_INFO)
    driver.start()
    asked: list[str] = []

    def serve() -> None:
        while request := side.next(0.0):
            asked.append(request.name)
            reply_to(side, request)

    driver.meanwhile = serve
    driver.work_once()
    if "GPU_GET_DISPLAY_INFO" not in asked:
        raise UnmetError(f"the guest has an answer, and we were asked {asked or 'nothing'}")


def cases() -> Iterator[Case]:
    """All of them."""
    channel = "VHOST_USER_GPU_SET_SOCKET"
    yield from (
        Case("gpu/asks-features-first", channel, "GPU_SET_SOCKET",
             "GPU_GET_PROTOCOL_FEATURES is the first over the new channel", asks_features, Level.SHOULD,
             device="gpu"),
        Case("gpu/takes-nothing-of-nothing", channel, "GPU_SET_SOCKET, and no GPU protocol feature offered",
             "GPU_SET_PROTOCOL_FEATURES with 0", partial(takes_what_is_offered, 0), device="gpu"),
        Case("gpu/takes-what-is-offered", channel, "GPU_SET_SOCKET, and all GPU protocol features offered",
             "GPU_SET_PROTOCOL_FEATURES with some of them", partial(takes_what_is_offered, KNOWN),
             device="gpu"),
        Case("gpu/display-info", "VHOST_USER_GPU_GET_DISPLAY_INFO", "the guest's GET_DISPLAY_INFO in a ring",
             "GPU_GET_DISPLAY_INFO over the channel, and the guest's answer after ours", display_asked,
             device="gpu"),
    )  # fmt: skip
