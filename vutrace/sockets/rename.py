"""Two names of a directory change places in one step, so that neither is missing for a moment."""

import ctypes
import errno
import os

AT_FDCWD = -100
RENAME_EXCHANGE = 2
NO_EXCHANGE = {errno.EINVAL, errno.ENOSYS, errno.ENOTTY, errno.EOPNOTSUPP}
"""What a file system, a kernel or a sandbox says that has no exchange."""


def exchange(one: str, other: str) -> None:
    """What was at `one` is at `other` after this, and the other way round; OSError where it cannot be."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    names = os.fsencode(one), os.fsencode(other)
    if libc.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], ctypes.c_uint(RENAME_EXCHANGE)):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), one)


def put_over(new: str, path: str, spare: str) -> None:
    """`new` is at `path` after this, and what was there is at `new`; `path` exists throughout.

    Where names cannot be exchanged, the old file gets a second name before the new one is put over it.
    `spare` is a name for the time between.
    """
    try:
        exchange(new, path)
    except OSError as error:
        if error.errno not in NO_EXCHANGE:
            raise
        os.rename(new, spare)
        os.link(path, new, follow_symlinks=False)
        os.rename(spare, path)
