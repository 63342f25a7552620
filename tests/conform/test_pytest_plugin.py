"""The pytest plug-in: the example passes, and a failed test keeps its capture and shows its timeline."""

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vutrace.pytest_plugin.trace import Trace

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "pytest"
CI = EXAMPLE.parent / "ci"

MODEL = """
import threading

from vutrace.peers import PROFILES, FrontEnd


def connect(path):
    with FrontEnd(PROFILES["qemu-7.2"], 1) as frontend:
        frontend.connect(path)
        frontend.write_features()
        frontend.start()


def test_front_end(vhost, golden):
    backend = vhost.backend()
    connect(backend.socket)
    assert backend.trace.negotiated("MRG_RXBUF")
    assert backend.trace == golden("start.pcapng")


def test_that_fails(vhost):
    backend = vhost.backend()
    connect(backend.socket)
    assert backend.trace.negotiated("CONFIG")
"""


def run(directory: Path, *arguments: str, status: int = 0) -> str:
    """pytest in a directory of its own."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(directory)]
    command += ["-c", "/dev/null", *arguments, str(directory)]
    # The tests have a home of their own; a Rust compiler that rustup manages is in the user's.
    rustup = Path(pwd.getpwuid(os.getuid()).pw_dir) / ".rustup"
    environment = {"RUSTUP_HOME": str(rustup), **os.environ}
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, cwd=directory, env=environment
    )
    assert ran.returncode == status, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.skipif(shutil.which("cc") is None, reason="cc is not installed")
def test_the_example_of_the_manual_passes(tmp_path: Path) -> None:
    for path in EXAMPLE.iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path)
    shutil.copytree(EXAMPLE / "golden", tmp_path / "golden")
    assert "passed" in run(tmp_path, "-q", "-n", "2")


@pytest.mark.skipif(shutil.which("cc") is None, reason="cc is not installed")
def test_the_script_for_ci_runs_the_suite_and_the_tests(tmp_path: Path) -> None:
    subprocess.run(["cc", "-O2", "-o", tmp_path / "rng", EXAMPLE / "rng.c"], check=True)
    command = ["sh", CI / "vhost-user.sh", "./rng {socket}", "--device", "rng", "--only", "split"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ran = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PATH": path}, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "conform.xml: 12 cases, 0 failures" in ran.stdout
    assert (tmp_path / "tests.xml").exists()
    assert list((tmp_path / "captures").glob("*.pcapng"))
    (tmp_path / "test_wrong.py").write_text("def test_wrong(): assert False")
    assert (
        subprocess.run(command, cwd=tmp_path, env={**os.environ, "PATH": path}, check=False).returncode == 1
    )


def test_the_files_for_ci_run_the_script() -> None:
    for name in ("github.yml", "gitlab.yml"):
        assert "sh vhost-user.sh './my-backend --socket {socket}'" in (CI / name).read_text()


def test_a_failed_test_keeps_its_capture_and_shows_its_timeline(tmp_path: Path) -> None:
    (tmp_path / "test_model.py").write_text(MODEL)
    printed = run(tmp_path, "-k", "that_fails", "-n", "1", status=1)
    assert "kept as" in printed
    assert "SET_VRING_KICK" in printed  # of the last rows
    assert "init" in printed  # of the timeline
    kept = list((tmp_path / "vutrace-captures").glob("*that_fails*.pcapng"))
    assert "SET_MEM_TABLE" in Trace(kept[0]).messages


def test_a_golden_capture_of_another_session_is_different_in_words(tmp_path: Path) -> None:
    (tmp_path / "test_model.py").write_text(MODEL)
    run(tmp_path, "-k", "front_end", "--update-golden")
    run(tmp_path, "-k", "front_end")
    (tmp_path / "test_model.py").write_text(MODEL.replace('"qemu-7.2"', '"qemu-2.10"'))
    printed = run(tmp_path, "-k", "front_end", "-vv", status=1)
    assert "only in A" in printed
    assert "pytest --update-golden" in printed
