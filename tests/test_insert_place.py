"""The place of a socket is taken and given back; its name is there always, wherever vutrace is killed."""

import os
import pwd
import signal
import socket
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vutrace.sockets import insertion, rename
from vutrace.sockets.insertion import Holder, InsertError, SocketPlace, restore

CALLS = ("open", "rename", "link", "unlink", "pwrite", "chmod", "chown", "close")
"""What changes files; a vutrace is killed before and after each of its calls."""


class Backend:
    """Whoever listens at `path` before vutrace comes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        os.chmod(path, 0o764)
        self.listener.listen(16)
        self.listener.settimeout(2)
        self.inode = path.lstat().st_ino

    def reached(self) -> bool:
        """Whether who connects to the name comes to it."""
        with socket.socket(socket.AF_UNIX) as front:
            front.connect(str(self.path))
            try:
                self.listener.accept()[0].close()
            except TimeoutError:
                return False
        return True

    def as_before(self) -> bool:
        """Whether its file is what it was, and nothing is beside it."""
        status = self.path.lstat()
        alone = os.listdir(self.path.parent) == [self.path.name]
        return alone and status.st_ino == self.inode and stat.S_IMODE(status.st_mode) == 0o764


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    backend = Backend(tmp_path / "vhost.sock")
    yield backend
    backend.listener.close()


def no_exchange(_one: str, _other: str) -> None:
    raise OSError(22, "Invalid argument")


@pytest.fixture(params=[rename.exchange, no_exchange], ids=["exchange", "link"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to put a name over another: file systems differ in what they can."""
    monkeypatch.setattr(rename, "exchange", request.param)


@pytest.mark.usefixtures("way")
def test_who_connects_comes_to_vutrace_and_whoever_listened_is_beside(backend: Backend) -> None:
    place = SocketPlace(str(backend.path))
    assert stat.S_IMODE(backend.path.lstat().st_mode) == 0o764
    with socket.socket(socket.AF_UNIX) as front, socket.socket(socket.AF_UNIX) as onward:
        front.connect(str(backend.path))
        place.listener.accept()[0].close()
        onward.connect(place.address)
        backend.listener.accept()[0].close()
    place.release()
    place.listener.close()
    assert backend.as_before()
    assert backend.reached()


def test_a_group_and_an_access_list_go_with_the_name(backend: Backend) -> None:
    if os.geteuid():
        pytest.skip("only root gives files away")
    os.chown(backend.path, 65534, 12)
    place = SocketPlace(str(backend.path))
    status = backend.path.lstat()
    assert (status.st_uid, status.st_gid) == (65534, 12)
    place.release()
    place.listener.close()


def test_a_mode_that_the_name_was_given_meanwhile_stays(backend: Backend) -> None:
    place = SocketPlace(str(backend.path))
    os.chmod(backend.path, 0o777)
    place.release()
    place.listener.close()
    assert stat.S_IMODE(backend.path.lstat().st_mode) == 0o777


@pytest.mark.usefixtures("way")
def test_the_name_is_there_at_every_moment(backend: Backend) -> None:
    missing, done = [], threading.Event()

    def look() -> None:
        while not done.is_set():
            if not os.path.lexists(backend.path):
                missing.append(True)

    looker = threading.Thread(target=look)
    looker.start()
    for _ in range(40):
        place = SocketPlace(str(backend.path))
        place.release()
        place.listener.close()
    done.set()
    looker.join()
    assert not missing
    assert backend.as_before()


def take(path: Path) -> None:
    SocketPlace(str(path))


def take_and_release(path: Path) -> None:
    SocketPlace(str(path)).release()


def leave_taken(path: Path) -> None:
    """Have a vutrace take the place and end without a word."""
    if os.fork() == 0:
        SocketPlace(str(path))
        os._exit(0)
    os.wait()


def take_from_one_that_was_killed(path: Path) -> None:
    leave_taken(path)
    SocketPlace(str(path)).release()


def put_back(path: Path) -> None:
    leave_taken(path)
    restore(str(path))


def run_and_kill(work: Callable[[Path], None], path: Path, step: int, after: bool) -> bool:
    """Do `work` in a process that is killed at its step of that number; whether there was one."""
    pid = os.fork()
    if pid == 0:
        kill_at(step, after)
        work(path)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def kill_at(step: int, after: bool) -> None:
    """Have this process killed before or after the call of that number that changes a file."""
    counted, owner = [0], os.getpid()

    def counting(call: Callable[..., object]) -> Callable[..., object]:
        def count(*arguments: object, **more: object) -> object:
            counted[0] += os.getpid() == owner
            if counted[0] == step and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            now = counted[0]
            try:
                return call(*arguments, **more)
            finally:
                if now == step and after:
                    os.kill(os.getpid(), signal.SIGKILL)

        return count

    for name in CALLS:
        setattr(os, name, counting(getattr(os, name)))
    rename.exchange = counting(rename.exchange)  # type: ignore[assignment]
    insertion.bind_closed = counting(insertion.bind_closed)  # type: ignore[assignment]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("work", "least"),
    [(take, 9), (take_and_release, 12), (take_from_one_that_was_killed, 14), (put_back, 4)],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_wherever_it_is_killed_restore_puts_things_right(
    backend: Backend, work: Callable[[Path], None], least: int, after: bool
) -> None:
    step = 1
    while run_and_kill(work, backend.path, step, after):
        assert os.path.lexists(backend.path), step
        restore(str(backend.path))
        assert backend.as_before(), step
        assert backend.reached(), step
        step += 1
    assert step > least


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_wherever_it_is_killed_the_next_start_puts_things_right(backend: Backend, after: bool) -> None:
    step = 1
    while run_and_kill(take, backend.path, step, after):
        place = SocketPlace(str(backend.path))
        assert place.holder is Holder.VUTRACE
        place.release()
        place.listener.close()
        assert backend.as_before(), step
        assert backend.reached(), step
        step += 1


