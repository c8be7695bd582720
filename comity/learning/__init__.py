"""The field's mathematics, as functions without state."""

from comity.learning.choices import chosen, entropy, epsilon_greedy, linear, log_prob, masked, policy_logits, sample
from comity.learning.optimizers import Optimizer, optimizer, per_agent_optimizer, take_step, towards
from comity.learning.returns import Reward, credited, discounted_returns, lambda_returns, mean_valid

__all__ = [
    "Optimizer",
    "Reward",
    "chosen",
    "credited",
    "discounted_returns",
    "entropy",
    "epsilon_greedy",
    "lambda_returns",
    "linear",
    "log_prob",
    "masked",
    "mean_valid",
    "optimizer",
    "per_agent_optimizer",
    "policy_logits",
    "sample",
    "take_step",
    "towards",
]
