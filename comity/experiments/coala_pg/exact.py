"""Tabular players with exact values: the paper's analytic experiments (its section 4), and two further questions.

A naive learner's rate is 5 on points per step, and its path has 20 steps. In mixed groups the share of naive learners
is a weight of the gradient. docs/papers/coala-pg/README.md gives the results.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from jax import Array

from comity.algorithms.shaping.coala_exact import DEFECTOR, EXTORTIONER, Config, Path, paths, points_per_step
from comity.algorithms.shaping.lola import State
from comity.algorithms.shaping.tabular import seen_by
from comity.experiments.claims import Comparison, dated
from comity.experiments.figure import Arm, Budget, Figure, Panel, Scale, Trial
from comity.experiments.measures import Measure
from comity.recipes import Recipe

WRITTEN = "2026-11-21"  # the day on which the claims of this date were written down, before any of their runs
SEEN = "2026-11-29"  # date of claims that replaced others after their subject had been seen
LATER = "2026-11-30"  # date of claims about arms or trials that were added, before any of their runs
TIT_FOR_TAT = (0.99, 0.99, 0.01, 0.99, 0.01)
LEARNT = (0.999, 0.999, 0.06, 0.42, 0.02)  # all ten seeds of `two extortioners, 10 % naive` end near it


claim, afterwards, later = dated(WRITTEN), dated(SEEN), dated(LATER)


def shaper(name: str, **settings: Any) -> Arm:
    return Arm(
        f"exact-{name}", "coala-exact", "sound", settings, task="ipd", profile="coala", budget="exact", learner="coala"
    )


def dice(look_aheads: int, weight: float = 1.0) -> Arm:
    """Returns an arm of LOLA-DiCE with values per step; its look-ahead rate is 5, or 10 with a single look-ahead."""
    settings = {
        "rule": "dice",
        "look_aheads": look_aheads,
        "look_ahead_rate": 10.0 if look_aheads == 1 else 5.0,
        "look_ahead_weight": weight,
        "optimizer": "adamw",
        "learning_rate": 0.005,
        "values": "per-step",
        "gamma": 0.95,
    }
    name = f"exact-dice-{look_aheads}" + ("" if weight == 1 else f"-weight-{weight:g}")
    trials = {"fresh": Trial(probe=met_by_naive, once=1024)} if look_aheads == 20 and weight == 1 else {}
    return Arm(name, "lola", "sound", settings, task="ipd", profile="coala", budget="exact", trials=trials)


def met_by_naive(recipe: Recipe, count: int) -> Callable[..., dict[str, Array]]:
    """Returns a probe of the values per step of LOLA's players, means over both, and of `count` fresh naive learners
    against them, after the last of the 20 steps on the learners' path.
    """
    learner = Config()
    values = seen_by(0, partial(points_per_step, recipe.env, learner.gamma))

    def probe(key: Array, state: State) -> dict[str, Array]:
        def path(mine: Array, theirs: Array) -> Path:
            return paths(values, mine, theirs[None], learner.naive_rate, learner.naive_steps)

        starts = jax.random.normal(key, (count, 5))
        found = jax.vmap(lambda mine: jax.vmap(partial(path, mine))(starts))(state.logits)  # leaves [2, count]
        return {"shaping_value_last": found.mine_last.mean(0), "naive_value_last": found.theirs_last.mean(0)}

    return probe


def mixed(weight: float) -> Arm:
    """Returns a shaper with a random start."""
    return shaper(f"mixed-{weight:g}", naive_weight=weight)


BUDGETS: dict[Scale, dict[str, Budget]] = {
    "smoke": {},
    "laptop": {"exact": Budget(10, 4_000, 1), "still": Budget(10, 100, 1)},
    # `still` reads gradients at a policy that hardly moves, so its length limits nothing.
    "paper": {"exact": Budget(32, 10_000, 1, stated=False), "still": Budget(32, 100, 1)},
}

MEETING = Measure("meeting_value")
SHAPING, NAIVE = Measure("shaping_value_last"), Measure("naive_value_last")
PURE, FROM_DEFECTION = shaper("pure"), shaper("pure-from-defection", start=DEFECTOR, deviation=0.1)
ALONE = mixed(0.0)
EXTORTIONERS = shaper("extortioners", naive_weight=0.0, start=EXTORTIONER, deviation=0.1)
MIXED_EXTORTIONERS = shaper("extortioners-mixed", naive_weight=0.1, start=EXTORTIONER, deviation=0.1)

ANALYTIC = Figure(
    "analytic",
    "Figures 3 and 4: shaping, groups and look-ahead with exact values",
    {
        "shaping": PURE,
        "shaping, from defection": FROM_DEFECTION,
        "two extortioners": EXTORTIONERS,
        "two extortioners, 10 % naive": MIXED_EXTORTIONERS,
        "players alone": ALONE,
        "players, 10 % naive": mixed(0.1),
        **{f"DiCE, {k} ahead": dice(k) for k in (1, 2, 3, 10, 20)},
        **{f"DiCE, {k} ahead, mixed": dice(k, w) for k, w in ((3, 0.75), (10, 0.6), (20, 0.4))},
    },
    BUDGETS,
    (
        Panel("shaping_value_last", "player, points per step, last step", ("shaping", "shaping, from defection")),
        Panel("naive_value_last", "naive learner, points per step, last step", ("shaping", "shaping, from defection")),
        Panel("extortion_residual", "distance from extortion", ("shaping", "shaping, from defection", "players alone")),
        Panel(
            "meeting_value",
            "two players, points per step",
            ("two extortioners", "two extortioners, 10 % naive", "players alone", "players, 10 % naive"),
        ),
        Panel("meeting_value", "two players, points per step", tuple(f"DiCE, {k} ahead" for k in (1, 2, 3, 10, 20))),
        Panel(
            "meeting_value",
            "two players, points per step",
            ("DiCE, 3 ahead, mixed", "DiCE, 10 ahead, mixed", "DiCE, 20 ahead, mixed", "DiCE, 20 ahead"),
        ),
    ),
    (
        claim(
            "extortion",
            "Against naive learners a player becomes an extortioner: it earns about 1.15 a step and leaves about 0.45.",
            Comparison("shaping", "equal", 1.15, SHAPING, 0.1),
            Comparison("shaping", "equal", 0.45, NAIVE, 0.1),
            Comparison("shaping", "below", 0.15, Measure("extortion_residual"), 0.0),
        ),
        claim(
            "extortion-from-defection",
            "The same from pure defection.",
            Comparison("shaping, from defection", "equal", 1.15, SHAPING, 0.1),
            Comparison("shaping, from defection", "equal", 0.45, NAIVE, 0.1),
        ),
        claim(
            "extortioners-cooperate",
            "Two extortioners trained against each other turn to cooperation.",
            Comparison("two extortioners", "above", 0.5, Measure("meeting_value", "peak", (0.0, 1.0)), 0.0),
        ),
        claim(
            "groups",
            "A group with naive learners in it cooperates, players alone defect.",
            Comparison("players, 10 % naive", "above", "players alone", MEETING, 0.5),
            Comparison("two extortioners, 10 % naive", "above", 0.5, MEETING, 0.0),
            Comparison("players alone", "below", 0.2, MEETING, 0.0),
        ),
        claim(
            "few-look-aheads",
            "LOLA-DiCE cooperates with few look-aheads.",
            *(Comparison(f"DiCE, {k} ahead", "above", 0.6, MEETING, 0.0) for k in (1, 2, 3)),
        ),
        claim(
            "many-look-aheads",
            "LOLA-DiCE fails with many look-aheads; the partial gradient beside it repairs it.",
            Comparison("DiCE, 20 ahead", "below", 0.5, MEETING, 0.0),
            Comparison("DiCE, 20 ahead, mixed", "above", "DiCE, 20 ahead", MEETING, 0.2),
        ),
        later(
            "many-look-aheads-extort",
            "The policies that LOLA-DiCE ends with after 20 look-aheads extort a fresh naive learner.",
            Comparison(
                "DiCE, 20 ahead",
                "above",
                0.0,
                Measure("fresh:shaping_value_last - fresh:naive_value_last", "last"),
                0.2,
            ),
        ),
    ),
    smoke=("shaping", "players, 10 % naive", "DiCE, 3 ahead, mixed"),
)


def still(name: str, start: tuple[float, ...]) -> Arm:
    """Returns an arm whose policies hardly move, so that their gradients can be read."""
    settings = {"start": start, "deviation": 0.1, "learning_rate": 1e-7, "naive_weight": 0.5}
    return Arm(
        f"exact-at-{name}",
        "coala-exact",
        "sound",
        settings,
        task="ipd",
        profile="coala",
        budget="still",
        learner="coala",
    )


PLACES = {"defection": DEFECTOR, "extortion": EXTORTIONER, "tit-for-tat": TIT_FOR_TAT, "learnt": LEARNT}
PARTS = [(whose, place) for whose in ("naive", "player") for place in ("start", "cc", "cd", "dc", "dd")]


def slope(whose: str, place: str) -> Measure:
    return Measure(f"{whose}_gradient_{place}", window=(0.0, 1.0))


TIME_SCALES = Figure(
    "time-scales",
    "What pulls where: gradients from naive learners and from other players",
    {name: still(name, start) for name, start in PLACES.items()},
    BUDGETS,
    (
        Panel("naive_gradient_norm", "gradient from naive learners, norm"),
        Panel("player_gradient_norm", "gradient from the other player, norm"),
        Panel("naive_gradient_dc", "from naive learners, component DC"),
    ),
    (
        claim(
            "out-of-defection",
            "At defection naive learners pull towards extortion: the component DC is positive, and the largest.",
            Comparison("defection", "above", 0.0, slope("naive", "dc"), 0.0),
            *(
                Comparison("defection", "equal", 0.0, slope("naive", place), 0.0005)
                for place in ("start", "cc", "cd", "dd")
            ),
            replaced_by="out-of-defection-projected",
        ),
        claim(  # a push of a probability of 0.01 further down is no way out of defection: the paper projects it away
            "out-of-defection-projected",
            "At defection naive learners pull towards extortion: the component DC is positive, no other is.",
            Comparison("defection", "above", 0.0, slope("naive", "dc"), 0.001),
            *(
                Comparison("defection", "below", 0.0005, slope("naive", place), 0.0)
                for place in ("start", "cc", "cd", "dd")
            ),
        ),
        claim(
            "out-of-extortion",
            "Between two extortioners every component pulls towards cooperation.",
            *(
                Comparison("extortion", "above", 0.0, slope("player", place), 0.0)
                for place in ("start", "cc", "cd", "dc", "dd")
            ),
        ),
        claim(
            "tit-for-tat-is-left",
            "Tit-for-tat is not where a mixed group stays: naive learners pull away from it.",
            Comparison("tit-for-tat", "above", 0.0, Measure("naive_gradient_norm", window=(0.0, 1.0)), 0.001),
            replaced_by="tit-for-tat-is-left-by-the-group",
        ),
        # The mixture's components are 0.1 x the naive learners' + 0.9 x the players', so with these bounds at least
        # 0.0006. Only CD and DD can move: the others are at 0.99, and the paper projects away what pushes them further
        # up.
        afterwards(
            "tit-for-tat-is-left-by-the-group",
            "Tit-for-tat is not where a group stays that is naive by a tenth: together both parts raise cooperation "
            "after CD and DD (written after these gradients had been seen).",
            *(
                Comparison("tit-for-tat", "above", least, slope(whose, place), 0.0)
                for whose, least in (("player", 0.001), ("naive", -0.003))
                for place in ("cd", "dd")
            ),
        ),
        later(
            "balance-at-the-learnt-policy",
            "Ours: where two extortioners with a tenth of naive learners end, naive learners pull cooperation after "
            "CD, DC and DD down, and the other player pushes it up.",
            *(Comparison("learnt", "below", 0.0, slope("naive", place), 0.0) for place in ("cd", "dc", "dd")),
            *(Comparison("learnt", "above", 0.0, slope("player", place), 0.0) for place in ("cd", "dc", "dd")),
        ),
    ),
    smoke=("defection",),
)

SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
COMPOSITION = Figure(
    "composition",
    "How many naive learners a group needs",
    {f"{100 * share:g} % naive": PURE if share == 1 else mixed(share) for share in SHARES},
    BUDGETS,
    (
        Panel("meeting_value", "two players, points per step"),
        Panel("shaping_value_last", "player against learners, points per step, last step"),
    ),
    (
        claim(
            "some-not-all",
            "Ours, from short runs: a small share of naive learners makes players cooperate, a large one does not.",
            Comparison("10 % naive", "above", "0 % naive", MEETING, 0.3),
            Comparison("10 % naive", "above", "75 % naive", MEETING, 0.3),
            Comparison("10 % naive", "above", "100 % naive", MEETING, 0.3),
        ),
    ),
    smoke=("10 % naive", "100 % naive"),
)
