"""Every way to reach two peers, and what happens when one of them cannot be reached."""

import errno
import os
import socket
import stat
import threading
import time
from pathlib import Path

import pytest
from kit.proxy_lab import SECONDS, Lab, events, frames, message, receive, receive_message, send, wait_for

from vutrace.records import Connection, EventKind
from vutrace.sockets import address, endpoints
from vutrace.sockets.endpoints import Connecting, Endpoint, EndpointError, How, open_source, parse_endpoint


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("/tmp/a", Endpoint(How.LISTEN, "/tmp/a")),
        ("a:b", Endpoint(How.LISTEN, "a:b")),
        ("connect:/tmp/a", Endpoint(How.CONNECT, "/tmp/a")),
        ("listen:connect:x", Endpoint(How.LISTEN, "connect:x")),
        ("fd:7", Endpoint(How.FD, fd=7)),
    ],
)
def test_an_endpoint_is_a_path_or_a_word_and_a_path(text: str, endpoint: Endpoint) -> None:
    assert parse_endpoint(text, How.LISTEN) == endpoint


@pytest.mark.parametrize("text", ["", "listen:", "fd:", "fd:x", "fd:-1", "@", "connect:@"])
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="'"):
        parse_endpoint(text, How.CONNECT)


def test_a_socket_is_private_unless_asked(tmp_path: Path) -> None:
    for mode in (0o600, 0o666):
        source = open_source(Endpoint(How.LISTEN, str(tmp_path / "s")), mode)
        assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == mode
        source.close()
        assert not (tmp_path / "s").exists()


def test_a_stale_socket_is_replaced_a_living_one_is_not(tmp_path: Path) -> None:
    endpoint = Endpoint(How.LISTEN, str(tmp_path / "s"))
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(endpoint.path)
        other.listen()
        with pytest.raises(EndpointError, match="in use"):
            open_source(endpoint)
        other.settimeout(0)
        with pytest.raises(BlockingIOError):
            other.accept()  # it did not even notice
    open_source(endpoint).close()


def test_of_two_starts_on_one_dead_socket_one_listens_and_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = Endpoint(How.LISTEN, str(tmp_path / "s"))
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(endpoint.path)

    def answers_slowly(path: str) -> bool:
        answer = real(path)
        time.sleep(0.2)
        return answer

    real = address.answers
    monkeypatch.setattr(address, "answers", answers_slowly)
    opened, told = [], []

    def start() -> None:
        try:
            opened.append(open_source(endpoint))
        except EndpointError as error:
            told.append(str(error))

    starts = [threading.Thread(target=start) for _ in range(2)]
    for each in starts:
        each.start()
    for each in starts:
        each.join(SECONDS)
    assert len(opened) == 1
    assert told == [f"{endpoint}: in use by another process"]
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(endpoint.path)
        assert opened[0].listener
        opened[0].listener.accept()[0].close()
    opened[0].close()


def test_a_socket_never_has_another_mode_and_no_link_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a chmod follows whatever stands at the path by then")

    monkeypatch.setattr(os, "chmod", refuse)
    before = os.umask(0o077)
    try:
        source = open_source(Endpoint(How.LISTEN, str(tmp_path / "s")), 0o660)
        assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o660
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    source.close()


def test_a_name_with_an_at_is_in_the_abstract_namespace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"vutrace-{os.getpid()}"
    listening = open_source(parse_endpoint(f"@{name}", How.LISTEN))
    with pytest.raises(EndpointError, match="in use"):
        open_source(parse_endpoint(f"listen:@{name}", How.LISTEN))
    reached = open_source(parse_endpoint(f"connect:@{name}", How.LISTEN)).take()
    accepted = listening.take()
    reached.sendall(b"x")
    assert accepted.recv(2) == b"x"
    assert f"@{name}" in Path("/proc/net/unix").read_text()
    assert not list(tmp_path.iterdir())
    for each in (listening, reached, accepted):
        each.close()
    open_source(parse_endpoint(f"@{name}", How.LISTEN)).close()


