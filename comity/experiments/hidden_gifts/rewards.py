"""Figures 13 and 14: other rewards, and one of the two rewards alone."""

from comity.experiments.claims import Claim, Comparison
from comity.experiments.figure import Figure, Panel
from comity.experiments.hidden_gifts.arms import (
    BUDGETS,
    HISTORY,
    PANELS,
    PG_HISTORY,
    SHARE,
    SUCCESS,
    claim,
    later,
    mended,
    pg,
)
from comity.experiments.measures import Measure

SAME = "Success as the code measures it, by agent 0's rewards, is success by the doors"


def by_rewards(first: tuple[str, ...], now: tuple[str, ...]) -> tuple[Claim, Claim]:
    """Returns a claim for arms where it matters: with normal rewards and two agents both measures are the same.

    first: the arms of the first claim. Some of them hardly ever succeed, and there the code's measure is always 0, so
    both are alike whatever it measures. now: the arms of the claim that replaces it, which do succeed.
    """

    def tests(labels: tuple[str, ...]) -> tuple[Comparison, ...]:
        return tuple(Comparison(label, "equal", 0.0, Measure("success_error"), 0.005) for label in labels)

    old, new = "measured-by-rewards", "measured-by-rewards-of-successes"
    return (
        later(old, f"{SAME}.", *tests(first), replaced_by=new),
        mended(new, f"{SAME}, with rewards for which agents succeed.", *tests(now)),
    )


OLD_LAW = "inject, mean 0"  # trained when the text's rule was read as noise of mean 0
REWARD_SPREAD = Measure("reward_share", window=(0.5, 1.0))

FIG13 = Figure(
    "fig13",
    "Figure 13: other rewards, PG with action history",
    {
        "normal": PG_HISTORY,
        "oracle": pg("pg-history-oracle", {**HISTORY, "reward": "oracle"}),
        "punish": pg("pg-history-punish", {**HISTORY, "reward": "punish"}),
        "inject": pg("pg-history-inject-paper", {**HISTORY, "reward": "inject"}),
        OLD_LAW: pg("pg-history-inject", {**HISTORY, "reward": "inject", "injection": "clean"}),
    },
    BUDGETS,
    (PANELS["success"], PANELS["share"], Panel("pickups", "pickups per agent")),
    (
        claim(
            "oracle-fastest",
            "Paid for the gift, agents learn success fastest.",
            Comparison("oracle", "above", "normal", Measure("success", window=(0.2, 0.6)), 0.1),
        ),
        claim(
            "punish-avoids",
            "Punished for keeping the key, they avoid it.",
            Comparison("punish", "below", "normal", Measure("pickups"), 0.2),
        ),
        claim(
            "inject-less",
            "With injected rewards success is much lower.",
            Comparison(OLD_LAW, "below", "normal", SUCCESS, 0.2),
            replaced_by="inject-less-by-the-text",
        ),
        claim(
            "inject-steadier",
            "And rewards vary less over seeds.",
            Comparison("normal", "wider", OLD_LAW, REWARD_SPREAD, 1.0),
            replaced_by="inject-steadier-by-the-text",
        ),
        mended(
            "inject-less-by-the-text",
            "With rewards injected by the text's law success is much lower.",
            Comparison("inject", "below", "normal", SUCCESS, 0.2),
        ),
        mended(
            "inject-steadier-by-the-text",
            "And rewards vary less over seeds.",
            Comparison("normal", "wider", "inject", REWARD_SPREAD, 1.0),
            replaced_by="inject-steadier-throughout",  # it took the spread of means over half of the training
        ),
        mended(
            "inject-steadier-throughout",
            "And rewards vary less over seeds, at each point of the second half of training.",
            Comparison("normal", "wider-throughout", "inject", REWARD_SPREAD, 1.0),
        ),
        *by_rewards(("oracle", "punish", OLD_LAW), ("oracle", "inject", OLD_LAW)),
    ),
    smoke=("normal", "punish", "inject"),
    note=(
        "By the text's law injected rewards have the mean of the reward they surround; `inject, mean 0` was trained "
        "while that was read as noise of mean 0. They fade over 10,000 batches, as in the paper: at the laptop's 3,000 "
        "they are still at 70 %. The claims of success by agent 0's rewards were written on 2026-11-29 and 2026-11-30, "
        "and the one of the spread at each point on 2026-11-30, after the runs."
    ),
)

FIG14 = Figure(
    "fig14",
    "Figure 14: one of the two rewards alone, PG with action history",
    {
        "both": PG_HISTORY,
        "individual only": pg("pg-history-individual", {**HISTORY, "reward": "individual-only"}),
        "collective only": pg("pg-history-collective", {**HISTORY, "reward": "collective-only"}),
    },
    BUDGETS,
    (PANELS["success"], PANELS["share"]),
    (
        claim(
            "individual-none",
            "With the individual reward alone there is no success.",
            Comparison("individual only", "equal", 0.0, SUCCESS, 0.02),
        ),
        claim(
            "individual-more",
            "But a higher share of what is then attainable.",
            Comparison("individual only", "above", "both", SHARE, 0.0),
        ),
        claim(
            "collective-little",
            "With the collective reward alone success is severely inhibited, but not 0.",
            Comparison("collective only", "below", "both", SUCCESS, 0.2),
            Comparison("collective only", "above", 0.0, SUCCESS, 0.0005),
        ),
        *by_rewards(("individual only", "collective only"), ("collective only",)),
    ),
    smoke=("both", "collective only"),
)
