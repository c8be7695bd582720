"""Random: every agent draws uniformly from its available actions. The reference that any learner must leave behind."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from comity.learning import masked, sample
from comity.types import Algorithm, Environment, Key, Observation, Transition


@dataclass(frozen=True)
class Config:
    """Random has no settings."""


PRESETS = {"sound": {}, "paper": {}, "released": {}}


def make(config: Config, env: Environment) -> Algorithm:
    def init(key: Key):
        return ()

    def act(key: Key, state, memory, observation: Observation, explore: bool = True):
        """Greedy or not, play is uniform: every action is as good as another."""
        if env.continuous:
            action = jax.random.uniform(key, observation.available.shape, minval=-1.0, maxval=1.0)
            return jnp.where(observation.available, action, 0.0), memory, {}
        heads = observation.available if isinstance(observation.available, tuple) else (observation.available,)
        logits = tuple(masked(jnp.zeros(available.shape), available) for available in heads)
        actions = tuple(sample(k, l) for k, l in zip(jax.random.split(key, len(heads)), logits, strict=True))
        if isinstance(observation.available, tuple):
            return actions, memory, {"probabilities": tuple(jax.nn.softmax(l) for l in logits)}
        return actions[0], memory, {"probabilities": jax.nn.softmax(logits[0])}

    def update(key: Key, state, steps: Transition):
        return state, {}

    return Algorithm(init, act, update, whole_episodes=True)
