"""virtio-fs: the FUSE requests in its rings. Source: Linux, include/uapi/linux/fuse.h."""

import errno
import struct

from vutrace.rings.buffers import buffers, gather
from vutrace.rings.chain import Chain
from vutrace.rings.payload import AnyForm, KeptRequest
from vutrace.rings.unread import UnreadError
from vutrace.session.context import Context

IN_HEADER = struct.Struct("<IIQQIIIHH")  # length, opcode, unique, node, user, group, process, …
OUT_HEADER = struct.Struct("<IiQ")  # length, error, unique
OPCODES = """
LOOKUP FORGET GETATTR SETATTR READLINK SYMLINK - MKNOD MKDIR UNLINK RMDIR RENAME LINK OPEN READ WRITE
STATFS RELEASE - FSYNC SETXATTR GETXATTR LISTXATTR REMOVEXATTR FLUSH INIT OPENDIR READDIR RELEASEDIR
FSYNCDIR GETLK SETLK SETLKW ACCESS CREATE INTERRUPT BMAP DESTROY IOCTL POLL NOTIFY_REPLY
BATCH_FORGET FALLOCATE READDIRPLUS RENAME2 LSEEK COPY_FILE_RANGE SETUPMAPPING REMOVEMAPPING SYNCFS
TMPFILE STATX
"""  # in their order, from 1 on; - is none
NAMES = dict(enumerate(OPCODES.split(), start=1))


class FuseRequests:
    """The requests of ring number `ring`, by both headers: never a name or what is in a file."""

    link = 0

    def __init__(self, ring: int, _snaplen: int) -> None:
        self._ring = ring

    def learn(self, context: Context) -> None:
        """See `PayloadKind`."""

    def read(self, form: AnyForm, chain: Chain, written: int) -> KeptRequest | None:
        """See `PayloadKind`."""
        asked = gather(form, buffers(chain, writable=False), IN_HEADER.size)
        if len(asked) < IN_HEADER.size:
            return None
        length, opcode, unique, node, user, group, process, *_ = IN_HEADER.unpack(asked)
        name = NAMES.get(opcode, f"opcode {opcode}")
        numbers = {"unique": unique, "node": node, "length": length}
        numbers |= {"uid": user, "gid": group, "pid": process}
        facts = {"ring": str(self._ring), "opcode": name} | {key: str(each) for key, each in numbers.items()}
        try:
            answered = gather(form, buffers(chain, writable=True), OUT_HEADER.size)
        except UnreadError:  # the driver has freed its table of descriptors already
            return KeptRequest(f"ring {self._ring}: {name} of node {node}: answer not readable", facts)
        if len(answered) == OUT_HEADER.size and written >= OUT_HEADER.size:
            size, error, _ = OUT_HEADER.unpack(answered)
            facts |= {"answered": str(size), "error": meaning(error)}
            how = f"{meaning(error)}, {size} bytes" if not error else meaning(error)
        else:
            how = "no answer wanted"
        return KeptRequest(f"ring {self._ring}: {name} of node {node}: {how}", facts)


def meaning(error: int) -> str:
    """An error as C names it."""
    return errno.errorcode.get(-error, str(error)) if error else "ok"
