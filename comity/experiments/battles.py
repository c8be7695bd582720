"""Shared parts of figures on battles: learners with their settings, maps, lengths of training, costs.

Learners have their presets `pymarl` and `smac`. At scale `paper` they learn as with 32 games at once in the framework
of the comparisons: one update per 32 episodes. At the laptop's scale value learners make 8, from a replay of 1,024
episodes instead of 5,000. The notes of ALITA's figures say what is smaller for ALITA (`alita/battles.py`). Both are
settings of the budgets. At every scale the time limit has value 0.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple

from comity.experiments.figure import Arm, Budget, Panel, Scale, Trial
from comity.experiments.measures import Measure

GAMES, SEEDS, POINTS = 32, 3, 25  # games at once, seeds of each arm, points of its curve, at the laptop's scale
KEPT = ("won", "lost", "undecided", "allies_alive", "enemies_dead")  # metrics of records
OPTIONS = {"clock_terminates": True}  # as in the framework of the comparisons, whose targets are 0 after the time limit
TEST = {"test": Trial(greedy=True, episodes=32)}  # both papers test in this way
WON = Measure("test:won")  # over the last tenth of training
SOONER = Measure("test:won", window=(0.1, 0.5))


class Map(NamedTuple):
    agents: int
    enemies: int
    limit: int  # maximum number of steps of an episode
    speed: float  # steps of a game per second of a core, random play
    laptop: int = 0  # steps of all games for which a learner is trained at the laptop's scale; 0: not trained there
    hard: bool = False  # hard in both papers, which train twice as long on it


MAPS = {
    "3m": Map(3, 3, 60, 200_000, 800_000),
    "8m": Map(8, 8, 120, 25_000, 800_000),
    "2s3z": Map(5, 5, 120, 39_000, 800_000),
    "3s5z": Map(8, 8, 150, 18_000),
    "1c3s5z": Map(9, 9, 180, 14_000),
    "5m_vs_6m": Map(5, 6, 70, 35_000, 800_000, hard=True),
    "3s_vs_5z": Map(3, 5, 250, 40_000, 1_600_000, hard=True),
    "2c_vs_64zg": Map(2, 64, 400, 1_100, hard=True),
    "corridor": Map(6, 24, 400, 5_000, hard=True),
    "MMM2": Map(10, 12, 180, 11_500, hard=True),
    "3s5z_vs_3s6z": Map(8, 9, 170, 16_000, hard=True),
}


class Learner(NamedTuple):
    """The learner of a label."""

    algorithm: str
    preset: str = "pymarl"
    settings: Mapping[str, Any] = {}  # at every scale
    laptop: Mapping[str, Any] = {}
    paper: Mapping[str, Any] = {}
    hue: str = ""
    rollout: int | None = None  # steps of a rollout; None: a whole episode, which may end early; 0: the map's limit
    seconds: float = 1.0  # CPU seconds of learning from 32 games on 3m at the laptop's scale; 1: not measured


FEW, ONE = {"updates": 8, "capacity": 1_024}, {"updates": 1, "target_period": 7}  # of value learners, at both scales
SMALLER = {"influence_batch": 32, "novelty_batch": 128, "capacity": 1_024, "every": 480}
CURIOUS = {"actors": "shared", "agent_id": True, "novelty": {"kind": "rnd", "weight": 0.01}}  # weights are ours
LEARNERS: dict[str, Learner] = {
    "LICA": Learner("lica", seconds=0.02),
    "COMA": Learner("coma", seconds=0.02),
    "LIIR": Learner("liir", seconds=0.075),
    "IQL": Learner("iql", laptop=FEW, paper=ONE, seconds=0.15),
    "VDN": Learner("vdn", laptop=FEW, paper=ONE, seconds=0.16),
    "QMIX": Learner("qmix", laptop=FEW, paper=ONE, seconds=0.17),
    "QTRAN": Learner("qtran", laptop=FEW, paper=ONE, seconds=0.23),
    "MAVEN": Learner("maven", laptop=FEW, paper=ONE, seconds=0.26),
    "ALITA": Learner("alita-recurrent", "smac", {}, SMALLER, {"influence_updates": 400}, hue="alita"),
    "EDTI": Learner(
        "ippo+novelty+edti",
        "sound",
        {**CURIOUS, "edti": {"weight": 0.1}},
        paper={"epochs": 15},
        hue="ippo+counts+edti",
        rollout=0,
    ),
    "EITI": Learner(
        "ippo+novelty+eiti",
        "sound",
        {**CURIOUS, "eiti": {"weight": 0.01}},
        paper={"epochs": 15},
        hue="ippo+counts+eiti",
        rollout=0,
    ),
}
OF_MAP: dict[tuple[str, str], dict[str, Any]] = {  # the papers' settings of a learner on a map
    ("LICA", "5m_vs_6m"): {"entropy_weight": 0.11},
    ("LICA", "3s5z_vs_3s6z"): {"entropy_weight": 0.03},
    ("ALITA", "5m_vs_6m"): {"novelty_weight": 0.03, "penalty_decay": 0.03, "penalty_weight": 0.15},
    ("ALITA", "corridor"): {"novelty_weight": 0.09, "penalty_decay": 0.03, "penalty_weight": 0.15},
    ("ALITA", "3s5z_vs_3s6z"): {
        "novelty_weight": 0.09,
        "penalty_decay": 0.03,
        "penalty_weight": 0.15,
        "influencers": (0, 3),  # a Stalker and a Zealot
    },
}


def at(label: str, place: str) -> str:
    return f"{label}, {place}"


def arm(label: str, place: str, name: str = "", **settings: Any) -> Arm:
    """Returns a learner on a map, tested by 32 greedy episodes at every point. name: replaces the learner's own."""
    one = LEARNERS[label]
    settings = {**one.settings, **OF_MAP.get((label, place), {}), **settings}
    called = f"{name or label.lower()}-{place}"
    return Arm(called, one.algorithm, one.preset, settings, OPTIONS, f"smac/{place}", "paper", at(label, place), TEST,
               learner=one.hue, condition=None if name else 0)  # fmt: skip


