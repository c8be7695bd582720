"""TAC: SAC with Tsallis' entropy of index q in the place of Shannon's (Chen & Peng 2019, arXiv 1902.00137), each agent
for itself. docs/algorithms/tac.md.

    H_q(pi) = -E ln_q pi,  ln_q x = (x^(q - 1) - 1) / (q - 1),  ln_1 = log
    value: min_k Q_k(o, a) - alpha ln_q pi(a | o)
    actor, by draws: that, with a moving;  by likelihood: grad log pi (Q_1 - V - alpha q ln_q pi), a standing
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
    """Settings of TAC: those of SAC, with an index."""

    entropic_index: OneOrMore = 1.5  # q: 1 is SAC, above it likely actions cost more; paper 1.5, 2, 2.5
    alpha: Positive[float] = 0.2  # weight of the entropy; paper: rewards times 3 (Hopper), which is 1 / 3
    alpha_moves: bool = False  # False: it stands; only index 1 has a wanted entropy
    gradient: Literal["draws", "likelihood"] = "draws"
    # of actors, of numbers: through what is drawn, or of its log-density (paper)

    def __post_init__(self):
        super().__post_init__()
        check(self)
        if self.gradient == "likelihood" and self.values != "network":
            raise ValueError("gradient 'likelihood' is measured against a value network: set values to 'network'")


PAPER: dict[str, Any] = {**sac.JANUARY, "alpha": 1 / 3, "logit_penalty": 1e-3, "gradient": "likelihood"}
PRESETS = {"sound": {}, "paper": PAPER, "paper-2": {**PAPER, "entropic_index": 2.0}}


def log_density(config: Config, state: family.State, key: Key, policy: Any) -> tuple[Array, Array]:
    """(a draw that stands still, log pi of it with gradient)."""
    del config, state
    action = lax.stop_gradient(policy.sample(key))
    return action, policy.log_prob(action)


def likelihood(
    config: Config, nets: Nets, state: family.State, now: Observation, q: Array, log_prob: Array
) -> tuple[Array, Array]:
    """(Q without gradient, what has the gradient): its sum is Q, its gradient grad log pi (Q - V - alpha q ln_q pi)."""
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