def test_a_name_lets_no_other_user_in_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "credentials", lambda peer: (1, 4711))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    endpoint = Endpoint(How.LISTEN, f"@vutrace-{os.getpid()}")
    for mode in (0o600, 0o666):
        source = open_source(endpoint, mode)
        peer = open_source(Endpoint(How.CONNECT, endpoint.path)).take()
        if mode == 0o600:
            with pytest.raises(OSError, match="of user 4711 was turned away"):
                source.take()
        else:
            source.take().close()
        peer.setblocking(True)
        assert receive(peer, 1)[0] == b""
        peer.close()
        source.close()


def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("precious")
    with pytest.raises(EndpointError, match="not a socket"):
        open_source(Endpoint(How.LISTEN, str(tmp_path / "s")))
    assert (tmp_path / "s").read_text() == "precious"


def test_a_path_that_somebody_else_took_over_is_not_unlinked(tmp_path: Path) -> None:
    source = open_source(Endpoint(How.LISTEN, str(tmp_path / "s")))
    (tmp_path / "s").unlink()
    (tmp_path / "s").write_text("new")
    source.close()
    assert (tmp_path / "s").exists()


def test_a_path_that_is_too_long_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match="too long"):
        open_source(Endpoint(How.LISTEN, str(tmp_path / ("s" * 200))))


def talk(front: socket.socket, back: socket.socket) -> None:
    """A request and its reply."""
    send(front, message(1))
    assert receive_message(back)[0] == message(1)
    send(back, message(1, bytes(8), flags=5))
    assert receive_message(front)[0] == message(1, bytes(8), flags=5)


def test_several_at_once_are_connections_and_who_comes_back_is_a_session(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    first, second = lab.session(), lab.session()
    talk(*second)
    talk(*first)
    first[0].close()
    assert receive(first[1], 1)[0] == b""
    talk(*lab.session())
    records = lab.stop()
    items = lab.items()
    assert [(frame.connection, frame.session) for frame in frames(records)[::2]] == [(1, 1), (0, 1), (0, 2)]
    assert [item.number for item in items if isinstance(item, Connection)] == [0, 1]


def test_both_sides_may_connect_to_us(tmp_path: Path) -> None:
    lab = Lab(tmp_path, [("listen:front", "listen:behind")], wait=5.0, listen=False)
    for _ in range(2):
        front = lab.connect("front")
        time.sleep(0.05)
        back = lab.connect("behind")
        talk(front, back)
        front.close()
        assert receive(back, 1)[0] == b""
    for _ in range(2):
        back = lab.connect("behind")
        time.sleep(0.05)
        front = lab.connect("front")
        talk(front, back)
        back.close()
        assert receive(front, 1)[0] == b""
    assert [frame.session for frame in frames(lab.stop())[::2]] == [1, 2, 3, 4]


def test_a_socket_of_another_user_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Connecting) -> socket.socket:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Connecting, "take", refuse)
    lab = Lab(tmp_path)
    assert receive(lab.connect("front"), 1)[0] == b""
    (error,) = events(lab.stop(), EventKind.ERROR)
    assert "Permission denied (the socket, or a directory above it, is another user's)" in error.text


def test_we_may_connect_to_both_sides_again_and_again(tmp_path: Path) -> None:
    lab = Lab(tmp_path, [("connect:ahead", "connect:back")])
    time.sleep(0.1)
    front_listener = lab.listening("ahead")
    for _ in range(3):
        front, back = lab.accept(front_listener), lab.accept()
        talk(front, back)
        back.close()
        assert receive(front, 1)[0] == b""
        front.close()
    records = lab.stop()
    assert {frame.session for frame in frames(records)} == {1, 2, 3}
    assert len(events(records, EventKind.ERROR)) == 1


def test_a_back_end_is_not_bothered_while_the_front_end_is_away(tmp_path: Path) -> None:
    lab = Lab(tmp_path, [("connect:ahead", "connect:back")])
    back = lab.accept()
    time.sleep(0.8)  # several attempts
    front_listener = lab.listening("ahead")
    talk(lab.accept(front_listener), back)
    lab.stop()


def test_the_back_end_may_come_to_us_and_the_front_end_be_reached(tmp_path: Path) -> None:
    lab = Lab(tmp_path, [("connect:ahead", "listen:behind")], listen=False)
    front_listener = lab.listening("ahead")
    back = lab.connect("behind")
    talk(lab.accept(front_listener), back)
    lab.stop()


