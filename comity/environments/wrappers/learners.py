"""Opponents that learn inside the game: M episodes of a two-player game in a row are one episode against a learner.

The batched co-player shaping problem of COALA-PG (Meulemans et al. 2025, arXiv 2410.18636, section 3). b inner games
are played at once against one naive learner. At the end of each inner episode it updates from all of them, and its
memory starts anew. Who plays against it keeps its memory over all M episodes, and sees where an inner episode begins
by what the game shows then. Each inner game is an agent here, so that any algorithm that shares one actor among agents
can learn to shape. docs/tasks/learners.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from comity.axes import aligned
from comity.settings import Fraction, NotNegative, Positive, check
from comity.spec import Discrete, Functions, MetaEpisodes, Spec, Vector
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Timestep, Transition


class State(NamedTuple):
    """One episode; b inner games."""

    games: PyTree  # [b, ...]
    observation: Observation  # [b, ...] of both sides
    over: Array  # [b] bool, the inner game has ended before its T steps
    time: Array  # [] int32, steps of all inner episodes
    naive: Array  # [] bool, the second side is the learner's
    players: Array  # [seats] int32, who sits where
    learner: PyTree
    memory: PyTree  # [b, 1, ...] the learner's
    action: Array  # [b, 1] int32, what it will do next
    notes: dict[str, Array]  # [b, 1, ...]
    steps: Transition  # [T, b, ...] its steps of this inner episode


@dataclass(frozen=True)
class Side:
    """One side of a game, as a game of one agent. It has sizes only, which its learner needs."""

    game: Environment

    @property
    def spec(self) -> Spec:
        game = self.game.spec
        return Spec(1, Vector(game.view.size), Discrete(game.action.n), game.length, state=Vector(game.state.size))


def require_two_sides(game: Environment) -> None:
    """Raises ValueError, one line, unless a learner can be the opponent in this game."""
    name, spec = type(game).__name__, game.spec
    if spec.agents != 2:
        raise ValueError(f"learners are opponents in games of two, {name} has {spec.agents} agents")
    if not (isinstance(spec.action, Discrete) and isinstance(spec.view, Vector)):
        raise ValueError(f"learners play games of one discrete action and vectors as views, {name} is none")


@dataclass(frozen=True)
class LearningOpponents:
    """Agents: b inner games of the first seat, and, if players also meet each other, b of the second.

    view [N, V]: the inner game's, of that side. state [1 + seats + 2]: 1.0 if the opponent learns, the seats' players,
    steps / T of the inner episode, inner episodes / M. Where the learner sits in the second seat, only the action that
    it has chosen is available there: probability 1, gradient exactly 0.
    """

    game: Environment  # of two agents, one head, vectors
    learner: Algorithm  # of one side, `Side(game)`; whole episodes
    episodes: Positive[int] = 20  # M, inner episodes of an episode
    games: Positive[int] = 16  # b, inner games at once against one opponent
    naive_share: Fraction = 1.0  # probability that the opponent is naive, not another player
    players: Positive[int] = 1  # K; with two or more, nobody meets itself
    starts: NotNegative[int] = 10  # first parameters that learners begin from, always the same;
    # 0: new ones for every episode
    starts_seed: int = 0  # of those

    def __post_init__(self) -> None:
        check(self)
        require_two_sides(self.game)
        if not self.learner.whole_episodes:
            raise ValueError("a learner inside a game learns from whole episodes: give one with whole_episodes")

    @property
    def spec(self) -> Spec:
        game = self.game.spec
        seats = self.seats
        return replace(
            game,
            agents=seats * self.games,
            view=Vector(game.view.size),  # without entities: agents are no players of one game
            length=self.episodes * game.length,
            state=Vector(3 + seats),
            history=0,
            private=Vector(0),
            mixed_motive=True,
            headline="shaping_reward" if seats == 1 else "meeting_reward",
            scripts=(),
            meta=MetaEpisodes(self.games, game.length, self.episodes, seats, self.players, self.naive_share),
            # agents are inner games, seen from one side or, with two seats, from both
            agent_names=tuple(f"game {i}{', opposite' * side}" for side in range(seats) for i in range(self.games)),
            agent_colours=(),
            event_names=(),  # `info` tells of both sides, not of agents
        )

    @property
    def seats(self) -> int:
        """1: all agents play against the learner; 2: both sides of a game may be players."""
        return 1 if self.naive_share == 1 else 2

    @property
    def functions(self) -> Functions:
        return Functions(summary=self.summary, step_games=self.step_games)

    def reset(self, key: Key) -> tuple[State, Observation]:
        key_game, key_kind, key_seat, key_learner, key_act = jax.random.split(key, 5)
        naive = jax.random.uniform(key_kind) < self.naive_share
        seats = jax.random.choice(key_seat, self.players, (self.seats,), replace=self.players < self.seats)
        if self.starts:
            firsts = jax.vmap(self.learner.init)(jax.random.split(jax.random.key(self.starts_seed), self.starts))
            chosen = jax.random.randint(key_learner, (), 0, self.starts)
            learner = jax.tree.map(lambda x: x[chosen], firsts)
        else:
            learner = self.learner.init(key_learner)
        games, observation = self._begin(key_game)
        memory, over = self._fresh_memory(), jnp.zeros(self.games, bool)
        action, after, notes = self.learner.act(key_act, learner, memory, side(observation))
        steps = jax.tree.map(
            lambda x: jnp.zeros((self.game.spec.length, *x.shape), x.dtype),
            learner_step(side(observation), action, notes, jnp.zeros((self.games, 2)), over, over, over),
        )
        state = State(
            games, observation, over, jnp.int32(0), naive, seats.astype(jnp.int32), learner, after, action, notes, steps
        )
        return state, self.observation(state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        one = jax.tree.map(lambda x: x[None], (key, state, action))
        return jax.tree.map(lambda x: x[0], self.step_games(*one))

    def step_games(self, keys: Key, state: State, action: Array) -> tuple[State, Timestep]:
        """`step` of B games at once, which share a clock. keys [B], leaves of state [B, ...], action [B, N]."""
        batch, b = action.shape[0], self.games
        keys_game, keys_learn, keys_act, keys_start = jax.vmap(lambda key: jax.random.split(key, 4), out_axes=1)(keys)
        theirs = state.action[..., 0]  # [B, b]
        if self.seats == 2:
            theirs = jnp.where(state.naive[:, None], theirs, action[:, b:])
        joint = jnp.stack([action[:, :b], theirs], -1)  # [B, b, 2]

        inner_keys = jax.vmap(lambda key: jax.random.split(key, b))(keys_game)
        games, timestep = jax.vmap(jax.vmap(self.game.step))(inner_keys, state.games, joint)
        hold = lambda old, new: jax.tree.map(lambda x, y: jnp.where(aligned(state.over, x), x, y), old, new)  # noqa: E731
        games, observation = hold(state.games, games), hold(state.observation, timestep.observation)
        zero = lambda x: jnp.where(aligned(state.over, x), jnp.zeros_like(x), x)  # noqa: E731
        reward, info = zero(timestep.reward), jax.tree.map(zero, timestep.info)  # [B, b, 2]
        ended, over = timestep.terminated | timestep.truncated, state.over
        ends = (timestep.terminated & ~over, timestep.truncated & ~over)
        step = learner_step(side(state.observation), state.action, state.notes, reward, over, *ends)
        now = state.time[0] % self.game.spec.length
        steps = jax.tree.map(lambda buffer, x: lax.dynamic_update_index_in_dim(buffer, x, now, 1), state.steps, step)

        def learn():
            whole = jax.vmap(with_next_observations)(steps, side(observation))
            learner, _ = jax.vmap(self.learner.update)(keys_learn, state.learner, whole)
            games, observed = jax.vmap(self._begin)(keys_start)
            memory = jax.tree.map(lambda x: jnp.broadcast_to(x, (batch, *x.shape)), self._fresh_memory())
            return learner, memory, games, observed, jnp.zeros_like(over)

        def go_on():
            return state.learner, state.memory, games, observation, over | ended

        # The clock is one for all B games, so this stays a branch; under vmap it would update at every step.
        learner, memory, games, observation, over = lax.cond(now == self.game.spec.length - 1, learn, go_on)
        chosen, memory, notes = jax.vmap(self.learner.act)(keys_act, learner, memory, side(observation))
        after = State(
            games, observation, over, state.time + 1, state.naive, state.players, learner, memory, chosen, notes, steps
        )
        done = after.time >= self.spec.length
        info_of_step = self._info(state, reward, info)
        mine = jnp.concatenate([reward[..., side] for side in range(self.seats)], -1)
        return after, Timestep(jax.vmap(self.observation)(after), mine, done, jnp.zeros_like(done), info_of_step)

    def observation(self, state: State) -> Observation:
        """The observation of all seats."""
        b, seats = self.games, self.seats
        view = jnp.concatenate([state.observation.view[:, side] for side in range(seats)])
        available = jnp.concatenate([state.observation.available[:, side] for side in range(seats)])
        first = jnp.arange(self.game.spec.action.n) == 0
        available = jnp.where(jnp.tile(state.over, seats)[:, None], first, available)
        if seats == 2:
            taken = jnp.arange(self.game.spec.action.n) == state.action  # [b, A]
            available = available.at[b:].set(jnp.where(state.naive, taken, available[b:]))
        inner, outer = state.time % self.game.spec.length, state.time // self.game.spec.length
        clock = jnp.stack([inner / self.game.spec.length, outer / self.episodes])
        central = jnp.concatenate([state.naive[None], state.players, clock]).astype(jnp.float32)
        return Observation(view, central, available)

    def _begin(self, key: Key) -> tuple[PyTree, Observation]:
        return jax.vmap(self.game.reset)(jax.random.split(key, self.games))

    def _fresh_memory(self) -> PyTree:
        return jax.tree.map(lambda x: jnp.broadcast_to(x, (self.games, *jnp.shape(x))), self.learner.memory)

    def _info(self, state: State, reward: Array, info: dict[str, Array]) -> dict[str, Array]:
        """`info` of a step. [B, 2]: rewards and actions of both sides, means over inner games. [B]: the share of inner
        games that have not ended, and whether the opponent is naive."""
        both = {name: x.mean(1) for name, x in info.items() if x.ndim == 3}
        naive = state.naive.astype(jnp.float32)
        played = jnp.mean(~state.over, 1, dtype=jnp.float32)
        return {**both, "inner_reward": reward.mean(1), "played": played, "naive": naive}

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """Points per step, [B]; NaN where there was no such opponent. docs/tasks/learners.md says what each is."""
        naive = info["naive"][0] > 0  # [B]
        return shaping_statistics(info, naive, self.game.spec.length, self.episodes, self.seats)


# The learner's side of the game ------------------------------------------------------------------------------------


def side(observation: Observation) -> Observation:
    """What the second side sees, as a game of one agent: leaves [..., 1, .]."""
    return observation._replace(view=observation.view[..., 1:2, :], available=observation.available[..., 1:2, :])


def learner_step(
    observation: Observation, action: Array, notes: dict[str, Array], reward: Array, over: Array, terminated: Array,
    truncated: Array,
) -> Transition:  # fmt: skip
    """A learner's step, leaves [..., b, ...]. `with_next_observations` adds the rest when the inner episode ends."""
    nothing: Any = ()
    valid = ~over
    return Transition(
        observation, nothing, action, reward[..., 1:2], nothing, nothing, terminated, truncated, valid, notes, {}
    )


