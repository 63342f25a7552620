"""What SPDK's vhost target says itself; the rest is DPDK's."""

from vutrace.views.explain.error_text import FOLLOWS, MEMORY, ErrorText

SPDK_ERRORS = (
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
    ErrorText(
        "SPDK",
        r"doesn't set memory table yet",
        "a ring was started before SET_MEM_TABLE, or with memory that could not be mapped",
        MEMORY,
        message="SET_MEM_TABLE",
    ),
    ErrorText(
        "SPDK",
        r"Failed to get guest memory table",
        "a memory table or region had come, and DPDK no longer knew the device: the connection had ended",
        FOLLOWS,
        message="SET_MEM_TABLE",
    ),
    ErrorText(
        "SPDK",
        r"Failed to get negotiated driver features",
        "SET_FEATURES had come, and DPDK no longer knew the device: the connection had ended",
        FOLLOWS,
        message="SET_FEATURES",
    ),
    ErrorText(
        "SPDK",
        r"unmapped guest memory address",
        "a buffer of a request is in no memory region that SPDK has",
        MEMORY,
        message="SET_MEM_TABLE",
    ),
    ErrorText(
        "SPDK",
        r"found a cycle in the descriptor chain|invalid descriptor chain at request index",
        "a chain of descriptors makes no sense: the ring is read at a wrong place, or the driver is broken",
        "SET_VRING_ADDR of that ring; whether both think alike of RING_PACKED",
        message="SET_VRING_ADDR",
    ),
    ErrorText(
        "SPDK",
        r"Timedout when destroy session",
        "requests of the session are still under way: their device does not answer",
        "what stands behind the bdev",
    ),
    ErrorText(
        "SPDK",
        r"has still valid connection",
        "a controller is to be removed that a front-end is connected to",
        "end the front-end first",
    ),
    ErrorText(
        "SPDK",
        r"Received a message to uninitialized session",
        "SPDK does not know the connection that a message came on",
        "whether the front-end reconnected while SPDK was stopping",
    ),
)
