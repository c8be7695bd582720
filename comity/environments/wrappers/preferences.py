"""Randomized uncertain social preferences (RUSP): every episode draws how much each agent cares for each other agent.

Baker 2020, arXiv 2011.05373, section 3, appendix B. A wrapper: rewards are shared by a random matrix, agents observe a
noisy part of the matrix, a critic may observe more. docs/tasks/preferences.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.axes import aligned
from comity.environments.wrappers.preference_draws import draw_noise, draw_weights, partitions, shares
from comity.environments.wrappers.preference_views import PLANES, fineness, offset_in_view, others_of, with_preferences
from comity.settings import NotNegative, Positive, check
from comity.spec import Entities, Functions, Image, Spec, Vector, functions
from comity.types import Environment, Key, Observation, PyTree, Timestep, Transition, begin


class State(NamedTuple):
    game: PyTree
    weight: Array  # [N, N] float32, U: weight of the row agent on the column agent, before rows are normalised
    level: Array  # [N, N, N], S[i, k, j]: standard deviation of i's noise on U[k, j]
    noise: Array  # [N, N, N], the noise that is added to i's observation of U[k, j]


@dataclass(frozen=True)
class Preferences:
    """`game` with rewards T r, T = U with rows that sum to 1. view float32 [N, V + 2 + 4 (N - 1)]; state [S + N P].

    The state ends with a part for each agent, in order, that only its own critic reads (`spec.private`, P numbers). An
    agent observes its weight on itself, and the noise level of that. For each other agent (`offsets`) it observes its
    weight on that agent and that agent's weight on itself, each with noise and with the noise level. These numbers come
    before the agent's own past, `spec.history`. Pictures get six more planes instead, int16 [N, h, w, c + 6], see
    `with_planes`.
    """

    game: Environment  # the wrapped game
    sharing: Literal["teams", "full", "selfish", "selfish-unsure"] = "teams"
    # teams: only inside the teams of a random partition | full: among all agents | selfish: T = I, without noise |
    # selfish-unsure: T = I, but all noise levels are `uncertainty`
    smallest_team: Positive[int] = 1  # smallest team of a partition; if it is also the largest, the rest may be smaller
    largest_team: NotNegative[int] = 0  # largest team of a partition; 0: all agents
    alpha: Positive[float] = 1.0  # weights are drawn from Beta(alpha, beta); 1, 1: uniform
    beta: Positive[float] = 1.0  # second parameter of that distribution
    own_weight: Literal["random", "one"] = "random"  # weights on oneself, the diagonal of U
    uncertainty: NotNegative[float] = 1.0  # sigma_max, the highest noise level
    levels: Literal["own", "shared"] = "own"  # noise levels: own for each observer, or the same for all (figure 8)
    noises: Literal["own", "shared"] = "own"  # noise: own for each observer, or the same for all
    observe: Literal["weights", "shares"] = "weights"  # what agents see, with noise: U, as in the code, or T
    privileged: Literal["pairs", "all"] = "pairs"  # what a critic knows about preferences, see `critic_numbers`

    RENAMED: ClassVar = {"observe": "game_observe"}  # Manitokan has an `observe` of its own

    def __post_init__(self) -> None:
        check(self)
        name, n = type(self.game).__name__, self.game.spec.agents
        if n < 2:
            raise ValueError(f"preferences need two agents or more, {name} has {n}")
        if isinstance(self.game.spec.view, Image) and functions(self.game).places is None:
            raise ValueError(f"in pictures, preferences need `places`, which {name} lacks")
        largest = self.largest_team or n
        if largest > n or not partitions(n, self.smallest_team, largest):
            raise ValueError(f"teams of {self.smallest_team} to {largest} among {n} agents: give sizes that fit")
        entities = self.game.spec.view.entities
        if entities and entities.offsets and len(entities.offsets) != n - 1:
            raise ValueError(
                f"views of {name} describe {len(entities.offsets)} others, and {n - 1} have preferences: put the "
                "script outside, as in GAME+rusp+scripted"
            )

    @property
    def spec(self) -> Spec:
        game = self.game.spec
        shared = replace(
            game,
            state=Vector(game.state.size + game.agents * self.private.size),
            private=self.private,
            mixed_motive=True,
            headline="raw_return" if game.headline == "return" else game.headline,
        )
        if isinstance(game.view, Image):
            high = game.view.high * fineness(game.view)
            return replace(shared, view=replace(game.view, channels=game.view.channels + len(PLANES), high=high))
        at, others = game.view.size - game.history, game.agents - 1
        shifted = lambda columns: tuple(c if c < at else c + 2 + 4 * others for c in columns)  # noqa: E731
        theirs = game.view.entities
        if not (theirs and theirs.offsets):
            theirs = Entities(tuple(range(game.view.size)), ((),) * others, self.offsets)
        about = (tuple(range(at + 2 + 4 * k, at + 6 + 4 * k)) for k in range(others))
        entities = Entities(  # two more numbers about the agent itself, and four more about each other agent
            own=(*shifted(theirs.own), at, at + 1),
            others=tuple((*shifted(columns), *more) for columns, more in zip(theirs.others, about, strict=True)),
            offsets=theirs.offsets,
        )
        labels = ("own weight", "its level")
        for k in self.offsets:
            labels += tuple(
                f"{what}, agent i{k:+d}" for what in ("weight on it", "its level", "its own weight", "level")
            )
        insert = lambda names: (*names[:at], *labels, *names[at:])  # noqa: E731
        names: Any = game.view.names
        if names:
            names = tuple(map(insert, names)) if isinstance(names[0], tuple) else insert(names)
        return replace(shared, view=Vector(game.view.size + 2 + 4 * others, entities, names))

    @property
    def private(self) -> Vector:
        """P numbers of the state that only one agent's critic reads, with their entities; see `privileged`."""
        n = self.game.spec.agents
        own, others = (0,), [tuple(range(1 + 4 * k, 5 + 4 * k)) for k in range(n - 1)]
        size = 4 * n - 3
        if self.privileged == "all":
            more = 4 * n - 2  # about each other agent
            own = (0, *range(size, size + n * n))
            size += n * n
            others = [(*columns, *range(size + k * more, size + (k + 1) * more)) for k, columns in enumerate(others)]
            size += (n - 1) * more
        return Vector(size, Entities(own, tuple(others), self.offsets))

    @property
    def functions(self) -> Functions:
        own = functions(self.game)
        draw = own.draw and (lambda state: own.draw(state.game))  # pyright: ignore[reportOptionalCall]
        sees = own.draw_view and (lambda view: own.draw_view(self.of_game(view)))  # pyright: ignore[reportOptionalCall]
        return Functions(
            draw=draw, draw_view=sees, sharing=self.sharing_of, summary=self.summary,
            script=own.script and self.script, scripted_team=own.scripted_team and self.scripted_team,
            counts=own.counts, training_reward=own.training_reward and self.training_reward,
            adopt=own.adopt and self.adopt, carry=own.carry and self.carry,
        )  # fmt: skip

    def sharing_of(self, state: State) -> Array:
        """[N, N], T of an episode: the share of the column agent's reward that the row agent gets."""
        return shares(state.weight)

    def of_game(self, view: Array) -> Array:
        """Returns the game's own part of a view [..., V] or [..., h, w, c]."""
        game = self.game.spec.view
        if isinstance(game, Image):
            return (view[..., : game.channels] // fineness(game)).astype("uint8")
        at, more = offset_in_view(self), self.spec.view.size - game.size
        return jnp.concatenate([view[..., :at], view[..., at + more :]], -1)

    @property
    def offsets(self) -> tuple[int, ...]:
        """Offsets of an agent's others: in the game's order if it has one, else in a circle, the next agent first."""
        theirs = self.game.spec.view.entities
        return theirs.offsets if theirs and theirs.offsets else tuple(range(1, self.game.spec.agents))

    def script(self, name: str) -> tuple[PyTree, Callable[[PyTree, Array], tuple[Array, PyTree]]]:
        """Returns (memory at the start, act) of one of the game's scripts, which sees only the game's own view."""
        script = functions(self.game).script
        if script is None:
            raise ValueError(f"{type(self.game).__name__} has no scripts")
        memory, act = script(name)
        return memory, lambda memory, view: act(memory, self.of_game(view))

    def scripted_team(self, name: str) -> tuple[PyTree, Callable[[PyTree, Observation], tuple[Array, PyTree]]]:
        """Returns (memory at the start, act) of a script for all agents, which sees the game's own observation."""
        memory, act = functions(self.game).scripted_team(name)  # pyright: ignore[reportOptionalCall]
        return memory, lambda memory, observation: act(memory, self.game_observation(observation))

    def game_observation(self, observation: Observation) -> Observation:
        """Returns the game's own part of an observation with any leading axes."""
        state = observation.state[..., : self.game.spec.state.size]
        return observation._replace(view=self.of_game(observation.view), state=state)

    def training_reward(self, key: Key, steps: Transition, iteration: Array | int) -> Array:
        """[T, B, N], T r, where r are the rewards from which agents learn in the game alone."""
        raw = steps.info["raw_reward"]
        alone = steps._replace(
            observation=self.game_observation(steps.observation),
            next_observation=self.game_observation(steps.next_observation),
            reward=raw,
            info={name: x for name, x in steps.info.items() if name != "raw_reward"},
        )
        learned = functions(self.game).training_reward(key, alone, iteration)  # pyright: ignore[reportOptionalCall]
        return (self.shares_in(steps.observation.state) * learned[..., None, :]).sum(-1)

    def shares_in(self, state: Array) -> Array:
        """Returns T [..., N, N] from a state [..., S + N P], where each critic's numbers have its agent's weights."""
        n = self.game.spec.agents
        known = state[..., self.game.spec.state.size :].reshape(*state.shape[:-1], n, -1)
        weight = jnp.zeros((*state.shape[:-1], n, n))
        me, others = jnp.arange(n), others_of(self.offsets)
        weight = weight.at[..., me, me].set(known[..., 0])
        return shares(weight.at[..., me[:, None], others].set(known[..., 1 : 4 * n - 3 : 4]))

    def adopt(self, key: Key, state: State, lent: PyTree) -> tuple[State, Observation]:
        """Does the same as the game's own: opponents begin from the networks that an algorithm lends."""
        return self._with_game(state, *functions(self.game).adopt(key, state.game, lent))  # pyright: ignore[reportOptionalCall]

    def carry(self, key: Key, state: State, last: State) -> tuple[State, Observation]:
        """Does the same as the game's own with the episode before. Preferences are new in each episode."""
        return self._with_game(state, *functions(self.game).carry(key, state.game, last.game))  # pyright: ignore[reportOptionalCall]

    def _with_game(self, state: State, game: PyTree, observation: Observation) -> tuple[State, Observation]:
        state = state._replace(game=game)
        return state, with_preferences(self, observation, state)

    def reset(self, key: Key, episode: Array | int = 0) -> tuple[State, Observation]:
        key_game, key_weight, key_level, key_noise = jax.random.split(key, 4)
        game, observation = begin(self.game, key_game, episode)
        weight = draw_weights(key_weight, self)
        level, noise = draw_noise(key_level, key_noise, self)
        state = State(game, weight, level, noise)
        return state, with_preferences(self, observation, state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        game, timestep = self.game.step(key, state.game, action)
        state = state._replace(game=game)
        raw = timestep.reward
        return state, timestep._replace(
            observation=with_preferences(self, timestep.observation, state),
            reward=shares(state.weight) @ raw,
            info={**timestep.info, "raw_reward": raw},
        )

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """The game's statistics, of the rewards before they are shared, and `raw_return` [B, N], the sum of those."""
        raw = info["raw_reward"]
        info = {name: x for name, x in info.items() if name != "raw_reward"}
        own = functions(self.game).summary
        total = lambda x: jnp.where(aligned(valid, x), x, 0).sum(0)  # noqa: E731
        game = own(raw, info, valid) if own else {name: total(x) for name, x in info.items()}
        return {**game, "raw_return": total(raw)}
