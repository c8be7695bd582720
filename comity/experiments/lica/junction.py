"""Figure 5: two cars, one step, and three ways to climb a critic that knows all four outcomes.

A seed of an arm is 2,000 learners side by side, so that ten seeds are the paper's 20,000. Its metrics are shares and
means over them. The curves of single learners are computed again and averaged over those with the same end, as in the
paper.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.experiments.claims import Comparison, dated
from comity.experiments.figure import Arm, Budget, Figure, Panel, Scale
from comity.experiments.measures import Measure

WRITTEN = "2026-11-21"  # the day on which the claims of this date were written down; README.md says what had been seen
claim = dated(WRITTEN)
UPDATES, RUNS = 60, 2_000
DRAWN = 1_000  # number of learners of each rule whose curves are averaged
TASK = "one-step-traffic-junction"
RULES = {"LICA": "lica", "COMA, reference": "coma-reference", "COMA, as written": "coma"}


def arm(name: str, **settings: Any) -> Arm:
    rule = settings.get("rule", "lica").partition("-")[0]
    return Arm(
        f"junction-{name}",
        "lica-exact",
        "sound",
        {"runs": RUNS, **settings},
        task=TASK,
        budget="junction",
        learner=rule,
    )


BUDGETS: dict[Scale, dict[str, Budget]] = {
    "smoke": {},
    "laptop": {"junction": Budget(10, UPDATES, 1)},
    "paper": {"junction": Budget(10, UPDATES, 1)},
}


def end(metric: str) -> Measure:
    """Returns a measure of the last update, at which the paper looks."""
    return Measure(metric, "mean", (0.99, 1.0))


def tracks(rule: str, runs: int, updates: int = UPDATES) -> NDArray[np.float32]:
    """Probability that each car passes before each update, [updates, runs, 2]."""
    import jax
    from jax import lax

    from comity.algorithms.policy_gradient import lica_exact
    from comity.environments.matrix.one_step_traffic_junction import OneStepTrafficJunction

    algorithm = lica_exact.make(lica_exact.Config(rule=rule, runs=runs), OneStepTrafficJunction())  # pyright: ignore
    chances = jax.vmap(lambda policy: jax.nn.softmax(lica_exact.policy_logits(policy, 2))[:, 1])

    def step(state: lica_exact.State, key: jax.Array):
        return algorithm.update(key, state, None)[0], chances(state.learners.policy)

    key_start, key = jax.random.split(jax.random.key(0))
    run = jax.jit(lambda: lax.scan(step, algorithm.init(key_start), jax.random.split(key, updates))[1])
    return np.asarray(run())


def draw(out: Path) -> list[Path]:
    """Draws fig5-tracks.png and .svg: means and standard deviations over the learners that end with one car passing."""
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    from comity.report.curves import entitle, save
    from comity.report.looks import DASHES, HUES
    from comity.report.panels import DPI, LETTERS, WIDTH

    with matplotlib.rc_context(LETTERS):
        canvas = Canvas(figsize=(WIDTH, 4.6), dpi=DPI, layout="constrained")
        grid = canvas.subplots(2, len(RULES), sharex=True, sharey=True)
        for column, (label, rule) in enumerate(RULES.items()):
            passes, hue = tracks(rule, DRAWN), HUES[rule.partition("-")[0]]
            ends = passes[-1] > 0.5
            for row, outcome in enumerate(((1, 0), (0, 1))):
                axes, chosen = grid[row, column], (ends == outcome).all(-1)
                for car in range(2):
                    values = passes[:, chosen, car]
                    mean, spread = values.mean(1), values.std(1)
                    time = np.arange(1, len(mean) + 1)
                    axes.plot(time, mean, color=hue, linestyle=DASHES[car], label=f"car {car}")
                    low, high = np.clip(mean - spread, 0, 1), np.clip(mean + spread, 0, 1)
                    axes.fill_between(time, low, high, color=hue, alpha=0.15, linewidth=0)
                axes.set_title(f"{label}: {outcome},\n{100 * chosen.mean():.0f} % of learners", fontsize=8)
                axes.set_ylim(0, 1)
                axes.spines[["top", "right"]].set_visible(False)
            grid[1, column].set_xlabel("update")
        for axes in grid[:, 0]:
            axes.set_ylabel("probability to pass")
        grid[0, 0].legend(frameon=False, fontsize=8)
        entitle(canvas, "Who passes: learners that end with one car passing, mean and standard deviation", "")
        return save(canvas, out / "fig5-tracks.png")


OPTIMUM, CERTAIN, ENTROPY = end("optimum"), end("certainty"), end("entropy")
JUNCTION = Figure(
    "fig5",
    "Figure 5: the one-step traffic junction",
    {
        "LICA": arm("lica"),
        "COMA, reference": arm("coma-reference", rule="coma-reference"),
        "COMA, as written": arm("coma", rule="coma"),
        "LICA, slow critic": arm("lica-slow-critic", critic_steps=1, critic_factor=1.0),
    },
    BUDGETS,
    (
        Panel("optimum", "learners at an optimum"),
        Panel("certainty", "probability of the likelier action"),
        Panel("entropy", "entropy of a policy, nats"),
        Panel("value", "expected pay-off"),
    ),
    (
        claim(
            "lica-solves",
            "LICA ends at one of the two optima, nearly always, with low entropy.",
            Comparison("LICA", "above", 0.94, OPTIMUM, 0.0),
            Comparison("LICA", "above", 0.85, CERTAIN, 0.0),
        ),
        claim(
            "both-optima",
            "It finds both optima, about equally often.",
            Comparison("LICA", "equal", 0.48, end("likeliest_10"), 0.05),
            Comparison("LICA", "equal", 0.48, end("likeliest_01"), 0.05),
        ),
        claim(
            "coma-stays",
            "COMA stays near one half and seldom ends at an optimum: of the loss in the authors' code.",
            Comparison("COMA, reference", "below", "LICA", OPTIMUM, 0.5),
            Comparison("COMA, reference", "above", "LICA", ENTROPY, 0.2),
            Comparison("COMA, reference", "below", 0.7, CERTAIN, 0.0),
        ),
        claim(
            "coma-as-written-solves",
            "Ours: COMA with the loss that it was published with solves the game, more often than LICA does.",
            Comparison("COMA, as written", "above", 0.98, OPTIMUM, 0.0),
            Comparison("COMA, as written", "above", "LICA", OPTIMUM, 0.02),
        ),
        claim(
            "the-critic-must-lead",
            "Ours: with a critic that learns no faster than the policies LICA is worse.",
            Comparison("LICA, slow critic", "below", "LICA", OPTIMUM, 0.05),
        ),
    ),
    picture=draw,
    note="A seed is 2,000 learners side by side; metrics are shares and means over them. What the last table says of "
    "play is of the first learner of each seed alone.",
)
