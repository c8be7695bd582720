"""Kinds of games are learned, not only played: learners that see nothing but their rewards find the known answer of
each game. In every row all seeds must succeed.
"""

from dataclasses import replace
from functools import cache
from typing import Any

import jax
import numpy as np
import pytest

from comity.environments.particle.cooperative_navigation import CooperativeNavigation
from comity.environments.prisoners_buddy import PrisonersBuddy
from comity.recipes import find_algorithm
from tests.algorithms.test_long_memory import Cue
from tests.tiny.kinds import KINDS, Alternate, PixelWalk
from tests.tiny.learning import WELL, training

COMMON = {"hidden": 32, "core": "none", "learning_rate": 0.003, "critic_learning_rate": 0.003}
PPO = {**COMMON, "encoder": (32,), "epochs": 4, "chunk": 25, "steps": None}  # None: the length of the game

pytestmark = pytest.mark.learn

SETTINGS: dict[str, dict[str, Any]] = {
    "pg": {**COMMON, "critic_schedule": "batch"},
    "ippo": PPO,
    "mappo": PPO,
    "trpo": {"hidden": 32},
    "acktr": {"hidden": 32, "critic_steps": 5},
    "reinforce": {"hidden": 32, "learning_rate": 0.01},
    "actor-critic": {"hidden": 32, "learning_rate": 0.01, "steps": 4},
}
SEEDS = 2


@cache
def learned(
    name: str, env: Any, updates: int, games: int = 32, quickly: bool = False, **settings: Any
) -> list[tuple[np.ndarray, Any]]:
    """Of each seed: (mean reward of a step in play [updates], means of `info` [updates]).

    quickly: compiled quickly rather than well, which is less in all where games are tiny.
    """
    thing = find_algorithm(name).thing
    values = {**SETTINGS[name], **settings}
    values = {k: env.spec.length if v is None else v for k, v in values.items()}
    algorithm = thing.make(thing.Config(**values), env)

    watch = lambda steps, _: (steps.reward.mean(), {name: x.mean() for name, x in steps.info.items()})  # noqa: E731
    program = jax.jit(training(algorithm, env, updates, games, watch), compiler_options=None if quickly else WELL)
    return [jax.device_get(program(jax.random.key(seed))[1]) for seed in range(SEEDS)]


def ends(curves: list[tuple[np.ndarray, Any]]) -> list[float]:
    """Mean reward of a step in the last twentieth of each seed's training."""
    return [reward[-max(1, len(reward) // 20) :].mean() for reward, _ in curves]


@pytest.mark.parametrize(
    ("name", "kind", "updates", "least"),
    [  # at random 0.33 to 0.45 is paid
        ("pg", "image", 200, 0.95),
        ("ippo", "image", 60, 0.95),
        ("mappo", "image-state", 60, 0.95),
        ("pg", "unequal", 200, 0.95),
        ("pg", "heads", 200, 0.95),
        ("ippo", "image-heads", 60, 0.95),
        ("pg", "image-numbers", 200, 0.8),  # what a deviation costs is unlearned slowly
        ("mappo", "numbers", 80, 0.8),
        ("trpo", "heads", 60, 0.95),
        ("trpo", "numbers", 80, 0.8),
        ("acktr", "numbers", 80, 0.8),
        ("reinforce", "heads", 200, 0.95),
        ("actor-critic", "numbers", 300, 0.8),
    ],
)
def test_the_best_answer_is_found(name, kind, updates, least):
    curves = learned(name, KINDS[kind], updates, 64, quickly=True)
    assert max(reward[0] for reward, _ in curves) < 0.6
    assert min(ends(curves)) > least, ends(curves)


@pytest.mark.parametrize(("name", "updates", "games"), [("pg", 600, 64), ("ippo", 200, 32)])
def test_a_goal_seen_in_pixels_is_walked_to(name, updates, games):
    """The best policy is on the goal in 0.89 of the steps, one that sees nothing in 0.11 and a little more."""
    curves = learned(name, PixelWalk(), updates, games)
    assert max(reward[0] for reward, _ in curves) < 0.2
    assert min(ends(curves)) > 0.7, ends(curves)


BUDDY = PrisonersBuddy(agents=4, length=10, end_chance=0.0, period=2, identity_size=1, unanswered=0.0)


@pytest.mark.parametrize(("name", "updates", "pairs"), [("pg", 300, 1), ("ippo", 120, 2)])
def test_two_heads_find_pairs_where_asking_is_free(name, updates, pairs):
    """IPPO: everyone in a pair in every paid round, which is every second step, so 2 points a round. PG: one pair at
    least, whom the others then may ask in vain. At the game's own price of
    an unanswered choice, -2, whoever learns for itself sits out, and nobody is paid."""
    free = learned(name, BUDDY, updates)
    assert max(info["teamed"][0] for _, info in free) < 0.2
    teamed = [info["teamed"][-10:].mean() for _, info in free]
    assert min(teamed) > 0.24 * pairs, teamed
    assert min(ends(free)) > 0.45 * pairs, ends(free)
    dear = learned(name, replace(BUDDY, unanswered=-2.0), updates)
    assert min(info["sat_out"][-10:].mean() for _, info in dear) > 0.45
    assert max(map(abs, ends(dear))) < 0.05, ends(dear)


@pytest.mark.parametrize("name", ["ippo", "mappo"])
def test_continuous_actions_cover_the_places(name):
    """Cooperative navigation of two, with forces as numbers."""
    env = CooperativeNavigation(agents=2, actions="continuous", reward="farama", length=25)
    curves = learned(name, env, 200)
    assert all(reward[:4].mean() < -0.7 for reward, _ in curves)
    assert min(ends(curves)) > -0.6, ends(curves)


@pytest.mark.parametrize(
    ("name", "core", "updates"),
    [("pg", "lstm", 300), ("pg", "none", 300), ("ippo", "lstm", 100), ("ippo", "gru", 100), ("ippo", "none", 100)],
)
def test_a_core_that_remembers_names_the_cue_and_none_cannot(name, core, updates):
    """One point at the last of four steps, so 0.25 a step; half of it at random."""
    found = ends(learned(name, Cue(length=4), updates, quickly=True, core=core))
    assert max(found) < 0.15 if core == "none" else min(found) > 0.23, found


@pytest.mark.parametrize("name", ["pg", "ippo"])
def test_what_depends_on_the_last_action_needs_it(name):
    """Paid in five steps of six for doing what one did not do last; at random for half of them."""
    assert min(ends(learned(name, Alternate(), 100, last_action=True, learning_rate=0.01))) > 0.8
    assert max(ends(learned(name, Alternate(), 100, learning_rate=0.01))) < 0.5
