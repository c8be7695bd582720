"""Games that Python steps: makes environments, begins and steps episodes, returns arrays. Imports no jax."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from comity.interop.spaces import HostObservation, Spaces

FACTORY = "give a function or class that makes a new one at each call"


class Stepped(NamedTuple):
    """The result of a step of B games."""

    seen: HostObservation  # [B, ...] after the step, before any new episode
    reward: np.ndarray  # [B, N] float32
    terminated: np.ndarray  # [B] bool
    truncated: np.ndarray  # [B] bool
    info: dict[str, np.ndarray]  # the environment's `measures`, each [B] float32


def made(make: Callable[[], Any]) -> Any:
    """Returns a new environment. Raises ValueError if it cannot be played here."""
    if not callable(make):
        raise ValueError(f"{type(make).__name__} is an environment already: {FACTORY}, such as lambda: MyEnv()")
    try:
        env = make()
    except TypeError as error:
        raise ValueError(f"the environment cannot be made: {error}") from error
    if hasattr(env, "agent_iter"):
        raise ValueError(
            f"{env} takes turns (PettingZoo's AEC): give the parallel one, such as MODULE.parallel_env, or "
            "pettingzoo.utils.aec_to_parallel(env)"
        )
    names = ("possible_agents", "observation_space", "action_space", "reset", "step")
    if lacking := [name for name in names if not hasattr(env, name)]:
        raise ValueError(
            f"{type(env).__name__} has no {' and no '.join(lacking)}: it is no PettingZoo ParallelEnv; {FACTORY}"
        )
    if not env.possible_agents:
        raise ValueError(f"{type(env).__name__} has no possible_agents: name those that may play")
    if not takes_seed(env.reset):
        raise ValueError(f"{type(env).__name__}.reset takes no seed: declare reset(self, seed=None, options=None)")
    return env


def takes_seed(reset: Callable[..., Any]) -> bool:
    parameters = inspect.signature(reset).parameters.values()
    return any(p.name == "seed" or p.kind is p.VAR_KEYWORD for p in parameters)


def refuse_same(one: Any, two: Any) -> None:
    """Raises ValueError if two games are one environment."""
    if one is two or getattr(one, "unwrapped", one) is getattr(two, "unwrapped", two):
        raise ValueError(
            f"make gives the same environment twice, so all games would step one {type(one).__name__}: {FACTORY}"
        )


class Game:
    """A running game.

    An agent has left if it was terminated or truncated, or is missing in the environment's `agents`. The game is over
    when all have left, and it is terminated if those that left last were terminated.
    """

    def __init__(self, env: Any, spaces: Spaces, length: int):
        self.env, self.spaces, self.length = env, spaces, length
        self.measured: dict[str, float] = {}  # the environment's `measures` of the last step

    def begin(self, seed: int) -> HostObservation:
        found = self.env.reset(seed=seed)
        if not (isinstance(found, tuple) and len(found) == 2):
            raise ValueError("reset gives no (observations, infos): give both, as PettingZoo asks")
        self.time, self.left, self.measured = 0, set(), {}
        self.running = self._running()
        return self._observation(*found, self.running, self.running)

    def step(self, action: np.ndarray) -> tuple[HostObservation, np.ndarray, bool, bool]:
        """Returns (observation, reward [N], terminated, truncated). A game is truncated at its time limit."""
        spaces, before = self.spaces, self.running
        chosen = {name: spaces.action_of(k, action[k]) for k, name in enumerate(spaces.names) if name in before}
        found = self.env.step(chosen)
        if not (isinstance(found, tuple) and len(found) == 5):
            raise ValueError("step gives no (observations, rewards, terminations, truncations, infos): give the five")
        observations, rewards, terminations, truncations, infos = found
        self.time += 1
        told = [info for info in (infos or {}).values() if info]
        self.measured = {n: next((float(info[n]) for info in told if n in info), 0.0) for n in spaces.measures}
        reward = np.array([float(rewards.get(n, 0.0)) if n in before else 0.0 for n in spaces.names], np.float32)
        self.left |= {name for name in before if terminations.get(name) or truncations.get(name)}
        self.running = self._running()
        leaving = [name for name in before if name not in self.running]
        over = not self.running
        terminated = over and all(terminations.get(name) for name in leaving)
        truncated = not terminated and (over or self.time >= self.length)
        # In a game that is truncated, agents that were not terminated read the observation that the step returned.
        reads = [name for name in leaving if not terminations.get(name)] if over else self.running
        must = [] if truncated else self.running
        return self._observation(observations, infos, reads, must, terminated), reward, terminated, truncated

    def _running(self) -> list:
        here = getattr(self.env, "agents", self.spaces.names)
        return [name for name in self.spaces.names if name in here and name not in self.left]

    def _observation(
        self, observations: dict, infos: dict, reads: list, must: list, terminated: bool = False
    ) -> HostObservation:
        return self.spaces.seen(self.env, observations, infos or {}, reads, must, self.time, terminated)


class Batch:
    """B games in this process, stepped one after another."""

    def __init__(self, make: Callable[[], Any], length: int, count: int):
        """count: B. Raises ValueError if `make` returns the same environment twice."""
        envs = [made(make) for _ in range(count)]
        for env in envs[1:]:
            refuse_same(envs[0], env)
        envs[0].reset(seed=0)
        spaces = Spaces(envs[0])
        self.games = [Game(env, spaces, length) for env in envs]
        shapes = (spaces.agents, spaces.view), (spaces.state,), (spaces.agents, spaces.action)
        kinds = np.float32, np.float32, bool
        nothing = (np.zeros((count, *shape), kind) for shape, kind in zip(shapes, kinds, strict=True))
        self.seen = HostObservation(*nothing)

    def begin(self, which: np.ndarray, seeds: np.ndarray) -> HostObservation:
        """Begins new episodes where `which` [B]. Returns the observation of all games. seeds: [B], for `reset`."""
        return self._with({k: self.games[k].begin(int(seeds[k])) for k in map(int, np.flatnonzero(which))})

    def step(self, which: np.ndarray, action: np.ndarray) -> Stepped:
        """Steps the games where `which` [B]; the others stand still, reward 0. action: [B, N]; boxes: [B, N, A]."""
        count, agents = len(self.games), self.games[0].spaces.agents
        reward = np.zeros((count, agents), np.float32)
        terminated, truncated = np.zeros(count, bool), np.zeros(count, bool)
        info = {name: np.zeros(count, np.float32) for name in self.games[0].spaces.measures}
        found: dict[int, HostObservation] = {}
        for k in map(int, np.flatnonzero(which)):
            found[k], reward[k], terminated[k], truncated[k] = self.games[k].step(action[k])
            for name, value in self.games[k].measured.items():
                info[name][k] = value
        return Stepped(self._with(found), reward, terminated, truncated, info)

    def render(self, game: int) -> np.ndarray | None:
        """Returns a picture [H, W, 3] of one game, or None if it does not draw."""
        try:
            picture = self.games[game].env.render()
        except (NotImplementedError, AttributeError):
            return None
        return picture if isinstance(picture, np.ndarray) and picture.ndim == 3 else None

    def close(self) -> None:
        for game in self.games:
            game.env.close()

    def _with(self, found: dict[int, HostObservation]) -> HostObservation:
        """Returns the observation of all games, updated for some, in new arrays: a learner may hold the old ones."""
        self.seen = HostObservation(*(x.copy() for x in self.seen))
        for k, seen in found.items():
            for whole, part in zip(self.seen, seen, strict=True):
                whole[k] = part
        return self.seen
