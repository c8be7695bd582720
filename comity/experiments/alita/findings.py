"""Statements of the paper about each figure, and our findings, which hold as long as the verdicts stand."""

from comity.experiments.figure import Finding

SAYS = {
    "fig1": "Both estimates of the influence have a small bias; clones are closer after enough training.",
    "fig3": "On most of five maps ALITA wins most battles.",
    "fig4": "On 2s3z ALITA loses most without the influence; it is best if all agents influence.",
    "table1": "ALITA earns most in Push-Box and succeeds most in Secret Room.",
    "table2": "With three agents ALITA covers landmarks best; with six all are alike.",
    "table3": "ALITA reaches more goals than MADDPG, and MADDPG far more than all others.",
    "table4": "ALITA's good agents succeed most often, but so does their adversary.",
    "fig5": "With an auxiliary agent ALITA is best on all bodies, 31 % better than SAC on Humanoid-v3.",
    "ablations": "Without influence ALITA loses much, without bonuses little; it is best if all agents influence.",
}
FINDINGS = {
    "fig1": Finding(
        "The estimate of the influence is 1 to 5 % of its true size; that of q itself is off by 10 to 14 %",
        {"small-bias": "not reproduced"},
    ),
    "table1": Finding(
        "So far nobody pushes a box or opens the last door; ALITA sees fewer pairs of cells than random play",
        {"most-in-push-box": "too little training", "alita-sees-more": "too little training"},
    ),
    "table2": Finding(
        "With three agents ALITA and MADDPG are far beyond random play; six agents decide nothing",
        {"beyond-random": "reproduced", "six-alike": "open"},
    ),
    "table4": Finding(
        "DDPG's good agents end ahead of MADDPG's; an adversary succeeds more often if its critic reads everyone",
        {"good-agents-of-ddpg": "not reproduced", "adversary-of-ddpg": "reproduced"},
    ),
    "table3": Finding(
        "ALITA reaches more goals than MADDPG, and MADDPG not far more than the others",
        {"most-goals": "reproduced", "central-critics": "not reproduced"},
    ),
    "ablations": Finding(
        "Navigation does not tell ALITA's parts apart; in Push-Box its bonuses make it see fewer pairs of cells",
        {"influence-matters-most": "too little training", "symmetric-best": "open"},
    ),
}
