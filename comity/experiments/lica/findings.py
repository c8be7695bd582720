"""Statements of the paper about each figure, and our findings, which hold as long as the verdicts stand."""

from comity.experiments.figure import Finding

REPRODUCED, OPEN = "reproduced", "open"

SAYS = {
    "fig2": "Adaptive entropy settles at a level that xi sets; plain entropy drops.",
    "fig3": "On particle tasks LICA is better than COMA and MADDPG.",
    "fig4": "In battles LICA is ahead on hard maps, and all learners win the easy ones.",
    "fig5": "LICA finds both optima of the one-step junction; COMA stays near one half.",
    "fig6": "Probabilities learn faster than Gumbel samples, and plain critics learn worse.",
}
FINDINGS = {
    "fig5": Finding(
        "LICA finds both optima; so does COMA with its published loss",
        {"lica-solves": REPRODUCED, "both-optima": REPRODUCED, "coma-as-written-solves": REPRODUCED},
    ),
    "fig6": Finding(
        "With these settings nothing learns navigation, so LICA's parts cannot be compared",
        {"probabilities-are-faster": OPEN, "mlp-critics-are-poor": OPEN},
    ),
}
