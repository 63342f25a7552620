"""Every kept capture acted out on both sides at once: what passes is what was recorded, byte for byte."""

import struct
from pathlib import Path

import pytest
from kit.replay_stage import CAPTURES, both, of_records, recorded
from kit.sessions import Script as Making
from kit.transcript import protocol

from vutrace.capture import read
from vutrace.records import Channel, Frame, FrameFlag, Side
from vutrace.records import FdKind as Kind

NAMES = sorted(path.stem for path in CAPTURES.glob("*.pcapng"))
MEMORY = {Kind.MEMFD, Kind.FILE, Kind.HUGETLBFS, Kind.DMABUF}


def frames(name: str) -> list[Frame]:
    return [
        item
        for item in read(CAPTURES / f"{name}.pcapng")
        if isinstance(item, Frame) and not item.flags & FrameFlag.CUT
    ]


def bytes_of(found: list[Frame], channel: Channel, sender: Side) -> list[bytes]:
    return [frame.data for frame in found if (frame.channel, frame.sender) == (channel, sender)]


@pytest.mark.parametrize("listening", list(Side))
@pytest.mark.parametrize("name", NAMES)
def test_what_passes_is_what_was_recorded(name: str, listening: Side, tmp_path: Path) -> None:
    front, back = both(recorded(name), str(tmp_path / "s"), listening)
    for done in (front, back):
        assert not done.broke
        assert not done.outcome.different, done.lines
        for sender in Side:
            assert bytes_of(done.frames, Channel.MAIN, sender) == bytes_of(frames(name), Channel.MAIN, sender)


@pytest.mark.parametrize("name", ["qemu-7.2-testpmd-restart", "qemu-7.2-storage-daemon-blk"])
def test_descriptors_are_made_anew_as_they_were(name: str, tmp_path: Path) -> None:
    """The same kinds and sizes, and the same ones again where the same ones were passed again."""
    _, back = both(recorded(name), str(tmp_path / "s"))
    pairs = [
        (was, now)
        for old, new in zip(sent(frames(name)), sent(back.frames), strict=True)
        for was, now in zip(old.fds, new.fds, strict=True)
    ]
    assert pairs
    for was, now in pairs:
        assert (now.kind, now.size) == (Kind.MEMFD if was.kind in MEMORY else was.kind, was.size)
    identities = {(was.kind, was.inode, was.eventfd_id): (now.inode, now.eventfd_id) for was, now in pairs}
    assert all(
        identities[was.kind, was.inode, was.eventfd_id] == (now.inode, now.eventfd_id) for was, now in pairs
    )


def sent(found: list[Frame]) -> list[Frame]:
    return [frame for frame in found if frame.channel is Channel.MAIN and frame.sender is Side.FRONTEND]


def test_the_back_end_channel_is_acted_on_both_sides(tmp_path: Path) -> None:
    """A disk grows: the back-end says so on its channel, the front-end acknowledges and asks again."""
    sessions = of_records(growing_disk())
    assert [exchange.message.name for exchange in sessions[0].side] == ["BACKEND_CONFIG_CHANGE_MSG"]
    front, back = both(sessions, str(tmp_path / "s"))
    assert not front.outcome.different
    assert not back.outcome.different
    spoken = [(frame.sender, frame.data[:8]) for frame in front.frames if frame.channel is Channel.BACKEND]
    told, acknowledged = b"\2\0\0\0\x09\0\0\0", b"\2\0\0\0\5\0\0\0"
    assert spoken == [(Side.BACKEND, told), (Side.FRONTEND, acknowledged)]


def test_the_messages_of_a_postcopy_are_awaited_by_its_rules(tmp_path: Path) -> None:
    """A table with memory is answered with addresses, the one that ends it is not."""
    script = Making(need_reply=frozenset({"POSTCOPY_LISTEN"}))
    script.get("GET_FEATURES", 1 << 30)
    script.get("GET_PROTOCOL_FEATURES", protocol("REPLY_ACK", "PAGEFAULT"))
    script.set("SET_PROTOCOL_FEATURES", protocol("REPLY_ACK", "PAGEFAULT"))
    script.set("SET_FEATURES", 1 << 30)
    script.ask("POSTCOPY_ADVISE", reply=b"", reply_fds="userfaultfd")
    script.ask("POSTCOPY_LISTEN")
    table = struct.pack("<IIQQQQ", 1, 0, 0, 256 << 20, 0x7F00_0000_0000, 0)
    script.ask("SET_MEM_TABLE", table, reply=table, fds="memfd")
    script.ask("SET_MEM_TABLE", bytes(8))
    script.ask("POSTCOPY_END", reply=bytes(8))
    script.close(Side.FRONTEND)
    sent_there = [item.data for item in script.records if isinstance(item, Frame)]
    front, back = both(of_records(script.records), str(tmp_path / "s"))
    for done in (front, back):
        assert not done.broke
        assert [frame.data for frame in done.frames] == sent_there
    assert not back.outcome.different, back.lines
    # the kernel makes no userfaultfd from a record
    assert [finding.difference.field for finding in front.outcome.findings] == ["descriptors"]


def growing_disk() -> list[Frame]:
    """The capture of a disk, with a change of its size after the first ring was enabled."""
    found, records = frames("qemu-7.2-storage-daemon-blk"), []
    for frame in found:
        records.append(frame)
        if frame.data[0] == 18 and len(records) < len(found):
            where = frame.connection, frame.session, Channel.BACKEND
            told = b"\2\0\0\0\x09\0\0\0\0\0\0\0"
            done = b"\2\0\0\0\5\0\0\0\x08\0\0\0" + bytes(8)
            if not any(each.channel is Channel.BACKEND for each in records):
                time = frame.time_ns
                records.append(Frame(time + 1, *where, Side.BACKEND, told, wire_size=len(told)))
                records.append(Frame(time + 2, *where, Side.FRONTEND, done, wire_size=len(done)))
    return records
