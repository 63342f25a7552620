"""Rings as they are read from memory: both kinds, whoever wrote them, and what is told of them."""

import os
import random
import struct
from collections.abc import Iterator

import pytest
from kit.ring_lab import (
    AVAILABLE,
    BUFFERS,
    GUEST,
    INDIRECT,
    NEXT,
    SIZE,
    TABLE,
    USED,
    USER,
    WRITE,
    Memory,
    Packed,
    Split,
)

from vutrace.dissection.dissector import Dissector
from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES, bit
from vutrace.records import Channel, FdInfo, FdKind, Frame, RingSample, SampleFlag, Side
from vutrace.rings.dirty_log import LogWatch
from vutrace.rings.held import held
from vutrace.rings.inflight import InflightBuffer, InflightMarks
from vutrace.rings.notices import NoticeCounts
from vutrace.rings.outstanding import Outstanding
from vutrace.rings.packed import PackedForm
from vutrace.rings.split import SplitForm
from vutrace.rings.translations import Translations
from vutrace.rings.unread import UnreadError
from vutrace.rings.watch import RingWatch
from vutrace.session.context import Context

MS, SECOND = 1_000_000, 1_000_000_000


@pytest.fixture
def memory() -> Iterator[Memory]:
    memory = Memory()
    yield memory
    os.close(memory.fd)


def split(memory: Memory, size: int = 8, event_idx: bool = False, order: str = "<") -> SplitForm:
    return SplitForm(memory.seen(), size, memory.addresses, order, event_idx)


def watch(memory: Memory, size: int = 8, kicks: int | None = None, base: int | None = 0) -> RingWatch:
    return RingWatch(memory.ring(size, base), split(memory, size), lambda: NoticeCounts(kicks))


def test_both_indexes_of_a_split_ring_and_what_is_in_flight(memory: Memory) -> None:
    both = Split(memory)
    both.make([0, 1, 2], flags=1)
    both.use([1], flags=1)
    found = split(memory).indexes()
    assert (found.available, found.used, found.in_flight) == (3, 1, 2)
    assert (found.driver_flags, found.device_flags, found.events) == (1, 1, False)


def test_the_event_fields_stand_behind_both_rings(memory: Memory) -> None:
    memory.write(AVAILABLE + 4 + 2 * 8, "<H", 11)
    memory.write(USED + 4 + 8 * 8, "<H", 22)
    found = split(memory, event_idx=True).indexes()
    assert (found.events, found.driver_event, found.device_event) == (True, 11, 22)


def test_a_ring_of_the_other_byte_order(memory: Memory) -> None:
    memory.write(AVAILABLE, ">HH", 0, 5)
    assert split(memory, order=">").indexes().available == 5


def test_indexes_that_go_round_count_on(memory: Memory) -> None:
    both, ring = Split(memory), watch(memory)
    for made in range(0, 3 << 16, 20_000):
        both.made = both.back = made
        both.make([0])
        both.use([0])
        sample = ring.sample(made + 1)
    assert sample.available_total == sample.used_total == both.back
    assert not sample.in_flight


def test_what_moved_before_the_first_look_counts_from_the_base(memory: Memory) -> None:
    both = Split(memory)
    both.made = both.back = 100
    both.make([0, 1])
    both.use([0])
    sample = watch(memory, base=98).sample(1)
    assert (sample.available_total, sample.used_total) == (4, 3)


# Chains


def test_a_chain_is_followed_to_its_end(memory: Memory) -> None:
    both = Split(memory)
    both.describe(3, 16, NEXT, 5)
    both.describe(5, 512, NEXT | WRITE, 1)
    both.describe(1, 1, WRITE)
    chain = split(memory).chain(3)
    assert (chain.head, len(chain.buffers), chain.taken, chain.whole) == (3, 3, 3, True)
    assert (chain.readable, chain.writable) == (16, 513)


def test_an_indirect_table_holds_the_buffers(memory: Memory) -> None:
    both = Split(memory)
    both.describe(0, 3 * 16, INDIRECT, address=GUEST + TABLE)
    for at, (flags, following) in enumerate([(NEXT, 2), (WRITE, 0), (NEXT, 1)]):
        memory.write(TABLE + 16 * at, "<QIHH", GUEST + BUFFERS, 10 * (at + 1), flags, following)
    chain = split(memory).chain(0)
    assert [each.length for each in chain.buffers] == [10, 30, 20]
    assert (chain.readable, chain.writable, chain.taken, chain.whole) == (40, 20, 1, True)


