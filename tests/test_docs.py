"""The documentation builds, its links lead somewhere, and what it names exists."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from vutrace.cli import app
from vutrace.dissection.registry import load
from vutrace.rules.catalogue import rules

ROOT = Path(__file__).parent.parent
PAGES = sorted([*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")])
RULES = rules(load().devices)
GROUPS = {name.partition(".")[0] for name in RULES}
COMMANDS = get_command(app).commands  # type: ignore[attr-defined]
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
RULE = re.compile(r"`([a-z]+)(\.[a-z0-9]+(?:-[a-z0-9]+)+)`")
VERB = re.compile(r"`vutrace ([a-z]+)")
OPTION = re.compile(r"`vutrace ([a-z]+)[^`]*? (--[a-z-]+)")


def test_the_site_builds_and_every_link_of_it_leads_somewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    for page in (ROOT / "docs").glob("*.md"):
        assert (tmp_path / ("" if page.stem == "index" else page.stem) / "index.html").exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    targets = LINK.findall(FENCED.sub("", page.read_text()))
    assert [each for each in targets if ":" not in each and not (page.parent / each).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_rules_and_verbs_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    named = {group + rest for group, rest in RULE.findall(text) if group in GROUPS}
    assert named - set(RULES) == set()
    assert set(VERB.findall(text)) - set(COMMANDS) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_that_are_named_exist(page: Path) -> None:
    for verb, option in OPTION.findall(page.read_text()):
        groups = [COMMANDS[verb], *getattr(COMMANDS[verb], "commands", {}).values()]
        known = {
            name
            for command in groups
            for each in command.params
            for name in (*each.opts, *each.secondary_opts)
        }
        assert option in known | {"--help"}, f"vutrace {verb} {option}"


def test_every_page_is_on_the_site() -> None:
    nav = (ROOT / "mkdocs.yml").read_text()
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f": {page.name}" not in nav] == []
