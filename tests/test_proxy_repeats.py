"""The same trouble again and again, and a front-end that hammers."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from kit.proxy_lab import Lab, events, wait_for

from vutrace.proxy.repeats import Repeats
from vutrace.records import EventKind


@pytest.fixture
def place() -> Iterator[Path]:
    """A short path for sockets."""
    with TemporaryDirectory(prefix="vutrace-") as directory:
        yield Path(directory)


def test_a_text_is_said_once_and_then_counted() -> None:
    said: list[tuple[str, int]] = []
    repeats = Repeats(lambda text, times: said.append((text, times)), every=60)
    for _ in range(1001):
        repeats.tell("nobody is there")
    assert said == [("nobody is there", 1)]
    repeats.over()
    assert said[1:] == [("nobody is there: 1,000 more tries in 0.0 s", 1000)]
    repeats.over()
    repeats.tell("nobody is there")
    assert said[2:] == [("nobody is there", 1)]


def test_another_text_ends_the_count() -> None:
    said: list[str] = []
    repeats = Repeats(lambda text, _times: said.append(text), every=60)
    for text in ("one", "one", "other"):
        repeats.tell(text)
    assert said == ["one", "one: 1 more try in 0.0 s", "other"]


def test_counts_come_every_so_often() -> None:
    said: list[int] = []
    repeats = Repeats(lambda _text, times: said.append(times), every=0.0)
    for _ in range(3):
        repeats.tell("one")
    assert said == [1, 1, 1]


def test_a_front_end_that_hammers_is_held_and_its_tries_are_one_row_and_a_count(place: Path) -> None:
    lab = Lab(place, listen=False)
    tries, until = 0, time.monotonic() + 2
    while time.monotonic() < until:
        with lab.connect() as front:
            assert front.recv(1) == b""
            tries += 1
    assert 5 <= tries <= 12  # it would be thousands
    first, rest = (event for event in events(lab.stop()) if event.kind is EventKind.ERROR)
    assert first.text.endswith("the front-end was turned away (--wait S keeps it waiting)")
    assert f": {tries - 1} more tries in " in rest.text
    assert rest.attributes == {"tries": str(tries - 1)}


def test_a_front_end_that_comes_back_later_is_not_held(place: Path) -> None:
    lab = Lab(place, listen=False)
    for _ in range(2):
        began = time.monotonic()
        with lab.connect() as front:
            assert front.recv(1) == b""
        assert time.monotonic() - began < 0.15
        time.sleep(1.1)
    lab.stop()


def test_one_that_waits_is_told_after_a_second(place: Path) -> None:
    lab = Lab(place, listen=False, wait=3.0)
    front = lab.connect()
    wait_for(lambda: any("waits up to 3 s" in str(getattr(item, "text", "")) for item in lab.items()))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place / "back"))
    listener.listen()
    listener.settimeout(5)
    back = listener.accept()[0]
    for end in (front, back, listener):
        end.close()
    (told,) = (event.text for event in events(lab.stop()) if event.kind is EventKind.ERROR)
    assert told.startswith("the front-end is here, and waits up to 3 s: the back-end at connect:")
    assert told.endswith("cannot be reached: No such file or directory")
