"""Randomized uncertain social preferences: whose rewards an agent cares for is drawn anew in every episode.

RUSP (Baker 2020, arXiv 2011.05373, section 3, appendix B). A game in, a game out: rewards are shared by a random
matrix, agents see a noisy part of it, a critic may see more. docs/tasks/preferences.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from comity.axes import aligned
from comity.settings import NotNegative, Positive, check
from comity.spec import Entities, Functions, Image, Spec, Vector, functions
from comity.types import Environment, Key, Observation, PyTree, Timestep, begin

# Planes of a picture: in the agent's own cell, and in the cells of others.
PLANES = ("own weight", "its level", "weight on it", "its level", "its own weight", "its level")
STEPS = 2048  # of a picture's numbers between 0 and 1


class State(NamedTuple):
    game: PyTree
    weight: Array  # [N, N] float32, U: how much row cares for column, before rows are made to sum to 1
    level: Array  # [N, N, N] S[i, k, j]: how unsure i is of U[k, j]
    noise: Array  # [N, N, N] what is added to what i sees of U[k, j]


@dataclass(frozen=True)
class Preferences:
    """`game` with rewards T r, T = U with rows that sum to 1. view float32 [N, V + 2 + 4 (N - 1)]; state [S + N P].

    The state ends with a part for each agent, in order, that only its own critic may read (`spec.private`, P numbers).
    An agent sees its own weight and how unsure it is of it; of each other agent (`offsets`): its weight on it, and that
    one's own weight, each noisy and with its level. They stand before the agent's own past, `spec.history`.
    Pictures get six planes more instead, int16 [N, h, w, c + 6], see `with_planes`.
    """

    game: Environment  # the wrapped one
    sharing: Literal["teams", "full", "selfish", "selfish-unsure"] = "teams"
    # teams: only inside teams, a random partition | full: everybody | selfish: T = I, nothing to be unsure of |
    # selfish-unsure: T = I, but all levels are `uncertainty`
    smallest_team: Positive[int] = 1  # of partitions; one team may be smaller, what is left over
    largest_team: NotNegative[int] = 0  # 0: all agents
    alpha: Positive[float] = 1.0  # weights are drawn from Beta(alpha, beta); 1, 1: uniform
    beta: Positive[float] = 1.0  # see alpha
    own_weight: Literal["random", "one"] = "random"  # the diagonal of U
    uncertainty: NotNegative[float] = 1.0  # sigma_max, most that a level may be
    levels: Literal["own", "shared"] = "own"  # each observer its own levels, or all the same (figure 8)
    noises: Literal["own", "shared"] = "own"  # each observer its own noise, or all the same
    observe: Literal["weights", "shares"] = "weights"  # what is seen, with noise: U, as the code, or T
    privileged: Literal["pairs", "all"] = "pairs"  # what a critic knows of preferences, see `critic_numbers`

    RENAMED: ClassVar = {"observe": "game_observe"}  # Manitokan has an `observe` of its own

    def __post_init__(self) -> None:
        check(self)
        name, n = type(self.game).__name__, self.game.spec.agents
        if n < 2:
            raise ValueError(f"preferences need two agents or more, {name} has {n}")
        if isinstance(self.game.spec.view, Image) and functions(self.game).places is None:
            raise ValueError(f"preferences are drawn into pictures where agents stand: {name} has no `places`")
        if self.smallest_team > (self.largest_team or n) or (self.largest_team or n) > n:
            raise ValueError(
                f"teams of {self.smallest_team} to {self.largest_team or n} among {n} agents: give sizes that fit"
            )

    @property
    def spec(self) -> Spec:
        game = self.game.spec
        shared = replace(
            game,
            state=Vector(game.state.size + game.agents * self.private.size),
            private=self.private,
            mixed_motive=True,
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
        entities = Entities(  # two numbers more of an agent's own, and four more about each other
            own=(*shifted(theirs.own), at, at + 1),
            others=tuple((*shifted(columns), *more) for columns, more in zip(theirs.others, about, strict=True)),
            offsets=theirs.offsets,
        )
        told = ("own weight", "its level")
        for k in self.offsets:
            told += tuple(f"{what}, agent i{k:+d}" for what in ("weight on it", "its level", "its own weight", "level"))
        insert = lambda names: (*names[:at], *told, *names[at:])  # noqa: E731
        names: Any = game.view.names
        if names:
            names = tuple(map(insert, names)) if isinstance(names[0], tuple) else insert(names)
        return replace(shared, view=Vector(game.view.size + 2 + 4 * others, entities, names))

    @property
    def private(self) -> Vector:
        """P numbers of the state, for the critic of one agent alone, and how they fall into parts; see `privileged`."""
        n = self.game.spec.agents
        own, others = (0,), [tuple(range(1 + 4 * k, 5 + 4 * k)) for k in range(n - 1)]
        size = 4 * n - 3
        if self.privileged == "all":
            more = 4 * n - 2  # about each other
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
            script=own.script and self.script, counts=own.counts,
        )  # fmt: skip

    def sharing_of(self, state: State) -> Array:
        """[N, N] T of an episode: how much of each column's reward the row's agent gets."""
        return shares(state.weight)

    def of_game(self, view: Array) -> Array:
        """What the game alone shows, of a view [..., V] or [..., h, w, c]."""
        game = self.game.spec.view
        if isinstance(game, Image):
            return (view[..., : game.channels] // fineness(game)).astype("uint8")
        at, more = offset_in_view(self), self.spec.view.size - game.size
        return jnp.concatenate([view[..., :at], view[..., at + more :]], -1)

    @property
    def offsets(self) -> tuple[int, ...]:
        """Who the others of an agent are: in the game's order if it has one, else in a circle, the next one first."""
        theirs = self.game.spec.view.entities
        return theirs.offsets if theirs and theirs.offsets else tuple(range(1, self.game.spec.agents))

    def script(self, name: str) -> tuple[PyTree, Callable[[PyTree, Array], tuple[Array, PyTree]]]:
        """(memory at the start, act) of one of the game's scripts, which sees what the game alone shows."""
        script = functions(self.game).script
        if script is None:
            raise ValueError(f"{type(self.game).__name__} has no scripts")
        memory, act = script(name)
        return memory, lambda memory, view: act(memory, self.of_game(view))

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
        """The game's own statistics, of the rewards before they were shared, and their sum `raw_return` [B, N]."""
        raw = info["raw_reward"]
        info = {name: x for name, x in info.items() if name != "raw_reward"}
        own = functions(self.game).summary
        total = lambda x: jnp.where(aligned(valid, x), x, 0).sum(0)  # noqa: E731
        game = own(raw, info, valid) if own else {name: total(x) for name, x in info.items()}
        return {**game, "raw_return": total(raw)}


