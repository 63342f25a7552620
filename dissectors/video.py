"""Video decoder and encoder, as crosvm and the third draft of virtio-video have them.

Source: the draft's "Video Device" (virtio-video v3); crosvm, devices/src/virtio/video.
"""

from vutrace.plugin import SIZE, Device, Evidence, Layer, le32

FEATURES = {
    0: "VIRTIO_VIDEO_F_RESOURCE_GUEST_PAGES",
    1: "VIRTIO_VIDEO_F_RESOURCE_NON_CONTIG",
    2: "VIRTIO_VIDEO_F_RESOURCE_VIRTIO_OBJECT",
}
RINGS = {0: "cmd", 1: "event"}


class VideoConfig(Layer):
    """virtio_video_config, without the name of the device behind it."""

    name = "video config"
    fields_desc = [le32("version"), le32("max_caps_length", SIZE), le32("max_resp_length", SIZE)]


def ring_name(index: int, _features: int) -> str:
    """Commands, and events such as a change of the resolution."""
    return RINGS.get(index, f"q{index}")


DECODER = Device(
    "video-decoder",
    number=31,
    features=FEATURES,
    config=VideoConfig,
    ring_name=ring_name,
    evidence=Evidence(
        commands=(r"--vhost-user (type=)?video-decoder\b", r"--vhost-user-video-dec", r"\bvirtio-id=31\b")
    ),
)
ENCODER = Device(
    "video-encoder",
    number=30,
    features=FEATURES,
    config=VideoConfig,
    ring_name=ring_name,
    evidence=Evidence(
        commands=(r"--vhost-user (type=)?video-encoder\b", r"--vhost-user-video-enc", r"\bvirtio-id=30\b")
    ),
)
