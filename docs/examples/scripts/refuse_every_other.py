"""Every other SET_VRING_ENABLE of a ring is refused, as by a back-end that runs out of something.

    vutrace proxy front.sock back.sock -s refuse_every_other.py

What a script remembers is remembered for one session: each has a process of its own.
"""

from collections import Counter

WATCH = "SET_VRING_ENABLE request need-reply"
asked = Counter()


def message(message):
    asked[message.ring] += 1
    if asked[message.ring] % 2 == 0:
        message.answer(status=1)
