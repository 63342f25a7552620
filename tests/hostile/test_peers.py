"""Peers that use what sockets can do and vhost-user does not."""

import socket
import time
from pathlib import Path

import pytest
from kit.proxy_lab import Lab, frames, message, receive, receive_message, send, settled_fds

from vutrace.records import Channel
from vutrace.sockets.options import SO_PASSPIDFD, SO_PEEK_OFF


def processor_seconds(lab: Lab, seconds: float) -> float:
    """What the relay's thread needs of so many seconds."""
    clock = time.pthread_getcpuclockid(lab._thread.ident or 0)
    before = time.clock_gettime(clock)
    time.sleep(seconds)
    return time.clock_gettime(clock) - before


def test_a_byte_out_of_band_is_passed_on_and_turns_no_loop(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    front, back = lab.session()
    send(front, message(1))
    assert receive_message(back)[0] == message(1)
    front.send(b"!", socket.MSG_OOB)
    assert processor_seconds(lab, 1.0) < 0.2
    assert receive(back, 1)[0] == b"!"
    front.close()
    assert receive(back, 1)[0] == b""
    lab.stop()


@pytest.mark.parametrize(("option", "value"), [(SO_PASSPIDFD, 1), (SO_PEEK_OFF, 5), (socket.SO_PASSCRED, 1)])
def test_options_of_a_passed_socket_change_nothing(tmp_path: Path, option: int, value: int) -> None:
    lab = Lab(tmp_path)
    front, back = lab.session()
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    try:
        theirs.setsockopt(socket.SOL_SOCKET, option, value)
    except OSError:
        pytest.skip("this kernel does not know the option")
    send(front, message(21), [theirs.fileno()])
    theirs.close()
    (passed,) = receive_message(back)[1]
    before = settled_fds()
    with socket.socket(fileno=passed) as channel:
        channel.settimeout(5)
        for number in range(20):
            send(ours, message(number + 1, b"x" * number))
            assert receive_message(channel)[0] == message(number + 1, b"x" * number)
            send(channel, message(number + 1))
            assert receive_message(ours)[0] == message(number + 1)
        assert processor_seconds(lab, 0.5) < 0.1
        assert settled_fds() <= before
    ours.close()
    records = lab.stop()
    assert sum(frame.channel is Channel.BACKEND for frame in frames(records)) == 40


def test_a_half_closed_session_holds_up_no_other(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    front, back = lab.session()
    front.shutdown(socket.SHUT_WR)
    assert receive(back, 1)[0] == b""
    took = []
    for _ in range(5):
        began = time.monotonic()
        other = lab.session()
        took.append(time.monotonic() - began)
        for end in other:
            end.close()
        time.sleep(0.05)
    assert sorted(took)[2] < 0.03
    send(back, message(1))
    assert receive_message(front)[0] == message(1)
    lab.stop()
