"""The file that is recorded into: whose it is, and what becomes of it under the hands of others."""

import os
from pathlib import Path

import pytest

from vutrace.capture import Writer, read
from vutrace.capture.target import Target, open_target
from vutrace.records import Connection

HEAD, BODY = b"head ", b"body "


class Recording:
    """A target that is appended to as the proxy's writer does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said: list[str] = []
        self.size = 0
        self.fd = open_target(str(path))
        self.target = Target(self.fd, str(path), self.said.append)

    def append(self, blocks: bytes, head: bool = False) -> None:
        """One batch."""
        self.size = self.target.settled(self.size)
        if head:
            self.target.head += blocks
        self.size += os.write(self.fd, blocks)

    def close(self) -> None:
        """The end."""
        self.target.close(self.size)
        os.close(self.fd)


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    recording = Recording(tmp_path / "x.pcapng")
    recording.append(HEAD, head=True)
    recording.append(BODY)
    return recording


def test_a_capture_that_nobody_touches_is_what_was_written_and_nothing_is_said(recording: Recording) -> None:
    recording.append(BODY)
    recording.close()
    assert recording.path.read_bytes() == HEAD + BODY + BODY
    assert recording.said == []


def test_one_that_is_removed_is_told_and_put_back_whole(recording: Recording) -> None:
    recording.path.unlink()
    recording.append(BODY)
    recording.append(BODY)
    assert len(recording.said) == 1
    recording.close()
    assert recording.path.read_bytes() == HEAD + BODY * 3
    assert recording.path.stat().st_mode & 0o777 == 0o600
    assert recording.said == [
        f"{recording.path}: it was removed; it is put back at the end",
        f"{recording.path}: it was removed while vutrace wrote to it; the capture is in {recording.path}",
    ]


def test_one_that_is_removed_and_not_written_any_more_is_put_back_too(recording: Recording) -> None:
    recording.path.unlink()
    recording.close()
    assert recording.path.read_bytes() == HEAD + BODY
    assert len(recording.said) == 1


def test_what_took_its_place_is_left_alone(recording: Recording) -> None:
    recording.path.unlink()
    os.mkfifo(recording.path)
    recording.append(BODY)
    recording.close()
    assert recording.path.is_fifo()
    assert Path(f"{recording.path}.1").read_bytes() == HEAD + BODY * 2
    assert recording.said[-1].endswith(f"the capture is in {recording.path}.1")


@pytest.mark.parametrize("left", [b"", b"somebody", b"somebody's, and more than was there"])
def test_one_that_is_changed_is_left_alone_and_a_further_one_is_readable_by_itself(
    recording: Recording, left: bytes
) -> None:
    recording.path.write_bytes(left)
    recording.append(BODY)
    recording.append(BODY)
    further = Path(f"{recording.path}.1")
    assert recording.said == [
        f"{recording.path}: another program has changed it; the recording goes on in {further}"
    ]
    recording.close()
    assert recording.path.read_bytes() == left
    assert further.read_bytes() == HEAD + BODY + BODY
    assert len(recording.said) == 1


def test_one_that_is_moved_is_written_on_and_told_once(recording: Recording, tmp_path: Path) -> None:
    moved = recording.path.rename(tmp_path / "old.pcapng")
    recording.append(BODY)
    recording.append(BODY)
    recording.close()
    assert moved.read_bytes() == HEAD + BODY * 3
    assert not recording.path.exists()
    (said,) = recording.said
    assert said.endswith("it was moved or replaced; the recording goes on in the file, wherever it is now")


def test_one_that_is_changed_at_the_very_end_is_told(recording: Recording) -> None:
    os.truncate(recording.path, 3)
    recording.close()
    assert recording.said == [f"{recording.path}: another program has changed it; the capture is not whole"]


def test_a_capture_that_is_written_is_truncated_by_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    with Writer(path) as first:
        first.write(Connection(0, "a", "b"))
        with pytest.raises(OSError, match="another vutrace writes to it") as raised:
            Writer(path)
        assert raised.value.filename == str(path)
    assert list(read(path)) == [Connection(0, "a", "b")]
    with Writer(path) as second:
        second.write(Connection(1, "c", "d"))
    assert list(read(path)) == [Connection(1, "c", "d")]


def test_a_fifo_that_nobody_reads_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with pytest.raises(OSError, match="a FIFO that nobody reads; start its reader first"):
        open_target(str(path))
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    fd = open_target(str(path))
    assert os.get_blocking(fd)
    os.close(fd)
    os.close(reader)
