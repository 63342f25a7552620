"""Calls that may hang in the system: made on a thread that is left to itself when they do."""

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

PATIENCE_SECONDS = 0.5
Step = TypeVar("Step")
Result = TypeVar("Result")


class Job(ABC, Generic[Step, Result]):
    """Steps, each of which may hang: then it is missed, and another thread goes on with the next."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps
        self._at = 0
        self._turn = 0
        self._lock = threading.Lock()

    @property
    def position(self) -> int:
        """How many steps are behind it."""
        return self._at

    @abstractmethod
    def do(self, step: Step) -> Result:
        """The call that may hang."""

    @abstractmethod
    def keep(self, step: Step, result: Result) -> None:
        """It came back."""

    def missed(self, step: Step) -> None:
        """It did not."""

    def late(self, step: Step) -> None:
        """It came back after it was missed; on the thread that hung in it."""

    def go(self) -> None:
        """Do the steps that are left."""
        turn = self._turn
        while self._at < len(self._steps):
            step = self._steps[self._at]
            result = self.do(step)
            with self._lock:
                if turn == self._turn:
                    self.keep(step, result)
                    self._at += 1
                    continue
            self.late(step)
            return

    def skip(self) -> None:
        """Give up the step at hand."""
        with self._lock:
            if self._at < len(self._steps):
                self.missed(self._steps[self._at])
                self._at += 1
                self._turn += 1


class Aside:
    """A thread that does jobs in order, and its successors where it hangs."""

    def __init__(self) -> None:
        self._jobs: deque[Job[Any, Any]] = deque()  # the first is being done
        self._change = threading.Condition()
        self._generation = 0
        self._start()

    def post(self, job: Job[Any, Any]) -> None:
        """Have it done some time."""
        with self._change:
            self._jobs.append(job)
            self._change.notify_all()

    def run(self, job: Job[Any, Any]) -> None:
        """Have it done after those that were posted, and wait for it; not for long for any step."""
        with self._change:
            self._jobs.append(job)
            self._change.notify_all()
            while job in self._jobs:
                at = self._where()
                if not self._change.wait(PATIENCE_SECONDS) and at == self._where():
                    self._jobs[0].skip()
                    self._start()

    def _where(self) -> tuple[int, int]:
        return id(self._jobs[0]), self._jobs[0].position

    def _start(self) -> None:
        self._generation += 1
        threading.Thread(target=self._work, args=(self._generation,), name="looks", daemon=True).start()

    def _work(self, generation: int) -> None:
        while True:
            with self._change:
                while generation == self._generation and not self._jobs:
                    self._change.wait()
                if generation != self._generation:
                    return
                job = self._jobs[0]
            job.go()
            with self._change:
                if generation != self._generation:
                    return
                self._jobs.popleft()
                self._change.notify_all()
