"""Debian packages unpacked into a cache: used without being installed. Standard library only."""

import gzip
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path


def cache() -> Path:
    """Where the lab keeps what it downloads."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vutrace-lab"


def other_suites(name: str, *suites: str) -> tuple[str, ...]:
    """Options with which apt-get knows only these suites; the system's own apt is not told of them.

    Their package lists are kept in the cache under `name`.
    """
    lists, source = cache() / f"{name}.lists", cache() / f"{name}.list"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    source.write_text("".join(f"deb {mirror()} {suite} main\n" for suite in suites))
    options = (
        "-oAPT::Sandbox::User=root",
        f"-oDir::Etc::SourceList={source}",
        "-oDir::Etc::SourceParts=/dev/null",
        f"-oDir::State::Lists={lists}",
    )
    subprocess.run(["apt-get", "update", "-qq", *options], check=True)
    return options


def mirror() -> str:
    """Where this machine gets Debian 12 from."""
    query = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Codename: bookworm"]
    answer = subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()
    if not answer:
        raise LookupError("this is not Debian 12, or apt has no lists yet")
    return answer[0]


def unpack(tree: str, packages: list[str], options: tuple[str, ...] = ()) -> Path:
    """Download and unpack `packages` together as `tree` in the cache; needs apt's lists, but not root."""
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache()) as scratch:
        # apt's own user may not write here: without the sandbox option it warns that it works as root
        command = ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", *options, *packages]
        subprocess.run(command, cwd=scratch, check=True)
        return unpack_files(tree, list(Path(scratch).glob("*.deb")))


def unpack_files(tree: str, archives: list[Path]) -> Path:
    """Unpack package files together as `tree` in the cache."""
    with tempfile.TemporaryDirectory(dir=cache()) as scratch:
        for archive in archives:
            subprocess.run(["dpkg", "-x", archive, Path(scratch) / "tree"], check=True)
        # a rename at the end, so that a broken download is never taken for a whole one
        return (Path(scratch) / "tree").rename(cache() / tree)


def unpack_closure(
    tree: str, packages: list[str], options: tuple[str, ...], is_used: Callable[[str], bool]
) -> Path:
    """Unpack packages with all that they depend on, as if nothing were installed; `is_used` picks files."""
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache()) as scratch:
        (Path(scratch) / "partial").mkdir()
        (Path(scratch) / "status").touch()
        own = (f"-oDir::State::status={scratch}/status", f"-oDir::Cache::archives={scratch}")
        command = ["apt-get", "-qq", "-y", "--no-install-recommends", "--download-only", *options, *own]
        subprocess.run([*command, "install", *packages], check=True)
        return unpack_files(tree, [path for path in Path(scratch).glob("*.deb") if is_used(path.name)])


def package_version(tree: Path, package: str) -> str:
    """The version of a package that was unpacked into `tree`."""
    changes = gzip.decompress((tree / "usr/share/doc" / package / "changelog.Debian.gz").read_bytes())
    return changes.split(b"(")[1].split(b")")[0].decode()
