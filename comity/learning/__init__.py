"""The field's mathematics, as functions without state."""

from comity.learning.choices import chosen, entropy, epsilon_greedy, linear, log_prob, masked, policy_logits, sample
from comity.learning.latents import gaussian_kl, straight_through
from comity.learning.normalisation import Moments, fresh_moments, normalised, restored, standardised, updated_moments
from comity.learning.optimizers import Optimizer, fit_backwards, optimizer, per_agent_optimizer, take_step, towards
from comity.learning.returns import Reward, credited, discounted_returns, lambda_returns, mean_valid

__all__ = [
    "Moments",
    "Optimizer",
    "Reward",
    "chosen",
    "credited",
    "discounted_returns",
    "entropy",
    "epsilon_greedy",
    "fit_backwards",
    "fresh_moments",
    "gaussian_kl",
    "lambda_returns",
    "linear",
    "log_prob",
    "masked",
    "mean_valid",
    "normalised",
    "optimizer",
    "per_agent_optimizer",
    "policy_logits",
    "restored",
    "sample",
    "standardised",
    "straight_through",
    "take_step",
    "towards",
    "updated_moments",
]
