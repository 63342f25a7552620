"""Negotiation rounds, the memory map, the ledger of descriptors, and what is owed."""

import struct

from kit.sessions import NET_OFFER, NET_TAKEN, QEMU_2_10, Script, qemu_net, rows, sessions_of, spdk
from kit.transcript import front

from vutrace.dissection.message import Message
from vutrace.records import Side
from vutrace.session.ends import Ends
from vutrace.session.fd_ledger import Slot


def region(guest: int, size: int = 1 << 20) -> bytes:
    return struct.pack("<QQQQQ", 0, guest, size, 0x7000_0000 + guest, 0)


def test_each_get_features_is_a_round_with_what_was_refused() -> None:
    script = Script()
    script.get("GET_FEATURES", NET_OFFER)
    script.get("GET_PROTOCOL_FEATURES", 0b1011)
    script.set("SET_PROTOCOL_FEATURES", 0b0001)
    script.get("GET_FEATURES", NET_OFFER)
    script.set("SET_FEATURES", NET_TAKEN)
    first, second = sessions_of(script)[0].rounds
    assert (first.offered, first.acknowledged, first.protocol_refused) == (NET_OFFER, None, 0b1010)
    assert (second.offered, second.acknowledged, second.refused) == (NET_OFFER, NET_TAKEN, 1 << 26)


def test_equal_rounds_in_a_row_are_counted() -> None:
    script = Script()
    for _ in range(5):
        script.get("GET_FEATURES", NET_OFFER)
        script.set("SET_FEATURES", NET_TAKEN)
    rounds = sessions_of(script)[0].rounds
    assert [each.count for each in rounds] == [4, 1]


def test_set_features_again_answers_the_same_offer() -> None:
    script = Script()
    script.get("GET_FEATURES", NET_OFFER)
    script.set("SET_FEATURES", NET_TAKEN)
    script.set("SET_FEATURES", NET_TAKEN & ~(1 << 15))
    assert [each.offered for each in sessions_of(script)[0].rounds] == [NET_OFFER, NET_OFFER]


def test_a_get_features_that_only_waits_is_a_barrier() -> None:
    (session,) = sessions_of(spdk())
    assert (len(session.rounds), session.barriers) == (1, 1)


def test_a_memory_table_replaces_and_slots_add_and_remove() -> None:
    script = Script()
    script.memory()
    script.ask("ADD_MEM_REG", region(1 << 32), fds="memfd")
    script.ask("ADD_MEM_REG", region(2 << 32), fds="memfd")
    script.ask("REM_MEM_REG", region(1 << 32))
    (session,) = sessions_of(script)
    assert [each.guest_address for each in session.memory] == [0, 2 << 32]
    told = [(change.message, len(change.added), len(change.removed)) for change in session.memory_changes]
    assert told == [
        ("SET_MEM_TABLE", 1, 0),
        ("ADD_MEM_REG", 1, 0),
        ("ADD_MEM_REG", 1, 0),
        ("REM_MEM_REG", 0, 1),
    ]


def test_the_empty_table_of_postcopy_changes_nothing() -> None:
    script = Script()
    script.memory()
    script.ask("SET_MEM_TABLE", bytes(8))
    (session,) = sessions_of(script)
    assert len(session.memory) == 1
    assert len(session.memory_changes) == 1


def test_the_ledger_tells_what_is_where_and_what_it_replaced() -> None:
    script = Script()
    script.steps(1, "call kick")
    script.ask("SET_BACKEND_REQ_FD", fds="socket")
    script.memory()
    script.steps(1, "call nocall")
    (session,) = sessions_of(script)
    held = {holding.slot: holding for holding in session.fds}
    assert set(held) == {Slot("call", 1), Slot("kick", 1), Slot("back-end channel"), Slot("memory", region=0)}
    call = held[Slot("call", 1)]
    assert (call.fd, call.generation, call.number) == (None, 3, 6)
    assert call.replaced is not None
    assert call.replaced.eventfd_id == 3
    assert session.fds_received == 5


def test_what_backed_a_region_goes_with_it() -> None:
    script = Script()
    script.memory()
    script.ask("ADD_MEM_REG", region(1 << 32), fds="memfd")
    script.ask("ADD_MEM_REG", region(2 << 32), fds="memfd")
    script.ask("REM_MEM_REG", region(1 << 32))
    (session,) = sessions_of(script)
    assert [holding.slot.region for holding in session.fds] == [0, 2 << 32]
    script.memory()
    assert [holding.slot.region for holding in sessions_of(script)[0].fds] == [0]
    script.ask("RESET_OWNER")  # it disables rings, and does nothing else
    assert [holding.slot.region for holding in sessions_of(script)[0].fds] == [0]


def test_a_stopped_ring_has_no_kick_descriptor() -> None:
    script = Script()
    script.steps(0, "kick call halt")
    (session,) = sessions_of(script)
    assert [holding.slot.role for holding in session.fds] == ["call"]


def test_what_was_never_answered_is_told() -> None:
    script = Script()
    script.add(front("GET_FEATURES", b""))
    (session,) = sessions_of(script)
    (owing,) = session.owing
    assert (owing.row, owing.name, owing.debtor) == (1, "GET_FEATURES", Side.BACKEND)
    (answered,) = sessions_of(qemu_net(QEMU_2_10, 2).boot().script)
    assert not answered.owing


def test_a_new_session_keeps_the_device_that_was_recognised() -> None:
    front_end = qemu_net(QEMU_2_10, 1).boot()
    front_end.restart()
    second = [row for row in rows(front_end.script.records) if isinstance(row.what, Message)]
    assert {row.context.device.name for row in second if row.what.frame.session == 2} == {"net"}  # type: ignore[union-attr]


def test_ends_keep_the_first_and_the_latest() -> None:
    ends: Ends[int] = Ends(2)
    for number in range(7):
        ends.append(number)
    assert (list(ends), ends.omitted, ends.cut, ends.last, len(ends)) == ([0, 1, 5, 6], 3, 2, 6, 4)
    assert [ends.pop() for _ in range(4)] == [6, 5, 1, 0]
