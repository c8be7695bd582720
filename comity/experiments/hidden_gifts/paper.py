"""The figures of "hidden gifts" together: the metrics of records, the cost of an arm, and its small version."""

from dataclasses import replace

from comity.experiments.figure import Arm, Figure, Paper
from comity.experiments.hidden_gifts import episode
from comity.experiments.hidden_gifts.behaviour import FIG11, FIG12
from comity.experiments.hidden_gifts.beyond import BEYOND, BEYOND_PPO
from comity.experiments.hidden_gifts.corrections import FIG6, FIG15
from comity.experiments.hidden_gifts.credit import FIG_CREDIT, small
from comity.experiments.hidden_gifts.credit import METRICS as OF_CREDIT
from comity.experiments.hidden_gifts.factorial import FACTORIAL
from comity.experiments.hidden_gifts.findings import FINDINGS, SAYS
from comity.experiments.hidden_gifts.gift_games import GIFT_GAMES
from comity.experiments.hidden_gifts.gift_games import METRICS as OF_GAMES
from comity.experiments.hidden_gifts.learners import FIG2, FIG3, FIG4, FIG5, FIG7, FIG8, FIG10
from comity.experiments.hidden_gifts.order import FIG9
from comity.experiments.hidden_gifts.repairs import REPAIR_STUDY
from comity.experiments.hidden_gifts.rewards import FIG13, FIG14
from comity.experiments.hidden_gifts.tables import TABLES
from comity.experiments.hidden_gifts.views import FIG_READINGS, VIEWS, VIEWS_LONG
from comity.recipes import Recipe

FIG1 = Figure("fig1", "Figure 1: an episode in six steps", {}, {}, (), picture=episode.draw)

KEPT = (
    "success",
    "return",
    "length",
    *(f"{name}{agent}" for name in ("reward_share", "drops", "drops_nonzero") for agent in ("", ".0", ".1")),
    "drop_choices",
    "doors_opened",
    "pickups",
    "distance",
    "first_reward_time",
    "rewarded",
    "released_success",
    "gift_delay",
    "first_mover_gap",
    "entropy",
    "policy_loss",
    "baseline",
    # Of the batches between two points, whose means hide what lasts one batch (figures 7 and 15):
    "largest_success_deviation",
    "smallest_reward_share",
    "largest_policy_loss",
    "smallest_policy_loss",
    *OF_GAMES,
    *OF_CREDIT,
)

COST = {  # CPU seconds of one update, 32 games of 150 steps, settings as in the figures
    "pg": 0.06,
    "coma": 0.11,
    "ippo": 1.1,
    "mappo": 0.9,
    "saf": 2.5,
    "iql": 0.07,
    "vdn": 0.09,
    "qmix": 0.11,
    "qtran": 0.15,
    "maven": 0.14,
    "random": 0.012,
}
OTHER_COSTS = {  # for other presets, if they differ
    "released": {"qmix": 0.85, "mappo": 1.1, "coma": 0.28, "pg": 0.1},
    "sound": {"ippo": 0.42},
}
CORRECTION_COST = {"none": 1.0, "released": 1.3, "mixed": 1.85, "self_mixed": 1.85, "self_pure": 3.4}


MEASURED = {"credit-untrained": 90.0, "credit-partly": 0.3, "credit-long": 1.1}  # added per update for the final probe


def cost(arm: Arm, recipe: Recipe) -> float:
    times = CORRECTION_COST[getattr(recipe.config, "correction", "none")] * recipe.env.spec.length / 150
    times *= recipe.env.spec.agents / 2 * (4.5 if getattr(recipe.config, "core", "gru") == "attention" else 1)
    of_preset = COST | OTHER_COSTS.get(arm.preset, {})
    return of_preset.get(arm.algorithm, 0.2) * times + MEASURED.get(arm.name, 0.0)


SMALL = {  # settings that make an algorithm small, if it has them
    "hidden": 4,
    "context_heads": 2,
    "critic_hidden": 4,
    "encoder": (4,),
    "mixer_width": 2,
    "mixer_hidden": 4,
    "bias_hidden": 4,
    "joint_hidden": 4,
    "discriminator_hidden": 4,
    "chooser_hidden": 4,
    "width": 4,
    "policies": 2,
    "policy_hidden": (4,),
    "slots": 2,
    "epochs": 2,
    "minibatches": 1,
    "capacity": 8,
    "batch": 4,
    "warmup": 4,
}


def smoke(arm: Arm) -> Arm:
    """Returns the same arm with ten steps and tiny networks, to show that the code works."""
    import dataclasses

    from comity.recipes import find_algorithm

    config = getattr(find_algorithm(arm.algorithm).thing, "Config", None)
    known = {f.name for f in dataclasses.fields(config)} if config else set()
    fewer = {k: v if k != "critic_hidden" or arm.algorithm != "saf" else (4,) for k, v in SMALL.items() if k in known}
    return replace(
        arm,
        name=f"{arm.name}-smoke",
        settings={**arm.settings, **fewer},
        options={**arm.options, "length": 10},
        trials=small(arm.trials),
    )


FIGURES = (
    FIG1,
    FIG2,
    FIG3,
    FIG4,
    FIG5,
    FIG6,
    FIG7,
    FIG8,
    FIG9,
    FIG10,
    FIG11,
    FIG12,
    FIG13,
    FIG14,
    FIG15,
    FACTORIAL,
    REPAIR_STUDY,
    VIEWS,
    VIEWS_LONG,
    FIG_READINGS,
    TABLES,
    BEYOND,
    BEYOND_PPO,
    GIFT_GAMES,
    FIG_CREDIT,
)
PAPER = Paper(
    "hidden-gifts",
    "The challenge of hidden gifts in multi-agent reinforcement learning",
    {figure.name: figure._replace(says=SAYS[figure.name], finding=FINDINGS.get(figure.name)) for figure in FIGURES},
    KEPT,
    cost,
    smoke,
    ("success", "return", "drops"),
    label="Hidden gifts, Malenfant & Richards 2025",
    found=(
        "Policy gradients learn to leave the key, with and without action history. The paper's correction "
        "term does not make them steadier. COMA and the value mixers hardly ever succeed, as the paper says."
    ),
)
