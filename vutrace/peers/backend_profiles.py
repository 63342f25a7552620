"""Back-ends that can be played: what each offers, when it acknowledges, what it does with what it cannot do.

Sources: DPDK's lib/vhost/vhost_user.c; QEMU's subprojects/libvhost-user (vu_dispatch answers every NEED_REPLY
with 0, vu_panic ends the connection); rust-vmm's vhost crate (send_ack_message looks at what was negotiated);
passt's vhost_user.c. The masks are those of the captures in captures/, less what is not played.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from vutrace.peers.state import Offer
from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES, bit

NET, BLK = "net", "blk"
MRG_RXBUF, MQ = 1 << 15, 1 << 22  # virtio, "Network Device"
SECTORS = 2048
CONFIG_SPACES: Mapping[str, bytes] = {BLK: SECTORS.to_bytes(8, "little").ljust(60, b"\0")}
CONFIG_SIZE = 256
CONFIG = bit("CONFIG", PROTOCOL_FEATURES)
PROTOCOL = bit("VHOST_USER_F_PROTOCOL_FEATURES", VIRTIO_FEATURES)
# What the model carries out: DPDK's own, CONFIG, RESET_DEVICE, CONFIGURE_MEM_SLOTS.
PLAYED = 0x10CBF | CONFIG | 1 << 13 | 1 << 15


@dataclass(frozen=True, slots=True)
class BackEndProfile:
    """How a back-end behaves.

    `features` are what it offers for any device, `net_features` what more for a network device. It
    acknowledges wherever that is asked for, or (`acks_negotiated`) only with REPLY_ACK. What it cannot carry
    out it answers with an error where an answer is asked for, or (`gives_up`) ends the connection.
    """

    name: str
    features: int
    protocol_features: int
    net_features: int = MRG_RXBUF
    queues: int = 1
    acks_negotiated: bool = False
    gives_up: bool = False

    def offer(self, device: str, queues: int | None = None) -> Offer:
        """What it says of itself as such a device, with so many queues (pairs, of a network device)."""
        count = queues or self.queues
        protocol = self.protocol_features & PLAYED
        if device == NET:
            more = self.net_features | (MQ if count > 1 else 0)
            return Offer(self.features | more, protocol & ~CONFIG, count)
        space = CONFIG_SPACES.get(device, bytes(CONFIG_SIZE))
        return Offer(self.features, protocol | CONFIG, count, space)


# DPDK offers its library's bits, whatever device is behind it.
DPDK = BackEndProfile("dpdk", 0x1_7500_0000, 0x10CBF, net_features=0xD_7C66_E7CB, queues=128)
LIBVHOST_USER = BackEndProfile("libvhost-user", 0x1_7500_0000, 0x8F2B, gives_up=True)
RUST_VMM = BackEndProfile("rust-vmm", 0x1_7400_0000, 0x8A42B, acks_negotiated=True)
PASST = BackEndProfile("passt", 0x1_4400_0000, 0x8000E, gives_up=True)

HABITS = {each.name: each for each in (DPDK, LIBVHOST_USER, RUST_VMM, PASST)}
