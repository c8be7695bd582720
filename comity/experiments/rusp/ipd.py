"""Figures 3, 8 and 9: the prisoner's dilemma. Which agents answer in kind, and what is the effect of uncertainty?"""

from typing import Any

from comity.experiments.claims import Comparison, dated
from comity.experiments.figure import Arm, Figure, Panel, Trial
from comity.experiments.measures import Measure
from comity.experiments.rusp.arms import BUDGETS, LATE, SURE, UNSURE, claim, late, trained

TRIALS = {
    "self": Trial(SURE),
    "all-c": Trial(SURE, "all-c"),
    "all-d": Trial(SURE, "all-d"),
    "tit-for-tat": Trial(SURE, "tit-for-tat"),
    "unsure-self": Trial(UNSURE),
    "unsure-all-c": Trial(UNSURE, "all-c"),
    "unsure-all-d": Trial(UNSURE, "all-d"),
}


def ipd(name: str, budget: str = "ipd", options: dict[str, Any] | None = None, **settings: Any) -> Arm:
    return trained(f"ipd-{name}", "ipd", "rusp", budget, TRIALS, options or {}, **settings)


SELFISH = ipd("selfish", "selfish", SURE)
RUSP = ipd("rusp")  # uncertainty up to 1
HARD = {"alpha": 1000.0, "own_weight": "one"}  # weights of 1 in a team: 0 or 0.999

# How much more an agent cooperates with a partner that always cooperates than with one that always defects.
ANSWER = "all-c:cooperation.0 - all-d:cooperation.0"
UNSURE_ANSWER = "unsure-all-c:cooperation.0 - unsure-all-d:cooperation.0"
DRIFT = Measure(ANSWER, "drift", LATE)
PANELS = (
    Panel("self:cooperation", "cooperation with itself, T = I"),
    Panel("all-c:cooperation.0", "with all-c, T = I"),
    Panel("all-d:cooperation.0", "with all-d, T = I"),
    Panel("unsure-self:cooperation", "with itself, T = I, unsure"),
    Panel("unsure-all-d:cooperation.0", "with all-d, T = I, unsure"),
    Panel("cooperation", "cooperation in training"),
)

FIG3 = Figure(
    "fig3",
    "Figure 3: the prisoner's dilemma, selfish and with random uncertain preferences",
    {
        "selfish": SELFISH,
        "RUSP, 0": ipd("rusp-0", options={"uncertainty": 0.0}),
        "RUSP, 0.25": ipd("rusp-0.25", options={"uncertainty": 0.25}),
        "RUSP, 0.5": ipd("rusp-0.5", options={"uncertainty": 0.5}),
        "RUSP, 1": RUSP,
        "RUSP, 2": ipd("rusp-2", options={"uncertainty": 2.0}),
        "hard teams": ipd("hard", options=HARD),
        "no teams": ipd("full", options={"sharing": "full"}),
    },
    BUDGETS,
    PANELS,
    (
        claim(
            "selfish-defects",
            "Selfish agents defect, with themselves and with everybody.",
            *(Comparison("selfish", "below", 0.05, late(f"{name}:cooperation.0"), 0.0) for name in list(TRIALS)[:4]),
        ),
        claim(
            "cooperates",
            "Under random uncertain preferences agents come to cooperate with themselves when they are selfish.",
            Comparison("RUSP, 1", "above", "selfish", late("self:cooperation"), 0.3),
            Comparison("RUSP, 1", "above", 0.8, late("self:cooperation"), 0.0),
        ),
        claim(
            "answers",
            "And answer in kind: they cooperate with all-c, and defect on all-d.",
            Comparison("RUSP, 1", "above", 0.0, late(ANSWER), 0.3),
            Comparison("RUSP, 1", "above", 0.7, late("all-c:cooperation.0"), 0.0),
            Comparison("RUSP, 1", "below", 0.3, late("all-d:cooperation.0"), 0.0),
        ),
        claim(
            "answers-unsure",
            "So they do if all levels are shown as high as they may be.",
            Comparison("RUSP, 1", "above", 0.8, late("unsure-self:cooperation"), 0.0),
            Comparison("RUSP, 1", "above", 0.0, late(UNSURE_ANSWER), 0.3),
        ),
        claim(
            "unsure-better",
            "And that works better than where there is nothing to be unsure of.",
            Comparison("RUSP, 1", "above", 0.0, late("unsure-self:cooperation - self:cooperation"), 0.05),
            Comparison("RUSP, 1", "above", 0.0, late("all-d:cooperation.0 - unsure-all-d:cooperation.0"), 0.05),
        ),
        claim(
            "uncertainty-helps",
            "More uncertainty is often better.",
            Comparison("RUSP, 1", "above", "RUSP, 0", late(ANSWER), 0.1),
            Comparison("RUSP, 2", "above", "RUSP, 0.25", late(ANSWER), 0.1),
        ),
        claim(
            "soft-teams",
            "Random weights inside teams are needed.",
            Comparison("RUSP, 1", "above", "hard teams", late(ANSWER), 0.1),
        ),
    ),
    smoke=("RUSP, 1",),
    note="RUSP, X: no level of noise is above X. Hard teams share equally. No teams: all share, unequally.",
)

FIG8 = Figure(
    "fig8",
    "Figure 8: who shares levels and noises",
    {
        "own levels, own noises": RUSP,
        "shared levels, shared noises": ipd("shared", options={"levels": "shared", "noises": "shared"}),
        "shared levels, own noises": ipd("shared-levels", options={"levels": "shared"}),
    },
    BUDGETS,
    PANELS,
    (
        claim(
            "own-answers",
            "With levels and noises of their own agents answer in kind (blue).",
            Comparison("own levels, own noises", "above", 0.0, late(ANSWER), 0.3),
        ),
        claim(
            "shared-defects",
            "If all observers have the same levels and noises, all defect (green).",
            Comparison("shared levels, shared noises", "below", 0.1, late("self:cooperation"), 0.0),
        ),
        claim(
            "shared-levels-cooperates",
            "If levels alone are the same, agents cooperate (red).",
            Comparison("shared levels, own noises", "above", 0.5, late("self:cooperation"), 0.0),
        ),
        claim(
            "shared-levels-weakly",
            "But answer weakly: they often keep cooperating with all-d.",
            Comparison(
                "shared levels, own noises", "above", "own levels, own noises", late("all-d:cooperation.0"), 0.2
            ),
        ),
    ),
    smoke=("own levels, own noises",),
)

FIG9 = Figure(
    "fig9",
    "Figure 9: play against the past",
    {"past play, 10 %": RUSP, "no past play": ipd("no-past-play", versions=0)},
    BUDGETS,
    PANELS,
    (
        claim(
            "stable",
            "With past play the answer in kind stays; without, it does not.",
            Comparison("past play, 10 %", "above", "no past play", late(ANSWER), 0.1),
            replaced_by="stays-to-the-end",  # stability is about change, not about a level
        ),
        dated("2026-11-30")(
            "stays-to-the-end",
            "With past play the answer in kind does not fall over the last fifth of training; without, it does.",
            Comparison("past play, 10 %", "above", -0.05, DRIFT, 0.0),
            Comparison("no past play", "below", 0.0, DRIFT, 0.05),
        ),
        claim(
            "steady",
            "Where there is past play it never falls as far, once training is half over.",
            Comparison(
                "past play, 10 %",
                "above",
                "no past play",
                Measure(ANSWER, "trough", (0.5, 1.0)),
                0.1,
            ),
        ),
    ),
    smoke=("past play, 10 %",),
)
