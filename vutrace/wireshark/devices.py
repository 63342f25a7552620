"""What device dissectors say as tables for the Lua dissector: names, and what speaks for each device."""

from collections.abc import Sequence

from vutrace.dissection.device import UNKNOWN_DEVICE, Device
from vutrace.protocol.bits import VIRTIO_FEATURES, bit_numbers
from vutrace.session import recognition
from vutrace.views.masks import virtio_names
from vutrace.wireshark import names
from vutrace.wireshark.layers import Entry, Layers, bits
from vutrace.wireshark.ring_names import Names, names_of

WORD = 64  # bits of a mask of features


def device_of(device: Device, layers: Layers) -> Entry:
    """What a device dissector says, as data."""
    return {
        "name": device.name,
        **names_by(device),
        "config": layers.add(device.config, names.config_prefix(device.name)) if device.config else None,
        "control_ring": device.control_ring or None,
        "pairs": device.pairs or None,
        "commands": device.evidence.commands,
        "messages": {name: recognition.by_message(device, name) for name in device.evidence.messages},
        "config_sizes": {size: recognition.by_config(size) for size in device.evidence.config_sizes},
        "offers": recognition.by_features(device) if device.evidence.features else None,
        "telling_bits": dict.fromkeys(bit_numbers(device.evidence.without), False)
        | dict.fromkeys(bit_numbers(device.evidence.features), True),
    }


def no_device() -> Entry:
    """What is said as long as no device is known."""
    return names_by(UNKNOWN_DEVICE) | {"features": bits(VIRTIO_FEATURES, WORD)}


def names_by(device: Device) -> Entry:
    """What a device calls feature bits, those of every device first in `short_features`, and rings."""
    short = virtio_names(device)
    ordered = sorted(range(WORD), key=lambda bit: bit not in VIRTIO_FEATURES)
    own = {bit: name for bit, name in device.features.items() if bit not in VIRTIO_FEATURES}
    return {
        "features": bits({**own, **VIRTIO_FEATURES}, WORD, own),
        "short_features": [[bit, *short(1 << bit)] for bit in ordered],
        "rings": ring_names(*names_of(device)),
    }


def ring_names(bits: Sequence[int], known: Sequence[Names]) -> Entry:
    """The names that each feature bit chooses among, down to those of one combination."""
    if not bits:
        return {"words": known[0].words, "shift": known[0].shift, "exact": known[0].exact}
    *others, last = bits
    half = len(known) // 2
    return {"bit": last, "off": ring_names(others, known[:half]), "on": ring_names(others, known[half:])}


def weights() -> Entry:
    """How much each kind of evidence for a device weighs."""
    return {
        "said": recognition.SAID,
        "command": recognition.COMMAND,
        "message": recognition.MESSAGE,
        "config_size": recognition.CONFIG_SIZE,
        "features": recognition.FEATURES,
    }
