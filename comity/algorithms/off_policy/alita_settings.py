"""Settings of ALITA, with what its paper gives (section 4 and its appendix; SPEC: read where the paper is silent)."""

from dataclasses import dataclass
from typing import Any, Literal

from comity.algorithms.off_policy.deterministic_settings import Config as Family
from comity.settings import NotNegative, Positive, check


@dataclass(frozen=True)
class Influence:
    """What ALITA adds to the settings of whatever it is built on: those of the influence, and of rewards of its own."""

    influencers: tuple[NotNegative[int], ...] = (0,)  # numbers of agents; two: on some battle maps (paper); (): all
    influence: Literal["clones", "single", "none"] = "clones"  # what estimates it; none: ablation "No F"
    influence_of: Literal["all", "extrinsic"] = "all"  # rewards that Q_i, q_i and z_i are of: those that actors climb,
    # bonuses included, or the game's alone, of which there are critics of their own then
    influence_weight: NotNegative[float] = 0.1  # lambda of -J + lambda F (paper 0.1)
    influence_batch: Positive[int] = 32  # transitions of F and of D_t in one step; paper 1,024
    influence_updates: Positive[int] = 4  # steps of the estimate in one update; paper 4 per step of a game, so 400
    alike: Literal["by-view", "exact", "nearest", "substitute"] = "by-view"  # what belongs to D_t, see `alike.drawn`;
    # by-view: exact if views are whole numbers, else nearest
    candidates: Positive[int] = 16  # times influence_batch: among so many transitions the nearest are found
    best_at: Literal["now", "next"] = "now"  # where z = max_u Q_i(., u) is taken; next: as the paper's equation
    enumerated: NotNegative[int] = 1_000  # up to so many joint actions are all compared; among more there is a search
    searched: Positive[int] = 64  # joint actions that are drawn where a search begins
    novelty_by: Literal["autoencoder", "rnd", "none"] = "autoencoder"  # none: ablation "No IM", no penalty either
    novelty_weight: NotNegative[float] = 0.1  # lambda_pi of the influencer's reward; paper 0.01 on particles
    novelty_hidden: tuple[Positive[int], ...] = (128, 64, 12, 3, 12, 64, 128)  # widths (paper)
    novelty_learning_rate: Positive[float] = 1e-3  # of its network
    novelty_capacity: Positive[int] = 10_000  # transitions of the influencer that it learns from (paper)
    novelty_batch: Positive[int] = 128  # transitions per step; paper 1,024
    penalty_weight: NotNegative[float] = 0.1  # beta of the others' penalty; paper 0.15 in Push-Box
    penalty_decay: NotNegative[float] = 0.1  # omega, how soon novelty forgives; paper 0.01 on particles


@dataclass(frozen=True)
class Settings(Influence, Family):
    """Settings of ALITA on MADDPG."""

    layer_norm: bool = True  # before each activation (paper)

    def __post_init__(self):
        super().__post_init__()
        check(self)


Built = Any  # settings with those of `Influence` and those of the family of deterministic gradients

PAPER: dict[str, Any] = {
    "hidden": 128,
    "capacity": 1_000_000,
    "batch": 1_024,
    "warmup": 25_600,
    "logit_penalty": 0.0,
    "relaxed": "gumbel",
    "influence_batch": 1_024,
    "influence_updates": 400,
    "novelty_batch": 1_024,
}
SMAC: dict[str, Any] = {  # rates and weights of 2s3z and 3s_vs_5z; other maps have other weights
    "hidden": 128,
    "optimizer": "rmsprop",
    "learning_rate": 5e-4,
    "critic_learning_rate": 5e-4,
    "novelty_learning_rate": 5e-4,
    "epsilon": 1e-5,
    "batch": 1_024,
    "logit_penalty": 0.0,
    "influence_batch": 1_024,
    "novelty_batch": 1_024,
    "novelty_weight": 0.01,
    "penalty_decay": 0.01,
}
PRESETS: dict[str, dict[str, Any]] = {
    "sound": {},
    "paper": PAPER,
    "paper-push-box": {**PAPER, "penalty_weight": 0.15},
    "paper-particles": {**PAPER, "novelty_weight": 0.01, "penalty_decay": 0.01},
    "smac": SMAC,
    "no-f": {"influence": "none"},
    "no-im": {"novelty_by": "none"},
    "symmetric": {"influencers": ()},
}
