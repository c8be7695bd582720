"""What the figures of "hidden gifts" share: arms, budgets, measures, panels.

Games follow the paper's text (150 steps, agents see keys and doors). PG is the paper's, one actor for all agents, with
the learning rates of its code, which are ten times those of its tables; the others follow the tables, except that a
replay draws 32 episodes. docs/papers/hidden-gifts/README.md says what came of it.
"""

from dataclasses import replace
from typing import Any

from comity.experiments.claims import Comparison, Relation, dated
from comity.experiments.figure import Arm, Budget, Panel, Scale
from comity.experiments.measures import Measure

RATES = {"learning_rate": 5e-4, "critic_learning_rate": 5e-4}  # of the code, for PG and COMA
EPISODES = {"batch_of": "episodes", "batch": 32, "warmup": 32}  # 32 episodes a draw, not 32 rollouts of 32
# Not the tables': Adam's 1e-5, and for QMIX a last bias from 64 hidden units; `tables.py` has those.
OWN = {"vdn": {"epsilon": 1e-8}, "qmix": {"epsilon": 1e-8, "bias_hidden": 32}, "qtran": {"epsilon": 1e-8}, "maven": {}}
HISTORY = {"observe": "last-action"}
SIGNALS = {"observe": "door-signal+key-signal"}
SEEN = {"window": {}, "history": HISTORY, "signals": SIGNALS}
STYLES = {name: number for number, name in enumerate(SEEN)}  # line styles, the same in all figures


def pg(name: str, options: dict[str, Any] | None = None, **settings: Any) -> Arm:
    return Arm(name, "pg", settings={**RATES, **settings}, options=options or {})


def learner(algorithm: str, sees: str = "window", preset: str = "paper") -> Arm:
    """Another learner of the paper, by its tables; sees: window, signals, history."""
    settings: dict[str, Any] = {}
    if algorithm in OWN:
        settings = EPISODES | OWN[algorithm]
    elif algorithm == "saf":  # linear where table 5 has hidden layers, as it was trained
        settings = {"projector_hidden": (), "latent_hidden": (), "prior_hidden": ()}
    elif algorithm == "coma":
        settings = {**RATES, "target_period": 200}  # of the code; the tables' target interval is one update
    budget = {"coma": "coma", "saf": "saf", "mappo": "ppo", "ippo": "ppo"}.get(algorithm, "replay")
    suffix = "" if preset == "paper" else f"-{preset}"
    style = STYLES[sees] if preset == "paper" else None
    return Arm(f"{algorithm}{suffix}-{sees}", algorithm, preset, settings, SEEN[sees], budget=budget, condition=style)


RANDOM = Arm("random", "random", "sound", budget="random")
PG_WINDOW, PG_HISTORY, PG_SIGNALS = (
    replace(pg(f"pg-{name}", options), condition=STYLES[name]) for name, options in SEEN.items()
)

# Replays explore over a whole training, as theirs do over 10,000 batches of 300 steps.
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
    """The budgets, with as many batches of PG at the paper's scale as a figure has."""
    paper = {**BUDGETS["paper"], "pg": Budget(10, iterations)}
    return {**BUDGETS, "paper": paper}


# Measures. Training's own numbers in the last tenth of training, unless said.
SUCCESS, SHARE, DROPS = Measure("success"), Measure("reward_share"), Measure("drops")
DISTANCE, FIRST_REWARD = Measure("distance"), Measure("first_reward_time")
WRITTEN = "2026-11-21"  # the day on which the claims below were written down, before any of their runs

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
# Of claims that replace others after their runs, because those did not say what was meant, or that were forgotten.
LATER = "2026-11-29"
later = dated(LATER)
# Of claims that replace one-sided ones: "sometimes" means more than never and less than random play.
both_sides = dated("2026-11-30")


TEAMS = ("COMA", "VDN", "QMIX", "QTRAN", "MAVEN", "MAPPO", "IPPO", "SAF")
MIXERS = ("VDN", "QMIX", "QTRAN", "MAVEN")
WINDOW_ARMS = {
    "PG": PG_WINDOW,
    **{name: learner(name.lower()) for name in TEAMS},
    "random": RANDOM,
}
