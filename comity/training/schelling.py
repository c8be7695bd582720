"""Schelling diagrams: what a cooperator and a defector earn, by how many of the others cooperate.

Schelling 1973, "Hockey helmets, concealed weapons, and daylight saving". Agents are alike: the first so many cooperate.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from comity.report.schelling import Diagram
from comity.spec import functions
from comity.training.crossplay import pairing, partner
from comity.training.episodes import own_returns
from comity.training.programs import FRESH
from comity.types import Environment

TOGETHER = 32  # most episodes of one call


def diagram(task: str, env: Environment, episodes: int = 32, draw: int = 0) -> Diagram:
    """Returns of the game's scripted cooperators and defectors, with every number of cooperators, over the same fresh
    episodes. Raises ValueError for games without such scripts."""
    spec = env.spec
    if functions(env).host or not spec.dilemma or not set(spec.dilemma) <= set(spec.scripts):
        raise ValueError(f"{task} has no scripted cooperator and defector, from whom a Schelling diagram is drawn")
    (_, cooperate), (_, defect) = (partner(name, env) for name in spec.dilemma)
    at_once = min(episodes, TOGETHER)

    @jax.jit
    def play(key: Any, cooperators: Any) -> Any:
        return pairing(env, cooperate, defect, True, first=cooperators, episodes=at_once)(key, (), ())

    returns = []
    for cooperators in range(spec.agents + 1):
        parts = []
        for part in range(-(-episodes // at_once)):
            key = jax.random.fold_in(jax.random.fold_in(jax.random.key(draw), FRESH), part)
            parts.append(np.asarray(own_returns(jax.tree.map(np.asarray, play(key, cooperators)))))
        returns.append(np.concatenate(parts)[:episodes])
    return Diagram(task, spec.dilemma, np.stack(returns))
