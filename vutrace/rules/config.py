"""Configuration space and device status.

Sources: vhost-user.rst, "Virtio device config space" and the sections of the messages; virtio, "Device Status
Field".
"""

from collections.abc import Iterator
from itertools import pairwise

from vutrace.dissection.compiler import compile_layer
from vutrace.dissection.decoder import Fields
from vutrace.problems import Rule, Severity
from vutrace.protocol.bits import DEVICE_STATUS, bit, bit_names
from vutrace.protocol.check import Breach, Check, Once, answers, asks
from vutrace.protocol.effects import Fact, RingEffect
from vutrace.protocol.layers import variant
from vutrace.protocol.spec import MessageSpec
from vutrace.records import Channel
from vutrace.rules.look import has, message_of, number
from vutrace.rules.seen import History
from vutrace.session.row import Row

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
LARGEST = 256
FLAGS = (0, 1)
CONFIG = asks(request="Config")
GETS_CONFIG = answers(request="Config", reply="Config")
# What comes before what; FAILED and DEVICE_NEEDS_RESET may come at any time.
ORDER = tuple(bit(name, DEVICE_STATUS) for name in ("ACKNOWLEDGE", "DRIVER", "FEATURES_OK", "DRIVER_OK"))
CLEARABLE = bit("SUSPEND", DEVICE_STATUS)


def space_of(row: Row) -> Fields:
    """The fields of the device's configuration space, where the message tells it from its begin."""
    message, device = message_of(row), row.context.device
    data = message.fields.get("data")
    if device.config is None or number(row, "offset") or not isinstance(data, bytes):
        return {}
    layer = variant(device.config, data)
    return compile_layer(layer, message.frame.big_endian)(data[: number(row, "size")])[0]


def sets_status(spec: MessageSpec, _channel: Channel, reply: bool) -> bool:
    """The front-end's word on the status."""
    return not reply and spec.tells(Fact.STATUS, False)


def beyond_space(row: Row, _seen: History) -> Iterator[str]:
    """More than there is."""
    end = number(row, "offset") + number(row, "size")
    if end > LARGEST:
        yield f"up to byte {end} of a space of {LARGEST}"


def config_refused(row: Row, _seen: History) -> Iterator[str | Breach]:
    """No contents, which is how a back-end says no."""
    if row.request is None or number(row, "size"):
        return
    asked = row.request
    yield Breach(f"{asked.name} [{asked.number}] was refused: no contents", row=asked.number)


def unknown_flags(row: Row, _seen: History) -> Iterator[str]:
    """A way of access that is not defined."""
    if has(row, "flags") and number(row, "flags") not in FLAGS:
        yield f"flags {number(row, 'flags')}: 0 is for the guest's writes, 1 for migration"


def status_order(row: Row, _seen: History) -> Iterator[str]:
    """A step before the one that it follows."""
    status = number(row, "status")
    for before, after in pairwise(ORDER):
        if status & after and not status & before:
            names = [bit_names(each, DEVICE_STATUS)[0] for each in (after, before)]
            yield f"{names[0]} without {names[1]}"
            return


def status_cleared(row: Row, _seen: History) -> Iterator[str]:
    """A step back without a reset."""
    before, now = row.context.status, number(row, "status")
    lost = (before or 0) & ~now & ~CLEARABLE
    if now and lost:
        yield f"takes {', '.join(bit_names(lost, DEVICE_STATUS))} back"


def reset_again(row: Row, seen: History) -> Iterator[Breach]:
    """A reset of what was not touched since the last one."""
    if seen.reset_row is not None:
        yield Breach("nothing was set up since the last reset", row=seen.reset_row)


CHECKS = (
    Check(
        Rule(
            "config.beyond-space",
            WARNING,
            "Virtio device config space",
            "C implementations have room for 256 bytes, and refuse more; rust-vmm has 4096.",
            "Look at offset and size.",
        ),
        CONFIG,
        beyond_space,
        anytime=True,
    ),
    Check(
        Rule(
            "config.refused",
            WARNING,
            "VHOST_USER_GET_CONFIG",
            "The back-end has no such part of its configuration space: the front-end may give the device up.",
            "Compare offset and size with what the device has; look at the back-end's log.",
        ),
        GETS_CONFIG,
        config_refused,
        anytime=True,
    ),
    Check(
        Rule(
            "config.unknown-flags",
            WARNING,
            "Virtio device config space",
            "Back-ends refuse it, or take it for a write by the guest.",
            "0 is for the guest's writes, 1 for migration.",
            deviates=("crosvm: reads with 1, and rust-vmm has 2 for migration (vmm_vhost, message.rs)",),
        ),
        CONFIG,
        unknown_flags,
        anytime=True,
    ),
    Check(
        Rule(
            "status.out-of-order",
            WARNING,
            "virtio, Device Status Field",
            "The driver goes on to a step before it did the one before.",
            "Set ACKNOWLEDGE, DRIVER, FEATURES_OK and DRIVER_OK one after another.",
            deviates=("qemu: sends FEATURES_OK alone first, and everything with DRIVER_OK (vhost-user.c)",),
        ),
        sets_status,
        status_order,
        anytime=True,
        once=Once.SESSION,
    ),
    Check(
        Rule(
            "status.bit-cleared",
            WARNING,
            "virtio, Device Status Field",
            "A driver never takes a step back but by a reset.",
            "Send status 0, and begin anew.",
            deviates=("virtio-user: sends nothing before FEATURES_OK, so no reset (vhost_user_set_status)",),
        ),
        sets_status,
        status_cleared,
    ),
    Check(
        Rule(
            "status.reset-again",
            INFO,
            "VHOST_USER_RESET_DEVICE",
            "The message is for the whole device; it was sent for each of its queues.",
            "Send it once (QEMU before 8.1 sent it for each queue pair).",
        ),
        asks(effect=RingEffect.RESET_DEVICE),
        reset_again,
    ),
)
