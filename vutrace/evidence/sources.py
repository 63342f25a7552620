"""Whose records can be imported, and how each is read."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import TextIOWrapper
from typing import BinaryIO

from vutrace.evidence.conversations import Item
from vutrace.evidence.dpdk import read_dpdk
from vutrace.evidence.libvhost_user import read_libvhost_user
from vutrace.evidence.qemu import read_qemu, read_simpletrace
from vutrace.evidence.sockdump import read_sockdump
from vutrace.evidence.strace import read_strace


@dataclass(frozen=True, slots=True)
class LogFormat:
    """What `import --from` takes: what it is, and the function that reads it, text line by line."""

    what: str
    read: Callable[[BinaryIO], Iterator[Item]]


def text(read: "Callable[[TextIOWrapper], Iterator[Item]]") -> Callable[[BinaryIO], Iterator[Item]]:
    """A reader of lines as one of bytes."""
    return lambda stream: read(TextIOWrapper(stream, "utf-8", "surrogateescape", newline="\n"))


SOURCES: Mapping[str, LogFormat] = {
    "strace": LogFormat("strace -f -yy -xx -s 65536 of either end", text(read_strace)),
    "qemu": LogFormat("the log of qemu -trace 'vhost_user_*'", text(read_qemu)),
    "simpletrace": LogFormat("a file of QEMU's simple trace backend", read_simpletrace),
    "dpdk": LogFormat("the log of DPDK's vhost library (VHOST_CONFIG)", text(read_dpdk)),
    "libvhost-user": LogFormat("libvhost-user's debug output", text(read_libvhost_user)),
    "sockdump": LogFormat("sockdump --format pcap", read_sockdump),
}
