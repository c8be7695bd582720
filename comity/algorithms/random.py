"""Random: every agent draws uniformly from its available actions. It is the baseline that any learner must beat."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from comity.learning import masked, sample
from comity.spec import Box
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config:
    """Random has no settings."""


PRESETS = {"sound": {}, "paper": {}, "released": {}}


def make(config: Config, env: Environment) -> Algorithm:
    def init(key: Key):
        return ()

    def act(key: Key, state, memory, observation: Observation, explore: bool = True) -> tuple[PyTree, PyTree, dict]:
        """Draws uniformly whether `explore` is True or False, because no action is preferred."""
        available = observation.available
        if isinstance(env.spec.action, Box):
            action = jax.random.uniform(key, available.shape, minval=-1.0, maxval=1.0)
            return jnp.where(available, action, 0.0), memory, {}
        logits = jax.tree.map(lambda mask: masked(jnp.zeros(mask.shape), mask), available)  # one leaf per action head
        leaves, heads = jax.tree.flatten(logits)
        actions = [sample(k, l) for k, l in zip(jax.random.split(key, len(leaves)), leaves, strict=True)]
        return jax.tree.unflatten(heads, actions), memory, {"probabilities": jax.tree.map(jax.nn.softmax, logits)}

    def update(key: Key, state, steps: Transition):
        return state, {}

    return Algorithm(init, act, update, whole_episodes=True)
