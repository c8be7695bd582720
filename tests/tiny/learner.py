"""A tiny actor-critic, as a user's own file: independent advantages, one hidden layer, a memory that fades.

Its state holds one leaf of every kind that a checkpoint must keep: floats, bfloat16, whole numbers, a typed key.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.learning import log_prob, masked, mean_valid, sample
from comity.settings import Fraction, Positive, check
from comity.types import Algorithm, Environment, Key


@dataclass(frozen=True)
class Config:
    learning_rate: Positive[float] = 1e-2
    gamma: Fraction = 0.9  # per step
    hidden: Positive[int] = 8
    whole_episodes: bool = False
    steps: Positive[int] = 5  # T of a rollout of continuing play: not the game's length, so episodes cross its border

    def __post_init__(self):
        check(self)


PRESETS = {"sound": {}, "fast": {"learning_rate": 3e-2}}


class State(NamedTuple):
    params: Any
    opt_state: Any
    average: Array  # [] bfloat16, of rewards
    updates: Array  # [] int32
    key: Key  # of its own, moved on by every update


def make(config: Config, env: Environment) -> Algorithm:
    optimizer = optax.adam(config.learning_rate)

    def init(key):
        draw = lambda key, *shape: jax.random.normal(key, shape) / shape[0] ** 0.5  # noqa: E731
        keys = jax.random.split(key, 4)
        params = {
            "in": draw(keys[0], env.spec.view.size + 1, config.hidden),
            "policy": draw(keys[1], config.hidden, env.spec.action.n),
            "value": draw(keys[2], config.hidden, 1),
        }
        return State(params, optimizer.init(params), jnp.bfloat16(0), jnp.int32(0), keys[3])

    def heads(params, view, memory):
        hidden = jnp.tanh(jnp.concatenate([view, memory], -1) @ params["in"])
        return hidden @ params["policy"], (hidden @ params["value"])[..., 0]

    def act(key, state, memory, observation, explore=True):
        logits, value = heads(state.params, observation.view, memory)
        logits = masked(logits, observation.available)
        action = sample(key, logits) if explore else logits.argmax(-1)
        memory = 0.5 * memory + action[..., None]
        return action, memory, {"value": value, "probabilities": jax.nn.softmax(logits)}

    def update(key, state, steps):
        def loss(params):
            logits, value = heads(params, steps.observation.view, steps.memory)
            following = jnp.where(steps.terminated[..., None], 0.0, heads(params, *after)[1])
            advantage = steps.reward + config.gamma * jax.lax.stop_gradient(following) - value
            chosen = log_prob(masked(logits, steps.observation.available), steps.action)
            actor = -mean_valid(jax.lax.stop_gradient(advantage) * chosen, steps.valid)
            return (actor + mean_valid(jnp.square(advantage), steps.valid)).sum()

        after = steps.next_observation.view, steps.next_memory
        value, grads = jax.value_and_grad(loss)(state.params)
        updates, opt_state = optimizer.update(grads, state.opt_state)
        average = (0.9 * state.average + 0.1 * steps.reward.mean()).astype(jnp.bfloat16)
        key = jax.random.fold_in(state.key, state.updates)
        return State(optax.apply_updates(state.params, updates), opt_state, average, state.updates + 1, key), {
            "loss": value
        }

    return Algorithm(init, act, update, jnp.zeros((env.spec.agents, 1)), config.whole_episodes, config.steps)
