"""The description of a game: one value, `env.spec`, and the optional functions that only some games have.

A wrapper writes `dataclasses.replace(game.spec, ...)` and `functions(game)._replace(...)`. Every field that it does not
name stays as the game has it, so no field has to be forwarded by hand. Names are Gymnasium's where it has them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol


@dataclass(frozen=True)
class Entities:
    """The columns of a vector that describe the agent itself and those that describe each other agent, in any order."""

    own: tuple[int, ...]  # columns of the vector
    others: tuple[tuple[int, ...], ...]  # columns about the k-th other, all of the same length and meaning
    offsets: tuple[int, ...]  # the k-th other of agent i is agent (i + offsets[k]) mod N


@dataclass(frozen=True)
class Vector:
    """`size` numbers. entities: how they split by agent; None: all of them describe the agent itself.

    names: a name for each number, for films only; a tuple for each agent if agents' views have different meanings.
    """

    size: int
    entities: Entities | None = None
    names: tuple[str, ...] | tuple[tuple[str, ...], ...] = field(default=(), compare=False, repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """(size,)."""
        return (self.size,)

    def __str__(self) -> str:
        return f"vectors of {self.size} numbers"


@dataclass(frozen=True)
class Image:
    """A picture [height, width, channels] of whole numbers from 0 to `high`: 255 for colours, 1 for one-hot planes."""

    height: int
    width: int
    channels: int
    high: int = 255

    entities = None  # a picture has no columns to split

    @property
    def shape(self) -> tuple[int, ...]:
        """(height, width, channels)."""
        return (self.height, self.width, self.channels)

    @property
    def size(self) -> int:
        """Number of numbers in the image."""
        return math.prod(self.shape)

    def __str__(self) -> str:
        return f"images {self.height} x {self.width} x {self.channels}"


View = Vector | Image


@dataclass(frozen=True)
class Discrete:
    """One of `n` actions: int32."""

    n: int

    @property
    def heads(self) -> tuple[int, ...]:
        """Number of actions of each head."""
        return (self.n,)


@dataclass(frozen=True)
class MultiDiscrete:
    """One action of each head: a tuple of int32. `available` is a tuple, too.

    pointer: the head that chooses one of the others, in the order of the view's `Entities`.
    """

    heads: tuple[int, ...]
    pointer: int | None = None

    @property
    def n(self) -> int:
        """Number of actions of all heads together."""
        return sum(self.heads)


@dataclass(frozen=True)
class Box:
    """`n` numbers in [-1, 1], float32; the game scales them."""

    n: int


Action = Discrete | MultiDiscrete | Box


class MetaEpisodes(NamedTuple):
    """The inner games that make up an episode of a game with learning opponents. An agent is a seat in all inner games.

    The game's state begins with [] 1.0 if the opponent is a naive learner, then the number of the player in each seat.
    """

    games: int  # b, inner games against one opponent
    length: int  # T, steps of an inner episode
    episodes: int  # M, inner episodes of an episode
    seats: int  # 1: all opponents are naive learners; else the number of sides of a game, each may be a player's
    players: int  # number of players that are drawn for the seats
    naive_share: float = 1.0  # probability that all opponents are naive learners, not other players


@dataclass(frozen=True)
class Spec:
    """The static description of a game, known before it starts. Only the first four fields are required."""

    agents: int  # N
    view: View  # view of each agent
    action: Action  # actions of each agent; unequal agents are padded to the largest, see `Observation.available`
    length: int  # largest number of steps of an episode
    state: View = Vector(0)  # state, which only a central critic may read
    history: int = 0  # numbers at the end of a view that are the agent's own past; some critics leave them out
    private: Vector = Vector(0)
    # The state ends with this many numbers for each agent, in order. Only that agent's own critic reads them; a critic
    # of the whole state reads them all.
    mixed_motive: bool = False  # agents' rewards differ; then welfare is measured: sum, minimum, equality of returns
    headline: str = "return"  # the statistic that reports show first; more is better, as films choose by it
    best_symmetric: float | None = None  # the most that each agent can earn per step if all earn alike; None: not known
    scripts: tuple[str, ...] = ()  # names of scripted players, see `Functions.script`
    dilemma: tuple[str, ...] = ()  # two of the scripts, (cooperates, defects), for games whose agents are alike
    meta: MetaEpisodes | None = None  # only for games with learning opponents
    roles: tuple[str, ...] = ()  # the role of each agent, if agents differ; a population assigns learners by role
    agent_names: tuple[str, ...] = ()  # for films, as are the next three
    agent_colours: tuple[str, ...] = ()  # "#rrggbb"
    action_names: tuple[str, ...] | tuple[tuple[str, ...], ...] = ()
    # With several heads, a tuple for each head. With `Box` actions that differ by agent, a tuple for each agent.
    event_names: tuple[str, ...] | None = None  # entries of `info` that are events; None: all
    event_words: tuple[tuple[str, str], ...] = ()  # (event, what its agent does: "picks up the key")
    event_states: tuple[str, ...] = ()  # events that last ("the pole stands upright"): films tell where they begin
    event_marks: tuple[tuple[str, str], ...] = ()  # (event, the word with which films mark it in the picture: "gift")
    unread: frozenset[str] = frozenset()  # settings of the game that have no effect, given its other settings


class Host(Protocol):
    """B games that Python steps, with numpy arrays. An observation is (view [B, N, V], state [B, S], available
    [B, N, A])."""

    def begin(self, which: Any, seeds: Any) -> tuple[Any, Any, Any]:
        """Begins new episodes in the games where `which` [B], with seeds [B]. Returns the observation of all games."""
        ...

    def step(self, which: Any, action: Any) -> tuple[Any, ...]:
        """Steps the games where `which` [B]; the others stand still. Returns (observation, before any new episode;
        reward [B, N]; terminated [B]; truncated [B]; and, if the game measures something, info {name: [B]}, the names
        of which `step` of the game gives, too)."""
        ...

    def render(self, game: int) -> Any:
        """A picture [H, W, 3] uint8 of one game, or None."""
        ...

    def close(self) -> None: ...


class Functions(NamedTuple):
    """Optional functions of a game, in addition to `reset` and `step`; None: the game lacks it. Games have methods."""

    draw: Callable[..., Any] | None = None  # (state) -> uint8 [H, W, 3] of one game; outside jit, for films
    draw_view: Callable[..., Any] | None = None  # (view) -> uint8 [H, W, 3], what one agent sees
    sharing: Callable[..., Any] | None = None
    # (state) -> [N, N], the share of the column agent's reward that the row agent gets; films show it as a matrix
    places: Callable[..., Any] | None = None
    # (state) -> int32 [N, N, 2], row and column of agent j in agent i's picture; outside of it: agent i does not see j
    summary: Callable[..., Any] | None = None
    # (reward, info, valid) -> {name: [B] or [B, N]}, statistics of episodes (NaN: undefined) from leaves [T, B, ...].
    # If it is None, the statistics are the sums of `info`.
    script: Callable[..., Any] | None = None
    # (name) -> (memory, act) of one of `spec.scripts`, where act(memory, view [..., V]) -> (action [...], memory)
    scripted_team: Callable[..., Any] | None = None
    # (name) -> (memory, act) of scripts that read more than a view: act(memory [..., N], observation) ->
    # (action [..., N], memory), for all agents
    counts: Callable[..., Any] | None = None
    # (action) -> a tuple of bool [..., N], one per head: whether the head's choice has an effect, given the choices of
    # the other heads (if one head says "pass", the target does not matter). The log-probability of an action is the sum
    # over the heads that count.
    pack: Callable[..., Any] | None = None  # (observation) -> a few small integers, which a replay stores
    unpack: Callable[..., Any] | None = None  # the inverse of `pack`, bit for bit
    training_reward: Callable[..., Any] | None = None
    # (key, steps, iteration) -> [T, B, N], rewards that replace the game's in training only
    cells: Callable[..., Any] | None = None
    # (view [..., N, V]) -> (cell [..., N, 2], beside [..., K]), whole numbers on a grid that all agents see whole: the
    # cells of the agents, who move at most one cell in a step, and the places of other movable things (a box)
    collective: Callable[..., Any] | None = None
    # (steps) -> Collective, the collective part of a rollout's rewards; correction terms need it
    exact_values: Callable[..., Any] | None = None
    # (logits [N, 5], gamma) -> [N], the exact values of players with memory of one outcome
    host: Callable[..., Any] | None = None  # (games, pictures=False) -> Host: Python steps the game
    adopt: Callable[..., Any] | None = None
    # (key, state, lent) -> (state, observation) of a fresh game whose opponents begin from the networks that an
    # algorithm lends (`Algorithm.lends`)
    carry: Callable[..., Any] | None = None
    # (key, state, last) -> (state, observation) of a fresh game in training that takes something over from the episode
    # before in the same place; `last` is that episode's last state
    step_games: Callable[..., Any] | None = None
    # (keys, state, action) -> `step` of B games at once, for games that share a clock: here a `lax.cond` computes one
    # branch, while under `vmap` it becomes a select that computes both


def functions(env: Any) -> Functions:
    """The optional functions of a game: `env.functions` if it has them, as wrappers do, else its methods by name."""
    own = getattr(env, "functions", None)
    return own if own is not None else methods(env)


def methods(env: Any) -> Functions:
    """The methods of a game that are optional functions, by name."""
    return Functions(*(getattr(env, name, None) for name in Functions._fields))


def innermost(env: Any) -> Any:
    """The game under all wrappers; a wrapper holds the game that it wraps as `game`."""
    while (inner := getattr(env, "game", None)) is not None:
        env = inner
    return env


def member(thing: Any, name: str, default: Any = None) -> Any:
    """An attribute of an object that may be no game, or a game without `spec`. Only `comity.check` needs it."""
    return getattr(thing, name, default)
