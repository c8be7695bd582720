"""TAC: SAC with Tsallis' entropy of index q in place of Shannon's (Chen & Peng 2019, arXiv 1902.00137), one learner per
agent.

    H_q(pi) = -E ln_q pi,   ln_q x = (x^(q - 1) - 1) / (q - 1),   ln_1 = log
    value:             min_k Q_k(o, a) - alpha ln_q pi(a | o)
    actor, draws:      ascends that value, with the gradient through the reparametrised action a
    actor, likelihood: grad = E[grad log pi(a | o) (Q_1 - V - alpha q ln_q pi(a | o))], a without gradient

`sac.py` has the update; docs/algorithms/tac.md lists every departure.
"""

from dataclasses import dataclass
from typing import Any, Literal

from jax import Array, lax

from comity.algorithms.off_policy import deterministic as family
from comity.algorithms.off_policy import sac
from comity.algorithms.off_policy.deterministic_nets import Nets
from comity.learning.actions import actions
from comity.settings import OneOrMore, Positive, check
from comity.types import Algorithm, Environment, Key, Observation


@dataclass(frozen=True)
class Config(sac.Config):
    """Settings of TAC: SAC's, and the gradient of actors."""

    entropic_index: OneOrMore = 1.5  # q; 1: SAC; above 1 likely actions cost more. Paper 1.5, 2, 2.5
    alpha: Positive[float] = 0.2  # weight of the entropy; the paper's rewards times 3 (Hopper) correspond to 1 / 3
    alpha_moves: bool = False  # False: alpha is fixed; only index 1 has a target entropy
    gradient: Literal["draws", "likelihood"] = "draws"
    # gradient of actors for continuous actions: through the drawn action, or (paper) of its log density

    def __post_init__(self):
        super().__post_init__()
        check(self)
        if self.gradient == "likelihood" and self.values != "network":
            raise ValueError("gradient 'likelihood' is measured against a value network: set values to 'network'")


PAPER: dict[str, Any] = {**sac.JANUARY, "alpha": 1 / 3, "logit_penalty": 1e-3, "gradient": "likelihood"}
PRESETS = {"sound": {}, "paper": PAPER, "paper-2": {**PAPER, "entropic_index": 2.0}}


def log_density(config: Config, state: family.State, key: Key, policy: Any) -> tuple[Array, Array]:
    """Returns (a drawn action without gradient, its log pi with gradient)."""
    del config, state
    action = lax.stop_gradient(policy.sample(key))
    return action, policy.log_prob(action)


def likelihood(
    config: Config, nets: Nets, state: family.State, now: Observation, q: Array, log_prob: Array
) -> tuple[Array, Array]:
    """Returns (Q without gradient, a term of value 0 with the gradient grad log pi (Q - V - alpha q ln_q pi))."""
    value = sac.values_of(config, nets).call(state.added.value, now.view)[..., 0]
    alpha, index = sac.alpha_of(state.added), config.entropic_index
    weight = lax.stop_gradient(q - value - alpha * index * sac.q_log(log_prob, index))
    return lax.stop_gradient(q), (log_prob - lax.stop_gradient(log_prob)) * weight


def make(config: Config, env: Environment) -> Algorithm:
    numbers = actions(env.spec.action, "tanh-normal").has_deviations
    member = sac.MEMBER
    if config.gradient == "likelihood" and numbers:
        member = member._replace(means=log_density, weighs=likelihood, climbs_least=False)
    return sac.make(config, env, member)
