"""Who may connect, and who is there."""

import os
import socket
from pathlib import Path

import pytest

from vutrace.sockets.endpoints import How, parse_endpoint
from vutrace.sockets.presence import group_name, place, presence, user_name, who_may

ME = user_name(os.geteuid())
US = ME if ME == "root" else f"{ME} and root"


@pytest.mark.parametrize(
    ("mode", "who"),
    [
        (0o600, f"only {US}"),
        (0o660, f"{US} and the group {group_name(os.getegid())}"),
        (0o666, "anybody"),
    ],
)
def test_a_mode_tells_who_may_connect(mode: int, who: str) -> None:
    assert who_may(mode) == who
    endpoint = parse_endpoint("listen:/run/f.sock", How.LISTEN)
    assert place(endpoint, mode) == f"listening on /run/f.sock, mode {mode:04o}: {who} may connect"


def test_an_abstract_socket_is_anybodys() -> None:
    assert (
        place(parse_endpoint("listen:@vm", How.LISTEN), 0o600) == "listening on @vm: anybody here may connect"
    )
    assert place(parse_endpoint("fd:3", How.LISTEN), 0o600) == "the inherited descriptor 3"


def test_somebody_is_there_who_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "back.sock"
    assert presence(str(path)) == "nobody is there yet"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert presence(str(path)) == "a socket file is there, but nobody here listens on it"
        listener.listen()
        assert place(parse_endpoint(f"connect:{path}", How.CONNECT), 0) == f"{path}: there, and listening"
    assert presence(str(path)) == "a socket file is there, but nobody here listens on it"
    path.unlink()
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("back.sock")
        listener.listen()
        assert presence(str(path)) == "there, and listening"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may connect to everything")
def test_a_socket_of_another_user_is_told(tmp_path: Path) -> None:
    path = tmp_path / "back.sock"
    path.touch(mode=0o400)
    assert presence(str(path)) == "a socket that this user may not connect to"


def test_users_and_groups_without_a_name_are_numbers() -> None:
    assert user_name(2**31 - 7) == f"user {2**31 - 7}"
    assert group_name(2**31 - 7) == str(2**31 - 7)
