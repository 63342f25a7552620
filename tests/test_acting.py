"""Rules that act: what each does to the two ends, and what the capture says of it."""

import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from kit.acting_lab import ActingLab
from kit.proxy_lab import close_all, events, frames, message, receive_message, send, wait_for

from vutrace.records import Deed, Event, EventKind

GET_FEATURES, SET_FEATURES, SET_MEM_TABLE, KICK, CALL, ENABLE = 1, 2, 5, 12, 13, 18
REPLY = 5


def u64(value: int) -> bytes:
    return struct.pack("=Q", value)


def test_a_delayed_message_goes_later_and_has_two_times(tmp_path: Path) -> None:
    lab = ActingLab(tmp_path, "SET_VRING_KICK ring=1 : delay 200ms")
    front, back = lab.session()
    event = os.eventfd(0)
    send(front, message(KICK, u64(0)), [event])
    close_all(receive_message(back)[1])
    began = time.monotonic()
    send(front, message(KICK, u64(1)), [event])
    send(front, message(CALL, u64(1)), [event])
    data, fds = receive_message(back)
    assert (data, len(fds)) == (message(KICK, u64(1)), 1)
    assert 0.15 < time.monotonic() - began < 1.5
    behind, more = receive_message(back)
    assert behind == message(CALL, u64(1))  # what is behind waits, too
    close_all([event, *fds, *more])
    first, second, third = frames(lab.stop())
    assert first.acted is None
    assert third.acted is None
    assert second.acted
    assert (second.acted.deed, second.acted.rule) == (Deed.HELD, "SET_VRING_KICK ring=1 : delay 200ms")
    assert 0.15e9 < second.time_ns - second.acted.came_ns < 1.5e9
    assert len(second.fds) == 1
    assert lab.never == []


def test_a_dropped_reply_is_an_event_and_the_request_stays_owed(tmp_path: Path) -> None:
    lab = ActingLab(tmp_path, "GET_FEATURES reply when=first : drop", "SET_OWNER : delay 1s")
    front, back = lab.session()
    for value in (0x10, 0x20):
        send(front, message(GET_FEATURES))
        assert receive_message(back)[0] == message(GET_FEATURES)
        send(back, message(GET_FEATURES, u64(value), REPLY))
    assert receive_message(front)[0] == message(GET_FEATURES, u64(0x20), REPLY)
    records = lab.stop()
    (dropped,) = events(records, EventKind.DROPPED)
    assert dropped.attributes["data"] == message(GET_FEATURES, u64(0x10), REPLY).hex()
    assert "GET_FEATURES reply dropped by" in dropped.text
    assert len(frames(records)) == 3
    assert lab.never == ["SET_OWNER : delay 1s"]


def test_a_changed_field_is_recorded_as_it_came_and_as_it_went(tmp_path: Path) -> None:
    lab = ActingLab(tmp_path, "SET_VRING_ENABLE num=1 : set num=0")
    front, back = lab.session()
    came = message(ENABLE, struct.pack("=II", 3, 1))
    send(front, came)
    assert receive_message(back)[0] == message(ENABLE, struct.pack("=II", 3, 0))
    (frame,) = frames(lab.stop())
    assert frame.data == message(ENABLE, struct.pack("=II", 3, 0))
    assert frame.acted
    assert (frame.acted.deed, frame.acted.data) == (Deed.CHANGED, came)


