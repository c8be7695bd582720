"""Which memory an actor of PG or PPO has: a gated one, or attention to all earlier steps of its episode.

Not of "hidden gifts": its section 5.1 asks for agents with a longer memory than a GRU's. docs/algorithms/pg.md.
"""

from dataclasses import dataclass
from typing import Any, Literal

from comity.networks import Activation, ContextNet, fresh_context, fresh_core
from comity.settings import Positive
from comity.spec import Spec
from comity.types import Key, PyTree


@dataclass(frozen=True)
class Settings:
    """Settings of the actor's memory; the learner has those of its own, `hidden` among them."""

    core: Literal["gru", "lstm", "rg-lru", "none", "attention"] = "gru"
    # the actor's memory: gates, a long short-term memory, a linear recurrence (its steps are learned all at once),
    # none, or all earlier steps of the episode
    context_layers: Positive[int] = 1  # of attention
    context_heads: Positive[int] = 4  # of each of them; they divide `hidden`


def check_heads(config: Any) -> None:
    """ValueError, one line, if the heads do not divide the width."""
    if config.core == "attention" and config.hidden % config.context_heads:
        raise ValueError(
            f"context_heads {config.context_heads} do not divide hidden {config.hidden}: change one of them"
        )


def new_actor(
    config: Any, key: Key, length: int, inputs: int, outputs: int, encoder: tuple[int, ...], activation: Activation
) -> ContextNet:
    """length: most steps of an episode; encoder: widths of the dense layers before attention."""
    layers, heads = config.context_layers, config.context_heads
    return ContextNet(key, inputs, encoder, config.hidden, outputs, length, layers, heads, activation)


def fresh_memory(config: Any, spec: Spec) -> PyTree:
    """One game's memory at the start of an episode: zeros, leaves [N, ...]."""
    if config.core == "attention":
        return fresh_context(config.context_layers, spec.length, config.hidden, spec.agents)
    return fresh_core(config.core, config.hidden, spec.agents)
