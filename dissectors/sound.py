"""virtio-sound: a sound card.

Source: virtio, "Sound Device".
"""

from vutrace.plugin import Device, Evidence, Layer, le32

FEATURES = {0: "VIRTIO_SND_F_CTLS"}
RINGS = {0: "ctrl", 1: "event", 2: "tx", 3: "rx"}


class SoundConfig(Layer):
    """virtio_snd_config; controls is there with VIRTIO_SND_F_CTLS."""

    name = "sound config"
    fields_desc = [le32("jacks"), le32("streams"), le32("chmaps"), le32("controls")]


def ring_name(index: int, _features: int) -> str:
    """Control, events, playback, capture."""
    return RINGS.get(index, f"q{index}")


DEVICE = Device(
    "sound",
    number=25,
    features=FEATURES,
    config=SoundConfig,
    ring_name=ring_name,
    evidence=Evidence(
        commands=(
            r"\bvhost-user-snd\b",  # QEMU -device
            r"\bvhost-device-sound\b",
            r"--vhost-user(-snd\b| .*\btype=sound\b)",  # crosvm
            r"\bvirtio-id=25\b",
        )
    ),
)
