"""Signals that ask a run to save and stop: Ctrl-C, SIGTERM (docker, pre-emption), SIGUSR1 (Slurm's warning), SIGHUP (a
terminal that was closed). The first lets what is under way finish, at most one chunk; a second ends the run at once.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP")
SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))


class Interrupted(RuntimeError):
    """A run was stopped by a signal; it is saved. `status`: the exit status, 128 + the signal's number."""

    def __init__(self, text: str, number: int = signal.SIGINT):
        super().__init__(text)
        self.status = 128 + number


@contextlib.contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM is taken as Ctrl-C; threads other than the main one get no signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt(number)

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Stop:
    """Whether a run was asked to stop, and by which signal."""

    def __init__(self, leader: "Stop | None" = None):
        """leader: of several runs, who takes the signals for all."""
        self.leader = leader
        self.asked = leader.asked if leader else threading.Event()
        self._number = int(signal.SIGINT)
        self.begun = False  # there is something to save; before that the first signal ends the run at once

    @property
    def number(self) -> int:
        return self.leader.number if self.leader else self._number

    def heed(self) -> None:
        """Before training has begun: raises KeyboardInterrupt if a signal came and Python lost the exception, as it
        does where that arises in a callback of the garbage collector; jax has one."""
        if self.asked.is_set():
            raise KeyboardInterrupt(self.number)

    @contextlib.contextmanager
    def listening(self, say: Callable[[str], Any]) -> Iterator[None]:
        """Takes the signals of the main thread. Raises KeyboardInterrupt(number) at the second of them.

        A SIGHUP that the process was told to ignore, as by nohup, stays ignored.
        """

        def ask(number: int, frame: Any) -> None:
            again = self.asked.is_set()
            self._number = number
            self.asked.set()
            if again or not self.begun:
                raise KeyboardInterrupt(number)
            who = "" if number == signal.SIGINT else f"{signal.Signals(number).name}: "
            once_more = "Ctrl-C again" if number == signal.SIGINT else "a second signal"
            with contextlib.suppress(RuntimeError):  # it came while another line was being written
                say(f"{who}stopping after this chunk and saving; {once_more} stops at once")

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        ignored = [n for n in SIGNALS if n == getattr(signal, "SIGHUP", None) and signal.getsignal(n) == signal.SIG_IGN]
        before = {number: signal.signal(number, ask) for number in SIGNALS if number not in ignored}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
