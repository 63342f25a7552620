"""What one side sends, the other gets: bytes, descriptors, ends; and the capture tells it."""

import array
import os
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.proxy_lab import (
    Lab,
    close_all,
    events,
    frames,
    message,
    open_fds,
    receive,
    receive_message,
    send,
    wait_for,
)

from vutrace.capture import record_block
from vutrace.proxy import encoder
from vutrace.proxy.flow import Flow
from vutrace.records import Channel, Event, EventKind, FdKind, Frame, FrameFlag, Side


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    yield lab
    lab.stop()


def test_a_request_and_its_reply_pass_and_are_recorded(lab: Lab) -> None:
    front, back = lab.session()
    send(front, message(1))
    assert receive_message(back) == (message(1), [])
    send(back, message(1, bytes(8), flags=5))
    assert receive_message(front) == (message(1, bytes(8), flags=5), [])
    front.close()
    assert receive_message(back) == (b"", [])
    records = lab.stop()
    request, reply = frames(records)
    assert (request.sender, request.data, request.wire_size) == (Side.FRONTEND, message(1), 12)
    assert (reply.sender, reply.channel, reply.session) == (Side.BACKEND, Channel.MAIN, 1)
    assert request.time_ns < reply.time_ns
    opened, closed = events(records)
    assert (opened.kind, closed.kind, closed.sender) == (EventKind.OPEN, EventKind.CLOSE, Side.FRONTEND)
    assert opened.attributes["frontend_pid"] == opened.attributes["backend_pid"] == str(os.getpid())
    assert Path("/proc/self/cmdline").read_text().split("\0")[0] in opened.attributes["frontend_command"]
    assert opened.attributes["backend_uid"] == str(os.getuid())


def test_a_peer_that_cannot_be_looked_at_is_told_by_what_its_socket_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vutrace.sockets.process.PROC", str(tmp_path / "hidden"))
    lab = Lab(tmp_path)
    front, _ = lab.session()
    front.close()
    opened = events(lab.stop())[0]
    peer = f"process {os.getpid()} of user {os.getuid()}"
    assert opened.text == f"session 1 of {peer} and {peer}"
    assert opened.attributes["backend_fd_numbers"] == "cannot be read, another user's process"


def test_a_record_is_in_the_file_within_10_ms(lab: Lab) -> None:
    front, back = lab.session()
    wait_for(lab.items)
    delays = []
    for _ in range(20):
        before = lab.capture.stat().st_size
        send(front, message(2, bytes(8)))
        receive_message(back)
        began = time.monotonic()
        while lab.capture.stat().st_size == before:
            time.sleep(0.0005)
        delays.append(time.monotonic() - began)
        time.sleep(0.003)
    assert sorted(delays)[10] < 0.010


def test_every_descriptor_is_told_by_what_identifies_it(lab: Lab, tmp_path: Path) -> None:
    front, back = lab.session()
    plain = tmp_path / "plain"
    plain.write_bytes(b"four")
    memory = os.memfd_create("guest-ram", os.MFD_ALLOW_SEALING)
    os.ftruncate(memory, 1 << 20)
    event, (reader, writer) = os.eventfd(5), os.pipe()
    file = os.open(plain, os.O_RDONLY)
    one, other = socket.socketpair()
    fds = [memory, event, writer, file, one.fileno()]
    send(front, message(5, bytes(8)), fds)
    _, got = receive_message(back)
    assert len(got) == len(fds)
    time.sleep(0.05)
    (frame,) = frames(lab.stop())
    ram, kick, pipe, disk, link = frame.fds
    assert (ram.kind, ram.name, ram.size, ram.access) == (FdKind.MEMFD, "guest-ram", 1 << 20, "rw")
    assert (ram.device, ram.inode) == (os.fstat(memory).st_dev, os.fstat(memory).st_ino)
    assert (kick.kind, kick.eventfd_count, kick.access) == (FdKind.EVENTFD, 5, "rw")
    assert (pipe.kind, pipe.access) == (FdKind.PIPE, "w")
    assert (disk.kind, disk.name, disk.size, disk.access) == (FdKind.FILE, str(plain), 4, "r")
    assert (link.kind, link.inode) == (FdKind.SOCKET, os.fstat(one.fileno()).st_ino)
    # Both peers are this process; it knows each by two numbers.
    assert all(info.frontend_fd in {*fds, *got} for info in frame.fds)
    close_all([memory, event, reader, writer, file, *got])
    one.close()
    other.close()


def test_own_copies_of_descriptors_are_closed(lab: Lab) -> None:
    front, back = lab.session()
    reader, writer = os.pipe()
    send(front, message(12, bytes(8)), [writer] * 20)
    _, got = receive_message(back)
    close_all([writer, *got])
    os.set_blocking(reader, False)

    def at_its_end() -> bool:
        try:
            return os.read(reader, 1) == b""
        except BlockingIOError:
            return False

    wait_for(at_its_end)
    os.close(reader)


