"""my_algorithm: REINFORCE (Williams 1992), one network with memory for all agents. Change it as you like."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.learning import discounted_returns, log_prob, masked, mean_valid, sample
from comity.networks import RecurrentNet
from comity.settings import Fraction, Positive, check
from comity.types import Algorithm, Environment, Key, Metrics, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config:
    """Settings of the learner. Its fields are flags: `--algorithm.learning-rate 1e-3`."""

    learning_rate: Positive[float] = 1e-2  # Adam
    gamma: Fraction = 0.96  # per step
    hidden: Positive[int] = 32  # width of the memory (a GRU) and of the layer before it

    def __post_init__(self) -> None:
        check(self)


PRESETS = {"sound": {}, "slow": {"learning_rate": 1e-3}}  # the first is the default


class State(NamedTuple):
    """Everything that learning changes."""

    policy: PyTree  # a RecurrentNet: its arrays are the parameters
    opt_state: PyTree


def policy_loss(policy: RecurrentNet, steps: Transition, gamma: Array | float) -> Array:
    """Policy loss [], in units of reward. steps: leaves [T, B, N, ...], of whole episodes."""
    returns = discounted_returns(steps.reward, steps.ended, gamma)  # [T, B, N]
    advantage = returns - mean_valid(returns, steps.valid)
    first = jax.tree.map(lambda x: x[0], steps.memory)  # [B, N, H], at the start of the episodes
    logits = masked(policy.unroll(steps.observation.view, first), steps.observation.available)  # [T, B, N, A]
    return -mean_valid(advantage * log_prob(logits, steps.action), steps.valid).mean()  # [N] -> []


def make(config: Config, env: Environment) -> Algorithm:
    optimizer = optax.adam(config.learning_rate)

    def init(key: Key) -> State:
        policy: PyTree = RecurrentNet(key, env.spec.view.size, config.hidden, env.spec.action.n)
        return State(policy, optimizer.init(policy))

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        outputs, memory = state.policy(observation.view, memory)
        logits = masked(outputs, observation.available)
        action = sample(key, logits) if explore else logits.argmax(-1)
        return action, memory, {"probabilities": jax.nn.softmax(logits)}  # notes: for the film

    def update(key: Key, state: State, steps: Transition) -> tuple[State, Metrics]:
        loss, grads = jax.value_and_grad(policy_loss)(state.policy, steps, config.gamma)
        updates, opt_state = optimizer.update(grads, state.opt_state)
        return State(optax.apply_updates(state.policy, updates), opt_state), {"policy_loss": loss}

    memory = jnp.zeros((env.spec.agents, config.hidden))  # of one game, at the start of an episode
    return Algorithm(init, act, update, memory, whole_episodes=True)