@pytest.mark.parametrize(
    ("flags", "following", "address"),
    [(NEXT, 0, 0), (NEXT, 4, 0), (NEXT, 9, 0), (NEXT, 0xFFFF, 0), (INDIRECT, 0, 1 << 60), (INDIRECT, 0, 1)],
)
def test_a_chain_that_has_no_end_ends(memory: Memory, flags: int, following: int, address: int) -> None:
    both = Split(memory)
    both.describe(0, 0xFFFF_FFFF, flags, following, address)
    both.describe(4, 1, NEXT, 0)
    chain = split(memory).chain(0)
    assert not chain.whole
    assert len(chain.buffers) <= 8


def test_a_table_that_names_itself_ends(memory: Memory) -> None:
    both = Split(memory)
    both.describe(0, 2 * 16, INDIRECT, address=GUEST + TABLE)
    memory.write(TABLE, "<QIHH", GUEST, 1, NEXT, 0)
    assert not split(memory).chain(0).whole


def test_the_oldest_chain_is_found_though_others_came_back(memory: Memory) -> None:
    both, ring, known = Split(memory), split(memory), Outstanding()
    both.make([0, 1, 2])
    known.feed(ring, ring.indexes(), 1)
    for turn in range(2, 12):
        both.use([1, 2])
        both.make([1, 2])
        known.feed(ring, ring.indexes(), turn)
    assert known.oldest() == (0, 1)


def test_chains_are_not_known_after_more_moved_than_a_ring_holds(memory: Memory) -> None:
    both, ring, known = Split(memory), split(memory), Outstanding()
    both.make([0])
    known.feed(ring, ring.indexes(), 1)
    both.made, both.back = 100, 99
    both.make([])
    both.use([])
    known.feed(ring, ring.indexes(), 2)
    assert known.oldest() is None
    both.use([7])
    known.feed(ring, ring.indexes(), 3)
    both.make([4])
    known.feed(ring, ring.indexes(), 4)
    assert known.oldest() == (4, 4)


# Addresses


def test_memory_that_was_made_shorter_is_told(memory: Memory) -> None:
    os.ftruncate(memory.fd, 0x1000)
    sample = watch(memory, kicks=3).sample(1)
    assert sample.has(SampleFlag.UNREADABLE)
    assert not sample.has(SampleFlag.INDEXES)
    assert (sample.has(SampleFlag.KICKS), sample.kicks) == (True, 3)


@pytest.mark.parametrize("address", [0, USER - 4, USER + SIZE - 2, (1 << 64) - 2])
def test_a_ring_outside_of_memory_is_told_and_not_followed(memory: Memory, address: int) -> None:
    ring = SplitForm(memory.seen(), 8, memory.addresses._replace(available=address), "<", False)
    with pytest.raises(UnreadError) as raised:
        ring.indexes()
    assert raised.value.flag is SampleFlag.OUTSIDE


def test_guest_physical_addresses_where_they_were_agreed_on(memory: Memory) -> None:
    context = Context(protocol_features=bit("GPA_ADDRESSES", PROTOCOL_FEATURES))
    memory.write(AVAILABLE, "<HH", 0, 7)
    seen = memory.seen(context)
    assert struct.unpack("<HH", seen.ring(GUEST + AVAILABLE, 4))[1] == 7
    with pytest.raises(UnreadError):
        seen.ring(USER + AVAILABLE, 4)


def iotlb(*entries: tuple[int, int, int, int]) -> Translations:
    """What messages of (iova, size, user address, type) tell."""
    told, dissect = Translations(), Dissector()
    for iova, size, where, kind in entries:
        payload = struct.pack("<QQQBB6x", iova, size, where, 3, kind)
        data = struct.pack("<III", 22, 1, len(payload)) + payload
        assert told.feed(dissect(Frame(0, 0, 1, Channel.MAIN, Side.FRONTEND, data, wire_size=len(data))))
    return told


def test_io_addresses_are_translated_across_neighbours(memory: Memory) -> None:
    context = Context(features=bit("VIRTIO_F_ACCESS_PLATFORM", VIRTIO_FEATURES))
    pages = [(0x5000, 0x1000, USER + AVAILABLE, 2), (0x6000, 0x1000, USER + USED, 2)]
    memory.write(USED - 2, "<HH", 1, 2)
    seen = memory.seen(context, iotlb(*pages))
    assert struct.unpack("<HH", seen.ring(0x6000 - 2, 4)) == (1, 2)
    for told in (iotlb(), iotlb(*pages, (0x6000, 0x1000, 0, 3)), iotlb(pages[0], (0x6000, 0x1000, USER, 2))):
        with pytest.raises(UnreadError):
            memory.seen(context, told).ring(0x6000 - 2, 4)


# Packed rings


def test_positions_of_a_packed_ring_that_nobody_used(memory: Memory) -> None:
    found = PackedForm(memory.seen(), 8, memory.addresses).indexes()
    assert (found.available, found.used, found.in_flight) == (0x8000, 0x8000, 0)


