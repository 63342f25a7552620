"""The payloads of the GPU channel.

Source: vhost-user-gpu.rst; the replies of GET_DISPLAY_INFO and GET_EDID are virtio-gpu structures.
"""

from typing import Any

from scapy.fields import Field

from vutrace.protocol.bits import GPU_PROTOCOL_FEATURES
from vutrace.protocol.layers import Fixed, Layer, Nested, Tail, i32, le32, le64, pad, u8, u32, u64
from vutrace.protocol.shows import BYTES, HEX, flags

RECTANGLE = ("x", "y", "width", "height")
AREA = "{width}×{height} at {x},{y}"
DMABUF = f"{AREA} of {{fd_width}}×{{fd_height}} stride {{fd_stride}} {{fd_drm_fourcc:fourcc}}"


class GpuProtocolFeatures(Layer):
    """Protocol features of the GPU channel."""

    name = "GPU protocol features"
    words = "{protocol_features}"
    fields_desc = [u64("protocol_features", flags(GPU_PROTOCOL_FEATURES))]


class CursorPos(Layer):
    """The spec's "VhostUserGpuCursorPos"."""

    name = "cursor position"
    words = "scanout {scanout_id}: {x},{y}"
    fields_desc = [u32("scanout_id"), u32("x"), u32("y")]


class CursorUpdate(Layer):
    """The spec's "VhostUserGpuCursorUpdate": 64 x 64 ARGB pixels."""

    name = "cursor update"
    words = "{pos}, hot spot {hot_x},{hot_y}, 64×64 pixels"
    fields_desc = [Nested("pos", CursorPos), u32("hot_x"), u32("hot_y"), Fixed("data", 64 * 64 * 4, BYTES)]


class Scanout(Layer):
    """The spec's "VhostUserGpuScanout"; 0 x 0 disables."""

    name = "scanout"
    words = "scanout {scanout_id}: [width,height?{width}×{height}|disabled]"
    fields_desc = [u32("scanout_id"), u32("width"), u32("height")]


class Update(Layer):
    """The spec's "VhostUserGpuUpdate": a rectangle, and its x8r8g8b8 pixels unless a dmabuf holds them."""

    name = "update"
    words = f"scanout {{scanout_id}}: {AREA}[behind?, {{behind:size}} of pixels]"
    fields_desc = [u32("scanout_id"), *map(u32, RECTANGLE), Tail("data", BYTES)]


class DmabufScanout(Layer):
    """The spec's "VhostUserGpuDMABUFScanout"."""

    name = "dmabuf scanout"
    words = f"scanout {{scanout_id}}: [width,height?{DMABUF}|disabled]"
    fields_desc = [
        u32("scanout_id"),
        *map(u32, RECTANGLE),
        u32("fd_width"),
        u32("fd_height"),
        u32("fd_stride"),
        u32("fd_flags", HEX),
        i32("fd_drm_fourcc", HEX),
    ]


class DmabufScanout2(Layer):
    """The spec's "VhostUserGpuDMABUFScanout2": with DRM format modifiers."""

    name = "dmabuf scanout 2"
    words = f"scanout {{scanout_id}}: [width,height?{DMABUF}, modifier {{modifiers:address}}|disabled]"
    fields_desc = [*DmabufScanout.fields_desc, u64("modifiers", HEX)]


class ScanoutId(Layer):
    """GET_EDID's payload."""

    name = "scanout id"
    fields_desc = [u32("scanout_id")]


CONTROL_HEADER: list[Field[Any, Any]] = [
    le32("type", HEX),
    le32("flags", HEX),
    le64("fence_id"),
    le32("ctx_id"),
    u8("ring_idx"),
    pad(3),
]


class Display(Layer):
    """One entry of the display info."""

    name = "display"
    words = AREA
    fields_desc = [*map(le32, RECTANGLE), le32("enabled"), le32("flags", HEX)]


class DisplayInfo(Layer):
    """virtio_gpu_resp_display_info: 16 displays."""

    name = "display info"
    words = (
        "<"
        + ";".join(f"[display{each}.enabled?display {each}: {{display{each}}}]" for each in range(16))
        + "|no display>"
    )
    fields_desc = [*CONTROL_HEADER, *(Nested(f"display{number}", Display) for number in range(16))]


class Edid(Layer):
    """virtio_gpu_resp_edid."""

    name = "EDID"
    words = "{size} bytes of EDID"
    fields_desc = [*CONTROL_HEADER, le32("size"), pad(4, "edid_padding"), Fixed("edid", 1024, BYTES)]
