"""Tasks in which agents act over time, and with more agents: CleanUp-lite (figures 6, 7, 13, 14), and question 3.

The paper trains Hawk on 105 million steps an iteration of CleanUp-lite. Here GRUs are trained on a sixth of a million.
"""

from dataclasses import replace
from typing import Any

from comity.experiments.claims import Comparison, dated
from comity.experiments.coala_pg.sampled import BUDGETS, ESTIMATORS, MEETING, NAIVE, SHAPING, tabular
from comity.experiments.figure import Arm, Figure, Panel
from comity.experiments.measures import Measure

claim = dated("2026-11-30")  # before any of their runs

# CleanUp-lite --------------------------------------------------------------------------------------------------------

# Learners see fewer games and episodes than in the paper (32 and 100), so each of their steps is four times as long.
SHORT = {"games": 8, "episodes": 20, "naive_learning_rate": 0.02, "naive_reward_factor": 0.1}
RATES = {"coala": 0.001, "m-fos": 0.003, "batch-unaware": 0.001}
MIXED = {
    **{"naive_optimizer": "sgd", "naive_learning_rate": 1.0, "naive_gamma": 1.0, "naive_reward_factor": 0.1},
    **{"naive_share": 0.75, "players": 3, "starts": 3, "dynamic": True, "episodes": 5, "games": 16},
}


def shaping(estimator: str, agents: int = 2) -> Arm:
    """Returns an arm of one player against naive learners on all other sides."""
    settings: dict[str, Any] = {"core": "gru", "estimator": estimator, "learning_rate": RATES[estimator]}
    settings["reward_factor"] = 0.1 if estimator == "coala" else 1.0
    options = SHORT if agents == 2 else {**SHORT, "agents": agents}
    name = f"cleanup-lite-{estimator}" + (f"-{agents}" if agents > 2 else "")
    task = "cleanup-lite+learners"
    return Arm(name, "coala", "cleanup", settings, options, task, "paper", "river", learner=estimator)


def mixed(estimator: str, **options: Any) -> Arm:
    """Returns an arm of three players, who meet each other in a quarter of the episodes."""
    settings = {"core": "gru", "estimator": estimator, "learning_rate": 0.1 if estimator == "coala" else 0.03}
    name, task = f"cleanup-lite-pool-{estimator}" + "-keeps" * bool(options), "cleanup-lite+learners"
    options = {**MIXED, **options}
    return Arm(name, "coala", "cleanup-mixed", settings, options, task, "paper", "river-pool", learner=estimator)


ALONE = {label: shaping(name) for label, name in ESTIMATORS.items()}
POOLED = {f"{label}, pool": mixed(name) for label, name in ESTIMATORS.items()}
KEEP = "COALA-PG, pool, learners keep"  # the other reading of how dynamic learners start
KEPT = {KEEP: mixed("coala", dynamic=False, keeps=True)}
OTHERS = ("M-FOS", "batch-unaware")
APART = Measure("meeting_cleans_difference")
ZAPS, CLEANS, DIRT, APPLES = map(Measure, ("shaping_zaps", "naive_cleans", "inner_dirt", "inner_apples"))
CLEANUP_LITE = Figure(
    "cleanup-lite",
    "Figures 6, 7, 13, 14: CleanUp-lite, against naive learners and in a mixed pool",
    {**ALONE, **POOLED, **KEPT},
    BUDGETS,
    (
        Panel("shaping_reward", "player, points per step", tuple(ALONE)),
        Panel("naive_reward", "naive learner, points per step", tuple(ALONE)),
        Panel("naive_cleans", "naive learner cleans, share of steps", tuple(ALONE)),
        Panel("shaping_zaps", "player zaps, share of steps", tuple(ALONE)),
        Panel("inner_dirt", "dirty cells", tuple(ALONE)),
        Panel("meeting_reward", "two players, points per step", (*POOLED, KEEP)),
        Panel("meeting_zaps", "two players zap, share of steps", tuple(POOLED)),
        Panel("meeting_cleans", "two players clean, share of steps", tuple(POOLED)),
        Panel("meeting_cleans_difference", "two players, difference of cleaning", tuple(POOLED)),
        Panel("meeting_cleans_equality", "two players, how evenly they clean", tuple(POOLED)),
    ),
    (
        claim(
            "shaper-earns-more",
            "Against naive learners COALA-PG's player earns more than the others' (figure 6).",
            *(Comparison("COALA-PG", "above", other, SHAPING, 0.02) for other in OTHERS),
        ),
        claim(
            "shaper-zaps-less",
            "It zaps less, less dirt lies there, and more apples.",
            *(Comparison("COALA-PG", "below", other, ZAPS, 0.01) for other in OTHERS),
            *(Comparison("COALA-PG", "below", other, DIRT, 0.1) for other in OTHERS),
            *(Comparison("COALA-PG", "above", other, APPLES, 0.0) for other in OTHERS),
        ),
        claim(
            "learner-cleans-and-gains",
            "The naive learner cleans more, and is still better off than beside the others.",
            *(Comparison("COALA-PG", "above", other, CLEANS, 0.01) for other in OTHERS),
            *(Comparison("COALA-PG", "above", other, NAIVE, 0.0) for other in OTHERS),
        ),
        claim(
            "pool-earns-more",
            "In a mixed pool COALA-PG's players earn more with each other than the others' players (figure 7).",
            *(Comparison("COALA-PG, pool", "above", f"{other}, pool", MEETING, 0.02) for other in OTHERS),
        ),
        claim(
            "pool-shares-cleaning",
            "In a mixed pool two players of COALA-PG differ less in how often they clean than two of the others "
            "(figure 14).",
            *(Comparison("COALA-PG, pool", "below", f"{other}, pool", APART, 0.01) for other in OTHERS),
        ),
        claim(
            "either-dynamic",
            "Ours: players earn as much with each other if learners keep their own networks and copy no player.",
            Comparison(KEEP, "equal", "COALA-PG, pool", MEETING, 0.02),
        ),
    ),
    smoke=("COALA-PG", "COALA-PG, pool"),
    note="GRUs for Hawk, 16 episodes an iteration for 512, 8 games for 32 (pool: 16 for 64), 20 inner episodes for "
    "100. 300 iterations: 49 million steps of 310 billion, 0.016 %; in the pool 25 million, 0.008 %. The "
    "difference of cleaning is the paper's |c1 - c2|, of shares of steps, in each inner episode of each game; then the "
    "mean. It is 0, too, if nobody cleans. How evenly players clean (ours) is 1 minus the Gini index of their rates in "
    "an episode, over all its games: 1 alike, 0.5 one alone.",
)

