"""Failures that are known of known implementations, each with the source that says so.

A program is known by its command line, a case by a pattern; the first row that fits is told.
"""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class KnownFailure:
    """Programs, by a pattern of their command line, fail the cases of some patterns; `source` says why."""

    program: str
    cases: tuple[str, ...]
    source: str


LIBVHOST_USER = r"qemu-storage-daemon|vhost-user-gpu|/qemu/virtiofsd"
LIBVHOST_USER_7 = r"vhost-user-gpu|/qemu/virtiofsd"
VIRTIOFSD_C = r"/qemu/virtiofsd"
RUST_VMM = r"libexec/virtiofsd|vhost-device-"
VIRTIOFSD = r"libexec/virtiofsd"
PASST = r"\bpasst"
DPDK = r"dpdk-testpmd|ovs-vswitchd"
QEMU_WITHOUT_QUEUES = r"vhost-user-(fs|scsi|vsock)-pci"
QEMU_VSOCK, QEMU_RNG = r"vhost-user-vsock-pci", r"vhost-user-rng-pci"
LIB = "QEMU, subprojects/libvhost-user/libvhost-user.c"
HANDLER = "rust-vmm, vhost-user-backend/src/handler.rs"
REQUESTS = "rust-vmm, vhost/src/vhost_user/backend_req_handler.rs"
DPDK_USER = "DPDK, lib/vhost/vhost_user.c"
KNOWN: tuple[KnownFailure, ...] = (
    KnownFailure(
        LIBVHOST_USER_7,
        ("framing/payload-bytewise", "framing/closed-in-payload"),
        "QEMU 7.2, libvhost-user.c:338, vu_message_read_default: assert(rc == vmsg->size)",
    ),
    KnownFailure(
        VIRTIOFSD_C,
        ("rings/stop-unstarted", "rings/stop-twice"),
        "QEMU 7.2, tools/virtiofsd/fuse_virtio.c:723, fv_queue_cleanup_thread: assert(qidx < vud->nqueues), "
        "and the queue's own data is gone after the first stop",
    ),
    KnownFailure(
        VIRTIOFSD_C,
        ("gating/get-inflight-fd",),
        "QEMU 7.2, libvhost-user.c, vu_get_inflight_fd answers it unnegotiated, and the seccomp filter in "
        "tools/virtiofsd/passthrough_seccomp.c has no memfd_create",
    ),
    KnownFailure(
        LIBVHOST_USER,
        ("rings/no-such-ring-[sbi]*",),
        f"{LIB}, vu_set_vring_num_exec and vu_set_vring_base_exec write to dev->vq[index] of any index",
    ),
    KnownFailure(
        LIBVHOST_USER,
        ("memory/count-*", "memory/nine-regions"),
        f"{LIB}, vu_set_mem_table_exec takes nregions as it comes; dev->regions has 32 places",
    ),
    KnownFailure(
        LIBVHOST_USER,
        ("rings/size-*",),
        f"{LIB}, vu_set_vring_num_exec takes any size",
    ),
    KnownFailure(
        LIBVHOST_USER,
        ("rings/request-before-start",),
        f"{LIB}, _vu_queue_notify writes to call_fd, which is -1 until SET_VRING_CALL, and panics; "
        "a request that is done between SET_VRING_KICK and SET_VRING_CALL ends the connection",
    ),
    KnownFailure(
        LIBVHOST_USER,
        ("configuration/parts-agree",),
        f"{LIB}, vu_get_config does not give the offset to the device",
    ),
    KnownFailure(
        LIBVHOST_USER,
        ("negotiation/*not-offered",),
        f"{LIB}, vu_set_features_exec and vu_set_protocol_features_exec take every bit",
    ),
    KnownFailure(
        LIBVHOST_USER,
        ("negotiation/no-features",),
        f"{LIB}, vu_set_features_exec panics without VIRTIO_F_VERSION_1",
    ),
    KnownFailure(
        LIBVHOST_USER,
        ("framing/surplus-descriptor",),
        f"{LIB}, vu_get_features_exec and its like set fd_num to 0, and close nothing",
    ),
    KnownFailure(
        LIBVHOST_USER,
        ("memory/*beyond-its-file", "memory/*-wraps", "memory/more-descriptors*"),
        f"{LIB}, vu_set_mem_table_exec and vu_add_mem_reg map without a look at the file or the addresses",
    ),
    KnownFailure(
        LIBVHOST_USER,
        ("memory/*", "rings/no-such-ring-*", "header/request-*", "hostile/*-without-descriptor"),
        f"{LIB}, vu_dispatch acknowledges with 0 what vu_panic refused, and ends the connection then",
    ),
    KnownFailure(
        RUST_VMM,
        ("split/no-interrupt",),
        "rust-vmm, virtio-queue/src/queue.rs, Queue::needs_notification: VRING_AVAIL_F_NO_INTERRUPT is not "
        "supported",
    ),
    KnownFailure(
        RUST_VMM,
        ("negotiation/protocol-features-not-offered",),
        f"{HANDLER}, set_protocol_features takes every bit",
    ),
    KnownFailure(
        RUST_VMM,
        ("framing/payload-bytewise",),
        f"{REQUESTS}, handle_request: one recv_data has to bring the payload",
    ),
    KnownFailure(
        RUST_VMM,
        ("memory/*beyond-its-file",),
        "rust-vmm, vm-memory since 0.17, src/mmap/unix.rs, MmapRegionBuilder: check_file_offset was dropped",
    ),
    KnownFailure(
        RUST_VMM,
        ("memory/nine-regions",),
        "rust-vmm, vhost/src/vhost_user/message.rs, VhostUserMemory::is_valid: up to 32 regions",
    ),
    KnownFailure(
        RUST_VMM,
        ("memory/remove-with-descriptor",),
        f"{REQUESTS}, check_attached_files: REM_MEM_REG may have none",
    ),
    KnownFailure(
        RUST_VMM,
        ("memory/more-than-slots",),
        f"{HANDLER}, add_mem_region does not count up to MAX_MEM_SLOTS",
    ),
    KnownFailure(
        VIRTIOFSD,
        ("hostile/buffer-*", "hostile/request-*", "hostile/chain-*", "hostile/*-beyond-table"),
        "virtiofsd 1.13.2, src/vhost_user.rs:268, 271 and 277: Reader::new, Writer::new and handle_message "
        "are unwrapped",
    ),
    KnownFailure(
        VIRTIOFSD,
        ("reset/works-again",),
        "rust-vmm, vhost-user-backend before 0.22, handler.rs, reset_device leaves the rings ready, and "
        "set_vring_kick does not watch another descriptor then",
    ),
    KnownFailure(
        VIRTIOFSD,
        ("rings/request-before-start",),
        "rust-vmm, vhost-user-backend before 0.22, event_loop.rs, handle_event reads and loses the kick of a "
        "ring that is not enabled",
    ),
    KnownFailure(
        PASST,
        ("rings/no-such-ring-*",),
        "passt, vhost_user.c, vu_set_vring_num_exec and vu_set_vring_base_exec write to any vdev->vq[idx]",
    ),
    KnownFailure(
        PASST,
        ("rings/size-*",),
        "passt, vhost_user.c, vu_set_vring_num_exec takes any size",
    ),
    KnownFailure(
        PASST,
        ("hostile/request-*", "hostile/chain-loops"),
        "passt, virtio.c: virtqueue_map_desc asserts a size, vu_queue_map_desc ends the program by die()",
    ),
    KnownFailure(
        PASST,
        ("negotiation/no-features",),
        "passt, vhost_user.c, vu_set_features_exec ends the program without VIRTIO_F_VERSION_1",
    ),
    KnownFailure(
        PASST,
        ("negotiation/*not-offered",),
        "passt, vhost_user.c, vu_set_features_exec and vu_set_protocol_features_exec take every bit",
    ),
    KnownFailure(
        PASST,
        ("negotiation/offers-mq",),
        "passt, vhost_user.c, vu_get_protocol_features_exec offers no MQ: it has one pair of queues",
    ),
    KnownFailure(
        PASST,
        ("framing/payload-bytewise",),
        "passt, vhost_user.c, vu_message_read_default ends the program at a short read",
    ),
    KnownFailure(
        PASST,
        ("framing/surplus-descriptor",),
        "passt, vhost_user.c, vmsg_set_reply_u64 sets fd_num to 0, and closes nothing",
    ),
    KnownFailure(
        PASST,
        ("memory/*beyond-its-file", "memory/*-wraps", "memory/more-descriptors*"),
        "passt, vhost_user.c, vu_set_mem_table_exec maps without a look at the file or the addresses",
    ),
    KnownFailure(
        DPDK,
        ("framing/header-*", "framing/payload-bytewise"),
        f"{DPDK_USER}, read_vhost_message: one read has to bring the header, one the payload",
    ),
    KnownFailure(
        DPDK,
        ("net/num-buffers",),
        "DPDK, lib/vhost/virtio_net.c, mbuf_to_desc writes num_buffers with MRG_RXBUF only",
    ),
    KnownFailure(
        PASST,
        ("net/num-buffers",),
        "passt, vu_common.c, vu_set_vnethdr writes num_buffers with MRG_RXBUF only",
    ),
    KnownFailure(
        DPDK,
        ("packed/base-counts",),
        f"{DPDK_USER}, vhost_user_get_vring_base: the available half of a packed ring's base",
    ),
    KnownFailure(
        DPDK,
        ("replies/iotlb-msg",),
        f"{DPDK_USER}, vhost_user_iotlb_msg has no reply of its own, only the acknowledgement",
    ),
    KnownFailure(
        DPDK,
        ("iotlb/told-before",),
        f"{DPDK_USER}, vhost_user_iotlb_msg gives a translation to the rings that there are by then",
    ),
    KnownFailure(
        DPDK,
        ("memory/*beyond-its-file", "memory/*-wraps"),
        f"{DPDK_USER}, vhost_user_mmap_region looks at the sum of size and offset only, not at the file",
    ),
    KnownFailure(
        DPDK,
        ("rings/no-such-ring-*",),
        f"{DPDK_USER}, vhost_user_check_and_alloc_queue_pair makes any ring below VHOST_MAX_VRING",
    ),
    KnownFailure(
        QEMU_WITHOUT_QUEUES,
        ("offers/one-queue",),
        "QEMU, hw/virtio/vhost-user.c, vhost_user_backend_init compares num_queues with the back-end's; "
        "vhost-user-fs.c, vhost-user-scsi.c and vhost-vsock-common.c do not set it",
    ),
    KnownFailure(
        QEMU_VSOCK,
        ("channel/config-change*",),
        "QEMU, hw/virtio/vhost-user-vsock.c, vuv_handle_config_change uses dev->vdev, which vhost_dev_start "
        "sets; vhost-user-blk.c looks whether the device is started",
    ),
    KnownFailure(
        QEMU_RNG,
        ("offers/no-protocol-features", "answers/get-*", "restarts/in-negotiation"),
        "QEMU 7.2, hw/virtio/vhost-user-rng.c, vu_rng_device_realize sets an error where vhost_dev_init has "
        "set one, which error_setg asserts not to be",
    ),
)


def known(command: str, case: str) -> str:
    """The source of what is known of a program and a case; "" if nothing is."""
    for each in KNOWN:
        if re.search(each.program, command) and any(fnmatchcase(case, pattern) for pattern in each.cases):
            return each.source
    return ""
