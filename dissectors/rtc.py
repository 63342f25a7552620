"""virtio-rtc: clocks of the host; no configuration space.

Source: virtio, "RTC Device".
"""

from vutrace.plugin import Device, Evidence

FEATURES = {0: "VIRTIO_RTC_F_ALARM"}
RINGS = {0: "req", 1: "alarm"}


def ring_name(index: int, _features: int) -> str:
    """Requests, and alarms where VIRTIO_RTC_F_ALARM is negotiated."""
    return RINGS.get(index, f"q{index}")


DEVICE = Device(
    "rtc",
    number=17,
    features=FEATURES,
    ring_name=ring_name,
    evidence=Evidence(commands=(r"\bvhost-(user|device)-rtc\b", r"\bvirtio-id=17\b")),
)