def shown(place: Path, *words: str) -> str:
    """What a verb says of the capture."""
    ran = subprocess.run(
        [sys.executable, "-m", "vutrace", *words, str(place / "capture.pcapng")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert not ran.stderr, ran.stderr
    return ran.stdout


def test_rows_json_and_verdict_say_what_rules_did(tmp_path: Path) -> None:
    rules = "SET_VRING_ENABLE : set num=0", "GET_FEATURES reply : drop", "SET_VRING_NUM : delay 20ms"
    lab = ActingLab(tmp_path, *rules)
    front, back = lab.session()
    for data in (
        message(ENABLE, struct.pack("=II", 3, 1)),
        message(8, struct.pack("=II", 3, 256)),
        message(GET_FEATURES),
    ):
        send(front, data)
        receive_message(back)
    send(back, message(GET_FEATURES, u64(0x10), REPLY))
    wait_for(lambda: events([each for each in lab.items() if isinstance(each, Event)], EventKind.DROPPED))
    front.close()
    lab.stop()
    text = shown(tmp_path, "show")
    assert "changed by 'SET_VRING_ENABLE : set num=0'; it came as: ring 3: enable" in text
    assert "ms by 'SET_VRING_NUM : delay 20ms'" in text
    assert "dropped: GET_FEATURES reply dropped by 'GET_FEATURES reply : drop'" in text
    rows = [json.loads(line) for line in shown(tmp_path, "show", "--json").splitlines()]
    (changed,) = [row for row in rows if row["name"] == "SET_VRING_ENABLE"]
    assert changed["fields"]["num"] == 0
    assert changed["acted"]["fields"]["num"] == 1
    assert changed["acted"]["deed"] == "changed"
    verdict = shown(tmp_path, "check")
    assert "a rule of vutrace's dropped its reply [" in verdict
    assert "owed the reply" not in verdict
    assert "Vutrace acted" not in verdict
    assert "vutrace acted on 3 messages" in verdict


def test_who_waits_for_what_a_rule_dropped_is_told_so(tmp_path: Path) -> None:
    lab = ActingLab(tmp_path, "GET_FEATURES reply : drop", "GET_QUEUE_NUM : drop", stall=0.1)
    front, back = lab.session()
    send(front, message(GET_FEATURES))
    receive_message(back)
    send(back, message(GET_FEATURES, u64(0x10), REPLY))
    send(front, message(17))

    def notes_in(records: Sequence[object]) -> list[Event]:
        return [each for each in records if isinstance(each, Event) and each.kind is EventKind.NOTE]

    wait_for(lambda: len(notes_in(lab.items())) > 1)
    notes = notes_in(lab.stop())
    assert [note.text.partition(": ")[2] for note in notes] == [
        "a rule dropped GET_FEATURES, or its reply",
        "a rule dropped GET_QUEUE_NUM, or its reply",
    ]


def test_a_timeline_and_the_cause_name_the_rule(tmp_path: Path) -> None:
    lab = ActingLab(tmp_path, "GET_FEATURES reply : duplicate")
    front, back = lab.session()
    send(front, message(GET_FEATURES))
    receive_message(back)
    send(back, message(GET_FEATURES, u64(0x10), REPLY))
    receive_message(front)
    receive_message(front)
    lab.stop()
    timeline = " ".join(shown(tmp_path, "timeline").split())
    assert "2 messages that rules of vutrace's acted on" in timeline
    assert "made by 'GET_FEATURES reply : duplicate': [4]" in timeline
    (session,) = json.loads(shown(tmp_path, "timeline", "--format", "json"))["connections"][0]["sessions"]
    assert [each["deed"] for each in session["acted"]] == ["held", "made"]
    verdict = " ".join(shown(tmp_path, "check").split())
    assert (
        "went wrong at [4], which was made by the rule 'GET_FEATURES reply : duplicate': a reply" in verdict
    )


def test_without_rules_the_relay_loads_nothing_of_them() -> None:
    script = "import sys, vutrace.proxy.relay; print([each for each in sys.modules if 'tap' in each])"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_a_random_delay_is_decided_by_the_seed(tmp_path: Path) -> None:
    waits = []
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        (tmp_path / name).mkdir()
        lab = ActingLab(tmp_path / name, "SET_VRING_ENABLE : delay 1s..9s", seed=seed)
        front, back = lab.session()
        send(front, message(ENABLE, struct.pack("=II", 0, 1)))
        wait_for(lambda lab=lab: lab.items()[2:])
        (note, *_) = events(lab.stop(), EventKind.NOTE)
        waits.append(note.text)
        front.close()
        back.close()
    assert waits[0] == waits[1] != waits[2]
