"""Coverage as one web page without anything from outside."""

from collections.abc import Iterator, Sequence
from html import escape

from vutrace.outgoing import printable
from vutrace.views.coverage.counting import CoveredSection

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em; }
summary { cursor: pointer; padding: .3em 0; }
summary b { display: inline-block; min-width: 18em; font-weight: 600; }
meter { width: 12em; vertical-align: middle; }
ul { columns: 22em; margin: .3em 0 1em; padding-left: 1.2em; list-style: none; }
li.seen::before { content: "\\2713  "; color: #17703b; }
li.missing { opacity: .75; }
li.missing::before { content: "\\2013  "; color: #b3261e; }
small { opacity: .7; }
@media (prefers-color-scheme: dark) { body { background: #15181c; color: #e6e6e6; } }
"""


def page(files: Sequence[str], sessions: int, sections: Sequence[CoveredSection]) -> Iterator[str]:
    """The page, in pieces."""
    made = f"{sessions} session{'s' * (sessions != 1)} in {', '.join(map(text, files))}"
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>vhost-user coverage</title>'
    yield f"<style>{STYLE}</style></head><body>\n<h1>vhost-user coverage</h1>\n<p>{made}</p>\n"
    for section in sections:
        yield from details(section)
    yield "</body></html>\n"


def details(section: CoveredSection) -> Iterator[str]:
    """A section that can be opened."""
    seen, there = len(section.seen), len(section.counts)
    meter = f'<meter min="0" max="{max(there, 1)}" value="{seen}"></meter>'
    yield f"<details><summary><b>{text(section.name)}</b> {meter} {seen} of {there}</summary>\n<ul>\n"
    for name, count in section.counts.items():
        sort, times = ("seen", f" <small>{count}</small>") if count else ("missing", "")
        yield f'<li class="{sort}">{text(name)}{times}</li>\n'
    yield "</ul></details>\n"


def text(value: str) -> str:
    """A name in a page."""
    return escape(printable(value))
