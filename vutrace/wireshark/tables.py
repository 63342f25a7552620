"""Everything the Lua dissector looks up: generated from the same data that vutrace itself reads."""

import errno
import re
from itertools import chain
from unicodedata import category

from vutrace.capture import fd_info, findings, pseudo_header
from vutrace.dissection import checks
from vutrace.dissection.checks import FRAME_PROBLEMS
from vutrace.dissection.dissector import CANNOT_COUNT
from vutrace.dissection.layouts import layouts_of
from vutrace.dissection.registry import Registry
from vutrace.outgoing import escape
from vutrace.problems import ProblemText, Rule
from vutrace.protocol.effects import OF_ALL_RINGS, Learns, RingEffect
from vutrace.protocol.layers import Layer
from vutrace.protocol.messages import TABLES, layers_of
from vutrace.protocol.payloads import Ack, Config
from vutrace.protocol.spec import FD_COUNTS, FdRule, MessageSpec
from vutrace.protocol.wire import WIRES, sender_of
from vutrace.records import Channel, Side
from vutrace.session import context, exchanges, recognition, rings
from vutrace.session.ring_states import TRANSITIONS, TRIGGERS, RingState, Trigger
from vutrace.views import config_space, details, masks, phrases, text
from vutrace.views.descriptors import SEALS
from vutrace.wireshark import export, names
from vutrace.wireshark.devices import device_of, no_device, weights
from vutrace.wireshark.layers import Entry, Layers, bits
from vutrace.wireshark.lua import Code, Value
from vutrace.wireshark.phrases import bits as mask_of
from vutrace.wireshark.phrases import function

# Controls, formats, and blanks and breaks of other kinds; and the planes of Unicode that have such.
MOVING = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
PLANES = (range(0x20000), range(0xE0000, 0xE0100))
# str.format's places as Lua's string.format has them.
FORMATS = {"{}": "%s", "{:d}": "%d", "{:#x}": "0x%x"}
PLACES = re.compile("|".join(map(re.escape, FORMATS)))


def tables(registry: Registry) -> dict[str, Value]:
    """The Lua tables by name, in the order in which they are to be defined."""
    layers = Layers()
    messages = {str(channel): messages_of(channel, layers, registry) for channel in Channel}
    devices = [device_of(device, layers) for device in registry.devices]
    for layer, entry in layers.described():
        if layer.words:
            entry["words"] = function(layer.words, layer, layers)
    return {
        "DEVICES": devices,
        "NO_DEVICE": no_device(),
        "MESSAGES": messages,
        "UNKNOWN": unknown(layers),
        "LAYERS": layers.tables,
        "CODES": codes(),
        "PROTOCOL_BITS": protocol_bits(),
        "RING_PACKED": context.RING_PACKED.bit_length() - 1,
        "PARTIES": {str(side): side.words for side in Side},
        "SENDERS": senders(),
        "WIRES": {str(channel): wire_of(channel) for channel in Channel},
        "ACK": layers.key(Ack),
        "CONFIG": layers.key(Config),
        "TELLING": dict.fromkeys(sorted(recognition.telling(registry.devices)), True),
        "TRANSITIONS": transitions(),
        "STOPPED": str(RingState.STOPPED),
        "ENDED": Trigger.END.name,
        **bounds(),
        "WEIGHTS": weights(),
        "FRAME_PROBLEMS": {
            int(flag): problem_text(problem.rule, problem.text) for flag, problem in FRAME_PROBLEMS.items()
        },
        "PROBLEMS": problem_texts(),
        "CANNOT_COUNT": int(CANNOT_COUNT),
        "ESCAPES": escapes(),
        "SEALS": bits(SEALS, 32),
        "ERRNO": dict(errno.errorcode),
        "EXPORTED": {"table": export.TABLE, "place": export.PLACE},
    }


def escapes() -> Entry:
    """What stands for each character that is no letter, sign or blank, as far as such have a meaning."""
    characters = map(chr, chain(*PLANES))
    return {each: escape(each) for each in characters if category(each) in MOVING and each != " "}


def problem_texts() -> Entry:
    """What the plug-in tells by itself, by the names that the texts have in Python."""
    named = {**vars(checks), **vars(exchanges)}
    return {
        name: problem_text(told.rule, PLACES.sub(lambda place: FORMATS[place[0]], told.text))
        for name, told in named.items()
        if isinstance(told, ProblemText)
    }


def problem_text(rule: Rule, text: str) -> Entry:
    return {"rule": rule.name, "severity": str(rule.severity), "text": text}


def messages_of(channel: Channel, layers: Layers, registry: Registry) -> dict[int, Value]:
    """A channel's messages by number, those of plug-ins among them."""
    owned = {number: (spec, "") for number, spec in TABLES[channel].items()}
    for device in registry.devices:
        vendor = device.messages.get(channel, {})
        owned |= {number: (spec, device.name) for number, spec in vendor.items()}
    return {number: message(spec, owner, layers) for number, (spec, owner) in sorted(owned.items())}


def message(spec: MessageSpec, owner: str, layers: Layers) -> Entry:
    """One row of a message table."""
    request = payload(spec, False, owner, layers)
    return {
        "name": spec.name,
        "request": request,
        "reply": payload(spec, True, owner, layers),
        "rule": spec.rule.name,
        "fds": fd_count(spec.fds),
        "reply_fds": fd_count(spec.reply_fds),
        "ring": spec.ring or None,
        "learns": learnt(spec.learns),
        "reply_learns": learnt(spec.reply_learns),
        "effect": effect_of(spec),
        "words": function(spec.words, layers_of(spec, False)[0], layers) if spec.words else None,
    }


