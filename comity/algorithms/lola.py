"""LOLA: two tabular players who learn with the other's learning in view (Foerster et al. 2018, arXiv 1709.04326), and
LOLA-DiCE (Foerster et al. 2018, arXiv 1802.05098), both with exact values.

Each player is five logits of cooperation, after the start and after CC, CD, DC, DD. Naive players climb their own
value, LOLA's the value after the other's next naive step, to first order, LOLA-DiCE's after several, in full. Values
come from the game's closed form; play is only watched. docs/algorithms/lola.md.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.learning import sample
from comity.learning.lookahead import dice_objective, lola_term, naive_gradient
from comity.settings import NOT_NEGATIVE, POSITIVE, check
from comity.types import Algorithm, Environment, Key, Observation, Transition


@dataclass(frozen=True)
class Config:
    """Settings of LOLA. Values are points per step (1 - gamma times the discounted sum) or the sum itself."""

    rule: Literal["lola", "dice", "naive"] = "lola"
    learning_rate: float = 1.0  # plain gradient steps; reference 1
    look_ahead_rate: float = 1.0  # lola: c of the term, reference 0.5 or 1; dice: of the other's steps inside
    look_aheads: int = 1  # dice: naive steps of the other that are looked ahead
    gamma: float = 0.96  # per step
    values: Literal["sum", "per-step"] = "sum"  # what rates act on; COALA-PG's experiments need per-step
    deviation: float = 1.0  # of the logits at the start, normal

    def __post_init__(self):
        check(
            self,
            learning_rate=POSITIVE,
            look_ahead_rate=NOT_NEGATIVE,
            look_aheads=("0 or greater", lambda k: k >= 0),
            gamma=("between 0 and 1, and not 1", lambda g: 0 <= g < 1),
            deviation=NOT_NEGATIVE,
        )


PRESETS = {"sound": {}, "naive": {"rule": "naive"}, "dice": {"rule": "dice", "look_aheads": 2, "look_ahead_rate": 0.5}}


class State(NamedTuple):
    logits: Array  # [2, 5] of cooperation, each player's from its own point of view


def gradients(config: Config, values, logits: Array) -> Array:
    """[2, 5], what each player climbs. values(logits [2, 5]) -> [2]."""

    def of(player: int) -> Array:
        mine, theirs = logits[player], logits[1 - player]

        def seen(mine: Array, theirs: Array) -> tuple[Array, Array]:
            both = jnp.stack([mine, theirs] if player == 0 else [theirs, mine])
            found = values(both)
            return found[player], found[1 - player]

        if config.rule == "dice":
            objective = lambda mine: dice_objective(  # noqa: E731
                seen, mine, theirs, config.look_ahead_rate, config.look_aheads
            )
            return jax.grad(objective)(mine)
        naive = naive_gradient(seen, mine, theirs)
        return naive if config.rule == "naive" else naive + config.look_ahead_rate * lola_term(seen, mine, theirs)

    return jnp.stack([of(0), of(1)])


def make(config: Config, env: Environment) -> Algorithm:
    if not hasattr(env, "exact_values") or env.num_actions != 2 or env.view_size != 5:
        raise ValueError(
            f"lola needs a game of two players and two actions with exact values, in which they see the last outcome; "
            f"{type(env).__name__} is none: play ipd or repeated-matrix with sees 'outcome'"
        )
    unit = 1 - config.gamma if config.values == "per-step" else 1.0

    def values(logits: Array) -> Array:
        return unit * env.exact_values(logits, config.gamma)  # pyright: ignore[reportAttributeAccessIssue]

    def init(key: Key) -> State:
        return State(config.deviation * jax.random.normal(key, (2, 5)))

    def act(key: Key, state: State, memory: tuple[()], observation: Observation, explore: bool = True):
        cooperate = (observation.view * state.logits).sum(-1)  # [..., 2]
        logits = jnp.stack([cooperate, jnp.zeros_like(cooperate)], -1)
        action = sample(key, logits) if explore else (cooperate < 0).astype(jnp.int32)
        return action, memory, {"probabilities": jax.nn.softmax(logits)}

    def update(key: Key, state: State, steps: Transition):
        grads = gradients(config, values, state.logits)
        exact = (1 - config.gamma) * env.exact_values(state.logits, config.gamma)  # pyright: ignore
        metrics = {"value.0": exact[0], "value.1": exact[1], "gradient_norm": jnp.linalg.norm(grads)}
        return State(state.logits + config.learning_rate * grads), metrics

    return Algorithm(init, act, update, whole_episodes=True)
