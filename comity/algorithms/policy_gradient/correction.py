"""The collective correction terms of "hidden gifts", for policy-gradient learners.

The giver is the agent that earns its individual reward first in an episode; from then on all actions serve the
collective reward. `env.collective` gives the giver and the collective reward. With episode returns R_e, a baseline b_e,
scores S (sums of grad log pi after the giver's reward) and s the mean score of successes:

    mixed: sum over e of (R_e - b_e) w_e S_giver,   w_e = <S_others, s> / (|s|^2 + delta)

This module selects the episodes and the agents, and limits the size of a term. `learning/corrections.py` has the
mathematics; docs/algorithms/correction.md derives it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.algorithms.released import correction as released
from comity.algorithms.terms import Actor, Learned, Term
from comity.axes import aligned
from comity.learning import corrections
from comity.learning.corrections import Baseline, Direction
from comity.networks import Team
from comity.settings import Fraction, NotNegative, Positive
from comity.spec import functions
from comity.types import Collective, Environment, Key, PyTree, Transition

Correction = Literal["none", "mixed", "self_pure", "self_mixed", "released"]
ROLES = {  # term: (whose score gives u, whose parameters move)
    "mixed": ("others", "giver"),
    "self_mixed": ("giver", "others"),
    "self_pure": ("giver", "giver"),
}


@dataclass(frozen=True)
class Settings:
    """Settings of the correction. The learner adds its own settings.

    "released" has a closed form: of the settings below it reads the coefficient and the trigger alone.
    """

    correction: Correction = (
        "none"  # the term: mixed (theorem 1), self_pure (main text), self_mixed (appendix), released (code)
    )
    correction_coefficient: float = 1.0  # c; the paper's 1, anti-collective -1
    correction_direction: Direction = "damped"  # u; elementwise: the paper's Psi, literally. No effect on "released"
    correction_damping: Positive[float] = 1e-3  # this times max(1, |s|^2) is added to |s|^2 in u ("damped" only)
    correction_decay: Fraction = 0.9  # decay of the averages over batches that give s. No effect on "released"
    correction_clip: NotNegative[float] = (
        1.0  # largest norm of the term, in norms of the plain gradient; "released" has no limit
    )
    correction_weight_clip: Positive[float] = 10.0  # largest weight of an episode. No effect on "released"
    correction_return: Literal["undiscounted", "discounted"] = (
        "undiscounted"  # R_e; discounted: by gamma for each step since the giver's reward. No effect on "released"
    )
    correction_baseline: Baseline = (
        "leave-one-out"  # over the episodes in which an agent had its own reward. No effect on "released"
    )
    correction_trigger: Literal["success", "reward"] = (
        "success"  # where "released" acts: at the collective reward, or (code) at each own reward of 1 or more
    )


class Average(NamedTuple):
    """Averages over batches, whose quotient is s. Leaves have the axis N only if actors are separate."""

    score: PyTree  # [N, ...], average of sum_e R_e S_e over the episodes in which u comes from the agent's score
    success: Array  # [N], average of sum_e R_e over the same episodes


def require(config: Settings, env: Environment) -> None:
    """Raises ValueError, one line, for a game without `collective`, or with one agent."""
    if config.correction == "none":
        return
    if functions(env).collective is None:
        raise ValueError(
            f"correction {config.correction!r} needs a game that says who gave and what is collective, "
            f"`collective(steps)`, which {type(env).__name__} lacks: play manitokan, or set correction to 'none'"
        )
    if env.spec.agents < 2:
        raise ValueError(f"correction {config.correction!r} needs two agents or more, the game has {env.spec.agents}")


def terms(config: Settings, env: Environment, team: Team) -> tuple[Term, ...]:
    """Returns the term that the settings ask for, if any. Raises the ValueErrors of `require`."""
    require(config, env)
    if config.correction == "none":
        return ()

    def begin(key: Key, params: PyTree) -> Average | None:
        del key
        if config.correction not in ROLES:
            return None
        return Average(jax.tree.map(jnp.zeros_like, params), jnp.zeros(env.spec.agents if team.separate else ()))

    return (Term(begin, partial(corrected, config, functions(env).collective)),)  # pyright: ignore[reportArgumentType]


def corrected(
    config: Any, collective: Callable[[Transition], Collective], average: Average | None, actor: Actor,
    learned: Learned, grads: PyTree,
) -> tuple[PyTree, Average | None, dict[str, Array]]:  # fmt: skip
    """Returns (grads with the term, the next average, metrics). grads are of a loss, so the term is subtracted.

    The term has the units of the plain loss: a mean over valid steps, and over the agents of a shared actor. Only
    "released" reads the advantage of one step, r - V.
    """
    steps, separate = learned.steps, actor.team.separate
    shared, advantage = collective(steps), learned.reward - learned.baseline
    agents = steps.reward.shape[-1]
    scale = config.correction_coefficient / jnp.maximum(steps.valid.sum() * (1 if separate else agents), 1)
    if average is None:  # "released", which needs no average
        of_reward = config.correction_trigger == "reward"
        paid = steps.reward >= 1 if of_reward else jnp.broadcast_to(shared.reward[..., None] > 0, advantage.shape)
        objective = lambda outputs: released.objective(actor.log_probs(outputs), advantage, paid)  # noqa: E731
        gained, of_outputs = jax.value_and_grad(objective)(actor.outputs)
        climb, sizes = actor.pull_back(of_outputs), {"correction_objective": scale * gained}
    else:
        (climb, average), sizes = term(config, actor, shared, average), {}
    climb = jax.tree.map(lambda x: scale * x, climb)
    sizes["correction_norm"] = optax.tree.norm(climb)
    if average is not None:
        limit = jax.vmap(corrections.limited, (0, 0, None)) if separate else corrections.limited
        climb = limit(climb, grads, config.correction_clip)
    return jax.tree.map(lambda g, c: g - c, grads, climb), average, sizes


class Weighed(NamedTuple):
    """The weight of a term in each episode, and the steps that it concerns."""

    weight: Array  # [B], weight of the log_probs of the steps `onto`, in place of an advantage
    onto: Array  # [T, B, N] bool, steps of the agents whose parameters move
    along: Array  # [T, B, N] bool, steps of the agents whose score gives u
    whose: Array  # [B, N] bool, the agents whose score gives u
    returns: Array  # [B], the collective return
    ray: PyTree  # the direction of u, before it is divided by its size
    scaled: Array  # [B], weight of the additional curvature in "self_pure"


def weighed(config: Any, actor: Actor, shared: Collective, average: Average) -> Weighed:
    """Returns the term's weights, before the limit on its norm."""
    separate = actor.team.separate
    returns = collective_returns(config, shared, config.gamma)  # [B]
    given = shared.giver.any(-1, keepdims=True)  # [B, 1]
    roles = {"giver": shared.giver, "others": ~shared.giver & given}  # [B, N]
    whose, moved = (roles[role] for role in ROLES[config.correction])
    along, onto = (shared.after[..., None] & role for role in (whose, moved))  # [T, B, N]

    # s is the average of earlier batches, so u does not depend on the episodes in which it is used.
    score = jax.tree.map(lambda x: _quotient(x, aligned(average.success, x)), average.score)
    ray_of = partial(corrections.ray_of, kind=config.correction_direction)
    ray, size = jax.vmap(ray_of)(score) if separate else ray_of(score)  # size [N] or []
    size = jnp.where(whose, size, 0.0).sum(-1) if separate else jnp.where(given[:, 0], size, 0.0)  # [B]
    if config.correction_direction == "damped":
        size = jnp.where(size > 0, size + config.correction_damping * jnp.maximum(1.0, size), 0.0)

    # The episodes of each giver have their own baseline; with a shared actor all episodes have one.
    groups = shared.giver.T if separate else given.T  # [G, B]
    means = jax.vmap(lambda group: corrections.baseline(returns, group, config.correction_baseline))(groups)
    centred = jnp.where(groups, returns - means, 0.0).sum(0)  # [B]

    weight = _quotient(corrections.slopes(partial(log_probs, actor), actor.params, ray, along), size)
    weight = centred * jnp.clip(weight, -config.correction_weight_clip, config.correction_weight_clip)
    return Weighed(weight, onto, along, whose, returns, ray, _quotient(centred, size))