# More agents ---------------------------------------------------------------------------------------------------------

COUNTS = (2, 3, 4)


def many(label: str, agents: int, **options: Any) -> Arm:
    """Returns an arm of tables on all sides of the prisoner's dilemma of `agents` players."""
    name = f"-agents-{agents}" + ("-pool" if options else "")
    arm = tabular(ESTIMATORS[label], name, "pool" if options else "tables", agents=agents, **options)
    return replace(arm, task="n-ipd+learners")


SHAPERS = {f"{label}, {n}": many(label, n) for n in COUNTS for label in ("COALA-PG", "M-FOS")}
POOLS = {f"COALA-PG, {n}, pool": many("COALA-PG", n, naive_share=0.1, players=n + 2) for n in COUNTS}
RIVERS = {f"{label}, river, {n}": shaping(ESTIMATORS[label], n) for n in COUNTS for label in ("COALA-PG", "M-FOS")}
SHARE = Measure("shaping_share")
MORE_AGENTS = Figure(
    "more-agents",
    "Question 3: two, three and four agents, in the prisoner's dilemma of all against all and in CleanUp-lite",
    {**SHAPERS, **POOLS, **RIVERS},
    BUDGETS,
    (
        Panel("shaping_reward", "player, points per step", tuple(SHAPERS)),
        Panel("naive_reward", "naive learners, points per step", tuple(SHAPERS)),
        Panel("meeting_reward", "players among themselves, points per step", tuple(POOLS)),
        Panel("cooperation", "cooperation of all", (*SHAPERS, *POOLS)),
        Panel("shaping_share", "player, share of the best symmetric return", tuple(RIVERS)),
        Panel("naive_cleans", "naive learners clean, share of steps", tuple(RIVERS)),
    ),
    (
        claim(
            "shapes-several",
            "Ours: COALA-PG shapes two and three naive learners at once, M-FOS does not.",
            *(Comparison(f"COALA-PG, {n}", "above", f"M-FOS, {n}", SHAPING, 0.1) for n in (3, 4)),
        ),
        claim(
            "harder-with-more",
            "Ours: with one action against all, a player gets less of each further learner.",
            Comparison("COALA-PG, 4", "below", "COALA-PG, 2", SHAPING, 0.1),
        ),
        claim(
            "pools-of-more",
            "Ours: players of COALA-PG in a pool cooperate in twos and threes.",
            *(Comparison(f"COALA-PG, {n}, pool", "above", 0.5, MEETING, 0.0) for n in (2, 3)),
        ),
        claim(
            "rivers-of-more",
            "Ours: in CleanUp-lite of three and four a player of COALA-PG reaches a larger share of the best symmetric "
            "return than one of M-FOS.",
            *(Comparison(f"COALA-PG, river, {n}", "above", f"M-FOS, river, {n}", SHARE, 0.02) for n in (3, 4)),
        ),
    ),
    smoke=("COALA-PG, 3", "COALA-PG, 3, pool", "COALA-PG, river, 3"),
    note="The first side is a player's, every other side has a naive learner of its own, or all sides are players. "
    "Rewards of the prisoner's dilemma are means of the matches with all others, so 1 is mutual cooperation for any "
    "number. Best symmetric return of CleanUp-lite: 1 / N per step, a bound that nobody can reach.",
)
