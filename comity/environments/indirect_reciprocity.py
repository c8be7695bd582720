"""Indirect reciprocity: at every step two of several agents play a prisoner's dilemma, and the others watch.

The n-player game of RUSP (Baker 2020, arXiv 2011.05373): an agent that defects on one agent can get a reputation among
the others. Each step is the last with a small chance. Some settings of `selects` treat the last agent, which a script
may play, in a special way: they test what the others have learnt about it. docs/tasks/indirect_reciprocity.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.environments.horizon import drawn_horizon
from comity.settings import Fraction, NotNegative, Positive, TwoOrMore, check, did_you_mean
from comity.spec import Discrete, Entities, Spec, Vector
from comity.types import Key, Observation, PyTree, Timestep

VERSION = 1  # of the rules

PROFILES: dict[str, dict[str, Any]] = {
    "paper": {},
    "hold-out": {"selects": "hold-out"},
    "rapport": {"selects": "rapport"},
    "always-plays": {"selects": "always-plays"},
}


class State(NamedTuple):
    identity: Array  # [N, D] float32 in [0, 1), numbers by which others recognise an agent; drawn for each episode
    playing: Array  # [N] bool, the two agents that play the coming step
    last: Array  # [N] int32, actions of the last step; -1: did not play
    time: Array  # [] int32, steps played
    horizon: Array  # [] int32, steps of this episode


@dataclass(frozen=True)
class IndirectReciprocity:
    """N agents, two of which play in each step. view float32 [N, 4 + D + (N - 1) (2 + D)]; state [2 + N (2 + D)].

    view: own last action (-1: did not play), 1 if it played in the last step, 1 if it plays now, identity, t; then for
    each other, agents i - 1, i - 2, ...: last action, 1 if it plays now, identity. state: t / H, H, then for each agent
    last action, 1 if it plays now, identity. An agent that does not play has only action 0, and earns 0. Rewards in
    points.
    """

    agents: TwoOrMore = 3  # N, number of agents
    payoffs: tuple[float, ...] = (2.0, -2.0, 4.0, 0.0)  # own points for CC, CD, DC, DD, own action first
    length: Positive[int] = 200  # most steps of an episode; 4 in 100,000 are cut there
    end_chance: Fraction = 0.05  # chance that a step is the last; 0: every episode has `length` steps
    identity_size: NotNegative[int] = 16  # D, size of an agent's identity
    selects: Literal["uniform", "hold-out", "rapport", "always-plays"] = "uniform"  # the two that play
    # uniform: any two | hold-out: agent 0 only watches, but in the last step it plays the last agent | rapport: any
    # two, but not the last agent in the first `rapport_steps` | always-plays: the last agent and any other
    rapport_steps: NotNegative[int] = 5  # k: the last agent may play from t = k on; t counts from 0
    rapport_starts: bool = False  # True: it must play at t = k
    clock_terminates: bool = True  # an end by the clock is a true end, of value 0; an end by chance always is

    def __post_init__(self) -> None:
        check(self)
        if len(self.payoffs) != 4:
            raise ValueError(f"payoffs {self.payoffs} must be four finite numbers: own points for CC, CD, DC, DD")
        if self.agents < 3 and (self.selects == "hold-out" or (self.selects == "rapport" and self.rapport_steps)):
            raise ValueError(f"selects {self.selects} leaves one of {self.agents} agents out: set agents to 3 or more")

    @property
    def spec(self) -> Spec:
        first = [self.own_size + k * self.other_size for k in range(self.agents - 1)]
        entities = Entities(
            own=tuple(range(self.own_size)),
            others=tuple(tuple(range(at, at + self.other_size)) for at in first),
            offsets=self.offsets,
        )
        return Spec(
            self.agents,
            Vector(self.own_size + len(first) * self.other_size, entities),
            Discrete(2),
            self.length,
            state=Vector(2 + self.agents * self.other_size),
            mixed_motive=True,
            headline="cooperation",
            scripts=("all-c", "all-d", "tit-for-tat"),
            dilemma=("all-c", "all-d"),
            action_names=("cooperate", "defect"),
            event_names=("cooperated", "defected"),
            event_words=(("cooperated", "cooperates"), ("defected", "defects")),
        )

    @property
    def offsets(self) -> tuple[int, ...]:
        """Offsets of the others of agent i, in order: i - 1, i - 2, ..., modulo N."""
        return tuple(range(-1, -self.agents, -1))

    @property
    def own_size(self) -> int:
        """The number of entries of a view that describe the agent itself; they come first."""
        return 4 + self.identity_size

    @property
    def other_size(self) -> int:
        """The number of entries that describe each other agent."""
        return 2 + self.identity_size

    def reset(self, key: Key) -> tuple[State, Observation]:
        key_horizon, key_identity, key_pair = jax.random.split(key, 3)
        horizon = drawn_horizon(key_horizon, self.end_chance, self.length)
        identity = jax.random.uniform(key_identity, (self.agents, self.identity_size))
        time = jnp.zeros((), jnp.int32)
        state = State(
            identity, self.drawn_pair(key_pair, time, horizon), jnp.full(self.agents, -1, jnp.int32), time, horizon
        )
        return state, self.observation(state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        playing = state.playing
        action = jnp.where(playing, action, 0).astype(jnp.int32)
        other = jnp.where(playing, action.sum() - action, 0)  # the action of the partner
        reward = jnp.where(playing, jnp.asarray(self.payoffs, jnp.float32)[2 * action + other], 0.0)  # [N]
        time = state.time + 1
        after = State(
            state.identity,
            self.drawn_pair(key, time, state.horizon),
            jnp.where(playing, action, -1),
            time,
            state.horizon,
        )
        over = time >= state.horizon
        truncated = over & (time >= self.length) & (not self.clock_terminates)
        info = {
            "cooperated": (playing & (action == 0)).astype(jnp.float32),
            "defected": (playing & (action == 1)).astype(jnp.float32),
        }
        return after, Timestep(self.observation(after), reward, over & ~truncated, truncated, info)

    def drawn_pair(self, key: Key, time: Array, horizon: Array) -> Array:
        """[N] bool, the two agents that play step `time`, counted from 0.

        First come those that must play, then a random draw from those that may.
        """
        agent = jnp.arange(self.agents)
        last = agent == self.agents - 1
        may, must = jnp.ones(self.agents, bool), jnp.zeros(self.agents, bool)
        if self.selects == "hold-out":
            ends = time >= horizon - 1
            may, must = (agent > 0) | ends, ((agent == 0) | last) & ends
        elif self.selects == "rapport":
            may = ~last | (time >= self.rapport_steps)
            must = last & (time == self.rapport_steps) & self.rapport_starts
        elif self.selects == "always-plays":
            must = last
        lot = jax.random.uniform(key, (self.agents,)) + jnp.where(must, 1.0, 0.0) - jnp.where(may, 0.0, 2.0)
        first = agent == lot.argmax()
        second = agent == jnp.where(first, -jnp.inf, lot).argmax()
        return first | second

    def observation(self, state: State) -> Observation:
        playing, last = state.playing.astype(jnp.float32), state.last.astype(jnp.float32)
        about = jnp.concatenate([last[:, None], playing[:, None], state.identity], -1)  # [N, 2 + D]
        own = [last, (state.last >= 0).astype(jnp.float32), playing]
        clock = jnp.broadcast_to(state.time.astype(jnp.float32), (self.agents, 1))
        others = (jnp.arange(self.agents)[:, None] + jnp.asarray(self.offsets)) % self.agents  # [N, N - 1]
        view = [jnp.stack(own, -1), state.identity, clock, about[others].reshape(self.agents, -1)]
        known = [state.time / state.horizon, state.horizon.astype(jnp.float32)]
        available = jnp.stack([jnp.ones_like(state.playing), state.playing], -1)
        return Observation(jnp.concatenate(view, -1), jnp.concatenate([jnp.stack(known), about.reshape(-1)]), available)

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """Shares of matches, NaN if there was none.

        [B, N]: `cooperation`, `defection` in an agent's matches. [B]: `defection_against_last` and `_among_others`:
        defection by all but the last agent, in matches with it and without it; `_among_others_since`: without it, after
        its first match; `defection_in_the_end`: defection by agent 0 in the last step.
        """
        cooperated, defected = info["cooperated"], info["defected"]  # [T, B, N]
        games = cooperated + defected
        with_last = games[..., -1] > 0  # [T, B]
        since = with_last.cumsum(0) > 0
        ends = valid & ~jnp.concatenate([valid[1:], jnp.zeros_like(valid[:1])])

        def share(counts: Array, steps: Array, of: slice = slice(None, -1)) -> Array:
            """Sum of counts over the sum of matches, in the steps [T, B] and for the agents `of`."""
            part = lambda x: jnp.where(steps, x[..., of].sum(-1), 0.0).sum(0)  # noqa: E731
            return ratio(part(counts), part(games))

        return {
            "cooperation": ratio(cooperated.sum(0), games.sum(0)),
            "defection": ratio(defected.sum(0), games.sum(0)),
            "defection_against_last": share(defected, with_last),
            "defection_among_others": share(defected, ~with_last),
            "defection_among_others_since": share(defected, since & ~with_last),
            "defection_in_the_end": share(defected, ends, slice(0, 1)),
        }

    def script(self, name: str) -> tuple[PyTree, Callable[[PyTree, Array], tuple[Array, PyTree]]]:
        """Returns (memory at the start, act), where act(memory, view [..., V]) -> (action [...] int32, memory).

        all-c cooperates, all-d defects. tit-for-tat repeats what its partner did when they last played together, and
        cooperates with a partner it has not met. Entries that a wrapper adds to the view are not read.
        """
        if name not in self.spec.scripts:
            near = did_you_mean(name, self.spec.scripts)
            raise ValueError(f"unknown script {name!r}{near}; known: {', '.join(self.spec.scripts)}")

        def act(memory: PyTree, view: Array) -> tuple[Array, PyTree]:
            has_played, plays = view[..., 1] > 0, view[..., 2] > 0
            if name != "tit-for-tat":
                return jnp.where(plays & (name == "all-d"), 1, 0).astype(jnp.int32), memory
            others = view[..., self.own_size : self.spec.view.size].reshape(*view.shape[:-1], -1, self.other_size)
            last, theirs = others[..., 0].astype(jnp.int32), others[..., 1] > 0
            memory = jnp.where(has_played[..., None] & (last >= 0), last, memory)  # only of its last partner
            return jnp.where(plays, jnp.where(theirs, memory, 0).sum(-1), 0).astype(jnp.int32), memory

        return (jnp.zeros(self.agents - 1, jnp.int32) if name == "tit-for-tat" else ()), act


def ratio(part: Array, whole: Array) -> Array:
    """Returns part / whole, NaN where the whole is 0."""
    return jnp.where(whole > 0, part / jnp.where(whole > 0, whole, 1.0), jnp.nan)
