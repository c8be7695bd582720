"""The gift in three games that have a closed form, and where each rule's exact gradient leads two players in them.

One player gives with probability p = sigmoid(theta), the other uses the gift with q = sigmoid(phi). Nothing is sampled:
a rule is a function of both players' expected values, and a flow is many small steps along it. Which starts end in
giving says which rule sees the gift when no noise is in the way. Games G1 and G3: specification 3.6.
"""

import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.experiments.claims import Comparison, dated
from comity.experiments.figure import Arm, Budget, Figure, Trial
from comity.experiments.measures import Measure
from comity.learning.corrections import mixed, self_pure
from comity.learning.lookahead import Values, dice_objective, lola_term, naive_gradient, shaping_objective
from comity.recipes import Recipe

PRICE = 0.6  # of giving, of the gift's worth
RATE, STEPS = 1.0, 3_000  # of a flow, on logits
AHEAD, PATH = 3, 10  # naive steps of the other that DiCE and the shaper look through
AHEAD_RATE = 5.0  # of those
GIVES = 0.9  # a player that gives at least so often ends in giving
STARTS = 64  # of a seed, p and q uniform over (0.05, 0.95)
LOW, HIGH = 0.05, 0.95


# Games: both logits -> both expected values ---------------------------------------------------------------------------


def one_gift(theta: Array, phi: Array) -> Array:
    """G1: J = p q, a gift given once and used once."""
    return jax.nn.sigmoid(theta) * jax.nn.sigmoid(phi)


def two_chances(theta: Array, phi: Array) -> Array:
    """G3: J = p (1 - (1 - q)^2) + (1 - p) p q. Two steps to give at, and who was given at the first may use it at
    either of two more: J is no product."""
    p, q = jax.nn.sigmoid(theta), jax.nn.sigmoid(phi)
    return p * (1 - (1 - q) ** 2) + (1 - p) * p * q


class Game(NamedTuple):
    """Of numbers, so that one program plays all games."""

    again: Array | float = 0.0  # 1: G3, else G1
    price: Array | float = 0.0  # what the giver pays for giving, in expectation p times so much

    def collective(self, theta: Array, phi: Array) -> Array:
        """J, the same for both."""
        return jnp.where(self.again, two_chances(theta, phi), one_gift(theta, phi))

    def values(self, theta: Array, phi: Array) -> tuple[Array, Array]:
        """What giver and user expect."""
        shared = self.collective(theta, phi)
        return shared - self.price * jax.nn.sigmoid(theta), shared


GAMES = {"g1": Game(), "g3": Game(again=1.0), "priced": Game(price=PRICE)}
GAME_WORDS = {
    "g1": "G1: one gift, one use",
    "g3": "G3: two chances to give, two to use",
    "priced": f"G1, giving costs {PRICE:g}",
}


# Rules: game -> (theta, phi) -> where both go -------------------------------------------------------------------------

Rule = Callable[[Game, Array, Array], tuple[Array, Array]]


def other_way(values: Values) -> Values:
    """The same game seen by the second player."""

    def seen(mine: Array, theirs: Array) -> tuple[Array, Array]:
        first, second = values(theirs, mine)
        return second, first

    return seen


def both(climb: Callable[[Values, Array, Array], Array], game: Game, theta: Array, phi: Array) -> tuple[Array, Array]:
    """Either player climbs by the same rule."""
    return climb(game.values, theta, phi), climb(other_way(game.values), phi, theta)


def corrected(term: Callable, coefficient: float, game: Game, theta: Array, phi: Array) -> tuple[Array, Array]:
    """Policy gradient and, for the giver, so much of a correction term of the collective part."""
    mine, theirs = both(naive_gradient, game, theta, phi)
    return mine + coefficient * term(game.collective, theta, phi), theirs


def own_curvature(collective: Callable, theta: Array, phi: Array) -> Array:
    return self_pure(lambda mine: collective(mine, phi), theta)


def with_lola(values: Values, mine: Array, theirs: Array) -> Array:
    return naive_gradient(values, mine, theirs) + AHEAD_RATE * lola_term(values, mine, theirs)