@pytest.mark.parametrize("count", [0, 1, 8, 253])
def test_as_many_descriptors_as_the_kernel_passes(lab: Lab, count: int) -> None:
    front, back = lab.session()
    event = os.eventfd(0)
    send(front, message(5, bytes(8)), [event] * count)
    data, got = receive_message(back)
    assert (data, len(got)) == (message(5, bytes(8)), count)
    close_all([event, *got])
    (frame,) = frames(lab.stop())
    assert len(frame.fds) == count


# One write: messages that are sent together, and how many descriptors with the first byte.
writes = st.lists(
    st.tuples(
        st.lists(st.builds(message, st.integers(40, 60), st.binary(max_size=40)), min_size=1, max_size=4),
        st.integers(0, 2),
    ),
    max_size=10,
)


@settings(deadline=None, max_examples=60)
@given(writes, st.randoms(use_true_random=False))
def test_descriptors_stay_with_their_message_however_they_are_written(
    writes: list[tuple[list[bytes], int]], random: object
) -> None:
    with tempfile.TemporaryDirectory() as place:
        lab = Lab(Path(place))
        front, back = lab.session()
        event = os.eventfd(0)
        expected = []
        for messages, count in writes:
            send(front, b"".join(messages), [event] * count)
            expected += [(messages[0], count), *((data, 0) for data in messages[1:])]
        for data, count in expected:
            got, fds = receive(back, len(data))
            assert (got, len(fds)) == (data, count)
            close_all(fds)
        recorded = [(frame.data, len(frame.fds)) for frame in frames(lab.stop())]
        assert recorded == expected
        close_all([event])
        front.close()
        back.close()


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=3000), st.lists(st.integers(1, 700), max_size=8))
def test_random_bytes_come_out_as_they_went_in(noise: bytes, sizes: list[int]) -> None:
    with tempfile.TemporaryDirectory() as place:
        lab = Lab(Path(place))
        front, back = lab.session()
        rest = noise
        for size in sizes:
            front.sendall(rest[:size])
            rest = rest[size:]
        front.sendall(rest)
        front.shutdown(socket.SHUT_WR)
        assert receive(back, len(noise) + 1)[0] == noise
        back.close()
        records = frames(lab.stop())
        assert sum(frame.wire_size for frame in records) == len(noise)
        front.close()


def test_a_huge_message_streams_through_and_its_record_is_cut(lab: Lab) -> None:
    front, back = lab.session()
    data = message(77, bytes(range(256)) * 40_000)
    event = os.eventfd(0)
    sender = threading.Thread(target=send, args=(front, data + message(1), [event]))
    sender.start()
    got, fds = receive(back, len(data))
    assert got == data
    assert receive_message(back)[0] == message(1)
    sender.join()
    close_all([event, *fds])
    first, second = frames(lab.stop())
    assert (first.flags, first.wire_size, first.data) == (FrameFlag.CUT, len(data), data[:65536])
    assert len(first.fds) == 1
    assert second.data == message(1)


def test_lost_framing_is_told_and_everything_still_passes(lab: Lab) -> None:
    front, back = lab.session()
    noise = struct.pack("=III", 1, 1, 0xFFFFFFF0) + b"garbage" * 10
    event = os.eventfd(0)
    send(front, noise)
    assert receive(back, len(noise))[0] == noise
    send(front, b"more", [event])
    got, fds = receive(back, 4)
    assert (got, len(fds)) == (b"more", 1)
    send(back, message(1, bytes(8), flags=5))
    assert receive_message(front)[0] == message(1, bytes(8), flags=5)
    close_all([event, *fds])
    records = lab.stop()
    (error,) = events(records, EventKind.ERROR)
    assert "framing lost" in error.text
    assert error.sender is Side.FRONTEND
    raw = [frame for frame in frames(records) if frame.flags & FrameFlag.RAW]
    assert b"".join(frame.data for frame in raw) == noise + b"more"


@pytest.mark.parametrize("size", [5, 12, 17])
def test_a_sender_that_closes_in_the_middle_of_a_message(lab: Lab, size: int) -> None:
    front, back = lab.session()
    send(front, message(3) + message(8, bytes(8))[:size])
    front.close()
    assert receive(back, 100)[0] == message(3) + message(8, bytes(8))[:size]
    whole, broken = frames(lab.stop())
    assert whole.flags is FrameFlag.NONE
    assert (broken.flags, broken.wire_size) == (FrameFlag.PARTIAL, size)


