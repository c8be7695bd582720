"""Opponents that learn inside the game: one episode is M episodes of the inner game in a row, against learners.

The batched co-player shaping problem of COALA-PG (Meulemans et al. 2025, arXiv 2410.18636, section 3). A naive learner
plays b inner games at once; in games of more than two agents, each of the other sides has its own learner. At the end
of each inner episode a learner updates from all b games, and its memory is reset. The player against it keeps its
memory over all M inner episodes, and recognises a new inner episode by its first observation. Each inner game is an
agent here, so any algorithm that shares one actor among agents can learn to shape. docs/tasks/learners.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from comity.axes import aligned
from comity.environments.wrappers.learner_side import (
    alone,
    learner_step,
    require_sides,
    sides,
    with_next_observations,
)
from comity.environments.wrappers.shaping_statistics import EACH, shaping_statistics
from comity.settings import Fraction, NotNegative, OneOrMore, Positive, check
from comity.spec import Functions, MetaEpisodes, Spec, Vector
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Timestep, Transition


class State(NamedTuple):
    """One episode: b inner games of N sides. K = N - 1 of the sides belong to the learners."""

    games: PyTree  # [b, ...]
    observation: Observation  # [b, ...] of all sides
    over: Array  # [b] bool, the inner game has ended before its T steps
    time: Array  # [] int32, steps of all inner episodes
    naive: Array  # [] bool, all sides but the first belong to the learners
    players: Array  # [seats] int32, the player in each seat
    learner: PyTree  # [K, ...]
    memory: PyTree  # [K, b, 1, ...] of the learners
    action: Array  # [K, b, 1] int32, the learners' next actions
    notes: dict[str, Array]  # [K, b, 1, ...]
    steps: Transition  # [K, T, b, ...] the learners' steps of this inner episode
    change: Array | tuple[()] = ()  # [] int32, the first inner episode after which learners update by another rule
    factor: Array | tuple[()] = ()  # [] the factor of the learners' updates from then on
    later: PyTree = ()  # [K, ...] learners of the other rule
    hidden: Array | tuple[()] = ()  # [seats b] bool, the agent sees nothing of the others in the next step


@dataclass(frozen=True)
class LearningOpponents:
    """Agents: b inner games of the first seat; if players also meet each other, b inner games of each other seat.

    view [N, ...]: the inner game's view of that side. state [1 + seats + 2]: 1.0 if opponents learn, the player in each
    seat, steps / T of the inner episode, inner episodes / M. If a learner sits in a seat other than the first, only the
    action that it has chosen is available there: its probability is 1 and its gradient exactly 0.
    """

    game: Environment  # of two agents or more, one head
    learner: Algorithm  # of one side, `Side(game)`; whole episodes
    episodes: Positive[int] = 20  # M, inner episodes of an episode
    games: Positive[int] = 16  # b, inner games at once against one opponent
    naive_share: Fraction = 1.0  # probability that the opponent is naive, not another player
    players: Positive[int] = 1  # number of players; if there are at least as many as seats, none meets itself
    starts: NotNegative[int] = 10  # size of the fixed set of initial parameters that learners begin from;
    # 0: new parameters for every episode
    starts_seed: int = 0  # the seed of that set
    later: Algorithm | None = None  # another rule of the learners, from a random inner episode on (1 to M - 2)
    rate_range: OneOrMore = 1.0  # r: from such an episode on updates are multiplied by r^u, u uniform in [-1, 1]
    dynamic: bool = False  # in training each learner begins from a copy of one of the players' networks
    keeps: bool = False  # in training learners keep the parameters that they had after their last episode
    blind: Fraction = 0.0  # chance that a player sees nothing of the others in a step; learners see all

    def __post_init__(self) -> None:
        check(self)
        require_sides(self.game)
        entities = self.game.spec.view.entities
        if self.blind and not (entities and all(entities.others)):
            raise ValueError(
                f"blind {self.blind}: {type(self.game).__name__} has no numbers about others alone to hide"
            )
        if self.dynamic and self.keeps:
            raise ValueError("learners begin from players' networks, or keep their own: set dynamic or keeps to False")
        if (self.later or self.rate_range > 1) and self.episodes < 3:
            raise ValueError("learners whose rule changes need three inner episodes or more: one update of each rule")
        if not self.learner.whole_episodes:
            raise ValueError("a learner inside a game learns from whole episodes: give one with whole_episodes")

    @property
    def spec(self) -> Spec:
        game = self.game.spec
        seats = self.seats
        return replace(
            game,
            agents=seats * self.games,
            view=alone(game.view),
            length=self.episodes * game.length,
            state=Vector(3 + seats),
            history=0,
            private=Vector(0),
            mixed_motive=True,
            best_symmetric=None,
            headline="shaping_reward" if seats == 1 else "meeting_reward",
            scripts=(),
            meta=MetaEpisodes(self.games, game.length, self.episodes, seats, self.players, self.naive_share),
            # agents are inner games, seen from one side, or from all sides if all are seats
            agent_names=tuple(f"game {i}{self._place(side)}" for side in range(seats) for i in range(self.games)),
            agent_colours=(),
            event_names=(),  # `info` describes sides, not agents
        )

    @property
    def seats(self) -> int:
        """Number of seats for players. 1: all agents play against learners; else one seat for each side of the game."""
        return 1 if self.naive_share == 1 else self.game.spec.agents

    @property
    def others(self) -> int:
        """K, the number of sides other than the first."""
        return self.game.spec.agents - 1

    def _place(self, side: int) -> str:
        return "" if side == 0 else ", opposite" if self.others == 1 else f", side {side}"

    @property
    def functions(self) -> Functions:
        begins = {"adopt": self.adopt if self.dynamic else None, "carry": self.carry if self.keeps else None}
        return Functions(summary=self.summary, step_games=self.step_games, **begins)

    def reset(self, key: Key) -> tuple[State, Observation]:
        key_game, key_kind, key_seat, key_learner, key_act = jax.random.split(key, 5)
        naive = jax.random.uniform(key_kind) < self.naive_share
        seats = jax.random.choice(key_seat, self.players, (self.seats,), replace=self.players < self.seats)
        if self.starts:
            firsts = jax.vmap(self.learner.init)(jax.random.split(jax.random.key(self.starts_seed), self.starts))
            chosen = jax.random.randint(key_learner, (self.others,), 0, self.starts)
            learner = jax.tree.map(lambda x: x[chosen], firsts)
        else:
            learner = jax.vmap(self.learner.init)(self._each(key_learner))
        games, observation = self._begin(key_game)
        memory, over = self._fresh_memory(), jnp.zeros(self.games, bool)
        action, after, notes = jax.vmap(self.learner.act)(self._each(key_act), learner, memory, sides(observation))
        steps = jax.tree.map(
            lambda x: jnp.zeros((self.others, self.game.spec.length, *x.shape[1:]), x.dtype),
            learner_step(sides(observation), action, notes, jnp.zeros((self.games, self.others + 1)), over, over, over),
        )
        state = State(
            games, observation, over, jnp.int32(0), naive, seats.astype(jnp.int32), learner, after, action, notes, steps
        )
        state = self._with_change(jax.random.fold_in(key, 0), state)
        state = state._replace(hidden=self._hidden(jax.random.fold_in(key, 1)))
        return state, self.observation(state)

    def adopt(self, key: Key, state: State, lent: PyTree) -> tuple[State, Observation]:
        """Returns a fresh game in which each learner begins from a random player's network. lent: [players, ...]."""
        own, shapes = state.learner.net, lambda tree: [x.shape[1:] for x in jax.tree.leaves(tree)]
        if jax.tree.structure(lent) != jax.tree.structure(own) or shapes(lent) != shapes(own):
            raise ValueError("learners that begin from players' networks need the same: give both one core and width")
        key_who, key_act = jax.random.split(key)
        who = jax.random.randint(key_who, (self.others,), 0, self.players)
        return self._with_learners(key_act, state, state.learner._replace(net=jax.tree.map(lambda x: x[who], lent)))

    def carry(self, key: Key, state: State, last: State) -> tuple[State, Observation]:
        """Returns a fresh game in which learners go on with their params and optimizer states from `last`. A rule that
        they change to begins anew in each episode."""
        return self._with_learners(key, state, last.learner)

    def _with_learners(self, key: Key, state: State, learner: PyTree) -> tuple[State, Observation]:
        """Returns a fresh game with other learners."""
        later = state.later._replace(net=learner.net) if self.later else ()
        seen = sides(state.observation)
        action, memory, notes = jax.vmap(self.learner.act)(self._each(key), learner, self._fresh_memory(), seen)
        state = state._replace(learner=learner, later=later, memory=memory, action=action, notes=notes)
        return state, self.observation(state)

    def _with_change(self, key: Key, state: State) -> State:
        """Draws when and how the learners' rule changes, if it does."""
        if not self.later and self.rate_range == 1:
            return state
        key_when, key_factor, key_later = jax.random.split(key, 3)
        later = ()
        if self.later:
            later = jax.vmap(self.later.init)(self._each(key_later))._replace(net=state.learner.net)
        power = jax.random.uniform(key_factor, minval=-1.0)
        # No inner episode follows the update after the last one, so a change there would not be seen.
        change = jax.random.randint(key_when, (), 1, self.episodes - 1)
        return state._replace(change=change, factor=self.rate_range**power, later=later)

    def _hidden(self, key: Key) -> Array | tuple[()]:
        if not self.blind:
            return ()
        return jax.random.uniform(key, (self.seats * self.games,)) < self.blind

    def _learned(self, keys: Key, state: State, steps: Transition) -> tuple[PyTree, PyTree]:
        """Returns (learners, learners of the other rule) of B games after an inner episode, leaves [B, K, ...]."""
        after, _ = jax.vmap(jax.vmap(self.learner.update))(keys, state.learner, steps)
        if self.keeps:  # learners do not learn while players meet each other
            plays = lambda new, old: jnp.where(aligned(state.naive, new), new, old)  # noqa: E731
            after = jax.tree.map(plays, after, state.learner)
        if isinstance(state.change, tuple):
            return after, ()
        changed = state.time // self.game.spec.length >= state.change  # [B]
        where = lambda yes, no: jax.tree.map(lambda x, y: jnp.where(aligned(changed, x), x, y), yes, no)  # noqa: E731
        net, other = after.net, state.later
        if self.later:
            other, _ = jax.vmap(jax.vmap(self.later.update))(keys, state.later, steps)
            net = where(other.net, net)
        factor = jnp.asarray(state.factor)
        stepped = lambda old, new: old + aligned(factor, new) * (new - old)  # noqa: E731
        net = where(jax.tree.map(stepped, state.learner.net, net), net)
        return after._replace(net=net), other and other._replace(net=net)

    def _each(self, key: Key) -> Key:
        """[K], a key for each learner; a single learner gets the key itself."""
        return key[None] if self.others == 1 else jax.random.split(key, self.others)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        one = jax.tree.map(lambda x: x[None], (key, state, action))
        return jax.tree.map(lambda x: x[0], self.step_games(*one))

    def step_games(self, keys: Key, state: State, action: Array) -> tuple[State, Timestep]:
        """Does `step` for B games at once, which share a clock. keys [B], leaves of state [B, ...], action [B, N]."""
        batch, b = action.shape[0], self.games
        keys_game, keys_learn, keys_act, keys_start = jax.vmap(lambda key: jax.random.split(key, 4), out_axes=1)(keys)
        theirs = state.action[..., 0]  # [B, K, b]
        if self.seats > 1:
            theirs = jnp.where(state.naive[:, None, None], theirs, action[:, b:].reshape(theirs.shape))
        joint = jnp.concatenate([action[:, None, :b], theirs], 1).swapaxes(1, 2)  # [B, b, N]

        inner_keys = jax.vmap(lambda key: jax.random.split(key, b))(keys_game)
        games, timestep = jax.vmap(jax.vmap(self.game.step))(inner_keys, state.games, joint)
        hold = lambda old, new: jax.tree.map(lambda x, y: jnp.where(aligned(state.over, x), x, y), old, new)  # noqa: E731
        games, observation = hold(state.games, games), hold(state.observation, timestep.observation)
        zero = lambda x: jnp.where(aligned(state.over, x), jnp.zeros_like(x), x)  # noqa: E731
        reward, info = zero(timestep.reward), jax.tree.map(zero, timestep.info)  # [B, b, N]
        ended, over = timestep.terminated | timestep.truncated, state.over
        ends = (timestep.terminated & ~over, timestep.truncated & ~over)
        step = jax.vmap(learner_step)(
            jax.vmap(sides)(state.observation), state.action, state.notes, reward, over, *ends
        )
        now = state.time[0] % self.game.spec.length
        steps = jax.tree.map(lambda buffer, x: lax.dynamic_update_index_in_dim(buffer, x, now, 2), state.steps, step)
        keys_of = jax.vmap(self._each)

        def learn():
            whole = jax.vmap(jax.vmap(with_next_observations))(steps, jax.vmap(sides)(observation))
            learner, later = self._learned(keys_of(keys_learn), state, whole)
            games, observed = jax.vmap(self._begin)(keys_start)
            memory = jax.tree.map(lambda x: jnp.broadcast_to(x, (batch, *x.shape)), self._fresh_memory())
            return learner, later, memory, games, observed, jnp.zeros_like(over)

        def go_on():
            return state.learner, state.later, state.memory, games, observation, over | ended

        # All B games share one clock, so this is a real branch. Under vmap the learners would update at every step.
        learner, later, memory, games, observation, over = lax.cond(now == self.game.spec.length - 1, learn, go_on)
        act = jax.vmap(jax.vmap(self.learner.act))
        chosen, memory, notes = act(keys_of(keys_act), learner, memory, jax.vmap(sides)(observation))
        fresh, kept = (games, observation, over, state.time + 1), (state.naive, state.players)
        hidden = jax.vmap(lambda key: self._hidden(jax.random.fold_in(key, 0)))(keys) if self.blind else ()
        after = State(*fresh, *kept, learner, memory, chosen, notes, steps, state.change, state.factor, later, hidden)
        done = after.time >= self.spec.length
        info_of_step = self._info(state, reward, info)
        mine = jnp.concatenate([reward[..., side] for side in range(self.seats)], -1)
        return after, Timestep(jax.vmap(self.observation)(after), mine, done, jnp.zeros_like(done), info_of_step)

    def observation(self, state: State) -> Observation:
        """Returns the observation of all seats."""
        b, seats = self.games, self.seats
        view = jnp.concatenate([state.observation.view[:, side] for side in range(seats)])
        if self.blind:
            columns = np.zeros(self.game.spec.view.size, bool)
            columns[[c for other in self.game.spec.view.entities.others for c in other]] = True  # pyright: ignore
            view = jnp.where(state.hidden[:, None] & columns, jnp.zeros_like(view), view)  # pyright: ignore
        available = jnp.concatenate([state.observation.available[:, side] for side in range(seats)])
        first = jnp.arange(self.game.spec.action.n) == 0
        available = jnp.where(jnp.tile(state.over, seats)[:, None], first, available)
        if seats > 1:
            taken = jnp.arange(self.game.spec.action.n) == state.action.reshape(-1, 1)  # [K b, A]
            available = available.at[b:].set(jnp.where(state.naive, taken, available[b:]))
        inner, outer = state.time % self.game.spec.length, state.time // self.game.spec.length
        clock = jnp.stack([inner / self.game.spec.length, outer / self.episodes])
        central = jnp.concatenate([state.naive[None], state.players, clock]).astype(jnp.float32)
        return Observation(view, central, available)

    def _begin(self, key: Key) -> tuple[PyTree, Observation]:
        return jax.vmap(self.game.reset)(jax.random.split(key, self.games))

    def _fresh_memory(self) -> PyTree:
        lead = (self.others, self.games)
        return jax.tree.map(lambda x: jnp.broadcast_to(x, (*lead, *jnp.shape(x))), self.learner.memory)

    def _info(self, state: State, reward: Array, info: dict[str, Array]) -> dict[str, Array]:
        """Returns `info` of a step, means over inner games. [B, N]: values of each side and rewards of the inner game.
        [B]: its other values; `played`: share of inner games that have not ended, `naive`: 1 if opponents are naive.

        If players meet, also values of each inner game, [B, agents]: events of each side and `played`, with EACH before
        their names. How evenly the sides of one game share an event cannot be seen from means over games.
        """
        inner = {name: x.mean(1) for name, x in info.items()}
        events = {name: x for name, x in info.items() if x.ndim == 3 and not name.startswith("action_")}  # [B, b, N]
        if self.seats > 1 and events:
            events["played"] = jnp.broadcast_to(~state.over[..., None], (*state.over.shape, self.seats))
            inner |= {EACH + name: x.swapaxes(1, 2).reshape(len(x), -1) * 1.0 for name, x in events.items()}
        naive = state.naive.astype(jnp.float32)
        played = jnp.mean(~state.over, 1, dtype=jnp.float32)
        return {**inner, "inner_reward": reward.mean(1), "played": played, "naive": naive}

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """Points per step, [B]; NaN if there was no such opponent. docs/tasks/learners.md defines each."""
        naive = info["naive"][0] > 0  # [B]
        game = self.game.spec
        return shaping_statistics(info, naive, game.length, self.episodes, self.seats, game.best_symmetric)
