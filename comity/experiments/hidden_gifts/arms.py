"""Shared parts of the figures of "hidden gifts": arms, budgets, measures, panels.

Games follow the paper's text (150 steps, agents see keys and doors). PG is the paper's, one actor for all agents, with
the learning rates of its code, which are ten times those of its tables. The others follow the tables, except that a
replay draws 32 episodes. docs/papers/hidden-gifts/README.md gives the results.
"""

from dataclasses import replace
from typing import Any

from comity.experiments.claims import Comparison, Relation, dated
from comity.experiments.figure import Arm, Budget, Panel, Scale
from comity.experiments.measures import Measure

RATES = {"learning_rate": 5e-4, "critic_learning_rate": 5e-4}  # those of the code, for PG and COMA
EPISODES = {"batch_of": "episodes", "batch": 32, "warmup": 32}  # a draw is 32 episodes, not 32 rollouts of 32
# These differ from the tables, which have Adam's epsilon 1e-5 and for QMIX 64 hidden units; `tables.py` has those.
OWN = {"vdn": {"epsilon": 1e-8}, "qmix": {"epsilon": 1e-8, "bias_hidden": 32}, "qtran": {"epsilon": 1e-8}, "maven": {}}
HISTORY = {"observe": "last-action"}
SIGNALS = {"observe": "door-signal+key-signal"}
SEEN = {"window": {}, "history": HISTORY, "signals": SIGNALS}
STYLES = {name: number for number, name in enumerate(SEEN)}  # line styles, the same in all figures


def pg(name: str, options: dict[str, Any] | None = None, **settings: Any) -> Arm:
    return Arm(name, "pg", settings={**RATES, **settings}, options=options or {})


def learner(algorithm: str, sees: str = "window", preset: str = "paper") -> Arm:
    """Returns another learner of the paper, with the settings of its tables. sees: window, signals, history."""
    settings: dict[str, Any] = {}
    if algorithm in OWN:
        settings = EPISODES | OWN[algorithm]
    elif algorithm == "saf":  # linear where table 5 has hidden layers, because it was trained so
        settings = {"projector_hidden": (), "latent_hidden": (), "prior_hidden": ()}
    elif algorithm == "coma":
        settings = {**RATES, "target_period": 200}  # of the code; in the tables it is one update
    budget = {"coma": "coma", "saf": "saf", "mappo": "ppo", "ippo": "ppo"}.get(algorithm, "replay")
    suffix = "" if preset == "paper" else f"-{preset}"
    style = STYLES[sees] if preset == "paper" else None
    return Arm(f"{algorithm}{suffix}-{sees}", algorithm, preset, settings, SEEN[sees], budget=budget, condition=style)


RANDOM = Arm("random", "random", "sound", budget="random")
PG_WINDOW, PG_HISTORY, PG_SIGNALS = (
    replace(pg(f"pg-{name}", options), condition=STYLES[name]) for name, options in SEEN.items()
)

# Replays explore for a whole training, as in the paper, whose training has 10,000 batches of 300 steps.
BUDGETS: dict[Scale, dict[str, Budget]] = {
    "smoke": {},
    "laptop": {
        "pg": Budget(5, 3_000),
        "coma": Budget(5, 1_000),
        "ppo": Budget(5, 300),
        "saf": Budget(3, 150),
        "replay": Budget(5, 1_000, settings={"explore_steps": 150_000.0, "learning_rate_steps": 1_000.0}),
        "randomised": Budget(5, 300),
        "random": Budget(10, 1_000),
    },
    "paper": {
        "pg": Budget(10, 10_000),
        "coma": Budget(10, 10_000),
        "ppo": Budget(10, 10_000),
        "saf": Budget(10, 10_000),
        "replay": Budget(10, 10_000, settings={"explore_steps": 1.5e6}),
        "randomised": Budget(10, 10_000),
        "random": Budget(10, 1_000),
    },
}


def longer(iterations: int) -> dict[Scale, dict[str, Budget]]:
    """Returns the budgets; at the paper's scale PG has `iterations` batches."""
    paper = {**BUDGETS["paper"], "pg": Budget(10, iterations)}
    return {**BUDGETS, "paper": paper}


# Measures: training's own numbers in the last tenth of training, unless stated otherwise.
SUCCESS, SHARE, DROPS = Measure("success"), Measure("reward_share"), Measure("drops")
DISTANCE, FIRST_REWARD = Measure("distance"), Measure("first_reward_time")
WRITTEN = "2026-11-21"  # the day on which the claims of this date were written down, before any of their runs

PANELS = {
    "success": Panel("success", "success (%)", scale=100),
    "share": Panel("reward_share", "reward, share of what is attainable"),
    "drops": Panel("drops", "drops per agent"),
    "nonzero": Panel("drops_nonzero", "drops where there was one"),
    "variance": Panel("success", "variance of success over seeds", show="variance"),
}


def all_of(labels: tuple[str, ...], relation: Relation, second: str | float, measure: Measure, margin: float):
    return tuple(Comparison(label, relation, second, measure, margin) for label in labels)


claim = dated(WRITTEN)
# For claims written after their runs: they were forgotten, or replace others that did not say what was meant.
LATER = "2026-11-29"
later = dated(LATER)
# For claims that replace one-sided ones: "sometimes" means more than never and less than random play.
both_sides = dated("2026-11-30")
# For claims that replace others whose measure did not say what was meant, after the runs.
MENDED = "2026-11-30"
mended = dated(MENDED)


TEAMS = ("COMA", "VDN", "QMIX", "QTRAN", "MAVEN", "MAPPO", "IPPO", "SAF")
MIXERS = ("VDN", "QMIX", "QTRAN", "MAVEN")
WINDOW_ARMS = {
    "PG": PG_WINDOW,
    **{name: learner(name.lower()) for name in TEAMS},
    "random": RANDOM,
}
