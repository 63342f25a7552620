"""Which errors are the user's to mend, and the exit status each has."""

import errno

from vutrace.errors import UNREADABLE, USAGE, VutraceError

# What only a write can meet: a full disk or a broken terminal behind stdout, which has no name.
OUTPUT_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class UsageError(VutraceError):
    """What was asked makes no sense; the text says what to do."""

    status = USAGE


def explain(error: Exception) -> tuple[str, int]:
    """The line and exit status of an error; one that is not the user's is raised again."""
    if isinstance(error, VutraceError):
        return str(error), error.status
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}", UNREADABLE
    if isinstance(error, OSError) and error.errno in OUTPUT_ERRORS:
        return f"the output cannot be written: {error.strerror}", UNREADABLE
    raise error
