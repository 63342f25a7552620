"""Which errors are the user's to mend, and the exit status each has."""

import errno

from vutrace.errors import PEER, UNREADABLE, USAGE, VutraceError

# What only a write can meet: a full disk or a broken terminal behind stdout, which has no name.
OUTPUT_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
# What the system has no more of, whatever was being made or opened.
SHORTAGES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


class UsageError(VutraceError):
    """What was asked makes no sense; the text says what to do."""

    status = USAGE


def explain(error: Exception) -> tuple[str, int]:
    """The line and exit status of an error; one that is not the user's is raised again."""
    if isinstance(error, VutraceError):
        return str(error), error.status
    if short := shortage(error):
        return f"the system gives too little to run: {short} (see ulimit -a)", PEER
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}", UNREADABLE
    if isinstance(error, OSError) and error.errno in OUTPUT_ERRORS:
        return f"the output cannot be written: {error.strerror}", UNREADABLE
    raise error


def shortage(error: Exception) -> str:
    """What there is too little of, where that is why; else ""."""
    if isinstance(error, OSError):
        return error.strerror or "" if error.errno in SHORTAGES else ""
    if isinstance(error, MemoryError):
        return "memory"
    # The one that threading has for it.
    return "threads" if isinstance(error, RuntimeError) and "new thread" in str(error) else ""