def test_inherited_descriptors_connected_and_listening(tmp_path: Path) -> None:
    front, given = socket.socketpair()
    front.settimeout(5)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "inherited"))
    listener.listen()
    lab = Lab(tmp_path, [(f"fd:{given.detach()}", "back"), (f"fd:{listener.detach()}", "back")])
    talk(front, lab.accept())
    talk(lab.connect("inherited"), lab.accept())
    records = lab.stop()
    assert [frame.connection for frame in frames(records)] == [0, 0, 1, 1]


def test_a_connected_descriptor_is_good_for_one_session(tmp_path: Path) -> None:
    front, given = socket.socketpair()
    lab = Lab(tmp_path, [(f"fd:{given.detach()}", "back")])
    back = lab.accept()
    talk(front, back)
    back.close()
    lab.ended()
    assert lab.status == 0


def test_a_connected_descriptor_whose_peer_cannot_be_reached_ends_with_4(tmp_path: Path) -> None:
    front, given = socket.socketpair()
    front.settimeout(5)
    lab = Lab(tmp_path, [(f"fd:{given.detach()}", "connect:nobody")])
    assert receive(front, 1)[0] == b""
    lab.ended()
    assert lab.status == 4


def test_what_is_no_stream_socket_cannot_be_inherited(tmp_path: Path) -> None:
    one, other = socket.socketpair(type=socket.SOCK_SEQPACKET)
    with pytest.raises(EndpointError, match="stream"):
        open_source(Endpoint(How.FD, fd=one.fileno()))
    with pytest.raises(EndpointError, match="fd:999"):
        open_source(Endpoint(How.FD, fd=999))
    one.close()
    other.close()


def test_a_front_end_is_turned_away_at_once_when_there_is_no_back_end(tmp_path: Path) -> None:
    lab = Lab(tmp_path, [("front", "nobody")])
    for _ in range(3):
        front = lab.connect()
        began = time.monotonic()
        assert receive(front, 1)[0] == b""
        assert time.monotonic() - began < 0.5
    first, more = events(lab.stop(), EventKind.ERROR)
    assert "No such file" in first.text
    assert "--wait" in first.text
    assert ": 2 more tries in " in more.text


def test_a_front_end_waits_for_as_long_as_it_was_asked(tmp_path: Path) -> None:
    lab = Lab(tmp_path, [("front", "late")], wait=0.6)
    front = lab.connect()
    send(front, message(1))
    time.sleep(0.2)
    listener = lab.listening("late")
    back = lab.accept(listener)
    assert receive_message(back)[0] == message(1)
    front.close()
    back.close()
    listener.close()
    os.unlink(tmp_path / "late")
    wait_for(lambda: len(events(lab.items(), EventKind.CLOSE)) == 1)  # type: ignore[arg-type]
    front = lab.connect()
    began = time.monotonic()
    assert receive(front, 1)[0] == b""
    assert 0.4 < time.monotonic() - began < 3
    assert len(events(lab.stop(), EventKind.ERROR)) == 1


def test_a_back_end_that_came_to_us_waits_for_the_front_end_with_one_note(tmp_path: Path) -> None:
    lab = Lab(tmp_path, [("connect:late", "listen:behind")])
    back = lab.connect("behind")
    time.sleep(1)
    front = lab.accept(lab.listening("late"))
    send(front, message(1))
    assert receive_message(back)[0] == message(1)
    front.close()
    back.close()
    assert len(events(lab.stop(), EventKind.ERROR)) == 1


def test_it_stops_after_so_many_messages(tmp_path: Path) -> None:
    lab = Lab(tmp_path, messages=7)
    front, back = lab.session()
    send(front, message(8, bytes(8)) * 10)
    receive(back, 200)
    assert len(frames(lab.ended())) == 7
    assert lab.status == 0


def test_it_stops_after_so_many_seconds(tmp_path: Path) -> None:
    lab = Lab(tmp_path, duration=0.3)
    front, back = lab.session()
    talk(front, back)
    assert receive(front, 1)[0] == b""
    assert len(frames(lab.ended())) == 2
    assert lab.status == 0
    assert not (tmp_path / "front").exists()
