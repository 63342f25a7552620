"""mac80211-hwsim: simulated Wi-Fi radios; no feature bits and no configuration space.

Source: Linux, drivers/net/wireless/virtual/mac80211_hwsim.c (HWSIM_VQ_TX, HWSIM_VQ_RX).
"""

from vutrace.plugin import Device, Evidence

RINGS = {0: "tx", 1: "rx"}


def ring_name(index: int, _features: int) -> str:
    """Frames from the guest, and to it."""
    return RINGS.get(index, f"q{index}")


DEVICE = Device(
    "hwsim",
    number=29,
    ring_name=ring_name,
    evidence=Evidence(
        commands=(
            r"--vhost-user-mac80211-hwsim\b|--vhost-user (type=)?mac80211-hwsim\b",  # crosvm run
            r"\bwmediumd\b",
            r"\bvirtio-id=29\b",
        )
    ),
)
