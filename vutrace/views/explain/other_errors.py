"""What rust-vmm's vhost crate says (virtiofsd, cloud-hypervisor, vhost-device-*, crosvm), and SPDK."""

from vutrace.views.explain.error_text import CLOSED, MEMORY, ErrorText

OTHER_ERRORS = (
    ErrorText(
        "rust-vmm",
        r"wrong number of attached fds",
        "a message came with more or fewer descriptors than it must have",
        "the descriptors of the last message in a capture",
    ),
    ErrorText(
        "rust-vmm",
        r"(?:inactive feature|inactive protocol operation): (?P<mask>\d+)",
        "a message came whose feature was not negotiated",
        "the last message in a capture, and what `vutrace explain` says it needs",
    ),
    ErrorText(
        "rust-vmm",
        r"(?:virtio/protocol |virtio )features mismatch",
        "acknowledged features are not a part of the offered ones",
        message="SET_FEATURES",
    ),
    ErrorText(
        "rust-vmm",
        r"(?:failed to handle request: )?invalid parameters",
        "a value in the last message is not allowed: often a ring larger than the back-end's maximum, "
        "or an index beyond its rings",
        "the last message in a capture",
        message="SET_VRING_NUM",
    ),
    ErrorText(
        "rust-vmm",
        r"(?:failed to handle request: )?invalid operation",
        "a message at a time when, or with features with which, it is not allowed",
        "the last message in a capture, and what `vutrace explain` says it needs",
    ),
    ErrorText(
        "rust-vmm",
        r"\binvalid message\b",
        "a header or payload that is not well-formed: version, flags, size",
        "the problems of the last messages in a capture",
    ),
    ErrorText(
        "rust-vmm", r"\bpartial message\b", "the peer closed, or sent less than the header says", CLOSED
    ),
    ErrorText(
        "rust-vmm",
        r"\boversized message\b",
        "a header announces more bytes than any message has: the stream is out of step",
    ),
    ErrorText(
        "rust-vmm",
        r"(?:peer disconnected|client closed the connection|socket is broken)",
        "the other side closed the connection",
        CLOSED,
    ),
    ErrorText(
        "rust-vmm",
        r"handler failed to handle request",
        "the program behind the library refused the message",
        "its own log, and the last message in a capture",
    ),
    ErrorText(
        "rust-vmm",
        r"No ?Memory ?(?:Region|Mapping)",
        "an address is in no memory region: usually guest memory is not shared",
        "memory that the front-end shares (shared=on, share=on); the regions in a capture",
        message="SET_MEM_TABLE",
    ),
    ErrorText("rust-vmm", r"can't connect to peer", "nobody listens on the socket"),
    ErrorText(
        "SPDK",
        r"Guest memory size is not a 2MB multiple",
        "SPDK registers guest memory for DMA in pages of 2 MiB, and a region is not made of such",
        MEMORY,
        message="SET_MEM_TABLE",
    ),
    ErrorText(
        "SPDK",
        r"gpa_to_vva\(.*\) == NULL",
        "a descriptor's address is in no memory region that SPDK has",
        MEMORY,
        message="SET_MEM_TABLE",
    ),
    ErrorText(
        "SPDK",
        r"(?:spdk_mem_register|Failed to register memory region)",
        "SPDK could not register guest memory for DMA",
        MEMORY,
        message="SET_MEM_TABLE",
    ),
)
