"""Shaping by play: players against naive actor-critics on the iterated prisoner's dilemma, all of them tabular.

The paper's players remember whole histories (Hawk) and train for a billion steps. These are tables of five rows, which
shape within a minute. The settings of `sequence` are the paper's. docs/papers/coala-pg/README.md lists the differences.
"""

from typing import Any

from comity.experiments.claims import Comparison
from comity.experiments.coala_pg.exact import BUDGETS as EXACT_BUDGETS
from comity.experiments.coala_pg.exact import PURE, afterwards, claim
from comity.experiments.figure import Arm, Budget, Figure, Panel, Scale
from comity.experiments.measures import Measure

ESTIMATORS = {"COALA-PG": "coala", "M-FOS": "m-fos", "batch-unaware": "batch-unaware"}
# Adam moves a logit by its rate in each of the 20 inner episodes: at 0.3 a table learns as fast as a network at 0.005.
TABLES = {"naive_network": "table", "naive_learning_rate": 0.3}


def tabular(
    estimator: str, name: str = "", budget: str = "tables", measure: bool = False, exact: bool = False, **options: Any
) -> Arm:
    """Returns an arm of players with five rows. options: of the game."""
    settings = {"estimator": estimator, "core": "table", "learning_rate": 0.02, "measure": measure}
    settings |= {"exact": True} if exact else {}
    return Arm(
        f"sampled-{estimator}{name}",
        "coala",
        "sound",
        settings,
        {**TABLES, **options},
        "ipd+learners",
        "coala",
        budget,
        learner=estimator,
    )


def sequence(estimator: str) -> Arm:
    """Returns the paper's arm: Hawk on both sides."""
    settings = {"estimator": estimator, "core": "hawk"}
    options = {"naive_network": "hawk"}
    return Arm(
        f"sequence-{estimator}",
        "coala",
        "sound",
        settings,
        options,
        "ipd+learners",
        "coala",
        "sequence",
        learner=estimator,
    )


