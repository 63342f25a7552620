"""The words in a call's arguments as strace writes them: strings, descriptors, buffers."""

import re
from dataclasses import dataclass

from vutrace.records import FdInfo, FdKind

STRING = r'"(?:[^"\\]|\\.)*"(?:\.\.\.)?'
DECORATION = r"<(?:->|[^<>\"]|\"(?:[^\"\\]|\\.)*\")*>"
DESCRIPTOR = re.compile(rf"(\d+)(?:({DECORATION})(\(deleted\))?)?")
BUFFER = re.compile(rf"iov_base=({STRING}|NULL|0x[0-9a-f]+|\[[^\]]*\]), iov_len=(\d+)", re.DOTALL)
RIGHTS = re.compile(r"cmsg_type=SCM_RIGHTS, cmsg_data=\[(.*?)\](?=\})", re.DOTALL)
PATH = re.compile(rf"sun_path=@?({STRING})", re.DOTALL)
ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
OCTAL = [bytes([digit]) for digit in b"01234567"]
LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f", b"a": b"\a", b"b": b"\b"}
SOCKET = re.compile(r"(?:UNIX[A-Z-]*:|socket:)\[(\d+)(?:->(\d+))?(?:,(.*))?\]", re.DOTALL)
EVENTFD_ID = re.compile(r"eventfd-id[=:] *(\d+)")
KINDS = (
    ("anon_inode:[eventfd", FdKind.EVENTFD),
    ("anon_inode:[userfaultfd", FdKind.USERFAULTFD),
    ("anon_inode:dmabuf", FdKind.DMABUF),
    ("/dmabuf:", FdKind.DMABUF),
    ("/memfd:", FdKind.MEMFD),
    ("pipe:", FdKind.PIPE),
    ("UNIX", FdKind.SOCKET),
    ("socket:", FdKind.SOCKET),
    ("TCP", FdKind.SOCKET),
)
LONGEST_NUMBER = 20
NAMED = {FdKind.FILE, FdKind.MEMFD}


@dataclass(frozen=True, slots=True)
class Socket:
    """A descriptor that may be a socket: its inode, its peer's, and where it is bound; "" where unknown."""

    own: str
    peer: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Handed:
    """A passed descriptor: its number in the watched process; of a socket its peer's inode."""

    number: int
    info: FdInfo
    peer: str = ""


def within(number: str, bits: int) -> int | None:
    """A decimal number, None where it cannot be what it is said to be."""
    return int(number) if len(number) <= LONGEST_NUMBER and int(number) < 1 << bits else None


def string(text: str) -> bytes:
    """The bytes of a string with escapes of any kind; what strace left out at its end is not there."""
    body = text.removesuffix("...")[1:-1].encode("utf-8", "surrogateescape")
    return ESCAPE.sub(unescaped, body)


def unescaped(found: re.Match[bytes]) -> bytes:
    """One escape."""
    code = found[1]
    if code[:1] == b"x" and len(code) > 1:
        return bytes([int(code[1:], 16)])
    if code[:1] in OCTAL:
        return bytes([int(code, 8) & 0xFF])
    return LETTERS.get(code, code)


def plain(text: str) -> str:
    """A name that may be written in escapes."""
    return ESCAPE.sub(unescaped, text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def socket_of(text: str) -> Socket | None:
    """The socket at the beginning of a call's arguments; None where it is known to be none."""
    found = DESCRIPTOR.match(text)
    if found is None:
        return None
    if not found[2]:
        return Socket(f"descriptor {found[1]}")
    told = SOCKET.match(plain(found[2][1:-1]))
    if told is None:
        return None
    return Socket(told[1], told[2] or "", (told[3] or "").strip('"'))


def buffers(text: str) -> tuple[bytes, int]:
    """What an array of buffers holds as far as it is written out, and how many bytes that array has."""
    data, size, cut = b"", 0, False
    for written, length in BUFFER.findall(text):
        size += int(length)
        if written.startswith('"') and not cut:
            data += string(written)
            cut = written.endswith("...")
    return data, size


def passed(text: str) -> tuple[Handed, ...]:
    """The descriptors in a call's control messages."""
    words = (found for listed in RIGHTS.findall(text) for found in DESCRIPTOR.finditer(listed))
    return tuple(map(descriptor, words))


def descriptor(found: re.Match[str]) -> Handed:
    """One passed descriptor, as far as -y tells."""
    number, name = int(found[1]), plain((found[2] or "")[1:-1])
    kind = next((kind for start, kind in KINDS if name.startswith(start)), FdKind.UNKNOWN)
    if kind is FdKind.UNKNOWN and name.startswith("/"):
        kind = FdKind.HUGETLBFS if "huge" in name.lower() else FdKind.FILE
    told, inode = EVENTFD_ID.search(name), re.search(r"\[(\d+)(?:->(\d+))?", name)
    info = FdInfo(
        kind,
        inode=within(inode[1], 64) or 0 if inode and kind in (FdKind.SOCKET, FdKind.PIPE) else 0,
        name=name.removeprefix("/memfd:") if kind in NAMED or kind is FdKind.HUGETLBFS else "",
        eventfd_id=within(told[1], 63) if told else None,
    )
    return Handed(number, info, inode[2] or "" if inode else "")
