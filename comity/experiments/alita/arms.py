"""Shared parts of the figures of ALITA: budgets, the settings of each learner, the date of the claims.

At the laptop's scale learners have the settings of their presets `sound`, at scale `paper` those of ALITA's and
MADDPG's papers. Weights of bonus and penalty are ALITA's for each task at both. See docs/papers/alita/README.md.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from comity.experiments.claims import dated
from comity.experiments.figure import Arm, Budget, Scale

WRITTEN = "2026-11-30"  # the day on which the claims were written down, before any of their runs
claim = dated(WRITTEN)

GAMES, EPISODES = 20, 25_000  # on particles: games at once, episodes of 25 steps
BOTH, BATCH, UPDATES = 32, 65_536, 100  # on grids: games at once; steps of an update of EITI's code, number of updates
PAPER_UPDATES = 20_000  # of table 1; read as updates of EITI's code, as are the numbers beside it
CURIOUS = {"novelty_weight": 0.01, "penalty_decay": 0.01}  # on particles: lambda_pi and omega
BOX = {"penalty_weight": 0.15}  # in Push-Box: beta

MADDPG: dict[str, Any] = {
    "learning_rate": 1e-2, "critic_learning_rate": 1e-2, "clip_by": "array", "capacity": 1_000_000, "batch": 1_024,
    "warmup": 25_600, "relaxed": "gumbel",
}  # fmt: skip
ALITA: dict[str, Any] = {
    "hidden": 128, "capacity": 1_000_000, "batch": 1_024, "warmup": 25_600, "logit_penalty": 0.0, "relaxed": "gumbel",
    "influence_batch": 1_024, "influence_updates": 400, "novelty_batch": 1_024,
}  # fmt: skip
RATHER = {"clip": 0.5, "entropy_coefficient": 0.0}  # actor-critic and REINFORCE


class Learner(NamedTuple):
    """The learner of a label: its algorithm, its settings at every scale, and those of its paper at scale `paper`."""

    algorithm: str
    settings: Mapping[str, Any] = {}
    paper: Mapping[str, Any] = {}
    whole: bool = False  # True: a rollout is an episode; False: 25 steps, as for MADDPG and its variants


LEARNERS = {
    "ALITA": Learner("alita", {}, ALITA),
    "MADDPG": Learner("maddpg", {}, MADDPG),
    "DDPG": Learner("iddpg", {}, MADDPG),
    "DQN": Learner("dqn", {}, {"clip": 0.5, "capacity": 40_000, "batch": 41, "warmup": 41, "target_period": 1,
                               "tau": 0.01}, True),
    "actor-critic": Learner("actor-critic", {}, RATHER),
    "TRPO": Learner("trpo", {}, {"hidden": 32, "steps": 0, "normalise_views": True}),
    "REINFORCE": Learner("reinforce", {}, {**RATHER, "baseline": "mean"}, True),
    "random": Learner("random"),
}  # fmt: skip
# Rivals of table 1, as in EITI's code: rollouts of 2,048 steps of 32 games, four epochs without minibatches.
RIVAL: dict[str, Any] = {
    "core": "none", "encoder": (32, 32, 32), "hidden": 32, "layer_norm": False, "activation": "tanh",
    "steps": BATCH // BOTH, "epochs": 4, "learning_rate": 3e-4, "critic_learning_rate": 3e-4, "actor_clip": 0.5,
    "critic_clip": 0.5, "entropy_coefficient": 0.1,
}  # fmt: skip
CELLS = {"counted": "cell", "weight": 10.0}
RIVALS: dict[str, Learner] = {
    "EDTI": Learner("ippo+counts+edti", {**RIVAL, "counts": CELLS, "edti": {"eta": 10.0}}),
    "social influence": Learner("ippo+social-influence", {**RIVAL, "social_influence": {"weight": 1.0}}),
    "EITI": Learner("ippo+counts+eiti", {**RIVAL, "counts": CELLS, "eiti": {"weight": 1.0}}),
}


def laptop() -> dict[str, Budget]:
    """Returns budgets named PLACE-ALGORITHM: their settings at scale `paper` are those of the algorithm."""
    particle, grid = Budget(5, EPISODES // GAMES, GAMES, points=25), Budget(5, UPDATES * BATCH // 800, BOTH, points=32)
    found = {f"particle-{x.algorithm}": particle for x in LEARNERS.values()}
    found |= {f"grid-{LEARNERS[x].algorithm}": grid for x in ("ALITA", "MADDPG", "random")}
    found |= {f"grid-{x.algorithm}": Budget(3, UPDATES, BOTH, points=25) for x in RIVALS.values()}
    return found | {"estimates": Budget(5, 40_000 // GAMES, GAMES, points=16)}


def paper(budgets: Mapping[str, Budget]) -> dict[str, Budget]:
    """Returns the same budgets, as long as the paper's, with its settings."""
    settings = {x.algorithm: x.paper for x in (*LEARNERS.values(), *RIVALS.values())}

    def of(name: str, budget: Budget) -> Budget:
        if name == "estimates":
            return budget._replace(seeds=8, settings=ALITA, points=8)
        place, _, algorithm = name.partition("-")
        longer = PAPER_UPDATES // UPDATES if place == "grid" else 1
        return budget._replace(seeds=10, iterations=budget.iterations * longer, settings=settings[algorithm])

    return {name: of(name, budget) for name, budget in budgets.items()}


BUDGETS: dict[Scale, dict[str, Budget]] = {"smoke": {}, "laptop": laptop(), "paper": paper(laptop())}


def particle(label: str, place: str, task: str, profile: str = "paper", **settings: Any) -> Arm:
    """Returns a learner of a table on a particle task. place: part of the arm's name."""
    one = LEARNERS[label]
    settings = {**one.settings, **(CURIOUS if label == "ALITA" else {}), **settings}
    name, preset = f"{one.algorithm}-{place}", "sound"
    return Arm(name, one.algorithm, preset, settings, {}, task, profile, f"particle-{one.algorithm}")


def grid(label: str, task: str, **settings: Any) -> Arm:
    """Returns a learner of table 1."""
    one = RIVALS.get(label) or LEARNERS[label]
    settings = {**one.settings, **(BOX if (label, task) == ("ALITA", "push-box") else {}), **settings}
    name = f"{one.algorithm.replace('+', '-')}-{task}"
    return Arm(name, one.algorithm, "sound", settings, {}, task, "paper", f"grid-{one.algorithm}")