# Who cares for whom --------------------------------------------------------------------------------------------------


def partitions(n: int, smallest: int = 1, largest: int | None = None) -> list[tuple[int, ...]]:
    """All ways to write n as a sum of parts of `smallest` to `largest`, of which one may be smaller, in any order.

    As in the authors' environments: of 3 with parts up to 3: (3), (1, 2), (1, 1, 1).
    """

    def split(left: int, most: int) -> list[tuple[int, ...]]:
        if left == 0:
            return [()]
        return [(part, *rest) for part in range(min(left, most), 0, -1) for rest in split(left - part, part)]

    found = [tuple(sorted(parts)) for parts in split(n, largest or n)]
    return [parts for parts in found if sum(part < smallest for part in parts) <= 1]


def team_masks(n: int, smallest: int = 1, largest: int | None = None) -> np.ndarray:
    """[P, N, N] bool, for each partition: row and column are in one team; teams are consecutive agents."""
    teams = [np.repeat(np.arange(len(parts)), parts) for parts in partitions(n, smallest, largest)]
    return np.stack([team[:, None] == team for team in teams])


def draw_weights(key: Key, rules: Preferences) -> Float[Array, "N N"]:
    """U (B.1): a partition uniformly from the list of all, symmetric random weights inside teams, agents permuted."""
    n = rules.game.spec.agents
    if rules.sharing in ("selfish", "selfish-unsure"):
        return jnp.eye(n)
    key_team, key_weight, key_order = jax.random.split(key, 3)
    plain = rules.alpha == rules.beta == 1
    drawn = (
        jax.random.uniform(key_weight, (n, n))
        if plain
        else jax.random.beta(key_weight, rules.alpha, rules.beta, (n, n))
    )
    weight = jnp.triu(drawn) + jnp.triu(drawn, 1).T
    if rules.own_weight == "one":
        weight = jnp.where(jnp.eye(n, dtype=bool), 1.0, weight)
    if rules.sharing == "teams":
        masks = jnp.asarray(team_masks(n, rules.smallest_team, rules.largest_team or None))
        weight = jnp.where(masks[jax.random.randint(key_team, (), 0, len(masks))], weight, 0.0)
    order = jax.random.permutation(key_order, n)
    return weight[order][:, order]


