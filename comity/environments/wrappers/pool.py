"""A pool of co-players: in a share of the episodes two learners meet each other, in the others they meet random tables.

An agent does not observe which co-player it has, so a learner with a memory has to infer it during the episode.
"Multi-agent cooperation through in-context co-player inference" (Weis et al. 2026, arXiv 2602.16301) trains sequence
agents in such a pool; half of it are tables with random probabilities. docs/tasks/pool.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.axes import aligned
from comity.settings import Fraction, check
from comity.spec import Discrete, Functions, Spec, Vector, functions
from comity.types import Environment, Key, Observation, PyTree, Timestep, begin


class State(NamedTuple):
    games: (
        PyTree  # [2, ...]: the first learner's game, in which it has the first seat; the second learner's game.
        # If the learners meet, both play the first game.
    )
    views: Array  # [2, V], views of the tables: the second seat of the first game, the first seat of the second game
    apart: Array  # [] bool, True if each learner plays against a table of its own
    tables: Array  # [2, V, A], probabilities of actions, a row for each entry of the view that can be the largest


@dataclass(frozen=True)
class Pool:
    """A two-agent `game` in which both agents learn. With probability `tables` an episode is two games, each between a
    learner and a table whose rows are uniform on the simplex. Otherwise the learners play each other.

    A table chooses its row by the largest entry of its view, which suits one-hot views. The two games begin with the
    same key; an episode ends when the first of them ends. state: the first game's, and 1.0 if learners play tables.
    """

    game: Environment  # the wrapped game: two agents, one discrete action, vectors as views
    tables: Fraction = 0.5  # probability that the learners play against tables in an episode
    tells: bool = False  # True: a view has 1.0 if the co-player is a table, else 0.0, before its history

    def __post_init__(self) -> None:
        check(self)
        name, spec = type(self.game).__name__, self.game.spec
        if spec.agents != 2:
            raise ValueError(f"a pool needs a game of two agents, {name} has {spec.agents}")
        if not (isinstance(spec.action, Discrete) and isinstance(spec.view, Vector)):
            raise ValueError(f"a pool needs a game with one discrete action and vectors as views, which {name} is not")
        own = functions(self.game)
        if found := [x for x in ("training_reward", "adopt", "carry") if getattr(own, x)]:
            raise ValueError(
                f"a pool plays two games at once and cannot pass on {', '.join(found)}, which {name} has with these "
                "settings: choose others, such as --task.reward normal for manitokan"
            )

    @property
    def spec(self) -> Spec:
        game = self.game.spec
        return replace(
            game,
            view=Vector(game.view.size + self.tells),
            state=Vector(game.state.size + 1),
            private=Vector(0),
            scripts=(),
            headline=f"learners_{game.headline}" if self.tables < 1 else game.headline,
        )

    @property
    def functions(self) -> Functions:
        return Functions(summary=self.summary)

    def reset(self, key: Key, episode: Array | int = 0) -> tuple[State, Observation]:
        key_game, key_apart, key_tables = jax.random.split(key, 3)
        game, observation = begin(self.game, key_game, episode)
        rows = self.game.spec.view.size, self.game.spec.action.n
        drawn = jax.random.exponential(key_tables, (2, *rows))  # normalised, these are uniform on the simplex
        apart = jax.random.uniform(key_apart) < self.tables
        both = jax.tree.map(lambda x: jnp.stack([x, x]), (game, observation))
        state = State(both[0], observation.view[::-1], apart, drawn / drawn.sum(-1, keepdims=True))
        return state, self._observation(state, both[1])

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        key_tables, key_games = jax.random.split(key)
        rows = jnp.take_along_axis(state.tables, state.views.argmax(-1)[:, None, None], 1)[:, 0]  # [2, A]
        first, second = action
        played = jax.random.categorical(key_tables, jnp.log(rows)).astype(action.dtype)
        theirs = jnp.stack([jnp.stack([first, played[0]]), jnp.stack([played[1], second])])
        joint = jnp.where(state.apart, theirs, jnp.stack([action, action]))  # [2, 2]
        games, steps = jax.vmap(self.game.step)(jax.random.split(key_games), state.games, joint)
        views = jnp.stack([steps.observation.view[0, 1], steps.observation.view[1, 0]])
        state = State(games, views, state.apart, state.tables)
        ends = lambda x: x[0] | (state.apart & x[1])  # noqa: E731
        terminated = ends(steps.terminated)
        info = {name: self._own(state, x) for name, x in steps.info.items()}
        return state, Timestep(
            self._observation(state, steps.observation),
            self._own(state, steps.reward),
            terminated,
            ends(steps.truncated) & ~terminated,
            {**info, "met": 1.0 - state.apart},
        )

    def _own(self, state: State, x: Array) -> Array:
        """Each learner's own values [2, ...] of x [2 games, 2 agents, ...]; the first game's value of x [2 games]."""
        if x.ndim < 2:
            return x[0]
        return jnp.where(state.apart, jnp.stack([x[0, 0], x[1, 1]]), x[0])

    def _observation(self, state: State, both: Observation) -> Observation:
        """Returns the observation of the learners, given those of both games, [2 games, ...]."""
        view, available = self._own(state, both.view), self._own(state, both.available)
        apart = state.apart.astype(jnp.float32)
        if self.tells:
            now = view.shape[-1] - self.game.spec.history
            view = jnp.concatenate([view[:, :now], jnp.broadcast_to(apart, (2, 1)), view[:, now:]], -1)
        return Observation(view, jnp.append(both.state[0].astype(jnp.float32), apart), available)

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """The game's statistics; `learners_...`: of episodes in which learners meet; `tables_...`: of the others."""
        met = info["met"].sum(0) > 0  # [B]
        info = {name: x for name, x in info.items() if name != "met"}
        own = functions(self.game).summary
        total = lambda x: jnp.where(aligned(valid, x), x, 0).sum(0)  # noqa: E731
        found: dict[str, Any] = own(reward, info, valid) if own else {name: total(x) for name, x in info.items()}
        both = {**found, "return": reward.sum(0)}
        of = lambda which: {k: jnp.where(aligned(which, x), x, jnp.nan) for k, x in both.items()}  # noqa: E731
        learners = {f"learners_{name}": x for name, x in of(met).items()}
        return {**found, **learners, **{f"tables_{name}": x for name, x in of(~met).items()}}
