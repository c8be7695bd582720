"""ALITA on TD3, for one body: an auxiliary agent in addition to the learner of a single-agent task (Fayad & Ibrahim
2021, arXiv 2108.12581, section 4.2).

    shared: F = mean (C_1(s, pi_0(s)) - z)^2,   z = largest min(Q_1, Q_1')(s, a) over the searched actions a

The paper does not say how two agents act in one body, so there are two readings. `shared`: two policies of the whole
body play episodes in turn and learn from one replay; policy 0 is the influencer. C_1 is a clone of the other policy's
first critic, and the searched actions are those of both policies, of the replay, and `searched` random ones. `split`:
each agent controls some of the joints, and critics read all agents. docs/algorithms/alita.md.
"""

from dataclasses import dataclass
from typing import Any, Literal

from comity.algorithms.normalised_views import normalised
from comity.algorithms.off_policy import alita, td3
from comity.algorithms.off_policy.alita_settings import Influence
from comity.algorithms.off_policy.deterministic_nets import Member
from comity.algorithms.taking_turns import taking_turns
from comity.settings import Positive, check
from comity.types import Algorithm, Environment


@dataclass(frozen=True)
class Config(Influence, td3.Config):
    """Settings of ALITA on TD3: TD3's, and those of the influence."""

    aux: Literal["by-game", "shared", "split"] = "by-game"  # shared: both policies move the whole body; split: each
    # moves some joints; by-game: shared if the game has one agent
    searched: Positive[int] = 32  # number of actions that are drawn for z (SPEC 32)

    def __post_init__(self):
        super().__post_init__()
        check(self)


PAPER: dict[str, Any] = {**td3.ALITA, "influence_batch": 1_024, "influence_updates": 400, "novelty_batch": 1_024}
PRESETS: dict[str, dict[str, Any]] = {
    "sound": {},
    "paper": PAPER,
    "paper-humanoid": {**PAPER, "penalty_weight": 0.15},
    "two-learners": {"influence": "none", "novelty_by": "none"},  # two TD3 learners with one replay, nothing else
}


def shared(config: Config, env: Environment) -> bool:
    """Returns True if all policies move the whole body. Raises ValueError, one line, if joints cannot be split."""
    if config.aux == "split" and env.spec.agents == 1:
        raise ValueError("aux split deals joints out to several agents, this game has one: take a game that is split, "
                         "such as --profile split or mamujoco:, or aux shared")  # fmt: skip
    return config.aux == "shared" or (config.aux == "by-game" and env.spec.agents == 1)


def member(config: Config, one_body: bool) -> Member:
    """Returns TD3 as a member, with critics of the body's action or of all agents' actions."""
    return td3.member(config, everyone=not one_body)._replace(one_body=one_body)


def make(config: Config, env: Environment) -> Algorithm:
    one_body = shared(config, env)

    def learner(env: Environment) -> Algorithm:
        return alita.learner(config, env, member(config, one_body))

    return normalised(config, env, lambda env: taking_turns(learner, env) if one_body else learner(env))
