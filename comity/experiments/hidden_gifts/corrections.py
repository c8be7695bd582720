"""Figures 6 and 15: PG with action history and the correction terms, added and subtracted."""

from comity.experiments.claims import Comparison
from comity.experiments.figure import Figure, Panel
from comity.experiments.hidden_gifts.arms import (
    HISTORY,
    PANELS,
    PG_HISTORY,
    SUCCESS,
    all_of,
    claim,
    later,
    longer,
    mended,
    pg,
)
from comity.experiments.measures import Measure

LATE, EARLY = Measure("success", window=(0.5, 1.0)), Measure("success", window=(0.1, 0.5))
CORRECTED = {
    "vanilla": PG_HISTORY,
    "max-entropy": pg("pg-history-entropy", HISTORY, entropy_bonus=1e-4),
    "correction": pg("pg-history-mixed", HISTORY, correction="mixed"),
    "self-correction": pg("pg-history-self-pure", HISTORY, correction="self_pure"),
    "self-correction, swapped": pg("pg-history-self-mixed", HISTORY, correction="self_mixed"),
    "as released": pg("pg-history-released", HISTORY, correction="released"),
}
FIG6 = Figure(
    "fig6",
    "Figure 6: PG with action history and the correction terms",
    CORRECTED,
    longer(26_000),
    (PANELS["success"], PANELS["share"], PANELS["variance"]),
    (
        claim(
            "all-succeed",
            "All reach a fairly high success.",
            *all_of(("vanilla", "max-entropy", "correction", "self-correction"), "above", 0.5, SUCCESS, 0.0),
        ),
        # The first claims took the spread of success averaged over half of the training, not that at each point.
        claim(
            "correction-steadier",
            "Correction: success varies less over seeds.",
            Comparison("vanilla", "wider", "correction", LATE, 1.0),
            replaced_by="correction-steadier-throughout",
        ),
        claim(
            "self-correction-steadiest",
            "Self-correction: it varies least.",
            Comparison("vanilla", "wider", "self-correction", LATE, 1.0),
            Comparison("correction", "wider", "self-correction", LATE, 1.0),
            replaced_by="self-correction-steadiest-throughout",
        ),
        claim(
            "entropy-no-steadier",
            "Max-entropy does not make it vary less.",
            Comparison("max-entropy", "wider", "correction", LATE, 1.0),
            replaced_by="entropy-steadier",  # it did not compare with PG without either
        ),
        later(
            "entropy-steadier",
            "Ours: max-entropy makes success vary less over seeds than PG alone. The paper says that it does not.",
            Comparison("vanilla", "wider", "max-entropy", LATE, 1.0),
            replaced_by="entropy-steadier-throughout",
        ),
        later(
            "entropy-steadier-at-first",
            "Early in training max-entropy makes it vary less.",
            Comparison("vanilla", "wider", "max-entropy", EARLY, 1.0),
            replaced_by="entropy-steadier-at-first-throughout",
        ),
        mended(
            "correction-steadier-throughout",
            "Correction: success varies less over seeds, at each point of the second half of training.",
            Comparison("vanilla", "wider-throughout", "correction", LATE, 1.0),
        ),
        mended(
            "self-correction-steadiest-throughout",
            "Self-correction: it varies least.",
            Comparison("vanilla", "wider-throughout", "self-correction", LATE, 1.0),
            Comparison("correction", "wider-throughout", "self-correction", LATE, 1.0),
        ),
        mended(
            "entropy-steadier-throughout",
            "Ours: max-entropy makes it vary less than PG alone. The paper says that it does not.",
            Comparison("vanilla", "wider-throughout", "max-entropy", LATE, 1.0),
        ),
        mended(
            "entropy-steadier-at-first-throughout",
            "Early in training max-entropy makes it vary less.",
            Comparison("vanilla", "wider-throughout", "max-entropy", EARLY, 1.0),
        ),
    ),
    smoke=("vanilla", "correction", "self-correction, swapped"),
)

ANTI = {
    "anti-collective, self": pg("pg-history-anti-self", HISTORY, correction="self_pure", correction_coefficient=-1.0),
    "anti-collective, mixed": pg("pg-history-anti-mixed", HISTORY, correction="mixed", correction_coefficient=-1.0),
}
FIG15 = Figure(
    "fig15",
    "Figure 15: PG with action history and the negated terms",
    {**ANTI, "vanilla": PG_HISTORY},
    longer(11_000),
    (
        PANELS["share"],
        PANELS["success"],
        Panel("success", "success, each seed (%)", tuple(ANTI), "seeds", 100),
        Panel("success_deviation", "s.d. of success over games", tuple(ANTI), "seeds"),
    ),
    (
        claim(
            "reward-rises",
            "The reward rises.",
            *all_of(tuple(ANTI), "above", 0.0, Measure("reward_share", "change"), 0.05),
        ),
        claim("success-falls", "Success falls.", *all_of(tuple(ANTI), "below", 0.0, Measure("success", "change"), 0.0)),
        claim(
            "less-success",
            "Success is lower than without the term.",
            *all_of(tuple(ANTI), "below", "vanilla", SUCCESS, 0.2),
        ),
        later(
            "reward-falls-at-times",
            "In single seeds the reward falls sharply before it comes back.",
            *all_of(tuple(ANTI), "above", 0.0, Measure("reward_share", "fall", (0.0, 1.0)), 0.1),
        ),
        later(
            "variance-spikes",
            "Once success has risen, its deviation over games has spikes.",
            *all_of(tuple(ANTI), "above", 0.0, Measure("success_deviation", "surge", (0.8, 1.0)), 0.1),
        ),
    ),
    smoke=("anti-collective, self", "vanilla"),
    note=(
        "At laptop scale points are means of 30 batches, and the s.d. of success over games is computed from such "
        "means. So spikes and falls that last a few batches cannot be seen, and these verdicts do not exclude them."
    ),
)
