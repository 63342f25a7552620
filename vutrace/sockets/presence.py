"""Who may connect to a socket of ours, and whether somebody listens where we connect to."""

import grp
import os
import pwd

from vutrace.sockets.address import is_abstract
from vutrace.sockets.endpoints import Endpoint, How
from vutrace.sockets.process import PROC

LISTENS = 0x10000  # __SO_ACCEPTCON, in /proc/net/unix
GROUP, OTHERS = 0o020, 0o002  # the right to write is the right to connect


def place(endpoint: Endpoint, mode: int) -> str:
    """Where we listen, or connect to, and what is there."""
    if endpoint.how is How.FD:
        return f"the inherited descriptor {endpoint.fd}"
    if endpoint.how is How.LISTEN:
        if is_abstract(endpoint.path):
            return f"listening on {endpoint.path}: anybody here may connect"
        return f"listening on {endpoint.path}, mode {mode:04o}: {who_may(mode)} may connect"
    return f"{endpoint.path}: {presence(endpoint.path)}"


def who_may(mode: int) -> str:
    """Whom a socket's mode lets connect."""
    if mode & OTHERS:
        return "anybody"
    user = user_name(os.geteuid())
    users = user if user == "root" else f"{user} and root"
    return f"{users} and the group {group_name(os.getegid())}" if mode & GROUP else f"only {users}"


def user_name(uid: int) -> str:
    """A user by name, or number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def group_name(gid: int) -> str:
    """A group by name, or number."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def presence(path: str) -> str:
    """Whether somebody listens at a path; nothing is connected to for it."""
    named = not is_abstract(path) and os.path.lexists(path)
    if named and not os.access(path, os.W_OK):
        return "a socket that this user may not connect to"
    if listens(path):
        return "there, and listening"
    if not named:
        return "nobody is there yet"
    return "a socket file is there, but nobody here listens on it"


def listens(path: str) -> bool:
    """Whether the system knows a listening socket of this name; it may have been bound by a relative path."""
    try:
        with open(f"{PROC}/net/unix", encoding="utf-8", errors="surrogateescape") as table:
            rows = [line.split(maxsplit=7) for line in table][1:]
    except OSError:
        return False
    names = {row[7].rstrip("\n") for row in rows if len(row) == 8 and int(row[3], 16) & LISTENS}
    base = os.path.basename(path)
    return path in names or any("/" not in name and name == base for name in names)
