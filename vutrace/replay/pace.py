"""The pace of a recording that is shown again: what is due when, and what the keys do to it. No I/O."""

from dataclasses import dataclass

FASTER, SLOWER = 2.0, 0.5
KEYS = "space pauses and goes on, s or Enter steps, + faster, - slower, q ends"
UNTIL_A_KEY = None
FASTEST = 1e6  # and as many times slower


def factor(speed: str) -> float:
    """2 of "2x", 0 of "max"; ValueError where it is neither."""
    if speed == "max":
        return 0.0
    value = float(speed.removesuffix("x"))
    if not 1 / FASTEST <= value <= FASTEST:
        raise ValueError(speed)
    return value


@dataclass(slots=True)
class Pace:
    """A recorded clock that runs at `speed` (0: everything is due at once).

    It began at `began_ns` of the recording, and stood at `at_ns` at `now` (monotonic seconds). While it is
    paused, `steps` records are due all the same.
    """

    speed: float
    at_ns: int = 0
    now: float = 0.0
    paused: bool = False
    steps: int = 0
    ended: bool = False
    began_ns: int = 0

    @property
    def words(self) -> str:
        """How the clock goes."""
        if self.paused:
            return "paused"
        return f"{self.speed:g}x" if self.speed else "as fast as it goes"

    def begin(self, at_ns: int, now: float) -> None:
        """The recording is taken up at `at_ns`."""
        self.began_ns, self.at_ns, self.now = at_ns, at_ns, now

    def passed_ns(self, now: float) -> int:
        """How far it has come since it began."""
        running = 0 if self.paused else int((now - self.now) * self.speed * 1e9)
        return self.at_ns - self.began_ns + running if self.now else 0

    def wait(self, recorded_ns: int, now: float) -> float | None:
        """Seconds until what was recorded then is due: 0 when it is, UNTIL_A_KEY while paused."""
        if self.paused:
            return 0.0 if self.steps else UNTIL_A_KEY
        if not self.speed:
            return 0.0
        return max(0.0, (recorded_ns - self.at_ns) / 1e9 / self.speed - (now - self.now))

    def shown(self, recorded_ns: int, now: float) -> None:
        """A record was shown; a step takes the clock to it."""
        if self.paused:
            self.steps = max(0, self.steps - 1)
            self.at_ns, self.now = recorded_ns, now

    def press(self, key: str, now: float) -> None:
        """A key was pressed."""
        match key:
            case " ":
                self._move(now)
                self.paused = not self.paused
            case "s" | "\n" | "\r":
                self._move(now)
                self.paused = True
                self.steps += 1
            case "+":
                self._move(now)
                self.speed = min(self.speed * FASTER, FASTEST)
            case "-":
                self._move(now)
                self.speed = max(self.speed * SLOWER, 1 / FASTEST) if self.speed else 0.0
            case "q":
                self.ended = True

    def _move(self, now: float) -> None:
        """Let the clock stand at `now`."""
        if not self.paused:
            self.at_ns += int((now - self.now) * self.speed * 1e9)
        self.now = now
