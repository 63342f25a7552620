"""Reading a capture while it grows."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.capture_samples import SAMPLE, encoded

from vutrace.capture import CaptureError, Item, Writer, WriterGone, copy, follow

WHOLE = encoded(SAMPLE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A capture that is still empty."""
    (tmp_path / "growing.pcapng").touch()
    return tmp_path / "growing.pcapng"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe; the test closes the second."""
    read_end, write_end = os.pipe()
    yield read_end, write_end
    os.close(read_end)


def _write_slowly(path: Path, data: bytes, step: int, done: threading.Event) -> threading.Thread:
    def work() -> None:
        with path.open("ab", buffering=0) as file:
            for at in range(0, len(data), step):
                file.write(data[at : at + step])
                time.sleep(0.002)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.parametrize("step", [7, 100, len(WHOLE)])
def test_records_arrive_however_the_file_grows(path: Path, step: int) -> None:
    done = threading.Event()
    thread = _write_slowly(path, WHOLE, step, done)
    reader = follow(path, done)
    assert list(reader) == SAMPLE
    assert not reader.cut
    thread.join()


def test_a_record_arrives_soon_after_it_was_written(path: Path) -> None:
    with Writer(path) as writer:
        items = iter(follow(path))
        for item in SAMPLE:
            writer.write(item)
            started = time.monotonic()
            assert next(items) == item
            assert time.monotonic() - started < 0.5


def test_what_was_written_just_before_the_end_is_read(path: Path) -> None:
    class LastMoment:
        def wait(self, timeout: float) -> bool:
            path.write_bytes(WHOLE)
            return True

    assert list(follow(path, LastMoment())) == SAMPLE


def test_a_follower_ends_without_any_record(path: Path) -> None:
    done = threading.Event()
    done.set()
    reader = follow(path, done)
    assert list(reader) == []
    assert reader.cut


def test_the_pipe_tells_that_the_writer_is_done(path: Path, pipe: tuple[int, int]) -> None:
    gone = WriterGone(pipe[0])
    assert not gone.wait(0)
    os.write(pipe[1], b"!")
    assert not gone.wait(10)  # woken early, but not done
    path.write_bytes(WHOLE)
    threading.Timer(0.05, os.close, [pipe[1]]).start()
    assert list(follow(path, gone)) == SAMPLE


def test_a_killed_writer_is_done_too(path: Path, pipe: tuple[int, int]) -> None:
    path.write_bytes(WHOLE[:-5])
    writer = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=[pipe[1]])
    os.close(pipe[1])
    threading.Timer(0.1, writer.send_signal, [signal.SIGKILL]).start()
    reader = follow(path, WriterGone(pipe[0]))
    assert list(reader) == SAMPLE[:-1]
    assert reader.cut
    writer.wait()


def test_a_truncated_file_is_told_not_misread(path: Path) -> None:
    path.write_bytes(WHOLE)
    items: Iterator[Item] = iter(follow(path))
    for _ in SAMPLE:
        next(items)
    path.write_bytes(b"")
    with pytest.raises(CaptureError, match="truncated"):
        next(items)


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="No such file"):
        list(follow(tmp_path / "none"))


def test_copy_gives_the_same_bytes(path: Path, tmp_path: Path) -> None:
    done = threading.Event()
    thread = _write_slowly(path, WHOLE, 100, done)
    with (tmp_path / "copy").open("wb") as out:
        assert copy(path, out.fileno(), done)
    thread.join()
    assert (tmp_path / "copy").read_bytes() == WHOLE


def test_copy_tells_when_nobody_reads(path: Path) -> None:
    path.write_bytes(WHOLE)
    read_end, write_end = os.pipe()
    os.close(read_end)
    assert not copy(path, write_end, threading.Event())
    os.close(write_end)


def test_copy_sees_that_its_reader_goes_while_there_is_nothing_to_write(path: Path) -> None:
    path.write_bytes(WHOLE)
    read_end, write_end = os.pipe()
    timer = threading.Timer(0.1, os.close, [read_end])
    timer.start()
    assert not copy(path, write_end, threading.Event())
    timer.join()
    os.close(write_end)