def test_positions_of_a_packed_ring_wherever_both_sides_are(memory: Memory) -> None:
    both, ring = Packed(memory), PackedForm(memory.seen(), 8, memory.addresses)
    chance, flying = random.Random(5), 0
    for _ in range(500):
        if flying < 8 and (not flying or chance.random() < 0.5):
            both.make()
            flying += 1
        else:
            both.use()
            flying -= 1
        found = ring.indexes()
        assert found.available == both.next | both.next_wrap << 15
        assert found.used == both.done | both.done_wrap << 15
        assert found.in_flight == flying


def test_a_chain_of_a_packed_ring_counts_until_the_next_is_used(memory: Memory) -> None:
    both, ring = Packed(memory), PackedForm(memory.seen(), 8, memory.addresses)
    both.make(3)
    both.make(1)
    found = ring.indexes()
    assert found.in_flight == 4
    assert len(ring.oldest(found).buffers) == 3
    both.use(3)
    assert ring.indexes().in_flight == 3
    both.use(1)
    assert ring.indexes().in_flight == 0


def test_totals_of_a_packed_ring_agree_with_what_is_in_flight(memory: Memory) -> None:
    both, ring = Packed(memory), PackedForm(memory.seen(), 8, memory.addresses)
    look = RingWatch(memory.ring(8, 0x8000_8000), ring, NoticeCounts)
    for turn in range(1, 60):
        for _ in range(turn % 4):
            both.make()
        for _ in range(turn % 4):
            both.use()
        sample = look.sample(turn)
        assert sample.available_total - sample.used_total == sample.in_flight
    assert sample.used_total == sum(turn % 4 for turn in range(1, 60))
    assert sample.has(SampleFlag.AT_LEAST)


# What is worth a record


def looks(ring: RingWatch, first_ms: int, last_ms: int, step: int = 100) -> list[RingSample]:
    """What is told in looks that are so far apart."""
    return [told for ms in range(first_ms, last_ms, step) if (told := ring.look(ms * MS))]


def test_a_ring_that_rests_is_told_once_more_and_then_no_more(memory: Memory) -> None:
    both, ring = Split(memory), watch(memory)
    assert len(looks(ring, 100, 60_000)) == 2
    both.make([0])
    both.use([0])
    assert [told.used_total for told in looks(ring, 60_000, 120_000)] == [1, 1]


def test_a_request_that_waits_is_told_less_and_less_often(memory: Memory) -> None:
    both, ring = Split(memory), watch(memory)
    looks(ring, 100, 1000)
    both.make([0])
    told = looks(ring, 1000, 1_000_000)
    ages = [sample.age_ms for sample in told if sample.has(SampleFlag.REQUEST)]
    assert any(1000 <= age <= 1500 for age in ages)
    assert len(told) < 30
    assert told[-1].age_ms > 900_000


def test_buffers_that_wait_for_the_device_are_no_request(memory: Memory) -> None:
    both, ring = Split(memory), watch(memory)
    both.describe(0, 2048, WRITE)
    both.make([0])
    told = looks(ring, 100, 60_000)
    assert not any(sample.has(SampleFlag.REQUEST) for sample in told)
    assert (told[-1].has(SampleFlag.CHAIN), told[-1].writable, len(told)) == (True, 2048, 3)


def test_indexes_that_cannot_be_are_told(memory: Memory) -> None:
    both, ring = Split(memory), watch(memory)
    both.use([0, 1])
    assert ring.sample(1).has(SampleFlag.BEYOND)
    both.made = 1000
    both.make([])
    assert ring.sample(2).has(SampleFlag.JUMPED)


class Told:
    """What a ring's kicks and calls come to."""

    def __init__(self) -> None:
        self.calls = 0

    def counts(self) -> NoticeCounts:
        """As the sampler asks."""
        return NoticeCounts(0, 0, 0, self.calls)


def uncalled(look: RingWatch, at_s: float) -> int | None:
    """For how long a call is missing, None where none is."""
    sample = look.sample(int(at_s * SECOND))
    return sample.uncalled_ms if sample.has(SampleFlag.UNCALLED) else None


def test_a_driver_that_did_nothing_and_suppresses_nothing_was_to_be_called(memory: Memory) -> None:
    both, told = Split(memory), Told()
    look = RingWatch(memory.ring(8), split(memory), told.counts)
    both.make([0, 1])
    assert uncalled(look, 1) is None
    both.use([0])
    assert uncalled(look, 2) == 0
    assert uncalled(look, 3.5) == 1500
    told.calls = 1
    assert uncalled(look, 4) is None
    both.make([2], flags=1)  # it polls now
    both.use([1])
    assert uncalled(look, 5) is None
    assert uncalled(look, 6) is None


