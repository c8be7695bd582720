"""Recordings of single episodes for films, in plain numpy arrays.

Axes as everywhere: T time, N agents, A actions. `frames`, `views` and `available` have T + 1 entries: entry t is the
game after t steps. `actions[t]`, `probabilities[t]` and `values[t]` are the decisions in that state. `rewards[t]` and
`info[...][t]` are their results, which films show at t + 1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple

import numpy as np

DENSE = 0.5  # what happens at more than this share of the steps is not an event
READ = 8  # number of steps for which a mark and the sentence of the last event stay visible
SHORT = 8  # steps; in episodes shorter than this, every non-zero entry is an event

ARRAYS = ("frames", "view_frames", "views", "rewards", "values", "sharing")
GLYPHS = {
    "left": "←", "west": "←", "right": "→", "east": "→", "up": "↑", "north": "↑", "down": "↓", "south": "↓",
    "turn left": "↺", "rotate left": "↺", "turn right": "↻", "rotate right": "↻", "forward": "⇡",
    "stay": "·", "noop": "·", "no op": "·", "wait": "·", "none": "·", "stop": "·",
}  # fmt: skip


class Event(NamedTuple):
    """Something that happened in step t (0-based, so it is seen in frame t + 1)."""

    t: int
    agent: int | None  # None: it concerns the game, or all agents equally
    text: str
    amount: float


class Mark(NamedTuple):
    """A word in the picture, from frame t + 1 to `last`."""

    t: int
    agent: int | None
    text: str
    last: int


class Head(NamedTuple):
    """One action head: a choice that each agent makes at every step."""

    names: tuple[str, ...]  # [A]
    actions: np.ndarray  # [T, N] int, or [T, N, A] float
    available: np.ndarray  # [T + 1, N, A] bool
    probabilities: np.ndarray | None  # [T, N, A]
    own: tuple[tuple[str, ...], ...] = ()  # [N][A] if the actions' names differ between agents

    def names_of(self, agent: int) -> tuple[str, ...]:
        """Returns the names of the agent's actions, [A]."""
        return self.own[agent] if self.own else self.names

    @property
    def continuous(self) -> bool:
        return self.actions.ndim == 3

    def glyph(self, action: int) -> str:
        """Returns a symbol for the action, or "" if its name suggests none."""
        words = re.sub(r"^(move|go|step)[ _-]+", "", self.names[action].strip().lower())
        return GLYPHS.get(re.sub(r"[ _-]+", " ", words), "")

    def text(self, t: int, agent: int) -> str:
        """Returns the agent's action in step t as text: "← left", or the numbers of a continuous action. It is in
        brackets if the agent had no choice.
        """
        if self.continuous:
            exists = self.available[t, agent]
            names = self.names_of(agent)
            numbers = zip(names, self.actions[t, agent], exists, strict=True)
            plain = all(name.startswith("number ") for name in names)
            return (" " if plain else ", ").join(
                f"{'' if plain else f'{n} '}{x:+.2f}" for n, x, there in numbers if there
            ) or "-"
        action = int(self.actions[t, agent])
        text = f"{self.glyph(action)} {self.names[action]}".strip()
        return f"({text})" if self.forced(t, agent) else text

    def forced(self, t: int, agent: int) -> bool:
        """True if the agent had no choice: only one of several actions was available."""
        return not self.continuous and len(self.names) > 1 and int(self.available[t, agent].sum()) == 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """One episode, from reset to end. Shapes are checked on construction; anything `np.asarray` takes may be given.

    With several action heads `actions`, `available`, `probabilities` and `action_names` are tuples with one entry per
    head. Raises ValueError if shapes, colours or actions do not fit.
    """

    title: str
    task: str
    algorithm: str
    seed: int
    policy: Literal["sampled", "greedy"]
    actions: Any  # [T, N] int or [T, N, A] float
    available: Any  # [T + 1, N, A] bool; continuous: True for the numbers that exist
    rewards: np.ndarray  # [T, N]
    views: np.ndarray | None = None  # [T + 1, N, ...] the view of each agent, as the networks get it
    caption: str = ""  # how the episode was selected: "chosen: a successful episode of 32"
    frames: np.ndarray | None = None  # [T + 1, H, W, 3] uint8; None: the game has no `draw`
    view_frames: np.ndarray | None = None  # [T + 1, N, h, w, 3] uint8, from `draw_view`
    agent_names: tuple[str, ...] = ()  # [N]; empty: agent 0, agent 1, ...
    agent_colours: tuple[str, ...] = ()  # [N] "#rrggbb"; empty: default colours
    action_names: tuple[Any, ...] | None = None
    # [A], or [N] tuples of [A] if the names differ between agents; None: "action 0", "action 1", ...
    probabilities: Any = None  # [T, N, A]
    values: np.ndarray | None = None  # [T, N]
    info: dict[str, np.ndarray] = field(default_factory=dict)  # leaves [T] or [T, N]
    event_words: dict[str, str] = field(default_factory=dict)  # name in `info` -> words for what the agent does
    event_states: tuple[str, ...] = ()  # names in `info` of states that last: only their beginnings are events
    event_marks: dict[str, str] = field(default_factory=dict)  # name in `info` -> the word that marks the picture
    view_names: tuple[
        Any, ...
    ] = ()  # [V] the meaning of each number of a view, or [N] tuples of [V] if the agents' views differ
    sharing: np.ndarray | None = None  # [N, N] the share of each column's reward that the row's agent gets
    terminated: bool = False  # the game was over
    truncated: bool = False  # only the time limit was reached

    def __post_init__(self) -> None:
        for entry in fields(self):  # the class is frozen, but lists and device arrays are accepted
            value = getattr(self, entry.name)
            if entry.name in ARRAYS and value is not None:
                object.__setattr__(self, entry.name, np.asarray(value))
            elif entry.name in ("actions", "available", "probabilities") and value is not None:
                several = isinstance(self.actions, tuple)
                object.__setattr__(self, entry.name, tuple(map(_array, value)) if several else np.asarray(value))
        object.__setattr__(self, "info", {name: np.asarray(entry) for name, entry in self.info.items()})
        if self.rewards.ndim != 2 or self.rewards.shape[0] == 0 or self.rewards.shape[1] == 0:
            raise ValueError(
                f"rewards has shape {self.rewards.shape}: expected [T, N] with at least one step and agent"
            )
        N = self.num_agents
        names = tuple(self.agent_names) or tuple(f"agent {n}" for n in range(N))
        object.__setattr__(self, "agent_names", tuple(map(str, names)))
        object.__setattr__(self, "agent_colours", tuple(self.agent_colours) or own_colours(N))
        self.check()

    @property
    def length(self) -> int:
        """T, the number of steps."""
        return self.rewards.shape[0]

    @property
    def num_agents(self) -> int:
        return self.rewards.shape[1]

    @property
    def ended(self) -> str:
        """Returns in words how the episode ended."""
        if self.terminated:
            return "terminated: the game was over"
        return "truncated: the time was up" if self.truncated else "cut: the game went on"

    @property
    def heads(self) -> tuple[Head, ...]:
        """Returns the action heads of an agent; most games have one."""
        if not isinstance(self.actions, tuple):
            names, given, available = (self.action_names,), (self.actions,), (self.available,)
            probabilities = (self.probabilities,)
        else:
            given, available = self.actions, self.available
            names = self.action_names or (None,) * len(given)
            probabilities = self.probabilities or (None,) * len(given)
        return tuple(
            _head(name or (), action, exists, probability)
            for name, action, exists, probability in zip(names, given, available, probabilities, strict=True)
        )

    def action_text(self, t: int, agent: int) -> str:
        """Returns in words what the agent does in step t, for all heads."""
        return ", ".join(head.text(t, agent) for head in self.heads)

    def __repr__(self) -> str:
        return f"Recording({self.title}, seed {self.seed}, {self.policy}, {self.length} steps, {self.caption})"

    def _repr_html_(self) -> str:
        """Returns the film as HTML, for a notebook."""
        from comity.report.inline import film_html

        return film_html(self)

    def names_of_view(self, agent: int) -> tuple[str, ...]:
        """Returns the meaning of each number of the agent's view; () if it is not known."""
        each = bool(self.view_names) and isinstance(self.view_names[0], tuple)
        return self.view_names[agent] if each else self.view_names

    def marks(self) -> list[Mark]:
        """Returns the marks of the picture. A mark stays for `READ` steps, or until the same agent's next event (a gift
        that is taken back is no gift any more).
        """
        found, every = [], self.events()
        for name, word in self.event_marks.items():
            for t, agent, _, _ in self._events_of(name, word):
                later = [event.t for event in every if event.t > t and event.agent == agent]
                found.append(Mark(t, agent, word, min([t + READ, self.length, *later])))
        return sorted(found, key=lambda mark: mark.t)

    def check(self) -> None:
        """Raises ValueError, with the actual and the expected shape, if the parts do not fit each other."""
        T, N = self.rewards.shape
        if self.policy not in ("sampled", "greedy"):
            raise ValueError(f'policy is {self.policy!r}: "sampled" or "greedy"')
        for name, entries in (("agent_names", self.agent_names), ("agent_colours", self.agent_colours)):
            if len(entries) != N:
                raise ValueError(f"{name} has {len(entries)} entries, but rewards has {N} agents")
        for colour in self.agent_colours:
            if not re.fullmatch(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})", colour):
                raise ValueError(f'agent colour {colour!r}: write it as "#rgb" or "#rrggbb"')
        _fits("frames", self.frames, (T + 1, None, None, 3), "[T + 1, H, W, 3]", np.uint8)
        _fits("view_frames", self.view_frames, (T + 1, N, None, None, 3), "[T + 1, N, h, w, 3]", np.uint8)
        _fits("values", self.values, (T, N), "[T, N]")
        _fits("sharing", self.sharing, (N, N), "[N, N]")
        if self.views is not None and self.views.shape[:2] != (T + 1, N):
            raise ValueError(f"views has shape {self.views.shape}: expected [T + 1, N, ...], here ({T + 1}, {N}, ...)")
        for name, entry in self.info.items():
            if entry.shape not in ((T,), (T, N)):
                raise ValueError(
                    f'info["{name}"] has shape {entry.shape}: expected [T] or [T, N], here ({T},), ({T}, {N})'
                )
        for agent in range(N if self.view_names and self.views is not None else 0):
            names, numbers = self.names_of_view(agent), self.views[0, agent].size  # pyright: ignore
            if len(names) != numbers:
                raise ValueError(f"view_names has {len(names)} entries, but agent {agent} sees {numbers} numbers")
        self._check_heads(T, N)

    def _check_heads(self, T: int, N: int) -> None:
        if isinstance(self.actions, tuple):
            for name in ("available", "probabilities", "action_names"):
                entries = getattr(self, name)
                if entries is not None and (not isinstance(entries, tuple) or len(entries) != len(self.actions)):
                    raise ValueError(
                        f"actions has {len(self.actions)} heads: {name} must be a tuple of as many entries"
                    )
        for index, head in enumerate(self.heads):
            which = f"[{index}]" if isinstance(self.actions, tuple) else ""
            if head.available.ndim != 3:
                raise ValueError(f"available{which} has shape {head.available.shape}: expected [T + 1, N, A]")
            A = head.available.shape[-1]
            _fits(f"available{which}", head.available, (T + 1, N, A), "[T + 1, N, A]")
            if head.actions.ndim == 3:
                _fits(f"actions{which}", head.actions, (T, N, A), "[T, N, A]")
            else:
                _fits(f"actions{which}", head.actions, (T, N), "[T, N] or, if continuous, [T, N, A]")
                if not np.issubdtype(head.actions.dtype, np.integer):
                    raise ValueError(f"actions{which} has dtype {head.actions.dtype}: discrete actions are integers")
                if head.actions.min() < 0 or head.actions.max() >= A:
                    low, high = head.actions.min(), head.actions.max()
                    raise ValueError(f"actions{which} runs from {low} to {high}, but available has {A} actions")
            _fits(f"probabilities{which}", head.probabilities, (T, N, A), "[T, N, A]")
            if head.own and len(head.own) != N:
                raise ValueError(f"action_names{which} names actions of {len(head.own)} agents, there are {N}")
            for names in (head.names, *head.own):
                if len(names) != A:
                    raise ValueError(f"action_names{which} has {len(names)} entries, but available has {A} actions")

    def events(self) -> list[Event]:
        """Returns the events in order of time: rewards, and counts in `info` that are rarely different from zero.

        Two kinds of entries are left out: those that are not whole numbers (distances), and those that are non-zero at
        more than half of the steps. If all agents receive the same amount, this is one event with agent None. A state
        that lasts (`event_states`) is an event when it begins.
        """
        events = _events("reward", self.rewards, whole=False)
        for name in self.info:
            events += self._events_of(name, self.event_words.get(name, name.replace("_", " ")))
        return sorted(events, key=lambda event: (event.t, -1 if event.agent is None else event.agent))

    def _events_of(self, name: str, text: str) -> list[Event]:
        return _events(text, self.info[name], True, name in self.event_states) if name in self.info else []


