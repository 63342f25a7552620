"""Lines for the user on stderr, from a thread of their own: a terminal that is stopped holds up nobody."""

import os
import threading
from queue import SimpleQueue

from vutrace.outgoing import printable


class Notes:
    """`tell` never waits; `close` gives the lines that wait a moment to appear.

    Held notes come when they are closed: a screen that is drawn again and again would hide them.
    """

    def __init__(self, fd: int = 2, held: bool = False) -> None:
        self._fd = fd
        self._held = held
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="notes", daemon=True)
        if not held:
            self._thread.start()

    def tell(self, text: str) -> None:
        """One line."""
        self._lines.put(text)

    def close(self, seconds: float = 0.5) -> None:
        """No more lines."""
        self._lines.put(None)
        if self._held:
            self._thread.start()
        self._thread.join(seconds)

    def _run(self) -> None:
        while (text := self._lines.get()) is not None:
            line = f"vutrace: {printable(text)}\n".encode()
            try:
                os.write(self._fd, line)
            except OSError:
                return  # nobody reads them
