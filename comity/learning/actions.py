"""Policies as distributions over actions, with one interface for discrete actions, several heads and real numbers.

    acts = actions(spec.action)             # acts.size: number of outputs that a network needs
    policy = acts(outputs, observation.available)
    action = policy.sample(key) if explore else policy.mode()
    policy.log_prob(action), policy.entropy(action), policy.kl(other)

Masks of legal actions are applied here, once. Results have the leading axes [...] and are summed over heads and
numbers, so learners do not depend on the kind of action. Algorithms that need a value per action call
`require_discrete`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.learning import choices
from comity.learning.relaxed import Relaxed, relaxed
from comity.spec import Action, Box, Discrete, MultiDiscrete
from comity.types import Key, PyTree

Numbers = Literal["normal", "normal-by-view", "tanh-normal", "point"]
LIMITS = (-20.0, 2.0)  # smallest and largest log-deviation from a network
EDGE = 1e-6  # smallest distance of an action from -1 and 1 before arctanh is taken
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(16)  # for means over a standard normal number

Bent = Callable[[Array], Array]  # a function of log-probabilities, for entropies other than Shannon's
register = jax.tree_util.register_dataclass


def unbent(log_prob: Array) -> Array:
    """Returns the log-probability unchanged: Shannon's entropy."""
    return log_prob


@partial(register, data_fields=["logits"], meta_fields=[])
@dataclass(frozen=True)
class Categorical:
    """A distribution over A actions."""

    logits: Array  # [..., A], -1e9 where an action is not available

    @property
    def probabilities(self) -> Array:
        """Probability of each action, [..., A]."""
        return jax.nn.softmax(self.logits)

    def sample(self, key: Key) -> Array:
        """Draws an action, [...] int32."""
        return choices.sample(key, self.logits)

    def mode(self) -> Array:
        """The most probable action, [...] int32."""
        return self.logits.argmax(-1).astype(jnp.int32)

    def log_prob(self, action: Array) -> Array:
        """Log-probability [...] of action [...]."""
        return choices.log_prob(self.logits, action)

    def entropy(self, action: PyTree = None) -> Array:
        """Entropy [...], nats."""
        return choices.entropy(self.logits)

    def kl(self, other: Categorical) -> Array:
        """KL(self || other), [...], nats."""
        log_probs, theirs = jax.nn.log_softmax(self.logits), jax.nn.log_softmax(other.logits)
        return (jnp.exp(log_probs) * (log_probs - theirs)).sum(-1)

    def relaxed(self, key: Key, how: Relaxed, temperature: float | Array = 1.0) -> Array:
        """A vector [..., A] that carries gradient, see `learning.relaxed`."""
        return relaxed(key, self.logits, how, temperature)

    def near(self, key: Key, vector: Array, deviation: float | Array, limit: float | Array) -> Array:
        """Returns the vector unchanged: only continuous actions get noise."""
        return vector

    def relaxed_and_log_prob(
        self, key: Key, how: Relaxed, temperature: float | Array = 1.0, bent: Bent = unbent
    ) -> tuple[Array, Array]:
        """Returns (a vector [..., A] that carries gradient, the mean of bent(log pi) [...]).

        With `unbent` the mean is minus the entropy.
        """
        return self.relaxed(key, how, temperature), self.mean_of(bent)

    def mean_of(self, bent: Bent) -> Array:
        """Mean of bent(log pi) over actions, [...]."""
        log_probs = jax.nn.log_softmax(self.logits)
        probs = jnp.exp(log_probs)
        some = probs > 0
        return jnp.where(some, probs * bent(jnp.where(some, log_probs, 0.0)), 0.0).sum(-1)

    def notes(self) -> dict[str, Array]:
        """The probabilities, which films show."""
        return {"probabilities": self.probabilities}


