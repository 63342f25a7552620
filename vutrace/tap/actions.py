"""What rules may do, by the words that they are written with: each calls the interface of scripts."""

import re
from collections.abc import Callable, Mapping, Sequence

from vutrace.matching.values import MatchError
from vutrace.records import Side
from vutrace.tap.descriptors import KINDS
from vutrace.tap.passing import PassingMessage
from vutrace.tap.payload import SIGNS

Action = Callable[[PassingMessage], None]
TIME = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m)?")
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, None: 1.0}
RATE = re.compile(r"(\d+)([kKM]?)B?/s")
SIDES = {"frontend": "frontend", "front-end": "frontend", "backend": "backend", "back-end": "backend"}


def seconds(text: str) -> float:
    """A time such as 500ms."""
    found = TIME.fullmatch(text)
    if not found:
        raise MatchError(f"'{text}': a time is needed, such as 500ms or 2s")
    return float(found[1]) * SECONDS[found[2]]


def number(text: str) -> int:
    """A whole number."""
    try:
        return int(text, 0)
    except ValueError:
        raise MatchError(f"'{text}': a number is needed") from None


def side(text: str) -> str:
    """A side's name."""
    if text not in SIDES:
        raise MatchError(f"'{text}': frontend or backend is needed")
    return str(Side(SIDES[text]))


def delay(words: Sequence[str]) -> Action:
    """`delay 500ms`, `delay 100ms..2s`."""
    first, _, most = one(words).partition("..")
    least, longest = seconds(first), seconds(most) if most else 0.0
    return lambda message: message.delay(least, longest)


def hold(words: Sequence[str]) -> Action:
    """`hold`, `hold until FILE`."""
    if words and (len(words) != 2 or words[0] != "until"):
        raise MatchError("hold, or hold until FILE, is what it takes")
    file = "" if not words or words[1] == "key" else words[1]
    return lambda message: message.hold(file)


def drop(words: Sequence[str]) -> Action:
    """`drop`, without further words."""
    none(words)
    return lambda message: message.drop(reply=True)  # the rule names it, or it would not choose replies


def duplicate(words: Sequence[str]) -> Action:
    """`duplicate`, or so many times: `duplicate 3`."""
    times = number(one(words)) if words else 1
    return lambda message: message.duplicate(times)


def swap(words: Sequence[str]) -> Action:
    """`swap`, without further words."""
    none(words)
    return PassingMessage.swap


def split_setting(word: str) -> tuple[str, str, str]:
    """Field, sign and value of FIELD=VALUE, FIELD|=VALUE, FIELD-=VALUE, FIELD+=VALUE."""
    sign = min((sign for sign in SIGNS if sign in word), key=word.index, default="")
    path, _, value = word.partition(sign) if sign else (word, "", "")
    if not path or not value:
        raise MatchError(f"'{word}': FIELD=VALUE, or |= -= += for bits and sums, is needed")
    return path, sign, value


def settings(words: Sequence[str]) -> Action:
    """`set FIELD=VALUE ...`."""
    made = [split_setting(word) for word in words]
    if not made:
        raise MatchError("set: FIELD=VALUE is needed")

    def act(message: PassingMessage) -> None:
        for path, sign, value in made:
            message.set(path, value, sign)

    return act


def answer(words: Sequence[str]) -> Action:
    """`answer ok`, `answer error`, `answer 22`, `answer FIELD=VALUE ...`."""
    if len(words) == 1 and "=" not in words[0]:
        status = {"ok": 0, "error": 1}.get(words[0])
        value = str(number(words[0]) if status is None else status)
        return lambda message: message.answer_with([("status", value)])
    values = [(path, value) for path, _, value in map(split_setting, words)]
    if not values:
        raise MatchError("answer: ok, error, a number or FIELD=VALUE is needed")
    return lambda message: message.answer_with(values)


def close(words: Sequence[str]) -> Action:
    """`close SIDE`, `close SIDE after 8`."""
    if len(words) not in (1, 3) or (len(words) == 3 and words[1] != "after"):
        raise MatchError("close: frontend or backend, and perhaps 'after BYTES', is what it takes")
    which, after = side(words[0]), number(words[2]) if len(words) == 3 else None
    return lambda message: message.close(which, after)


def half_close(words: Sequence[str]) -> Action:
    """`half-close SIDE`."""
    which = side(one(words))
    return lambda message: message.half_close(which)


def resize(words: Sequence[str]) -> Action:
    """`resize 4`: cut or lengthened."""
    size = number(one(words))
    return lambda message: message.resize(size)


def lie(words: Sequence[str]) -> Action:
    """`size 4`, `size +4`, `size -4`."""
    text = one(words)
    value = number(text)
    return lambda message: message.lie(value, "+=" if text[0] in "+-" else "=")


def slow(words: Sequence[str]) -> Action:
    """`slow 100B/s`."""
    found = RATE.fullmatch(one(words))
    if not found or not int(found[1]):
        raise MatchError(f"'{words[0]}': bytes per second are needed, such as 100B/s")
    rate = float(found[1]) * {"": 1, "k": 1000, "K": 1000, "M": 1e6}[found[2]]
    return lambda message: message.slow(rate)


def descriptors(words: Sequence[str]) -> Action:
    """`fds none`, `fds add KIND`, `fds 0=KIND`."""
    if list(words) == ["none"]:
        return PassingMessage.strip
    place, _, kind = words[0].partition("=") if len(words) == 1 else ("", "", "")
    if len(words) == 2 and words[0] == "add" and words[1] in KINDS:
        return lambda message: message.add_descriptor(words[1])
    if place.isdecimal() and kind in KINDS:
        return lambda message: message.replace_descriptor(int(place), kind)
    raise MatchError(f"fds: none, add KIND or PLACE=KIND is what it takes; KIND is {', '.join(KINDS)}")


def note(words: Sequence[str]) -> Action:
    """`note TEXT`."""
    text = " ".join(words)
    if not text:
        raise MatchError("note: a text is needed")
    return lambda message: message.note(text)


def one(words: Sequence[str]) -> str:
    """The only word."""
    if len(words) != 1:
        raise MatchError("one value is needed")
    return words[0]


def none(words: Sequence[str]) -> None:
    """No words."""
    if words:
        raise MatchError(f"'{' '.join(words)}' is too much")


ACTIONS: Mapping[str, Callable[[Sequence[str]], Action]] = {
    "delay": delay,
    "hold": hold,
    "drop": drop,
    "duplicate": duplicate,
    "swap": swap,
    "set": settings,
    "answer": answer,
    "close": close,
    "half-close": half_close,
    "resize": resize,
    "size": lie,
    "slow": slow,
    "fds": descriptors,
    "note": note,
}


def parse_action(text: str) -> tuple[str, Action]:
    """The word and what it does; MatchError."""
    word, *rest = text.split() or [""]
    if word not in ACTIONS:
        raise MatchError(f"no action is called '{word}'; there are {', '.join(ACTIONS)}")
    try:
        return word, ACTIONS[word](rest)
    except MatchError as error:
        raise MatchError(f"{word}: {error}" if not str(error).startswith(word) else str(error)) from None
