"""A capture with rules, acted out: each side says what its peer got, and hears what that peer said."""

import struct

import pytest
from kit.proxy_lab import message

from vutrace.dissection.registry import Registry
from vutrace.records import Acted, Channel, Deed, Event, EventKind, Frame, Record, Side
from vutrace.replay.script import scripts
from vutrace.session.tracker import Tracker

GET_FEATURES, OWNER, ENABLE, QUEUES, REPLY = 1, 3, 18, 17, 5
FRONT, BACK = Side.FRONTEND, Side.BACKEND


def u64(value: int) -> bytes:
    return struct.pack("=Q", value)


def frame(sender: Side, data: bytes, acted: Acted | None = None) -> Frame:
    return Frame(9, 0, 1, Channel.MAIN, sender, data, wire_size=len(data), acted=acted)


def dropped(sender: Side, data: bytes) -> Event:
    facts = {"rule": "R", "data": data.hex(), "fds": "0"}
    return Event(9, 0, 1, EventKind.DROPPED, "dropped", Channel.MAIN, sender, facts)


def changed(data: bytes) -> Acted:
    return Acted(Deed.CHANGED, "R", 5, data, (), len(data))


ASK, OFFER, MASKED = (
    message(GET_FEATURES),
    message(GET_FEATURES, u64(3), REPLY),
    message(GET_FEATURES, u64(1), REPLY),
)
ON, OFF = (message(ENABLE, struct.pack("=II", 0, on)) for on in (1, 0))
RECORDS: list[Record] = [
    frame(FRONT, ASK),
    frame(BACK, MASKED, changed(OFFER)),
    frame(FRONT, OFF, changed(ON)),
    frame(FRONT, OFF, Acted(Deed.MADE, "R", 6)),
    dropped(FRONT, message(QUEUES)),
    frame(BACK, message(QUEUES, u64(1), REPLY), Acted(Deed.MADE, "R", 7)),
    frame(FRONT, ASK),
    dropped(BACK, OFFER),
    frame(FRONT, message(OWNER)),
]


@pytest.mark.parametrize(
    ("acts", "wanted"),
    [
        (FRONT, [(ASK, OFFER), (OFF, None), (OFF, None), (ASK, OFFER), (message(OWNER), None)]),
        (
            BACK,
            [
                (ASK, MASKED),
                (ON, None),
                (message(QUEUES), message(QUEUES, u64(1), REPLY)),
                (ASK, None),
                (message(OWNER), None),
            ],
        ),
    ],
)
def test_a_side_says_what_its_peer_got(acts: Side, wanted: list[tuple[bytes, bytes | None]]) -> None:
    (script,) = scripts(Tracker(Registry({})).rows(RECORDS), acts)
    said = [(each.message.frame.data, each.reply and each.reply.frame.data) for each in script.main]
    assert said == wanted
