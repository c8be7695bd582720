"""The field's mathematics, as functions without state."""

from comity.learning.choices import entropy, log_prob, masked, sample
from comity.learning.optimizers import per_agent_optimizer, take_step
from comity.learning.returns import discounted_returns, mean_valid

__all__ = [
    "discounted_returns",
    "entropy",
    "log_prob",
    "masked",
    "mean_valid",
    "per_agent_optimizer",
    "sample",
    "take_step",
]
