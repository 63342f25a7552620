"""What rust-vmm's vhost crate says (vhost-device-*, crosvm, Firecracker), and the programs around it."""

from vutrace.views.explain.error_text import CLOSED, ErrorText

RUST_ERRORS = (
    ErrorText(
        "rust-vmm",
        r"wrong number of attached fds|IncorrectFds",
        "a message came with more or fewer descriptors than it must have",
        "the descriptors of the last message in a capture",
    ),
    ErrorText(
        "rust-vmm",
        r"(?:inactive feature|inactive protocol operation): (?P<mask>\d+)|Inactive(?:Feature|Operation)\(",
        "a message came whose feature was not negotiated",
        "the last message in a capture, and what `vutrace explain` says it needs",
    ),
    ErrorText(
        "rust-vmm",
        r"(?:virtio/protocol |virtio )features mismatch|FeatureMismatch",
        "acknowledged features are not a part of the offered ones",
        message="SET_FEATURES",
    ),
    ErrorText(
        "rust-vmm",
        r"(?:failed to handle request: )?invalid parameters|Invalid ?Param(?:eter)?s?\b",
        "a value in the last message is not allowed: often a ring larger than the back-end's maximum, "
        "or an index beyond its rings",
        "the last message in a capture",
        message="SET_VRING_NUM",
    ),
    ErrorText(
        "rust-vmm",
        r"(?:failed to handle request: )?invalid operation|InvalidOperation",
        "a message at a time when, or with features with which, it is not allowed",
        "the last message in a capture, and what `vutrace explain` says it needs",
    ),
    ErrorText(
        "rust-vmm",
        r"\binvalid ?message\b",
        "a header or payload that is not well-formed: version, flags, size",
        "the problems of the last messages in a capture",
    ),
    ErrorText(
        "rust-vmm", r"\bpartial ?message\b", "the peer closed, or sent less than the header says", CLOSED
    ),
    ErrorText(
        "rust-vmm",
        r"\boversized (?:message|msg)\b|OversizedMsg",
        "a header announces more bytes than any message has: the stream is out of step",
    ),
    ErrorText(
        "rust-vmm",
        r"(?:peer disconnected|client closed the connection|socket is broken|SocketBroken|\(Disconnected\))",
        "the other side closed the connection",
        CLOSED,
    ),
    ErrorText(
        "rust-vmm",
        r"handler failed to handle request|ReqHandlerError",
        "the program behind the library refused the message",
        "its own log, and the last message in a capture",
        wraps=True,
    ),
    ErrorText(
        "rust-vmm",
        r"(?:No ?Memory ?(?:Region|Mapping)|Missing memory mapping)",
        "an address is in no memory region: usually guest memory is not shared",
        "memory that the front-end shares (shared=on, share=on); the regions in a capture",
        message="SET_MEM_TABLE",
    ),
    ErrorText("rust-vmm", r"(?:can't connect to peer|SocketConnect)", "nobody listens on the socket"),
    ErrorText(
        "rust-vmm",
        r"(?:backend internal error|BackendInternalError)",
        "the back-end answered with an error, or an acknowledgement that is not 0",
        "the back-end's log; in a capture, the first acknowledgement that is not 0",
    ),
    ErrorText(
        "cloud-hypervisor",
        r"VhostUser(?P<request>(?:Get|Set|Reset|Add|Remove|Check)(?:[A-Z][a-z]+)+)",
        "{name} failed",
        "what stands in the brackets behind it",
        wraps=True,
    ),
    ErrorText(
        "cloud-hypervisor",
        r"Failed connecting the backend",
        "nobody listens on the back-end's socket, or nobody connected within a minute",
        "whether the back-end runs, and its socket's path",
        wraps=True,
    ),
    ErrorText(
        "virtiofsd",
        r"Waiting for vhost-user socket connection",
        "virtiofsd listens and nobody has connected yet: all is well so far",
    ),
    ErrorText(
        "virtiofsd",
        r"Client connected, servicing requests",
        "the front-end connected to virtiofsd",
    ),
    ErrorText(
        "virtiofsd",
        r"Client disconnected, shutting down",
        "the front-end closed the connection, and virtiofsd ends with it",
        "the front-end's log; who restarts virtiofsd",
    ),
    ErrorText(
        "virtiofsd",
        r"Waiting for daemon failed",
        "virtiofsd ends because a message failed, or the front-end has gone",
        "what stands in the brackets behind it; in a capture, the last message",
        wraps=True,
    ),
)
