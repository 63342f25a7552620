"""A peer that misbehaves is one clear line, at once or after the time that was given, and never a hang."""

import contextlib
import gc
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.peers_stage import Stage

from vutrace.peers import (
    DPDK_22_11,
    PROFILES,
    FrontEnd,
    Journal,
    Offer,
    PeerConnection,
    PeerError,
    Server,
    serve,
)
from vutrace.records import Side

HEADER = struct.Struct("=III")
REPLY = 5


def reply(request: int, payload: bytes, flags: int = REPLY) -> bytes:
    """An answer's bytes."""
    return HEADER.pack(request, flags, len(payload)) + payload


FEATURES = reply(1, struct.pack("=Q", DPDK_22_11.features))
U64 = struct.pack("=Q", 0)

# What a back-end says after the front-end's first request, and what the front-end says of that.
WRONG_ANSWERS = {
    "closes": (b"", "the back-end closed the connection instead of answering GET_FEATURES"),
    "breaks off": (
        FEATURES[:14],
        "the reply to GET_FEATURES: the back-end closed in the middle of a message",
    ),
    "another message": (reply(40, U64), "GET_FEATURES was answered with GET_STATUS, flags 0x5"),
    "not a reply": (reply(1, U64, 1), "GET_FEATURES was answered with GET_FEATURES, flags 0x1"),
    "kept NEED_REPLY": (reply(1, U64, 0xD), "GET_FEATURES was answered with GET_FEATURES, flags 0xd"),
    "too short": (
        reply(1, U64[:4]),
        "the reply to GET_FEATURES is wrong: payload of 4 bytes, expected 8 (features)",
    ),
    "no protocol at all": (
        b"HTTP/1.1 400 Bad Request",
        "the reply to GET_FEATURES: the back-end sent a message of ",
    ),
    "closes later": (
        FEATURES,
        "the back-end closed the connection instead of answering GET_PROTOCOL_FEATURES",
    ),
}


@pytest.fixture
def frontend() -> Iterator[FrontEnd]:
    with FrontEnd(PROFILES["qemu-7.2"], timeout=0.3) as frontend:
        yield frontend


def answer(end: socket.socket, data: bytes) -> None:
    """Read one request, answer with `data` and be gone."""
    end.recv(HEADER.size)
    end.sendall(data)
    end.shutdown(socket.SHUT_WR)
    with end, contextlib.suppress(ConnectionResetError):
        while end.recv(4096):
            pass


@pytest.mark.parametrize("wrong", WRONG_ANSWERS)
def test_a_wrong_answer_is_named(frontend: FrontEnd, wrong: str) -> None:
    data, words = WRONG_ANSWERS[wrong]
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=answer, args=(theirs, data))
    thread.start()
    with pytest.raises(PeerError) as error:
        frontend.attach(ours)
    frontend.disconnect()
    thread.join(5)
    assert str(error.value).startswith(words)
    assert "\n" not in str(error.value)


def test_silence_is_named_after_the_time_that_was_given(frontend: FrontEnd) -> None:
    ours, theirs = socket.socketpair()
    started = time.monotonic()
    with pytest.raises(
        PeerError, match=r"^the reply to GET_FEATURES: nothing from the back-end within 0.3 s$"
    ):
        frontend.attach(ours)
    assert 0.3 <= time.monotonic() - started < 3
    theirs.close()


def test_an_answer_that_trickles_does_not_stretch_the_time(frontend: FrontEnd) -> None:
    ours, theirs = socket.socketpair()

    def trickle() -> None:
        for byte in FEATURES:
            time.sleep(0.1)
            theirs.send(bytes([byte]))

    thread = threading.Thread(target=trickle)
    thread.start()
    started = time.monotonic()
    with pytest.raises(PeerError, match=r"nothing from the back-end within 0.3 s"):
        frontend.attach(ours)
    assert time.monotonic() - started < 1
    thread.join(5)
    theirs.close()


def test_a_back_end_that_does_not_read_is_named() -> None:
    ours, theirs = socket.socketpair()
    connection = PeerConnection(ours, Side.BACKEND, timeout=0.2)
    with pytest.raises(PeerError, match=r"SET_CONFIG: the back-end has not read for 0.2 s"):
        connection.send(bytes(4 << 20), (), "SET_CONFIG")
    connection.close()
    theirs.close()


def test_nobody_there(frontend: FrontEnd, tmp_path: Path) -> None:
    with pytest.raises(PeerError, match=r"no back-end within 0.3 s: No such file or directory"):
        frontend.connect(str(tmp_path / "none.sock"))


