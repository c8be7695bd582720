"""The types that all of comity shares: games, algorithms, and the data that they exchange.

Axes always come in this order: T time, B games, N agents, A actions. An `Environment` is *one* game: `rollout` makes
batches with `vmap`. Values that change are NamedTuples of arrays, fixed values are frozen dataclasses.
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
    """An observation of one game. With several action heads, `available` is a tuple with one entry per head."""

    view: Array  # [N, ...] view of each agent, in the smallest dtype that holds it; networks cast to float
    state: Array  # [...] only central critics read it, in training
    available: PyTree  # [N, A] bool, legal actions; for continuous actions, which of the A numbers exist


class Timestep(NamedTuple):
    """The result of one step of a game.

    `info` holds numbers about the true state in this step, [] or [N]: 1 for a door that was opened, a distance.
    Statistics sum them over an episode unless the game has a `summary` of its own. No learner reads `info`.
    """

    observation: Observation
    reward: Array  # [N] float32; a team game gives the same number to each agent
    terminated: Array  # [] bool, the game is over: the value of the next state is 0
    truncated: Array  # [] bool, the time limit was reached
    info: dict[str, Array]


class Transition(NamedTuple):
    """One recorded step, the input of learners. A rollout is a Transition with leaves [T, B, ...]."""

    observation: Observation  # before the step
    memory: PyTree  # [N, ...] before the step
    action: PyTree  # [N] int32, or [N, A] float, clipped to [-1, 1] for the game; a tuple with several heads
    reward: Array  # [N]
    next_observation: Observation  # after the step, before any reset
    next_memory: PyTree  # after the step, before any reset
    terminated: Array  # [] bool
    truncated: Array  # [] bool
    valid: Array  # [] bool, False: padding after the end of the episode
    notes: dict[str, Array]  # returned by `act`: log_prob, value, ...
    info: dict[str, Array]  # from the game

    @property
    def ended(self) -> Array:
        """[] bool, the episode ends with this step: sums over time stop here, and memory is reset."""
        return self.terminated | self.truncated

    @property
    def experience(self) -> Experience:
        """The part of the step that a bonus reads."""
        first = self.observation, self.action, self.next_observation, self.valid
        return Experience(*first, self.reward, self.terminated, self.notes, self.truncated)


class Experience(NamedTuple):
    """Steps as a bonus reads them, fresh or drawn from a replay: leaves [..., N, ...] with any leading axes."""

    observation: Observation  # before the step; a replay may hold no `state`
    action: PyTree
    next_observation: Observation  # after the step, before any reset
    valid: Array  # [...] bool
    reward: Array  # [..., N], of the game
    terminated: Array  # [...] bool
    notes: dict[str, Array]  # returned by `act`; {} from a replay, which stores no notes
    truncated: Array | None = None  # [...] bool; None from a replay, which does not store it


class EpisodeNumber(NamedTuple):
    """A part of a memory: the number of earlier episodes in the same place. Only `rollout.start` sets it."""

    number: Array  # [N] int32


class Collective(NamedTuple):
    """The collective rewards of a rollout of whole episodes, and the giver: the first to earn an individual reward."""

    reward: Array  # [T, B] the collective reward, counted once for all agents
    giver: Array  # [B, N] bool, the agent that first earned its individual reward; all False: no agent did
    after: Array  # [T, B] bool, valid steps after that moment


class Algorithm(NamedTuple):
    """A learner of all agents of a game: pure functions of its state."""

    init: Callable[..., PyTree]  # (key) -> state with all that a resume needs: params, targets, optimizer, replay, ...
    act: Callable[..., tuple[PyTree, PyTree, dict[str, Array]]]
    #   (key, state, memory, observation, explore=True) -> (action, memory, notes); leaves [..., N], any leading axes
    update: Callable[..., tuple[PyTree, Metrics]]  # (key, state, steps: Transition) -> (state, metrics)
    memory: PyTree = ()  # the memory of one game at the start of an episode: zeros, leaves [N, ...]
    whole_episodes: bool = False  # rollouts are `collect_episodes`; False: `collect_steps`, see `rollout`
    steps: int | None = None  # T of a rollout; None: `Spec.length`
    practise: Callable[..., tuple[PyTree, PyTree, dict[str, Array]]] | None = None
    #   (key, state, memory, observation): replaces `act` in training rollouts, for algorithms that let another policy
    #   than the current one act for some agents; None: `act`
    replays: bool = False  # learns from a replay
    #   Then `update` takes reward_of: (Experience) -> [..., N], which is added to the rewards of each batch drawn. A
    #   bonus that the replay stored would be out of date.
    own_play: bool = False  # `update` plays by itself or computes exact values, and does not read the rollout
    rewarded: bool = False  # has a bonus already; then `update` takes reward_of, too: all bonuses see the game's reward
    policies: int = 1  # number of policies that take turns by `EpisodeNumber`; evaluations report each alone
    lends: Callable[[PyTree], PyTree] | None = None
    #   (state) -> networks of players, leaves [players, ...]; opponents inside a game begin each training rollout of
    #   whole episodes from them (`Functions.adopt`)


class Bonus(NamedTuple):
    """A bonus, which a learner adds to the game's rewards: pure functions of the bonus's state."""

    init: Callable[..., PyTree]  # (key) -> state
    reward: Callable[..., Array]  # (state, Experience) -> [..., N], before its weight
    update: Callable[..., tuple[PyTree, Metrics]]  # (key, state, steps: Transition) -> (state, metrics)
    reads: tuple[str, ...] = ()  # notes of `act` that it reads; no replay stores notes


@runtime_checkable
class Environment(Protocol):
    """One game: a frozen dataclass whose fields are the game's options. `spec`, a property, describes the game.

    `reset` may take an argument `episode`: [] int32, the number of earlier episodes in the same place. Games use it if
    something changes from one episode to the next, such as whose turn it is. `comity.spec.Functions` describes the
    optional methods.
    """

    @property
    def spec(self) -> Spec: ...

    def reset(self, key: Key) -> tuple[PyTree, Observation]: ...
    def step(self, key: Key, state: PyTree, action: PyTree) -> tuple[PyTree, Timestep]: ...


def begin(env: Environment, key: Key, episode: Array | int) -> tuple[PyTree, Observation]:
    """Calls `env.reset`, with the number of the episode if `reset` has an argument `episode`."""
    asked = inspect.signature(env.reset).parameters.get("episode")
    if asked is None:
        return env.reset(key)
    if asked.kind is asked.POSITIONAL_ONLY:
        return env.reset(key, episode)  # pyright: ignore[reportCallIssue]
    return env.reset(key, episode=episode)  # pyright: ignore[reportCallIssue]
