"""Calls that may hang in the system: made on a thread that is left to itself when they do."""

import os
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, NoReturn, TypeVar

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

    def skip(self) -> bool:
        """Give up the step at hand; False if there is none."""
        with self._lock:
            if self._at == len(self._steps):
                return False
            self.missed(self._steps[self._at])
            self._at += 1
            self._turn += 1
            return True


class Aside:
    """Work on a thread that is replaced when a job hangs in it; in a process that does nothing else.

    `work` goes on from where it stands, whichever thread calls it, and calls `run`. The main thread only
    waits for a timer: where nothing hangs, nobody is woken up.
    """

    def __init__(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})  # before any thread is there
        self._thread = 0
        self._job: Job[Any, Any] | None = None
        self._seen: tuple[Job[Any, Any] | None, int] = None, 0

    def serve(self, work: Callable[[], None]) -> NoReturn:
        """Have it done, then end the process."""
        self._start(work)
        while True:
            signal.sigwait({signal.SIGALRM})
            job = self._job
            now = job, job.position if job else 0
            if job and now == self._seen and job.skip():
                self._start(work)
            self._seen = now

    def _start(self, work: Callable[[], None]) -> None:
        self._thread += 1

        def do(number: int) -> None:
            code = 1
            try:
                work()
                code = 0
            finally:
                if number == self._thread:
                    os._exit(code)

        threading.Thread(target=do, args=(self._thread,), name="records", daemon=True).start()

    def run(self, job: Job[Any, Any]) -> bool:
        """Do a job. False if this thread hung in it for too long: another goes on with the work."""
        thread = self._thread
        self._job, self._seen = job, (job, job.position)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS, PATIENCE_SECONDS)
        job.go()
        if thread != self._thread:
            return False
        self._job = None
        signal.setitimer(signal.ITIMER_REAL, 0)
        return True
