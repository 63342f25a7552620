"""Ctrl-C: a silent end while the program loads, KeyboardInterrupt once a verb may have to tidy up."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

STATUS = 128 + signal.SIGINT


def begin() -> None:
    """SIGINT raises KeyboardInterrupt from now on; where it is ignored, it stays so."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.unraisablehook = raised_nowhere


@contextmanager
def held() -> Iterator[None]:
    """A signal waits until there is somebody to close what is made in here, sockets above all."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def caused(error: BaseException) -> bool:
    """Whether it came of a KeyboardInterrupt, which some libraries make another error of."""
    origin: BaseException | None = error
    while origin and not isinstance(origin, KeyboardInterrupt):
        origin = origin.__cause__ or origin.__context__
    return origin is not None


def raised_nowhere(unraisable: "UnraisableHookArgs") -> None:
    # Raised in a finalizer, which nobody sees: once more, where it is heard.
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    else:
        sys.__unraisablehook__(unraisable)