@partial(register, data_fields=["heads"], meta_fields=["counts"])
@dataclass(frozen=True)
class Several:
    """A distribution over one action of each head. Log-probability and entropy are sums over the heads that count."""

    heads: tuple[Categorical, ...]
    counts: Callable[[PyTree], tuple[Array, ...]] | None = None  # the game's, see `spec.Functions`

    def sample(self, key: Key) -> tuple[Array, ...]:
        """Draws an action: a tuple of [...] int32."""
        keys = jax.random.split(key, len(self.heads))
        return tuple(head.sample(k) for head, k in zip(self.heads, keys, strict=True))

    def mode(self) -> tuple[Array, ...]:
        """The most probable action of each head: a tuple of [...] int32."""
        return tuple(head.mode() for head in self.heads)

    def log_prob(self, action: tuple[Array, ...]) -> Array:
        """Log-probability [...] of an action, a tuple of [...]."""
        return self._joint([head.log_prob(a) for head, a in zip(self.heads, action, strict=True)], action)

    def entropy(self, action: PyTree = None) -> Array:
        """Entropy [...], nats. action: it decides which heads count; None: all heads count."""
        return self._joint([head.entropy() for head in self.heads], action)

    def kl(self, other: Several) -> Array:
        """KL(self || other), [...], nats, summed over all heads."""
        return jnp.stack([mine.kl(its) for mine, its in zip(self.heads, other.heads, strict=True)]).sum(0)

    def relaxed(self, key: Key, how: Relaxed, temperature: float | Array = 1.0) -> Array:
        """Vectors of all heads, concatenated, [..., A], which carry gradient."""
        keys = jax.random.split(key, len(self.heads))
        vectors = [head.relaxed(k, how, temperature) for head, k in zip(self.heads, keys, strict=True)]
        return jnp.concatenate(vectors, -1)

    def near(self, key: Key, vector: Array, deviation: float | Array, limit: float | Array) -> Array:
        """Returns the vector unchanged: only continuous actions get noise."""
        return vector

    def relaxed_and_log_prob(
        self, key: Key, how: Relaxed, temperature: float | Array = 1.0, bent: Bent = unbent
    ) -> tuple[Array, Array]:
        """Returns (vectors [..., A] that carry gradient, means of bent(log pi) [...], summed over heads)."""
        return self.relaxed(key, how, temperature), jnp.stack([head.mean_of(bent) for head in self.heads]).sum(0)

    def notes(self) -> dict[str, Array]:
        """Empty: films show the probabilities of one head only."""
        return {}

    def _joint(self, each: list[Array], action: PyTree) -> Array:
        if self.counts is not None and action is not None:
            each = [jnp.where(count, x, 0.0) for x, count in zip(each, self.counts(action), strict=True)]
        return jnp.stack(each).sum(0)


@partial(register, data_fields=["mean", "log_deviation", "exists"], meta_fields=[])
@dataclass(frozen=True)
class Normal:
    """Independent normal numbers. `rollout` clips them to [-1, 1] for the game; learners use the unclipped draw."""

    mean: Array  # [..., A]
    log_deviation: Array  # [..., A]
    exists: Array  # [..., A] bool

    def sample(self, key: Key) -> Array:
        """Draws an action, [..., A], with 0 where a number does not exist."""
        return self._only(self.mean + jnp.exp(self.log_deviation) * jax.random.normal(key, self.mean.shape))

    def mode(self) -> Array:
        """The mean, [..., A]."""
        return self._only(self.mean)

    def log_prob(self, action: Array) -> Array:
        """Log-density [...] of action [..., A]."""
        away = (action - self.mean) * jnp.exp(-self.log_deviation)
        each = -0.5 * jnp.square(away) - self.log_deviation - 0.5 * math.log(2 * math.pi)
        return self._only(each).sum(-1)

    def entropy(self, action: PyTree = None) -> Array:
        """Entropy [...], nats."""
        return self._only(self.log_deviation + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)

    def kl(self, other: Normal) -> Array:
        """KL(self || other), [...], nats."""
        ratio = 2 * (self.log_deviation - other.log_deviation)
        away = jnp.square((self.mean - other.mean) * jnp.exp(-other.log_deviation))
        return self._only(0.5 * (jnp.exp(ratio) + away - 1 - ratio)).sum(-1)

    def relaxed(self, key: Key, how: Relaxed, temperature: float | Array = 1.0) -> Array:
        """Draws an action, [..., A], that carries the gradient of mean and deviation."""
        return self.sample(key)

    def relaxed_and_log_prob(
        self, key: Key, how: Relaxed, temperature: float | Array = 1.0, bent: Bent = unbent
    ) -> tuple[Array, Array]:
        """Returns (a sample [..., A], bent(its log-density) [...]), both with the gradient of mean and deviation."""
        drawn = self.sample(key)
        return drawn, bent(self.log_prob(drawn))

    def notes(self) -> dict[str, Array]:
        """Mean and deviation, which films show."""
        return {"mean": self.mode(), "deviation": self._only(jnp.exp(self.log_deviation))}

    def _only(self, x: Array) -> Array:
        return jnp.where(self.exists, x, 0.0)