def shares(weight: Float[Array, "N N"]) -> Float[Array, "N N"]:
    """T: U with rows that sum to 1; who cares for nobody at all cares for itself."""
    total = weight.sum(-1, keepdims=True)
    return jnp.where(total > 0, weight / jnp.where(total > 0, total, 1.0), jnp.eye(len(weight)))


def draw_noise(key_level: Key, key_noise: Key, rules: Preferences) -> tuple[Array, Array]:
    """(S, eps), each [N, N, N]: observer, row, column (B.2). One draw for an episode."""
    n = rules.game.spec.agents
    if rules.sharing == "selfish":
        return jnp.zeros((n, n, n)), jnp.zeros((n, n, n))

    def shape(whose: str) -> tuple[int, int, int]:
        return (n if whose == "own" else 1, n, n)

    uniform = (
        jnp.ones((n, n, n)) if rules.sharing == "selfish-unsure" else jax.random.uniform(key_level, shape(rules.levels))
    )
    level = jnp.broadcast_to(rules.uncertainty * uniform, (n, n, n))
    normal = jax.random.normal(key_noise, shape(rules.noises))
    return level, level * normal


# Who sees what -------------------------------------------------------------------------------------------------------


class Beliefs(NamedTuple):
    """What each agent believes about preferences (B.3). own, own_level: [N]; the others [N, N]: row is who believes it,
    column of whom."""

    own: Array  # U[i, i] as i sees it
    own_level: Array
    mine: Array  # U[i, j] as i sees it: my weight on j
    mine_level: Array
    theirs: Array  # U[j, j] as i sees it: how much j cares for itself
    theirs_level: Array
    of_me: Array  # U[j, i] as j sees it: j's weight on me, for a critic of i
    of_me_level: Array


def beliefs(weight: Array, level: Array, noise: Array) -> Beliefs:
    i = jnp.arange(len(weight))
    seen = weight + noise  # [observer, row, column]
    mine, mine_level = seen[i, i], level[i, i]  # [i, j]
    theirs, theirs_level = seen[:, i, i], level[:, i, i]
    return Beliefs(
        jnp.diagonal(mine), jnp.diagonal(mine_level), mine, mine_level, theirs, theirs_level, mine.T, mine_level.T
    )


def others_of(offsets: tuple[int, ...]) -> np.ndarray:
    """[N, N - 1]: who the others of each agent are, in order."""
    n = len(offsets) + 1
    return (np.arange(n)[:, None] + np.asarray(offsets)) % n


def of_others(table: Array, offsets: tuple[int, ...]) -> Array:
    """[N, N - 1]: from each row of table [N, N] the entries of the others, in order."""
    return jnp.take_along_axis(table, jnp.asarray(others_of(offsets)), 1)


def offset_in_view(rules: Preferences) -> int:
    """Where in a view the numbers about preferences begin. They stand before the agent's own past."""
    spec = rules.game.spec
    return spec.view.size - spec.history