def log_probs(actor: Actor, params: PyTree) -> Array:
    """Returns the log_probs of the actions taken, [T, B, N], at other parameters."""
    return actor.log_probs(actor.unroll(params))


def term(config: Any, actor: Actor, shared: Collective, average: Average) -> tuple[PyTree, Average]:
    """Returns (the term, a sum over episodes that points uphill; the next average)."""

    def pull(cotangent: Array) -> PyTree:
        (of_outputs,) = jax.vjp(actor.log_probs, actor.outputs)[1](cotangent)
        return actor.pull_back(of_outputs)

    found = weighed(config, actor, shared, average)
    result = pull(jnp.where(found.onto, found.weight[:, None], 0.0))
    if config.correction == "self_pure":
        scaled = jnp.where(found.onto, found.scaled[:, None], 0.0)
        bent = corrections.curvature(partial(log_probs, actor), actor.params, found.ray, scaled)
        result = jax.tree.map(jnp.add, result, bent)

    returns, counted = found.returns[:, None], found.whose if actor.team.separate else shared.giver.any(-1)[:, None]
    earned = jnp.where(counted, returns, 0.0)
    successes = earned.sum(0) if actor.team.separate else earned.sum()
    new = Average(pull(jnp.where(found.along, returns, 0.0)), successes)
    decay = config.correction_decay
    return result, jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, average, new)


def _quotient(x: Array, y: Array) -> Array:
    """Returns x / y, and 0 where y is not greater than 0."""
    return jnp.where(y > 0, x / jnp.maximum(y, 1e-30), 0.0)


def collective_returns(config: Settings, shared: Collective, gamma: Array | float) -> Array:
    """Returns R_e [B], the collective reward of each episode.

    "discounted": it is discounted by gamma for each step since the giver's own reward.
    """
    if config.correction_return == "undiscounted":
        return shared.reward.sum(0)
    since = jnp.cumsum(shared.after, 0)  # [T, B], 1 at the first step after
    return (shared.reward * gamma**since).sum(0)
