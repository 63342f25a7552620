"""The verdict in words: sentences that a tired person can act on, the one that matters first."""

from collections.abc import Iterator

from vutrace.dissection.message import Message
from vutrace.problems import Severity
from vutrace.protocol.bits import VIRTIO_FEATURES, bit
from vutrace.records import Event, Side
from vutrace.rules.fate import fate_words
from vutrace.rules.progress import WORDS, Progress
from vutrace.rules.verdict import OwedReply, VerdictBuilder, first_wrong
from vutrace.session.row import Row

RING_PACKED = bit("VIRTIO_F_RING_PACKED", VIRTIO_FEATURES)
OWING_NAMED = 3
RULES_NAMED = 3


def paragraph(history: VerdictBuilder, owing: tuple[OwedReply, ...]) -> str:
    """All that there is to say of a session."""
    return " ".join(capital(sentence) + "." for sentence in sentences(history, owing))


def capital(sentence: str) -> str:
    """A sentence's begin; vutrace is written small."""
    return sentence if sentence.startswith("vutrace") else sentence[:1].upper() + sentence[1:]


def sentences(history: VerdictBuilder, owing: tuple[OwedReply, ...]) -> Iterator[str]:
    """One after the other."""
    yield ending(history)
    yield from not_recorded(history)
    yield from came_back(history)
    yield from debts(history, owing)
    yield from last_words(history)
    yield from cause(history)
    yield from rules_acted(history)
    yield from not_again(history)


def not_recorded(history: VerdictBuilder) -> Iterator[str]:
    """That some of it is missing, so that it may have been otherwise."""
    if history.missing:
        were = "message was" if history.missing == 1 else "messages were"
        since = f"not recorded, from [{history.gap_row}] on"
        yield f"{history.missing:,} {were} {since}: it may have been otherwise"


def rules_acted(history: VerdictBuilder) -> Iterator[str]:
    """What vutrace's own rules did: what went wrong may be their doing."""
    if history.acted:
        named = ", ".join(f"'{rule}'" for rule in list(history.acted)[:RULES_NAMED])
        more = len(history.acted) - RULES_NAMED
        others = f" and {more} more" if more > 0 else ""
        count = sum(history.acted.values())
        yield f"vutrace acted on {count} message{'' if count == 1 else 's'}, by the rules {named}{others}"


def ending(history: VerdictBuilder) -> str:
    """What ended it, and how far it had got."""
    if history.unreached:
        return never_opened(history)
    if history.untold:
        return "how far it got is not known: the source does not tell which rings were started and enabled"
    if history.close is None:
        return f"{'how it ended is not known' if history.no_end else 'still open'}: {standing(history)}"
    if cut := rule_that_cut(history):
        return f"{cut}: {standing(history)}"
    if history.ended_by == "vutrace":
        return f"vutrace stopped: {standing(history)}"
    side, event = Side(history.ended_by), history.close.what
    assert isinstance(event, Event)
    if history.running_at_end:
        how = fate_words(event, side) or maybe_died(side)
        return f"{who(history, side)} {how} while {rings(history.running_at_end)} ran"
    if history.orderly:
        return f"orderly: {who(history, side)} {parting(history)}"
    how = fate_words(event, side) or "left"
    return f"{who(history, side)} {how}: {not_past(history)}"


def rule_that_cut(history: VerdictBuilder) -> str:
    """What a rule of vutrace's did that ended it, or ""."""
    event = history.close.what if history.close else None
    told = event.attributes if isinstance(event, Event) else {}
    if "rule" not in told:
        return ""
    return f"the rule '{told['rule']}' closed the connection to the {Side(told['cut']).words}"


def maybe_died(side: Side) -> str:
    """What a back-end that leaves rings running mostly did."""
    return (
        "closed the connection (it died, or was stopped)" if side is Side.BACKEND else "closed the connection"
    )


def parting(history: VerdictBuilder) -> str:
    """What was left behind in order."""
    if history.ran:
        return f"left after {rings(history.ran)} had run and {'was' if history.ran == 1 else 'were'} stopped"
    return f"left; {WORDS[Progress.READY]}"


def not_past(history: VerdictBuilder) -> str:
    """How far it never got, and past which message."""
    previous = history.sent.get(Side.FRONTEND)
    past = f"never got past {name_of(previous)}: " if previous else ""
    return f"{past}{WORDS[history.got_to]}"


def standing(history: VerdictBuilder) -> str:
    """How a session stands that nobody ended."""
    running, known = len(history.state.rings.running), len(history.state.rings.by_index)
    if running:
        of = rings(running) if running == known else f"{running} of {rings(known)}"
        return f"{of} {'runs' if running == 1 else 'run'}"
    if history.ran:
        return f"{rings(history.ran)} ran and stopped"
    return not_past(history) if history.got_to is not Progress.READY else WORDS[Progress.READY]


