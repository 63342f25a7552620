"""Back-end to front-end requests, on the socket that SET_BACKEND_REQ_FD passed.

Source: vhost-user.rst, "Back-end message types"; 1002 to 1007 are crosvm's (third_party/vmm_vhost).
"""

from vutrace.protocol.effects import RingEffect
from vutrace.protocol.spec import FdRule, MessageSpec, ReplyRule, Table, table

CROSVM = "crosvm extension"

BACKEND_MESSAGES: Table = table(
    MessageSpec(
        1, "BACKEND_IOTLB_MSG", ("Iotlb",), gate="VIRTIO_F_ACCESS_PLATFORM", aliases=("SLAVE_IOTLB_MSG",)
    ),
    MessageSpec(2, "BACKEND_CONFIG_CHANGE_MSG", gate="CONFIG", aliases=("SLAVE_CONFIG_CHANGE_MSG",)),
    MessageSpec(
        3,
        "BACKEND_VRING_HOST_NOTIFIER_MSG",
        ("Area",),
        fds=FdRule.UNLESS_NOFD,
        gate="HOST_NOTIFIER",
        ring=True,
        aliases=("SLAVE_VRING_HOST_NOTIFIER_MSG",),
        effect=RingEffect.NOTHING,
        role="host notifier",
    ),
    MessageSpec(
        4,
        "BACKEND_VRING_CALL",
        ("VringState",),
        gate="INBAND_NOTIFICATIONS",
        ring=True,
        aliases=("SLAVE_VRING_CALL",),
        effect=RingEffect.NOTHING,
    ),
    MessageSpec(
        5,
        "BACKEND_VRING_ERR",
        ("VringState",),
        gate="INBAND_NOTIFICATIONS",
        ring=True,
        aliases=("SLAVE_VRING_ERR",),
        effect=RingEffect.NOTHING,
    ),
    MessageSpec(6, "BACKEND_SHARED_OBJECT_ADD", ("Uuid",), gate="SHARED_OBJECT", publishes=True),
    MessageSpec(7, "BACKEND_SHARED_OBJECT_REMOVE", ("Uuid",), gate="SHARED_OBJECT", publishes=False),
    MessageSpec(
        8,
        "BACKEND_SHARED_OBJECT_LOOKUP",
        ("Uuid",),
        ("Ack",),
        ReplyRule.ALWAYS,
        reply_fds=FdRule.IF_OK,
        gate="SHARED_OBJECT",
        note="rust-vmm attaches a descriptor to the request; QEMU loses that of the reply",
        reply_role="shared object",
    ),
    MessageSpec(
        9,
        "BACKEND_SHMEM_MAP",
        ("Mmap",),
        fds=FdRule.ONE,
        gate="SHMEM",
        aliases=("SLAVE_FS_MAP", "FS_MAP"),
        role="shared memory",
    ),
    MessageSpec(
        10,
        "BACKEND_SHMEM_UNMAP",
        ("Mmap",),
        gate="SHMEM",
        aliases=("SLAVE_FS_UNMAP", "FS_UNMAP"),
        words="shmid {shmid}: {len:size} at {shm_offset:address}",
    ),
    MessageSpec(
        1002,
        "CROSVM_FS_MAP",
        ("Blob",),
        fds=FdRule.AT_MOST_ONE,
        heading=CROSVM,
        role="file",
    ),
    MessageSpec(1003, "CROSVM_FS_UNMAP", ("Blob",), heading=CROSVM),
    MessageSpec(1004, "CROSVM_FS_SYNC", ("Blob",), heading=CROSVM),
    MessageSpec(
        1005,
        "CROSVM_FS_IO",
        ("Blob",),
        fds=FdRule.AT_MOST_ONE,
        heading=CROSVM,
        role="file",
    ),
    MessageSpec(
        1006,
        "CROSVM_GPU_MAP",
        ("GpuMap",),
        ("Ack",),
        ReplyRule.ALWAYS,
        FdRule.ONE,
        heading=CROSVM,
        role="shared memory",
    ),
    MessageSpec(1007, "CROSVM_EXTERNAL_MAP", ("ExternalMap",), ("Ack",), ReplyRule.ALWAYS, heading=CROSVM),
)
