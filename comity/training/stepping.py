"""The programs of a game that Python steps (`Functions.host`), for one seed: `chunk` and `evaluate` run in Python, and
call compiled programs to act and to learn.

Rollouts have the form of `comity.rollout`. Keys and the seeds of episodes depend only on the run's seed, the iteration
and the place. Checkpoints do not hold the states of the games, so after `resume` they begin new episodes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from comity.axes import aligned
from comity.rollout import numbered
from comity.settings import floats, with_floats
from comity.spec import functions
from comity.training.episodes import episode_statistics, fresh_totals, of_each_policy
from comity.training.hosted_play import Under, evaluation_episodes, numbers_of, rollout_of
from comity.training.notices import faults
from comity.training.programs import INIT, TRAIN, Carry, Program, Programs, Recorded, finite, learned, one_key
from comity.types import Algorithm, Environment, EpisodeNumber, Observation, PyTree, Transition

Parts = Mapping[str, Callable[..., Any]]


def programs(
    make: Callable[[Any, Environment], Algorithm], config: Any, env: Environment, games: int, capacity: int,
    episodes: int,
) -> Programs:  # fmt: skip
    """Builds the programs. The arguments are those of `comity.training.programs.programs`."""
    one = Stepping(make, config, env, games, capacity, episodes)
    jitted = {name: jax.jit(f) for name, f in one.pure.items()}
    made, evaluate = lambda: one.algorithm, partial(one.evaluate, jitted)
    chunk: Any = partial(one.chunk, jitted)
    return Programs(
        one.init, chunk, evaluate, made, one.floats, one.parts, one.join, largest="update",
        begins_anew=not one.algorithm.whole_episodes, close=one.close
    )  # fmt: skip


@dataclass(frozen=True)
class Stepping:
    """The parts of the programs. Its fields are the arguments of `programs`."""

    make: Callable[[Any, Environment], Algorithm]
    config: Any
    env: Environment
    games: int
    capacity: int
    episodes: int
    hosts: dict[Any, Any] = field(default_factory=dict)  # hosts of games, by the seed's name; (): for evaluations

    @cached_property
    def algorithm(self) -> Algorithm:
        return self.make(self.config, self.env)

    @property
    def floats(self) -> dict[str, float]:
        return floats(self.config)

    @property
    def slots(self) -> int:
        """Number of games that an evaluation plays at once, for each policy."""
        return min(self.episodes, self.games)

    @property
    def length(self) -> int:
        """Number of steps of a rollout."""
        whole = self.algorithm.whole_episodes
        return self.env.spec.length if whole else self.algorithm.steps or self.env.spec.length

    # ------------------------------------------------------------------ the compiled functions

    @property
    def pure(self) -> dict[str, Callable[..., Any]]:
        return {"update": self.update, "judge": self.judge, "act": self.act, "init": self.init}

    def build(self, values: dict[str, Any]) -> Algorithm:
        return self.make(with_floats(self.config, values), self.env)

    def init(self, values, seed_key) -> Carry:
        return Carry(self.build(values).init(jax.random.fold_in(seed_key, INIT)), (), ())

    def act(self, values, key, step, state, memory, observation, fresh, over):
        """Returns (memory before, action, memory after, notes) of B games in training.

        fresh [B]: True where an episode begins; over [B]: True where it has ended, and memory stays as it was.
        """
        algorithm = self.build(values)
        memory = _where(fresh, _anew(_repeated(algorithm.memory, self.games), memory), memory)
        practise = algorithm.practise or algorithm.act
        action, after, notes = practise(jax.random.fold_in(key, step), state, memory, observation)
        return memory, action, _where(over, memory, after), notes

    def judge(self, values, key, step, state, memory, observation, over):
        """Returns (action, memory after) of 2 `slots` games, the first half sampled, the second greedy."""
        algorithm = self.build(values)
        keys = jax.random.split(jax.random.fold_in(key, step))
        half = lambda part: jax.tree.map(lambda x: x[part], (memory, observation))  # noqa: E731
        sampled = algorithm.act(keys[0], state, *half(slice(None, self.slots)), explore=True)[:2]
        greedy = algorithm.act(keys[1], state, *half(slice(self.slots, None)), explore=False)[:2]
        action, after = jax.tree.map(lambda *xs: jnp.concatenate(xs), sampled, greedy)
        return action, _where(over, memory, after)

    def update(self, values, key, state, totals, steps):
        state, totals, metrics = learned(key, self.env, self.build(values), state, totals, steps)
        return Carry(state, (), ()), totals, metrics, finite(state)

    def parts(self, shape: Carry) -> dict[str, Program]:
        key, step, games, both = one_key(), np.int32(0), self.games, 2 * self.slots
        flags = lambda count: jax.ShapeDtypeStruct((count,), bool)  # noqa: E731
        acting = (self.floats, key, step, shape.state, *self._shapes(games), flags(games), flags(games))
        action, notes = jax.eval_shape(self.act, *acting)[1::2]
        info = jax.eval_shape(lambda: self.env.step(jax.random.key(0), (), ())[1].info)
        steps = _steps(*self._shapes(games), action, notes, tuple(info), self.length)
        totals = () if self.algorithm.whole_episodes else jax.eval_shape(fresh_totals, steps)
        arguments = {
            "update": (self.floats, key, shape.state, totals, steps),
            "judge": (self.floats, key, step, shape.state, *self._shapes(both), flags(both)),
            "act": acting,
            "init": (self.floats, key),
        }
        donated = {"update": (2, 3)}
        return {
            name: Program(f, arguments[name], (True,) * len(arguments[name]), donated.get(name, ()), name != "init")
            for name, f in self.pure.items()
        }

    def _shapes(self, count: int) -> tuple[PyTree, Observation]:
        """The shapes of (memory, observation) of `count` games."""
        one = jax.eval_shape(lambda: self.env.reset(jax.random.key(0))[1])
        wide = lambda x: jax.ShapeDtypeStruct((count, *jnp.shape(x)), x.dtype)  # noqa: E731
        return jax.tree.map(wide, (self.algorithm.memory, one))

    # ------------------------------------------------------------------ the functions that the loop calls

    def join(self, compiled: Parts) -> dict[str, Callable[..., Any]]:
        chunk, evaluate = partial(self.chunk, compiled), partial(self.evaluate, compiled)
        return {"init": compiled.get("init", self.init), "chunk": chunk, "evaluate": evaluate}

    def chunk(self, compiled: Parts, values, seed_key, iteration, count, carry):
        name, state, under, rows, sound = numbers_of(seed_key), carry.state, carry.play, [], True
        if under == ():
            begun = int(iteration) * self.length // self.env.spec.length  # 0, or by the iterations before a resume
            before_first = numbered(_repeated(self.algorithm.memory, self.games), jnp.full(self.games, begun - 1))
            under = Under(self._host(name, self.games), self.games, before_first, None)
        key = jax.random.fold_in(seed_key, TRAIN)
        for now in range(int(iteration), int(iteration) + int(count)):
            key_play, _, key_update = jax.random.split(jax.random.fold_in(key, now), 3)
            decide = partial(_decided, compiled["act"], values, key_play, state)
            steps = rollout_of(under, decide, self.length, self.algorithm.whole_episodes, (*name, TRAIN, now))
            if under.totals is None:
                whole = self.algorithm.whole_episodes
                under.totals = () if whole else jax.tree.map(jnp.asarray, fresh_totals(steps))
            carry, under.totals, metrics, sound = compiled["update"](values, key_update, state, under.totals, steps)
            state = carry.state
            rows.append(jax.tree.map(np.asarray, metrics))
        history = np.full((self.capacity, len(rows[0])), np.nan, np.float32)
        history[: len(rows)] = [list(row.values()) for row in rows]
        return Carry(state, under, ()), Recorded(history, tuple(rows[0])), sound

    def evaluate(self, compiled: Parts, values, begun, key, state):
        host, fresh, found = self._host((), 2 * self.slots), _repeated(self.algorithm.memory, 2 * self.slots), []
        place = jnp.arange(2 * self.slots) % self.slots
        for part in range(-(-self.episodes // self.slots)):
            decide = partial(_decided, compiled["judge"], values, jax.random.fold_in(key, part), state)
            memory = numbered(fresh, begun + part * self.slots + place)
            found.append(
                evaluation_episodes(host, decide, memory, self.env.spec, 2 * self.slots, (*numbers_of(key), part))
            )
        steps = jax.tree.map(lambda *xs: np.concatenate(xs, 1), *found)  # [T, parts * 2 slots, ...]
        greedy = np.arange(steps.valid.shape[1]) // self.slots % 2 == 1
        of = lambda which: jax.tree.map(lambda x: jnp.asarray(x[:, which][:, : self.episodes]), steps)  # noqa: E731
        policies = [of(~greedy), of(greedy)]
        both = jax.tree.map(lambda *xs: jnp.concatenate(xs, 1), *policies)
        number, count = begun + jnp.arange(self.episodes), self.algorithm.policies
        statistics = [of_each_policy(episode_statistics(self.env, one), number, count) for one in policies]
        sampled, best = jax.tree.map(np.asarray, statistics)
        return {"sampled": sampled, "greedy": best, "faults": jax.tree.map(np.asarray, faults(both, self.episodes))}

    def _host(self, name: tuple[int, ...], count: int) -> Any:
        """The host of a seed's games, by the seed's name; (): the host for evaluations, which finish all episodes."""
        if name not in self.hosts:
            self.hosts[name] = functions(self.env).host(count)  # pyright: ignore[reportOptionalCall]
        return self.hosts[name]

    def close(self) -> None:
        while self.hosts:
            self.hosts.popitem()[1].close()


def _decided(program: Callable[..., Any], values: Any, key: Any, state: PyTree, step: np.int32, *shown: Any) -> Any:
    return program(values, key, step, state, *shown)


def _repeated(memory: PyTree, count: int) -> PyTree:
    return jax.tree.map(lambda x: jnp.broadcast_to(jnp.asarray(x), (count, *jnp.shape(x))), memory)


def _anew(first: PyTree, memory: PyTree) -> PyTree:
    """The memory at the start of the next episode: `first`, with the number of that episode."""
    is_number = lambda x: isinstance(x, EpisodeNumber)  # noqa: E731
    of = lambda new, old: EpisodeNumber(old.number + 1) if is_number(new) else new  # noqa: E731
    return jax.tree.map(of, first, memory, is_leaf=is_number)


def _where(condition: Any, yes: PyTree, no: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(aligned(condition, b), a, b), yes, no)


def _steps(
    memory: PyTree, observation: Observation, action: PyTree, notes: PyTree, measures: tuple[str, ...], length: int
) -> Transition:
    """The shapes of a rollout, leaves [length, B, ...]. measures: names of the numbers in `info`."""
    count, agents = observation.available.shape[:2]
    one = lambda kind, *shape: jax.ShapeDtypeStruct((length, *shape), kind)  # noqa: E731
    memory, observation, action, notes = jax.tree.map(
        lambda x: one(x.dtype, *x.shape), (memory, observation, action, notes)
    )
    seen: Any = observation
    reward: Any = one(jnp.float32, count, agents)
    flags: Any = one(bool, count)
    told: Any = {name: one(jnp.float32, count) for name in measures}
    return Transition(seen, memory, action, reward, seen, memory, flags, flags, flags, notes, told)
