"""Signals that ask a run to save and stop: Ctrl-C, SIGTERM (docker, pre-emption), SIGUSR1 (Slurm's warning), SIGHUP (a
terminal that was closed). After the first signal the current chunk is finished; a second one ends the run at once.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP")
SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))


class Interrupted(RuntimeError):
    """Raised if a signal stopped a run, which is saved. `status`: the exit status, 128 + the signal's number."""

    def __init__(self, text: str, number: int = signal.SIGINT):
        super().__init__(text)
        self.status = 128 + number


@contextlib.contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Treats SIGTERM as Ctrl-C inside. It does nothing in threads other than the main one, which get no signals."""
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
    """The request to stop a run, and the number of the signal that made it."""

    def __init__(self, leader: "Stop | None" = None):
        """leader: the `Stop` that takes the signals for several runs."""
        self.leader = leader
        self.asked = leader.asked if leader else threading.Event()
        self._number = int(signal.SIGINT)
        self.begun = False  # there is something to save; before that the first signal ends the run at once

    @property
    def number(self) -> int:
        return self.leader.number if self.leader else self._number

    def heed(self) -> None:
        """Raises KeyboardInterrupt if a signal came before training has begun and Python lost the exception.

        Python loses exceptions that are raised in a callback of the garbage collector, and jax has such a callback.
        """
        if self.asked.is_set():
            raise KeyboardInterrupt(self.number)

    @contextlib.contextmanager
    def listening(self, say: Callable[[str], Any]) -> Iterator[None]:
        """Handles the signals inside, in the main thread. Raises KeyboardInterrupt(number) at the second signal, or at
        the first one before there is something to save.

        If the process ignores SIGHUP, as under nohup, it stays ignored.
        """

        def ask(number: int, frame: Any) -> None:
            again = self.asked.is_set()
            self._number = number
            self.asked.set()
            if again or not self.begun:
                raise KeyboardInterrupt(number)
            who = "" if number == signal.SIGINT else f"{signal.Signals(number).name}: "
            once_more = "Ctrl-C again" if number == signal.SIGINT else "a second signal"
            with contextlib.suppress(RuntimeError):  # the signal came while another line was being written
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