def test_nobody_comes(frontend: FrontEnd, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "front.sock"))
        listener.listen()
        with pytest.raises(PeerError, match=r"no back-end connected within 0.3 s"):
            frontend.accept(listener)


@pytest.mark.parametrize(
    ("offer", "words"),
    [
        (
            Offer(DPDK_22_11.features, 0x10CBF, queue_pairs=2),
            "4 queue pairs are configured, but the back-end has 2",
        ),
        (
            Offer(DPDK_22_11.features, 0x10CBE, queue_pairs=8),
            "4 queue pairs are configured, but .* does not offer MQ",
        ),
    ],
)
def test_more_pairs_than_the_back_end_has(offer: Offer, words: str) -> None:
    stage = Stage("qemu-7.2", 4, offer)
    with pytest.raises(PeerError, match=words):
        stage.frontend.attach(stage.backend())
    stage.end()


def test_a_back_end_that_comes_back_with_less() -> None:
    stage = Stage("qemu-7.2", 2)
    stage.frontend.attach(stage.backend())
    stage.frontend.start()
    stage.offer = Offer(DPDK_22_11.features & ~(1 << 15), 0x10CBF, queue_pairs=8)
    with pytest.raises(PeerError, match="does not offer features 0x8000, which the guest is using"):
        stage.frontend.resume(stage.backend())
    stage.end()


def test_a_refusal_is_named() -> None:
    stage = Stage("qemu-7.2")
    stage.frontend.attach(stage.backend())
    os.ftruncate(stage.frontend.device.memory.fd, 0)  # nothing there to map
    with pytest.raises(PeerError, match=r"the back-end refused SET_MEM_TABLE \(status 1\)"):
        stage.frontend.start()
    stage.end()


# Requests that a back-end cannot carry out, and what it logs before it closes.
WRONG_REQUESTS = {
    "unknown": (HEADER.pack(99, 1, 0), "UNKNOWN(99) failed: not a request that this back-end knows"),
    "too short": (HEADER.pack(8, 1, 4) + U64[:4], "SET_VRING_NUM failed: payload of 4 bytes"),
    "no descriptor": (
        HEADER.pack(12, 1, 8) + U64,
        "SET_VRING_KICK failed: 0 descriptors attached, expected 1",
    ),
    "a reply": (HEADER.pack(1, 5, 8) + U64, "GET_FEATURES failed: not a request that this back-end knows"),
    "foreign feature": (
        HEADER.pack(2, 1, 8) + struct.pack("=Q", 1 << 4),
        "SET_FEATURES failed: features 0x10",
    ),
    "ring outside": (
        HEADER.pack(9, 1, 40) + bytes(40),
        "SET_VRING_ADDR failed: ring 0 does not lie in the memory",
    ),
    "no such ring": (
        HEADER.pack(8, 1, 8) + struct.pack("=II", 999, 1),
        "SET_VRING_NUM failed: there is no ring",
    ),
    "broken off": (HEADER.pack(8, 1, 8), "a request: the front-end closed in the middle of a message"),
}


@pytest.mark.parametrize("wrong", WRONG_REQUESTS)
def test_a_wrong_request_ends_the_connection_with_a_line(wrong: str) -> None:
    data, words = WRONG_REQUESTS[wrong]
    ours, theirs = socket.socketpair()
    journal = Journal()
    with ours:
        ours.sendall(data)
        ours.shutdown(socket.SHUT_WR)
        serve(PeerConnection(theirs, Side.FRONTEND), DPDK_22_11, journal)
        assert ours.recv(1) == b""
    assert [line.startswith(words) for line in journal.lines] == [True], journal.lines


def test_a_wrong_request_that_asks_for_an_answer_gets_one() -> None:
    ours, theirs = socket.socketpair()
    journal = Journal()
    with ours:
        ours.sendall(HEADER.pack(99, 9, 0) + HEADER.pack(40, 1, 0))
        ours.shutdown(socket.SHUT_WR)
        serve(PeerConnection(theirs, Side.FRONTEND), DPDK_22_11, journal)
        assert ours.recv(4096) == reply(99, struct.pack("=Q", 1)) + reply(40, U64)


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    def life() -> None:
        with Server(str(tmp_path / "back.sock")) as server:
            for _ in range(3):
                with FrontEnd(PROFILES["qemu-2.10"], pairs=4) as frontend:
                    frontend.connect(str(tmp_path / "back.sock"))
                    frontend.write_features()
                    frontend.start()
                    frontend.stop()
                    frontend.start()
            server.journal.wait("the front-end closed the connection", 5, count=3)

    life()
    gc.collect()  # what other tests left
    before = len(os.listdir("/proc/self/fd"))
    life()
    assert len(os.listdir("/proc/self/fd")) == before
