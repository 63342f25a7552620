"""What people type: tshark's habits, a forgotten verb, names of rings, several files; nothing is ignored."""

import json
import signal
from pathlib import Path

import pytest
from kit.proxy_process import Process, exchange
from kit.transcript import back, closed, front, opened, script
from test_cli_show import Run, capture, rows, run, write  # noqa: F401

from vutrace.sockets.endpoints import Endpoint, How, parse_endpoint

CAPTURES = Path(__file__).parent.parent / "captures"
RESTART = CAPTURES / "qemu-7.2-testpmd-restart.pcapng"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["{}"], "vutrace show {}"),
        (["-r", "{}"], "vutrace show -r {}"),
        (["decode", "{}"], "vutrace show -V FILE"),
        (["lint", "{}"], "vutrace check FILE"),
        (["show", "{}", "-z", "io,stat"], "vutrace stats FILE"),
        (["show", "{}", "-q"], "vutrace stats FILE"),
        (["show", "{}", "-O", "vhost_user"], "-V is everything"),
        (["show", "{}", "-w", "x.pcapng"], "vutrace export FILE -o x.pcapng"),
        (["show", "{}", "-T", "pdml"], "json, fields or text"),
        (["show", "{}", "-T", "fields"], "needs -e NAME"),
        (["show", "{}", "-e", "name"], "goes with -T fields"),
        (["show", "{}", "-T", "fields", "-e", "nmae"], "there is number, time"),
        (["show", "{}", "--json", "-V"], "JSON has everything"),
        (["show", "{}", "--json", "-x"], "JSON has everything"),
        (["show", "{}", "{}", "--follow"], "one capture at a time"),
        (["show", "{}", "--board", "--fold"], "--board shows rings"),
        (["timeline", "{}", "-o", "x.foo"], "the suffix tells the format"),
        (["queues", "{}", "--session", "7"], "has 1 of A"),
        (["queues", "{}", "--at", "noon"], "seconds since the first record"),
        (["proxy", "tcp:127.0.0.1:4444", "b.sock"], "passes descriptors"),
        (["proxy", "a", "b", "-t", "xx"], "one of r, d"),
        (["proxy", "a", "b", "--board", "--ring", "rx0"], "nothing that chooses or formats rows"),
        (["proxy", "a", "b", "-q", "-V"], "nothing is shown"),
        (["proxy", "a", "b", "--message", "GET_FEATURE"], "did you mean GET_FEATURES"),
        (["proxy", "a", "b", "--json", "-V"], "JSON has everything"),
        (["proxy", "a", "b", "-a", "soon"], "-a soon"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_it_is_refused_in_a_line_that_says_what_to_type(
    run: Run,  # noqa: F811
    capture: Path,  # noqa: F811
    words: list[str],
    says: str,
) -> None:
    ran = run(*(word.format(capture) for word in words))
    assert (ran.status, ran.out) == (2, "")
    assert says.format(capture) in ran.err
    assert len(ran.err.splitlines()) == 1


def test_what_tshark_takes_is_taken(run: Run, capture: Path) -> None:  # noqa: F811
    ran = run(
        *("show", "-r", capture, "-l", "-n", "-T", "fields", "-e", "frame.number", "-e", "ring_name"),
        *("-e", "fields.num", "--message", "SET_VRING_NUM", "-c", "2"),
    )
    assert ran.lines == ["20\trx0\t256", "25\ttx0\t256"]
    assert run("show", capture, "-T", "json").lines == run("show", capture, "--json").lines


def test_a_ring_is_chosen_by_its_name(run: Run, capture: Path) -> None:  # noqa: F811
    assert rows(run("show", capture, "--ring", "rx1")) == rows(run("show", capture, "--ring", "2")) != []
    told = json.loads(run("timeline", RESTART, "--format", "json", "--ring", "tx0").out)
    names = {ring["name"] for session in told["connections"][0]["sessions"] for ring in session["rings"]}
    assert names == {"tx0"}


def test_several_captures_are_shown_one_after_the_other(run: Run, tmp_path: Path) -> None:  # noqa: F811
    one = write(tmp_path / "one.pcapng", script(opened(), front("SET_OWNER"), closed()))
    two = write(tmp_path / "two.pcapng", script(opened(), front("GET_FEATURES")))
    text = run("show", one, two).out
    places = [text.index(each) for each in ("one.pcapng", "SET_OWNER", "two.pcapng", "GET_FEATURES")]
    assert places == sorted(places)
    objects = [json.loads(line) for line in run("show", one, two, "--json").lines]
    assert [each["file"] for each in objects] == [str(one)] * 3 + [str(two)] * 2


def test_queues_stand_as_they_did_at_a_time(run: Run, tmp_path: Path) -> None:  # noqa: F811
    start = write(
        tmp_path / "start.pcapng",
        script(
            opened(),
            front("GET_FEATURES"),
            back("GET_FEATURES", features=1 << 30),
            front("SET_VRING_KICK", u64=0x100, after_ms=1000),
            front("GET_VRING_BASE", index=0, after_ms=1000),
        ),
    )

    def started(*words: str) -> list[bool]:
        told = json.loads(run("queues", start, "--json", *words).out)
        return [ring["started"] for session in told for ring in session["rings"]]

    assert started("--at", "0.5") == []
    assert started("--at", "1.5") == [True]
    assert started() == started("--at", "3") == [False]
    assert "open at 1.500000 s" in run("queues", start, "--at", "1.5").out


def test_queues_tell_that_there_are_other_sessions(run: Run) -> None:  # noqa: F811
    assert "1 earlier session not shown" in run("queues", RESTART).err
    assert run("queues", RESTART, "--session", "all").err == ""


def test_a_path_as_qemu_and_ovs_write_it() -> None:
    assert parse_endpoint("unix:/run/vm.sock", How.LISTEN) == Endpoint(How.LISTEN, "/run/vm.sock")
    assert parse_endpoint("unix:/run/vm.sock,server=on", How.CONNECT) == Endpoint(How.CONNECT, "/run/vm.sock")
    assert parse_endpoint("connect:unix:/run/vm.sock", How.LISTEN) == Endpoint(How.CONNECT, "/run/vm.sock")
    with pytest.raises(ValueError, match="no path"):
        parse_endpoint("unix:", How.LISTEN)


def test_a_live_session_is_shown_as_show_shows_it(tmp_path: Path) -> None:
    process = Process(tmp_path)
    try:
        out = (tmp_path / "out").open("wb")
        child = process.start("--json", "--message", "SET_VRING_CALL", "--color", "never", stdout=out)
        front_end, back_end = process.session()
        exchange(front_end, back_end, 2)
        process.stop(child, signal.SIGINT)
    finally:
        process.close()
    told = [json.loads(line)["name"] for line in (tmp_path / "out").read_text().splitlines()]
    assert told == ["SET_VRING_CALL"] * 4
