"""The thread that puts blocks into the capture file, so that a slow disk holds up nothing else."""

import contextlib
import os
import struct
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from vutrace.capture.target import Target

DRAIN_SECONDS = 0.002  # between looks whether all is written
HEAD = struct.Struct("<II")  # a block begins with its type and its length
RECORD = 6  # Enhanced Packet Block


class BlockWriter:
    """Appends batches of whole blocks to a file, in order, until the file system refuses.

    Then the file ends with its last whole block, `on_failure` is called once (in the writer's thread),
    and everything further is only counted. `lost` is the number of records that are not in the file. When
    `late` says so, there is no time left: only what holds no records is written, the rest is `skipped`.
    `target` looks after a file that has a name; `grown` is told how long the file is.
    """

    def __init__(
        self,
        fd: int,
        on_failure: Callable[[OSError], None],
        target: Target | None = None,
        late: Callable[[], bool] = lambda: False,
        grown: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._fd = fd
        self._target = target
        self._on_failure = on_failure
        self._late = late
        self._grown = grown
        self._queue: SimpleQueue[tuple[bytes, int] | None] = SimpleQueue()
        self._put = 0  # bytes: counted by who puts
        self._done = 0  # and by the thread, so that neither needs a lock
        self._size = 0
        self._refused = 0
        self._dropped = 0
        self.skipped: list[bytes] = []
        self.failed = False
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """Records that did not reach the file."""
        return self._refused + self._dropped

    @property
    def queued(self) -> int:
        """Bytes on their way to the file."""
        return self._put - self._done

    def put(self, blocks: bytes, records: int) -> None:
        """Queue whole blocks that hold so many records; never waits."""
        if self.failed:
            self._refused += records
            return
        self._put += len(blocks)
        self._queue.put((blocks, records))

    def drain(self, until: float) -> None:
        """Write what is queued, until then of the monotonic clock."""
        while self.queued and time.monotonic() < until:
            time.sleep(DRAIN_SECONDS)

    def close(self, until: float) -> bool:
        """Write what is queued; False if that takes longer than `until` of the monotonic clock."""
        self._queue.put(None)
        self._thread.join(max(0.0, until - time.monotonic()))
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (batch := self._queue.get()) is not None:
            self._append(*batch)
            self._done += len(batch[0])
        if self._target and not self.failed:
            self._target.close(self._size)

    def _append(self, blocks: bytes, records: int) -> None:
        if self.failed:
            self._dropped += records
            return
        if records and self._late():
            self.skipped.append(blocks)
            return
        written, view = 0, memoryview(blocks)
        try:
            self._settle(b"" if records else blocks)
            while written < len(blocks):
                written += os.write(self._fd, view[written:])
        except OSError as error:
            self._fail(error, blocks, written, records)
        else:
            self._size += written
            self._grown(self._size)

    def _settle(self, head: bytes) -> None:
        if self._target:
            self._size = self._target.settled(self._size)
            self._target.head += head

    def _fail(self, error: OSError, blocks: bytes, written: int, records: int) -> None:
        self.failed = True
        kept, whole = count_whole(blocks, written)
        self._size += whole
        with contextlib.suppress(OSError):  # not a regular file: its reader sees where it was cut
            os.ftruncate(self._fd, self._size)
        self._dropped += max(0, records - kept)
        self._on_failure(error)


def count_whole(blocks: bytes, written: int) -> tuple[int, int]:
    """How many whole records there are in the first `written` bytes, and where its last whole block ends."""
    count = end = 0
    while end + HEAD.size <= written:
        kind, size = HEAD.unpack_from(blocks, end)
        if end + size > written:
            break
        end += size
        count += kind == RECORD
    return count, end
