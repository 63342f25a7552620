"""virtio-vsock: the packets in its rings, as Linux's vsockmon hands them to Wireshark.

Source: virtio, "Socket Device", "Device Operation"; Linux, include/uapi/linux/vsockmon.h and
net/vmw_vsock/virtio_transport_common.c, `virtio_transport_build_skb`.
"""

import struct

from vutrace.rings.buffers import buffers, gather
from vutrace.rings.chain import Chain
from vutrace.rings.payload import AnyForm, KeptPacket
from vutrace.session.context import Context

# of virtio_vsock_hdr: both CIDs, both ports, length, type, operation, flags, credit
HEADER = struct.Struct("<QQIIIHHIII")
MONITOR = struct.Struct("<QQIIHHH2x")  # af_vsockmon_hdr: CIDs, ports, operation, transport, its header's size
TRANSPORT = 2  # AF_VSOCK_TRANSPORT_VIRTIO
UNKNOWN, CONNECT, DISCONNECT, CONTROL, PAYLOAD = range(5)
MEANT = {
    1: CONNECT,  # request
    2: CONNECT,  # response
    3: DISCONNECT,  # reset
    4: DISCONNECT,  # shutdown
    5: PAYLOAD,  # read and write
    6: CONTROL,  # credit update
    7: CONTROL,  # credit request
}


class VsockPackets:
    """The packets of a ring; the device writes those of ring 0. `snaplen` bytes of each, header and all."""

    link = 271  # LINKTYPE_VSOCK

    def __init__(self, ring: int, snaplen: int) -> None:
        self._receives, self._snaplen = ring == 0, max(snaplen, HEADER.size)

    def learn(self, context: Context) -> None:
        """See `PayloadKind`."""

    def read(self, form: AnyForm, chain: Chain, written: int) -> KeptPacket | None:
        """See `PayloadKind`."""
        found = buffers(chain, writable=self._receives)
        data = gather(form, found, min(self._snaplen, written) if self._receives else self._snaplen)
        if len(data) < HEADER.size:
            return None
        source, target, source_port, target_port, length, _, operation, *_ = HEADER.unpack_from(data)
        ends = source, target, source_port, target_port
        told = MONITOR.pack(*ends, MEANT.get(operation, UNKNOWN), TRANSPORT, HEADER.size)
        return KeptPacket(told + data[: HEADER.size + length], MONITOR.size + HEADER.size + length)