@partial(register, data_fields=["mean", "log_deviation", "exists"], meta_fields=[])
@dataclass(frozen=True)
class TanhNormal(Normal):
    """tanh(u) of independent normal numbers u, in (-1, 1) (Haarnoja et al. 2018, arXiv 1801.01290, appendix C)."""

    def sample(self, key: Key) -> Array:
        """Draws an action, [..., A]."""
        return self.sample_and_log_prob(key)[0]

    def sample_and_log_prob(self, key: Key) -> tuple[Array, Array]:
        """Returns (action [..., A], its log-density [...]). The log-density is exact even where tanh is flat."""
        drawn = self.mean + jnp.exp(self.log_deviation) * jax.random.normal(key, self.mean.shape)
        return self._only(jnp.tanh(drawn)), self._density(drawn)

    def relaxed_and_log_prob(
        self, key: Key, how: Relaxed, temperature: float | Array = 1.0, bent: Bent = unbent
    ) -> tuple[Array, Array]:
        """Does the same as `sample_and_log_prob`, with `bent` of the log-density."""
        action, log_prob = self.sample_and_log_prob(key)
        return action, bent(log_prob)

    def mode(self) -> Array:
        """tanh of the mean, [..., A]."""
        return self._only(jnp.tanh(self.mean))

    def log_prob(self, action: Array) -> Array:
        """Log-density [...] of action [..., A]. Actions within 1e-6 of -1 or 1 are moved to that distance."""
        return self._density(jnp.arctanh(jnp.clip(action, -1 + EDGE, 1 - EDGE)))

    def entropy(self, action: PyTree = None) -> Array:
        """Entropy [...], nats: that of u plus the mean of log(1 - tanh(u)^2), by 16 Gauss-Hermite nodes."""
        deviation = jnp.exp(self.log_deviation)
        nodes = [self.mean + deviation * float(x) for x in NODES]
        weights = WEIGHTS / WEIGHTS.sum()
        bent = sum(float(w) * log_slope(u) for w, u in zip(weights, nodes, strict=True))
        return super().entropy() + self._only(jnp.asarray(bent)).sum(-1)

    def _density(self, drawn: Array) -> Array:
        return super().log_prob(drawn) - self._only(log_slope(drawn)).sum(-1)


@partial(register, data_fields=["action", "exists"], meta_fields=["noise"])
@dataclass(frozen=True)
class Point:
    """One vector of numbers, with noise added if agents explore (deterministic policy gradients)."""

    action: Array  # [..., A] in [-1, 1]
    exists: Array  # [..., A] bool
    noise: Any = 0.0  # deviation of the noise

    def sample(self, key: Key) -> Array:
        """Draws the action with normal noise, clipped to [-1, 1], [..., A]."""
        noisy = jnp.clip(self.action + self.noise * jax.random.normal(key, self.action.shape), -1.0, 1.0)
        return jnp.where(self.exists, noisy, 0.0)

    def mode(self) -> Array:
        """The action without noise, [..., A]."""
        return jnp.where(self.exists, self.action, 0.0)

    def relaxed(self, key: Key, how: Relaxed, temperature: float | Array = 1.0) -> Array:
        """The action without noise, [..., A], which carries gradient."""
        return self.mode()

    def near(self, key: Key, vector: Array, deviation: float | Array, limit: float | Array) -> Array:
        """Adds normal noise, clipped to [-limit, limit], to the vector [..., A], and clips the sum to [-1, 1]."""
        noise = jnp.clip(deviation * jax.random.normal(key, vector.shape), -limit, limit)
        return jnp.where(self.exists, jnp.clip(vector + noise, -1.0, 1.0), 0.0)

    def entropy(self, action: PyTree = None) -> Array:
        """0, [...]: the policy is deterministic."""
        return jnp.zeros(self.action.shape[:-1])

    def notes(self) -> dict[str, Array]:
        """Empty: films show nothing of this policy."""
        return {}