def arms(labels: Iterable[str], places: Iterable[str]) -> dict[str, Arm]:
    """Returns at(learner, map) -> arm: every learner on every map."""
    return {at(label, place): arm(label, place) for place, label in product(places, labels)}


def iterations(label: str, place: str, steps: float) -> int:
    """Number of iterations that play about `steps` steps of all games together. An episode counts as half its limit."""
    one, battle = LEARNERS[label], MAPS[place]
    long = battle.limit / 2 if one.rollout is None else one.rollout or battle.limit
    return max(1, round(steps / (GAMES * long)))


def budgets(
    labels: Sequence[str], places: Sequence[str], seeds: int, easy: float, hard: float
) -> dict[Scale, dict[str, Budget]]:
    """Returns the budgets of a figure. seeds, easy, hard: those of the paper (see `paper`)."""
    return {"smoke": {}, "laptop": laptop(labels, places), "paper": paper(labels, places, seeds, easy, hard)}


def laptop(labels: Iterable[str], places: Iterable[str]) -> dict[str, Budget]:
    """Returns at(learner, map) -> budget; maps that are trained only at scale `paper` have no seeds."""

    def budget(label: str, place: str) -> Budget:
        steps = MAPS[place].laptop
        count = iterations(label, place, steps or 1)
        return Budget(SEEDS if steps else 0, count, GAMES, LEARNERS[label].laptop, POINTS)

    return {at(*pair): budget(*pair) for pair in product(labels, places)}


def paper(labels: Iterable[str], places: Iterable[str], seeds: int, easy: float, hard: float) -> dict[str, Budget]:
    """Returns the same for scale `paper`. easy, hard: steps of all games on easy and on hard maps."""

    def budget(label: str, place: str) -> Budget:
        count = iterations(label, place, hard if MAPS[place].hard else easy)
        return Budget(seeds, count, GAMES, LEARNERS[label].paper, 100)

    return {at(*pair): budget(*pair) for pair in product(labels, places)}


def won(words: str, arms: Iterable[str]) -> Panel:
    """Returns a panel of test battles won, with median and quartiles."""
    return Panel("test:won", f"{words}, test battles won, %", tuple(arms), "median", 100.0)


def panels(labels: Sequence[str], places: Iterable[str]) -> tuple[Panel, ...]:
    """Returns one panel of `won` for each map."""
    return tuple(won(place, (at(label, place) for label in labels)) for place in places)


def cost(arm: Arm) -> float:
    """CPU seconds of an iteration with 32 games: play without tests, and learning from it."""
    label, _, place = arm.budget.partition(", ")
    one, battle = LEARNERS[label], MAPS[place]
    steps = one.rollout or battle.limit
    learned = one.seconds * (steps / (one.rollout or 60)) * battle.agents / 3
    if "influence_updates" in arm.settings:
        learned *= 20  # 400 steps of clones instead of 4
    if arm.settings.get("influencers") == ():
        learned *= battle.agents / 2
    if label in ("IQL", "VDN", "QMIX", "QTRAN", "MAVEN"):
        learned *= arm.settings.get("updates", 8) / 8
    if label == "LICA" and arm.settings.get("critic", "mixing") == "mixing":
        actions = 6 + battle.enemies
        wide = 64 * battle.agents * actions  # width of the critic's hypernetwork; it has wide^2 weights
        learned += 6 * 2.5 * wide**2 * steps * GAMES / 2.5e11  # operations, divided by operations per second
    return steps * GAMES / battle.speed + learned


SMALL_VALUES = {"hidden": 4, "capacity": 8, "batch": 4, "warmup": 4, "updates": 1}
SMALL_MIXER = {**SMALL_VALUES, "mixer_width": 4, "mixer_hidden": 4, "bias_hidden": 4}
SMALL_PPO = {"hidden": 4, "encoder": (4,), "epochs": 1}
SMALL: dict[str, dict[str, Any]] = {
    "lica": {"hidden": 4, "critic_width": 2},
    "coma": {"hidden": 4, "critic_hidden": 4, "critic_schedule": "batch"},
    "liir": {"hidden": 4, "critic_hidden": 4, "critic_schedule": "batch"},
    "iql": SMALL_VALUES,
    "vdn": SMALL_VALUES,
    "qmix": SMALL_MIXER,
    "qtran": {**SMALL_VALUES, "joint_hidden": 4},
    "maven": {**SMALL_MIXER, "chooser_hidden": 4, "discriminator_hidden": 4, "latents": 3},
    "alita-recurrent": {"hidden": 4, "memory": 4, "every": 20, "capacity": 8, "batch": 4, "warmup": 4,
                        "influence_batch": 4, "novelty_hidden": (4, 2, 4), "novelty_capacity": 50, "novelty_batch": 8,
                        "searched": 4},
    "ippo+novelty+edti": SMALL_PPO,
    "ippo+novelty+eiti": SMALL_PPO,
}  # fmt: skip


def smoke(arm: Arm) -> Arm:
    """Returns the same arm, made small, to show that the code works."""
    settings = {**arm.settings, **SMALL[arm.algorithm]}
    return replace(arm, name=f"{arm.name}-smoke", settings=settings, options={**arm.options, "length": 4})
