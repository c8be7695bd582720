"""Behaviours of the authors' MAPPO and IPPO of "hidden gifts" beyond PPO.

docs/algorithms/mappo.md says which preset uses which. Arrays are rollouts, [T, B, N, ...], or R pieces of c steps,
[c, R, N, ...].
"""

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import Array

from comity.settings import Positive
from comity.types import Observation, PyTree, Transition

LEAST_LOG_PROB = -10.0  # the smallest log_prob in learning, which unavailable actions have


@dataclass(frozen=True)
class Settings:
    """One setting for each behaviour of the code; the defaults use none of them."""

    rollouts: Literal["steps", "episodes"] = "steps"  # episodes: every rollout is one episode of each game (code)
    padding_counts: bool = False  # steps after a game's end count in the losses (code)
    post_terminal: bool = False  # the step after a rollout overwrites the rollout's first step (code)
    rows: Literal["pieces", "alternating", "transposed"] = "pieces"
    # the order in which steps are unrolled; alternating: code of MAPPO; transposed: code of IPPO
    order: Literal["shared", "own"] = "shared"  # own: each agent draws its own order of the pieces (code of IPPO)
    normalised_over: Literal["actor", "team"] = "actor"
    # advantages are normalised over the agents of one actor, or over all agents (code of MAPPO)
    baseline: Literal["value", "normalised"] = "value"  # normalised: the critic's normalised output (code of IPPO)
    actors_loss: Literal["sum", "mean"] = "sum"  # over separate actors; mean divides gradients by N (code of MAPPO)
    critics_loss: Literal["sum", "mean"] = "sum"  # over critics, if each agent has one; mean: code of IPPO
    moments: Literal["rollout", "minibatch"] = "rollout"  # when returns enter their moments; code: at each minibatch
    first_deviation: Positive[float] = 1.0  # deviation of returns before the first update, reward units; code 0.1
    least_log_prob: Literal["none", "-10"] = "none"  # a log_prob below it has no gradient in learning (code -10)
    gain: Positive[float] = 2**0.5  # gain of orthogonal weights before an activation; code 1 with GELU
    critic_head: Literal["orthogonal", "uniform"] = "orthogonal"  # uniform: in +-1/sqrt(hidden), bias too (code)


def check(config: Any, central: bool, each: bool) -> None:
    """Raises ValueError, one line, if settings contradict each other.

    central: True if one critic gives one value; each: True if each agent has a critic.
    """
    if config.rollouts == "steps" and (config.padding_counts or config.post_terminal):
        raise ValueError("padding_counts and post_terminal need rollouts 'episodes', not 'steps'")
    if config.core == "attention" and config.rows != "pieces":
        raise ValueError(f"rows {config.rows!r} with core 'attention', whose pieces are episodes: use 'pieces'")
    if config.rows == "alternating" and not (central and config.actors == "separate"):
        raise ValueError("rows 'alternating' needs separate actors and one critic that gives one value, as in MAPPO")
    if config.order == "own" and not (each and config.actors == "separate"):
        raise ValueError("order 'own' needs an actor and a critic for each agent, as in IPPO")


# Play ----------------------------------------------------------------------------------------------------------------


def misread(x: Array) -> Array:
    """Returns x [B, N, ...] after numbers in the order (agent, game) are read as (game, agent). The shape stays."""
    return x.swapaxes(0, 1).reshape(x.shape)


def unread(x: Array) -> Array:
    """Returns the inverse of `misread`."""
    return x.reshape(x.shape[1], x.shape[0], *x.shape[2:]).swapaxes(0, 1)


def with_post_terminal(
    steps: Transition, observation: Observation, memory: PyTree, action: Array, notes: dict[str, Array]
) -> Transition:
    """Returns the rollout after one step too many was written into its beginning: leaves [T, B, ...].

    The step after the end overwrites the action and the notes of step 0, with reward 0. The observation and memory that
    follow it overwrite those of step 1. Step 1 is marked as the first of an episode: nothing after it counts for step
    0, its memory restarts, and its advantage is left out of the mean and deviation of advantages.
    """
    put = lambda time: lambda old, new: old.at[time].set(new)  # noqa: E731
    return steps._replace(
        observation=jax.tree.map(put(1), steps.observation, observation),
        memory=jax.tree.map(put(1), steps.memory, memory),
        action=steps.action.at[0].set(action),
        notes={name: put(0)(x, notes[name]) for name, x in steps.notes.items()},
        reward=steps.reward.at[0].set(0.0),
        terminated=steps.terminated.at[0].set(True),
        valid=steps.valid.at[1].set(False),
    )


def cut_at_marks(flags: Array, valid: Array) -> Array:
    """Returns `flags` [T, B], also set where the next step is padding, and at the last step if it is padding itself."""
    return flags | jnp.concatenate([~valid[1:], ~valid[-1:]])


# Learning ------------------------------------------------------------------------------------------------------------


def by_agent(x: Array) -> Array:
    """Returns x [T, B, N, ...] as [B N T, ...], in the order (game, agent, time)."""
    return x.swapaxes(0, 1).swapaxes(1, 2).reshape(-1, *x.shape[3:])


def alternating(x: Array, chunk: int) -> Array:
    """Returns x [T, B, N, ...] as MAPPO's pieces [c, R, N, ...], R = T B / c.

    Numbers in the order (game, agent, time) are read as rows of N columns. So with two agents, actor 0 gets the even
    steps of both agents, and actor 1 the odd steps.
    """
    return by_agent(x).reshape(-1, chunk, *x.shape[2:]).swapaxes(0, 1)


def first_memories(memory: Array, chunk: int) -> Array:
    """Returns the memory of MAPPO's critic before each of the R `alternating` pieces, [R, H]. memory [T, B, N, H].

    The code counts as if pieces had one column. With N = 2 it reads only memories from the first half of the games.
    """
    pieces = memory.shape[0] * memory.shape[1] // chunk
    return by_agent(memory)[: pieces * chunk : chunk]


def folded(x: Array) -> Array:
    """Returns x [c, R, N, ...] as [c N, R, ...]: MAPPO's critic unrolls columns as if they were further steps.

    The numbers keep their order (time, piece, column), which is not the order of time.
    """
    return x.reshape(-1, *x.shape[1:2], *x.shape[3:])


def transposed(x: Array, axis: int = 0) -> Array:
    """Returns x [..., c, R, ...] after numbers in the order (piece, time) are read as (time, piece), as in IPPO.

    axis: the axis of c; R is the next one.
    """
    return x.swapaxes(axis, axis + 1).reshape(x.shape)
