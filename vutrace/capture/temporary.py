"""Temporary files, whose errors say where they were to be."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

ELSEWHERE = "TMPDIR can name another place for temporary files"
PLACES = ("/tmp", "/var/tmp", ".")


@contextmanager
def temporary() -> Iterator[None]:
    """For what makes or fills a temporary file: an OSError without a file's name gets the place's."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        from tempfile import tempdir  # which the relay does not wait for

        raise elsewhere(error, tempdir or "temporary files") from None


@contextmanager
def directory() -> Iterator[str]:
    """A temporary directory, gone when this ends."""
    from tempfile import TemporaryDirectory

    with temporary():
        made = TemporaryDirectory(prefix="vutrace-")
    with made as path:
        yield path


def elsewhere(error: OSError, place: str) -> OSError:
    """The same error, of a place, and what to do about it."""
    return OSError(error.errno, f"{os.strerror(error.errno or 0)}; {ELSEWHERE}", place)


def nameless() -> int:
    """A file without a name: nothing is left behind, however this process ends. OSError if none can be."""
    flags, wrong = os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, None
    for place in filter(None, (os.environ.get("TMPDIR"), *PLACES)):
        try:
            return os.open(place, flags, 0o600)
        except OSError as error:
            wrong = wrong or elsewhere(error, place)
    raise wrong or OSError
