"""Shaping of naive learners with exact values: two tabular players, each of which plays a share of its games against
naive learners and the rest against the other player (Meulemans et al. 2025, arXiv 2410.18636, section 4).

A player theta is five logits of cooperation, at the start and after CC, CD, DC, DD. A naive learner phi ascends its own
value V_phi for M steps from a random start, and the player ascends its mean value on that path:

    phi_{m+1} = phi_m + rate grad_phi V_phi(theta, phi_m)
    theta ascends  w grad_theta mean over m of V_theta(theta, phi_m)  +  (1 - w) grad_theta V_theta(theta, other player)

The first gradient goes through all steps of the learner. Values come from the game's closed form, so the rollouts are
only reported, not learned from. docs/algorithms/coala_exact.md lists every departure.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.algorithms.shaping.tabular import act_by_table, require_exact_values, seen_by
from comity.learning.extortion import extortion_fit
from comity.learning.lookahead import Values, learning_path, naive_gradient
from comity.learning.optimizers import take_step
from comity.settings import BelowOne, Fraction, NotNegative, Positive, check
from comity.spec import functions
from comity.types import Algorithm, Environment, Key, PyTree, Transition

OUTCOMES = ("start", "cc", "cd", "dc", "dd")


@dataclass(frozen=True)
class Config:
    """Settings of the analytic experiments. Values are points per step: 1 - gamma times the discounted sum."""

    naive_weight: Fraction = 1.0  # w, share of the gradient from naive learners; the rest is from the other player
    naive_steps: Positive[int] = 20  # M, number of steps of a naive learner on its path
    naive_starts: Positive[int] = 64  # number of new naive learners in each update, with normal logits
    naive_rate: Positive[float] = 5.0  # learning rate of the naive learners' plain gradient steps, on points per step
    learning_rate: Positive[float] = 0.005  # learning rate of AdamW, with optax's defaults
    gamma: BelowOne = 0.95  # discount per step
    start: tuple[float, ...] = ()  # five probabilities of cooperation at the start; empty: one half each
    deviation: NotNegative[float] = 1.0  # deviation of normal noise on the logits at the start

    def __post_init__(self):
        check(self)
        if len(self.start) not in (0, 5) or not all(0 < x < 1 for x in self.start):
            raise ValueError(
                f"start {self.start} is not empty, nor five numbers above 0 and below 1: give one of these"
            )


EXTORTIONER = (0.01, 0.92, 0.11, 0.43, 0.01)  # the result of shaping naive learners
DEFECTOR = (0.01, 0.01, 0.01, 0.01, 0.01)
PRESETS = {
    "sound": {},
    "extortioners": {"naive_weight": 0.0, "start": EXTORTIONER, "deviation": 0.1},
    "mixed": {"naive_weight": 0.1, "start": EXTORTIONER, "deviation": 0.1},
}


class State(NamedTuple):
    logits: Array  # [2, 5] of cooperation, each player's from its own point of view
    opt_state: PyTree


class Path(NamedTuple):
    """The values of a player and of naive learners on their path, points per step, means over learners."""

    mine: Array  # [] mean over the path
    theirs: Array
    mine_last: Array  # [] after the last step
    theirs_last: Array


def paths(values: Values, mine: Array, starts: Array, rate, steps: int) -> Path:
    """Returns the values on the paths of naive learners against `mine` [5] (C.7).

    starts [S, 5]: where the learners start; steps: number of steps of each.
    """

    path = lambda theirs: learning_path(values, mine, theirs, rate, steps)  # noqa: E731
    mine_earned, theirs_earned = jax.vmap(path)(starts)  # [S, M + 1]
    ends = mine_earned[:, -1].mean(), theirs_earned[:, -1].mean()
    return Path(mine_earned.mean(), theirs_earned.mean(), *ends)


def points_per_step(env: Environment, gamma, logits: Array) -> Array:
    """Returns the values [2] of two players [2, 5] against each other: 1 - gamma times the discounted sum."""
    return (1 - gamma) * functions(env).exact_values(logits, gamma)  # pyright: ignore[reportOptionalCall]


def metrics_of(env: Environment, logits: Array, meeting: Array, path: Path) -> dict[str, Array]:
    """Returns metrics of K tabular players. logits [K, 5]; meeting [K]: values against a player; path: leaves [K]."""
    policy = jax.nn.sigmoid(logits)
    chi, residual = extortion_fit(jnp.asarray(env.payoffs), policy[:, 1:])  # pyright: ignore[reportAttributeAccessIssue]
    return {
        "meeting_value": meeting.mean(),
        "meeting_least": meeting.min(),
        "shaping_value": path.mine.mean(),
        "naive_value": path.theirs.mean(),
        "shaping_value_last": path.mine_last.mean(),
        "naive_value_last": path.theirs_last.mean(),
        "extortion_factor": jnp.median(chi),
        "extortion_residual": residual.mean(),
        **{f"cooperates_{name}": policy[:, k].mean() for k, name in enumerate(OUTCOMES)},
    }


def exact_worth(env: Environment, logits: Array, config: Config = Config()) -> dict[str, Array]:
    """Returns `metrics_of` K players [K, 5], each against the next player and against naive learners.

    A single player plays against itself. The naive learners start from the same logits in every call.
    """
    values = seen_by(0, partial(points_per_step, env, config.gamma))
    starts = jax.random.normal(jax.random.key(0), (config.naive_starts, 5))
    path = jax.vmap(lambda mine: paths(values, mine, starts, config.naive_rate, config.naive_steps))(logits)
    meeting = jax.vmap(lambda mine, theirs: values(mine, theirs)[0])(logits, jnp.roll(logits, 1, axis=0))
    return metrics_of(env, logits, meeting, path)


def make(config: Config, env: Environment) -> Algorithm:
    require_exact_values(env, "coala-exact")
    adam = optax.adamw(config.learning_rate)

    both = partial(points_per_step, env, config.gamma)

    def init(key: Key) -> State:
        first = jnp.asarray(config.start) if config.start else jnp.full(5, 0.5)
        logits = jax.scipy.special.logit(first) + config.deviation * jax.random.normal(key, (2, 5))
        return State(logits, adam.init(logits))

    def of(player: Array, mine: Array, theirs: Array, starts: Array) -> tuple[Array, Array, Path]:
        """Returns (gradient from naive learners, gradient from the other player, values on the path) of one player."""
        values = seen_by(player, both)

        def earned(mine: Array) -> tuple[Array, Path]:
            path = paths(values, mine, starts, config.naive_rate, config.naive_steps)
            return path.mine, path

        from_naive, path = jax.grad(earned, has_aux=True)(mine)
        return from_naive, naive_gradient(values, mine, theirs), path

    def update(key: Key, state: State, steps: Transition) -> tuple[State, dict[str, Array]]:
        starts = jax.random.normal(key, (2, config.naive_starts, 5))
        from_naive, from_player, path = jax.vmap(of)(jnp.arange(2), state.logits, state.logits[::-1], starts)
        weight = config.naive_weight
        grads = weight * from_naive + (1 - weight) * from_player
        logits, opt_state = take_step(adam, state.logits, state.opt_state, -grads)
        metrics = {
            **metrics_of(env, state.logits, both(state.logits), path),
            **{f"naive_gradient_{name}": from_naive[:, k].mean() for k, name in enumerate(OUTCOMES)},
            **{f"player_gradient_{name}": from_player[:, k].mean() for k, name in enumerate(OUTCOMES)},
            "naive_gradient_norm": jnp.linalg.norm(from_naive, axis=-1).mean(),
            "player_gradient_norm": jnp.linalg.norm(from_player, axis=-1).mean(),
        }
        return State(logits, opt_state), metrics

    def act(key: Key, state: State, memory, observation, explore: bool = True):
        return act_by_table(key, state.logits, memory, observation, explore)

    return Algorithm(init, act, update, whole_episodes=True, own_play=True)
