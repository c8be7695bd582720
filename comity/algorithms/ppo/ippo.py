"""IPPO: independent PPO, in which each agent has its own critic (de Witt et al. 2020, arXiv 2011.09533).

`ppo.py` has the update, which MAPPO shares. This module defines the critics: each reads its agent's own view.
docs/algorithms/ippo.md lists every departure.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from comity.algorithms.normalised_views import normalised
from comity.algorithms.ppo import ppo
from comity.types import Algorithm, Environment


@dataclass(frozen=True)
class Config(ppo.Config):
    """Settings of IPPO; those of the family are in `ppo.Config`."""

    critic_reads: Literal["view", "views"] = "view"  # view (paper): the agent's own; views (code): all agents' views


RELEASED = {
    **ppo.PAPER,
    "minibatches": 5,
    "critic_clip": 1.0,  # the code passes a switch, so 1, as the norm
    "critic_reads": "views",
    "encoder": (64, 128, 128),
    "hidden": 128,
    **ppo.RELEASED,
    "rows": "transposed",
    "order": "own",
    "baseline": "normalised",
    "critics_loss": "mean",
}
PRESETS = {
    "sound": {},
    "fast": {**ppo.FAST, "trunk": "shared"},  # critics read what actors read, so one network serves both
    "images": ppo.IMAGES,
    "paper": ppo.PAPER,
    "released": RELEASED,
    "released-last-action": {**RELEASED, "actor_reads": "views"},
    "randomised": {**ppo.PAPER, **ppo.RANDOMISED},
    "smac": ppo.SMAC,
}


def learner(config: Config, env: Environment) -> Algorithm:
    spec, own = env.spec, config.critic_reads == "view"
    reads, view = (ppo.own_views, spec.view) if own else (partial(ppo.all_views, env), ppo.views_of_all(spec))
    return ppo.learner(config, env, "ippo", ppo.Critics(spec.agents, 1, reads, view))


def make(config: Config, env: Environment) -> Algorithm:
    return normalised(config, env, partial(learner, config))
