"""What matters in the messages of the GPU channel; pixels are counted, not shown."""

from collections.abc import Callable, Mapping
from typing import Any

from vutrace.dissection.message import Message
from vutrace.protocol.layers import Layer, size_of
from vutrace.protocol.payloads import gpu
from vutrace.session.context import Context
from vutrace.views.text import address, size

Fields = Mapping[str, Any]
DISPLAYS = 16


def rectangle(fields: Fields) -> str:
    """640×480 at 0,0"""
    return "{width}×{height} at {x},{y}".format_map(fields)


def cursor(_message: Message, fields: Fields, _context: Context) -> str:
    """Where a cursor is."""
    return "scanout {scanout_id}: {x},{y}".format_map(fields)


def cursor_update(message: Message, fields: Fields, context: Context) -> str:
    """A new cursor."""
    hot = "hot spot {hot_x},{hot_y}".format_map(fields)
    return f"{cursor(message, fields['pos'], context)}, {hot}, 64×64 pixels"


def scanout(_message: Message, fields: Fields, _context: Context) -> str:
    """A scanout's size, or its end."""
    shown = fields["width"] or fields["height"]
    return f"scanout {fields['scanout_id']}: " + (
        "{width}×{height}".format_map(fields) if shown else "disabled"
    )


def update(message: Message, fields: Fields, _context: Context) -> str:
    """A rectangle, and how many bytes of pixels come with it."""
    pixels = message.size - size_of(gpu.Update)
    behind = f", {size(pixels)} of pixels" if pixels > 0 else ""
    return f"scanout {fields['scanout_id']}: {rectangle(fields)}{behind}"


def dmabuf(_message: Message, fields: Fields, _context: Context) -> str:
    """A scanout whose pixels are in a dmabuf."""
    if not (fields["width"] or fields["height"]):
        return f"scanout {fields['scanout_id']}: disabled"
    code = fourcc(fields["fd_drm_fourcc"])
    modifier = f", modifier {address(fields['modifiers'])}" if "modifiers" in fields else ""
    dmabuf = "{fd_width}×{fd_height} stride {fd_stride}".format_map(fields)
    return f"scanout {fields['scanout_id']}: {rectangle(fields)} of {dmabuf} {code}{modifier}"


def fourcc(code: int) -> str:
    """A DRM format: XR24."""
    letters = (code & 0xFFFFFFFF).to_bytes(4, "little")
    printable = all(0x20 <= byte < 0x7F for byte in letters)
    return letters.decode("ascii") if printable else f"{code & 0xFFFFFFFF:#x}"


def display_info(_message: Message, fields: Fields, _context: Context) -> str:
    """The displays that are on."""
    displays = [(number, fields[f"display{number}"]) for number in range(DISPLAYS)]
    shown = [f"display {number}: {rectangle(each)}" for number, each in displays if each["enabled"]]
    return ", ".join(shown) or "no display"


def edid(_message: Message, fields: Fields, _context: Context) -> str:
    """How much EDID there is."""
    return f"{fields['size']} bytes of EDID"


GPU_DETAILS: Mapping[type[Layer], Callable[[Message, Fields, Context], str]] = {
    gpu.CursorPos: cursor,
    gpu.CursorUpdate: cursor_update,
    gpu.Scanout: scanout,
    gpu.Update: update,
    gpu.DmabufScanout: dmabuf,
    gpu.DmabufScanout2: dmabuf,
    gpu.DisplayInfo: display_info,
    gpu.Edid: edid,
}
