"""Settings of ALITA, with the paper's numbers from section 4 and the appendix. SPEC: our reading where it is silent."""

from dataclasses import dataclass
from typing import Any, Literal

from comity.algorithms.off_policy.deterministic_settings import Config as Family
from comity.settings import NotNegative, Positive, check


@dataclass(frozen=True)
class Influence:
    """Settings that ALITA adds to those of another algorithm: the influence, and ALITA's own rewards."""

    influencers: tuple[NotNegative[int], ...] = (0,)  # numbers of agents; paper: two on some battle maps; (): all
    influence: Literal["clones", "single", "none"] = "clones"  # the estimate of the influence; none: ablation "No F"
    influence_of: Literal["all", "extrinsic"] = "all"  # the rewards of Q_i, q_i and z_i. all: the game's and all
    # bonuses, as for actors; extrinsic: only the game's, with additional critics
    influence_weight: NotNegative[float] = 0.1  # lambda of -J + lambda F (paper 0.1)
    influence_batch: Positive[int] = 32  # transitions of F, and of one set D_t; paper 1,024
    influence_updates: Positive[int] = 4  # steps of the estimate in one update; paper 4 per step of a game, so 400
    alike: Literal["by-view", "exact", "nearest", "substitute"] = "by-view"  # the transitions of a set D_t. exact: the
    # same view and action of the influencer; nearest: the most similar ones; substitute: any, with the influencer's
    # view and action replaced; by-view: exact if views are whole numbers, else nearest
    candidates: Positive[int] = 16  # nearest: D_t is chosen from this many times influence_batch transitions
    best_at: Literal["now", "next"] = "now"  # the state of z = max_u Q_i(., u); next: as in the paper's equation
    enumerated: NotNegative[int] = 1_000  # most joint actions that are all compared; with more there is a search
    searched: Positive[int] = 64  # number of joint actions that are drawn to start the search
    novelty_by: Literal["autoencoder", "rnd", "none"] = "autoencoder"  # none: ablation "No IM", without penalty, too
    novelty_weight: NotNegative[float] = 0.1  # lambda_pi of the influencer's reward; paper 0.01 on particles
    novelty_hidden: tuple[Positive[int], ...] = (128, 64, 12, 3, 12, 64, 128)  # widths of the novelty network (paper)
    novelty_learning_rate: Positive[float] = 1e-3  # learning rate of the novelty network
    novelty_capacity: Positive[int] = 10_000  # last transitions of the influencer that the network learns from (paper)
    novelty_batch: Positive[int] = 128  # transitions per step of the novelty network; paper 1,024
    penalty_weight: NotNegative[float] = 0.1  # beta of the others' penalty; paper 0.15 in Push-Box
    penalty_decay: NotNegative[float] = 0.1  # omega: the penalty falls by exp(-omega novelty); paper 0.01 on particles


@dataclass(frozen=True)
class Settings(Influence, Family):
    """Settings of ALITA on MADDPG."""

    layer_norm: bool = True  # a LayerNorm before each activation (paper)

    def __post_init__(self):
        super().__post_init__()
        check(self)


Built = Any  # settings that include `Influence` and the settings of the family of deterministic policy gradients

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
SMAC: dict[str, Any] = {  # rates and weights for 2s3z and 3s_vs_5z; other maps have other weights
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
