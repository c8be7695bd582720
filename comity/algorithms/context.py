"""Which memory an actor of PG or PPO has: a gated one, or attention to all earlier steps of its episode.

Not of "hidden gifts": its section 5.1 asks for agents with a longer memory than a GRU's. docs/algorithms/pg.md.
"""

from dataclasses import dataclass
from typing import Any, Literal

import jax.numpy as jnp

from comity.networks import Activation, ContextNet, fresh_context
from comity.settings import Positive
from comity.types import Environment, Key, PyTree


@dataclass(frozen=True)
class Settings:
    """Settings of the actor's memory; the learner has those of its own, `hidden` among them."""

    network: Literal["gru", "attention"] = "gru"  # the actor's memory: gates, or all earlier steps of the episode
    context_layers: Positive[int] = 1  # of attention
    context_heads: Positive[int] = 4  # of each of them; they divide `hidden`


def check_heads(config: Any) -> None:
    """ValueError, one line, if the heads do not divide the width."""
    if config.network == "attention" and config.hidden % config.context_heads:
        raise ValueError(
            f"context_heads {config.context_heads} do not divide hidden {config.hidden}: change one of them"
        )


def new_actor(config: Any, key: Key, env: Environment, inputs: int, encoder: tuple[int, ...]) -> ContextNet:
    """encoder: widths of the dense layers before attention."""
    activation: Activation = config.activation
    spec, layers, heads = env.spec, config.context_layers, config.context_heads
    return ContextNet(key, inputs, encoder, config.hidden, spec.action.n, spec.length, layers, heads, activation)


def fresh_memory(config: Any, env: Environment) -> PyTree:
    """One game's memory at the start of an episode: zeros, leaves [N, ...]."""
    if config.network == "gru":
        return jnp.zeros((env.spec.agents, config.hidden))
    return fresh_context(config.context_layers, env.spec.length, config.hidden, env.spec.agents)
