"""LOLA: two tabular players, each of which takes the other's learning into account (Foerster et al. 2018, arXiv
1709.04326), and LOLA-DiCE (Foerster et al. 2018, arXiv 1802.05098).

Each player theta_i is five logits of cooperation, at the start and after CC, CD, DC, DD. It ascends:

    naive:     grad_1 V_1(theta_1, theta_2)
    LOLA:      grad_1 V_1 + c grad_1 <grad_2 V_1 held fixed, grad_2 V_2>
    LOLA-DiCE: grad_1 V_1(theta_1, theta_2 after several naive steps), through all of these steps

LOLA's term is the effect of the other's next naive step, to first order. Values come from the game's closed form, so
that rollouts are only reported, or from sampled play, new for every estimate. docs/algorithms/lola.md lists every
departure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from comity import rollout
from comity.algorithms.shaping.tabular import act_by_table, require_exact_values, seen_by, table_logits
from comity.learning import log_prob, take_step
from comity.learning.lookahead import Values, dice_objective, dice_values, lola_term, naive_gradient
from comity.settings import BelowOne, Fraction, NotNegative, Positive, check
from comity.spec import functions
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config:
    """Settings of LOLA. Values are points per step (1 - gamma times the discounted sum) or the sum itself."""

    rule: Literal["lola", "dice", "naive"] = (
        "lola"  # lola: one step of the other's learning, to first order; dice: several steps, exactly; naive: none
    )
    learning_rate: Positive[float] = 1.0  # learning rate; reference 1
    look_ahead_rate: NotNegative[float] = 1.0  # lola: c of the term, reference 0.5 or 1;
    # dice: learning rate of the other's steps inside
    look_aheads: NotNegative[int] = 1  # dice: number of naive steps of the other
    gamma: BelowOne = 0.96  # discount per step
    look_ahead_weight: Fraction = 1.0  # dice: weight of its gradient; the rest is the naive one (COALA-PG, figure 4C)
    optimizer: Literal["gradient", "adamw"] = "gradient"  # plain steps, or optax's AdamW (COALA-PG)
    values: Literal["sum", "per-step"] = "sum"  # unit of the values in gradients; COALA-PG's experiments need per-step
    play: Literal["exact", "sampled"] = "exact"  # values from the closed form, or from sampled play
    games: Positive[int] = 64  # sampled: number of games of each estimate; reference 64
    deviation: NotNegative[float] = 1.0  # deviation of the normal logits at the start

    def __post_init__(self):
        check(self)


PRESETS = {
    "sound": {},
    "naive": {"rule": "naive"},
    "dice": {"rule": "dice", "look_aheads": 2, "look_ahead_rate": 0.5},
    "sampled": {  # as in the papers' sampled experiments
        "rule": "dice",
        "look_aheads": 2,
        "look_ahead_rate": 0.1,
        "learning_rate": 0.2,
        "play": "sampled",
    },
}


class State(NamedTuple):
    logits: Array  # [2, 5] of cooperation, each player's from its own point of view
    opt_state: PyTree = ()


Estimate = Callable[[int], Values]  # number of the estimate -> function (mine, theirs) -> (my value, their value)


def gradient(config: Config, estimate: Estimate, mine: Array, theirs: Array) -> Array:
    """Returns the gradient that one player ascends, [5]. Each sampled estimate has its own play; exact ones agree."""
    values = estimate(0)
    if config.rule == "naive":
        return naive_gradient(values, mine, theirs)
    if config.rule == "lola":
        return naive_gradient(values, mine, theirs) + config.look_ahead_rate * lola_term(
            estimate(1), mine, theirs, estimate(2)
        )

    def objective(mine: Array) -> Array:
        apart = [estimate(k + 1) for k in range(config.look_aheads)]
        return dice_objective(values, mine, theirs, config.look_ahead_rate, config.look_aheads, apart)

    weight = config.look_ahead_weight
    return weight * jax.grad(objective)(mine) + (1 - weight) * naive_gradient(
        estimate(config.look_aheads + 1), mine, theirs
    )


def estimates(config: Config) -> int:
    """Returns the number of estimates that the gradients of both players need."""
    return 2 * {"naive": 1, "lola": 3, "dice": config.look_aheads + 2}[config.rule]


def sampled_play(config: Config, env: Environment, key: Key, logits: Array) -> Array:
    """Returns both players' discounted returns from play at `logits` [2, 5], [2], differentiable by the logits."""
    fixed = lax.stop_gradient(logits)
    act = lambda key, memory, observation: act_by_table(key, fixed, memory, observation)  # noqa: E731
    key_start, key_play = jax.random.split(key)
    steps = rollout.collect_episodes(key_play, env, act, rollout.start(key_start, env, (), config.games))
    steps = lax.stop_gradient(steps)
    chosen = log_prob(table_logits(logits, steps.observation.view), steps.action)
    return dice_values(jnp.where(steps.valid[..., None], chosen, 0.0), steps.reward, config.gamma)


def make(config: Config, env: Environment) -> Algorithm:
    require_exact_values(env, "lola")
    unit = 1 - config.gamma if config.values == "per-step" else 1.0
    adamw = optax.adamw(config.learning_rate) if config.optimizer == "adamw" else None

    def exact(logits: Array) -> Array:
        return functions(env).exact_values(logits, config.gamma)  # pyright: ignore[reportOptionalCall]

    def estimate(key: Key, player: Array, number: int) -> Values:
        if config.play == "exact":
            return seen_by(player, lambda logits: unit * exact(logits))
        key = jax.random.fold_in(key, number)
        return seen_by(player, lambda logits: unit * sampled_play(config, env, key, logits))

    def init(key: Key) -> State:
        logits = config.deviation * jax.random.normal(key, (2, 5))
        return State(logits, adamw.init(logits) if adamw else ())

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        return act_by_table(key, state.logits, memory, observation, explore)

    def update(key: Key, state: State, steps: Transition) -> tuple[State, dict[str, Array]]:
        def of(player: Array, key: Key, mine: Array, theirs: Array) -> Array:
            return gradient(config, partial(estimate, key, player), mine, theirs)

        grads = jax.vmap(of)(jnp.arange(2), jax.random.split(key), state.logits, state.logits[::-1])
        per_step = (1 - config.gamma) * exact(state.logits)
        metrics = {
            "meeting_value": per_step.mean(),
            "value.0": per_step[0],
            "value.1": per_step[1],
            "gradient_norm": jnp.linalg.norm(grads),
        }
        if config.play == "sampled":
            metrics["extra_steps"] = jnp.float32(estimates(config) * config.games * env.spec.length)
        if adamw is None:
            return State(state.logits + config.learning_rate * grads, state.opt_state), metrics
        return State(*take_step(adamw, state.logits, state.opt_state, -grads)), metrics

    return Algorithm(init, act, update, whole_episodes=True, own_play=True)
