"""Which errors are the user's to mend, and the exit status each has."""

import errno

# By name, so that `vutrace --help` and the relay import no more than they need.
STATUS = {
    "UsageError": 2,
    "DissectorError": 2,
    "UnknownMessageError": 2,
    "FilterError": 2,
    "ToolMissingError": 2,
    "CaptureError": 3,
    "InstallError": 3,
    "EndpointError": 4,
}

# What only a write can meet: a full disk or a broken terminal behind stdout, which has no name.
OUTPUT_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class UsageError(Exception):
    """What was asked makes no sense; the text says what to do."""


def explain(error: Exception) -> tuple[str, int]:
    """The line and exit status of an error; one that is not the user's is raised again."""
    status = STATUS.get(type(error).__name__)
    if status is not None:
        return str(error), status
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}", 3
    if isinstance(error, OSError) and error.errno in OUTPUT_ERRORS:
        return f"the output cannot be written: {error.strerror}", 3
    raise error