def with_dice(values: Values, mine: Array, theirs: Array) -> Array:
    return jax.grad(lambda mine: dice_objective(values, mine, theirs, AHEAD_RATE, AHEAD))(mine)


def with_shaping(values: Values, mine: Array, theirs: Array) -> Array:
    """COALA-PG's objective, exact: what is earned along a naive learner's path, the mean over its stations."""
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
    """Where starts lead, leaves [S]."""

    gives: Array  # p at the end
    uses: Array  # q at the end
    steps: Array  # before p q reached one half; all of them if it never did


def flow(game: Game, rule: Rule, p: Array, q: Array, steps: int = STEPS) -> Flow:
    """The rule's flow from each start (p, q) [S]."""

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
    """game -> rule -> `Flow` of the starts."""
    games = jax.tree.map(lambda *xs: jnp.stack([jnp.float32(x) for x in xs]), *GAMES.values())
    every = {
        name: jax.vmap(lambda g, rule=rule: flow(g, rule, p, q, steps))(games) for name, (*_, rule) in RULES.items()
    }
    return {game: jax.tree.map(lambda x, k=k: x[k], every) for k, game in enumerate(GAMES)}


def measured(recipe: Recipe, count: int, starts: int = STARTS) -> Callable[..., dict[str, Array]]:
    """A probe that reads nothing of what was trained: `count` sets of random starts, for every game and rule.

    GAME_RULE_share: of starts that end in giving and using; _gives, _moved: mean of p at the end, and of that less p at
    the start; _steps: mean number of steps before p q reached one half.
    """

    def probe(key: Array, state: Any) -> dict[str, Array]:
        p, q = jax.random.uniform(key, (2, count * starts), minval=LOW, maxval=HIGH)
        told = {}
        for game, of_rules in flows(p, q).items():
            for name, found in of_rules.items():
                each = {"share": giving(found), "gives": found.gives, "moved": found.gives - p, "steps": found.steps}
                told |= {f"{game}_{name}_{x}": y.reshape(count, starts).mean(-1) for x, y in each.items()}
        return told

    return probe


def giving(found: Flow) -> Array:
    """[S] bool, whether a start ended in giving and using."""
    return (found.gives >= GIVES) & (found.uses >= GIVES)


METRICS = tuple(f"{g}_{r}_{x}" for g in GAMES for r in RULES for x in ("share", "gives", "moved", "steps"))


# The figure -----------------------------------------------------------------------------------------------------------

claim = dated("2026-11-30")  # before their run; a first look at one seed had another price, 0.3


def of(game: str, rule: str, what: str, beside: str = "") -> Measure:
    """A number of one rule, or how much more it is than another rule's."""
    name = f"flows:{game}_{rule}_{what}"
    return Measure(f"{name} - flows:{game}_{beside}_{what}" if beside else name, "last")


def says(relation: Any, second: float, measure: Measure, margin: float = 0.0) -> Comparison:
    return Comparison("random starts", relation, second, measure, margin)


def draw(out: Path) -> list[Path]:
    """gift-games.png and .svg: of each game and rule an arrow from every start of a grid to where it leads."""
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    from comity.report.curves import FAINT, entitle, frame, save
    from comity.report.looks import BASELINE, HUES
    from comity.report.panels import DPI, LETTERS, WIDTH

    p, q = (jnp.asarray(x.ravel()) for x in np.meshgrid(*[np.linspace(0.1, 0.9, 7)] * 2))
    ends = jax.jit(flows)(p, q)
    with matplotlib.rc_context(LETTERS):
        figure = Canvas(figsize=(WIDTH, 4.2), dpi=DPI, layout="constrained")
        grid = figure.subplots(len(GAMES), len(RULES), sharex=True, sharey=True)
        for row, game in zip(grid, GAMES, strict=True):
            for axes, (name, (words, hue, _)) in zip(row, RULES.items(), strict=True):
                end = ends[game][name]
                x, y, dx, dy = (np.asarray(z) for z in (p, q, end.gives - p, end.uses - q))
                axes.quiver(x, y, dx, dy, angles="xy", scale_units="xy", scale=1, width=0.008, headwidth=4.5,
                            color=HUES[hue], alpha=0.55)  # fmt: skip
                axes.plot(x + dx, y + dy, "o", color=HUES[hue], markersize=2.5)
                share = float(giving(end).mean())
                axes.text(0.03, 0.03, f"{share:.0%}", fontsize=7.5, color=BASELINE)
                frame(axes)
                axes.grid(visible=True, color=FAINT, linewidth=0.4)
                axes.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.04), xticks=(0, 1), yticks=(0, 1))
                if game == "g1":
                    axes.set_title(words.replace("with the ", "with the\n"), fontsize=8)
            row[0].set_ylabel("\n".join([*textwrap.wrap(GAME_WORDS[game], 16), "q"]), fontsize=7.5)
        for axes in grid[-1]:
            axes.set_xlabel("p", fontsize=7.5)
        entitle(
            figure,
            "Where exact gradients lead: p, the chance to give, and q, the chance to use the gift",
            f"Arrows: from a start to where {STEPS:,} steps lead. Grey: share of these starts that end with p and q of "
            f"{GIVES:g} or more.",
        )
        return save(figure, out / "gift-games.png")


