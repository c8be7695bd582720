"""Statements of the paper about each figure, and our findings, which hold as long as the verdicts stand."""

from comity.experiments.figure import Finding

REPRODUCED, SHORT = "reproduced", "too little training"

SAYS = {
    "analytic": "Naive learners are extorted, two extortioners cooperate, LOLA fails with many look-aheads.",
    "pure-shaping": "COALA-PG shapes naive learners; M-FOS and the batch-unaware gradient defect.",
    "mixed-pool": "In a pool with naive learners only COALA-PG's players cooperate.",
    "gradient-balance": "The two parts of COALA-PG's gradient, own and later episodes, have the same size.",
    "estimators": "Ours: is an estimator's mean the true gradient?",
    "returns": "Ours: what do players of each estimator earn by the closed form?",
    "time-scales": "Naive learners lead out of defection, other players out of extortion.",
    "composition": "Ours: how many naive learners does a group need?",
    "minibatch": "Ours: how many inner games, with the same amount of play?",
    "changing-rules": "Ours: what if a naive learner's rate or optimizer changes during an episode?",
    "dilemmas": "Ours: does it work in stag hunt, chicken, and episodes of 5 and 50 steps?",
    "cleanup-lite": "COALA-PG's players earn more, zap less and keep the river cleaner.",
    "more-agents": "Ours: does it work with two, three and four agents?",
    "cost": "Ours: how do time and memory grow with the history and the view?",
    "observability": "Ours: what if agents see wrong actions of the other?",
}
FINDINGS = {
    "analytic": Finding(
        "Naive learners are extorted, two extortioners cooperate, groups need naive learners",
        {"extortion": REPRODUCED, "extortioners-cooperate": REPRODUCED, "groups": REPRODUCED},
    ),
    "pure-shaping": Finding(
        "So far COALA-PG earns more from naive learners than M-FOS and the batch-unaware gradient",
        {"coala-extorts": SHORT, "baselines-defect": SHORT},
    ),
    "gradient-balance": Finding(
        "So far later episodes outweigh the own one in COALA-PG's gradient", {"balance-in-a-band": SHORT}
    ),
    "estimators": Finding("Only COALA-PG's mean is the true gradient, for every number of inner games", {}),
    "returns": Finding("So far only COALA-PG's players shape, by the closed form, too", {"exact-shaping": SHORT}),
    "time-scales": Finding(
        "Naive learners lead out of defection, other players out of extortion",
        {"out-of-defection-projected": REPRODUCED, "out-of-extortion": REPRODUCED},
    ),
    "composition": Finding("Some naive learners make a group cooperate, many do not", {"some-not-all": REPRODUCED}),
    "minibatch": Finding(
        "So far M-FOS and the batch-unaware gradient stop shaping with many inner games",
        {"games-hurt-the-biased": SHORT},
    ),
    "changing-rules": Finding(
        "So far COALA-PG shapes naive learners whose rate or optimizer changes, at little cost",
        {"shapes-all-the-same": SHORT, "a-change-costs-little": SHORT},
    ),
    "dilemmas": Finding(
        "So far COALA-PG shapes in episodes of 5 and of 50 steps; in the stag hunt it does not lead to the stag",
        {"horizons": SHORT, "stag-hunt": SHORT},
    ),
    "cost": Finding("Time and memory grow in proportion to history; a larger view costs little", {}),
    "observability": Finding(
        "So far the less is seen of the other's actions, the less is shaped", {"blur-costs": SHORT}
    ),
}
