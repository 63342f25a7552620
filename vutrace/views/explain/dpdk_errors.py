"""What DPDK's lib/vhost says, so also OVS-DPDK and SPDK."""

from vutrace.views.explain.error_text import CLOSED, MEMORY, ErrorText

DPDK_ERRORS = (
    ErrorText(
        "DPDK",
        r"expect (?P<want>\d+) FDs for request (?P<request>\w+), received (?P<got>\d+)",
        "{name} came with {got} descriptors where {want} belong to it",
        "a proxy or library that drops or misplaces descriptors; vutrace shows them on every row",
    ),
    ErrorText(
        "DPDK",
        r"truncated (?:msg|control data)|fd count makes no sense",
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
        r"(?:received invalid negotiated|\binvalid) features",
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
        "DPDK takes rings 0 to 255 only, whatever the device has; ring {ring} is beyond",
        "the message before: its ring number is wrong, or the front-end has more than 128 queue pairs",
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
        r"failed to (?:map (?:desc|desc_packed|avail|used)|find (?:driver|device) area|map log_guest_addr)",
        "an address of SET_VRING_ADDR lies in no memory region that DPDK has",
        MEMORY,
        message="SET_VRING_ADDR",
    ),
    ErrorText(
        "DPDK",
        r"(?:failed to mmap region|mmap failed|mmap size .* is invalid|too many memory regions"
        r"|region overlaps with|mmap_offset .* overflow|adding guest pages to region failed)",
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
        r"vhost-user server: socket created, fd: \d+",
        "DPDK made the socket and listens on it; a front-end may connect",
    ),
    ErrorText(
        "DPDK",
        r"vhost-user client: socket created, fd: \d+",
        "DPDK made its end of a connection and will connect to the front-end's socket",
        "the front-end must be the server (QEMU: server=on); DPDK tries again each second",
    ),
    ErrorText(
        "DPDK",
        r"new vhost user connection is \d+",
        "a front-end is connected; the first message, GET_FEATURES, follows",
    ),
    ErrorText(
        "DPDK",
        r"new device status\((?P<status>0x[0-9a-f]+)\)",
        "SET_STATUS came: the driver's status is {status} now; DPDK works with the rings from DRIVER_OK on",
        message="SET_STATUS",
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
        "DPDK",
        r"virtio is not ready for processing",
        "DPDK (up to 20.05) waits for more: each ring needs addresses, kick and call; it says so at every "
        "message until then, and it is no error",
    ),
    ErrorText(
        "DPDK",
        r"recvmsg failed",
        "no message could be read: the front-end has gone, or too many files are open (ulimit -n)",
        CLOSED,
    ),
    ErrorText(
        "DPDK",
        r"(?:vhost read (?:message|(?:slave|backend) message reply) \S*failed|Unexpected header size read)",
        "the connection broke in the middle of a message",
        CLOSED,
    ),
    ErrorText(
        "DPDK",
        r"sendmsg error",
        "a reply could not be sent: the front-end has gone",
        CLOSED,
    ),
    ErrorText(
        "DPDK",
        r"invalid msg size: (?P<size>\d+)",
        "the header announces {size} bytes, more than any message has: the stream is out of step",
    ),
    ErrorText(
        "DPDK",
        r"features changed while device is running",
        "SET_FEATURES changed a running device; DPDK allows that for LOG_ALL alone",
        "the differences (as before, + and -) in `vutrace show --message SET_FEATURES`",
        message="SET_FEATURES",
    ),
    ErrorText(
        "DPDK",
        r"(?:failed to (?:alloc|get|mmap) (?:dev |vhost )?inflight|invalid get_inflight_fd)",
        "the area of requests in flight could not be made",
        "memory for memfds; num_queues and queue_size of GET_INFLIGHT_FD",
        message="GET_INFLIGHT_FD",
    ),
    ErrorText(
        "DPDK",
        r"invalid set_inflight_fd",
        "the area of requests in flight has a wrong size, or no descriptor",
        "GET_INFLIGHT_FD before it: its reply has to come back as it was",
        message="SET_INFLIGHT_FD",
    ),
    ErrorText(
        "DPDK",
        r"(?:mmap log base failed|invalid log (?:base msg size|fd)|log offset .* overflow)",
        "the dirty log of a migration cannot be used",
        "the size, offset and descriptor of SET_LOG_BASE",
        message="SET_LOG_BASE",
    ),
    ErrorText(
        "DPDK",
        r"get_config\(\) (?:not supported|return error)",
        "the application has no configuration space for this device",
        "CONFIG among the offered protocol features, which then is wrong",
        message="GET_CONFIG",
    ),
    ErrorText(
        "DPDK",
        r"invalid file descriptor for (?:slave|backend) channel",
        "SET_BACKEND_REQ_FD came without a socket",
        "the descriptors of SET_BACKEND_REQ_FD in a capture",
        message="SET_BACKEND_REQ_FD",
    ),
    ErrorText(
        "DPDK",
        r"(?:userfaultfd not available|UFFDIO_API ioctl failure|Postcopy requested but not compiled"
        r"|failed to register ufd)",
        "postcopy needs a userfaultfd, which DPDK could not have",
        "vm.unprivileged_userfaultfd, and DPDK's build (RTE_LIBRTE_VHOST_POSTCOPY)",
        message="POSTCOPY_ADVISE",
    ),
    ErrorText(
        "DPDK",
        r"(?:IOTLB miss req failed|failed to send IOTLB miss message)",
        "DPDK could not ask how an address is to be translated: there is no back-end channel any more",
        "SET_BACKEND_REQ_FD, and the messages marked @",
        message="BACKEND_IOTLB_MSG",
        channel="backend",
    ),
    ErrorText(
        "DPDK",
        r"Library only supports up to (?P<limit>\d+) queue pairs",
        "more than {limit} queue pairs were asked of DPDK",
    ),
    ErrorText(
        "DPDK",
        r"invalid VHOST_USER_SET_STATUS payload (?P<status>0x[0-9a-f]+)",
        "{status} is no device status: it has more than 8 bits",
        message="SET_STATUS",
    ),
    ErrorText(
        "DPDK",
        r"failed to enable vring\. Inflight packets",
        "DPDK refused SET_VRING_ENABLE 1: asynchronous copies of that ring were still under way. "
        "Disabling is never refused",
        "what had stopped the ring before, and whether the application polls its asynchronous copies",
        message="SET_VRING_ENABLE",
    ),
    ErrorText(
        "DPDK",
        r"(?P<request>vring (?:call|kick|base)) idx:(?P<ring>\d+)",
        "a line of DPDK's log: {name} of ring {ring} was taken",
    ),
)