def sentence(event: Event, names: Sequence[str]) -> str:
    """Describes an event: `yellow picks up the key`. Events of the whole game have no name. Amounts other than 1
    follow.
    """
    who = "" if event.agent is None else f"{names[event.agent]} "
    return f"{who}{event.text}{'' if event.amount == 1 else f' ({event.amount:g})'}"


def own_colours(number: int) -> tuple[str, ...]:
    """Returns colours that differ on light and dark ground, also for the colour-blind (Okabe and Ito
    2008, darkened).
    """
    colours = ("#0a7bbf", "#d55e00", "#009e73", "#b85c96", "#b8860b", "#4d9fd6", "#7a5ad1", "#8a8a8a")
    return tuple(colours[n % len(colours)] for n in range(number))


def _head(names: Sequence[Any], action: np.ndarray, available: np.ndarray, probabilities: np.ndarray | None) -> Head:
    """Builds a head with the given names, one for each action or a tuple for each agent; without names, numbers."""
    own = tuple(tuple(map(str, x)) for x in names if isinstance(x, tuple))
    if own or not names:
        names = [f"{'number' if action.ndim == 3 else 'action'} {a}" for a in range(available.shape[-1])]
    return Head(tuple(map(str, names)), action, available, probabilities, own)


def _array(value: Any) -> np.ndarray | None:
    return None if value is None else np.asarray(value)