Policy = Categorical | Several | Normal | TanhNormal | Point


def log_slope(drawn: Array) -> Array:
    """log(1 - tanh(u)^2), the log of tanh's derivative, without loss of digits for large |u|."""
    return 2 * (math.log(2) - drawn - jax.nn.softplus(-2 * drawn))


@dataclass(frozen=True)
class Actions:
    """Turns the outputs of a network into a distribution over a game's actions."""

    space: Action
    numbers: Numbers = "normal"  # the distribution over the numbers of a `Box`
    counts: Callable[[PyTree], tuple[Array, ...]] | None = None
    first_deviation: float = 0.6  # initial deviation of "normal"
    noise: Any = 0.0  # deviation of the noise around a "point"

    @property
    def size(self) -> int:
        """Number of outputs of a network."""
        return self.space.n * (2 if self.has_deviations else 1)

    @property
    def has_deviations(self) -> bool:
        """True if standard deviations are outputs of the network."""
        return isinstance(self.space, Box) and self.numbers in ("normal-by-view", "tanh-normal")

    @property
    def free_deviations(self) -> bool:
        """True if standard deviations are separate parameters, which are appended to the outputs: [..., 2 size]."""
        return isinstance(self.space, Box) and self.numbers == "normal"

    def __call__(self, outputs: Array, available: PyTree, floor: Array | None = None) -> Any:
        """Returns the policy of outputs [..., size], or [..., 2 size] with free deviations.

        available: as in `Observation`. floor: [] or None, weight of the uniform policy that is mixed in (discrete
        actions only), see `policy_logits`.
        """
        if isinstance(self.space, Discrete):
            return Categorical(choices.policy_logits(outputs, available, floor))
        if isinstance(self.space, MultiDiscrete):
            edges = np.cumsum(self.space.heads)[:-1].tolist()
            parts = zip(jnp.split(outputs, edges, -1), available, strict=True)
            return Several(tuple(Categorical(choices.policy_logits(*part, floor)) for part in parts), self.counts)
        if self.numbers == "point":
            return Point(jnp.tanh(outputs), available, self.noise)
        mean, log_deviation = jnp.split(outputs, 2, -1)
        if self.has_deviations:
            log_deviation = jnp.clip(log_deviation, *LIMITS)
        kind = TanhNormal if self.numbers == "tanh-normal" else Normal
        return kind(mean, log_deviation, available)

    def encoded(self, action: PyTree) -> Array:
        """An action as numbers [..., n], for critics and networks that read the last action; one-hot if discrete."""
        if isinstance(self.space, Discrete):
            return jax.nn.one_hot(action, self.space.n)
        if isinstance(self.space, MultiDiscrete):
            heads = zip(action, self.space.heads, strict=True)
            return jnp.concatenate([jax.nn.one_hot(a, n) for a, n in heads], -1)
        return action.astype(jnp.float32)


def actions(
    space: Action,
    numbers: Numbers = "normal",
    counts: Callable[[PyTree], tuple[Array, ...]] | None = None,
    noise: Any = 0.0,
) -> Actions:
    """Makes the `Actions` of a game: `actions(env.spec.action, counts=functions(env).counts)`.

    numbers, for a `Box`: "normal", with deviations that are free parameters; "normal-by-view", with deviations that are
    outputs of the network; "tanh-normal"; or "point".
    """
    return Actions(space, numbers, counts, noise=noise)
