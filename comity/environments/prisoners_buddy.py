"""Prisoner's Buddy: agents choose partners. A mutual choice pays both, an unanswered one costs the chooser.

The team formation game of RUSP (Baker 2020, arXiv 2011.05373). Only every fifth step pays; choices in between are seen
and cost nothing. With an odd number of agents at least one stays alone. docs/tasks/prisoners_buddy.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.environments.horizon import drawn_horizon
from comity.settings import Fraction, NotNegative, Positive, TwoOrMore, check
from comity.spec import Discrete, Entities, MultiDiscrete, Spec, Vector
from comity.types import Key, Observation, PyTree, Timestep

VERSION = 1  # of the rules

PROFILES: dict[str, dict[str, Any]] = {"paper": {}, "one-head": {"heads_as": "one"}}

CHOOSE, SIT_OUT = 0, 1  # values of the option


class State(NamedTuple):
    identity: Array  # [N, D] float32 in [0, 1), numbers by which others recognise an agent; drawn for each episode
    choice: Array  # [N] int32, the agent chosen in the last step; -1: none
    paid: Array  # [N] int32, the agent chosen in the last paid round; -1: none
    time: Array  # [] int32, steps played
    horizon: Array  # [] int32, steps of this episode


@dataclass(frozen=True)
class PrisonersBuddy:
    """N agents. view float32 [N, 5 + 2 D + (N - 1) (7 + 2 D)]; state [3 + N (2 + 2 N + D)]. Rewards in points.

    Actions: an option (0 choose, 1 sit out) and one of the others, agents i - 1, i - 2, ...; as one head: the others
    first, sitting out last. view: last option (one-hot, zeros before the first), 1 if the coming step pays, 1 if the
    agent chose in the last paid round, identity, identity of its last choice (zeros: none), t; then for each other
    agent in the same order: last option, it chose me, I chose it (last step), the same two (last paid round), 1 if it
    chose in that round, identity, identity of its last choice. state: t / H, H, 1 if the coming step pays; for each
    agent its last option, last choice and last paid choice as one-hot, identity.
    """

    agents: TwoOrMore = 5  # N, number of agents
    length: Positive[int] = 500  # most steps of an episode; 4 in 100,000 are cut there
    end_chance: Fraction = 0.02  # chance that a step is the last; 0: every episode has `length` steps
    period: Positive[int] = 5  # a step pays if its number, from 1, is a multiple of this
    identity_size: NotNegative[int] = 16  # D, size of an agent's identity
    heads_as: Literal["two", "one"] = "two"  # one: a single head of N actions, for learners that need one
    mutual: float = 2.0  # points for each of two agents that choose each other
    unanswered: float = -2.0  # points for a choice that is not answered
    chosen: float = 1.0  # points for an agent, per agent that chooses it and is not chosen by it
    clock_terminates: bool = True  # an end by the clock is a true end, of value 0; an end by chance always is

    def __post_init__(self) -> None:
        check(self)

    @property
    def spec(self) -> Spec:
        n, own, other, two = self.agents, self.own_size, self.other_size, self.heads_as == "two"
        first = [own + k * other for k in range(n - 1)]
        entities = Entities(
            own=tuple(range(own)), others=tuple(tuple(range(at, at + other)) for at in first), offsets=self.offsets
        )
        whom = tuple(f"agent i{offset}" for offset in self.offsets)
        return Spec(
            n,
            Vector(own + len(first) * other, entities),
            MultiDiscrete((2, n - 1), pointer=1) if two else Discrete(n),
            self.length,
            state=Vector(3 + n * (2 + 2 * n + self.identity_size)),
            mixed_motive=True,
            headline="agents_in_pairs",
            action_names=(("choose", "sit out"), whom) if two else (*whom, "sit out"),
            event_names=("new_team", "team_change", "one_way"),
        )

    @property
    def offsets(self) -> tuple[int, ...]:
        """Offsets of the others of agent i, in order: i - 1, i - 2, ..., modulo N."""
        return tuple(range(-1, -self.agents, -1))

    @property
    def own_size(self) -> int:
        """The number of entries of a view that describe the agent itself; they come first."""
        return 5 + 2 * self.identity_size

    @property
    def other_size(self) -> int:
        """The number of entries that describe each other agent."""
        return 7 + 2 * self.identity_size

    def counts(self, action: PyTree) -> tuple[Array, ...]:
        """Bool [..., N] per head, True if the head has an effect: the second has none if the agent sits out."""
        if self.heads_as == "one":
            return (jnp.ones_like(action, bool),)
        option, _ = action
        return jnp.ones_like(option, bool), option == CHOOSE

    def reset(self, key: Key) -> tuple[State, Observation]:
        key_horizon, key_identity = jax.random.split(key)
        horizon = drawn_horizon(key_horizon, self.end_chance, self.length)
        identity = jax.random.uniform(key_identity, (self.agents, self.identity_size))
        nobody = jnp.full(self.agents, -1, jnp.int32)
        state = State(identity, nobody, nobody, jnp.zeros((), jnp.int32), horizon)
        return state, self.observation(state)

    def step(self, key: Key, state: State, action: PyTree) -> tuple[State, Timestep]:
        choice, time = self.choices(action), state.time + 1
        pays = time % self.period == 0
        chose, before = self.chosen_by(choice), self.chosen_by(state.paid)  # [N, N], this step, last paid round
        pair, old_pair = chose & chose.T, before & before.T
        one_way = chose & ~chose.T
        points = (
            self.mutual * pair.any(1) + self.unanswered * one_way.any(1) + self.chosen * one_way.sum(0)
        )  # row: the agent that chooses, column: the agent that it chooses
        after = State(state.identity, choice, jnp.where(pays, choice, state.paid), time, state.horizon)
        over = time >= state.horizon
        truncated = over & (time >= self.length) & (not self.clock_terminates)
        events = {  # counted in paid rounds only
            "teamed": pair.any(1),
            "new_team": (pair & ~old_pair).any(1),
            "team_change": (old_pair & ~pair).any(1),
            "one_way": one_way.any(1),
            "unchosen": ~chose.any(0),
            "sat_out": choice < 0,
        }
        info = {name: (x & pays).astype(jnp.float32) for name, x in events.items()}
        info["paid"] = pays.astype(jnp.float32)
        reward = jnp.where(pays, points, 0.0).astype(jnp.float32)
        return after, Timestep(self.observation(after), reward, over & ~truncated, truncated, info)

    def choices(self, action: PyTree) -> Array:
        """[N] int32, the agent that each agent chooses; -1: none."""
        if self.heads_as == "two":
            option, slot = action
            sits = option == SIT_OUT
        else:
            slot, sits = action, action == self.agents - 1
        chosen = (jnp.arange(self.agents) - 1 - slot) % self.agents
        return jnp.where(sits, -1, chosen).astype(jnp.int32)

    def chosen_by(self, choice: Array) -> Array:
        """[N, N] bool, True where the row agent chooses the column agent."""
        return choice[:, None] == jnp.arange(self.agents)

    def observation(self, state: State) -> Observation:
        n = self.agents
        begun, chose = state.time > 0, state.choice >= 0
        option = jnp.stack([chose & begun, ~chose & begun], -1).astype(jnp.float32)  # [N, 2]
        last, paid = self.chosen_by(state.choice).astype(jnp.float32), self.chosen_by(state.paid).astype(jnp.float32)
        taken = jnp.where(chose[:, None], state.identity[state.choice], 0.0)  # [N, D], identity of the agent chosen
        pays = ((state.time + 1) % self.period == 0).astype(jnp.float32)
        any_paid = (state.paid >= 0).astype(jnp.float32)[:, None]
        clock = state.time.astype(jnp.float32)
        own = [option, jnp.full((n, 1), pays), any_paid, state.identity, taken, jnp.full((n, 1), clock)]
        # Row: the agent that sees; column: the agents it sees, in the order of `offsets`.
        others = (jnp.arange(n)[:, None] + jnp.asarray(self.offsets)) % n  # [N, N - 1]
        ties = [jnp.take_along_axis(x, others, 1)[..., None] for x in (last.T, last, paid.T, paid)]
        about_others = [option[others], *ties, any_paid[others], state.identity[others], taken[others]]
        view = [*own, jnp.concatenate(about_others, -1).reshape(n, -1)]
        known = jnp.stack([state.time / state.horizon, state.horizon.astype(jnp.float32), pays])
        each = jnp.concatenate([option, last, paid, state.identity], -1)
        if self.heads_as == "two":
            available = (jnp.ones((n, 2), bool), jnp.ones((n, n - 1), bool))
        else:
            available = jnp.ones((n, n), bool)
        return Observation(jnp.concatenate(view, -1), jnp.concatenate([known, each.reshape(-1)]), available)

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """Statistics of paid rounds, NaN if there was none. A team is a pair of agents that choose each other.

        [B]: `agents_in_pairs`: agents in teams, per round; `team_length`: mean number of rounds that a team lasts, 0
        without any team, as in the authors' environments; `team_changes`: number of times that an agent is no longer in
        its team of the round before; `ever_unchosen`: number of agents that in some round nobody chose;
        `one_way_choices`: number of choices that are not answered; `perfect`: 1 if all rounds have the same teams and
        as many as possible, NaN below two rounds; `paid_rounds`: their number. [B, N]: `sat_out`: share of rounds in
        which an agent sat out.
        """
        rounds = info["paid"].sum(0)  # [B]
        known = lambda x, least=1: jnp.where(rounds >= least, x, jnp.nan)  # noqa: E731
        total = {name: x.sum(0) for name, x in info.items() if name != "paid"}  # [B, N]
        agents = {name: x.sum(-1) for name, x in total.items()}  # [B]
        teams, full = agents["new_team"], 2 * (self.agents // 2)
        kept = (info["teamed"].sum(-1) == full) & (info["new_team"].sum(-1) == 0)
        compared = (info["paid"] > 0) & (info["paid"].cumsum(0) >= 2)  # [T, B], rounds after the first
        return {
            "agents_in_pairs": known(agents["teamed"] / jnp.maximum(rounds, 1)),
            "team_length": known(agents["teamed"] / jnp.maximum(teams, 1)),
            "team_changes": known(agents["team_change"]),
            "ever_unchosen": known((total["unchosen"] > 0).sum(-1)),
            "one_way_choices": known(agents["one_way"]),
            "perfect": known((kept | ~compared).all(0), 2),
            "paid_rounds": rounds,
            "sat_out": jnp.where(rounds[:, None] > 0, total["sat_out"] / jnp.maximum(rounds, 1)[:, None], jnp.nan),
        }
