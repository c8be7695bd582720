"""The gradient of ALITA's influence in tabular games, exact (Fayad & Ibrahim 2021, arXiv 2108.12581, theorem 1).

Tests compare estimates with these values, in numpy and float64. docs/algorithms/alita.md derives the gradient.
"""

from typing import NamedTuple

import numpy as np

Array = np.ndarray


class Game(NamedTuple):
    """A game as the influencer meets it: averaged over the others' actions, which follow their policies."""

    transitions: Array  # [S, A, S] probabilities
    rewards: Array  # [I, S, A], rewards of the I others
    gamma: float


def averaged(transitions: Array, rewards: Array, others: Array, gamma: float) -> Game:
    """Averages a game over the others' actions.

    transitions [S, A, U, S], rewards [I, S, A, U]; others [S, U]: probabilities of the others' U joint actions.
    """
    mixed = np.einsum("sauz,su->saz", transitions, others)
    return Game(mixed, np.einsum("isau,su->isa", rewards, others), gamma)


def probabilities(logits: Array) -> Array:
    """The softmax policy [S, A] of logits [S, A]."""
    power = np.exp(logits - logits.max(-1, keepdims=True))
    return power / power.sum(-1, keepdims=True)


def log_slopes(logits: Array) -> Array:
    """d log pi(a | s) / d logits, [S, A, S, A]."""
    states, choices = logits.shape
    slopes = np.zeros((states, choices, states, choices))
    for s, row in enumerate(probabilities(logits)):
        slopes[s, :, s, :] = np.eye(choices) - row
    return slopes


def step_matrix(game: Game, policy: Array) -> Array:
    """Probability of (s', a') after (s, a), [S A, S A]."""
    states, choices, _ = game.transitions.shape
    return np.einsum("saz,zb->sazb", game.transitions, policy).reshape(states * choices, -1)


def expected_values(game: Game, policy: Array) -> Array:
    """q_i(s, a), [I, S, A]: the expected return of i after the influencer took a in s, if all follow their policies."""
    size = game.transitions.shape[0] * game.transitions.shape[1]
    solved = np.linalg.solve(np.eye(size) - game.gamma * step_matrix(game, policy), game.rewards.reshape(-1, size).T)
    return solved.T.reshape(game.rewards.shape)


def influence(game: Game, logits: Array, weights: Array, best: Array) -> float:
    """F = 1/I sum_i E_{s, a} (q_i(s, a) - z_i(s))^2. weights [S]: of the states, held fixed; best: z [I, S]."""
    policy = probabilities(logits)
    gap = expected_values(game, policy) - best[:, :, None]
    return float(np.einsum("s,sa,isa->", weights, policy, gap**2) / len(best))


def value_slopes(game: Game, logits: Array) -> Array:
    """grad q_i(s, a) = sum_{k >= 1} gamma^k E[grad log pi(a_k | s_k) q_i(s_k, a_k)], [I, S, A, S, A]."""
    policy = probabilities(logits)
    q, slopes, step = expected_values(game, policy), log_slopes(logits), step_matrix(game, policy)
    earned = (q[..., None, None] * slopes).reshape(len(q), len(step), -1)
    ahead = game.gamma * np.linalg.solve(np.eye(len(step)) - game.gamma * step, step)  # sum over k of gamma^k P^k
    return (ahead @ earned).reshape(*q.shape, *logits.shape)


def influence_gradient(game: Game, logits: Array, weights: Array, best: Array, printed: bool = False) -> Array:
    """grad F, [S, A]: 1/I sum_i E[grad log pi g_i^2 + 2 g_i grad q_i], g_i = q_i - z_i.

    printed: the form in the paper's theorem, whose visit weights are normalised: grad q_i times (1 - gamma) / gamma.
    """
    policy = probabilities(logits)
    gap = expected_values(game, policy) - best[:, :, None]
    slopes = value_slopes(game, logits) * ((1 - game.gamma) / game.gamma if printed else 1.0)
    inner = log_slopes(logits) * gap[..., None, None] ** 2 + 2 * gap[..., None, None] * slopes
    return np.einsum("s,sa,isapq->pq", weights, policy, inner) / len(best)


def sampled_gradient(game: Game, logits: Array, best: Array, first: tuple, later: tuple) -> Array:
    """The estimate of grad F from one play, [S, A]. first: (s, a); later: (s_k, a_k), k >= 1 steps later.

    It is unbiased if s is drawn by the states' weights, a by the policy, and k with probability
    (1 - gamma) gamma^(k - 1).
    """
    q, slopes = expected_values(game, probabilities(logits)), log_slopes(logits)
    gap = q[(slice(None), *first)] - best[:, first[0]]  # [I]
    scale = game.gamma / (1 - game.gamma)
    pulled = (gap**2).mean() * slopes[first]
    return pulled + 2 * scale * (gap * q[(slice(None), *later)]).mean() * slopes[later]
