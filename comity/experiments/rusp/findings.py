"""What the paper says of each figure, and what was found as long as these verdicts stand, in a sentence each."""

from comity.experiments.figure import Finding

SAYS = {
    "fig3": "Agents of random uncertain preferences cooperate and answer in kind; selfish ones defect.",
    "fig8": "Levels and noises must be each observer's own.",
    "fig9": "With play against the past the answer in kind stays, without it does not.",
    "indirect": "Agents answer what they only watched.",
    "buddy": "Teams of two form and last.",
    "fig10": "For stable teams preferences must come in teams.",
    "fig11": "Random preferences reach cooperative returns in Harvest and Cleanup, selfish agents do not.",
    "oasis": "Selfish agents fight for all; random preferences make two gang up on one, explicit teams more so.",
}
FINDINGS = {
    "fig3": Finding(
        "Agents of random uncertain preferences answer in kind where all is unsure", {"answers-unsure": "reproduced"}
    ),
    "fig9": Finding(
        "Play against the past or none: five seeds show no difference", {"stays-to-the-end": "open", "steady": "open"}
    ),
}
