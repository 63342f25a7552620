"""A program with a vhost-user socket, played for the tests of `vutrace run`, which tell it what to do."""

import os
import signal
import socket
import sys
import time
from collections.abc import Sequence

from kit.proxy_lab import message, receive_message, send
from vutrace.launch.programs import SOCKET_OPTIONS
from vutrace.launch.sockets import ProgramSocket, sockets_of

ANSWER = message(1, bytes(8), flags=5)


def play(arguments: Sequence[str]) -> None:
    """Do what stands behind --play."""
    what = arguments[arguments.index("--play") + 1]
    sockets = sockets_of(arguments, SOCKET_OPTIONS)
    if what == "pid":
        print(os.getpid(), flush=True)
    if not sockets:
        sys.exit(7)
    if what == "ask":
        ask(sockets[0], arguments)
    serve(sockets[0], what)


def ask(told: ProgramSocket, arguments: Sequence[str]) -> None:
    """A front-end that asks one thing."""
    if "--monitor" in arguments:
        monitor = socket.socket(fileno=int(arguments[arguments.index("--monitor") + 1]))
        monitor.send(str(os.getpid()).encode())
    for _ in range(2 if "--twice" in arguments else 1):
        with socket.socket(socket.AF_UNIX) as front:
            front.connect(told.path)
            send(front, message(1))
            assert receive_message(front)[0] == ANSWER
            print("answered", flush=True)
            if "--twice" in arguments:
                receive_message(front)  # until it ends
                time.sleep(0.2)
    sys.exit(0)


def serve(told: ProgramSocket, what: str) -> None:
    """A back-end that answers until the front-end closes."""
    if what == "signals":
        listen_to_signals()
    end = socket.socket(fileno=told.fd) if told.fd >= 0 else socket.socket(socket.AF_UNIX)
    if told.fd < 0:
        print(told.path, flush=True)
        end.bind(told.path)
        time.sleep(0.05)  # as DPDK does: who connects meanwhile is refused
        end.listen(4)
    if what == "mode":
        time.sleep(0.05)
        os.chmod(told.path, 0o765)
    if what == "background" and os.fork():
        os._exit(7)
    back = end if what == "connected" else end.accept()[0]
    while receive_message(back)[0]:
        send(back, ANSWER)
        if what == "last-words":
            os.abort()
    if told.path:
        os.unlink(told.path)
    sys.exit(7)


def listen_to_signals() -> None:
    """Say which signal came, and end a moment later with 40 and its number."""

    def heard(number: int, _frame: object) -> None:
        print("got", number, flush=True)
        signal.signal(signal.SIGALRM, lambda *_: os._exit(40 + number))
        signal.setitimer(signal.ITIMER_REAL, 0.3)

    print("a terminal" if os.isatty(0) else "no terminal", flush=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, heard)
