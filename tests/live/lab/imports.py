"""What the programs themselves log, imported, against what vutrace recorded of the same run."""

import subprocess
from pathlib import Path

from lab.process import Lab
from lab.proxy import VUTRACE


def check_import(lab: Lab, source: str, log: Path, capture: Path) -> None:
    """Import a log; `diff` finds no difference in what both know."""
    made = lab.path(f"from-{source}.pcapng")
    for words in (["import", "--from", source, log, "-w", made], ["diff", capture, made]):
        ran = subprocess.run([VUTRACE, *words], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "no difference" in ran.stdout