BUDGETS: dict[Scale, dict[str, Budget]] = {
    "smoke": {},
    "laptop": {
        "tables": Budget(5, 200, 32),
        "pool": Budget(5, 400, 32),
        **{f"games-{b}": Budget(5, 200, 512 // b) for b in (1, 4, 64)},
        "sequence": Budget(3, 200, 16),
        "river": Budget(3, 300, 16),
        "river-pool": Budget(3, 300, 16),
        "dice": Budget(5, 300, 2),
        "exact": EXACT_BUDGETS["laptop"]["exact"],
    },
    "paper": {
        "tables": Budget(10, 3_000, 128),
        "pool": Budget(10, 3_000, 128),
        **{f"games-{b}": Budget(10, 3_000, 2_048 // b) for b in (1, 4, 64)},
        "sequence": Budget(5, 3_000, 128),
        "river": Budget(5, 3_000, 512),
        "river-pool": Budget(5, 30_000, 512),
        "dice": Budget(10, 1_000, 2, stated=False),
        "exact": EXACT_BUDGETS["paper"]["exact"],
    },
}
SHAPING, NAIVE, MEETING = Measure("shaping_reward"), Measure("naive_reward"), Measure("meeting_reward")
ALL = {label: tabular(name, measure=True) for label, name in ESTIMATORS.items()}

PURE_SHAPING = Figure(
    "pure-shaping",
    "Figure 5A, B: who shapes a naive learner",
    {**ALL, **{f"{label}, Hawk": sequence(name) for label, name in ESTIMATORS.items()}},
    BUDGETS,
    (
        Panel("shaping_reward", "player, points per step", tuple(ALL)),
        Panel("naive_reward", "naive learner, points per step", tuple(ALL)),
        Panel("defection_first", "defection in the first inner episode", tuple(ALL)),
        Panel("defection_last", "defection in the last inner episode", tuple(ALL)),
        Panel("shaping_reward", "player, points per step", tuple(f"{label}, Hawk" for label in ALL)),
    ),
    (
        claim(
            "coala-extorts",
            "COALA-PG earns far more against naive learners than M-FOS and the batch-unaware gradient.",
            Comparison("COALA-PG", "above", "M-FOS", SHAPING, 0.2),
            Comparison("COALA-PG", "above", "batch-unaware", SHAPING, 0.2),
            Comparison("COALA-PG", "above", 0.8, SHAPING, 0.0),
        ),
        claim(
            "baselines-defect",
            "M-FOS and the batch-unaware gradient defect from the beginning.",
            Comparison("M-FOS", "above", 0.9, Measure("defection_first"), 0.0),
            Comparison("batch-unaware", "above", 0.9, Measure("defection_first"), 0.0),
        ),
        claim(
            "baselines-alike",
            "M-FOS and the batch-unaware gradient behave the same.",
            Comparison("M-FOS", "equal", "batch-unaware", SHAPING, 0.1),
        ),
        claim(
            "low-at-first",
            "Inside an episode COALA-PG begins with little defection and ends with much.",
            Comparison("COALA-PG", "below", 0.5, Measure("defection_first"), 0.0),
            Comparison("COALA-PG", "above", 0.5, Measure("defection_last"), 0.0),
        ),
        claim(
            "hawk",
            "The same with policies that remember all they have seen.",
            Comparison("COALA-PG, Hawk", "above", "M-FOS, Hawk", SHAPING, 0.2),
            Comparison("COALA-PG, Hawk", "above", "batch-unaware, Hawk", SHAPING, 0.2),
        ),
    ),
    smoke=("COALA-PG", "M-FOS", "COALA-PG, Hawk"),
    note="Tables shape at once what takes the paper's networks a billion steps; an iteration is 32 episodes of 20 x 10 "
    "steps and 16 games.",
)

EXACTLY = {label: tabular(name, "-exact", exact=True) for label, name in ESTIMATORS.items()}
VALUE, EXACT_MEETING = Measure("shaping_value"), Measure("meeting_value")
RETURNS = Figure(
    "returns",
    "What players trained by each estimator earn, by the closed form",
    {**EXACTLY, "exact gradients": PURE},
    BUDGETS,
    (
        Panel("shaping_value", "player along a naive learner's path"),
        Panel("naive_value", "naive learner along its path"),
        Panel("meeting_value", "player against its like"),
        Panel("extortion_residual", "distance from extortion"),
    ),
    (
        claim(
            "exact-shaping",
            "Ours: judged by exact values, too, only COALA-PG's players shape.",
            Comparison("COALA-PG", "above", "M-FOS", VALUE, 0.2),
            Comparison("COALA-PG", "above", "batch-unaware", VALUE, 0.2),
        ),
        claim(
            "as-good-as-exact",
            "Ours: they come as far as players who climb exact gradients.",
            Comparison("COALA-PG", "equal", "exact gradients", VALUE, 0.2),
        ),
        claim(
            "extortioners-defect",
            "Ours: among themselves all of them defect.",
            Comparison("COALA-PG", "below", 0.2, EXACT_MEETING, 0.0),
            Comparison("M-FOS", "below", 0.2, EXACT_MEETING, 0.0),
            Comparison("batch-unaware", "below", 0.2, EXACT_MEETING, 0.0),
        ),
    ),
    smoke=("COALA-PG", "M-FOS"),
    note="The path is that of naive learners who climb exact values, 20 steps of rate 5 from the same 64 starts; in "
    "training they are actor-critics, who learn from play.",
)

EARLY, WHOLE = (Measure("gradient_balance", window=window) for window in ((0.0, 0.1), (0.0, 1.0)))
BALANCE = Figure(
    "gradient-balance",
    "Figure 12: the gradient of later episodes against that of the own one",
    ALL,
    BUDGETS,
    (
        Panel("gradient_balance", "later / own"),
        Panel("gradient_own", "own episode, norm"),
        Panel("gradient_later", "later episodes, norm"),
    ),
    (
        claim(
            "balance",
            "Both parts are of one size for COALA-PG; for the others the later part is small beside the own one.",
            Comparison("COALA-PG", "above", "M-FOS", EARLY, 0.5),
            Comparison("COALA-PG", "above", "batch-unaware", EARLY, 0.5),
            Comparison("M-FOS", "below", 0.5, EARLY, 0.0),
            replaced_by="balance-in-a-band",
        ),
        afterwards(
            "balance-in-a-band",
            "Over the whole of training both parts are of one size for COALA-PG, within a factor of two; for the "
            "others the later part is smaller than that (written after these ratios had been seen).",
            Comparison("COALA-PG", "above", 0.5, WHOLE, 0.0),
            Comparison("COALA-PG", "below", 2.0, WHOLE, 0.0),
            Comparison("M-FOS", "below", 0.5, WHOLE, 0.0),
            Comparison("batch-unaware", "below", 0.5, WHOLE, 0.0),
        ),
    ),
    smoke=("COALA-PG", "M-FOS"),
)


def pool(label: str, share: float) -> Arm:
    name = ESTIMATORS[label]
    return tabular(name, f"-pool-{share:g}", "pool", naive_share=share, players=4)


POOL = {
    "COALA-PG": pool("COALA-PG", 0.1),
    "M-FOS": pool("M-FOS", 0.1),
    "batch-unaware": pool("batch-unaware", 0.1),
    **{f"COALA-PG, {100 * share:g} % naive": pool("COALA-PG", share) for share in (0.25, 0.5, 0.75)},
    "no naive learners": pool("COALA-PG", 0.0),
}
MIXED_POOL = Figure(
    "mixed-pool",
    "Figure 5C: players in a pool with naive learners",
    POOL,
    BUDGETS,
    (
        Panel("meeting_reward", "two players, points per step"),
        Panel("shaping_reward", "player against learners, points per step"),
        Panel("defection", "defection"),
    ),
    (
        claim(
            "pool-cooperates",
            "In a mixed pool players of COALA-PG cooperate with each other; those of the others, and those without "
            "naive learners, defect.",
            Comparison("COALA-PG", "above", 0.7, MEETING, 0.0),
            Comparison("M-FOS", "below", 0.2, MEETING, 0.0),
            Comparison("batch-unaware", "below", 0.2, MEETING, 0.0),
            Comparison("no naive learners", "below", 0.2, MEETING, 0.0),
        ),
        claim(
            "pool-share",
            "The same with the paper's share of naive learners, 75 %.",
            Comparison("COALA-PG, 75 % naive", "above", 0.7, MEETING, 0.0),
        ),
    ),
    smoke=("COALA-PG",),
    note="Tables cannot tell a learner from a player by its past, as the paper's policies can: the share stands for "
    "how much each kind weighs in one policy.",
)

GAMES = (1, 4, 16, 64)
MINIBATCH = Figure(
    "minibatch",
    "How many inner games, at equal play",
    {
        f"{label}, {b}": ALL[label] if b == 16 else tabular(name, f"-games-{b}", f"games-{b}", measure=True, games=b)
        for label, name in ESTIMATORS.items()
        for b in GAMES
        if b > 1 or name == "coala"  # with one game all three are the same
    },
    BUDGETS,
    (
        Panel("shaping_reward", "player, points per step", tuple(f"COALA-PG, {b}" for b in GAMES)),
        Panel("shaping_reward", "player, points per step", tuple(f"M-FOS, {b}" for b in GAMES[1:])),
        Panel("shaping_reward", "player, points per step", tuple(f"batch-unaware, {b}" for b in GAMES[1:])),
        Panel("gradient_balance", "later / own", tuple(f"{label}, 16" for label in ESTIMATORS)),
    ),
    (
        claim(
            "games-hurt-the-biased",
            "Ours: with more games M-FOS and the batch-unaware gradient shape less, COALA-PG does not.",
            Comparison("M-FOS, 64", "below", "COALA-PG, 1", SHAPING, 0.2),
            Comparison("batch-unaware, 64", "below", "COALA-PG, 1", SHAPING, 0.2),
            Comparison("COALA-PG, 64", "equal", "COALA-PG, 1", SHAPING, 0.2),
        ),
    ),
    smoke=("COALA-PG, 16", "M-FOS, 16"),
)

MISSEEN = (0.0, 0.1, 0.3, 0.5)


def blurred(chance: float) -> Arm:
    return tabular("coala", f"-misseen-{chance:g}", misseen=chance) if chance else ALL["COALA-PG"]


def sampled_dice(chance: float) -> Arm:
    """Returns an arm of two players who look ahead, with 7.7 million steps of play.

    Shapers have 20.5 million. A look-ahead weight of 1 multiplies two of the eight estimates, a quarter of the play,
    by 0.
    """
    settings = {"look_ahead_rate": 1.0, "learning_rate": 0.5, "gamma": 0.96}
    return Arm(
        f"sampled-dice-misseen-{chance:g}", "lola", "sampled", settings, {"misseen": chance, "length": 50}, "ipd",
        "coala", "dice",
    )  # fmt: skip


OBSERVABILITY = Figure(
    "observability",
    "When the other's actions are seen wrongly",
    {
        **{f"COALA-PG, {100 * x:g} % wrong": blurred(x) for x in MISSEEN},
        **{f"DiCE, {100 * x:g} % wrong": sampled_dice(x) for x in MISSEEN},
    },
    BUDGETS,
    (
        Panel("shaping_reward", "player, points per step", tuple(f"COALA-PG, {100 * x:g} % wrong" for x in MISSEEN)),
        Panel("cooperation", "cooperation of two", tuple(f"DiCE, {100 * x:g} % wrong" for x in MISSEEN)),
    ),
    (
        claim(
            "blur-costs",
            "Ours: the less is seen of the other's actions, the less a player can shape, and at half nothing is left.",
            Comparison("COALA-PG, 30 % wrong", "below", "COALA-PG, 0 % wrong", SHAPING, 0.1),
            Comparison("COALA-PG, 50 % wrong", "below", 0.4, SHAPING, 0.0),
        ),
        claim(
            "blur-costs-lola",
            "Ours: and the less do players who look ahead cooperate.",
            Comparison("DiCE, 0 % wrong", "above", 0.5, Measure("cooperation"), 0.0),
            Comparison("DiCE, 50 % wrong", "below", "DiCE, 0 % wrong", Measure("cooperation"), 0.2),
        ),
    ),
    smoke=("COALA-PG, 30 % wrong", "DiCE, 30 % wrong"),
    note="Both sides see badly: the naive learner the player's actions, too, so that what is lost may be the learner's "
    "sight, and not the player's of its learning, which is what was asked. `misseen_by` parts the two; no such arm is "
    "here.",
)
