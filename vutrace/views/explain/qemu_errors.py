"""What QEMU says (hw/virtio/vhost*.c, net/vhost-user.c), and its trace."""

from vutrace.views.explain.error_text import CLOSED, FOLLOWS, ErrorText

QEMU_ERRORS = (
    ErrorText(
        "QEMU",
        r"(?:Failed to read msg header\. )?Read (?P<got>-?\d+) instead of 12\b"
        r"(?:\. Original request (?P<request>\d+))?",
        "QEMU waited for the reply to {name} and found the connection closed "
        "(-1: the back-end went away without having read this request; "
        "0: it had read the request and then closed, or was gone before)",
        CLOSED,
    ),
    ErrorText(
        "QEMU",
        r"Failed to read msg header\. Flags (?P<flags>0x[0-9a-f]+) instead of 0x5",
        "a reply must have exactly the flags 0x5 (version 1, REPLY), this one had {flags}: with 0xd the "
        "back-end left NEED_REPLY in it, anything else is no reply, or the stream is out of step",
        "the last reply in a capture, and whether the request before it was answered twice",
    ),
    ErrorText(
        "QEMU",
        r"Failed to read msg header\. Size (?P<size>\d+) exceeds the maximum",
        "a reply announces {size} bytes of payload, more than any message has: the stream is out of step",
        "an earlier reply that was longer or shorter than its header says",
    ),
    ErrorText(
        "QEMU",
        r"Failed to read msg payload\. Read (?P<got>-?\d+) instead of (?P<want>\d+)",
        "the back-end closed in the middle of a reply: {got} of {want} bytes came",
        CLOSED,
    ),
    ErrorText(
        "QEMU",
        r"Failed to write msg\. Wrote (?P<got>-?\d+) instead of (?P<want>\d+)",
        "the connection was gone when QEMU sent a message of {want} bytes (12 of them header)",
        FOLLOWS,
    ),
    ErrorText(
        "QEMU",
        r"Failed to set msg fds",
        "QEMU could not attach descriptors because the socket is not connected any more",
        FOLLOWS,
    ),
    ErrorText(
        "QEMU",
        r"Received unexpected msg type\.? Expected (?P<request>\d+) received (?P<other>\d+)",
        "QEMU waited for the reply to {name} and got one with number {other}: a request was answered "
        "twice, or one that needs no answer was answered, and every reply is now one too late",
        "the first reply in a capture that no request waits for",
    ),
    ErrorText(
        "QEMU",
        r"Received bad msg size",
        "a reply does not have the size that its message demands",
        "the sizes of requests and replies: GET_CONFIG must return as many bytes as were asked for",
    ),
    ErrorText(
        "QEMU",
        r"Unexpected end-of-file before all (?:data|bytes) were read",
        "the back-end closed the connection while QEMU waited for a reply",
        CLOSED,
    ),
    ErrorText(
        "QEMU",
        r"vhost VQ (?P<ring>\d+) ring restore failed: -?(?P<errno>\d+)",
        "on stopping, QEMU could not ask ring {ring} for its index and takes it from guest memory instead",
        FOLLOWS,
        message="GET_VRING_BASE",
    ),
    ErrorText(
        "QEMU",
        r"vhost_set_mem_table failed: Invalid argument(?: \(22\))?",
        "no region of guest memory can be shared, so SET_MEM_TABLE was not sent at all; where a capture has "
        "it, the back-end refused it",
        "-object memory-backend-memfd (or -file) with share=on, and -numa node,memdev= or -machine "
        "memory-backend=",
        message="SET_MEM_TABLE",
    ),
    ErrorText(
        "QEMU",
        r"vhost_(?P<request>[gs]et_(?:features|mem_table|log_base|owner|vring_\w+|inflight_fd|config)) failed"
        r":?(?: [^()\n]*\()? ?-?(?P<errno>\d+)?\)?",
        "QEMU could not send {name}, or the back-end answered it with an error",
        "whether the connection still stood; if it did, the acknowledgement of this message in a capture",
    ),
    ErrorText(
        "QEMU",
        r"(?:vhost_backend_init failed|failed to init vhost_(?:net|crypto) for queue"
        r"|vhost_dev_init(?:\(\))? failed|vhost(?: backend|-user)? initialization failed)",
        "the first messages, from GET_FEATURES to SET_OWNER, did not come through",
        "the line before this one; the last message of the capture",
        message="GET_FEATURES",
    ),
    ErrorText(
        "QEMU",
        r"you are asking more queues than supported: (?P<limit>\d+)",
        "queues= asks for more queue pairs than the back-end's GET_QUEUE_NUM answered ({limit}); "
        "without the MQ protocol feature it is 1",
        "the protocol features (MQ) and the number of queues the back-end was started with",
        message="GET_QUEUE_NUM",
    ),
    ErrorText(
        "QEMU",
        r"maximum number of queues supported by the backend is (?P<limit>\d+)",
        "the device has more rings than the back-end's GET_QUEUE_NUM answered ({limit})",
        "num-queues= of the device and the number of queues the back-end was started with",
        message="GET_QUEUE_NUM",
    ),
    ErrorText(
        "QEMU",
        r"IOMMU support requires reply-ack and (?:slave|backend)-req protocol features",
        "VIRTIO_F_ACCESS_PLATFORM is offered without the protocol features REPLY_ACK and BACKEND_REQ",
        "the back-end's protocol features, or iommu_platform=on on the device",
        message="IOTLB_MSG",
    ),
    ErrorText(
        "QEMU",
        r"vhost(?:-user backend)? lacks VHOST_(?:USER_PROTOCOL_F_LOG_SHMFD|F_LOG_ALL)",
        "the back-end cannot log dirty pages into shared memory, so the guest cannot migrate",
        "the back-end's protocol features",
        message="SET_LOG_BASE",
    ),
    ErrorText(
        "QEMU",
        r"vhost lacks feature mask (?P<mask>(?:0x)?[0-9a-f]+) for backend",
        "features that QEMU (or the guest, before a reconnect) relies on are not offered by the back-end",
        "the offer in the GET_FEATURES reply; after a back-end was restarted, with what options",
        message="GET_FEATURES",
    ),
    ErrorText(
        "QEMU",
        r"Failed initializing vhost-user memory map",
        "guest memory is not shareable: no region has a descriptor to pass on",
        "-object memory-backend-memfd (or -file) with share=on, and -numa node,memdev=",
        message="SET_MEM_TABLE",
    ),
    ErrorText(
        "QEMU",
        r"Failed preparing vhost-user memory table msg",
        "guest memory has more than the 8 regions that one memory table holds; that it can be shared is "
        "already settled",
        "CONFIGURE_MEM_SLOTS among the back-end's protocol features, which lifts the limit; fewer memory "
        "devices without it",
        message="SET_MEM_TABLE",
    ),
    ErrorText(
        "QEMU",
        r"unable to start vhost net: -?22\b",
        "the start failed with EINVAL; mostly guest memory cannot be shared, and no memory table was sent",
        "whether a capture has SET_FEATURES but no SET_MEM_TABLE; then -object memory-backend-memfd with "
        "share=on. Else the first acknowledgement that is not 0",
        message="SET_MEM_TABLE",
    ),
    ErrorText(
        "QEMU",
        r"(?:unable to start vhost (?:net|crypto)|Error starting vhost(?:[- ][a-z0-9-]+)?): -?(?P<errno>\d+)",
        "the start (SET_FEATURES to SET_VRING_ENABLE) failed; the guest gets no back-end",
        "the first error before this one; in a capture, the first acknowledgement that is not 0",
    ),
    ErrorText(
        "QEMU",
        r"(?:get (?:block )?config failed|vhost_get_config failed|set device config space failed)",
        "configuration space could not be read or written: no reply, an error, or another size",
        "CONFIG among the protocol features, and the sizes of request and reply",
        message="GET_CONFIG",
    ),
    ErrorText(
        "QEMU",
        r"(?:device expecting VHOST_USER_PROTOCOL_F_CONFIG|VHOST_USER_PROTOCOL_F_CONFIG not supported)",
        "this device needs configuration space from the back-end, which does not offer CONFIG",
        "the GET_PROTOCOL_FEATURES reply",
        message="GET_CONFIG",
    ),
    ErrorText(
        "QEMU",
        r"supports VHOST_USER_PROTOCOL_F_CONFIG but QEMU does not",
        "the back-end offers CONFIG for a device whose configuration space QEMU keeps itself; harmless",
        message="GET_CONFIG",
    ),
    ErrorText(
        "QEMU",
        r"vhost vring error in virtqueue (?P<ring>\d+)",
        "the back-end signalled an error of ring {ring} through the descriptor of SET_VRING_ERR",
        "what the back-end logged: usually a descriptor whose address is in no memory region",
        message="SET_VRING_ERR",
    ),
    ErrorText(
        "QEMU",
        r"Failed to (?:get|send|receive reply to) postcopy_(?P<step>advise|listen|end)",
        "the postcopy step {step} failed",
        "PAGEFAULT among the protocol features, and userfaultfd rights of the back-end",
        message="POSTCOPY_ADVISE",
    ),
    ErrorText(
        "QEMU",
        r"Failed to read from (?:slave|backend)",
        "the back-end channel broke; often the back-end has gone altogether",
        CLOSED,
        message="SET_BACKEND_REQ_FD",
    ),
    ErrorText(
        "QEMU",
        r"Error (?:get|gett|set|sett)(?:ing)? inflight(?: format)?: -?(?P<errno>\d+)",
        "the area of requests in flight could not be had from the back-end, or given to it",
        "INFLIGHT_SHMFD among the protocol features, and the descriptor of GET_INFLIGHT_FD's reply",
        message="GET_INFLIGHT_FD",
    ),
    ErrorText(
        "QEMU",
        r"backend fails to broadcast fake RARP",
        "after a migration nobody tells the network where the guest is now: the back-end does not offer RARP",
        "the GET_PROTOCOL_FEATURES reply; harmless where the guest announces itself (GUEST_ANNOUNCE)",
        message="SEND_RARP",
    ),
    ErrorText(
        "QEMU",
        r"no free (?:ram|memory) slots (?:left|available)",
        "memory was to be added, and the back-end takes no more regions than it said (8 without a word)",
        "CONFIGURE_MEM_SLOTS among the protocol features",
        message="GET_MAX_MEM_SLOTS",
    ),
    ErrorText(
        "QEMU",
        r"Only one vhost-user client is allowed to connect",
        "a second front-end connected to an export of QEMU or qemu-storage-daemon, which here is the "
        "back-end and serves one front-end at a time",
        "which virtual machines use that socket: an earlier one may still run",
    ),
    ErrorText(
        "QEMU",
        r"chardev \"[^\"\n]*\" went down",
        "the back-end closed the connection, and QEMU took the guest's link down (QEMU up to 2.6 says so)",
        CLOSED,
    ),
    ErrorText(
        "QEMU",
        r"chardev \"[^\"\n]*\" went up",
        "a back-end is connected; the first messages follow (QEMU up to 2.6 says so)",
    ),
    ErrorText(
        "QEMU",
        r"waiting for connection on: (?:disconnected:)?(?P<place>[^\s,]+)",
        "QEMU listens at {place} and does not start the guest before a back-end connects",
        "the back-end: it must connect (be the client); or server=off here, or wait=off",
    ),
    ErrorText(
        "QEMU",
        r"Received unexpected msg type: (?P<request>\d+)",
        "{name} came over the back-end channel, and QEMU has no handler for it",
        "whether the back-end is newer than QEMU",
        channel="backend",
    ),
    ErrorText(
        "QEMU trace",
        r"vhost_user_write +req:(?P<request>\d+)(?: \([^)\n]*\))? flags:(?P<flags>0x[0-9a-f]+)",
        "a line of QEMU's trace: {name} was sent",
    ),
    ErrorText(
        "QEMU trace",
        r"vhost_user_read +req:(?P<request>\d+)(?: \([^)\n]*\))? flags:(?P<flags>0x[0-9a-f]+)",
        "a line of QEMU's trace: a reply to {name} came in",
    ),
    ErrorText(
        "QEMU trace",
        r"req:(?P<request>\d+)(?: \([^)\n]*\))? flags:(?P<flags>0x[0-9a-f]+)",
        "from a line of QEMU's trace (vhost_user_write or vhost_user_read): the header of {name}",
    ),
)
