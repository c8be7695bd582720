"""Gifts in three games that have a closed form, and the flow of each rule's exact gradient in them.

One player gives with probability p = sigmoid(theta), the other uses the gift with q = sigmoid(phi). Nothing is sampled:
a rule is a function of both players' expected values, and a flow is many small steps along it. Games G1 and G3:
specification 3.6.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.learning.corrections import mixed, self_pure
from comity.learning.lookahead import Values, dice_objective, lola_term, naive_gradient, shaping_objective

PRICE = 0.6  # price of giving, as a fraction of the gift's worth
RATE, STEPS = 1.0, 3_000  # of a flow, on logits
AHEAD, PATH = 3, 10  # number of the other's naive steps that DiCE and the shaper look ahead
AHEAD_RATE = 5.0  # rate of these steps
GIVES = 0.9  # a player that gives with at least this probability ends in giving


# Games: both logits -> both expected values ---------------------------------------------------------------------------


def one_gift(theta: Array, phi: Array) -> Array:
    """G1: J = p q, a gift that is given once and used once."""
    return jax.nn.sigmoid(theta) * jax.nn.sigmoid(phi)


def two_chances(theta: Array, phi: Array) -> Array:
    """G3: J = p (1 - (1 - q)^2) + (1 - p) p q. There are two steps to give at. A gift at the first may be used at
    either of two more steps, so J is no product.
    """
    p, q = jax.nn.sigmoid(theta), jax.nn.sigmoid(phi)
    return p * (1 - (1 - q) ** 2) + (1 - p) * p * q


class Game(NamedTuple):
    """A game, described by numbers, so that one program plays all games."""

    again: Array | float = 0.0  # 1 means G3, 0 means G1
    price: Array | float = 0.0  # the giver's price; its expected cost is p times the price

    def collective(self, theta: Array, phi: Array) -> Array:
        """Expected collective value J, the same for both."""
        return jnp.where(self.again, two_chances(theta, phi), one_gift(theta, phi))

    def values(self, theta: Array, phi: Array) -> tuple[Array, Array]:
        """Expected values of giver and user."""
        shared = self.collective(theta, phi)
        return shared - self.price * jax.nn.sigmoid(theta), shared


GAMES = {"g1": Game(), "g3": Game(again=1.0), "priced": Game(price=PRICE)}
GAME_WORDS = {
    "g1": "G1: one gift, one use",
    "g3": "G3: two chances to give, two to use",
    "priced": f"G1, giving costs {PRICE:g}",
}


# Rules: game -> (theta, phi) -> the direction of both -----------------------------------------------------------------

Rule = Callable[[Game, Array, Array], tuple[Array, Array]]


def other_way(values: Values) -> Values:
    """Returns the same game as the second player sees it."""

    def swapped(mine: Array, theirs: Array) -> tuple[Array, Array]:
        first, second = values(theirs, mine)
        return second, first

    return swapped


def both(climb: Callable[[Values, Array, Array], Array], game: Game, theta: Array, phi: Array) -> tuple[Array, Array]:
    """Returns the directions if both players climb by the same rule."""
    return climb(game.values, theta, phi), climb(other_way(game.values), phi, theta)


def corrected(term: Callable, coefficient: float, game: Game, theta: Array, phi: Array) -> tuple[Array, Array]:
    """Returns the policy gradient; the giver adds `coefficient` times a correction term of the collective part."""
    mine, theirs = both(naive_gradient, game, theta, phi)
    return mine + coefficient * term(game.collective, theta, phi), theirs


def own_curvature(collective: Callable, theta: Array, phi: Array) -> Array:
    return self_pure(lambda mine: collective(mine, phi), theta)


def with_lola(values: Values, mine: Array, theirs: Array) -> Array:
    return naive_gradient(values, mine, theirs) + AHEAD_RATE * lola_term(values, mine, theirs)


def with_dice(values: Values, mine: Array, theirs: Array) -> Array:
    return jax.grad(lambda mine: dice_objective(values, mine, theirs, AHEAD_RATE, AHEAD))(mine)


def with_shaping(values: Values, mine: Array, theirs: Array) -> Array:
    """Exact gradient of COALA-PG's objective: the mean earning over the stations of a naive learner's path."""
    return jax.grad(lambda mine: shaping_objective(values, mine, theirs, AHEAD_RATE, PATH))(mine) / (PATH + 1)


RULES: dict[str, tuple[str, str, Rule]] = {  # name -> (words, hue, rule)
    "pg": ("policy gradient", "pg", partial(both, naive_gradient)),
    "mixed": ("with the correction", "coma", partial(corrected, mixed, 1.0)),
    "own": ("with the self-correction", "ippo", partial(corrected, own_curvature, 1.0)),
    "anti": ("minus the correction", "qtran", partial(corrected, mixed, -1.0)),
    "lola": ("LOLA", "lola", partial(both, with_lola)),
    "dice": ("LOLA-DiCE", "maven", partial(both, with_dice)),
    "coala": ("COALA, exact", "coala", partial(both, with_shaping)),
}


class Flow(NamedTuple):
    """The ends of flows, leaves [S]."""

    gives: Array  # p at the end
    uses: Array  # q at the end
    steps: Array  # number of steps before p q reached one half; all steps if it never did


def flow(game: Game, rule: Rule, p: Array, q: Array, steps: int = STEPS) -> Flow:
    """Returns the rule's flow from each start (p, q) [S]."""

    def go(theta: Array, phi: Array) -> Flow:
        def step(carry: tuple[Array, Array, Array], _: None) -> tuple[tuple[Array, Array, Array], None]:
            theta, phi, below = carry
            up, along = rule(game, theta, phi)
            below = below + (one_gift(theta, phi) < 0.5)
            return (theta + RATE * up, phi + RATE * along, below), None

        (theta, phi, below), _ = jax.lax.scan(step, (theta, phi, jnp.zeros((), jnp.int32)), None, length=steps)
        return Flow(jax.nn.sigmoid(theta), jax.nn.sigmoid(phi), below)

    return jax.vmap(go)(jax.scipy.special.logit(p), jax.scipy.special.logit(q))


def flows(p: Array, q: Array, steps: int = STEPS) -> dict[str, dict[str, Flow]]:
    """Returns game -> rule -> `Flow` of the starts."""
    games = jax.tree.map(lambda *xs: jnp.stack([jnp.float32(x) for x in xs]), *GAMES.values())
    every = {
        name: jax.vmap(lambda g, rule=rule: flow(g, rule, p, q, steps))(games) for name, (*_, rule) in RULES.items()
    }
    return {game: jax.tree.map(lambda x, k=k: x[k], every) for k, game in enumerate(GAMES)}


def giving(found: Flow) -> Array:
    """True if a start ended in giving and using, bool [S]."""
    return (found.gives >= GIVES) & (found.uses >= GIVES)