GIFT_GAMES = Figure(
    "gift-games",
    "Gifts in closed form: where exact gradients lead",
    {
        "random starts": Arm(
            "gift-games", "random", "sound", budget="starts", trials={"flows": Trial(probe=measured, once=1)}
        )
    },
    {
        "smoke": {},
        "laptop": {"starts": Budget(10, 1, 1, points=1)},
        "paper": {"starts": Budget(10, 1, 1, points=1)},
    },
    (),
    (
        claim(
            "gradient-sees-the-gift",
            "Without a price exact policy gradients end in giving, from nearly all starts.",
            says("above", 0.95, of("g1", "pg", "share")),
            says("above", 0.95, of("g3", "pg", "share")),
        ),
        claim(
            "correction-is-a-faster-gradient",
            "The correction is the gradient once more where J is a product: it arrives in fewer steps, and at no other "
            "place.",
            says("below", 0.0, of("g1", "mixed", "steps", "pg"), 1.0),
            says("equal", 0.0, of("g1", "mixed", "share", "pg"), 0.05),
        ),
        claim(
            "elsewhere-it-leads-astray",
            "Where J is no product (G3) the correction leads elsewhere: fewer starts end in giving than by gradients "
            "alone (written after a first look at one seed).",
            says("below", 0.0, of("g3", "mixed", "share", "pg"), 0.1),
        ),
        claim(
            "self-correction-stops-at-two-thirds",
            "The self-correction (coefficient 1) stops at p = 2/3, as the formula (1 + c) / (1 + 2c) says.",
            says("equal", 2 / 3, of("g1", "own", "gives"), 0.02),
            says("below", 0.05, of("g1", "own", "share")),
        ),
        claim(
            "minus-the-correction-nobody-gives",
            "With the correction subtracted the gift is invisible: p stays where it began (G1).",
            says("equal", 0.0, of("g1", "anti", "moved"), 0.01),
        ),
        claim(
            "a-price-hides-the-gift",
            "Where giving costs something, policy gradients end in giving from fewer starts.",
            says("below", 0.0, Measure("flows:priced_pg_share - flows:g1_pg_share", "last"), 0.1),
        ),
        claim(
            "looking-ahead-sees-it",
            "There rules that look at the other's learning end in giving from more starts than policy gradients.",
            *(says("above", 0.0, of("priced", rule, "share", "pg"), 0.02) for rule in ("lola", "dice", "coala")),
        ),
        claim(
            "so-does-the-correction",
            "So does the correction, which counts the collective part twice and the price once.",
            says("above", 0.0, of("priced", "mixed", "share", "pg"), 0.05),
        ),
    ),
    picture=draw,
    note=(
        "Nothing is trained and nothing sampled but starts: expected values in closed form, p and q of a start uniform "
        f"over ({LOW:g}, {HIGH:g}), {STARTS} starts a seed, {STEPS:,} steps of rate {RATE:g} on both logits. LOLA, "
        f"LOLA-DiCE ({AHEAD} steps ahead) and COALA's exact objective ({PATH} steps) look through naive steps of rate "
        f"{AHEAD_RATE:g}. The correction acts on the giver, by the collective part alone."
    ),
)  # fmt: skip
