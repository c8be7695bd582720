"""The memory of an actor of PG or PPO: a recurrent cell, or attention to all earlier steps of its episode.

Attention is not in "hidden gifts", but its section 5.1 asks for agents with a longer memory than a GRU's.
docs/algorithms/pg.md.
"""

from dataclasses import dataclass
from typing import Any, Literal

from comity.networks import Activation, ContextNet, fresh_context, fresh_core
from comity.settings import Positive
from comity.spec import Spec
from comity.types import Key, PyTree


@dataclass(frozen=True)
class Settings:
    """Settings of the actor's memory. The learner adds its own settings, such as `hidden`."""

    core: Literal["gru", "lstm", "rg-lru", "none", "attention"] = "gru"
    # the actor's memory. gru, lstm: gated cells; rg-lru: a linear recurrence, which learns all steps in parallel; none:
    # no memory; attention: attention to all earlier steps of the episode
    context_layers: Positive[int] = 1  # layers of attention
    context_heads: Positive[int] = 4  # heads of each layer; their number divides `hidden`


def check_heads(config: Any) -> None:
    """Raises ValueError, one line, if the number of heads does not divide the width."""
    if config.core == "attention" and config.hidden % config.context_heads:
        raise ValueError(
            f"context_heads {config.context_heads} do not divide hidden {config.hidden}: change one of them"
        )


def new_actor(
    config: Any, key: Key, length: int, inputs: int, outputs: int, encoder: tuple[int, ...], activation: Activation
) -> ContextNet:
    """Returns a new actor with attention.

    length: most steps of an episode; encoder: widths of the dense layers before attention.
    """
    layers, heads = config.context_layers, config.context_heads
    return ContextNet(key, inputs, encoder, config.hidden, outputs, length, layers, heads, activation)


def fresh_memory(config: Any, spec: Spec) -> PyTree:
    """Returns the memory of one game at the start of an episode: zeros, leaves [N, ...]."""
    if config.core == "attention":
        return fresh_context(config.context_layers, spec.length, config.hidden, spec.agents)
    return fresh_core(config.core, config.hidden, spec.agents)