def test_a_restarted_backend_keeps_the_name_that_it_bound_anew(backend: Backend) -> None:
    leave_taken(backend.path)
    backend.listener.close()
    backend.path.unlink()
    again = Backend(backend.path)
    assert "put right" in restore(str(backend.path))
    assert again.as_before()
    assert again.reached()
    again.listener.close()


def test_a_marker_that_somebody_removed_loses_no_socket(backend: Backend) -> None:
    leave_taken(backend.path)
    (backend.path.parent / ".vhost.sock.vutrace-state").unlink()
    restore(str(backend.path))
    assert backend.as_before()
    assert backend.reached()


def test_a_file_that_took_the_name_is_left_where_it_is(backend: Backend) -> None:
    place = SocketPlace(str(backend.path))
    backend.path.unlink()
    backend.path.write_text("mine")
    with pytest.raises(OSError, match="not a socket"):
        place.renew()
    place.release()
    place.listener.close()
    assert backend.path.read_text() == "mine"
    assert os.listdir(backend.path.parent) == ["vhost.sock"]


def test_what_a_stranger_put_beside_a_socket_is_not_believed() -> None:
    if os.geteuid():
        pytest.skip("needs another user")
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o1777)
        backend = Backend(Path(directory) / "vhost.sock")
        false = Backend(Path(directory) / ".vhost.sock.vutrace")
        os.chown(false.path, 2, 2)
        backend.listener.close()
        restore(str(backend.path))
        assert backend.path.lstat().st_ino == backend.inode
        marker = Path(directory) / ".vhost.sock.vutrace-state"
        marker.touch()
        os.chown(marker, 2, 2)
        with pytest.raises(InsertError, match=r"was made by user 2: remove it|Permission denied"):
            restore(str(backend.path))
        false.listener.close()


def test_restore_without_anything_to_do_says_so(backend: Backend) -> None:
    assert restore(str(backend.path)).endswith("nothing to do, no vutrace has taken its place")
    assert backend.as_before()


def refused(path: Path) -> str:
    with pytest.raises(InsertError) as error:
        SocketPlace(str(path))
    assert error.value.status == 4
    return str(error.value).removeprefix(f"{path}: ")


def test_a_dead_socket_is_refused(backend: Backend) -> None:
    backend.listener.close()
    assert refused(backend.path).startswith("nobody listens on it")
    assert backend.as_before()


def test_what_is_no_socket_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refused(tmp_path / "file") == "it is not a socket"
    assert refused(tmp_path / "nothing") == "No such file or directory"
    assert os.listdir(tmp_path) == ["file"]


def test_a_name_without_a_file_is_refused() -> None:
    with pytest.raises(InsertError, match="abstract namespace"):
        SocketPlace("@vhost")


def test_a_second_vutrace_is_refused_while_the_first_runs(backend: Backend) -> None:
    place = SocketPlace(str(backend.path))
    assert refused(backend.path) == f"another vutrace (process {os.getpid()}) has its place"
    with pytest.raises(InsertError, match="another vutrace"):
        restore(str(backend.path))
    place.release()
    place.listener.close()
    assert backend.as_before()


def test_missing_rights_are_refused_and_say_who_has_them() -> None:
    if os.geteuid():
        pytest.skip("needs another user")
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        backend = Backend(Path(directory) / "vhost.sock")
        os.chown(backend.path, 2, 2)
        os.seteuid(65534)
        try:
            assert refused(backend.path) == f"{FORBIDDEN} to it (run vutrace as {owner_of(2)} or root)"
            os.seteuid(0)
            os.chmod(backend.path, 0o777)
            os.seteuid(65534)
            assert refused(backend.path) == f"Permission denied (run vutrace as {owner_of(2)} or root)"
        finally:
            os.seteuid(0)
        backend.listener.close()
        assert os.listdir(directory) == ["vhost.sock"]


def owner_of(uid: int) -> str:
    """A user by name."""
    return pwd.getpwuid(uid).pw_name


FORBIDDEN = "this user may not connect"


def test_a_long_path_is_reached_all_the_same(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    directory.mkdir()
    name = "s" * (105 - len(str(directory)))
    backend = Backend(directory / name)
    place = SocketPlace(str(backend.path))
    with socket.socket(socket.AF_UNIX) as onward:
        onward.connect(place.address)
        backend.listener.accept()[0].close()
    place.release()
    place.listener.close()
    assert backend.as_before()
    backend.listener.close()
