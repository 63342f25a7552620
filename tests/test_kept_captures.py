"""The captures in captures/ are all described in the manifest, read to their end, and hold what it says."""

import json
from pathlib import Path
from typing import Any

import pytest

from vutrace.capture import read
from vutrace.records import Channel, Frame, FrameFlag

DIRECTORY = Path(__file__).parents[1] / "captures"
MANIFEST: dict[str, dict[str, Any]] = json.loads((DIRECTORY / "manifest.json").read_text())


def test_the_manifest_describes_every_capture() -> None:
    assert {path.stem for path in DIRECTORY.glob("*.pcapng")} == set(MANIFEST)


@pytest.mark.parametrize("name", MANIFEST)
def test_a_kept_capture_holds_what_the_manifest_says(name: str) -> None:
    capture = read(DIRECTORY / f"{name}.pcapng")
    frames = [item for item in capture if isinstance(item, Frame)]
    main = [frame for frame in frames if frame.channel is Channel.MAIN]
    assert not capture.cut
    assert capture.skipped == 0
    assert len(main) == MANIFEST[name]["messages"]
    # of what was drawn only the beginning is recorded
    whole = [frame for frame in frames if frame.channel is not Channel.GPU]
    assert all(frame.flags is FrameFlag.NONE for frame in whole)


def test_no_capture_or_description_tells_of_the_machine_that_made_it() -> None:
    for path in DIRECTORY.iterdir():
        content = path.read_bytes()
        assert b"/root/" not in content, path
        assert b"/home/" not in content, path