def fd_count(rule: FdRule) -> Code:
    """The function of the values that answers the least and the most descriptors that may come along."""
    known = FD_COUNTS[rule]
    if known.per_region:
        return Code("function(v) local n = v.nregions or v.region and 1 or 0 return n, n end")
    least, most = known.otherwise
    if not known.fields:
        return Code(f"function() return {least}, {most} end")
    tests = " or ".join(f"has_any(v.{name}, {mask_of(known.mask)})" for name in known.fields)
    return Code(
        f"function(v) if {tests} then return {known.then[0]}, {known.then[1]} end return {least}, {most} end"
    )


def effect_of(spec: MessageSpec) -> Entry | None:
    """What a message does to its ring, or to all: the trigger, and the other one of a switch that is off."""
    if spec.effect is None:
        return None
    switch = spec.effect is RingEffect.ENABLE
    trigger = TRIGGERS.get(spec.effect)
    return {
        "trigger": trigger.name if trigger else None,
        "off": Trigger.DISABLE.name if switch else None,
        "all": spec.effect in OF_ALL_RINGS or None,
        "lasts": spec.effect is RingEffect.DEFAULT_ENABLE or None,
        "answered": spec.effect is RingEffect.STOP or None,
    }


def transitions() -> Entry:
    """The state of a ring after a trigger, by the state before."""
    return {
        str(before): {trigger.name: str(TRANSITIONS[before, trigger]) for trigger in Trigger}
        for before in RingState
    }


def protocol_bits() -> Entry:
    """The numbers of the bits that a session goes by."""
    masks = {
        "reply_ack": context.REPLY_ACK,
        "log_shmfd": context.LOG_SHMFD,
        "negotiated": rings.PROTOCOL_BIT,
    }
    return {name: mask.bit_length() - 1 for name, mask in masks.items()}


def wire_of(channel: Channel) -> Entry:
    """The header format of a channel."""
    wire = WIRES[channel]
    return {
        "words": channel.words,
        "marked": wire.marked or None,
        "version_mask": wire.version_mask,
        "version": wire.version,
        "known": wire.known,
        "reply": wire.reply,
        "need_reply": wire.need_reply,
        "replies": dict.fromkeys(sorted(wire.flags(reply=True)), True),
    }


def learnt(told: Learns | None) -> Entry | None:
    """What a message tells of the session."""
    if told is None:
        return None
    return {"fact": str(told.fact), "field": told.field or None, "value": told.value}


def payload(spec: MessageSpec, reply: bool, owner: str, layers: Layers) -> Entry:
    """The layouts of a message in one role: by size, those told by marks, those that vary; sizes in words."""
    keys = {layer: layers.add(layer, prefix(layer, owner)) for layer in layers_of(spec, reply)}
    known = layouts_of(spec, reply, False)
    others = {size: layout.other for size, layout in known.by_size.items() if layout.other}
    return {
        "sized": {size: keys[layout.layer] for size, layout in known.by_size.items()},
        "marked": {size: keys[other.layer] for size, other in others.items()},
        "varying": [keys[layout.layer] for layout in known.varying],
        "first": keys[known.first.layer],
        "sizes": known.sizes,
    }


def prefix(layer: type[Layer], owner: str) -> str:
    """The filter prefix of a layer: one of our own also where a plug-in's message uses it."""
    ours = layer.__module__.startswith("vutrace.protocol.")
    return names.prefix(layer, "" if ours else owner)


def unknown(layers: Layers) -> Entry:
    """The row of a number that no table has."""
    return message(MessageSpec(0, "", ("Blob",), ("Blob",)), "", layers)


def bounds() -> Entry:
    """How much is shown and kept."""
    return {
        "UNITS": text.UNITS[1:],
        "BYTES_SHOWN": text.BYTES_SHOWN,
        "LONG": text.LONG,
        "PARTS_SHOWN": text.PARTS_SHOWN,
        "ITEMS_SHOWN": phrases.ITEMS_SHOWN,
        "NAMES_SHOWN": masks.NAMES_SHOWN,
        "CONFIG_WIDTH": details.CONFIG_WIDTH,
        "LARGEST_CONFIG": config_space.LARGEST,
        "RINGS_KEPT": rings.RINGS_KEPT,
        "WAITING_KEPT": exchanges.WAITING_KEPT,
    }


def codes() -> Entry:
    """The codes of the pseudo-header."""
    return {
        "channels": {code: str(channel) for channel, code in pseudo_header.CHANNEL_CODES.items()},
        "sides": {code: str(side) for side, code in pseudo_header.SIDE_CODES.items() if side},
        "events": {code: str(kind) for kind, code in pseudo_header.EVENT_CODES.items()},
        "kinds": {code: str(kind) for kind, code in fd_info.KIND_CODES.items()},
        "severities": {code: str(severity) for severity, code in findings.CODES.items()},
        "accesses": {code: access for access, code in fd_info.ACCESS_CODES.items()},
    }


def senders() -> Entry:
    """The side that sends requests on each channel, and the one that replies."""
    return {
        str(channel): {"request": str(sender_of(channel, False)), "reply": str(sender_of(channel, True))}
        for channel in Channel
    }
