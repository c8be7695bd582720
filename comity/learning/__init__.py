"""The field's mathematics, as functions without state."""

from comity.learning.choices import chosen, entropy, epsilon_greedy, linear, log_prob, masked, policy_logits, sample
from comity.learning.circles import in_a_circle, side_by_side
from comity.learning.latents import gaussian_kl, straight_through
from comity.learning.losses import critic_loss, fit_critic, policy_loss, surrogate_loss, value_loss
from comity.learning.normalisation import Moments, fresh_moments, normalised, restored, standardised, updated_moments
from comity.learning.optimizers import (
    Optimizer,
    clip_by_array,
    differentiable_rmsprop,
    fit_backwards,
    if_ready,
    optimizer,
    per_agent_optimizer,
    take_step,
    towards,
)
from comity.learning.pieces import cut, divisor, orders, over_minibatches, picked
from comity.learning.returns import Reward, credited, discounted_returns, lambda_returns, mean_valid

__all__ = [
    "Moments",
    "Optimizer",
    "Reward",
    "chosen",
    "clip_by_array",
    "credited",
    "critic_loss",
    "cut",
    "differentiable_rmsprop",
    "discounted_returns",
    "divisor",
    "entropy",
    "epsilon_greedy",
    "fit_backwards",
    "fit_critic",
    "fresh_moments",
    "gaussian_kl",
    "if_ready",
    "in_a_circle",
    "lambda_returns",
    "linear",
    "log_prob",
    "masked",
    "mean_valid",
    "normalised",
    "optimizer",
    "orders",
    "over_minibatches",
    "per_agent_optimizer",
    "picked",
    "policy_logits",
    "policy_loss",
    "restored",
    "sample",
    "side_by_side",
    "standardised",
    "straight_through",
    "surrogate_loss",
    "take_step",
    "towards",
    "updated_moments",
    "value_loss",
]
