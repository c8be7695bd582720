"""A repeated matrix game of two players: prisoner's dilemma, stag hunt, chicken, or a game of your own.

In each step both choose an action, see both actions, and get their points. In games of two actions 0 is cooperate and 1
is defect. Outcomes stand in the order CC, CD, DC, DD, own action first, for each player from its own point of view. The
values of players that remember one outcome are known in closed form (`exact_values`, `finite_values`).
docs/tasks/repeated_matrix.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from comity.environments.horizon import drawn_horizon
from comity.settings import Fraction, Positive, check, did_you_mean
from comity.spec import Discrete, Entities, Spec, Vector
from comity.types import Key, Observation, PyTree, Timestep

VERSION = 1  # of the rules

PROFILES: dict[str, dict[str, Any]] = {
    "stag-hunt": {"payoffs": (4.0, 0.0, 3.0, 3.0)},
    "chicken": {"payoffs": (0.0, -1.0, 1.0, -10.0)},
    "matching-pennies": {"payoffs": (1.0, -1.0, -1.0, 1.0), "payoffs_second": (-1.0, 1.0, 1.0, -1.0)},
    "coordination": {"payoffs": (2.0, 0.0, 0.0, 1.0)},
}
START = 0  # the outcome before the first step; others are 1 + own action x A + the other's action


class State(NamedTuple):
    last: Array  # [2] int32, last actions; -1 before the first
    seen: Array  # [2] int32, the other's last action as each agent saw it
    time: Array  # [] int32, steps played
    horizon: Array  # [] int32, steps of this episode


@dataclass(frozen=True)
class RepeatedMatrix:
    """Two players, A actions. view float32 [2, V], see `sees`; state float32 [4]: last actions, t / H, H.

    Rewards in points. `end_chance` 0: every episode has `length` steps. Raises ValueError if a table is not square.
    """

    payoffs: tuple[float, ...] = (4.0, 0.0, 3.0, 3.0)  # own points, row by own action, column by the other's
    payoffs_second: tuple[float, ...] = ()  # those of agent 1, rows are its own actions; empty: as agent 0
    length: Positive[int] = 10  # most steps of an episode
    end_chance: Fraction = 0.0  # chance that a step is the last: horizons are geometric, cut at `length`
    sees: Literal["outcome", "actions"] = "outcome"
    # outcome: one-hot of the last outcome, own action first, or the start | actions: own, the other's (-1: none yet), t
    misseen: Fraction = 0.0  # chance that an agent sees a wrong action of the other, drawn evenly from the wrong ones
    misseen_by: Literal["both", "first", "second"] = "both"  # the agents that missee; in ipd+learners players are first
    clock_terminates: bool = True  # an end by the clock is a true end, of value 0; an end by chance always is

    def __post_init__(self) -> None:
        check(self)
        actions = self.spec.action.n
        if actions < 2 or actions**2 != len(self.payoffs):
            raise ValueError(f"payoffs has {len(self.payoffs)} numbers: give a square matrix, row by row")
        if self.payoffs_second and len(self.payoffs_second) != len(self.payoffs):
            raise ValueError(
                f"payoffs_second has {len(self.payoffs_second)} numbers, payoffs {len(self.payoffs)}: give as many"
            )

    @property
    def spec(self) -> Spec:
        n = math.isqrt(len(self.payoffs))
        if self.sees == "outcome":  # one code for both actions, so no number is about the other alone
            view = Vector(1 + n**2, Entities(tuple(range(1 + n**2)), ((),), (1,)))
        else:
            view = Vector(3, Entities((0, 2), ((1,),), (1,)))
        return Spec(
            2,
            view,
            Discrete(n),
            self.length,
            state=Vector(4),
            mixed_motive=True,
            headline="cooperation" if n == 2 else "return",
            best_symmetric=self._best_symmetric(),
            scripts=("all-c", "all-d", "tit-for-tat"),
            dilemma=("all-c", "all-d"),
            event_names=(),
            action_names=("cooperate", "defect") if n == 2 else tuple(f"action {k}" for k in range(n)),
        )

    def _best_symmetric(self) -> float | None:
        """Most points per step that both players can have alike: by the same action, or by turns in a pair of actions.

        None if the players have different tables.
        """
        table = np.asarray(self.payoffs).reshape(math.isqrt(len(self.payoffs)), -1)
        return None if self.payoffs_second else float((table + table.T).max() / 2)

    @property
    def tables(self) -> np.ndarray:
        """float32 [2, A, A], own points of each agent for (own action, the other's)."""
        second = self.payoffs_second or self.payoffs
        return np.asarray([self.payoffs, second], np.float32).reshape(2, self.spec.action.n, -1)

    def reset(self, key: Key) -> tuple[State, Observation]:
        horizon = drawn_horizon(key, self.end_chance, self.length)
        none = jnp.full(2, -1, jnp.int32)
        state = State(none, none, jnp.zeros((), jnp.int32), horizon)
        return state, self.observation(state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        other = action[::-1]
        tables = jnp.asarray(self.tables)
        reward = tables[jnp.arange(2), action, other]  # [2]
        after = State(action.astype(jnp.int32), self._misread(key, other), state.time + 1, state.horizon)
        over = after.time >= state.horizon
        by_clock = over & (after.time >= self.length)
        truncated = by_clock & (not self.clock_terminates)
        info = {f"action_{k}": (action == k).astype(jnp.float32) for k in range(self.spec.action.n)}
        return after, Timestep(self.observation(after), reward, over & ~truncated, truncated, info)

    def observation(self, state: State) -> Observation:
        other = state.seen
        if self.sees == "outcome":
            outcome = jnp.where(state.last < 0, START, 1 + state.last * self.spec.action.n + other)
            view = jax.nn.one_hot(outcome, self.spec.view.size)
        else:
            view = jnp.stack([state.last, other, jnp.broadcast_to(state.time, (2,))], -1).astype(jnp.float32)
        passed = state.time / state.horizon
        known = jnp.concatenate([state.last, passed[None], state.horizon[None]]).astype(jnp.float32)
        return Observation(view, known, jnp.ones((2, self.spec.action.n), bool))

    def _misread(self, key: Key, other: Array) -> Array:
        """Returns the other's actions [2] as the agents see them, some of them wrong."""
        if not self.misseen:
            return other.astype(jnp.int32)
        key_whether, key_what = jax.random.split(key)
        wrong = jax.random.uniform(key_whether, (2,)) < self.misseen
        if self.misseen_by != "both":
            wrong &= jnp.array([self.misseen_by == "first", self.misseen_by == "second"])
        another = (other + jax.random.randint(key_what, (2,), 1, self.spec.action.n)) % self.spec.action.n
        return jnp.where(wrong, another, other).astype(jnp.int32)

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """Shares of an agent's steps, [B, N]: `cooperation` (action 0) in games of two actions, else one per action."""
        steps = jnp.maximum(valid.sum(0), 1)[:, None]
        shares = {name: x.sum(0) / steps for name, x in info.items()}
        return {"cooperation": shares["action_0"]} if self.spec.action.n == 2 else shares

    def script(self, name: str) -> tuple[PyTree, Callable[[PyTree, Array], tuple[Array, PyTree]]]:
        """Returns (memory at the start, act), where act(memory, view [..., V]) -> (action [...] int32, memory).

        all-c cooperates, all-d defects, tit-for-tat cooperates first and then repeats the other's last action.
        """
        if name not in self.spec.scripts:
            near = did_you_mean(name, self.spec.scripts)
            raise ValueError(f"unknown script {name!r}{near}; known: {', '.join(self.spec.scripts)}")

        def act(memory: PyTree, view: Array) -> tuple[Array, PyTree]:
            if name != "tit-for-tat":
                return jnp.full(view.shape[:-1], 0 if name == "all-c" else 1, jnp.int32), memory
            if self.sees == "actions":
                return jnp.maximum(view[..., 1], 0).astype(jnp.int32), memory
            outcome = view.argmax(-1)
            return jnp.where(outcome == START, 0, (outcome - 1) % self.spec.action.n).astype(jnp.int32), memory

        return (), act

    def exact_values(self, logits: Float[Array, "2 5"], gamma: Float[Array, ""] | float) -> Float[Array, " 2"]:
        """[2], values of players that remember one outcome, if the game never ends; see the function of that name."""
        return exact_values(jnp.asarray(self.tables), logits, gamma)


# Values of players that remember one outcome --------------------------------------------------------------------------


def outcomes(logits: Float[Array, "2 5"]) -> tuple[Float[Array, " 4"], Float[Array, "4 4"]]:
    """Returns (distribution of the first outcome, transition matrix), outcomes CC, CD, DC, DD as agent 0 sees them.

    logits: of cooperation at the start and after CC, CD, DC, DD, each player's from its own point of view.
    """
    mine, theirs = jax.nn.sigmoid(logits)
    theirs = theirs[jnp.array([0, 1, 3, 2, 4])]  # agent 1's CD is agent 0's DC
    both = jnp.stack([mine * theirs, mine * (1 - theirs), (1 - mine) * theirs, (1 - mine) * (1 - theirs)], -1)
    return both[0], both[1:]


def rewards_of(tables: Float[Array, "2 2 2"]) -> Float[Array, "2 4"]:
    """Each agent's points at the outcomes CC, CD, DC, DD as agent 0 sees them."""
    return jnp.stack([tables[0].reshape(-1), tables[1].T.reshape(-1)])


def exact_values(
    tables: Float[Array, "2 2 2"], logits: Float[Array, "2 5"], gamma: Float[Array, ""] | float
) -> Float[Array, " 2"]:
    """V_i = p_0^T (I - gamma P)^-1 r_i: discounted returns of a game that never ends. Times 1 - gamma: points per step.

    tables [2, 2, 2]: own points by (own action, the other's). Foerster et al. 2018 (LOLA), section 4.3.
    """
    first, transitions = outcomes(logits)
    visits = solution(jnp.eye(4) - gamma * transitions.T, first)  # discounted number of visits
    return rewards_of(tables) @ visits


def solution(matrix: Float[Array, "4 4"], right: Float[Array, " 4"]) -> Float[Array, " 4"]:
    """Solves matrix @ x = right. Derivatives are further solutions: those of the elimination itself would make the
    program for LOLA several times as large."""
    return jax.lax.custom_linear_solve(
        lambda x: (matrix * x).sum(-1),
        right,
        lambda _, right: eliminate(matrix, right),
        lambda _, right: eliminate(matrix.T, right),
    )


def eliminate(matrix: Float[Array, "4 4"], right: Float[Array, " 4"]) -> Float[Array, " 4"]:
    """Solves matrix @ x = right by elimination without row exchanges.

    I - gamma P^T needs none: the diagonal dominates its columns. LAPACK is avoided because it hangs if two threads
    run a compiled program (ARCHITECTURE.md).
    """
    rows = [jnp.append(matrix[i], right[i]) for i in range(4)]
    for i in range(4):
        rows[i] = rows[i] / rows[i][i]
        rows = [row if j == i else row - row[i] * rows[i] for j, row in enumerate(rows)]
    return jnp.stack([row[4] for row in rows])


def finite_values(
    tables: Float[Array, "2 2 2"], logits: Float[Array, "2 5"], steps: int, gamma: Float[Array, ""] | float = 1.0
) -> Float[Array, " 2"]:
    """Does the same as `exact_values` for a game of `steps` steps."""
    now, transitions = outcomes(logits)

    def step(carry, _):
        now, factor, total = carry
        return (now @ transitions, factor * gamma, total + factor * now), None

    start = now, jnp.ones_like(now[0]), jnp.zeros_like(now)
    (_, _, visits), _ = jax.lax.scan(step, start, None, length=steps)
    return rewards_of(tables) @ visits
