"""Figures with more than two agents: indirect reciprocity, and Prisoner's Buddy (figure 10)."""

from typing import Any

from comity.experiments.claims import Comparison
from comity.experiments.figure import Arm, Figure, Panel, Trial
from comity.experiments.rusp.arms import BUDGETS, SURE, UNSURE, claim, late, trained

# Indirect reciprocity ------------------------------------------------------------------------------------------------

HOLD_OUT, RAPPORT = {"selects": "hold-out"}, {"selects": "rapport"}
WATCHING = {
    "self": Trial(SURE),
    **{f"hold-out-{name}": Trial({**SURE, **HOLD_OUT}, name) for name in ("all-c", "all-d")},
    **{f"rapport-{name}": Trial({**SURE, **RAPPORT}, name) for name in ("all-c", "all-d", "tit-for-tat")},
    "unsure-self": Trial(UNSURE),
    **{f"unsure-hold-out-{name}": Trial({**UNSURE, **HOLD_OUT}, name) for name in ("all-c", "all-d")},
}
HELD_OUT = "hold-out-all-d:defection_in_the_end - hold-out-all-c:defection_in_the_end"
NEWCOMER = "rapport-all-d:defection_against_last - rapport-all-c:defection_against_last"


def watching(name: str, options: dict[str, Any] | None = None, **settings: Any) -> Arm:
    settings = {"chunk": 20, "steps": 60, **settings}
    return trained(f"indirect-{name}", "indirect-reciprocity", "paper", "indirect", WATCHING, options or {}, **settings)


INDIRECT = Figure(
    "indirect",
    "Indirect reciprocity: three agents, of whom two play and one watches",
    {
        "selfish": watching("selfish", SURE),
        "RUSP": watching("rusp"),
        "RUSP, no past play": watching("no-past-play", versions=0),
    },
    BUDGETS,
    (
        Panel("self:cooperation", "cooperation with each other, T = I"),
        Panel("hold-out-all-d:defection_in_the_end", "defection on all-d, only watched"),
        Panel("hold-out-all-c:defection_in_the_end", "defection on all-c, only watched"),
        Panel("rapport-all-d:defection_against_last", "defection on a newcomer, all-d"),
        Panel("rapport-all-c:defection_against_last", "defection on a newcomer, all-c"),
        Panel("rapport-all-d:defection_among_others_since", "on each other, newcomer all-d"),
    ),
    (
        claim(
            "selfish-defects",
            "Selfish agents defect.",
            Comparison("selfish", "below", 0.05, late("self:cooperation"), 0.0),
        ),
        claim(
            "cooperates",
            "Under random uncertain preferences they cooperate with each other more.",
            Comparison("RUSP", "above", "selfish", late("self:cooperation"), 0.3),
        ),
        claim(
            "hold-out",
            "Whom an agent only watched, it defects on more if that one always defected on others.",
            Comparison("RUSP", "above", 0.0, late(HELD_OUT), 0.2),
        ),
        claim(
            "hold-out-unsure",
            "So if all levels are shown as high as they may be.",
            Comparison(
                "RUSP",
                "above",
                0.0,
                late("unsure-hold-out-all-d:defection_in_the_end - unsure-hold-out-all-c:defection_in_the_end"),
                0.2,
            ),
        ),
        claim(
            "newcomer-answered",
            "Agents that know each other answer a newcomer in kind.",
            Comparison("RUSP", "above", 0.0, late(NEWCOMER), 0.2),
        ),
        claim(
            "newcomer-forgiven",
            "They cooperate again with a newcomer that does as it is done to.",
            Comparison(
                "RUSP",
                "above",
                0.0,
                late("rapport-all-d:defection_against_last - rapport-tit-for-tat:defection_against_last"),
                0.2,
            ),
        ),
        claim(
            "rapport-stays",
            "And go on cooperating with each other beside one that always defects.",
            Comparison("RUSP", "below", "selfish", late("rapport-all-d:defection_among_others_since"), 0.3),
        ),
        claim(
            "past-play",
            "Past play is crucial for it.",
            Comparison("RUSP", "above", "RUSP, no past play", late(HELD_OUT), 0.1),
        ),
    ),
    smoke=("RUSP",),
    note=(
        "The last agent is the partner that does not learn, in all trials but self. Hold-out: agent 0 watches, and "
        "plays it in the last step. Rapport: it does not play in the first five steps."
    ),
)

# Prisoner's Buddy ----------------------------------------------------------------------------------------------------

CHOOSING = {"self": Trial(SURE), "unsure-self": Trial(UNSURE)}


def buddy(name: str, options: dict[str, Any] | None = None) -> Arm:
    return trained(f"buddy-{name}", "prisoners-buddy", "paper", "buddy", CHOOSING, options or {})


BUDDY_RUSP = buddy("rusp")
BUDDY_PANELS = (
    Panel("self:agents_in_pairs", "agents in teams of two, of 5, T = I"),
    Panel("self:team_length", "paid rounds that a team lasts, T = I"),
    Panel("self:perfect", "episodes of the same two teams, T = I"),
    Panel("unsure-self:agents_in_pairs", "agents in teams, T = I, unsure"),
    Panel("unsure-self:team_length", "rounds that a team lasts, T = I, unsure"),
    Panel("agents_in_pairs", "agents in teams in training"),
)

BUDDY = Figure(
    "buddy",
    "Prisoner's Buddy: do teams of two form",
    {"selfish": buddy("selfish", SURE), "RUSP": BUDDY_RUSP},
    BUDGETS,
    BUDDY_PANELS,
    (
        claim(
            "selfish-none",
            "Selfish agents form no teams.",
            Comparison("selfish", "below", 1.0, late("self:agents_in_pairs"), 0.0),
        ),
        claim(
            "teams",
            "Under random uncertain preferences they form teams of two.",
            Comparison("RUSP", "above", "selfish", late("self:agents_in_pairs"), 1.0),
        ),
        claim(
            "stable",
            "Which last: some rounds of the ten of an episode.",
            Comparison("RUSP", "above", 3.0, late("self:team_length"), 0.0),
        ),
    ),
    smoke=("RUSP",),
)

FIG10 = Figure(
    "fig10",
    "Figure 10: partitions into teams, or everybody shares with everybody",
    {"teams": BUDDY_RUSP, "no teams": buddy("full", {"sharing": "full"})},
    BUDGETS,
    BUDDY_PANELS,
    (
        claim(
            "partitions-needed",
            "For stable teams, preferences must come in teams.",
            Comparison("teams", "above", "no teams", late("self:team_length"), 1.0),
            Comparison("teams", "above", "no teams", late("self:agents_in_pairs"), 0.5),
        ),
    ),
    smoke=("teams",),
)
