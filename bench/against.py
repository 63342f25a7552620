"""What reading a capture costs at another revision and in the working tree, measured in turns.

    python bench/against.py REVISION [--messages N] [--rounds N] [--capture FILE] [--no-tshark]

Both are installed into environments of their own, which stay in ~/.cache/vutrace-bench. Processor time is
that of the process less that for a single record, of the rounds the least; memory is the peak. The capture
repeats a real one, each time as a new session with eventfds of its own. What the plug-in costs is
tshark's time with it less that without.
"""

import argparse
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import product
from pathlib import Path

from tabulate import tabulate

from captures import SOURCE, repeat
from vutrace.capture import read
from vutrace.records import Connection
from vutrace.wireshark.tshark import command

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vutrace-bench"
VERBS = ["show --json", "show", "timeline", "timeline --format json", "queues"]
PLUGIN, PLAIN = "tshark, plug-in", "tshark alone"
FIELDS = ["-T", "fields", "-e", "frame.number", "-e", "_ws.col.Info"]


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one process: seconds of processor time, and peak memory in KiB."""

    seconds: float
    peak: int


Command = Sequence[str | Path]
CommandOf = Callable[[Path], Command]  # of a capture
Commands = Mapping[str, CommandOf]  # by the name of what is measured
Costs = dict[tuple[str, str], Cost]  # name of what is measured, name of the side


def main() -> None:
    """Install both, measure in turns, print the ratios."""
    asked = arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sides = {asked.revision: install_revision(asked.revision, folder), "now": install_tree()}
        capture = asked.capture or repeat(SOURCE, folder / "long.pcapng", asked.messages)
        short = repeat(SOURCE, folder / "short.pcapng", 1)
        records = sum(not isinstance(item, Connection) for item in read(capture))
        commands = {side: commands_of(place, folder, asked.tshark) for side, place in sides.items()}
        start = measure(commands, short, asked.rounds)
        costs = measure(commands, capture, asked.rounds)
    print(f"{records} records, the least of {asked.rounds} rounds\n")
    print(time_table(list(sides), costs, start, records), memory_table(list(sides), costs), sep="\n\n")


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("revision", help="what the working tree is held against")
    options.add_argument("--messages", type=int, default=50_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--capture", type=Path, help="measure this one")
    options.add_argument("--no-tshark", dest="tshark", action="store_false")
    asked = options.parse_args()
    if asked.tshark and not shutil.which("tshark"):
        print("tshark is not installed: what the plug-in costs is not measured", file=sys.stderr)
        asked.tshark = False
    return asked


def install_revision(revision: str, folder: Path) -> Path:
    """An environment with that revision in it, made once for each commit."""
    words = ["git", "-C", str(ROOT), "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    if found.returncode:
        sys.exit(f"{revision}: git knows no such revision here")
    commit = found.stdout.strip()
    place = CACHE / commit
    if not (place / "installed").exists():
        source = folder / commit
        archive = subprocess.run(["git", "-C", str(ROOT), "archive", commit], capture_output=True, check=True)
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            tar.extractall(source, filter="data")
        install(place, source)
    return place


def install_tree() -> Path:
    """An environment with the working tree as it is now in it, one for each checkout."""
    return install(CACHE / f"tree-{sha256(bytes(ROOT)).hexdigest()[:12]}", ROOT)


def install(place: Path, source: Path) -> Path:
    """`source` with what it needs; only itself where that is installed."""
    installed = place / "installed"
    if not installed.exists():
        venv.create(place, clear=True, with_pip=True)
    words: list[str | Path] = [
        place / "bin" / "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        source,
    ]
    subprocess.run([*words, *["--no-deps"] * installed.exists()], check=True)
    installed.touch()
    return place


def commands_of(place: Path, folder: Path, tshark: bool) -> Commands:
    """What is measured of one environment."""
    vutrace = place / "bin" / "vutrace"
    commands: dict[str, Callable[[Path], Command]] = {
        verb: partial(command_of, vutrace, verb) for verb in VERBS
    }
    if tshark:
        script = folder / f"{place.name}.lua"
        script.write_bytes(
            subprocess.run([vutrace, "wireshark", "lua"], capture_output=True, check=True).stdout
        )
        commands[PLUGIN] = lambda capture: [*tshark_of(capture), "-X", f"lua_script:{script}"]
        commands[PLAIN] = tshark_of
    return commands


def command_of(vutrace: Path, verb: str, capture: Path) -> Command:
    """vutrace itself."""
    return [vutrace, *verb.split(), capture]


def tshark_of(capture: Path) -> Command:
    """tshark, without a plug-in that this user has installed."""
    return ["env", f"HOME={CACHE}", f"XDG_CONFIG_HOME={CACHE}", *command(), "-n", "-r", capture, *FIELDS]


def measure(commands: Mapping[str, Commands], capture: Path, rounds: int) -> Costs:
    """The least of each; in every round both sides do one thing after the other."""
    costs: Costs = {}
    names = next(iter(commands.values()))
    for _, name, side in product(range(rounds), names, commands):
        cost = run(commands[side][name](capture))
        known = costs.get((name, side), cost)
        costs[name, side] = Cost(min(known.seconds, cost.seconds), min(known.peak, cost.peak))
    return costs


def run(command: Command) -> Cost:
    """One process, its output thrown away."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit status {process.returncode}")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss)


def time_table(sides: Sequence[str], costs: Costs, start: Costs, records: int) -> str:
    """Microseconds a record, and how long it takes to begin."""
    times = {key: (costs[key].seconds - start[key].seconds) / records * 1e6 for key in costs}
    if (PLUGIN, sides[0]) in times:
        for side in sides:
            times["the plug-in's own", side] = times[PLUGIN, side] - times[PLAIN, side]
    times |= {
        (f"start of {verb}, ms", side): start[verb, side].seconds * 1e3
        for verb in VERBS[:1]
        for side in sides
    }
    return table("µs of processor a record", sides, times)


def memory_table(sides: Sequence[str], costs: Costs) -> str:
    """Peak memory of vutrace's own."""
    return table("MiB at the peak", sides, {key: costs[key].peak / 1024 for key in costs if key[0] in VERBS})


def table(title: str, sides: Sequence[str], values: Mapping[tuple[str, str], float]) -> str:
    """A line for each thing measured, with the ratio of the two sides."""
    before, now = sides
    names = dict.fromkeys(name for name, _ in values)
    rows = [
        (name, values[name, before], values[name, now], values[name, now] / values[name, before])
        for name in names
    ]
    return tabulate(rows, (title, before, now, "ratio"), floatfmt=("", ".1f", ".1f", ".2f"))


if __name__ == "__main__":
    main()
