"""A recorded front-end against model back-ends: what differs is told by field, what breaks off by message."""

import contextlib
import os
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from kit.replay_stage import CAPTURES, Performance, act, beside, of_records, recorded
from kit.sessions import Script as Making

from vutrace.capture import read
from vutrace.peers import DPDK_22_11, READY, Offer, PeerConnection, Server
from vutrace.records import Event, FdKind, Frame, Record, Side
from vutrace.replay.descriptors import Descriptors
from vutrace.replay.rings import RingMemory

NAME = "qemu-7.2-testpmd"


def against(offer: Offer, path: str, name: str = NAME) -> tuple[Performance, list[str]]:
    with Server(path, offer) as server:
        done = act(Side.FRONTEND, recorded(name), path)
    return done, server.journal.lines


def test_the_same_back_end_answers_the_same(tmp_path: Path) -> None:
    done, journal = against(DPDK_22_11, str(tmp_path / "s"))
    assert READY in journal
    assert done.lines == ["1 session; 78 requests; 16 replies, 16 as recorded; 0 differences"]


def test_what_another_back_end_offers_is_told_by_name(tmp_path: Path) -> None:
    offer = replace(DPDK_22_11, features=DPDK_22_11.features | 1 << 33, queue_pairs=64)
    done, _ = against(offer, str(tmp_path / "s"))
    assert done.outcome.different
    masks = "recorded 0xd7c66e7cb (with no other), live 0xf7c66e7cb (with VIRTIO_F_ACCESS_PLATFORM)"
    assert done.lines == [
        f"[2] GET_FEATURES: features: {masks}",
        "[7] GET_QUEUE_NUM: queue_num: recorded 128, live 64",
        f"[13] GET_FEATURES: features: {masks}",
        f"[19] GET_FEATURES: features: {masks}",
        f"[24] GET_FEATURES: features: {masks}",
        "1 session; 78 requests; 16 replies, 11 as recorded; 5 differences",
    ]


def test_an_index_may_differ(tmp_path: Path) -> None:
    """The recorded disk had served requests; the model back-end serves none."""
    offer = Offer(0x1_7500_7E46, 0x8F2B, 1, bytes(60))
    done, _ = against(offer, str(tmp_path / "s"), "qemu-7.2-storage-daemon-blk")
    assert "[32] GET_VRING_BASE: num: recorded 1, live 0 (an index: may differ)" in done.lines


def test_features_that_are_not_offered_explain_the_end(tmp_path: Path) -> None:
    offer = replace(DPDK_22_11, features=DPDK_22_11.features & ~(1 << 22))
    done, _ = against(offer, str(tmp_path / "s"))
    assert done.broke.startswith("the back-end closed the connection; ")
    assert (
        "[48] SET_FEATURES acknowledges 0x400000 (VIRTIO_NET_F_MQ), which this back-end does not offer"
        in done.broke
    )
    assert done.outcome.different


def test_a_message_whose_feature_is_not_offered_explains_the_end(tmp_path: Path) -> None:
    """As passt, which takes any acknowledgement and goes at SET_BACKEND_REQ_FD."""
    answers = {"GET_FEATURES": 0x1_4400_0000, "GET_PROTOCOL_FEATURES": 0x1, "GET_QUEUE_NUM": 2}
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen()

    def serve() -> None:
        talk = PeerConnection(listener.accept()[0], Side.FRONTEND)
        while (received := talk.receive("a request")) and not received.fds:
            if (name := received.message.name) in answers:
                head = struct.pack("<III", received.message.request, 5, 8)
                talk.send(head + struct.pack("<Q", answers[name]), (), name)
        talk.close()

    thread = threading.Thread(target=serve)
    thread.start()
    done = act(Side.FRONTEND, recorded(NAME), str(tmp_path / "s"))
    thread.join()
    listener.close()
    assert "SET_BACKEND_REQ_FD needs BACKEND_REQ, which this back-end does not offer" in done.broke


def test_an_end_that_was_recorded_is_none(tmp_path: Path) -> None:
    """A recording of a start that a back-end refused, against a back-end that refuses it, too."""
    offer = replace(DPDK_22_11, features=DPDK_22_11.features & ~(1 << 22))
    path = str(tmp_path / "s")
    failed, _ = against(offer, path)
    records = [item for item in failed.records if isinstance(item, Frame | Event)]
    with Server(path, offer):
        again = act(Side.FRONTEND, of_records(records), path)
    assert not again.broke
    assert not again.outcome.different, again.lines
    assert "note: the back-end closed the connection, as the recorded one did" in again.lines
    with Server(path, replace(DPDK_22_11)):
        better = act(Side.FRONTEND, of_records(records), path)
    assert better.outcome.different


