"""Cases for front-ends: what our back-end offers, refuses, delays and ends; the rules of `check` judge."""

from collections.abc import Iterator
from functools import partial

from vutrace.conform.case import Case, Level
from vutrace.conform.script import PROTOCOL_OFFERED, StandScript
from vutrace.conform.stand import Stand
from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES, bit

PROTOCOL = bit("VHOST_USER_F_PROTOCOL_FEATURES", VIRTIO_FEATURES)
VERSION_1 = bit("VIRTIO_F_VERSION_1", VIRTIO_FEATURES)
REFUSED = (
    "SET_MEM_TABLE",
    "SET_VRING_ADDR",
    "SET_FEATURES",
    "SET_VRING_ENABLE",
    "NET_SET_MTU",
    "ADD_MEM_REG",
)
ENDED = (
    "GET_FEATURES",
    "GET_PROTOCOL_FEATURES",
    "SET_PROTOCOL_FEATURES",
    "GET_QUEUE_NUM",
    "SET_OWNER",
    "SET_VRING_CALL",
    "SET_FEATURES",
    "SET_MEM_TABLE",
    "SET_VRING_KICK",
    "GET_VRING_BASE",
)
DELAYED = ("GET_FEATURES", "GET_PROTOCOL_FEATURES", "GET_QUEUE_NUM")
SLOW = 0.5
NO_SLOTS = ~bit("CONFIGURE_MEM_SLOTS", PROTOCOL_FEATURES)


def play(script: StandScript, stand: Stand) -> None:
    stand.play(script)


def case(
    name: str, heading: str, sends: str, script: StandScript, level: Level = Level.MUST, also: str = ""
) -> Case:
    """A case; whatever the back-end does, the front-end breaks no rule and does not die."""
    expects = f"no message of the front-end breaks a rule, and it does not die{also}"
    return Case(name, heading, sends, expects, partial(play, script), level)


def title(name: str) -> str:
    """A feature or message in the name of a case."""
    return name.lower().replace("_", "-")


def cases() -> Iterator[Case]:
    """All of them."""
    together = "Protocol features"
    yield case("offers/everything", "Communication", "a good back-end with everything", StandScript())
    yield case("offers/no-protocol-features", "Communication", "a back-end without protocol features",
               StandScript(features=~PROTOCOL))  # fmt: skip
    yield case("offers/no-protocol-feature", together, "a back-end with protocol features, and none of them",
               StandScript(protocol=0))  # fmt: skip
    yield case("offers/few-features", "VHOST_USER_GET_FEATURES", "a back-end with VERSION_1 and no more",
               StandScript(features=VERSION_1 | PROTOCOL))  # fmt: skip
    yield case("offers/one-queue", "Multiple queue support", "a back-end with one queue (or pair)",
               StandScript(queues=1))  # fmt: skip
    for name in PROTOCOL_OFFERED:
        mask = bit(name, PROTOCOL_FEATURES)
        yield case(f"offers/only-{title(name)}", together, f"a back-end with nothing but {name}",
                   StandScript(protocol=mask))  # fmt: skip
        yield case(f"offers/all-but-{title(name)}", together, f"a back-end with everything but {name}",
                   StandScript(protocol=~mask))  # fmt: skip
    yield from trouble()


def trouble() -> Iterator[Case]:
    """Refusals, delays, ends, and a back-end that comes back."""
    heading, communication = "VHOST_USER_PROTOCOL_F_REPLY_ACK", "Communication"
    for name in REFUSED:
        # where memory comes region by region, no table is sent
        offer = -1 if name == "ADD_MEM_REG" else NO_SLOTS
        yield case(f"refuses/{title(name)}", heading, f"an error in answer to {name}",
                   StandScript(refuses=name, protocol=offer))  # fmt: skip
    for name in DELAYED:
        yield case(f"delays/{title(name)}", communication, f"{name} answered after {SLOW:g} s",
                   StandScript(delays={name: SLOW}),
                   also="; it waits, and says nothing that rests on the answer before that")  # fmt: skip
    for name in ENDED:
        yield case(f"ends/{title(name)}", communication, f"the end of the connection at {name}",
                   StandScript(ends_at=name, protocol=NO_SLOTS))  # fmt: skip
    yield case("restarts/in-negotiation", communication, "an end at SET_OWNER, and a good back-end then",
               StandScript(ends_at="SET_OWNER", sessions=2), Level.SHOULD)  # fmt: skip
    yield case("restarts/at-start", communication, "an end at SET_VRING_KICK, and a good back-end then",
               StandScript(ends_at="SET_VRING_KICK", sessions=2), Level.SHOULD)  # fmt: skip
