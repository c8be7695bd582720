"""Harvest and Cleanup (figure 11), and Oasis: random uncertain preferences for agents that act over time."""

from typing import Any

from comity.experiments.claims import Comparison, dated
from comity.experiments.figure import Arm, Figure, Panel, Trial
from comity.experiments.measures import Measure
from comity.experiments.rusp.arms import BUDGETS, SURE, UNSURE, late

claim = dated("2026-11-30")  # before any of their runs

# Harvest and Cleanup -------------------------------------------------------------------------------------------------


def seen(task: str, name: str, **options: Any) -> Arm:
    """Returns an arm of 5 agents, 1,000 steps, planes of 15 x 15 with preferences drawn into them."""
    trials = {"self": Trial(SURE)}
    return Arm(f"{task}-{name}", "rusp", "images", {}, options, f"{task}+rusp", "paper", "images", trials)


SHARING: dict[str, dict[str, Any]] = {"selfish": SURE, "RUSP": {}, "RUSP, certain": {"uncertainty": 0.0}}
NAMES = {"selfish": "selfish", "RUSP": "rusp", "RUSP, certain": "rusp-0"}
TASKS = {"Harvest": "harvest", "Cleanup": "cleanup"}
ALL_POINTS = late("self:welfare_sum")  # of five agents in an episode

FIG11 = Figure(
    "fig11",
    "Figure 11: Harvest and Cleanup, selfish and with random preferences",
    {
        f"{label}, {game}": seen(task, NAMES[label], **options)
        for game, task in TASKS.items()
        for label, options in SHARING.items()
    },
    BUDGETS,
    (
        *(
            Panel(f"self:{metric}", f"{words}, {game}, T = I", tuple(f"{label}, {game}" for label in SHARING))
            for metric, words in (("welfare_sum", "points of all"), ("sustainability", "mean step of an apple"))
            for game in TASKS
        ),
        Panel("self:equality", "equality of apples, T = I"),
        Panel("self:peace", "agents that are not hit, T = I"),
    ),
    (
        claim(
            "selfish-harvest",
            "Selfish agents exhaust the orchard: together they earn little more than scripted defectors do (166).",
            Comparison("selfish, Harvest", "below", 250.0, ALL_POINTS, 0.0),
        ),
        claim(
            "selfish-cleanup",
            "Selfish agents leave the river as it is: together they earn next to nothing.",
            Comparison("selfish, Cleanup", "below", 50.0, ALL_POINTS, 0.0),
        ),
        claim(
            "rusp-harvest",
            "Under random uncertain preferences agents earn more together in Harvest, evaluated selfish.",
            Comparison("RUSP, Harvest", "above", "selfish, Harvest", ALL_POINTS, 50.0),
        ),
        claim(
            "rusp-cleanup",
            "So in Cleanup.",
            Comparison("RUSP, Cleanup", "above", "selfish, Cleanup", ALL_POINTS, 50.0),
        ),
        claim(
            "uncertainty-does-not-matter",
            "Preferences that are certain do as well as uncertain ones.",
            *(Comparison(f"RUSP, certain, {game}", "equal", f"RUSP, {game}", ALL_POINTS, 50.0) for game in TASKS),
        ),
        claim(
            "settled",
            "The last fifth of training is flat (ours: else a longer run may say otherwise).",
            *(
                Comparison(f"{label}, {game}", "equal", 0.0, Measure("self:welfare_sum", "drift", (0.8, 1.0)), 25.0)
                for game in TASKS
                for label in ("selfish", "RUSP")
            ),
        ),
    ),
    smoke=("RUSP, Harvest", "selfish, Cleanup"),
    note="The paper states neither how many agents play nor how long it trained: five agents, and 5,000 iterations of "
    "96,000 steps for the release's 500 million. The laptop's seeds train for 320,000 steps, 0.064 % of that.",
)

# Oasis ---------------------------------------------------------------------------------------------------------------


EVEN = {"length": 1_000, "end_chance": 0.0}  # all trials have the same length, so that counts of deaths can be compared


def oasis(name: str, **options: Any) -> Arm:
    # As in the paper: chunks of 100, for deaths come 20 steps after their cause, and no play against past policies.
    settings = {"chunk": 100, "steps": 100, "versions": 0}
    trials = {"self": Trial({**SURE, **EVEN}), "unsure-self": Trial({**UNSURE, **EVEN})}
    if options.get("largest_team"):  # the evaluation keeps its teams, because they are the question
        trials = {"self": Trial(EVEN)}
    return Arm(f"oasis-{name}", "rusp", "sound", settings, options, "oasis+rusp", "paper", "oasis", trials)


# Two agents that share equally against one that has only itself: U is 1 inside a team.
TWO_ON_ONE = {"smallest_team": 2, "largest_team": 2, "alpha": 1000.0, "own_weight": "one", "uncertainty": 0.0}
DEATHS, OTHERS = late("self:deaths"), late("self:deaths_of_others")
OASIS = Figure(
    "oasis",
    "Oasis: food for two of three",
    {"selfish": oasis("selfish", **SURE), "RUSP": oasis("rusp"), "two against one": oasis("2v1", **TWO_ON_ONE)},
    BUDGETS,
    (
        Panel("self:deaths", "deaths in an episode, T = I (2v1: teams)"),
        Panel("self:deaths_of_others", "deaths but of who died most"),
        Panel("self:only_one_died", "episodes in which one alone died"),
        Panel("self:alive", "steps alive, share"),
        Panel("self:attacks", "attacks, share of steps"),
        Panel("self:ate", "eating, share of steps"),
    ),
    (
        claim(
            "selfish-free-for-all",
            "Selfish agents fight for all: others than the one that dies most die, too.",
            Comparison("selfish", "above", 2.0, OTHERS, 0.0),
        ),
        claim(
            "gang",
            "Under random uncertain preferences two gang up on one, imperfectly: others die less than under selfish.",
            Comparison("RUSP", "below", "selfish", OTHERS, 1.0),
        ),
        claim(
            "explicit-best",
            "Two against one by construction does best: fewer others die than under RUSP.",
            Comparison("two against one", "below", "RUSP", OTHERS, 0.0),
        ),
        claim(
            "they-learn-to-live",
            "All of them come to live longer than at the start (ours: without this the others say nothing).",
            *(
                Comparison(label, "above", 0.0, Measure("self:alive", "change", (0.8, 1.0)), 0.05)
                for label in ("selfish", "RUSP", "two against one")
            ),
        ),
    ),
    smoke=("RUSP",),
    note="Trials are episodes of 1,000 steps; training has the paper's, of chance length. The laptop's "
    "seeds train for 4.8 million steps; 1,000 iterations of the paper's 12.8 million stand for its training, which "
    "could not be read: 0.04 %.",
)
