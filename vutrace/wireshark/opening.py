"""A capture opened in Wireshark by one command."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from vutrace.capture.temporary import temporary
from vutrace.dissection.registry import Registry
from vutrace.wireshark.display_filter import plugin_file
from vutrace.wireshark.findings import with_findings
from vutrace.wireshark.tshark import ToolMissingError

MISSING = "wireshark is not installed; on Debian and Ubuntu: apt-get install wireshark"


def open_in_wireshark(capture: str, more: Sequence[str], registry: Registry, device: str) -> int:
    """Run Wireshark on a copy that has the findings in it, and wait for its end; its exit status.

    `more` are further words of its command line. ToolMissingError, CaptureError, OSError.
    """
    program = shutil.which("wireshark")
    if program is None:
        raise ToolMissingError(MISSING)
    with plugin_file(registry) as script:
        copy = script.with_name(Path(capture).name)
        with temporary(), copy.open("wb") as file:
            file.writelines(with_findings(capture, registry, device))
        return subprocess.run([program, "-X", f"lua_script:{script}", "-r", str(copy), *more]).returncode
