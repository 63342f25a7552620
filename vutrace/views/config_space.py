"""The device's view of its configuration space, also of a part of it."""

from vutrace.dissection.compiler import Fields, compile_layer
from vutrace.dissection.device import Device
from vutrace.dissection.message import Message
from vutrace.protocol.payloads import Config
from vutrace.views.fields import shows_of

# QEMU, DPDK and SPDK stop at 256 bytes, rust-vmm at 4096.
LARGEST = 4096


def config_fields(device: Device, message: Message) -> Fields:
    """The whole fields in the part of configuration space that `message` carries; it may raise anything.

    A request to read carries none: QEMU sends as many zeros as it wants to have bytes.
    """
    layer, offset = device.config, message.number_in("offset")
    data, size = message.fields.get("data"), message.number_in("size")
    asks = message.name == "GET_CONFIG" and not message.reply
    if layer is None or asks or offset is None or size is None or not isinstance(data, bytes):
        return {}
    if offset > LARGEST:
        return {}
    decoded, _ = compile_layer(layer, message.frame.big_endian)(bytes(offset) + data[:size])
    begun = {field.name for field in shows_of(layer) if field.start is not None and field.start < offset}
    return {name: value for name, value in decoded.items() if name not in begun}


def has_config(message: Message) -> bool:
    """Whether a message is about configuration space."""
    return message.layer is Config
