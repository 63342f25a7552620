"""The captures that the live tests leave in captures/, and the manifest that says what made each."""

import json
import re
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab.messages import captured
from lab.process import Lab
from lab.proxy import VUTRACE
from vutrace.capture import Item, Writer, read
from vutrace.records import Event

CHECKOUT = Path(__file__).parents[3]
DIRECTORY = CHECKOUT / "captures"
MANIFEST = DIRECTORY / "manifest.json"


@dataclass(frozen=True)
class Keeper:
    """Copies a capture of `test` into captures/ and describes it, if `update` is asked for."""

    lab: Lab
    test: str
    update: bool

    def __call__(self, capture: Path, name: str, shows: str, packages: list[str], **versions: str) -> None:
        """Keep `capture` as NAME.pcapng; `packages` took part, and programs of these other `versions`."""
        if not self.update:
            return
        items = [anonymous(item) for item in read(capture)]
        with Writer(DIRECTORY / f"{name}.pcapng") as writer:
            for item in items:
                writer.write(item)
        entries = manifest()
        entries[name] = {
            "shows": shows,
            "test": self.test,
            "versions": {package: version(package) for package in packages} | versions,
            "commands": [plain(program.argv) for program in self.lab.programs],
            "messages": len(captured(capture)),
        }
        MANIFEST.write_text(json.dumps(dict(sorted(entries.items())), indent=2) + "\n")


def anonymous(item: Item) -> Item:
    """A record without this checkout's place in the peers' command lines."""
    if not isinstance(item, Event):
        return item
    facts = {name: text.replace(f"{CHECKOUT}/", "") for name, text in item.attributes.items()}
    return replace(item, attributes=facts)


def manifest() -> dict[str, Any]:
    """Per capture, what it is."""
    entries: dict[str, Any] = json.loads(MANIFEST.read_text()) if MANIFEST.exists() else {}
    return entries


def plain(argv: list[str]) -> str:
    """A command line without the directories that exist only during a run."""
    run = re.escape(tempfile.gettempdir()) + r"/vutrace-(lab|guest)-\w+/"
    kept = "|".join(re.escape(f"{place}/") for place in (VUTRACE.parent, CHECKOUT))
    return re.sub(f"{run}|{kept}", "", " ".join(argv))


def version(package: str) -> str:
    """The version of an installed Debian package."""
    command = ["dpkg-query", "-W", "-f", "${Version}", package]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
