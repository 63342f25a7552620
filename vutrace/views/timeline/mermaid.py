"""The timeline as a Mermaid sequence diagram: session after session, loops as loops.

What is sent once per device stands in a red rectangle. A reply is drawn where a request always has one.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

from vutrace.outgoing import printable
from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES
from vutrace.protocol.spec import ReplyRule
from vutrace.records import connection_letter
from vutrace.session.model import Loop, Part, PhaseSpan, SessionTimeline, Step, Timeline
from vutrace.views.timeline.formats import DrawingOptions
from vutrace.views.timeline.loops import chunks, group_alike, longest, units

RED = "rect rgb(255, 205, 205)"
ANSWERED = frozenset(spec.name for spec in FRONTEND_MESSAGES.values() if spec.rule is ReplyRule.ALWAYS)
# What Mermaid would read as its own: ; ends a statement, # begins an entity, and so on.
PLAIN = {ord(character): " " for character in ';#<>{}":\r\n'}


def render(timeline: Timeline, _options: DrawingOptions) -> Iterator[str]:
    """Mermaid's own text, a line with its newline at a time."""
    yield "sequenceDiagram\n    participant F as front-end\n    participant B as back-end\n"
    for connection in timeline.connections:
        for session in connection.sessions:
            title = f"connection {connection_letter(connection.number)}, session {session.number}"
            yield f"    Note over F,B: {title}, {plain(session.device)}\n"
            yield from (line + "\n" for line in diagram(session))


def diagram(session: SessionTimeline) -> Iterator[str]:
    """One session's phases."""
    for i, phase in enumerate(session.phases):
        if session.phases_omitted and i == session.phases_cut:
            yield f"    Note over F,B: … {session.phases_omitted} phases are not drawn"
        yield f"    Note over F,B: {phase.phase} {span(phase)}"
        yield from indent(chain.from_iterable(map(part_lines, phase.parts)))


def span(phase: PhaseSpan) -> str:
    """The rows of a phase."""
    return "(no messages)" if phase.first is None else f"(rows {phase.first}–{phase.last})"


def part_lines(part: Part) -> Iterator[str]:
    """A part: messages, or a loop."""
    if not isinstance(part, Loop):
        yield from steps(part.steps)
        return
    for iterations in group_alike(part):
        body = iteration_lines(longest(iterations).steps)
        turns = len(iterations) * part.repeats
        if turns == 1:
            yield f"Note right of F: {units(iterations)}"
            yield from body
        else:
            yield from block(f"loop {turns} × {units(iterations)}", body)


def iteration_lines(turn: Iterable[Step]) -> Iterator[str]:
    """A turn, with its inner loop over rings."""
    for times, group in chunks(list(turn)):
        if times == 1:
            yield from steps(group)
        else:
            yield from block(f"loop {times} rings", steps(group))


def steps(group: Iterable[Step]) -> Iterator[str]:
    """Messages one by one."""
    for step in group:
        lines = message(step)
        yield from block(RED, lines) if step.once else lines


def message(step: Step) -> Iterator[str]:
    """A request, and its reply where it has one."""
    value = "" if step.value is None else f" {step.value}"
    times = "" if step.count == 1 else f" × {step.count}"
    yield f"F->>B: {plain(step.name)}{value}{times}"
    if step.name in ANSWERED:
        yield f"B-->>F: {plain(step.name)}"


def block(opening: str, body: Iterable[str]) -> Iterator[str]:
    """A body within something that ends."""
    yield opening
    yield from indent(body)
    yield "end"


def indent(lines: Iterable[str]) -> Iterator[str]:
    return (f"    {line}" for line in lines)


def plain(text: str) -> str:
    """Text that is nothing but text to Mermaid."""
    return printable(text.translate(PLAIN))
