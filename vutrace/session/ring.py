"""One ring as a value: what was sent of it, and what that makes of it ("Ring states")."""

from typing import NamedTuple

from vutrace.session.ring_states import INITIAL, UNSTARTED, RingState

STOPPED = str(RingState.STOPPED)
CONFIGURED = "configured"  # set up and not started; the other states are RingState's


class Addresses(NamedTuple):
    """Where a ring lies, as SET_VRING_ADDR told it."""

    descriptor: int
    used: int
    available: int
    log: int
    flags: int


class Ring(NamedTuple):
    """One ring, as it stands.

    `size`, `base` (as it was last sent, by either side) and `addresses` are what was sent, None before;
    `enable_sent` the value of the last SET_VRING_ENABLE, `kick_sent` whether a kick descriptor (or NOFD)
    stands. `state` is the effect, by `started_rule` and `enabled_rule`. `set_up`: something was configured
    since it was last stopped; `called` and `switched`: it got a call descriptor, or was enabled or disabled,
    since it was last started. `changed` is the row, and `changed_ns` the time in ns since the first record,
    of the last message about it.
    """

    index: int  # type: ignore[assignment]  # tuple has a method of that name, which nobody wants here
    name: str = ""
    size: int | None = None
    base: int | None = None
    addresses: Addresses | None = None
    big_endian: bool | None = None
    enable_sent: bool | None = None
    kick_sent: bool = False
    state: RingState = RingState.STOPPED
    started_rule: str = UNSTARTED
    enabled_rule: str = INITIAL
    set_up: bool = False
    called: bool = False
    switched: bool = False
    first: int = 0
    changed: int = 0
    changed_ns: int = 0
    changed_by: str = ""

    @property
    def configured(self) -> bool:
        """Whether a size and addresses are set."""
        return self.size is not None and self.addresses is not None

    @property
    def drawn(self) -> str:
        """The state as it is drawn: what is not started may be set up already.

        A ring that was kicked with neither a size nor addresses counts as started ("Ring states"), but nobody
        can process it.
        """
        state = self.state
        if state.started and not (self.size is None and self.addresses is None):
            return str(state)
        return CONFIGURED if self.set_up else STOPPED


class RingChange(NamedTuple):
    """A ring before and after a row; `before` is None for the first message that names it."""

    before: Ring | None
    after: Ring


Changes = tuple[RingChange, ...]
