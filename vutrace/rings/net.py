"""virtio-net: the frames in its rings. Source: virtio, "Network Device", "Device Operation"."""

from vutrace.protocol.bits import VIRTIO_FEATURES, bit
from vutrace.rings.buffers import buffers, gather
from vutrace.rings.chain import Chain
from vutrace.rings.payload import AnyForm, KeptPacket
from vutrace.session.context import Context

HEADER, LEGACY_HEADER = 12, 10  # before each frame
VERSION_1 = bit("VIRTIO_F_VERSION_1", VIRTIO_FEATURES)
RING_PACKED = bit("VIRTIO_F_RING_PACKED", VIRTIO_FEATURES)
MRG_RXBUF = 1 << 15  # VIRTIO_NET_F_MRG_RXBUF


class NetFrames:
    """The frames of a ring; the device writes those of rings with even numbers. `snaplen` bytes of each."""

    link = 1  # LINKTYPE_ETHERNET

    def __init__(self, ring: int, snaplen: int) -> None:
        self._receives, self._snaplen = ring % 2 == 0, snaplen
        self._header = HEADER

    def learn(self, context: Context) -> None:
        """See `PayloadKind`."""
        longer = any(map(context.has_feature, (VERSION_1, MRG_RXBUF, RING_PACKED)))
        self._header = HEADER if longer else LEGACY_HEADER

    def read(self, form: AnyForm, chain: Chain, written: int) -> KeptPacket | None:
        """See `PayloadKind`."""
        found = buffers(chain, writable=self._receives)
        total = sum(each.length for each in found)
        size = (min(total, written) if self._receives else total) - self._header
        data = gather(form, found, min(size, self._snaplen), self._header)
        return KeptPacket(data, size) if size > 0 and data else None
