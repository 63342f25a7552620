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
LIB = "QEMU, subprojects/libvhost-user/libvhost-user.c"
KNOWN: tuple[KnownFailure, ...] = (
    KnownFailure(
        LIBVHOST_USER_7,
        ("framing/payload-bytewise", "framing/closed-in-payload"),
        "QEMU 7.2, libvhost-user.c:338, vu_message_read_default: assert(rc == vmsg->size)",
    ),
    KnownFailure(
        VIRTIOFSD_C,
        ("rings/stop-unstarted", "rings/stop-twice"),
        "QEMU 7.2, tools/virtiofsd/fuse_virtio.c:723, fv_queue_cleanup_thread: assert(qidx < vud->nqueues)",
    ),
    KnownFailure(
        VIRTIOFSD_C,
        ("gating/get-inflight-fd",),
        "QEMU 7.2: libvhost-user answers it unnegotiated, and virtiofsd's seccomp filter has no memfd_create",
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
        "rust-vmm, virtio-queue, Queue::needs_notification looks at used_event only, not at the flags",
    ),
    KnownFailure(
        RUST_VMM,
        ("negotiation/protocol-features-not-offered",),
        "rust-vmm, vhost-user-backend, VhostUserHandler::set_protocol_features takes every bit",
    ),
    KnownFailure(
        VIRTIOFSD,
        ("hostile/buffer-*", "hostile/request-*", "hostile/chain-*", "hostile/*-beyond-table"),
        "virtiofsd 1.13.2, src/vhost_user.rs:268 and 277: Reader::new and Writer::new are unwrapped",
    ),
    KnownFailure(
        VIRTIOFSD,
        ("reset/works-again",),
        "rust-vmm, vhost-user-backend up to 0.20, reset_device leaves the rings ready, and a new kick "
        "descriptor is not watched; later versions have update_vring_registration",
    ),
    KnownFailure(
        VIRTIOFSD,
        ("rings/request-before-start",),
        "rust-vmm, vhost-user-backend up to 0.20, handle_event reads the kick of a ring that is not enabled; "
        "later versions watch it only while the ring is enabled",
    ),
    KnownFailure(
        PASST,
        ("rings/no-such-ring-*",),
        "passt, vhost_user.c, vu_set_vring_num_exec and its like use vdev->vq[idx] of any index",
    ),
    KnownFailure(
        PASST,
        ("hostile/request-*", "hostile/chain-loops"),
        "passt, virtio.c and vu_common.c: what is wrong in a ring ends the program by die() or an assertion",
    ),
    KnownFailure(
        DPDK,
        ("framing/header-*", "framing/payload-bytewise"),
        "DPDK, lib/vhost/vhost_user.c, read_vhost_message: one read has to bring the header, one the payload",
    ),
    KnownFailure(
        f"{DPDK}|{PASST}",
        ("net/num-buffers",),
        "DPDK, lib/vhost/virtio_net.c, and passt, vu_common.c: num_buffers is written with MRG_RXBUF only",
    ),
    KnownFailure(
        DPDK,
        ("packed/base-counts",),
        "DPDK, lib/vhost/vhost_user.c, vhost_user_get_vring_base: the available half of a packed ring's base",
    ),
    KnownFailure(
        DPDK,
        ("rings/no-such-ring-*",),
        "DPDK, lib/vhost/vhost_user.c, vhost_user_check_and_alloc_queue_pair makes any ring below 256",
    ),
)


def known(command: str, case: str) -> str:
    """The source of what is known of a program and a case; "" if nothing is."""
    for each in KNOWN:
        if re.search(each.program, command) and any(fnmatchcase(case, pattern) for pattern in each.cases):
            return each.source
    return ""
