"""The words that all of comity shares: what a game is, what an algorithm is, and what passes between them.

Axes, always in this order: T time, B games, N agents, A actions. A game here is *one* game: batches come from `vmap`
in `rollout`. Everything that changes is a NamedTuple of arrays, everything fixed a frozen dataclass.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

from jax import Array

from comity.spec import Spec

PyTree = Any
Key = Array  # a typed PRNG key, jax.random.key
Metrics = dict[str, Array]


class Observation(NamedTuple):
    """What is seen of one game. With several action heads, `available` is a tuple with one entry per head."""

    view: Array  # [N, ...] what each agent sees, in the smallest dtype that holds it; networks cast to float
    state: Array  # [...] what only a central critic may read, in training
    available: PyTree  # [N, A] bool, legal actions; with continuous ones, which of the A numbers exist


class Timestep(NamedTuple):
    """What one step of a game returns.

    `info` reports events of the true state as this step's amounts (a door opened: 1, a distance: its value), [] or [N].
    Statistics sum it over an episode unless the game has a `summary` of its own. No learner reads it.
    """

    observation: Observation
    reward: Array  # [N] float32; a team game repeats its one
    terminated: Array  # [] bool, the game is over: the value of what follows is 0
    truncated: Array  # [] bool, only the clock has run out
    info: dict[str, Array]


class Transition(NamedTuple):
    """One step of play, as learners see it. A rollout is a Transition with leaves [T, B, ...]."""

    observation: Observation  # before the step
    memory: PyTree  # [N, ...] before the step
    action: PyTree  # [N] int32, or [N, A] float, which the game gets clipped to [-1, 1]; of several heads a tuple
    reward: Array  # [N]
    next_observation: Observation  # after the step, before any reset
    next_memory: PyTree  # after the step, before any reset
    terminated: Array  # [] bool
    truncated: Array  # [] bool
    valid: Array  # [] bool, False: padding after the end of the episode
    notes: dict[str, Array]  # what `act` wrote: log_prob, value, ...
    info: dict[str, Array]  # from the game

    @property
    def ended(self) -> Array:
        """[] bool, the episode ends with this step: cuts sums over time and restarts memory."""
        return self.terminated | self.truncated

    @property
    def experience(self) -> Experience:
        """What a bonus judges of it."""
        judged = self.observation, self.action, self.next_observation, self.valid
        return Experience(*judged, self.reward, self.terminated, self.notes)


class Experience(NamedTuple):
    """Steps of play as a bonus judges them, fresh or drawn from a replay: leaves [..., N, ...] of any leading axes."""

    observation: Observation  # before the step; a replay may hold no `state`
    action: PyTree
    next_observation: Observation  # after the step, before any reset
    valid: Array  # [...] bool
    reward: Array  # [..., N], the game's
    terminated: Array  # [...] bool
    notes: dict[str, Array]  # what `act` wrote; {} from a replay, which keeps none


class EpisodeNumber(NamedTuple):
    """In a memory: how many episodes were played before in this place. `rollout.start` sets it, nobody else."""

    number: Array  # [N] int32


class Collective(NamedTuple):
    """What of a rollout of whole episodes is everybody's, and who had its own part first: the giver."""

    reward: Array  # [T, B] the collective reward, once for all agents
    giver: Array  # [B, N] bool, the agent that had its individual reward first; nobody: all False
    after: Array  # [T, B] bool, valid steps after that


class Algorithm(NamedTuple):
    """A learner of all agents of a game, as pure functions over its state."""

    init: Callable[..., PyTree]  # (key) -> state: params, targets, optimizer, replay, counters: everything to resume
    act: Callable[..., tuple[PyTree, PyTree, dict[str, Array]]]
    #   (key, state, memory, observation, explore=True) -> (action, memory, notes); leaves of any leading axes [..., N]
    update: Callable[..., tuple[PyTree, Metrics]]  # (key, state, steps: Transition) -> (state, metrics)
    memory: PyTree = ()  # one game's memory at the start of an episode: zeros, leaves [N, ...]
    whole_episodes: bool = False  # how rollouts end, see `rollout`
    steps: int | None = None  # T of a rollout; None: `Spec.length`
    practise: Callable[..., tuple[PyTree, PyTree, dict[str, Array]]] | None = None
    #   (key, state, memory, observation): `act` in training rollouts alone, where another than the present policy may
    #   drive some agents; None: as `act`
    replays: bool = (
        False  # learns from a replay; then `update` takes reward_of, (Experience) -> [..., N]: what is added
    )
    #   to the rewards that it draws, because a bonus that was kept would be out of date
    own_play: bool = False  # `update` learns from values or play of its own and reads nothing of the rollout
    rewarded: bool = False  # it has a bonus; then `update` takes reward_of, too: each bonus sees the game's own reward
    policies: int = 1  # how many take turns at whole episodes, by their `EpisodeNumber`; evaluations tell them apart
    lends: Callable[[PyTree], PyTree] | None = None
    #   (state) -> networks of players, leaves [players, ...], from which opponents inside a game begin every training
    #   rollout of whole episodes (`Functions.adopt`)


class Bonus(NamedTuple):
    """A reward of the learner's own, as pure functions over its state: what `algorithms/bonuses` are."""

    init: Callable[..., PyTree]  # (key) -> state
    reward: Callable[..., Array]  # (state, Experience) -> [..., N], before its weight
    update: Callable[..., tuple[PyTree, Metrics]]  # (key, state, steps: Transition) -> (state, metrics)
    reads: tuple[str, ...] = ()  # notes of `act` that it asks for, which no replay keeps


@runtime_checkable
class Environment(Protocol):
    """One game. A frozen dataclass whose options are fields; `spec` says all else, and is no field.

    `reset` may take an argument called `episode`: [] int32, how many episodes were played before in this place, for
    games in which something changes from one episode to the next (whose turn it is). Others keep their defaults.
    Functions that only some games have are methods, named and described in `comity.spec.Functions`.
    """

    @property
    def spec(self) -> Spec: ...

    def reset(self, key: Key) -> tuple[PyTree, Observation]: ...
    def step(self, key: Key, state: PyTree, action: PyTree) -> tuple[PyTree, Timestep]: ...


def begin(env: Environment, key: Key, episode: Array | int) -> tuple[PyTree, Observation]:
    """`env.reset`, with the number of the episode if the game takes one by that name."""
    asked = inspect.signature(env.reset).parameters.get("episode")
    if asked is None:
        return env.reset(key)
    if asked.kind is asked.POSITIONAL_ONLY:
        return env.reset(key, episode)  # pyright: ignore[reportCallIssue]
    return env.reset(key, episode=episode)  # pyright: ignore[reportCallIssue]
