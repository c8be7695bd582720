"""The iterated prisoner's dilemma of N players: each plays against all others, with one action for all of them.

With two players it is the game of `ipd`. Cooperating costs an agent less than it gives the others together. No agent
can answer a single other agent. docs/tasks/repeated_matrix.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.settings import Positive, TwoOrMore, check, did_you_mean
from comity.spec import Discrete, Entities, Spec, Vector
from comity.types import Key, Observation, PyTree, Timestep

VERSION = 1  # of the rules

PROFILES: dict[str, dict[str, Any]] = {"coala": {}, "rusp": {"payoffs": (2.0, -2.0, 4.0, 0.0)}}
SCRIPTS = ("all-c", "all-d", "majority")
START = 0  # the outcome before the first step


class State(NamedTuple):
    last: Array  # [N] int32, last actions, 0 cooperate, 1 defect; -1 before the first
    time: Array  # [] int32, steps played


@dataclass(frozen=True)
class NPlayerIPD:
    """N agents. view float32 [N, 1 + 2 N], one-hot: 0 at the start, else 1 + own last action x N +
    number of others that defected.

    state float32 [N + 1]: last actions, t / T. Reward: mean over the matches with all others, in points.
    """

    agents: TwoOrMore = 3  # N, number of agents
    payoffs: tuple[float, ...] = (1.0, -1.0, 2.0, 0.0)  # own points for CC, CD, DC, DD in one match
    length: Positive[int] = 10  # steps of an episode
    clock_terminates: bool = True  # an end by the clock is a true end, of value 0

    def __post_init__(self) -> None:
        check(self)
        if len(self.payoffs) != 4:
            raise ValueError(f"payoffs has {len(self.payoffs)} numbers: give four, own points for CC, CD, DC, DD")

    @property
    def spec(self) -> Spec:
        n = self.agents
        own = tuple(range(1 + 2 * n))
        return Spec(
            n,
            Vector(1 + 2 * n, Entities(own, ((),) * (n - 1), tuple(range(1, n)))),
            Discrete(2),
            self.length,
            state=Vector(n + 1),
            mixed_motive=True,
            headline="cooperation",
            best_symmetric=max(self._shares()),
            scripts=SCRIPTS,
            dilemma=("all-c", "all-d"),
            action_names=("cooperate", "defect"),
        )

    def _shares(self) -> tuple[float, ...]:
        """Mean points of a player if k = 0, ..., N players cooperate. All get as much if they take turns."""
        n, (both, sucker, tempted, neither) = self.agents, self.payoffs
        pairs = n * (n - 1)
        mixed = lambda k: k * (n - k) * (sucker + tempted)  # noqa: E731
        alike = lambda k: k * (k - 1) * both + (n - k) * (n - k - 1) * neither  # noqa: E731
        return tuple((alike(k) + mixed(k)) / pairs for k in range(n + 1))

    def reset(self, key: Key) -> tuple[State, Observation]:
        del key
        state = State(jnp.full(self.agents, -1, jnp.int32), jnp.zeros((), jnp.int32))
        return state, self.observation(state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        del key
        after = State(action.astype(jnp.int32), state.time + 1)
        defectors = action.sum() - action  # [N], number of defectors among the others
        against_c, against_d = jnp.array(self.payoffs).reshape(2, 2)[action].T  # [N]
        others = self.agents - 1
        reward = ((others - defectors) * against_c + defectors * against_d) / others
        over = after.time >= self.length
        ends = over & self.clock_terminates, over & (not self.clock_terminates)
        info = {f"action_{k}": (action == k).astype(jnp.float32) for k in range(2)}
        return after, Timestep(self.observation(after), reward.astype(jnp.float32), *ends, info)

    def observation(self, state: State) -> Observation:
        last = state.last
        outcome = jnp.where(last < 0, START, 1 + last * self.agents + last.sum() - last)
        view = jax.nn.one_hot(outcome, self.spec.view.size)
        known = jnp.concatenate([last, state.time[None] / self.length]).astype(jnp.float32)
        return Observation(view, known, jnp.ones((self.agents, 2), bool))

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """`cooperation` [B, N]: share of an agent's steps in which it cooperates."""
        return {"cooperation": info["action_0"].sum(0) / jnp.maximum(valid.sum(0), 1)[:, None]}

    def script(self, name: str) -> tuple[PyTree, Callable[[PyTree, Array], tuple[Array, PyTree]]]:
        """Returns (memory, act) of a scripted player: all-c, all-d or majority.

        majority cooperates at first, and then if at least half of the others did.
        """
        if name not in SCRIPTS:
            raise ValueError(f"unknown script {name!r}{did_you_mean(name, SCRIPTS)}; known: {', '.join(SCRIPTS)}")
        n = self.agents

        def act(memory: PyTree, view: Array) -> tuple[Array, PyTree]:
            outcome = view.argmax(-1)
            if name != "majority":
                return jnp.full(outcome.shape, int(name == "all-d"), jnp.int32), memory
            many = 2 * ((outcome - 1) % n) > n - 1
            return jnp.where(outcome == START, 0, many).astype(jnp.int32), memory

        return (), act
