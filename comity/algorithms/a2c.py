"""Advantage actor-critic for two-player and other small games: one recurrent network for policy and value (Mnih et al.
2016, arXiv 1602.01783, in its synchronous form).

It plays the naive learner of COALA-PG (Meulemans et al. 2025, arXiv 2410.18636, appendix): Monte-Carlo returns inside
the episode, one step after each batch of episodes, memory forgotten at every start. docs/algorithms/a2c.md.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.compatibility import require_discrete
from comity.learning import (
    discounted_returns,
    entropy,
    log_prob,
    masked,
    mean_valid,
    optimizer,
    per_agent_optimizer,
    sample,
    standardised,
    take_step,
)
from comity.networks import per_agent, stacked
from comity.networks.sequence import Sequence, sequence_memory, sequence_net
from comity.settings import Fraction, NotNegative, Positive, check
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config:
    """Settings of A2C. Defaults are those of the naive learners of COALA-PG's IPD (its table of hyper-parameters)."""

    actors: Literal["separate", "shared"] = "separate"
    network: Sequence = "gru"  # paper: hawk
    width: Positive[int] = 32
    learning_rate: Positive[float] = 0.005  # Adam
    epsilon: Positive[float] = 1e-5  # Adam's, added to the root
    gradient_clip: Positive[float] = 1.0  # norm, of each network
    gamma: Fraction = 0.99  # per step
    normalise: bool = True  # advantages of a batch to mean 0, variance 1
    value_coefficient: NotNegative[float] = 0.5
    entropy_coefficient: NotNegative[float] = 0.0
    reward_factor: Positive[float] = 0.05  # rewards are multiplied by it, for learning only

    def __post_init__(self):
        check(self)


PRESETS = {"sound": {}, "paper": {"network": "hawk"}}


class State(NamedTuple):
    net: PyTree  # outputs A logits and a value; leaves [N, ...] if separate
    opt_state: PyTree


def losses(outputs: Array, steps: Transition, advantage: Array, returns: Array) -> tuple[Array, Array, Array]:
    """(policy loss, squared error of the value, entropy in nats), each [N].

    outputs [T, B, N, A + 1]; advantage, returns [T, B, N]. -mean_m A log pi, mean_m (V - G)^2, mean_m H.
    """
    logits = masked(outputs[..., :-1], steps.observation.available)
    policy = -mean_valid(advantage * log_prob(logits, steps.action), steps.valid)
    error = mean_valid(jnp.square(outputs[..., -1] - returns), steps.valid)
    return policy, error, mean_valid(entropy(logits), steps.valid)


def make(config: Config, env: Environment) -> Algorithm:
    require_discrete(env, "a2c")
    spec = env.spec
    agents, separate = spec.agents, config.actors == "separate"
    adam = optimizer("adam", config.learning_rate, config.gradient_clip, epsilon=config.epsilon)
    adam = per_agent_optimizer(adam) if separate else adam
    new = partial(sequence_net, config.network, inputs=spec.view.size, width=config.width, outputs=spec.action.n + 1)
    fresh = sequence_memory(config.network, config.width, agents)

    def init(key: Key) -> State:
        net = stacked(new, key, agents) if separate else new(key)
        return State(net, adam.init(net))  # pyright: ignore[reportArgumentType]

    def unroll(net: PyTree, view: Array) -> Array:
        """[T, B, N, V] -> outputs [T, B, N, A + 1]; every episode starts with the rollout."""
        memory = jax.tree.map(lambda x: jnp.broadcast_to(x, (view.shape[1], *x.shape)), fresh)
        if not separate:
            return net.unroll(view, memory)
        return per_agent(lambda net, x, h: net.unroll(x, h), (0, 2, 1), 2)(net, view, memory)

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        view, axis = observation.view.astype(jnp.float32), observation.available.ndim - 2
        if separate:
            step = per_agent(lambda net, x, h: net(x, h), (0, axis, axis), (axis, axis))
            outputs, memory = step(state.net, view, memory)
        else:
            outputs, memory = state.net(view, memory)
        logits = masked(outputs[..., :-1], observation.available)
        action = sample(key, logits) if explore else logits.argmax(-1).astype(jnp.int32)
        return action, memory, {"probabilities": jax.nn.softmax(logits)}

    def update(key: Key, state: State, steps: Transition) -> tuple[State, dict[str, Array]]:
        returns = discounted_returns(config.reward_factor * steps.reward, steps.ended, config.gamma)

        def loss(net: PyTree):
            outputs = unroll(net, steps.observation.view.astype(jnp.float32))
            advantage = jax.lax.stop_gradient(returns - outputs[..., -1])
            if config.normalise:
                advantage = standardised(advantage, steps.valid, together=not separate)
            policy, error, surprise = losses(outputs, steps, advantage, returns)
            total = policy + config.value_coefficient * error - config.entropy_coefficient * surprise
            metrics = {"policy_loss": policy.mean(), "critic_loss": error.mean(), "entropy": surprise.mean()}
            # Separate networks climb each their own loss, so the sum only collects them.
            return total.sum() if separate else total.mean(), metrics

        grads, metrics = jax.grad(loss, has_aux=True)(state.net)
        net, opt_state = take_step(adam, state.net, state.opt_state, grads)
        return State(net, opt_state), {**metrics, "gradient_norm": optax.tree.norm(grads)}

    return Algorithm(init, act, update, fresh, whole_episodes=True)
