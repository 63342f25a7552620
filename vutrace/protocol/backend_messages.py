"""Back-end to front-end requests, on the socket that SET_BACKEND_REQ_FD passed.

Source: vhost-user.rst, "Back-end message types"; 1002 to 1007 are crosvm's (third_party/vmm_vhost).
"""

from vutrace.protocol import payloads as p
from vutrace.protocol.spec import FdRule, MessageSpec, ReplyRule, Table, table

CROSVM = "crosvm extension"

BACKEND_MESSAGES: Table = table(
    MessageSpec(
        1, "BACKEND_IOTLB_MSG", (p.Iotlb,), gate="VIRTIO_F_ACCESS_PLATFORM", aliases=("SLAVE_IOTLB_MSG",)
    ),
    MessageSpec(2, "BACKEND_CONFIG_CHANGE_MSG", gate="CONFIG", aliases=("SLAVE_CONFIG_CHANGE_MSG",)),
    MessageSpec(
        3,
        "BACKEND_VRING_HOST_NOTIFIER_MSG",
        (p.Area,),
        fds=FdRule.UNLESS_NOFD,
        gate="HOST_NOTIFIER",
        ring=True,
        aliases=("SLAVE_VRING_HOST_NOTIFIER_MSG",),
    ),
    MessageSpec(
        4,
        "BACKEND_VRING_CALL",
        (p.VringState,),
        gate="INBAND_NOTIFICATIONS",
        ring=True,
        aliases=("SLAVE_VRING_CALL",),
    ),
    MessageSpec(
        5,
        "BACKEND_VRING_ERR",
        (p.VringState,),
        gate="INBAND_NOTIFICATIONS",
        ring=True,
        aliases=("SLAVE_VRING_ERR",),
    ),
    MessageSpec(6, "BACKEND_SHARED_OBJECT_ADD", (p.Uuid,), gate="SHARED_OBJECT"),
    MessageSpec(7, "BACKEND_SHARED_OBJECT_REMOVE", (p.Uuid,), gate="SHARED_OBJECT"),
    MessageSpec(
        8,
        "BACKEND_SHARED_OBJECT_LOOKUP",
        (p.Uuid,),
        (p.Ack,),
        ReplyRule.ALWAYS,
        reply_fds=FdRule.IF_OK,
        gate="SHARED_OBJECT",
        note="rust-vmm attaches a descriptor to the request; QEMU up to 11.1 loses that of the reply",
    ),
    MessageSpec(
        9,
        "BACKEND_SHMEM_MAP",
        (p.Mmap,),
        fds=FdRule.ONE,
        gate="SHMEM",
        aliases=("SLAVE_FS_MAP", "FS_MAP"),
    ),
    MessageSpec(10, "BACKEND_SHMEM_UNMAP", (p.Mmap,), gate="SHMEM", aliases=("SLAVE_FS_UNMAP", "FS_UNMAP")),
    MessageSpec(1002, "CROSVM_FS_MAP", (p.Blob,), fds=FdRule.AT_MOST_ONE, heading=CROSVM),
    MessageSpec(1003, "CROSVM_FS_UNMAP", (p.Blob,), heading=CROSVM),
    MessageSpec(1004, "CROSVM_FS_SYNC", (p.Blob,), heading=CROSVM),
    MessageSpec(1005, "CROSVM_FS_IO", (p.Blob,), fds=FdRule.AT_MOST_ONE, heading=CROSVM),
    MessageSpec(1006, "CROSVM_GPU_MAP", (p.GpuMap,), (p.Ack,), ReplyRule.ALWAYS, FdRule.ONE, heading=CROSVM),
    MessageSpec(1007, "CROSVM_EXTERNAL_MAP", (p.ExternalMap,), (p.Ack,), ReplyRule.ALWAYS, heading=CROSVM),
)
