"""Manual pages say what --help says; completion works in the shells."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from vutrace.cli import app
from vutrace.cli.manual import body, escaped, pages

MAN = Path(__file__).parent.parent / "man"
PROGRAM = Path(sys.executable).with_name("vutrace")


@pytest.fixture(scope="session")
def generated() -> dict[str, str]:
    return dict(pages(get_command(app)))


def test_the_manual_pages_are_those_of_the_program(
    generated: dict[str, str], request: pytest.FixtureRequest
) -> None:
    if request.config.getoption("--update-golden"):
        for old in MAN.glob("*.1"):
            old.unlink()
        for name, text in generated.items():
            (MAN / name).write_text(text)
    assert {path.name: path.read_text() for path in MAN.glob("*.1")} == generated  # else --update-golden


def test_every_verb_has_a_page_and_every_option_is_in_it(generated: dict[str, str]) -> None:
    for verb, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        page = generated[f"vutrace-{verb}.1"]
        for option in (
            each for each in command.params if each.param_type_name == "option" and not each.hidden
        ):
            assert escaped(option.opts[0]) in page


def test_the_pages_are_installed_with_the_package() -> None:
    assert (Path(sys.prefix) / "share/man/man1/vutrace-show.1").exists()


def test_nothing_in_a_text_is_taken_for_a_request() -> None:
    assert (
        body(".sp is no request\n\n\b\n'nor -this\\")
        == "\\&.sp is no request\n.PP\n.nf\n\\&'nor \\-this\\e\n.fi"
    )


def help_of(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("verb", [["show"], ["list", "messages"]])
def test_help_with_a_verb_is_the_verbs_help(verb: list[str]) -> None:
    assert help_of("help", *verb).stdout == help_of(*verb, "--help").stdout


def test_help_with_an_unknown_verb_is_one_line() -> None:
    ran = help_of("help", "nix")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "vutrace: there is no verb 'nix'; vutrace --help lists them all\n"


BASH = """
eval "$(vutrace --show-completion bash)"
COMP_WORDS=(vutrace timel); COMP_CWORD=1; _vutrace_completion vutrace; echo "${COMPREPLY[@]}"
"""
ZSH = """
autoload -Uz compinit; compinit -u -D; eval "$(vutrace --show-completion zsh)"
print ${_comps[vutrace]}; _TYPER_COMPLETE_ARGS='vutrace timel' _VUTRACE_COMPLETE=complete_zsh vutrace
"""
FISH = "vutrace --show-completion fish | source; complete -C 'vutrace timel'"


@pytest.mark.parametrize(("shell", "script"), [("bash", BASH), ("zsh", ZSH), ("fish", FISH)])
def test_a_verb_is_completed(shell: str, script: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed (make test, as root on Debian, installs it)")
    environment = {**os.environ, "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    ran = subprocess.run([shell, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert "timeline" in ran.stdout