def test_a_back_end_that_closes_in_the_middle_of_its_reply(lab: Lab) -> None:
    front, back = lab.session()
    send(front, message(1))
    receive_message(back)
    send(back, message(1, bytes(8), flags=5)[:15])
    back.close()
    assert receive(front, 100)[0] == message(1, bytes(8), flags=5)[:15]
    records = lab.stop()
    assert frames(records)[-1].flags is FrameFlag.PARTIAL
    assert events(records, EventKind.CLOSE)[0].sender is Side.BACKEND


def test_an_incomplete_message_does_not_wait_for_ever(lab: Lab) -> None:
    front, back = lab.session()
    send(front, message(8, bytes(8))[:12])
    assert receive(back, 12)[0] == message(8, bytes(8))[:12]
    send(front, bytes(8))
    assert receive(back, 8)[0] == bytes(8)
    (frame,) = frames(lab.stop())
    assert (frame.flags, frame.data) == (FrameFlag.NONE, message(8, bytes(8)))


def test_a_message_in_small_pieces_is_forwarded_in_one(lab: Lab) -> None:
    front, back = lab.session()
    data = message(9, bytes(40))
    for byte in data:
        front.send(bytes([byte]))
        time.sleep(0.001)
    assert back.recv(1000) == data


def test_one_direction_may_end_before_the_other(lab: Lab) -> None:
    front, back = lab.session()
    send(front, message(1))
    front.shutdown(socket.SHUT_WR)
    assert receive(back, 100)[0] == message(1)
    send(back, message(1, bytes(8), flags=5))
    assert receive_message(front)[0] == message(1, bytes(8), flags=5)
    back.close()
    assert receive(front, 1)[0] == b""


def test_a_slow_receiver_holds_up_its_direction_only(lab: Lab) -> None:
    front, back = lab.session()
    data = message(8, bytes(8)) * 100_000
    event = os.eventfd(0)

    def stream() -> None:
        send(front, data)
        send(front, message(12), [event])

    sender = threading.Thread(target=stream)
    sender.start()
    time.sleep(0.2)
    for _ in range(10):
        send(back, message(2, bytes(8), flags=5))
        assert receive_message(front)[0]
    got, fds = receive(back, len(data))
    assert got == data
    assert fds == []
    _, fds = receive_message(back)
    assert len(fds) == 1
    sender.join()
    close_all([event, *fds])
    assert len(frames(lab.stop())) == 100_011


def test_what_a_closed_receiver_did_not_take_is_told(lab: Lab) -> None:
    front, back = lab.session()
    back.shutdown(socket.SHUT_RD)
    send(front, message(8, bytes(8)))
    back.close()
    wait_for(lambda: len(events(lab.items(), EventKind.CLOSE)) == 1)  # type: ignore[arg-type]
    records = lab.stop()
    assert len(frames(records)) == 1
    assert "20 bytes of the front-end could not be delivered" in events(records, EventKind.ERROR)[0].text


def test_the_back_end_channel_is_relayed_and_recorded(lab: Lab) -> None:
    front, back = lab.session()
    kept, passed = socket.socketpair()
    inode = os.fstat(passed.fileno()).st_ino
    send(front, message(21), [passed.fileno()])
    passed.close()
    _, (fd,) = receive_message(back)
    channel = socket.socket(fileno=fd)
    assert os.fstat(fd).st_ino != inode
    event = os.eventfd(0)
    send(channel, message(3, bytes(24), flags=9), [event])
    got, fds = receive_message(kept)
    assert (got, len(fds)) == (message(3, bytes(24), flags=9), 1)
    send(kept, message(3, bytes(8), flags=5))
    assert receive_message(channel)[0] == message(3, bytes(8), flags=5)
    kept.close()
    assert receive(channel, 1)[0] == b""
    close_all([event, *fds])
    channel.close()
    records = lab.stop()
    setting, request, reply = frames(records)
    assert (setting.fds[0].kind, setting.fds[0].inode) == (FdKind.SOCKET, inode)
    assert (request.channel, request.sender) == (Channel.BACKEND, Side.BACKEND)
    assert (reply.channel, reply.sender) == (Channel.BACKEND, Side.FRONTEND)
    kinds = [event.kind for event in events(records) if event.channel is Channel.BACKEND]
    assert kinds == [EventKind.OPEN, EventKind.CLOSE]


def test_a_later_back_end_channel_replaces_the_earlier(lab: Lab) -> None:
    front, back = lab.session()
    channels = []
    for _ in range(2):
        kept, passed = socket.socketpair()
        send(front, message(21), [passed.fileno()])
        passed.close()
        _, (fd,) = receive_message(back)
        channels.append((kept, socket.socket(fileno=fd)))
    (kept, channel), (_, newer) = channels
    channel.close()  # as a back-end does when it gets another
    assert receive(kept, 1)[0] == b""
    send(newer, message(1, bytes(40)))
    assert receive_message(channels[1][0])[0] == message(1, bytes(40))


