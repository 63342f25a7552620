"""Temporary files where there is no room for them, or no place."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from kit.wireshark_json import needs_tshark

from vutrace.capture.temporary import PLACES, nameless, temporary

CAPTURE = Path(__file__).parent.parent / "captures" / "qemu-7.2-testpmd.pcapng"
VUTRACE = [sys.executable, "-m", "vutrace"]
SMALL = 4  # KiB that a file may have
TOLD = "; TMPDIR can name another place for temporary files\n"


def without_room(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a verb whose files may not grow, the capture on its stdin."""
    limit = f"ulimit -f {SMALL}; trap '' XFSZ; exec \"$@\""
    with CAPTURE.open("rb") as stream:
        command = ["bash", "-c", limit, "bash", *VUTRACE, *map(str, words)]
        return subprocess.run(command, stdin=stream, capture_output=True, text=True)


@needs_tshark
def test_a_filter_says_that_there_is_no_room_for_temporary_files(tmp_path: Path) -> None:
    ran = without_room("show", CAPTURE, "-Y", "vhost_user")
    assert ran.returncode == 3
    assert ran.stderr.startswith("vutrace: /")
    assert ran.stderr.endswith(f": File too large{TOLD}")


@pytest.mark.parametrize("verb", [["timeline", "--format", "html"], ["timeline", "--format", "perfetto"]])
def test_what_reads_stdin_twice_says_that_there_is_no_room_for_it(verb: list[str]) -> None:
    ran = without_room(*verb, "-")
    assert ran.returncode == 3
    assert ran.stderr.endswith(f": File too large{TOLD}")


def test_the_relay_takes_the_next_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/nowhere/at/all")
    os.close(nameless())


def test_the_relay_names_the_first_place_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/nowhere/at/all")
    monkeypatch.setattr("vutrace.capture.temporary.PLACES", ("/proc",))
    with pytest.raises(FileNotFoundError, match="TMPDIR can name") as caught:
        nameless()
    assert caught.value.filename == "/nowhere/at/all"
    assert PLACES[0] == "/tmp"


def test_an_error_that_names_its_file_stays_as_it_is() -> None:
    with pytest.raises(FileNotFoundError) as caught, temporary():
        Path("/nowhere/at/all").read_text()
    assert caught.value.filename == "/nowhere/at/all"