@contextmanager
def peer(path: str, data: bytes = b"", close: bool = False) -> Iterator[None]:
    """A back-end that answers the first request with `data`, and nothing more."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    over = threading.Event()

    def serve() -> None:
        end = listener.accept()[0]
        with end:
            end.recv(4096)
            end.sendall(data)
            if not close:
                over.wait(10)

    thread = beside(serve)
    try:
        yield
    finally:
        over.set()
        thread.join(10)
        listener.close()


AWAITED = "the reply to [2] GET_FEATURES was awaited"
SILENT = f"{AWAITED} from the back-end for 0.2 s"
CLOSED = f"the back-end closed the connection; {AWAITED}; sent since its last reply: [2] GET_FEATURES"
LOST = "the back-end sent a message of 4294967295 bytes"


@pytest.mark.parametrize(
    ("data", "close", "why"),
    [
        (b"", False, SILENT),
        (b"", True, CLOSED),
        (b"\1\0\0\0\5\0\0\0\x08", False, SILENT),
        (b"\xff" * 64, False, LOST),
    ],
    ids=["silent", "closes", "half a reply", "no protocol"],
)
def test_every_wait_ends_with_what_was_awaited(tmp_path: Path, data: bytes, close: bool, why: str) -> None:
    path = str(tmp_path / "s")
    with peer(path, data, close):
        done = act(Side.FRONTEND, recorded(NAME), path, timeout=0.2)
    assert why in done.broke


def test_a_back_end_that_is_not_there_is_awaited(tmp_path: Path) -> None:
    done = act(Side.FRONTEND, recorded(NAME), str(tmp_path / "nobody"), timeout=0.1)
    assert done.broke == (
        f"a back-end was awaited at connect:{tmp_path}/nobody for 0.1 s: No such file or directory"
    )


def test_a_reply_that_nobody_waits_for_is_a_difference(tmp_path: Path) -> None:
    script = Making()
    script.get("GET_FEATURES", 1 << 30)
    script.ask("SET_OWNER")
    path = str(tmp_path / "s")
    features = struct.pack("<IIIQ", 1, 5, 8, 1 << 30)
    with peer(path, features + struct.pack("<IIIQ", 3, 5, 8, 0)):
        done = act(Side.FRONTEND, of_records(script.records), path)
    assert done.outcome.different
    assert "note: SET_OWNER: a reply that nobody waited for" in done.lines


def making(*names: str) -> list[Record]:
    """A session of requests without a payload, that has no end."""
    script = Making()
    for name in names:
        script.ask(name)
    return script.records


FEATURES = struct.pack("<IIIQ", 1, 5, 8, 0)


def test_a_back_end_that_closes_between_messages_is_told_by_its_last_reply(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with peer(path, FEATURES, close=True):
        done = act(Side.FRONTEND, of_records(making("GET_FEATURES")), path)
    assert done.broke == "the back-end closed the connection; its last reply was to [1] GET_FEATURES"


def test_a_back_end_that_never_stops_talking_does_not_keep_us(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()

    def flood() -> None:
        end = listener.accept()[0]
        with end, contextlib.suppress(OSError):
            while True:
                end.sendall(FEATURES * 64)

    thread = beside(flood)
    sessions = of_records(making("GET_FEATURES", "GET_PROTOCOL_FEATURES"))
    done = act(Side.FRONTEND, sessions, path, timeout=0.3)
    thread.join(10)
    assert not thread.is_alive()
    listener.close()
    assert "the reply to [3] GET_PROTOCOL_FEATURES was awaited" in done.broke
    assert re.fullmatch(r"note: GET_FEATURES: a reply that nobody waited for \(\d+ times\)", done.lines[-2])


@pytest.mark.parametrize("ends", [False, True])
def test_a_reply_that_was_not_recorded_any_more_is_no_difference(ends: bool, tmp_path: Path) -> None:
    """A capture may end within an exchange; a back-end that was recorded to say nothing is another thing."""
    script = Making()
    script.get("GET_FEATURES", 0)
    script.get("GET_FEATURES", 0)
    script.records.pop()
    if ends:
        script.close(Side.FRONTEND)
    path = str(tmp_path / "s")
    offer = replace(DPDK_22_11, features=0)
    with Server(path, offer):
        done = act(Side.FRONTEND, of_records(script.records), path)
    assert not done.broke
    assert done.outcome.different is ends
    assert ("recorded none, live one (the recording ends before: may differ)" in done.lines[0]) is not ends


def test_rings_are_empty_where_the_recording_takes_them_up() -> None:
    """A ring that goes on at 7 has both of its indexes there, else 65,529 buffers were available."""
    script = Making()
    script.memory()
    script.ring("SET_VRING_BASE", 1, 7)
    script.addr(1)
    rings, descriptors = RingMemory(), Descriptors()
    try:
        for exchange in of_records(script.records)[0].main:
            made = descriptors.make(exchange.message)
            rings.follow(exchange.message, made.fds, exchange.row.context)
        memory = rings.regions[0].fd
        assert os.fstat(memory).st_size == 256 << 20
        available, used = (os.pread(memory, 4, 0x10000 + at) for at in (0x1000, 0x2000))
        assert available == used == struct.pack("=HH", 0, 7)
    finally:
        descriptors.close()


def test_memory_of_any_kind_becomes_a_memfd(tmp_path: Path) -> None:
    records: list[Record] = [
        replace(item, fds=tuple(replace(fd, kind=FdKind.HUGETLBFS) for fd in item.fds))
        if isinstance(item, Frame) and item.data[0] == 5 and item.fds
        else item
        for item in read(CAPTURES / f"{NAME}.pcapng")
        if isinstance(item, Frame | Event)
    ]
    path = str(tmp_path / "s")
    with Server(path) as server:
        done = act(Side.FRONTEND, of_records(records), path)
    assert READY in server.journal.lines
    memory = [fd for frame in done.frames if frame.data[0] == 5 for fd in frame.fds]
    assert [(fd.kind, fd.size) for fd in memory] == [(FdKind.MEMFD, 256 << 20)]
