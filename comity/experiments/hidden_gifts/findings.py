"""Statements of the paper about each figure, and our findings, which hold as long as the verdicts stand."""

from comity.experiments.figure import Finding

REPRODUCED, PARTLY, NOT, OPEN, SHORT = "reproduced", "partly", "not reproduced", "open", "too little training"

SAYS = {
    "fig1": "A hidden gift: an agent that leaves the key helps the other, does not see it, and is paid later.",
    "fig2": "All learners succeed less often than random play; COMA and the value mixers also lose their own reward.",
    "fig3": "The mixers, MAPPO and SAF stop dropping the key, COMA and PG drop it seldom, IPPO goes on.",
    "fig4": "With door and key signals no learner succeeds more often than random play.",
    "fig5": "If agents see their own last action, PG succeeds, and no other learner does.",
    "fig6": "Correction terms make PG's success vary less over seeds, self-correction the least.",
    "fig7": "COMA's policy loss has growing negative spikes and then settles near 0.",
    "fig8": "The mixers' drops fall to 0; QMIX's second agent has one late burst.",
    "fig9": "If agents take turns, PG succeeds much less often; with a random order hardly ever.",
    "fig10": "If they are kept close to random, MAPPO and IPPO succeed a little more often and earn less.",
    "fig11": "PG's agents are first far apart, then close; IPPO's and MAVEN's are closer than random agents.",
    "fig12": "PG, IPPO, MAPPO and SAF get their first reward sooner than random play.",
    "fig13": "Paying for the gift makes it fastest; punished agents avoid the key; injected rewards lower success.",
    "fig14": "With only the individual reward there is no success; with only the collective reward there is little.",
    "fig15": "With negated terms the reward rises, and success falls.",
    "factorial": "Ours: which of PG's settings decides?",
    "repairs": "Ours: which repair of the released code brings success?",
    "views": "Ours: does action history decide where views are frozen or blind?",
    "views-long": "Ours: the released code, with and without history, for the paper's whole training.",
    "readings": "Ours: does another reading of the text make history decide?",
    "tables": "Ours: do settings matter in which our arms differ from the paper's tables?",
    "beyond": "Open questions of the paper, PG: more agents, long memory, messages, prediction.",
    "beyond-ppo": "The same questions for IPPO.",
    "credit": "Ours: which learning rule gives the gift credit?",
    "gift-games": "Ours: where do exact gradients lead in gift games with a closed form?",
}
FINDINGS = {
    "credit": Finding(
        "By its own reward the gift is worth nothing; the correction's weight has its sign as often as a coin",
        {"it-is-hidden": REPRODUCED, "the-correction-is-noise": REPRODUCED},
    ),
    "gift-games": Finding(
        "Exact gradients end in giving; the correction is a faster gradient, or leads astray",
        {
            "gradient-sees-the-gift": REPRODUCED,
            "correction-is-a-faster-gradient": REPRODUCED,
            "elsewhere-it-leads-astray": REPRODUCED,
        },
    ),
    "fig1": Finding("The scripted gift pays both agents 1.5, all that can be earned", {}),
    "fig2": Finding(
        "PG learns the gift from its window alone; COMA and the mixers end below random play",
        {"below-random": PARTLY, "pg-little-below-random": NOT},
    ),
    "fig3": Finding(
        "PG goes on dropping the key, less often than random play; of the others nothing is decided",
        {"few-drops-of-each": OPEN, "mixers-hold": SHORT, "ppo-hold": SHORT, "ippo-drops": SHORT},
    ),
    "fig4": Finding(
        "Told of doors and key PG learns the gift; COMA and QMIX do not",
        {"none-above-random": PARTLY, "pg-some-below-random": NOT},
    ),
    "fig5": Finding(
        "PG learns the gift with and without its own last action: history does not decide",
        {"pg-rises": REPRODUCED, "history-decides": NOT},
    ),
    "fig6": Finding(
        "PG succeeds with every correction term; the term does not make it steadier",
        {"all-succeed": REPRODUCED, "correction-steadier-throughout": NOT},
    ),
    "fig7": Finding(
        "COMA's policy loss settles near 0, with no spikes before in means of ten batches",
        {"spikes": NOT, "settles": REPRODUCED, "growing": NOT},
    ),
    "fig8": Finding("QMIX's drops fall without the late burst", {"burst-on-top": NOT}),
    "fig9": Finding("PG succeeds whoever moves first", {"alternating-less": NOT, "random-none": NOT}),
    "fig10": Finding(
        "Kept close to random: after 3 % of the paper's training nothing is decided",
        {"a-little-more": OPEN, "less-reward": SHORT, "at-random": SHORT},
    ),
    "fig11": Finding(
        "PG's agents come closer as they learn; of the others nothing is decided",
        {"pg-far-then-near": REPRODUCED, "near": SHORT, "mixers-near": OPEN, "mappo-a-little": SHORT},
    ),
    "fig12": Finding(
        "PG gets its first reward ever sooner; learners that collapse get it later",
        {"all-faster": REPRODUCED, "collapse-low": NOT, "collapse-late": REPRODUCED},
    ),
    "fig13": Finding(
        "Punished agents avoid the key, injected rewards lower success, paying for the gift is not much faster",
        {"punish-avoids": REPRODUCED, "inject-less-by-the-text": REPRODUCED, "oracle-fastest": NOT},
    ),
    "fig14": Finding(
        "Without the collective reward there is no success, with it alone there is less",
        {"individual-none": REPRODUCED, "collective-little": REPRODUCED},
    ),
    "fig15": Finding("Negated terms do not make success fall", {"success-falls": NOT, "less-success": NOT}),
    "factorial": Finding(
        "The exploration floor keeps PG from succeeding; one actor or two end alike",
        {"floor": REPRODUCED, "actors": REPRODUCED},
    ),
    "repairs": Finding(
        "PG learns the gift if views are live and show all and no end value is added; history then decides nothing",
        {"pg-stays-low": PARTLY, "history-repaired-up-to-end-value": NOT, "coma-stays-low": REPRODUCED},
    ),
    "beyond": Finding(
        "Three agents do not learn what two do; gifts stay in silence; long memory and prediction bring nothing sooner",
        {"more-agents": OPEN, "gifts-stay": REPRODUCED, "long-memory": NOT, "prediction": NOT},
    ),
    "beyond-ppo": Finding(
        "IPPO: neither a long memory nor prediction makes the gift come sooner",
        {"long-memory": NOT, "prediction": NOT},
    ),
}
