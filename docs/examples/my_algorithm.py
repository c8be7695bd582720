"""REINFORCE (Williams 1992): climb the score-function estimate of the expected return."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import optax
from jax import Array

from comity.learning import discounted_returns, log_prob, masked, mean_valid, sample
from comity.networks import MLP
from comity.settings import Fraction, Positive, check
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config:
    learning_rate: Positive[float] = 1e-2
    gamma: Fraction = 0.96  # per step
    hidden: tuple[Positive[int], ...] = (32,)

    def __post_init__(self):
        check(self)


class State(NamedTuple):
    policy: PyTree  # an MLP, one for all agents: its arrays are the parameters
    opt_state: PyTree


def policy_loss(policy: MLP, steps: Transition, gamma: Array | float) -> Array:
    """Loss whose descent direction is REINFORCE with the mean return of each agent as baseline.

    Williams (1992), theorem 1. steps: leaves [T, B, N, ...]; gamma: per step. Returns [] in reward units.
    """
    returns = discounted_returns(steps.reward, steps.ended, gamma)  # [T, B, N]
    advantage = returns - mean_valid(returns, steps.valid)
    logits = masked(policy(steps.observation.view), steps.observation.available)  # [T, B, N, A]
    return -mean_valid(advantage * log_prob(logits, steps.action), steps.valid).mean()  # [N] -> []


def make(config: Config, env: Environment) -> Algorithm:
    optimizer = optax.adam(config.learning_rate)

    def init(key: Key) -> State:
        policy: PyTree = MLP(key, env.spec.view.size, config.hidden, env.spec.action.n)
        return State(policy, optimizer.init(policy))

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        logits = masked(state.policy(observation.view), observation.available)
        action = sample(key, logits) if explore else logits.argmax(-1)
        return action, memory, {"probabilities": jax.nn.softmax(logits)}  # notes: for the film

    def update(key: Key, state: State, steps: Transition):
        loss, grads = jax.value_and_grad(policy_loss)(state.policy, steps, config.gamma)
        updates, opt_state = optimizer.update(grads, state.opt_state)
        return State(optax.apply_updates(state.policy, updates), opt_state), {"policy_loss": loss}

    return Algorithm(init, act, update, whole_episodes=True)
