"""my_bonus: a reward of the learner's own, beside the game's: what changes what is seen pays. Change it to yours."""

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from comity.algorithms.combinators import with_bonus
from comity.algorithms.policy_gradient import reinforce
from comity.learning import mean_valid
from comity.settings import Fraction, NotNegative, check
from comity.types import Algorithm, Bonus, Environment, Experience, Key, Metrics, Transition

LEARNER = reinforce.Config()


@dataclass(frozen=True)
class Config:
    """Its fields are flags: `--algorithm.weight 0.5`, those of the learner `--algorithm.learner.gamma 0.9`."""

    weight: NotNegative[float] = 0.1  # of the bonus, in units of the game's reward
    pace: Fraction = 0.1  # by how much the usual change follows that of the last rollout
    learner: reinforce.Config = LEARNER  # any algorithm's, with `make` below

    def __post_init__(self) -> None:
        check(self)


class State(NamedTuple):
    """What the bonus has learned."""

    usual: Array  # [], mean change of a view in a step


def change(seen: Experience) -> Array:
    """[..., N], mean absolute change of each agent's view."""
    step = seen.next_observation.view.astype(jnp.float32) - seen.observation.view.astype(jnp.float32)
    return jnp.abs(step).reshape(*step.shape[: seen.valid.ndim + 1], -1).mean(-1)


def bonus(config: Config) -> Bonus:
    def init(key: Key) -> State:
        return State(jnp.ones(()))

    def reward(state: State, seen: Experience) -> Array:
        """[..., N], before its weight: changes against the usual one."""
        return change(seen) / (state.usual + 1e-6)

    def update(key: Key, state: State, steps: Transition) -> tuple[State, Metrics]:
        now = mean_valid(change(steps.experience), steps.valid).mean()
        usual = state.usual + config.pace * (now - state.usual)
        return State(usual), {"usual": usual}

    return Bonus(init, reward, update)


def make(config: Config, env: Environment) -> Algorithm:
    return with_bonus(reinforce.make(config.learner, env), bonus(config), config.weight, "my_bonus")
