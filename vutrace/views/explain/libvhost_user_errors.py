"""What libvhost-user says, in QEMU's back-ends and virtiofsd in C."""

from vutrace.views.explain.error_text import CLOSED, MEMORY, ErrorText

LIBVHOST_USER_ERRORS = (
    ErrorText(
        "libvhost-user",
        r"virtio legacy devices aren't supported by libvhost-user",
        "the front-end acknowledged features without VIRTIO_F_VERSION_1, which libvhost-user insists on",
        "disable-legacy=on on the device; a boot firmware that drives it in legacy mode",
        message="SET_FEATURES",
    ),
    ErrorText(
        "libvhost-user",
        r"Guest says index (?P<index>\d+) is available",
        "a ring holds a descriptor number that it cannot have: memory was changed, or the base is wrong",
        "SET_VRING_BASE against the last GET_VRING_BASE of that ring",
        message="SET_VRING_BASE",
    ),
    ErrorText(
        "libvhost-user",
        r"Unhandled request: (?P<request>\d+)",
        "libvhost-user has no handler for {name}; with NEED_REPLY it still answers 0",
        "the feature that this message needs: it was offered, or the front-end did not wait for the offer",
    ),
    ErrorText(
        "libvhost-user",
        r"Invalid fds in request: (?P<request>\d+)",
        "{name} came with descriptors that it may not have, or without those that it needs",
    ),
    ErrorText(
        "libvhost-user",
        r"Invalid (?P<request>vring_(?:addr|kick|call|err)|log_(?:base|fd)|[gs]et_inflight_fd"
        r"|(?:slave|backend)_req_fd) message",
        "{name} could not be used: wrong size or descriptors, or an address that lies in no memory region",
        MEMORY,
    ),
    ErrorText(
        "libvhost-user",
        r"Invalid (?:queue|vring_enable) index: (?P<ring>\d+)",
        "a message is about ring {ring}, and the device has fewer",
        "the reply to GET_QUEUE_NUM, and how many queues the device was given",
        message="GET_QUEUE_NUM",
    ),
    ErrorText(
        "libvhost-user",
        r"(?P<request>VHOST_USER_(?:ADD|REM)_MEM_REG) (?:received|requires)",
        "{name} has a wrong size or number of descriptors (ADD_MEM_REG: one, REM_MEM_REG: none or one)",
    ),
    ErrorText(
        "libvhost-user",
        r"too big message request: (?P<request>\d+), size: vmsg->size: (?P<size>\d+)",
        "the header of {name} announces {size} bytes, more than any message has: the stream is out of step",
    ),
    ErrorText(
        "libvhost-user",
        r"Error while recvmsg: (?P<reason>[^\n]*)",
        "no message could be read ({reason}): the front-end has gone, or there are too many descriptors",
        CLOSED,
    ),
    ErrorText(
        "libvhost-user",
        r"Error while (?:reading|writing): (?P<reason>[^\n]*)",
        "the connection broke in the middle of a message ({reason})",
        CLOSED,
    ),
    ErrorText(
        "libvhost-user",
        r"(?:Error processing vhost message|vu_dispatch failed)",
        "a message could not be handled, and the back-end gives up the connection",
        "the line before this one; in a capture, the last message",
    ),
    ErrorText(
        "libvhost-user",
        r"Guest moved used index from (?P<was>\d+) to (?P<now>\d+)",
        "the guest set a ring's index further than the ring is long: memory or base are not what both think",
        "SET_VRING_BASE against the last GET_VRING_BASE of that ring",
        message="SET_VRING_BASE",
    ),
    ErrorText(
        "libvhost-user",
        r"(?:Looped descriptor|Virtqueue size exceeded|Invalid (?:size for )?indirect buffer table)",
        "a chain of descriptors makes no sense: the ring is read at a wrong place, or the driver is broken",
        "SET_VRING_ADDR and SET_VRING_NUM of that ring; whether both think alike of RING_PACKED",
        message="SET_VRING_ADDR",
    ),
    ErrorText(
        "libvhost-user",
        r"Failed (?:UFFDIO_API|to userfault region)",
        "postcopy needs a userfaultfd, and the kernel refused it",
        "vm.unprivileged_userfaultfd, and the back-end's rights; memory must be shared",
        message="POSTCOPY_ADVISE",
    ),
    ErrorText(
        "libvhost-user",
        r"F_IN_BAND_NOTIFICATIONS requires",
        "the front-end acknowledged INBAND_NOTIFICATIONS without BACKEND_REQ and REPLY_ACK, which it needs",
        message="SET_PROTOCOL_FEATURES",
    ),
    ErrorText(
        "libvhost-user",
        r"Set virtio configuration space failed",
        "the program behind libvhost-user refused what the guest wrote to configuration space",
        message="SET_CONFIG",
    ),
)
