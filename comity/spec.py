"""What a game says of itself: one value, `env.spec`, and the functions that only some games have.

A wrapper says `dataclasses.replace(game.spec, ...)` and `functions(game)._replace(...)`: what it does not name stays as
the game has it, so nothing is forwarded by hand and nothing is forgotten. Words are Gymnasium's where it has them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol


@dataclass(frozen=True)
class Entities:
    """Which numbers of a vector are an agent's own, and which are about each other agent. Columns in any order."""

    own: tuple[int, ...]  # columns of the vector
    others: tuple[tuple[int, ...], ...]  # columns about the k-th other, all of the same length and meaning
    offsets: tuple[int, ...]  # the k-th other of agent i is agent (i + offsets[k]) mod N


@dataclass(frozen=True)
class Vector:
    """`size` numbers. entities: how they fall into parts; None: all of them are an agent's own.

    names: what each number is, for films only; where agents see other things, a tuple for each agent.
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
        """How many numbers it holds."""
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
        """How many actions each head has."""
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
        """Actions of all heads together."""
        return sum(self.heads)


@dataclass(frozen=True)
class Box:
    """`n` numbers in [-1, 1], float32; the game scales them."""

    n: int


Action = Discrete | MultiDiscrete | Box


class MetaEpisodes(NamedTuple):
    """How a game with learners inside is built of inner games: agents are its seats, each with all inner games.

    Its state begins with: [] 1.0 if the opponent is a naive learner, and the number of the player in each seat.
    """

    games: int  # b, inner games against one opponent
    length: int  # T, steps of an inner episode
    episodes: int  # M, inner episodes of an episode
    seats: int  # 1: against naive learners only; else as many as sides of a game, which all may be players
    players: int  # how many players there are to sit in them
    naive_share: float = 1.0  # probability that all opponents are naive, not other players


@dataclass(frozen=True)
class Spec:
    """What everybody may know of a game before it starts. Only the first four must be given."""

    agents: int  # N
    view: View  # what each agent sees
    action: Action  # what each agent does; unequal agents are padded to the largest, see `Observation.available`
    length: int  # most steps of an episode
    state: View = Vector(0)  # what only a central critic may read
    history: int = 0  # numbers at the end of a view that are the agent's own past; a critic of the present skips them
    private: Vector = Vector(0)
    # The state ends with so many numbers for each agent, in order, which only that agent's critic may read; what reads
    # the whole state may read them all.
    mixed_motive: bool = False  # agents' rewards differ; then welfare is measured: sum, minimum, equality of returns
    headline: str = "return"  # the statistic that a user looks at first
    best_symmetric: float | None = None  # points per step of each agent, at most, where all earn alike; None: not known
    scripts: tuple[str, ...] = ()  # names of players that need no training, see `Functions.script`
    dilemma: tuple[str, ...] = ()  # of them the one that cooperates and the one that defects; of alike agents
    meta: MetaEpisodes | None = None  # of a game that holds learners
    roles: tuple[str, ...] = ()  # what each agent is, where they are not alike: by it a population gives them learners
    agent_names: tuple[str, ...] = ()  # for films, as the next three
    agent_colours: tuple[str, ...] = ()  # "#rrggbb"
    action_names: tuple[str, ...] | tuple[tuple[str, ...], ...] = ()
    # of several heads, a tuple for each; of numbers that move other things of other agents, a tuple for each agent
    event_names: tuple[str, ...] | None = None  # of `info`; None: all
    event_words: tuple[tuple[str, str], ...] = ()  # (one of them, what its agent does: "picks up the key")
    event_marks: tuple[tuple[str, str], ...] = ()  # (one of them, a word): films mark it in the picture: "gift"
    unread: frozenset[str] = frozenset()  # settings of the game that change nothing as the others stand


class Host(Protocol):
    """B games that Python steps, with arrays of numpy. What they show is (view [B, N, V], state [B, S], available
    [B, N, A])."""

    def begin(self, which: Any, seeds: Any) -> tuple[Any, Any, Any]:
        """Begins new episodes where `which` [B], with these seeds [B]; what all games show then."""
        ...

    def step(self, which: Any, action: Any) -> tuple[tuple[Any, Any, Any], Any, Any, Any]:
        """Steps the games where `which` [B]; the others stand still. Returns (what they show, before any new episode;
        reward [B, N]; terminated [B]; truncated [B])."""
        ...

    def render(self, game: int) -> Any:
        """A picture [H, W, 3] uint8 of one game, or None."""
        ...

    def close(self) -> None: ...


class Functions(NamedTuple):
    """Functions that a game may have beside `reset` and `step`; None: it has not. A game's own are methods."""

    draw: Callable[..., Any] | None = None  # (state) -> uint8 [H, W, 3] of one game; outside jit, for films
    draw_view: Callable[..., Any] | None = None  # (view) -> uint8 [H, W, 3], what one agent sees
    sharing: Callable[..., Any] | None = None
    # (state) -> [N, N], how much of the reward of each column's agent the row's agent gets; films show it as a matrix
    places: Callable[..., Any] | None = None
    # (state) -> int32 [N, N, 2], the row and column of agent i's picture in which agent j is; outside: not in sight
    summary: Callable[..., Any] | None = None
    # (reward, info, valid) -> {name: [B] or [B, N]}, statistics of episodes (NaN: undefined) from leaves [T, B, ...].
    # Without it they are the sums of `info`.
    script: Callable[..., Any] | None = None
    # (name) -> (memory, act) of one of `spec.scripts`, where act(memory, view [..., V]) -> (action [...], memory)
    scripted_team: Callable[..., Any] | None = None
    # (name) -> (memory, act), of scripts that read more than a view: act(memory [..., N], observation) ->
    # (action [..., N], memory), for all agents
    counts: Callable[..., Any] | None = None
    # (action) -> of several heads, a tuple of bool [..., N], one per head: whether its choice means anything beside the
    # others (who sits out chooses nobody). The log-probability of an action is the sum over heads that count.
    pack: Callable[..., Any] | None = None  # (observation) -> a few small integers: what a replay keeps
    unpack: Callable[..., Any] | None = None  # and back, bit for bit
    training_reward: Callable[..., Any] | None = None
    # (key, steps, iteration) -> [T, B, N], the rewards that only the learner sees
    cells: Callable[..., Any] | None = None
    # (view [..., N, V]) -> (cell [..., N, 2], beside [..., K]), whole numbers, on a grid that everybody sees: where
    # agents stand, who move one cell in a step at most, and what else there is to move around (a box)
    collective: Callable[..., Any] | None = None
    # (steps) -> Collective, what of a rollout is everybody's: correction terms ask for it
    exact_values: Callable[..., Any] | None = None
    # (logits [N, 5], gamma) -> [N], what players earn that remember one outcome
    host: Callable[..., Any] | None = None  # (games, pictures=False) -> Host: Python steps the game
    adopt: Callable[..., Any] | None = None
    # (key, state, lent) -> (state, observation) of a fresh game: opponents in it begin from what an algorithm `lends`
    carry: Callable[..., Any] | None = None
    # (key, state, last) -> (state, observation) of a fresh game in training: something goes on from the episode before
    # in the same place, whose last state is `last`
    step_games: Callable[..., Any] | None = None
    # (keys, state, action) -> `step` of B games at once, for games that share a clock: there a `lax.cond` stays one
    # branch, where under `vmap` it becomes a select that computes both


def functions(env: Any) -> Functions:
    """The functions of a game: what a wrapper says of itself (`env.functions`), else its methods of these names."""
    own = getattr(env, "functions", None)
    return own if own is not None else Functions(*(getattr(env, name, None) for name in Functions._fields))


def innermost(env: Any) -> Any:
    """The game under whatever wrappers; a wrapper holds the one below as `game`."""
    while (inner := getattr(env, "game", None)) is not None:
        env = inner
    return env


def member(thing: Any, name: str, default: Any = None) -> Any:
    """A member of what may be no game, or a game as it was written before `spec`: for `comity.check` alone."""
    return getattr(thing, name, default)