def with_preferences(rules: Preferences, observation: Observation, state: State) -> Observation:
    """The game's observation, with what agents and critics know of preferences added."""
    weight = shares(state.weight) if rules.observe == "shares" else state.weight
    believed = beliefs(weight, state.level, state.noise)
    own = jnp.stack([believed.own, believed.own_level], -1)  # [N, 2]
    pairs = [
        of_others(x, rules.offsets)
        for x in (believed.mine, believed.mine_level, believed.theirs, believed.theirs_level)
    ]
    others = jnp.stack(pairs, -1).reshape(len(weight), -1)  # [N, (N - 1) 4]
    if isinstance(rules.game.spec.view, Image):
        view = with_planes(rules, observation.view, believed, state)
    else:
        numbers, at = observation.view.astype(jnp.float32), offset_in_view(rules)
        view = jnp.concatenate([numbers[:, :at], own, others, numbers[:, at:]], -1)
    return Observation(
        view,
        jnp.concatenate(
            [observation.state.astype(jnp.float32), critic_numbers(rules, weight, state, believed).reshape(-1)]
        ),
        observation.available,
    )


def fineness(view: Image) -> int:
    """How many steps of a picture with preferences are one of the game's: numbers from -16 to 16 in steps of 1/2048."""
    return max(1, round(STEPS / view.high))


def with_planes(rules: Preferences, view: Array, believed: Beliefs, state: State) -> Array:
    """int16 [N, h, w, c + 6], the pictures with what is known of each agent in the cell where it stands.

    Six planes, `PLANES`: the first two in the agent's own cell, the others in those of the others that it sees; of
    several in one cell the last. All numbers are whole: pictures are divided by `high` before they are read.
    """
    picture, n = rules.game.spec.view, rules.game.spec.agents
    assert isinstance(picture, Image)
    at = functions(rules.game).places(state.game)  # pyright: ignore[reportOptionalCall]  # [i, j, 2]
    high, me = picture.high * fineness(picture), jnp.arange(n)
    own = jnp.stack([believed.own, believed.own_level], -1)  # [i, 2]
    about = jnp.stack([believed.mine, believed.mine_level, believed.theirs, believed.theirs_level], -1)  # [i, j, 4]
    planes = jnp.zeros((*view.shape[:-1], len(PLANES)))
    for j in range(n):
        itself = (me == j)[:, None]
        numbers = jnp.concatenate([jnp.where(itself, own, 0.0), jnp.where(itself, 0.0, about[:, j])], -1)  # [i, 6]
        row, column = (at[:, j, k, None, None] for k in range(2))
        here = (jnp.arange(picture.height)[:, None] == row) & (jnp.arange(picture.width) == column)  # [i, h, w]
        planes = jnp.where(here[..., None], numbers[:, None, None], planes)
    whole = jnp.clip(jnp.round(planes * high), -(2**15) + 1, 2**15 - 1).astype(jnp.int16)
    return jnp.concatenate([view.astype(jnp.int16) * fineness(picture), whole], -1)


def critic_numbers(rules: Preferences, weight: Array, state: State, believed: Beliefs) -> Array:
    """[N, P], what the critic of one agent may know beside the game's state.

    pairs: the agent's true weight on itself, and about each other agent four numbers: the true weight on it, its true
    weight on itself, its weight on me as it sees it, and how unsure it is of that. all: also T, and what others see.
    """
    n = rules.game.spec.agents
    others = jnp.broadcast_to(jnp.diagonal(weight), (n, n))
    pairs = jnp.stack([of_others(x, rules.offsets) for x in (weight, others, believed.of_me, believed.of_me_level)], -1)
    parts = [jnp.diagonal(weight)[:, None], pairs.reshape(n, -1)]
    if rules.privileged == "all":
        seen = jnp.stack(
            [
                of_others(x, rules.offsets)
                for x in (believed.mine, believed.mine_level, believed.theirs, believed.theirs_level)
            ],
            -1,
        )
        whole = jnp.concatenate(
            [believed.own[:, None], believed.own_level[:, None], seen.reshape(n, -1)], -1
        )  # [N, 4 N - 2]
        index = others_of(rules.offsets)
        parts += [jnp.broadcast_to(shares(state.weight).reshape(-1), (n, n * n)), whole[index].reshape(n, -1)]
    return jnp.concatenate(parts, -1)
