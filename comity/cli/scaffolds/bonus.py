"""my_bonus: an intrinsic reward, beside the game's own: a change of the agent's view pays. Change it as you like."""

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
    """Settings of the bonus. Its fields are flags: `--algorithm.weight 0.5`, those of the learner
    `--algorithm.learner.gamma 0.9`.
    """

    weight: NotNegative[float] = 0.1  # of the bonus, in units of the game's reward
    pace: Fraction = 0.1  # fraction by which the usual change moves towards that of the last rollout
    learner: reinforce.Config = LEARNER  # of any algorithm; `make` below then calls that algorithm

    def __post_init__(self) -> None:
        check(self)


class State(NamedTuple):
    """What the bonus has learned."""

    usual: Array  # [], mean change of a view in a step


def change(seen: Experience) -> Array:
    """Mean absolute change of each agent's view, [..., N]."""
    step = seen.next_observation.view.astype(jnp.float32) - seen.observation.view.astype(jnp.float32)
    return jnp.abs(step).reshape(*step.shape[: seen.valid.ndim + 1], -1).mean(-1)


def bonus(config: Config) -> Bonus:
    def init(key: Key) -> State:
        return State(jnp.ones(()))

    def reward(state: State, seen: Experience) -> Array:
        """The bonus before its weight, [..., N]: the change relative to the usual change."""
        return change(seen) / (state.usual + 1e-6)

    def update(key: Key, state: State, steps: Transition) -> tuple[State, Metrics]:
        now = mean_valid(change(steps.experience), steps.valid).mean()
        usual = state.usual + config.pace * (now - state.usual)
        return State(usual), {"usual": usual}

    return Bonus(init, reward, update)


def make(config: Config, env: Environment) -> Algorithm:
    return with_bonus(reinforce.make(config.learner, env), bonus(config), config.weight, "my_bonus")
