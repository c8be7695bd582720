"""Schelling diagrams: the returns of a cooperator and of a defector, by the number of others that cooperate.

Schelling 1973, "Hockey helmets, concealed weapons, and daylight saving". Agents are alike, so with k cooperators the
first k agents cooperate.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from comity.report.schelling import Diagram
from comity.spec import functions
from comity.training.crossplay import Team, pairing, partner
from comity.training.episodes import own_returns
from comity.training.programs import FRESH
from comity.training.run import Run
from comity.types import Environment

TOGETHER = 32  # largest number of episodes of one call


def diagram(task: str, env: Environment, episodes: int = 32, draw: int = 0) -> Diagram:
    """Makes the diagram of a game's scripted cooperators and defectors.

    Every number of cooperators plays the same fresh episodes. Raises ValueError for games without such scripts.
    """
    spec = env.spec
    if functions(env).host or not spec.dilemma or not set(spec.dilemma) <= set(spec.scripts):
        raise ValueError(f"{task} has no scripted cooperator and defector, from whom a Schelling diagram is drawn")
    cooperate, defect = ([scripted(name, env)] for name in spec.dilemma)
    return between(task, env, cooperate, defect, spec.dilemma, episodes, draw=draw)


def scripted(name: str, env: Environment) -> Team:
    """Makes a team from one of the game's scripts."""
    label, algorithm = partner(name, env)
    return Team(label, algorithm, (), label)


def trained(run: Run) -> list[Team]:
    """The teams of a run, one for each seed that has a policy. Raises ValueError if none has."""
    run.state()  # raises ValueError
    name = run.recipe.algorithm.stem
    return [Team(f"{name}:{seed}", run.algorithm, run.state(seed), str(run.path)) for seed in run.alive]


def between(
    task: str,
    env: Environment,
    cooperators: list[Team],
    defectors: list[Team],
    names: tuple[str, ...],
    episodes: int = 32,
    policy: str = "sampled",
    draw: int = 0,
) -> Diagram:
    """Makes the diagram of two kinds of teams. Each team of the one kind plays with each team of the other.

    Every pair plays the same `episodes` for every number of cooperators. names: names of the two kinds. Raises
    ValueError if Python steps the game.
    """
    if functions(env).host:
        raise ValueError(f"{task} is stepped by Python, and a Schelling diagram needs a compiled game")
    at_once = min(episodes, TOGETHER)
    first, second = cooperators[0].algorithm, defectors[0].algorithm  # the same for all seeds of a run

    @jax.jit
    def play(key: Any, count: Any, begun: Any, *states: Any) -> Any:
        pair = pairing(env, first, second, policy == "sampled", first=count, episodes=at_once)
        return pair(key, *states, begun=begun)

    returns = []
    for count in range(env.spec.agents + 1):
        parts = []
        for one in cooperators:
            for other in defectors:
                told = []
                for part in range(-(-episodes // at_once)):
                    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(draw), FRESH), part)
                    statistics = play(key, count, part * at_once, one.state, other.state)
                    told.append(np.asarray(own_returns(jax.tree.map(np.asarray, statistics))))
                parts.append(np.concatenate(told)[:episodes])
        returns.append(np.concatenate(parts))
    return Diagram(task, names, np.stack(returns))
