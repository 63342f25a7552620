"""What front-ends of user space say: DPDK's virtio-user driver, SPDK's bdev_virtio after it."""

from vutrace.views.explain.error_text import CLOSED, FOLLOWS, ErrorText

VIRTIO_USER_ERRORS = (
    ErrorText(
        "virtio-user",
        r"Failed to recv msg (?:hdr|payload): (?P<got>-?\d+) instead of (?P<want>\d+)",
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
    ErrorText(
        "virtio-user",
        r"(?:Slave|Backend) replied NACK to request type \((?P<request>\d+)\)",
        "the back-end refused {name}",
        "the back-end's log",
    ),
    ErrorText(
        "virtio-user",
        r"Unexpected request type \((?P<request>\d+)\)",
        "a reply to {name} came, and another was waited for: the replies are out of step",
        "the first reply that no request waits for",
    ),
    ErrorText(
        "virtio-user",
        r"(?:Unexpected payload size \((?P<size>\d+)\)|Payload size overflow|Received oversized msg)",
        "a reply does not have the size that its message demands",
    ),
    ErrorText(
        "virtio-user",
        r"Failed to set vring (?:file|state) \(request (?P<request>\d+)\)",
        "{name} could not be sent, or the back-end refused it",
    ),
    ErrorText(
        "virtio-user",
        r"failed to send (?P<request>VHOST_USER_\w+)",
        "{name} could not be sent, or the back-end refused it",
        FOLLOWS,
    ),
    ErrorText(
        "virtio-user",
        r"\b(?P<request>[gs]et_(?:features|config|owner|mem_table|vring_\w+)) fail(?:ed|s): "
        r"(?P<reason>[^\n]*)",
        "{name} failed ({reason})",
    ),
    ErrorText(
        "virtio-user",
        r"connect error, (?P<reason>[^\n]*)",
        "no connection to the back-end's socket ({reason})",
        "whether the back-end runs and listens there",
    ),
    ErrorText(
        "virtio-user",
        r"backend set up fails",
        "one of the messages that start a device failed",
        "the line before this one; in a capture, the last message",
    ),
    ErrorText(
        "virtio-user",
        r"Failed to prepare memory for vhost-user",
        "the memory of the process cannot be shared: each hugepage is a region, and there are too many",
        "--single-file-segments, fewer or larger hugepages",
    ),
    ErrorText(
        "virtio-user",
        r"doesn't support VHOST_USER_PROTOCOL_F_MQ",
        "the back-end offers no MQ, so there is one queue only",
        "the GET_PROTOCOL_FEATURES reply",
        message="GET_QUEUE_NUM",
    ),
)
