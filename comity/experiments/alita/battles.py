"""Figures 3 and 4: ALITA and its rivals in battles, and ALITA's parts on 2s3z.

Weights of bonus and penalty are the paper's for each map; 3s5z_vs_3s6z has those of corridor and two influencers. Only
the paper's plots show its budget: at scale `paper` it is read as 10 million steps. See docs/papers/alita/README.md.
"""

from comity.experiments import battles
from comity.experiments.alita.arms import claim
from comity.experiments.battles import SOONER, WON, at
from comity.experiments.claims import Comparison
from comity.experiments.figure import Figure

RIVALS = ("IQL", "VDN", "QMIX", "LIIR", "LICA", "MAVEN", "EDTI", "EITI")
LEARNERS = ("ALITA", *RIVALS)
PLACES = ("2s3z", "5m_vs_6m", "3s_vs_5z", "corridor", "3s5z_vs_3s6z")
SMALLER = (  # with `battles.SMALLER` and the preset `smac`
    "At the laptop's scale ALITA makes an update for 480 steps instead of 100, from a replay of 1,024 episodes instead "
    "of 5,000; F and a set D_t have 32 transitions instead of 1,024, novelty batches 128 instead of 1,024, and clones "
    "take 4 steps per update instead of 400."
)
BUDGETS = battles.budgets(LEARNERS, PLACES, 12, 10e6, 10e6)

FIG3 = Figure(
    "fig3",
    "Figure 3: battles",
    battles.arms(LEARNERS, PLACES),
    BUDGETS,
    battles.panels(LEARNERS, PLACES),
    tuple(
        claim(
            f"best-on-{place}",
            f"On {place} ALITA ends ahead of all others.",
            *(Comparison(at("ALITA", place), "above", at(label, place), WON, 0.05) for label in RIVALS),
        )
        for place in PLACES
    ),
    smoke=(
        *(at(label, "2s3z") for label in ("ALITA", "IQL", "MAVEN", "EDTI", "EITI")),
        *(at("ALITA", place) for place in PLACES if not battles.MAPS[place].laptop),
    ),
    note=(
        "Battles are comity's own, close to SMAC's rules, not the game. ALITA is built on MADDPG with memory. EDTI and "
        "EITI are PPO with learned predictors and a prediction error in the place of counts; their weights are ours. "
        "At the laptop's scale a learner plays 800,000 steps of all games, twice as many on 3s_vs_5z; corridor and "
        f"3s5z_vs_3s6z are trained at smoke and paper scale. {SMALLER} Value learners make 8 updates for 32 episodes "
        "from a replay of 1,024 episodes instead of one from 5,000."
    ),
)
PARTS = {
    "ALITA": FIG3.arms[at("ALITA", "2s3z")],
    "Symmetric": battles.arm("ALITA", "2s3z", "alita-symmetric", influencers=()),
    "No IM": battles.arm("ALITA", "2s3z", "alita-no-im", novelty_by="none"),
    "No F": battles.arm("ALITA", "2s3z", "alita-no-f", influence="none"),
}

FIG4 = Figure(
    "fig4",
    "Figure 4: ALITA's parts on 2s3z",
    PARTS,
    BUDGETS,
    (battles.won("2s3z", PARTS),),
    (
        claim(
            "symmetric-is-best",
            "With everyone as an influencer learning is fastest and ends highest.",
            Comparison("Symmetric", "above", "ALITA", SOONER, 0.02),
            Comparison("Symmetric", "above", "ALITA", WON, 0.02),
        ),
        claim(
            "bonuses-help-a-little",
            "Without bonuses ALITA ends slightly below, by less than 20 points.",
            Comparison("No IM", "below", "ALITA", WON, 0.02),
            Comparison("No IM", "not below", "ALITA", WON, 0.2),
        ),
        claim(
            "influence-is-what-matters",
            "Without the influence it ends far below.",
            Comparison("No F", "below", "ALITA", WON, 0.2),
        ),
    ),
    smoke=("Symmetric", "No F"),
    note=(
        f"Battles are comity's own, close to SMAC's rules, not the game. Symmetric costs about twice as much. {SMALLER}"
    ),
)
