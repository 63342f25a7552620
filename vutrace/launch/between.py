"""What vutrace listens on and connects to, so that it is between a program and the others."""

import os
import shutil
import socket
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from vutrace.errors import PEER, VutraceError
from vutrace.launch.mirror import MirroredSource
from vutrace.launch.sockets import ProgramSocket
from vutrace.records import Side
from vutrace.sockets.address import BACKLOG, answers, is_abstract, listen_at
from vutrace.sockets.endpoints import Connecting, Endpoint, Given, How, Listening, Source, inherit

LONGEST = 90  # bytes of a path, so that a number may stand behind it


class LaunchError(VutraceError):
    """A program cannot be started with its sockets through vutrace; the text is for the user."""

    status = PEER


@dataclass(frozen=True, slots=True)
class Between:
    """Pairs of endpoints and their sources, the front-end's first; descriptors that the program gets."""

    pairs: list[tuple[Endpoint, Endpoint]] = field(default_factory=list)
    sources: list[tuple[Source, Source]] = field(default_factory=list)
    instead: dict[int, socket.socket] = field(default_factory=dict)

    def add(self, side: Side, theirs: tuple[Endpoint, Source], others: tuple[Endpoint, Source]) -> None:
        """A pair of the program's end, which is `side`, and the others'."""
        front, back = (theirs, others) if side is Side.FRONTEND else (others, theirs)
        self.pairs.append((front[0], back[0]))
        self.sources.append((front[1], back[1]))

    def close(self) -> None:
        """Close everything."""
        for source in chain(*self.sources):
            source.close()
        self.let_go()

    def let_go(self) -> None:
        """Close what the program has by now: it should see its end when the others close."""
        for end in self.instead.values():
            end.close()


class PrivateDirectory:
    """A directory for the program's ends of its sockets, which only this user may enter."""

    def __init__(self, sockets: Sequence[ProgramSocket]) -> None:
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        usual = runtime if os.access(runtime, os.W_OK | os.X_OK) else tempfile.gettempdir()
        self.path = tempfile.mkdtemp(prefix="vutrace-", dir=usual)
        self.names = names_of(sockets, self.path)

    def remove(self) -> None:
        """Leave nothing of it."""
        shutil.rmtree(self.path, ignore_errors=True)


def names_of(sockets: Sequence[ProgramSocket], directory: str) -> list[str]:
    """A path for each socket: its own name where that is short and no other's, so that logs are readable."""
    taken: dict[str, str] = {}
    paths = []
    for number, each in enumerate(sockets):
        name = os.path.basename(each.path.removeprefix("@")) or f"fd{each.fd}"
        if taken.get(name, each.path) != each.path or len(f"{directory}/{name}".encode()) > LONGEST:
            name = str(number)
        taken[name] = each.path
        paths.append(os.path.join(directory, name))
    return paths


def go_between(sockets: Sequence[ProgramSocket], paths: Sequence[str]) -> Between:
    """Everything for the sockets, the program's ends being at `paths`; LaunchError, and nothing is left."""
    between = Between()
    done = set[str]()
    try:
        for each, path in zip(sockets, paths, strict=True):
            if path not in done:
                add_socket(between, each, path)
            done.add(path)
    except BaseException:
        between.close()
        raise
    return between


def add_socket(between: Between, each: ProgramSocket, path: str) -> None:
    try:
        if each.fd >= 0:
            add_inherited(between, each, path)
        elif each.listens:
            for ending in each.endings:
                add_listening(between, each, each.path + ending, path + ending)
        else:
            ours = Endpoint(How.LISTEN, path), Listening(listen_at(path, 0o600), path)
            between.add(each.side, ours, (Endpoint(How.CONNECT, each.path), Connecting(each.path)))
    except OSError as error:
        what = f"fd:{each.fd}" if each.fd >= 0 else each.path
        raise LaunchError(f"{what}: {error.strerror or error}") from None


def add_listening(between: Between, each: ProgramSocket, path: str, inner: str) -> None:
    """The program listens at `inner`, and vutrace, as soon as it does, at `path`."""
    if not is_abstract(path) and os.path.lexists(path) and answers(path):
        raise LaunchError(f"{path}: in use by another process")
    outer = Endpoint(How.LISTEN, path), MirroredSource(path, inner)
    between.add(each.side, (Endpoint(How.CONNECT, inner), Connecting(inner)), outer)


def add_inherited(between: Between, each: ProgramSocket, path: str) -> None:
    """vutrace keeps the descriptor that was inherited, and the program gets another under its number."""
    source = inherit(each.fd)
    others = Endpoint(How.FD, fd=each.fd), source
    if isinstance(source, Listening):
        between.instead[each.fd] = instead = socket.socket(socket.AF_UNIX)
        instead.bind(path)
        instead.listen(BACKLOG)
        between.add(each.side, (Endpoint(How.CONNECT, path), Connecting(path)), others)
    else:
        ours, between.instead[each.fd] = socket.socketpair()
        between.add(each.side, (Endpoint(How.FD, fd=each.fd), Given(ours)), others)


def rejoin(sockets: Sequence[ProgramSocket], paths: Sequence[str]) -> None:
    """Without vutrace, have either end find the other by a link when it connects again; OSError if not."""
    for each, path in zip(sockets, paths, strict=True):
        if each.fd >= 0 or is_abstract(each.path):
            continue
        outer = os.path.abspath(each.path)
        for ending in each.endings:
            if not each.listens:
                put_link(path, outer)
            elif os.path.lexists(path + ending):
                put_link(outer + ending, path + ending)


def put_link(path: str, target: str) -> None:
    """A symbolic link over what is there."""
    spare = f"{path}.vutrace-new"
    os.symlink(target, spare)
    os.replace(spare, path)
