"""What the rules know of a session besides its state: what no view shows, and only a rule asks for."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from vutrace.dissection.decoder import Fields

KEPT = 4096  # a hostile peer makes nothing grow beyond


class InflightSizes(NamedTuple):
    """The buffer that GET_INFLIGHT_FD told: bytes, rings, and the size of each."""

    mmap_size: int
    num_queues: int
    queue_size: int


class Piece(NamedTuple):
    """A mapped piece of a shared memory region, in bytes from its begin."""

    shmid: int
    start: int
    end: int


@dataclass(slots=True)
class Outliving:
    """What outlives a session on its connection: the buffer of requests in flight."""

    inflight: InflightSizes | None = None


@dataclass(slots=True)
class History:
    """One session, as far as it went.

    `whole`: its beginning is in the trace; `partial`: its source did not know all of it, or some is missing;
    `first`: it is the connection's first. `told` are the (rule, ring)
    that were found broken. `started_ns` is when each ring was started, `fetched` the base that it returned
    when it was stopped. `owned` tells that SET_OWNER came, `added` that a single memory region did,
    `inflight_set` that the buffer of requests in flight was handed over. `log_size` is the area of
    SET_LOG_BASE in bytes; `advised` and `listening` are postcopy's steps; `transfer` is the direction of a
    transfer of device state that was not checked yet. `reset_row` is that of a RESET_DEVICE after which
    nothing was set up, `stale_row` of one after which no new in-flight buffer came. `shmem_sizes` is what
    GET_SHMEM_CONFIG told, `pieces` what is mapped in there, `objects` are shared objects by UUID,
    `crypto_sessions` those that are open, `translated` the I/O addresses that were ever translated.
    `config` are the fields of configuration space as they were last told.
    """

    whole: bool = False
    first: bool = True
    kept: Outliving = field(default_factory=Outliving)
    told: set[tuple[str, int | None]] = field(default_factory=set)
    started_ns: dict[int, int] = field(default_factory=dict)
    fetched: dict[int | None, int] = field(default_factory=dict)
    owned: bool = False
    added: bool = False
    inflight_set: bool = False
    log_size: int | None = None
    advised: bool = False
    listening: bool = False
    transfer: int | None = None
    reset_row: int | None = None
    stale_row: int | None = None
    shmem_sizes: tuple[int, ...] | None = None
    pieces: set[Piece] = field(default_factory=set)
    objects: set[bytes] = field(default_factory=set)
    crypto_sessions: set[int] = field(default_factory=set)
    translated: list[tuple[int, int]] = field(default_factory=list)
    gpu_features: int | None = None
    config: Fields = field(default_factory=dict)
    partial: bool = False

    def is_old(self, rule: str) -> bool:
        """Whether the rule was found broken for the whole session."""
        return (rule, None) in self.told

    def is_news(self, rule: str, ring: int | None) -> bool:
        """Whether the rule was not found broken yet for the ring; from now on it was."""
        if (rule, ring) in self.told:
            return False
        self.told.add((rule, ring))
        return True


def span(start: int, size: int) -> tuple[int, int]:
    """A range of addresses: its first, and the one behind its last."""
    return start, start + size


def overlapping(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two ranges have an address in common."""
    return one[0] < other[1] and other[0] < one[1]


def inside(part: tuple[int, int], wholes: Iterable[tuple[int, int]]) -> bool:
    """Whether one of the ranges holds all of `part`."""
    return any(whole[0] <= part[0] and part[1] <= whole[1] for whole in wholes)
