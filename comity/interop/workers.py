"""Games that Python steps in several processes: each process steps a share, and observations lie in shared memory.

It uses `gymnasium.vector`, for which a share is one environment that shows the observations of all its games. Episodes
begin with given seeds, so results do not depend on the number of processes. Imports no jax.
"""

import atexit
import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from comity.extras import needed
from comity.interop.games import Batch, Stepped
from comity.interop.spaces import HostObservation, Spaces

gymnasium = needed("gymnasium")
spaces = gymnasium.spaces
ABOVE_ERRORS = 50  # level of gymnasium's logger that shows nothing
IGNORED = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP")


class Share(gymnasium.Env):
    """The games of one process. If `action["begin"]`, the games in `which` begin an episode, else they are stepped."""

    def __init__(
        self,
        make: Callable[[], Any],
        length: int,
        count: int,
        sizes: tuple[int, ...],
        measures: tuple[str, ...],
        boxes: bool,
        home: int,
    ):
        """count: number of games; sizes: N, V, S, A; measures: see `Spaces`; home: id of the main process, which makes
        one for its spaces."""
        self.away = os.getpid() != home
        if self.away:  # only the main process obeys signals, and it ends the others
            for name in IGNORED:
                if hasattr(signal, name):
                    signal.signal(getattr(signal, name), signal.SIG_IGN)
        agents, view, state, action = sizes
        box = lambda kind, *shape: spaces.Box(*LIMITS[kind], (count, *shape), kind)  # noqa: E731
        self.observation_space = spaces.Dict({
            "view": box(np.float32, agents, view), "state": box(np.float32, state),
            "available": box(np.uint8, agents, action), "reward": box(np.float32, agents),
            "terminated": box(np.uint8), "truncated": box(np.uint8), **{name_of(x): box(np.float32) for x in measures},
        })  # fmt: skip
        acts = box(np.float32, agents, action) if boxes else box(np.int32, agents)
        self.action_space = spaces.Dict(
            {"begin": spaces.Discrete(2), "which": box(np.uint8), "seeds": box(np.int64), "action": acts}
        )
        self.made, self.batch = partial(Batch, make, length, count), None
        nothing = {name: np.zeros(count, np.float32) for name in measures}
        self.rest: Any = np.zeros((count, agents), np.float32), np.zeros(count, bool), np.zeros(count, bool), nothing

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        try:
            if self.batch is None:
                self.batch = self.made()
            which, rest = action["which"].astype(bool), self.rest
            if action["begin"]:
                seen = self.batch.begin(which, action["seeds"])
            else:
                seen, *rest = self.batch.step(which, action["action"])
        except ValueError:
            raise
        except Exception as error:  # else its traceback would be lost in this process
            raise RuntimeError(f"{type(error).__name__}: {error}\n{traceback.format_exc()}") from None
        info: Any = rest[3]
        names, told = ("reward", "terminated", "truncated"), {name_of(name): x for name, x in info.items()}
        return {**seen._asdict(), **dict(zip(names, rest[:3], strict=True)), **told}, 0.0, False, False, {}

    def close(self) -> None:
        parent = multiprocessing.parent_process()
        if self.away and parent is not None and not parent.is_alive():
            os._exit(1)  # the main process is gone, so a traceback has no reader
        if self.batch is not None:
            self.batch.close()


LIMITS = {
    np.float32: (-np.inf, np.inf), np.uint8: (0, 1), np.int32: (0, 2**31 - 1), np.int64: (0, 2**62)
}  # fmt: skip


def name_of(measure: str) -> str:
    """Returns the name of a measure among the parts of an observation."""
    return f"measure {measure}"


class Workers:
    """B games, stepped by several processes."""

    def __init__(self, make: Callable[[], Any], length: int, count: int, shape: Spaces, processes: int):
        self.count, self.share = count, -(-count // processes)
        self.processes = -(-count // self.share)
        sizes, total = (shape.agents, shape.view, shape.state, shape.action), self.share * self.processes
        self.measures = shape.measures
        make_share = partial(Share, make, length, self.share, sizes, self.measures, shape.continuous, os.getpid())
        with _apart(), _quiet():
            self.envs = gymnasium.vector.AsyncVectorEnv(
                [make_share] * self.processes, copy=False, context="spawn",
                autoreset_mode=gymnasium.vector.AutoresetMode.DISABLED,
            )  # fmt: skip
        atexit.register(self.close)  # else multiprocessing would wait for processes that ignore its signal
        acts = (total, shape.agents, shape.action) if shape.continuous else (total, shape.agents)
        self.acts = np.zeros(acts, np.float32 if shape.continuous else np.int32)

    def begin(self, which: np.ndarray, seeds: np.ndarray) -> HostObservation:
        return self._ask(1, which, seeds, self.acts).seen

    def step(self, which: np.ndarray, action: np.ndarray) -> Stepped:
        return self._ask(0, which, np.zeros(self.count, np.int64), action)

    def render(self, game: int) -> None:
        """Returns None: films are made in one process."""

    def close(self) -> None:
        atexit.unregister(self.close)
        with contextlib.suppress(Exception), _quiet():
            self.envs.close(timeout=1)
        for process in self.envs.processes:
            if process.is_alive():
                process.kill()

    def _ask(self, begin: int, which: np.ndarray, seeds: np.ndarray, action: np.ndarray) -> Stepped:
        dealt = lambda x, kind: self._dealt(np.asarray(x, kind))  # noqa: E731
        given = {
            "begin": np.full(self.processes, begin), "which": dealt(which, np.uint8), "seeds": dealt(seeds, np.int64),
            "action": dealt(action, self.acts.dtype),
        }  # fmt: skip
        try:
            with _quiet():
                found = self.envs.step(given)[0]
        except (EOFError, ConnectionError) as error:
            by = {process.sentinel: process for process in self.envs.processes}
            ended: Any = [by[x] for x in multiprocessing.connection.wait(list(by), timeout=1) if isinstance(x, int)]
            for process in ended:
                process.join(1)
            codes = ", ".join(str(process.exitcode) for process in ended)
            raise ValueError(
                f"a process that steps games has died (exit status {codes or 'unknown'}; -9: out of memory, or "
                "killed): the simulator may have crashed; fewer envs or --task.processes 1 may help"
            ) from error
        of = lambda name, kind: np.array(found[name], kind).reshape(-1, *found[name].shape[2:])[: self.count]  # noqa: E731
        seen = HostObservation(of("view", np.float32), of("state", np.float32), of("available", bool))
        info = {name: of(name_of(name), np.float32) for name in self.measures}
        return Stepped(seen, of("reward", np.float32), of("terminated", bool), of("truncated", bool), info)

    def _dealt(self, x: np.ndarray) -> np.ndarray:
        """Splits x [B, ...] into [processes, share, ...], filled up with 0."""
        whole = np.zeros((self.processes * self.share, *x.shape[1:]), x.dtype)
        whole[: len(x)] = x
        return whole.reshape(self.processes, self.share, *x.shape[1:])


@contextlib.contextmanager
def _apart() -> Iterator[None]:
    """Prevents that started processes run the user's script again."""
    main = sys.modules["__main__"]
    kept = {name: vars(main).pop(name) for name in ("__file__", "__spec__") if name in vars(main)}
    main.__spec__ = None
    try:
        yield
    finally:
        vars(main).update(kept)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Turns off gymnasium's own report of an error in a process, since the error itself is raised."""
    level = gymnasium.logger.min_level
    gymnasium.logger.min_level = ABOVE_ERRORS
    try:
        yield
    finally:
        gymnasium.logger.min_level = level
