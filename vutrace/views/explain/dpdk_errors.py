"""What DPDK says: lib/vhost (so also OVS-DPDK and SPDK), and the virtio-user driver."""

from vutrace.views.explain.error_text import CLOSED, FOLLOWS, MEMORY, ErrorText

DPDK_ERRORS = (
    ErrorText(
        "DPDK",
        r"expect (?P<want>\d+) FDs for request (?P<request>\w+), received (?P<got>\d+)",
        "{name} came with {got} descriptors where {want} belong to it",
        "a proxy or library that drops or misplaces descriptors; vutrace shows them on every row",
    ),
    ErrorText(
        "DPDK",
        r"truncated (?:msg|control data)",
        "more descriptors came than fit, or the message was cut by the kernel",
        "more than 8 descriptors in one message; the limit of open files (ulimit -n)",
    ),
    ErrorText(
        "DPDK",
        r"vhost message \(req: (?P<request>\d+)\) was not handled",
        "DPDK has no handler for {name}; without NEED_REPLY it closes the connection",
        "whether the feature that it needs was offered",
    ),
    ErrorText(
        "DPDK",
        r"vhost message handling failed",
        "a request failed that did not ask for a reply, so DPDK closes the connection",
        "the line before this one; in a capture, the last message",
    ),
    ErrorText(
        "DPDK",
        r"processing (?P<request>VHOST_USER_\w+) failed",
        "DPDK refused {name}",
        "the line before this one",
    ),
    ErrorText(
        "DPDK",
        r"vhost peer closed",
        "the front-end closed the connection: it was ended, or it failed",
        "the front-end's log; a regular stop has GET_VRING_BASE for each ring just before",
        message="GET_VRING_BASE",
    ),
    ErrorText(
        "DPDK",
        r"received invalid negotiated features",
        "SET_FEATURES has bits that DPDK did not offer",
        "the bits marked + (not offered) in `vutrace show -V --message SET_FEATURES`",
        message="SET_FEATURES",
    ),
    ErrorText(
        "DPDK",
        r"received invalid protocol features",
        "SET_PROTOCOL_FEATURES has bits that DPDK did not offer",
        "the bits marked + (not offered) in `vutrace show -V --message SET_PROTOCOL_FEATURES`",
        message="SET_PROTOCOL_FEATURES",
    ),
    ErrorText(
        "DPDK",
        r"received unexpected msg type \((?P<other>\d+)\), expected (?P<request>\d+)",
        "on the back-end channel DPDK waited for the reply to {name} and got number {other}",
        "the messages marked @ in a capture",
        channel="backend",
    ),
    ErrorText(
        "DPDK",
        r"invalid vring index: (?P<ring>\d+)",
        "ring {ring} is beyond what DPDK has for this device",
        "the answer of GET_QUEUE_NUM (pairs, for net) and the queues the front-end was started with",
        message="GET_QUEUE_NUM",
    ),
    ErrorText(
        "DPDK",
        r"invalid virtqueue size (?P<size>\d+)",
        "a ring of {size} entries: split rings need a power of two up to 32768",
        message="SET_VRING_NUM",
    ),
    ErrorText(
        "DPDK",
        r"failed to map (?:desc|desc_packed|avail|used|driver area|device area)\b.* ?ring?",
        "an address of SET_VRING_ADDR lies in no memory region that DPDK has",
        MEMORY,
        message="SET_VRING_ADDR",
    ),
    ErrorText(
        "DPDK",
        r"(?:failed to mmap region|mmap failed|mmap size .* is invalid|too many memory regions)",
        "guest memory could not be mapped",
        MEMORY,
        message="SET_MEM_TABLE",
    ),
    ErrorText(
        "DPDK", r"invalid MTU size \((?P<mtu>\d+)\)", "an MTU outside 68 to 65535", message="NET_SET_MTU"
    ),
    ErrorText(
        "DPDK",
        r"last_used_idx \((?P<base>\d+)\) and vq->used->idx \((?P<used>\d+)\) mismatches",
        "the base that was set ({base}) is not where the ring in memory stands ({used}): usual after a "
        "back-end restart; packets may be sent twice or dropped",
        "SET_VRING_BASE against the last GET_VRING_BASE of that ring",
        message="SET_VRING_BASE",
    ),
    ErrorText(
        "DPDK",
        r"FEATURES_OK bit is set but feature negotiation failed",
        "the status says FEATURES_OK although SET_FEATURES was refused",
        message="SET_STATUS",
    ),
    ErrorText(
        "DPDK",
        r"failed to bind: .*; remove it and try again",
        "a socket file is left over from before",
        "whether a program still listens on it; remove it",
    ),
    ErrorText(
        "DPDK",
        r"failed to connect: (?P<reason>.*)",
        "client mode: nobody listens on the socket yet ({reason})",
        "the front-end must be the server (QEMU: server=on)",
    ),
    ErrorText(
        "DPDK",
        r"negotiated (?P<space>Virtio|Vhost-user protocol) features: (?P<mask>0x[0-9a-f]+)",
        "what was acknowledged, see below",
    ),
    ErrorText("DPDK", r"read message (?P<request>VHOST_USER_\w+)", "a line of DPDK's log: {name} came in"),
    ErrorText(
        "DPDK",
        r"virtio is now ready for processing",
        "all that DPDK waits for is there: rings with address, kick, call, enabled; DRIVER_OK with STATUS",
    ),
    ErrorText(
        "virtio-user",
        r"Failed to recv msg hdr: (?P<got>-?\d+) instead of (?P<want>\d+)",
        "the back-end closed while a reply was due",
        CLOSED,
    ),
    ErrorText(
        "virtio-user",
        r"Failed to recv msg: flags (?P<flags>0x[0-9a-f]+) instead of",
        "a reply must have exactly the flags 0x5, this one had {flags}",
        "whether a request was answered twice",
    ),
    ErrorText(
        "virtio-user",
        r"Unexpected reply-ack (?:request type|payload size) \((?P<got>\d+)\)",
        "the acknowledgement of another request, or none: the replies are out of step",
        "the first reply that no request waits for",
    ),
    ErrorText(
        "virtio-user", r"Failed to send msg: (?P<reason>.*)", "the connection was gone ({reason})", FOLLOWS
    ),
)
