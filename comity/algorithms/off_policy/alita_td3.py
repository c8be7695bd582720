"""ALITA on TD3, for one body: an auxiliary agent beside the learner of a task that asks for one (Fayad & Ibrahim 2021,
arXiv 2108.12581, section 4.2). docs/algorithms/alita.md has both readings.

`shared`: two policies of the whole body take turns at episodes, and learn from one replay; the first is the influencer.
q_1 is what the other's critic expects of pi_0(s), z the largest value among what both mean, what was done and what is
drawn. `split`: agents have a share of the joints each, and critics that read everyone.
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
    """Settings of ALITA on TD3: those of TD3, and of the influence."""

    aux: Literal["by-game", "shared", "split"] = "by-game"  # whether both agents move the whole body, or some joints
    # each; by-game: shared if the game has one agent
    searched: Positive[int] = 32  # actions that are drawn for z (SPEC 32)

    def __post_init__(self):
        super().__post_init__()
        check(self)


PAPER: dict[str, Any] = {**td3.ALITA, "influence_batch": 1_024, "influence_updates": 400, "novelty_batch": 1_024}
PRESETS: dict[str, dict[str, Any]] = {
    "sound": {},
    "paper": PAPER,
    "paper-humanoid": {**PAPER, "penalty_weight": 0.15},
    "two-learners": {"influence": "none", "novelty_by": "none"},  # two TD3 and their replay, nothing else
}


def shared(config: Config, env: Environment) -> bool:
    """Whether all policies move the whole body. Raises ValueError, one line, where they cannot."""
    if config.aux == "split" and env.spec.agents == 1:
        raise ValueError("aux split deals joints out to several agents, this game has one: take a game that is split, "
                         "such as --profile split or mamujoco:, or aux shared")  # fmt: skip
    return config.aux == "shared" or (config.aux == "by-game" and env.spec.agents == 1)


def member(config: Config, one_body: bool) -> Member:
    """TD3's critics, of the body's action or of everyone's."""
    return td3.member(config, everyone=not one_body)._replace(one_body=one_body)


def make(config: Config, env: Environment) -> Algorithm:
    one_body = shared(config, env)

    def learner(env: Environment) -> Algorithm:
        return alita.learner(config, env, member(config, one_body))

    return normalised(config, env, lambda env: taking_turns(learner, env) if one_body else learner(env))
