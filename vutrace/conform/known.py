"""Failures that are known of known implementations, each with the source that says so."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class KnownFailure:
    """A program, by a pattern that its command line fits, fails the cases of a pattern; `source` says why."""

    program: str
    cases: str
    source: str


LIBVHOST_USER = r"qemu-storage-daemon|vhost-user-gpu|/qemu/virtiofsd"
LIB = "libvhost-user.c"
KNOWN: tuple[KnownFailure, ...] = (
    KnownFailure(
        LIBVHOST_USER,
        "rings/no-such-ring-[sbi]*",
        f"{LIB}, vu_set_vring_num_exec, vu_set_vring_base_exec: dev->vq[index] of any index",
    ),
    KnownFailure(
        LIBVHOST_USER,
        "memory/count-huge",
        f"{LIB}, vu_set_mem_table_exec: nregions is taken as it comes, and dev->regions has 8",
    ),
    KnownFailure(
        LIBVHOST_USER,
        "configuration/parts-agree",
        f"{LIB}, vu_get_config: the offset is not given to the device",
    ),
)


def known(command: str, case: str) -> str:
    """The source of what is known of a program and a case; "" if nothing is."""
    found = (
        each.source for each in KNOWN if re.search(each.program, command) and fnmatchcase(case, each.cases)
    )
    return next(found, "")
