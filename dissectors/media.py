"""virtio-media: cameras and codecs, as V4L2 knows them.

Source: virtio, "Media Device".
"""

from vutrace.plugin import TEXT, Device, Evidence, Fixed, Layer, enum, flags, le32

RINGS = {0: "cmd", 1: "event"}
# Linux, videodev2.h and v4l2-dev.h
CAPABILITIES = flags(
    {
        0: "VIDEO_CAPTURE",
        1: "VIDEO_OUTPUT",
        2: "VIDEO_OVERLAY",
        4: "VBI_CAPTURE",
        5: "VBI_OUTPUT",
        6: "SLICED_VBI_CAPTURE",
        7: "SLICED_VBI_OUTPUT",
        8: "RDS_CAPTURE",
        9: "VIDEO_OUTPUT_OVERLAY",
        10: "HW_FREQ_SEEK",
        11: "RDS_OUTPUT",
        12: "VIDEO_CAPTURE_MPLANE",
        13: "VIDEO_OUTPUT_MPLANE",
        14: "VIDEO_M2M_MPLANE",
        15: "VIDEO_M2M",
        16: "TUNER",
        17: "AUDIO",
        18: "RADIO",
        19: "MODULATOR",
        20: "SDR_CAPTURE",
        21: "EXT_PIX_FORMAT",
        22: "SDR_OUTPUT",
        23: "META_CAPTURE",
        24: "READWRITE",
        25: "EDID",
        26: "STREAMING",
        27: "META_OUTPUT",
        28: "TOUCH",
        29: "IO_MC",
    }
)
TYPES = enum({0: "video", 1: "vbi", 2: "radio", 3: "subdev", 4: "sdr", 5: "touch"})


class MediaConfig(Layer):
    """virtio_media_config."""

    name = "media config"
    fields_desc = [
        le32("device_caps", CAPABILITIES),
        le32("device_type", TYPES),
        Fixed("card", 32, TEXT),
    ]


def ring_name(index: int, _features: int) -> str:
    """Commands, and events of open sessions."""
    return RINGS.get(index, f"q{index}")


DEVICE = Device(
    "media",
    number=48,
    config=MediaConfig,
    ring_name=ring_name,
    evidence=Evidence(commands=(r"\bvhost-(user|device)-media\b", r"\bvirtio-id=48\b")),
)