def test_a_driver_with_an_event_index_was_to_be_called_when_it_was_passed(memory: Memory) -> None:
    both, told, event = Split(memory), Told(), AVAILABLE + 4 + 2 * 8
    look = RingWatch(memory.ring(8), split(memory, event_idx=True), told.counts)
    memory.write(event, "<H", 1)
    both.make([0, 1, 2])
    uncalled(look, 1)
    both.use([0])
    assert uncalled(look, 2) is None  # that was index 0
    both.use([1])
    assert uncalled(look, 3) == 0
    assert uncalled(look, 4) == 1000
    memory.write(event, "<H", 2)  # it has seen it by itself
    assert uncalled(look, 5) is None


def test_calls_that_are_not_counted_are_not_missed(memory: Memory) -> None:
    both = Split(memory)
    look = watch(memory)
    both.make([0])
    uncalled(look, 1)
    both.use([0])
    assert uncalled(look, 2) is None


def marks_of(
    ring: int, packed: bool, fields: tuple[int, ...], marked: tuple[int, ...]
) -> InflightMarks | None:
    """What an in-flight buffer says of a ring of 8; two rings of 512 bytes from byte 64 on."""
    form, entry = ("<QHHHHHH12x", 32) if packed else ("<QHHHH", 16)
    data = bytearray(64 + 2 * 512)
    start = 64 + 512 * ring
    struct.pack_into(form, data, start, 0, *fields)
    for at in marked:
        data[start + struct.calcsize(form) + entry * at] = 1
    fd = os.memfd_create("inflight")
    os.write(fd, data)
    buffer = InflightBuffer()
    payload = struct.pack("<QQHH", 1024, 64, 2, 8)
    info = held(FdInfo(FdKind.MEMFD), fd)
    header = struct.pack("<III", 32, 1, len(payload))
    frame = Frame(0, 0, 1, Channel.MAIN, Side.FRONTEND, header + payload, (info,), wire_size=32)
    buffer.feed(Dissector()(frame))
    found = buffer.marks(ring, 8, packed)
    os.close(fd)
    assert buffer.marks(ring, 8, packed) is None  # whatever its number is now
    return found


def test_the_in_flight_buffer_is_read_as_both_kinds_of_rings_have_it() -> None:
    assert marks_of(1, False, (1, 8, 3, 77), (0, 5)) == InflightMarks(2, 77)
    assert marks_of(0, True, (1, 8, 3, 3, 5, 6), (7,)) == InflightMarks(1, 6)
    assert marks_of(0, False, (0, 8, 3, 77), (0,)) is None  # nobody has begun to use it
    assert marks_of(0, False, (1, 9, 3, 77), (0,)) is None  # it is of another ring


def test_marks_that_are_not_as_the_ring_are_told_with_how_long(memory: Memory) -> None:
    both, marks = Split(memory), [InflightMarks(1, 0)]
    look = RingWatch(memory.ring(8), split(memory), NoticeCounts, marks=lambda: marks[0])
    both.make([0])
    assert not look.sample(SECOND).has(SampleFlag.MARKS_DIFFER)
    both.use([0])
    assert look.sample(2 * SECOND).has(SampleFlag.MARKS_DIFFER)
    sample = look.sample(4 * SECOND)
    assert (sample.differs_ms, sample.marked, sample.marked_used) == (2000, 1, 0)
    marks[0] = InflightMarks(0, 1)
    assert not look.sample(5 * SECOND).has(SampleFlag.MARKS_DIFFER)


LOG_ALL = Context(features=1 << 26)


def test_a_log_that_nobody_writes_while_rings_move_is_told() -> None:
    fd = os.memfd_create("log")
    os.ftruncate(fd, 64)
    watch = LogWatch()
    payload = struct.pack("<QQ", 64, 0)
    frame = Frame(
        0, 0, 1, Channel.MAIN, Side.FRONTEND, struct.pack("<III", 6, 1, 16) + payload,
        (held(FdInfo(FdKind.MEMFD), fd),), wire_size=28,
    )  # fmt: skip
    watch.feed(Dissector()(frame))
    assert watch.look(Context(), 0, SECOND) is None  # nobody logs yet
    assert watch.look(LOG_ALL, 5, 2 * SECOND) == (64, 0, 0)
    assert watch.look(LOG_ALL, 5, 4 * SECOND) is None  # nothing moved
    assert watch.look(LOG_ALL, 6, 5 * SECOND) == (64, 0, 1000)
    assert watch.look(LOG_ALL, 7, 7 * SECOND) == (64, 0, 3000)
    os.pwrite(fd, b"\x81", 9)
    assert watch.look(LOG_ALL, 8, 8 * SECOND) == (64, 2, 0)
    os.pwrite(fd, b"\x00", 9)  # the front-end has taken it
    assert watch.look(LOG_ALL, 8, 9 * SECOND) == (64, 0, 0)
    os.close(fd)
    assert watch.look(LOG_ALL, 9, 10 * SECOND) is None
