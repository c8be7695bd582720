"""Toy: REINFORCE without memory and without baseline, an example of how an algorithm is added (docs/adding.md)."""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import optax
from jax import Array

from comity.algorithms import actors
from comity.learning import discounted_returns, policy_loss, take_step
from comity.networks import RecurrentNet, fresh_core
from comity.settings import Fraction, Positive, check
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config(actors.Settings):
    """Settings of the toy."""

    learning_rate: Positive[float] = 0.01  # Adam
    gamma: Fraction = 0.99  # per step
    hidden: Positive[int] = 16  # width of both layers

    def __post_init__(self):
        check(self)


PRESETS = {"sound": {}}


class State(NamedTuple):
    actor: PyTree  # leaves [N, ...]
    opt_state: PyTree


def make(config: Config, env: Environment) -> Algorithm:
    acts = actors.actions_of(config, env)
    net = partial(RecurrentNet, hidden=config.hidden, outputs=acts.size, core="none")
    memory = fresh_core("none", config.hidden, env.spec.agents)
    team = actors.team(config, env, acts, "separate", net, memory, config.hidden)
    adam = team.optimizer(optax.adam(config.learning_rate))

    def init(key: Key) -> State:
        actor = team.init(key)
        return State(actor, adam.init(actor))

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        outputs, memory = team.step(state.actor, observation.view, memory)
        policy = acts(outputs, observation.available)
        action = policy.sample(key) if explore else policy.mode()
        return action, team.acted(memory, action), policy.notes()

    def update(key: Key, state: State, steps: Transition) -> tuple[State, dict[str, Array]]:
        returns = discounted_returns(steps.reward, steps.ended, config.gamma)
        before = jax.tree.map(lambda x: x[0], steps.memory)

        def loss(actor: PyTree) -> Array:
            outputs = team.unroll(actor, steps.observation.view, before, None, steps.action)
            log_probs = acts(outputs, steps.observation.available).log_prob(steps.action)
            return team.total(policy_loss(log_probs, returns, steps.valid))

        value, grads = jax.value_and_grad(loss)(state.actor)
        return State(*take_step(adam, state.actor, state.opt_state, grads)), {"policy_loss": value}

    return Algorithm(init, act, update, team.memory, whole_episodes=True)
