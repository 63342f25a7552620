"""The captures that the live tests leave in captures/, and the manifest that says what made each."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.messages import captured
from lab.process import Lab

DIRECTORY = Path(__file__).parents[3] / "captures"
MANIFEST = DIRECTORY / "manifest.json"


@dataclass(frozen=True)
class Keeper:
    """Copies a capture of `test` into captures/ and describes it, if `update` is asked for."""

    lab: Lab
    test: str
    update: bool

    def __call__(self, capture: Path, name: str, shows: str, packages: list[str]) -> None:
        """Keep `capture` as NAME.pcapng; `packages` are the Debian packages that took part."""
        if not self.update:
            return
        shutil.copyfile(capture, DIRECTORY / f"{name}.pcapng")
        entries = manifest()
        entries[name] = {
            "shows": shows,
            "test": self.test,
            "versions": {package: version(package) for package in packages},
            "commands": [" ".join(program.argv) for program in self.lab.programs],
            "messages": len(captured(capture)),
        }
        MANIFEST.write_text(json.dumps(dict(sorted(entries.items())), indent=2) + "\n")


def manifest() -> dict[str, Any]:
    """Per capture, what it is."""
    entries: dict[str, Any] = json.loads(MANIFEST.read_text()) if MANIFEST.exists() else {}
    return entries


def version(package: str) -> str:
    """The version of an installed Debian package."""
    command = ["dpkg-query", "-W", "-f", "${Version}", package]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
