"""Every rule there is, whoever finds it broken, under its name."""

from collections.abc import Iterable, Mapping

from vutrace.dissection import checks, soundness
from vutrace.dissection.device import Device
from vutrace.problems import Rule
from vutrace.protocol.check import Check
from vutrace.records import EventKind
from vutrace.rules import (
    channel,
    config,
    device,
    end,
    gpu,
    inflight,
    lost,
    memory_access,
    memory_regions,
    memory_tables,
    migration,
    moving,
    negotiation,
    reply,
    ring_base,
    ring_enabling,
    ring_memory,
    ring_setup,
    ring_values,
    setup,
)
from vutrace.session import exchanges

CHECKS: tuple[Check, ...] = (
    *reply.CHECKS,
    *negotiation.CHECKS,
    *memory_regions.CHECKS,
    *memory_tables.CHECKS,
    *memory_access.CHECKS,
    *ring_setup.CHECKS,
    *ring_values.CHECKS,
    *ring_base.CHECKS,
    *ring_enabling.CHECKS,
    *ring_memory.CHECKS,
    *migration.CHECKS,
    *inflight.CHECKS,
    *config.CHECKS,
    *channel.CHECKS,
    *gpu.CHECKS,
    *device.CHECKS,
    *setup.CHECKS,
    *end.CHECKS,
)
# What is asked about an event on the main channel.
EVENT_CHECKS: Mapping[EventKind, tuple[Check, ...]] = {
    EventKind.OPEN: setup.OPENING,
    EventKind.NOTE: end.NOTES,
    EventKind.GAP: lost.GAPS,
    EventKind.SAMPLE: (*moving.SAMPLES, *ring_memory.SAMPLES),
}
# What is told elsewhere: of a single message, of replies, of plug-ins.
TOLD_ELSEWHERE: tuple[Rule, ...] = (*checks.RULES, *exchanges.RULES, soundness.FAILED)
MEANT: Mapping[str, str] = {
    "frame": "A message by itself: its header, its size, its descriptors.",
    "reply": "Requests and replies: who answers whom, and what.",
    "negotiation": "Features and protocol features: what was offered, acknowledged, and used.",
    "memory": "Guest memory, and whether the rings lie in it.",
    "ring": "Rings: set up, started, enabled, stopped.",
    "migration": "The log of dirty pages, postcopy, the device's state.",
    "inflight": "The buffer of requests in flight.",
    "config": "Configuration space.",
    "status": "The device status, and resets.",
    "channel": "The channel on which the back-end asks.",
    "gpu": "The GPU channel.",
    "device": "What a device type adds, with its dissector's own rules.",
    "setup": "What both ends were told when they were started.",
    "end": "How a session ended, or what it waits for.",
}
"""The groups in their order, and what each is about."""
GROUPS = tuple(MEANT)
# What the specification asks and no record shows.
UNCHECKED = (
    (
        "descriptors come with a message's first byte",
        "a record has a message whole, as the relay put it together",
    ),
    ("the kick after SET_VRING_KICK, and that the back-end does not need it", "no kick passes the socket"),
    ("no write to guest memory while the device is suspended", "no write passes the socket"),
    ("the channel that a back-end gives back for its state is used", "what passes it is not recorded"),
    ("SET_CONFIG of a read-only field is refused", "which fields are, only the device's own rules know"),
)


def rules(devices: Iterable[Device] = ()) -> Mapping[str, Rule]:
    """All rules by name, group by group, those of `devices` among them."""
    own = (check.rule for checks in (CHECKS, *EVENT_CHECKS.values()) for check in checks)
    theirs = (check.rule for each in devices for check in each.checks)
    known = {rule.name: rule for rule in (*TOLD_ELSEWHERE, *own, *theirs)}
    return dict(sorted(known.items(), key=lambda item: place(item[1])))


def place(rule: Rule) -> int:
    """Where a rule's group stands; a stranger's behind all others."""
    return GROUPS.index(rule.group) if rule.group in GROUPS else len(GROUPS)
