"""Numbers that the relay and the recording process both see, each written by one of them."""

import mmap
from enum import IntEnum

WHOLE, NOT_WHOLE = 1, 2


class Count(IntEnum):
    """What is counted, and by whom."""

    FREED = 0  # descriptors closed; by the recording process
    LOST = 1  # records that are neither in the capture nor in a gap; by the recording process
    STOPPED = 2  # 1: nothing is kept any more; by the recording process
    DONE = 3  # WHOLE or NOT_WHOLE when nothing more is written; by the recording process
    BUSY = 5  # 1 while there is something to record; by the recording process
    UNTIL = 4  # CLOCK_MONOTONIC in ns at which it is to be done, 0 for never; by the relay


WHOLE, NOT_WHOLE = 1, 2


class Counters:
    """`values[Count...]` is read and written by plain indexing."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, mmap.PAGESIZE)
        self.values = memoryview(self._map).cast("q")
