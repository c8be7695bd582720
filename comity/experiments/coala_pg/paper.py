"""The figures of COALA-PG together: the metrics of records, the cost of an arm, and its small version."""

from dataclasses import replace

from comity.experiments.coala_pg import cost as costs
from comity.experiments.coala_pg import estimators
from comity.experiments.coala_pg.agents import CLEANUP_LITE, MORE_AGENTS
from comity.experiments.coala_pg.beyond import CHANGING_RULES, DILEMMAS
from comity.experiments.coala_pg.exact import ANALYTIC, COMPOSITION, PARTS, TIME_SCALES
from comity.experiments.coala_pg.findings import FINDINGS, SAYS
from comity.experiments.coala_pg.sampled import BALANCE, MINIBATCH, MIXED_POOL, OBSERVABILITY, PURE_SHAPING, RETURNS
from comity.experiments.figure import Arm, Figure, Paper
from comity.recipes import Recipe

ESTIMATORS = Figure(
    "estimators", "Each estimator's mean against the true gradient", {}, {}, (), picture=estimators.draw
)
COST = Figure("cost", "What a gradient costs by length of history and size of view", {}, {}, (), picture=costs.draw)
KEPT = (
    "return",
    "length",
    "cooperation",
    "meeting_value",
    "meeting_least",
    "shaping_value",
    "naive_value",
    "shaping_value_last",
    "naive_value_last",
    "extortion_factor",
    "extortion_residual",
    *(f"cooperates_{place}" for place in ("start", "cc", "cd", "dc", "dd")),
    *(f"{whose}_gradient_{place}" for whose, place in PARTS),
    "naive_gradient_norm",
    "player_gradient_norm",
    "shaping_reward",
    "naive_reward",
    "shaping_reward_first",
    "shaping_reward_last",
    "naive_reward_last",
    "meeting_reward",
    "meeting_reward_last",
    "shaping_share",
    "meeting_share",
    "shaping_zaps",
    "shaping_cleans",
    "naive_cleans",
    "naive_zaps",
    "meeting_zaps",
    "meeting_cleans",
    "meeting_cleans_difference",
    "meeting_cleans_equality",
    "inner_dirt",
    "inner_apples",
    "defection",
    "defection_first",
    "defection_last",
    "welfare_sum",
    "welfare_minimum",
    "gradient_own",
    "gradient_later",
    "gradient_balance",
    "entropy",
    "kl",
)


def cost(arm: Arm, recipe: Recipe) -> float:
    """CPU seconds of an iteration, scaled to 32 games."""
    if arm.algorithm == "coala-exact":
        return 32 * 0.003
    if arm.algorithm == "lola":
        ahead = getattr(recipe.config, "look_aheads", 1)
        return 16 * 0.02 * ahead if getattr(recipe.config, "play", "exact") == "sampled" else 32 * 0.0005 * (1 + ahead)
    meta = recipe.env.spec.meta
    assert meta is not None  # every other figure is about a game with learners inside
    each = 0.08 if getattr(recipe.config, "core", "table") == "table" else 2.0
    steps = meta.length * meta.episodes / 200
    return each * steps * meta.seats * meta.games / 16 * (1.5 if meta.players > 1 else 1.0)


SMALL = {
    "coala-exact": {"naive_starts": 2, "naive_steps": 2},
    "lola": {"look_aheads": 1, "games": 4},
    "coala": {"width": 4, "epochs": 1, "minibatches": 1},
}


def smoke(arm: Arm) -> Arm:
    """Returns the same arm, made small, to show that the code works."""
    options = {**arm.options}
    if arm.task.endswith("+learners"):
        games, episodes = min(2, int(options.get("games", 2))), 3 if "naive_change" in options else 2
        options |= {"inner_length": 3, "episodes": episodes, "games": games, "naive_width": 4}
    else:
        options["length"] = 4
    settings = {k: v for k, v in SMALL[arm.algorithm].items() if k != "look_aheads" or "look_aheads" in arm.settings}
    return replace(arm, name=f"{arm.name}-smoke", settings={**arm.settings, **settings}, options=options)


FIGURES = (
    ANALYTIC,
    PURE_SHAPING,
    MIXED_POOL,
    BALANCE,
    ESTIMATORS,
    RETURNS,
    TIME_SCALES,
    COMPOSITION,
    MINIBATCH,
    OBSERVABILITY,
    CHANGING_RULES,
    DILEMMAS,
    CLEANUP_LITE,
    MORE_AGENTS,
    COST,
)
PAPER = Paper(
    "coala-pg",
    "Multi-agent cooperation through learning-aware policy gradients",
    {figure.name: figure._replace(says=SAYS[figure.name], finding=FINDINGS.get(figure.name)) for figure in FIGURES},
    KEPT,
    cost,
    smoke,
    columns=("cooperation", "shaping_reward", "naive_reward", "meeting_reward"),
    batch="iterations",
    label="COALA-PG, Meulemans et al. 2025",
    found=(
        "With exact returns, a player that sees how the other learns extorts a naive learner; two such "
        "players end in cooperation. In a game small enough to enumerate, only COALA-PG's estimate has the "
        "true gradient as its mean."
    ),
)