def never_opened(history: VerdictBuilder) -> str:
    """Nobody was there."""
    assert history.miss
    return f"no session: {history.miss.text}{tries(history)}"


def passed_words(nanoseconds: int) -> str:
    """A length of time; one that is no tenth of a second in milliseconds."""
    tenth = nanoseconds >= 100_000_000
    return f"{nanoseconds / 1e9:.1f} s" if tenth else f"{nanoseconds / 1e6:.3g} ms"


def tries(history: VerdictBuilder) -> str:
    """How often a side was looked for in vain."""
    passed = passed_words(history.last_ns - history.first_ns)
    return f", {history.misses:,} tries in {passed}" if history.misses > 1 else ""


def came_back(history: VerdictBuilder) -> Iterator[str]:
    """What came before, for a session that takes up the rings of one that was lost."""
    if not history.lost_session or not history.resumed:
        return
    passed = passed_words(history.first_ns - history.lost_ns)
    index, base = next(iter(sorted(history.resumed.items())))
    packed = history.state.context.has_feature(RING_PACKED)
    place = base & 0x7FFF if packed else base
    of = f"ring {index} resumes at avail {place}"
    yield f"it came {passed} after session {history.lost_session} was lost, and {of}"


def debts(history: VerdictBuilder, owing: tuple[OwedReply, ...]) -> Iterator[str]:
    """Who owes what to whom, and since when."""
    if not owing:
        if history.close is not None and not (history.orderly or history.unreached or history.missing):
            yield "nobody owed anybody a reply"
        return
    owes = "owed" if history.close else "owes"
    for each in owing[:OWING_NAMED]:
        since = f"{'for' if history.close else 'since'} {passed_words(each.since_ns)}"
        if each.dropped:
            reply = f"the reply to {each.name} [{each.row}]"
            yield f"{reply} never came: a rule of vutrace's dropped {each.dropped}"
            continue
        reply = f"the reply to {each.name} [{each.row}] {since}{doing(history, each)}"
        yield f"{who(history, each.debtor)} {owes} {reply}"
    if len(owing) > OWING_NAMED:
        were = "were" if history.close else "are"
        yield f"{len(owing) - OWING_NAMED} more replies {were} owed"


def doing(history: VerdictBuilder, owed: OwedReply) -> str:
    """What the debtor's process did when it was looked at the last time."""
    event = history.close.what if history.close else None
    told = event.attributes.get(f"{owed.debtor}_process", "") if isinstance(event, Event) else ""
    if told == "stopped":
        return "; its process was stopped"
    stall = history.stall
    if stall and stall.attributes.get("request") == owed.name and "process" in stall.attributes:
        return f"; its process {stall.attributes['process']}"
    return ""


def last_words(history: VerdictBuilder) -> Iterator[str]:
    """What the ending side had received and sent last, where the end is not as it should be."""
    if history.orderly or history.ended_by not in list(Side):
        return
    side = Side(history.ended_by)
    received, sent = history.sent.get(side.peer), history.sent.get(side)
    if received or sent:
        yield f"the last it had received was {name_of(received)}, the last it had sent {name_of(sent)}"


def not_again(history: VerdictBuilder) -> Iterator[str]:
    """Whether a side that was lost could be had again; after an orderly end nobody minds."""
    if history.miss and history.close and not history.orderly:
        yield f"since then {history.miss.text}" + (
            f" ({history.misses:,} tries)" if history.misses > 1 else ""
        )


def cause(history: VerdictBuilder) -> Iterator[str]:
    """The first thing that went wrong, and what to do about it."""
    wrong = first_wrong(history)
    if wrong is None:
        return
    more = len(history.wrong) + history.more_wrong - 1
    head = "it first went wrong" if wrong.severity is Severity.ERROR else "worth a look"
    done = history.acted_rows.get(wrong.row, "")
    row = f"{wrong.row}], which was {done}" if done else f"{wrong.row}]"
    yield f"{head} at [{row}: {wrong.text}" + (f" (and {more} more)" if more else "")
    if wrong.advice and not done:
        yield wrong.advice.rstrip(".")


def who(history: VerdictBuilder, side: Side) -> str:
    """A side with its process: "the back-end (dpdk-testpmd, pid 2201)"."""
    attributes = history.opened.attributes if history.opened else {}
    name, pid = attributes.get(f"{side}_name", ""), attributes.get(f"{side}_pid", "")
    known = ", ".join(filter(None, (name, f"pid {pid}" if pid else "")))
    return f"the {side.words} ({known})" if known else f"the {side.words}"


def name_of(row: Row | None) -> str:
    """A message with its row."""
    if row is None or not isinstance(row.what, Message):
        return "nothing"
    kind = "the reply to " if row.what.reply else ""
    return f"{kind}{row.what.name} [{row.number}]"


def rings(count: int) -> str:
    """A number of rings."""
    return f"{count} ring{'' if count == 1 else 's'}"
