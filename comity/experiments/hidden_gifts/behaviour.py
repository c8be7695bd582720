"""Figures 11 and 12: the distance between agents, and the time of the first reward."""

from dataclasses import replace

from comity.experiments.claims import Comparison
from comity.experiments.figure import Budget, Figure, Panel, Scale
from comity.experiments.hidden_gifts.arms import (
    BUDGETS,
    DISTANCE,
    FIRST_REWARD,
    WINDOW_ARMS,
    all_of,
    claim,
    later,
    longer,
    mended,
)
from comity.experiments.hidden_gifts.corrections import CORRECTED
from comity.experiments.measures import Measure

CLOSER = Measure("distance", "change")
LATE = Measure("distance", window=(0.5, 1.0))
COLLAPSED = ("COMA", "VDN", "QMIX", "QTRAN")
# The paper trains the learners of figure 2 for 10,000 batches, and only the variants of PG of figure 6 for 26,000.
ARMS = {
    **WINDOW_ARMS,
    "PG": replace(WINDOW_ARMS["PG"], budget="pg-window"),
    **{f"PG with history, {name}": arm for name, arm in CORRECTED.items()},
}
LENGTHS: dict[Scale, dict[str, Budget]] = {
    scale: budgets | ({"pg-window": BUDGETS[scale]["pg"]} if budgets else {})
    for scale, budgets in longer(26_000).items()
}
UNLIKE = ("vanilla", "max-entropy", "correction")  # the distances that self-correction's is held against
SOME = ("PG", "QMIX", "random", "PG with history, vanilla")  # at smoke scale; figure 6 has the corrected ones

FIG11 = Figure(
    "fig11",
    "Figure 11: how far agents are from each other",
    ARMS,
    LENGTHS,
    (
        Panel("distance", "distance between agents, cells", tuple(WINDOW_ARMS)),
        Panel("distance", "distance, PG with history, cells", tuple(f"PG with history, {name}" for name in CORRECTED)),
    ),
    (
        claim(
            "pg-far-then-near",
            "PG's agents are far apart early in training, and closer later.",
            Comparison("PG", "below", 0.0, CLOSER, 0.1),
        ),
        claim(
            "near",
            "IPPO's and MAVEN's agents are closer than random.",
            *all_of(("IPPO", "MAVEN"), "below", "random", DISTANCE, 0.05),
        ),
        claim(
            "coma-closer",
            "COMA's come closer.",
            Comparison("COMA", "below", 0.0, CLOSER, 0.05),
        ),
        claim(
            "saf-flat",
            "SAF's stay as far as they were.",
            Comparison("SAF", "equal", 0.0, CLOSER, 0.1),
        ),
        claim(
            "corrected-farther",
            "With correction terms agents end farther apart than without.",
            Comparison("PG with history, correction", "above", "PG with history, vanilla", DISTANCE, 0.05),
            Comparison("PG with history, self-correction", "above", "PG with history, vanilla", DISTANCE, 0.05),
        ),
        later(
            "mappo-a-little",
            "MAPPO's come closer too, but less than PG's.",
            Comparison("MAPPO", "below", 0.0, CLOSER, 0.02),
            Comparison("MAPPO", "above", "PG", CLOSER, 0.1),
        ),
        later("maven-nearer", "MAVEN's are closer than IPPO's.", Comparison("MAVEN", "below", "IPPO", DISTANCE, 0.02)),
        later(
            "mixers-near",
            "VDN's, QMIX's and QTRAN's are closer than random.",
            *all_of(("VDN", "QMIX", "QTRAN"), "below", "random", DISTANCE, 0.05),
        ),
        later("qtran-apart", "QTRAN's drift apart.", Comparison("QTRAN", "above", 0.0, CLOSER, 0.05)),
        later(
            "without-correction-closer",
            "With history, PG's come closer, with max-entropy or without.",
            *all_of(("PG with history, vanilla", "PG with history, max-entropy"), "below", 0.0, CLOSER, 0.1),
        ),
        later(
            "self-correction-alike",
            "With self-correction the distance varies least over seeds.",
            *(
                Comparison(f"PG with history, {name}", "wider", "PG with history, self-correction", LATE, 1.0)
                for name in UNLIKE
            ),
            replaced_by="self-correction-alike-throughout",  # it took the spread of means over half of the training
        ),
        mended(
            "self-correction-alike-throughout",
            "With self-correction the distance varies least over seeds, at each point of the second half of training.",
            *(
                Comparison(f"PG with history, {x}", "wider-throughout", "PG with history, self-correction", LATE, 1.0)
                for x in UNLIKE
            ),
        ),
    ),
    smoke=SOME,
)

FIG12 = Figure(
    "fig12",
    "Figure 12: when the first reward comes",
    ARMS,
    LENGTHS,
    (
        Panel("first_reward_time", "first reward, step", tuple(WINDOW_ARMS)),
        Panel(
            "first_reward_time",
            "first reward, PG with history",
            tuple(f"PG with history, {name}" for name in CORRECTED),
        ),
    ),
    (
        claim(
            "fast",
            "PG, IPPO, MAPPO and SAF get their first reward sooner than random.",
            *all_of(("PG", "IPPO", "MAPPO", "SAF"), "below", "random", FIRST_REWARD, 5.0),
        ),
        claim(
            "all-faster",
            "With action history PG gets faster, with and without corrections.",
            *(
                Comparison(f"PG with history, {name}", "below", 0.0, Measure("first_reward_time", "change"), 10.0)
                for name in ("vanilla", "max-entropy", "correction", "self-correction")
            ),
        ),
        claim(
            "corrected-slower",
            "With corrections it gets faster more slowly.",
            *(
                Comparison(
                    f"PG with history, {name}",
                    "above",
                    "PG with history, vanilla",
                    Measure("first_reward_time", window=(0.1, 0.5)),
                    2.0,
                )
                for name in ("correction", "self-correction")
            ),
        ),
        later(
            "collapse-low",
            "COMA's, VDN's, QMIX's and QTRAN's times fall below random's.",
            *all_of(COLLAPSED, "below", "random", FIRST_REWARD, 1.0),
        ),
        later(
            "collapse-late",
            "Ours: where the reward is lost the first one comes later than with random play, at last never.",
            *all_of(COLLAPSED, "above", "random", FIRST_REWARD, 1.0),
        ),
        later(
            "maven-swings",
            "MAVEN's time swings.",
            Comparison("MAVEN", "above", 0.0, Measure("first_reward_time", "fall", (0.0, 1.0)), 10.0),
        ),
    ),
    smoke=SOME,
)
