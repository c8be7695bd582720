"""A2C: advantage actor-critic with one recurrent network for policy and value, for two-player and other small games
(Mnih et al. 2016, arXiv 1602.01783, in its synchronous form).

    minimise  -mean (G_t - V_t) log pi(a_t | history) + c_V mean (V_t - G_t)^2 - c_H mean H

G_t is the Monte-Carlo return inside the episode. There is one optimizer step after each batch of episodes, and the
memory starts anew with each episode. This is the naive learner of COALA-PG (Meulemans et al. 2025, arXiv 2410.18636,
appendix). docs/algorithms/a2c.md lists every departure.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.algorithms import actors
from comity.compatibility import require_vectors
from comity.learning import (
    critic_loss,
    discounted_returns,
    mean_valid,
    optimizer,
    policy_loss,
    standardised,
    take_step,
)
from comity.networks.sequence import Sequence, sequence_memory, sequence_net
from comity.settings import Fraction, NotNegative, Positive, check
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config(actors.Settings):
    """Settings of A2C. The defaults are those of the naive learners in COALA-PG's IPD (its hyper-parameter table)."""

    actors: Literal["separate", "shared"] = "separate"  # networks: one set for each agent, or one for all
    core: Sequence = "gru"  # paper: hawk
    width: Positive[int] = 32  # width of every layer and of the memory
    optimizer: Literal["adam", "sgd"] = "adam"  # sgd: plain gradient steps
    learning_rate: Positive[float] = 0.005  # learning rate of the optimizer
    epsilon: Positive[float] = 1e-5  # Adam's epsilon, added to the root
    gradient_clip: Positive[float] = 1.0  # largest gradient norm, of each network
    gamma: Fraction = 0.99  # discount per step
    normalise: bool = True  # normalise the advantages of a batch to mean 0 and variance 1
    value_coefficient: NotNegative[float] = 0.5  # weight of the critic's loss
    entropy_coefficient: NotNegative[float] = 0.0  # weight of the policies' entropy
    reward_factor: Positive[float] = 0.05  # rewards are multiplied by it, for learning only

    def __post_init__(self):
        check(self)


PRESETS = {"sound": {}, "paper": {"core": "hawk"}}


class State(NamedTuple):
    net: PyTree  # outputs the parameters of a policy, and a value; leaves [N, ...] if separate
    opt_state: PyTree


def losses(policy: Any, value: Array, steps: Transition, advantage: Array, returns: Array) -> tuple[Array, ...]:
    """Returns (policy loss, squared error of the value, entropy in nats), each [N].

    They are means over valid steps: -mean A log pi, mean (V - G)^2, mean H. value, advantage, returns [T, B, N].
    """
    log_probs, entropy = policy.log_prob(steps.action), policy.entropy(steps.action)
    error = critic_loss(value, returns, steps.valid)
    return policy_loss(log_probs, advantage, steps.valid), error, mean_valid(entropy, steps.valid)


def make(config: Config, env: Environment) -> Algorithm:
    if config.core == "table":
        require_vectors(env, "a2c's core 'table'")
    acts = actors.actions_of(config, env)
    new = lambda key, inputs: sequence_net(config.core, key, inputs, config.width, acts.size + 1)  # noqa: E731
    fresh = sequence_memory(config.core, config.width, env.spec.agents)
    team = actors.team(config, env, acts, config.actors, new, fresh, config.width)
    climb = team.optimizer(
        optimizer(config.optimizer, config.learning_rate, config.gradient_clip, epsilon=config.epsilon)
    )

    def policy_and_value(outputs: Array, available: PyTree) -> tuple[Any, Array]:
        """Returns (the policy, V [...]) from outputs [..., size + 1], which log deviations may follow."""
        of_policy = jnp.concatenate([outputs[..., : acts.size], outputs[..., acts.size + 1 :]], -1)
        return acts(of_policy, available), outputs[..., acts.size]

    def init(key: Key) -> State:
        net = team.init(key)
        return State(net, climb.init(net))

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        outputs, memory = team.step(state.net, observation.view, memory)
        policy, _ = policy_and_value(outputs, observation.available)
        action = policy.sample(key) if explore else policy.mode()
        return action, team.acted(memory, action), policy.notes()

    def update(key: Key, state: State, steps: Transition) -> tuple[State, dict[str, Array]]:
        returns = discounted_returns(config.reward_factor * steps.reward, steps.ended, config.gamma)
        before = team.begin(steps.valid.shape[1])  # every episode starts with the rollout

        def loss(net: PyTree) -> tuple[Array, dict[str, Array]]:
            outputs = team.unroll(net, steps.observation.view, before, None, steps.action)
            policy, value = policy_and_value(outputs, steps.observation.available)
            advantage = returns - value
            if config.normalise:
                advantage = standardised(advantage, steps.valid, together=not team.separate)
            climbed, error, entropy = losses(policy, value, steps, advantage, returns)
            total = climbed + config.value_coefficient * error - config.entropy_coefficient * entropy
            metrics = {"policy_loss": climbed.mean(), "critic_loss": error.mean(), "entropy": entropy.mean()}
            return team.total(total), metrics

        grads, metrics = jax.grad(loss, has_aux=True)(state.net)
        net, opt_state = take_step(climb, state.net, state.opt_state, grads)
        return State(net, opt_state), {**metrics, "gradient_norm": optax.tree.norm(grads)}

    return Algorithm(init, act, update, team.memory, whole_episodes=True)
