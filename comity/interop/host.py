"""Training on games that Python steps: compiled programs act and learn, between them Python plays.

The rollouts are those of `comity.rollout`: whole episodes, frozen at their ends, or steps that go on through resets, as
the algorithm asks. docs/interop.md says what it costs.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from comity.interop.hosted import Hosted, Seen
from comity.recipes import find_algorithm, settings_of
from comity.training import checkpoint
from comity.training.programs import finite
from comity.types import Algorithm, Observation, PyTree, Transition


class Trained(NamedTuple):
    """What came of a training on the host."""

    algorithm: Algorithm
    state: PyTree  # the algorithm's, after the last iteration
    history: list[dict[str, Any]]  # per iteration: iteration, env_steps so far, episodes, return per agent, metrics
    env_steps: int


class Game:
    """One game under way, and what its present episode has brought."""

    def __init__(self, hosted: Hosted, seed: int):
        self.hosted, self.env = hosted, hosted.make()
        self.rng = np.random.default_rng(seed)
        self.begin()

    def begin(self) -> None:
        observations, infos = self.env.reset(seed=int(self.rng.integers(2**31)))
        self.time, self.returns = 0, np.zeros(self.hosted.spec.agents)
        self.seen: Seen = self.hosted.seen(self.env, observations, infos or {})

    def step(self, action: np.ndarray) -> tuple[np.ndarray, bool, bool]:
        """(reward [N], terminated, truncated) of the game: it is over when all agents have left, or time is up."""
        hosted, env = self.hosted, self.env
        chosen = {name: hosted.action_of(k, action[k]) for k, name in enumerate(hosted.names) if name in env.agents}
        observations, rewards, terminations, truncations, infos = env.step(chosen)
        reward = np.array([float(rewards.get(name, 0.0)) for name in hosted.names], np.float32)
        self.time += 1
        self.returns += reward
        gone = not env.agents
        terminated = gone and not any(truncations.values()) and all(terminations.values())
        truncated = not terminated and (gone or self.time >= hosted.length)
        self.seen = hosted.seen(env, observations, infos or {})
        return reward, terminated, truncated


class Host:
    """B games, and rollouts of them."""

    def __init__(self, hosted: Hosted, algorithm: Algorithm, games: int, seed: int):
        self.hosted, self.algorithm = hosted, algorithm
        self.games = [Game(hosted, seed * 1_000_003 + k) for k in range(games)]
        self.fresh = jax.tree.map(
            lambda x: np.broadcast_to(np.asarray(x), (games, *np.shape(x))).copy(), algorithm.memory
        )
        self.memory = self.fresh
        practise = algorithm.practise or algorithm.act
        self.act = jax.jit(lambda key, state, memory, observation: practise(key, state, memory, observation))

    def observed(self) -> Observation:
        fields: Any = (np.stack(x) for x in zip(*(game.seen for game in self.games), strict=True))
        return Observation(*fields)

    def collect(self, key: Any, state: PyTree) -> tuple[Transition, list[tuple[np.ndarray, int]]]:
        """(a rollout, leaves [T, B, ...]; (returns [N], length) of each episode that ended in it)."""
        whole = self.algorithm.whole_episodes
        length = self.hosted.length if whole else self.algorithm.steps or self.hosted.length
        over: Any = np.zeros(len(self.games), bool)
        if whole:
            self.memory = self.fresh
            for game in self.games:
                game.begin()
        rows, ended = [], []
        keys = jax.random.split(key, length)
        for t in range(length):
            before, memory = self.observed(), self.memory
            action, after, notes = jax.tree.map(np.asarray, self.act(keys[t], state, memory, before))
            reward: Any = np.zeros((len(self.games), self.hosted.spec.agents), np.float32)
            terminated: Any = np.zeros_like(over)
            truncated: Any = np.zeros_like(over)
            for k, game in enumerate(self.games):
                if not over[k]:
                    reward[k], terminated[k], truncated[k] = game.step(action[k])
            keep = lambda old, new, held=over: np.where(_aligned(held, new), old, new)  # noqa: E731
            after = jax.tree.map(keep, memory, after)
            following = self.observed()  # before any reset
            rows.append(
                Transition(before, memory, action, reward, following, after, terminated, truncated, ~over, notes, {})
            )
            done = terminated | truncated
            for k in np.flatnonzero(done):
                ended.append((self.games[k].returns, self.games[k].time))
                if not whole:
                    self.games[k].begin()
            fresh = lambda new, old, done=done: np.where(_aligned(done, new), old, new)  # noqa: E731
            self.memory = after if whole else jax.tree.map(fresh, after, self.fresh)
            over = over | done if whole else over
        return jax.tree.map(lambda *xs: np.stack(xs), *rows), ended

    def close(self) -> None:
        for game in self.games:
            game.env.close()


def train(
    game: Hosted,
    algorithm: str | Any = "mappo",
    *,
    iterations: int = 100,
    games: int = 8,
    seed: int = 0,
    out: Path | str | None = None,
    every: int = 20,
    listen: Callable[[dict[str, Any]], None] | None = None,
) -> Trained:
    """Trains one seed on games that Python steps.

    algorithm: a name, or settings (`comity.algorithm("mappo", learning_rate=1e-3)`). games: B, stepped one after the
    other. out: a directory for `metrics.jsonl`, a line per iteration, and `checkpoint.npz`, the algorithm's state,
    every `every` iterations and at the end. listen: called with each line. Raises ValueError for what does not fit,
    before anything compiles, and FloatingPointError when the state is no longer finite.
    """
    made = _made(algorithm, game)
    key = jax.random.key(seed)
    state = jax.jit(made.init)(jax.random.fold_in(key, 0))
    host = Host(game, made, games, seed)
    update, is_finite = jax.jit(made.update, donate_argnums=1), jax.jit(finite)
    folder = Path(out) if out else None
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "metrics.jsonl").write_text("")
    history: list[dict[str, Any]] = []
    env_steps, started = 0, time.monotonic()
    try:
        for iteration in range(1, iterations + 1):
            key_play, key_update = jax.random.split(jax.random.fold_in(key, iteration))
            steps, ended = host.collect(key_play, state)
            state, metrics = update(key_update, state, jax.tree.map(jnp.asarray, steps))
            env_steps += int(steps.valid.sum())
            line = {
                "iteration": iteration,
                "env_steps": env_steps,
                "seconds": round(time.monotonic() - started, 3),
                "episodes": len(ended),
                "return": [float(x) for x in np.mean([r for r, _ in ended], 0)] if ended else None,
                "length": float(np.mean([n for _, n in ended])) if ended else None,
                **{name: float(x) for name, x in metrics.items()},
            }
            if not is_finite(state):
                raise FloatingPointError(f"the state of the learner is not finite after iteration {iteration}")
            history.append(line)
            if listen:
                listen(line)
            if folder:
                with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
                if iteration % every == 0 or iteration == iterations:
                    checkpoint.save(folder / "checkpoint.npz", state, {"iteration": iteration})
    finally:
        host.close()
    return Trained(made, state, history, env_steps)


def _made(algorithm: Any, game: Hosted) -> Algorithm:
    if isinstance(algorithm, str):
        source = find_algorithm(algorithm)
        config = settings_of(source, next(iter(source.presets), None), "preset")
        return source.thing.make(config, game)
    module = sys.modules[type(algorithm).__module__]
    if not hasattr(module, "make"):
        raise ValueError(f"{algorithm!r} is neither a name nor the settings of an algorithm")
    return module.make(algorithm, game)


def _aligned(flags: np.ndarray, x: np.ndarray) -> np.ndarray:
    return flags.reshape(-1, *(1,) * (x.ndim - 1))
