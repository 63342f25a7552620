"""Taking the place of a socket: vutrace listens under its name, and whoever listened does so beside it.

The name exists at every moment. The files themselves, and a marker that says which of them is whose, tell how
things stand; so whoever comes later can put them right, wherever vutrace was killed.
"""

import errno
import os
import socket
import stat
from contextlib import suppress
from enum import Enum

from vutrace.errors import PEER, VutraceError
from vutrace.sockets.address import BACKLOG, answers, is_abstract, set_mode
from vutrace.sockets.beside import Beside, clear, put_right
from vutrace.sockets.marker import NOTHING_TAKEN, Marker, Record, mark_of, read_marker
from vutrace.sockets.presence import user_name
from vutrace.sockets.rename import put_over

LABELS = "security.selinux", "security.SMACK64", "system.posix_acl_access"
LONGEST_ADDRESS = 107  # bytes that bind and connect take
FORBIDDEN = {errno.EACCES, errno.EPERM}


class InsertError(VutraceError):
    """The place of a socket cannot be had, or given back; the text is for the user."""

    status = PEER


class Holder(Enum):
    """Whose socket file has the name."""

    VUTRACE = "vutrace"
    NOBODY = "nobody"
    OTHER = "other"


class SocketPlace:
    """The place of the socket at `path`, held from now on; `listener` gets who connects to that name.

    `repaired` tells whether it was left behind by a vutrace that was killed. Raises InsertError, and then
    everything is as before.
    """

    def __init__(self, path: str) -> None:
        self.path = resolve(path)
        self.names = Beside(self.path)
        self.repaired = self.names.left
        self.record = NOTHING_TAKEN
        self._directory = -1
        try:
            refuse_unusable(self.path, self.repaired)
            self._directory = os.open(os.path.dirname(self.path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            self._marker = marker_of(self.names)
            self._begin()
        except OSError as error:
            if self._directory >= 0:
                os.close(self._directory)
            raise InsertError(f"{self.path}: {reason(error, self.path)}") from None

    def _begin(self) -> None:
        try:
            refuse_dead(self.path)
            self.listener = self._occupy()
        except OSError:
            clear(self.names, self.record)
            self._marker.remove()
            raise

    @property
    def address(self) -> str:
        """What connects to whoever listened before; by way of a descriptor where the path is too long."""
        aside = self.names.aside
        if len(os.fsencode(aside)) <= LONGEST_ADDRESS:
            return aside
        return f"/proc/self/fd/{self._directory}/{os.path.basename(aside)}"

    @property
    def holder(self) -> Holder:
        """Whose socket has the name now."""
        now = mark_of(self.path)
        if now is None:
            return Holder.NOBODY
        return Holder.VUTRACE if now == self.record.ours else Holder.OTHER

    @property
    def answered(self) -> bool:
        """Whether whoever listened before still does."""
        return os.path.lexists(self.names.aside) and answers(self.address)

    def _occupy(self) -> socket.socket:
        """Listen under the name, whoever has it now being aside; OSError, and the name is theirs."""
        status = os.lstat(self.path)
        if not stat.S_ISSOCK(status.st_mode):
            raise OSError(errno.ENOTSOCK, "it is not a socket")
        listener = self._listen(status)
        record = Record(os.getpid(), mark_of(self.names.aside), mark_of(self.path))
        try:
            self._marker.write(record)
            put_over(self.names.aside, self.path, self.names.spare)
        except OSError:
            listener.close()
            raise
        self.record = record
        return listener

    def _listen(self, like: os.stat_result) -> socket.socket:
        """A listener beside the socket, whose file is like the other one."""
        with suppress(FileNotFoundError):
            os.unlink(self.names.aside)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            bind_closed(listener, self.address)
            make_like(self.names.aside, self.path, like)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
        return listener

    def renew(self) -> socket.socket:
        """Take the place of whoever has the name now; the new listener. OSError: then it is theirs."""
        self.listener = self._occupy()
        return self.listener

    def listen_again(self) -> socket.socket:
        """The same under a name that was removed, whoever listened before being there still."""
        os.link(self.names.aside, self.path, follow_symlinks=False)
        return self.renew()

    def release(self) -> None:
        """Give the place back: everything is as before. InsertError where that cannot be."""
        try:
            put_right(self.names, self.record)
            self._marker.remove()
        except OSError as error:
            raise InsertError(f"{self.path}: {reason(error, self.path)}") from None
        finally:
            os.close(self._directory)


def resolve(path: str) -> str:
    """The file itself; InsertError where there can be none."""
    if is_abstract(path):
        raise InsertError(f"{path}: a name in the abstract namespace has no file whose place could be taken")
    return os.path.realpath(path)


def marker_of(names: Beside) -> Marker:
    """The marker of a place that nobody has, everything being as before; OSError where that cannot be."""
    marker = Marker(names.marker)
    try:
        put_right(names, marker.found)
    except OSError:
        marker.close()
        raise
    return marker


def refuse_unusable(path: str, left: bool) -> None:
    """OSError where there is no socket that we may connect to; before anything is made beside it."""
    if left and not os.path.lexists(path):
        return
    status = os.lstat(path)
    if not stat.S_ISSOCK(status.st_mode):
        raise OSError(errno.ENOTSOCK, "it is not a socket")
    if not os.access(path, os.W_OK, effective_ids=True):
        raise PermissionError(errno.EACCES, "this user may not connect to it")
    if not left:
        refuse_dead(path)


def refuse_dead(path: str) -> None:
    """OSError where nobody listens."""
    if not answers(path):
        raise OSError(errno.ECONNREFUSED, "nobody listens on it; start the program whose socket it is first")


def bind_closed(listener: socket.socket, address: str) -> None:
    """Make a socket file that nobody may connect to yet."""
    before = os.umask(0o777)
    try:
        listener.bind(address)
    finally:
        os.umask(before)


def make_like(new: str, path: str, like: os.stat_result) -> None:
    """Owner, group, mode, and as far as the system lets us the access list and the security label."""
    made = os.lstat(new)
    if (made.st_uid, made.st_gid) != (like.st_uid, like.st_gid):
        os.chown(new, like.st_uid, like.st_gid, follow_symlinks=False)
    set_mode(new, stat.S_IMODE(like.st_mode))
    for label in LABELS:
        with suppress(OSError):
            os.setxattr(new, label, os.getxattr(path, label, follow_symlinks=False), follow_symlinks=False)


def reason(error: OSError, path: str) -> str:
    """Why a place cannot be had, and what to do."""
    what = error.strerror or str(error)
    if error.errno not in FORBIDDEN:
        return what
    return f"{what} (run vutrace as {owner_of(path)}root)"


def owner_of(path: str) -> str:
    """ "USER or " for the user whose socket it is, where that is not root."""
    try:
        uid = os.lstat(path).st_uid
    except OSError:
        return ""
    return f"{user_name(uid)} or " if uid not in (0, os.geteuid()) else ""


def give_back_for(path: str) -> None:
    """Put right what this vutrace took, from a process that has outlived its relay; OSError if it cannot."""
    names = Beside(path)
    put_right(names, read_marker(names.marker))
    os.unlink(names.marker)


def restore(path: str) -> str:
    """Put right what a killed vutrace left at a socket; how things stand then. Raises InsertError."""
    names = Beside(resolve(path))
    if not names.left:
        return f"{names.path}: nothing to do, no vutrace has taken its place"
    try:
        marker_of(names).remove()
    except OSError as error:
        raise InsertError(f"{names.path}: {reason(error, names.path)}") from None
    return f"{names.path}: put right, {now_there(names.path)}"


def now_there(path: str) -> str:
    """What is at a path, in words."""
    if not os.path.lexists(path):
        return "and whoever listened there has removed it"
    return (
        "and as before whoever listens there is reached directly"
        if answers(path)
        else "but nobody listens on it"
    )
