"""What the authors' MAPPO and IPPO of "hidden gifts" also do. docs/algorithms/mappo.md says which preset does what.

Arrays are the rollout's, [T, B, N, ...], or pieces of it, [c, R, N, ...]: R pieces of c steps.
"""

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import Array

from comity.settings import Positive
from comity.types import Observation, PyTree, Transition

LEAST_LOG_PROB = -10.0  # of an action that was not available, in learning


@dataclass(frozen=True)
class Settings:
    """One setting for each thing that the code does otherwise; the defaults do none of them."""

    rollouts: Literal["steps", "episodes"] = "steps"  # episodes: every rollout is one episode of each game (code)
    padding_counts: bool = False  # steps after a game's end count in the losses (code)
    post_terminal: bool = False  # a step after the rollout overwrites its first one (code)
    rows: Literal["pieces", "alternating", "transposed"] = "pieces"  # what is unrolled; code: the last two, see below
    order: Literal["shared", "own"] = "shared"  # own: each agent takes its pieces in an order of its own (code of IPPO)
    normalised_over: Literal["actor", "team"] = "actor"  # advantages: over what one actor did, or all agents (MAPPO)
    baseline: Literal["value", "normalised"] = "value"  # normalised: the critic's output as it is (code of IPPO)
    actors_loss: Literal["sum", "mean"] = "sum"  # of separate actors; mean: gradients are divided by N (code of MAPPO)
    critics_loss: Literal["sum", "mean"] = "sum"  # of one critic per agent; mean: code of IPPO
    moments: Literal["rollout", "minibatch"] = "rollout"  # when returns enter their moments; code: at each minibatch
    first_deviation: Positive[float] = 1.0  # of returns, reward units, before the first update; code 0.1
    least_log_prob: Literal["none", "-10"] = "none"  # below it a log-probability has no gradient in learning (code -10)
    gain: Positive[float] = 2**0.5  # of orthogonal weights before an activation; code 1 with GELU
    critic_head: Literal["orthogonal", "uniform"] = "orthogonal"  # uniform: in +-1/sqrt(hidden), bias too (code)


def check(config: Any, central: bool, each: bool) -> None:
    """ValueError, one line, where settings contradict each other.

    central: one critic gives one value; each: there is a critic for each agent.
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
    """x [B, N, ...] where numbers ordered (agent, game) are taken for ones ordered (game, agent): the shape stays."""
    return x.swapaxes(0, 1).reshape(x.shape)


def unread(x: Array) -> Array:
    """The inverse of `misread`."""
    return x.reshape(x.shape[1], x.shape[0], *x.shape[2:]).swapaxes(0, 1)


def with_post_terminal(
    steps: Transition, observation: Observation, memory: PyTree, action: Array, notes: dict[str, Array]
) -> Transition:
    """The rollout with one step too many, which ran into its beginning: leaves [T, B, ...].

    What was done and noted in step 0 is overwritten by the step after the end, which earns nothing, and what was seen
    and remembered in step 1 by what followed it. Step 1 is marked as the first of an episode: nothing after it counts
    for step 0, its memory is restarted, and its advantage is left out of their mean and deviation.
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
    """`flags` [T, B] and also every step whose next one is padding, or which is the last and padding itself."""
    return flags | jnp.concatenate([~valid[1:], ~valid[-1:]])


# Learning ------------------------------------------------------------------------------------------------------------


def by_agent(x: Array) -> Array:
    """[T, B, N, ...] -> [B N T, ...], ordered (game, agent, time)."""
    return x.swapaxes(0, 1).swapaxes(1, 2).reshape(-1, *x.shape[3:])


def alternating(x: Array, chunk: int) -> Array:
    """[T, B, N, ...] -> pieces [c, R, N, ...] for MAPPO, R = T B / c.

    Numbers ordered (game, agent, time) are taken for rows of N columns, so of two agents actor 0 is given the even
    and actor 1 the odd steps of both.
    """
    return by_agent(x).reshape(-1, chunk, *x.shape[2:]).swapaxes(0, 1)


def first_memories(memory: Array, chunk: int) -> Array:
    """What the critic of MAPPO remembers before each of the R `alternating` pieces, [R, H], of memory [T, B, N, H].

    Counted as if pieces had one column: memories of agent 0 and of the first half of the games only, if N = 2.
    """
    pieces = memory.shape[0] * memory.shape[1] // chunk
    return by_agent(memory)[: pieces * chunk : chunk]


def folded(x: Array) -> Array:
    """[c, R, N, ...] -> [c N, R, ...]: columns are taken for further steps, as the critic of MAPPO unrolls them.

    The numbers keep their order, which is not that of time: it is (time, piece, column).
    """
    return x.reshape(-1, *x.shape[1:2], *x.shape[3:])


def transposed(x: Array, axis: int = 0) -> Array:
    """[..., c, R, ...] whose numbers, ordered (piece, time), are taken for ones ordered (time, piece), as in IPPO.

    axis: where c stands, before R.
    """
    return x.swapaxes(axis, axis + 1).reshape(x.shape)
