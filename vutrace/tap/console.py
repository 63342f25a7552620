"""Hands in the middle: messages that wait, and what is typed about them.

The console is in the process that makes the taps; each tap has a socket to it. On it comes (number, message,
what it says, since when, what is wrong) when a message waits, with an empty message when it does no longer,
and goes (number, what was typed).
"""

import marshal
import os
import socket
import sys
import time
from dataclasses import dataclass

from vutrace.errors import VutraceError
from vutrace.outgoing import printable
from vutrace.records import connection_letter
from vutrace.tap.actions import ACTIONS, parse_action
from vutrace.tap.passing import PassingMessage

EDITS = {"set", "resize", "size", "fds"}  # the message goes on waiting, and is shown as it is now
TOO_LATE = {"delay", "hold", "swap"}
HELP = (
    "Enter or 'step' lets the first one go, 'continue' all from now on, 'stop' holds again,"
    " 'list' shows what waits;"
    f" or an action on the first one: {', '.join(each for each in ACTIONS if each not in TOO_LATE)}."
    " A number before it means another one."
)
Place = tuple[int, int]


def note(text: str) -> None:
    """A line for the user."""
    sys.stderr.write(f"vutrace: {printable(text)}\n")
    sys.stderr.flush()


def by_hand(message: PassingMessage, text: str) -> tuple[bool, str]:
    """Do what was typed; whether the message goes now, and what is wrong with what was typed."""
    if not text:
        return True, ""
    try:
        word, action = parse_action(text)
        if word in TOO_LATE:
            return False, f"{word}: it waits already"
        action(message)
    except VutraceError as error:
        return False, str(error)
    message.rule = f"{message.rule}: {text}"
    return word not in EDITS, ""


@dataclass(slots=True)
class HeldMessage:
    """A message that waits for hands."""

    place: Place
    number: int
    words: str
    said: str
    since: float


class Console:
    """Reads `fd` by the line; what waits is in the order in which it came."""

    def __init__(self, fd: int = 0) -> None:
        self.fd = fd
        self._rest = b""
        self._taps: dict[Place, socket.socket] = {}
        self._held: list[HeldMessage] = []
        self._all = False

    def join(self, place: Place, end: socket.socket) -> None:
        """A session's tap."""
        self._taps[place] = end

    def sockets(self) -> dict[int, Place]:
        """Those of the taps, to be waited on."""
        return {end.fileno(): place for place, end in self._taps.items()}

    def hear(self, place: Place) -> None:
        """A tap has something to say."""
        packet = self._taps[place].recv(1 << 20)
        if not packet:
            self._taps.pop(place).close()
            self._held = [each for each in self._held if each.place != place]
            return
        number, words, said, since, trouble = marshal.loads(packet)
        known = next((each for each in self._held if each.place == place and each.number == number), None)
        if not words:
            self._held = [each for each in self._held if each is not known]
        elif self._all:
            self._send(place, number, "")
        elif known:
            known.said = said
            note(trouble or self._line(known))
        else:
            self._held.append(HeldMessage(place, number, words, said, since))
            note(self._line(self._held[-1]))

    def _line(self, held: HeldMessage) -> str:
        at = next((at for at, each in enumerate(self._held, 1) if each is held), 0)
        letter, waited = connection_letter(held.place[0]), time.monotonic() - held.since
        return f"{at} waits {waited:.1f} s: {letter} session {held.place[1]} {held.words} {held.said}"

    def read(self) -> bool:
        """What was typed; False when nothing more will be: then everything goes."""
        data = os.read(self.fd, 4096)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._obey(line.decode(errors="replace").strip())
        if not data:
            self._obey("continue")
        return bool(data)

    def _obey(self, text: str) -> None:
        if text in ("continue", "c"):
            self._all = True
            for each in list(self._held):
                self._send(each.place, each.number, "")
        elif text == "stop":
            self._all = False
        elif text in ("list", "l"):
            for each in self._held:
                note(self._line(each))
        elif text in ("help", "?"):
            note(HELP)
        else:
            self._act(text)

    def _act(self, text: str) -> None:
        first, _, rest = text.partition(" ")
        at, what = (int(first), rest.strip()) if first.isdecimal() else (1, text)
        if not 1 <= at <= len(self._held):
            note("nothing waits" if not self._held else f"{at}: {len(self._held)} wait; 'list' shows them")
            return
        held = self._held[at - 1]
        self._send(held.place, held.number, "" if what in ("step", "s") else what)

    def _send(self, place: Place, number: int, text: str) -> None:
        try:
            self._taps[place].send(marshal.dumps((number, text)))
        except OSError:
            note("its session is over")