def test_the_gpu_channel_carries_large_updates_and_descriptors_on_any_header_byte(lab: Lab) -> None:
    front, back = lab.session()
    kept, passed = socket.socketpair()
    send(front, message(33), [passed.fileno()])
    passed.close()
    _, (fd,) = receive_message(back)
    gpu = socket.socket(fileno=fd)
    update = message(8, bytes(20) + bytes(8 << 20), flags=0)
    sender = threading.Thread(target=send, args=(gpu, update))
    sender.start()
    assert receive(kept, len(update))[0] == update
    sender.join()
    memory = os.memfd_create("dmabuf")
    scanout = message(9, bytes(40), flags=0)
    send(gpu, scanout[:4])
    send(gpu, scanout[4:], [memory])
    got, fds = receive_message(kept)
    assert (got, len(fds)) == (scanout, 1)
    close_all([memory, *fds])
    _, large, small = frames(lab.stop())
    assert (large.channel, large.sender, large.flags) == (Channel.GPU, Side.BACKEND, FrameFlag.CUT)
    assert len(small.fds) == 1
    gpu.close()
    kept.close()


def test_what_is_passed_as_a_channel_but_is_no_socket_goes_on_untouched(lab: Lab) -> None:
    front, back = lab.session()
    event = os.eventfd(0)
    send(front, message(21), [event])
    _, (fd,) = receive_message(back)
    os.eventfd_write(fd, 3)
    assert os.eventfd_read(event) == 3
    close_all([event, fd])
    records = lab.stop()
    assert frames(records)[0].fds[0].kind is FdKind.EVENTFD
    assert "untraced" in events(records, EventKind.NOTE)[0].text


def test_a_blocking_mode_goes_with_a_passed_socket(lab: Lab) -> None:
    front, back = lab.session()
    _, passed = socket.socketpair()
    passed.setblocking(False)
    send(front, message(21), [passed.fileno()])
    _, (fd,) = receive_message(back)
    assert not os.get_blocking(fd)
    close_all([fd])


def test_a_thousand_sessions_leave_no_descriptor_behind(lab: Lab) -> None:
    event = os.eventfd(0)
    before = 0
    for number in range(1000):
        front, back = lab.session()
        kept, passed = socket.socketpair()
        send(front, message(21), [passed.fileno()])
        send(front, message(12, bytes(8)), [event])
        got = [fd for _ in range(2) for fd in receive_message(back)[1]]
        for end in (front, back, kept, passed):
            end.close()
        close_all(got)
        if number == 10:
            time.sleep(0.1)
            before = open_fds()
    wait_for(lambda: open_fds() <= before)
    os.close(event)
    records = lab.stop()
    assert len(frames(records)) == 2000
    assert {frame.connection for frame in frames(records)} == {0}
    assert frames(records)[-1].session == 1000


def test_messages_written_together_with_descriptors_in_between(lab: Lab) -> None:
    front, back = lab.session()
    event = os.eventfd(0)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [event]))]
    data = message(8, bytes(8))
    for _ in range(50):
        front.send(data * 3)
        front.sendmsg([data + data], rights)
    for _ in range(50):
        counts = []
        for _ in range(5):
            _, fds = receive_message(back)
            counts.append(len(fds))
            close_all(fds)
        assert counts == [0, 0, 0, 1, 0]
    os.close(event)


def test_a_record_that_cannot_be_encoded_harms_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_for_pings(record: Frame | Event, interface: int) -> bytes:
        if isinstance(record, Frame) and record.data == message(50):
            raise RuntimeError("unlucky")
        return record_block(record, interface)

    monkeypatch.setattr(encoder, "record_block", fail_for_pings)
    lab = Lab(tmp_path)
    front, back = lab.session()
    for request in (1, 50, 2):
        send(front, message(request))
        assert receive_message(back)[0] == message(request)
    time.sleep(0.05)
    send(front, message(3))
    assert receive_message(back)[0] == message(3)
    assert [frame.data for frame in frames(lab.stop())] == [message(1), message(2), message(3)]


def test_a_fault_of_ours_ends_one_session_only(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    other_front, other_back = lab.session()
    front, back = lab.session()

    def fail(self: Flow, data: bytes, ancillary: object, flags: int) -> None:
        raise RuntimeError("unlucky")

    monkeypatch.setattr(Flow, "_take", fail)
    send(front, message(8, bytes(8))[:5])
    assert receive(front, 1)[0] == receive(back, 1)[0] == b""
    send(other_front, message(1))
    assert receive_message(other_back)[0] == message(1)
