"""Statements of the paper about each figure, and our findings, which hold as long as the verdicts stand."""

from comity.experiments.figure import Finding

SAYS = {
    "fig3": "Agents of random uncertain preferences cooperate and answer in kind; selfish ones defect.",
    "fig8": "Levels and noises must be each observer's own.",
    "fig9": "With play against past policies agents keep answering in kind; without it they do not.",
    "indirect": "Agents act on what they only watched.",
    "buddy": "Teams of two form and last.",
    "fig10": "Teams are stable only if preferences are drawn in teams.",
    "fig11": "Random preferences reach cooperative returns in Harvest and Cleanup, selfish agents do not.",
    "oasis": "Selfish agents all fight; with random preferences two team up against one, most in explicit teams.",
}
FINDINGS = {
    "fig3": Finding(
        "So far agents of random uncertain preferences answer in kind where all is unsure",
        {"answers-unsure": "too little training"},
    ),
    "fig9": Finding(
        "Play against the past or none: five seeds show no difference", {"stays-to-the-end": "open", "steady": "open"}
    ),
}
