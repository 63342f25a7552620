"""The reference's part in a migration: its state through a pipe, and postcopy."""

import os
from collections.abc import Mapping
from typing import Any

from vutrace.dissection.message import Message
from vutrace.protocol import payloads as p
from vutrace.protocol.layers import Empty, Layer
from vutrace.protocol.wire import NOFD

STATE = b"the state of a disk that never changes"
SAVE, LOAD = 0, 1
MAPPED_AT = 0x7E00_0000_0000


class MovingPart:
    """What a device does about its state and about memory that comes later."""

    kinds: frozenset[str]
    passing: list[int]

    def __init__(self) -> None:
        self.loading = -1
        self.loaded = self.advised = self.listening = False
        self.kept: list[int] = []

    def set_device_state_fd(self, message: Message, fds: list[int]) -> Layer:
        direction = message.number_in("direction")
        if direction not in (SAVE, LOAD) or message.number_in("phase"):
            return p.DeviceStateReply(u64=NOFD | 1)
        fd = fds.pop()
        if direction == LOAD:
            self.loading = fd
        else:
            os.write(fd, STATE)
            self.kept.append(fd) if "endless-state" in self.kinds else os.close(fd)
        return p.DeviceStateReply(u64=NOFD)

    def check_device_state(self, message: Message, fds: list[int]) -> Layer:
        if self.loading < 0:
            return p.Ack(status=0)
        with open(self.loading, "rb") as stream:
            good = stream.read() == STATE
        self.loading, self.loaded = -1, True
        good = (good and "state-lost" not in self.kinds) or "any-state" in self.kinds
        return p.Ack(status=0 if good else 1)

    def postcopy_advise(self, message: Message, fds: list[int]) -> Layer:
        self.advised = True
        if "no-faults" not in self.kinds:
            # what tells faults needs rights that a test may not have; here its name has to do
            name = "userfaultfd" if "faults-elsewhere" not in self.kinds else "other"
            self.passing = [os.memfd_create(name, os.MFD_CLOEXEC)]
        return Empty()

    def postcopy_listen(self, message: Message, fds: list[int]) -> None:
        if not self.advised:
            raise ValueError("not advised")
        self.listening = True

    def postcopy_end(self, message: Message, fds: list[int]) -> Layer:
        self.listening = self.advised = False
        return p.Ack(status=0)

    def table_told(self, regions: list[Mapping[str, Any]]) -> Layer | None:
        """The answer to a table while memory still comes; the front-end's empty one has none."""
        if not regions or not self.listening:
            return None
        start = 0 if "untold" in self.kinds else MAPPED_AT
        told = [p.MemoryRegion(**{**region, "user_address": start}) for region in regions]
        return p.MemoryTable(nregions=len(told), regions=told)