def _fits(name: str, array: np.ndarray | None, shape: Sequence[int | None], axes: str, dtype: Any = None) -> None:
    if array is None:
        return
    fits = array.ndim == len(shape) and all(want in (None, have) for have, want in zip(array.shape, shape, strict=True))
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} has shape {array.shape}: expected {axes}, here ({wanted})")
    if dtype is not None and array.dtype != dtype:
        raise ValueError(f"{name} has dtype {array.dtype}: expected {np.dtype(dtype)}, 0 to 255")


def _events(text: str, entry: np.ndarray, whole: bool, lasts: bool = False) -> list[Event]:
    amounts = np.nan_to_num(entry.astype(np.float64), posinf=0.0, neginf=0.0)  # [T] or [T, N]
    if whole and not np.array_equal(amounts, np.round(amounts)):
        return []
    happens = (amounts != 0).reshape(len(amounts), -1).any(-1)  # [T]
    if len(amounts) >= SHORT and happens.mean() > DENSE:
        return []
    if lasts:  # a state that lasts (the pole stands) is an event only when it begins
        amounts = np.concatenate([amounts[:1], np.where(amounts[1:] == amounts[:-1], 0.0, amounts[1:])])
        happens = (amounts != 0).reshape(len(amounts), -1).any(-1)
    events = []
    for t in np.flatnonzero(happens).tolist():
        row = amounts[t]
        if row.ndim == 0 or (len(row) > 1 and (row == row[0]).all()):
            events.append(Event(t, None, text, float(row.flat[0])))
        else:
            events += [Event(t, int(n), text, float(row[n])) for n in np.flatnonzero(row)]
    return events


Films = Recording | Sequence[Recording | Sequence[Recording]]  # columns of one episode, or of several in turn


def as_columns(recordings: Films) -> list[list[Recording]]:
    """Returns the columns of a film, each a list of episodes shown in turn. Raises ValueError if one is empty."""
    beside = [recordings] if isinstance(recordings, Recording) else list(recordings)
    columns = [[some] if isinstance(some, Recording) else list(some) for some in beside]
    if not columns or not all(columns):
        raise ValueError("no recordings: a film needs at least one")
    return columns
