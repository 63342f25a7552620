"""Whether a plug-in's `Device` is what it should be: a frozen dataclass holds whatever it was given.

What is wrong would fail in the middle of a trace; here it fails when the plug-in loads.
"""

import re
from collections.abc import Mapping

from vutrace.dissection.compiler import compile_layer
from vutrace.dissection.device import Device, Evidence
from vutrace.dissection.layouts import layouts_of
from vutrace.problems import Problem, Rule, Severity
from vutrace.protocol.check import Check
from vutrace.protocol.layers import Layer, has_secrets

RULE = re.compile(r"[a-z]+\.[a-z0-9]+(-[a-z0-9]+)*")
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
Types = Mapping[str, type | tuple[type, ...]]

DEVICE: Types = {
    "name": str,
    "number": int,
    "features": Mapping,
    "config": (type(Layer), type(None)),
    "messages": Mapping,
    "evidence": Evidence,
    "control_ring": str,
    "pairs": bool,
    "checks": tuple,
    "legacy": frozenset,
}
EVIDENCE: Types = {
    "commands": tuple,
    "messages": tuple,
    "config_sizes": tuple,
    "features": int,
    "without": int,
}


def checked(loaded: object) -> Device:
    """`loaded` if it is a Device that can be used; an exception of any kind says why not."""
    if not isinstance(loaded, Device):
        raise TypeError(f"expected a vutrace.plugin.Device, found {type(loaded).__name__}")
    check_types(loaded, DEVICE)
    check_types(loaded.evidence, EVIDENCE)
    check_names(loaded)
    if not callable(loaded.ring_name) or not callable(loaded.notes):
        raise TypeError("ring_name and notes are to be functions")
    check_rules(loaded)
    for pattern in loaded.evidence.commands:
        re.compile(pattern)
    if any(has_secrets(layer) for layer in config_layers(loaded)):
        raise TypeError("SECRET is for messages: configuration space is shown as it is")
    try_layers(loaded)
    return loaded


def check_types(holder: Device | Evidence, types: Types) -> None:
    """Each attribute has its type."""
    for attribute, kind in types.items():
        if not isinstance(value := getattr(holder, attribute), kind):
            raise TypeError(f"{attribute} is {value!r}")


def check_names(device: Device) -> None:
    """The device's fits a column, a filter and --device; those of its features are texts by bit number."""
    if not NAME.fullmatch(device.name):
        raise ValueError(f"the name {device.name!r} is not of small letters, digits, - and _ alone")
    for bit, name in device.features.items():
        if not isinstance(bit, int) or not isinstance(name, str) or not name.isprintable() or bit < 0:
            raise TypeError(f"features has {bit!r}: {name!r}, and not the name of a bit")


def check_rules(device: Device) -> None:
    """Each of its checks is one, of a rule whose name fits."""
    for check in device.checks:
        if not isinstance(check, Check) or not isinstance(check.rule, Rule):
            raise TypeError(f"checks has {check!r}, which is no Check")
        if not RULE.fullmatch(check.rule.name):
            raise ValueError(f"the rule's name {check.rule.name!r} is not like device.what-is-wrong")


def config_layers(device: Device) -> list[type[Layer]]:
    """Everything that the device's configuration space may look like."""
    return [device.config, *device.config.variants] if device.config else []


def try_layers(device: Device) -> None:
    """Compile everything that the device brings."""
    specs = [spec for rows in device.messages.values() for spec in rows.values()]
    for big_endian in (False, True):
        for layer in config_layers(device):
            compile_layer(layer, big_endian)
        for spec in specs:
            layouts_of(spec, reply=False, big_endian=big_endian)
            layouts_of(spec, reply=True, big_endian=big_endian)


FAILED = Rule(
    "device.dissector-failed",
    Severity.WARNING,
    "Device dissectors",
    "The dissector of this device raised an error; the message is shown without what it would have said.",
    "Tell the dissector's author; without it, use --device to name another one.",
)


def dissector_failed(device: Device, error: Exception) -> Problem:
    """What a dissector raised while it was asked about a message."""
    return FAILED.problem(f"dissector {device.name}: {type(error).__name__}: {error}")