def with_next_observations(steps: Transition, last: Observation) -> Transition:
    """An inner episode [T, b, ...], in which each step has the observation that followed it; last: after the end."""
    shift = lambda xs, x: jnp.concatenate([xs[1:], x[None]])  # noqa: E731
    return steps._replace(next_observation=jax.tree.map(shift, steps.observation, last))


def shaping_statistics(
    info: dict[str, Array], naive: Array, length: int, episodes: int, seats: int
) -> dict[str, Array]:
    """Statistics of whole episodes, leaves of info [M T, B, 2] or [M T, B], naive [B]."""
    absent = lambda x: jnp.where(naive, x, jnp.nan)  # noqa: E731
    by_episode = lambda x: x.reshape(episodes, length, *x.shape[1:]).mean(1)  # noqa: E731  # [M, B, ...]
    played = by_episode(info["played"])[..., None]  # games that have ended wait, and steps of waiting do not count
    each = lambda x: by_episode(x) / played  # noqa: E731
    reward = each(info["inner_reward"])  # points per step of each inner episode
    found = {
        "shaping_reward": absent(reward[..., 0].mean(0)),
        "naive_reward": absent(reward[..., 1].mean(0)),
        "shaping_reward_first": absent(reward[0, :, 0]),
        "shaping_reward_last": absent(reward[-1, :, 0]),
        "naive_reward_last": absent(reward[-1, :, 1]),
        "raw_return": info["inner_reward"].sum(0),  # [B, 2]
    }
    if seats == 2:
        found["meeting_reward"] = jnp.where(naive, jnp.nan, reward.mean((0, 2)))
        found["meeting_reward_last"] = jnp.where(naive, jnp.nan, reward[-1].mean(-1))
    if "action_0" in info:
        defection = 1 - each(info["action_0"])  # [M, B, 2]
        found |= {
            "defection": defection[..., 0].mean(0),
            "defection_first": absent(defection[0, :, 0]),
            "defection_last": absent(defection[-1, :, 0]),
            "cooperation": 1 - defection.mean((0, 2)),
        }
    return found
