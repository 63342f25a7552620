"""The device's view of its configuration space, also of a part of it."""

from vutrace.dissection.compiler import compile_layer
from vutrace.dissection.decoder import Fields
from vutrace.dissection.device import Device
from vutrace.dissection.message import Message
from vutrace.protocol.layers import Layer, variant
from vutrace.protocol.payloads import Config
from vutrace.views.fields import shows_of

# QEMU, DPDK and SPDK stop at 256 bytes, rust-vmm at 4096.
LARGEST = 4096


def config_fields(device: Device, message: Message) -> tuple[type[Layer] | None, Fields]:
    """The layer and its whole fields in the part of configuration space that `message` carries.

    It may raise anything. Of a union it is the variant that the bytes ask for.
    A request to read carries none: QEMU sends as many zeros as it wants to have bytes.
    """
    layer, offset = device.config, message.number_in("offset")
    data, size = message.fields.get("data"), message.number_in("size")
    asks = bool(message.spec.question) and not message.reply
    if layer is None or asks or offset is None or size is None or not isinstance(data, bytes):
        return None, {}
    if offset > LARGEST:
        return None, {}
    space = bytes(offset) + data[:size]
    layer = variant(layer, space)
    decoded, _ = compile_layer(layer, message.frame.big_endian)(space)
    begun = {field.name for field in shows_of(layer) if field.start is not None and field.start < offset}
    return layer, {name: value for name, value in decoded.items() if name not in begun}


def has_config(message: Message) -> bool:
    """Whether a message is about configuration space."""
    return message.layer is Config
