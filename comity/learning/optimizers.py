"""Optimizers, built on optax, their steps, and their form for parameters stacked on an agent axis."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax
from jaxtyping import Bool

from comity.loops import over_time
from comity.types import Key, PyTree

T = TypeVar("T")
Optimizer = Literal["adam", "radam", "rmsprop", "sgd"]


def optimizer(
    name: Optimizer, learning_rate: Any, clip: Any, decay: Any = 0.99, epsilon: Any = 1e-5
) -> optax.GradientTransformation:
    """Adam, rectified Adam (Liu et al. 2020), RMSprop or plain descent, on gradients clipped to the norm `clip`.

    learning_rate: a number or a function of the number of steps. decay: for RMSprop only. epsilon: a number that is
    added to the root; sgd does not use it.
    """
    if name == "adam":
        step = optax.adam(learning_rate, eps=epsilon)
    elif name == "radam":
        step = optax.radam(learning_rate, eps=epsilon)
    elif name == "sgd":
        step = optax.sgd(learning_rate)
    else:
        step = optax.rmsprop(learning_rate, decay=decay, eps=epsilon, eps_in_sqrt=False)
    return optax.chain(optax.clip_by_global_norm(clip), step)


def towards(target: T, params: T, tau: Any, when: Array | bool = True) -> T:
    """(1 - tau) target + tau params if `when` is True, else target. tau = 1 copies `params`."""
    return jax.tree.map(lambda old, new: jnp.where(when, (1 - tau) * old + tau * new, old), target, params)


def take_step(optimizer: optax.GradientTransformation, params: T, opt_state: PyTree, grads: Any) -> tuple[T, PyTree]:
    """Takes one step down `grads`. Returns (params, opt_state)."""
    updates, opt_state = optimizer.update(grads, opt_state, params)  # pyright: ignore[reportArgumentType]
    return optax.apply_updates(params, updates), opt_state  # pyright: ignore


def clip_by_array(limit: Any) -> optax.GradientTransformation:
    """Clips each array of a gradient to the norm `limit`."""

    def shortened(x: Array) -> Array:
        return x * jnp.minimum(1.0, limit / jnp.maximum(jnp.linalg.norm(x), 1e-12))

    return optax.stateless(lambda updates, params=None: jax.tree.map(shortened, updates))


def differentiable_rmsprop(learning_rate: Any, clip: Any, decay: Any, epsilon: Any) -> optax.GradientTransformation:
    """RMSprop after clipping to a norm. It can be differentiated through even where a gradient is exactly 0."""

    def shortened(grads: PyTree) -> PyTree:
        square = sum(jnp.square(x).sum() for x in jax.tree.leaves(grads))
        return jax.tree.map(lambda x: x * jnp.minimum(1.0, clip * lax.rsqrt(square + 1e-12)), grads)

    shorten = optax.stateless(lambda updates, params=None: shortened(updates))
    return optax.chain(shorten, optax.rmsprop(learning_rate, decay=decay, eps=epsilon, eps_in_sqrt=True))


def if_ready(ready: Array, learn: Callable[[T], tuple[T, PyTree]], state: T) -> tuple[T, PyTree]:
    """Calls learn(state) -> (state, metrics) if `ready`; else returns the state unchanged and metrics of zeros.

    Learners with a warm-up use it.
    """

    def wait(state: T) -> tuple[T, PyTree]:
        return state, jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(learn, state)[1])

    return lax.cond(ready, learn, wait, state)


def as_often(
    every: int, key: Key, transitions: int, step: Callable[[T, Key], tuple[T, dict[str, Array]]], state: T
) -> tuple[T, dict[str, Array]]:
    """Calls `step` once for every `every` transitions of a rollout. Returns (state, mean metrics of these steps).

    A remainder R brings one more step with probability R / `every`, so that steps are as frequent as `every` says for
    any size of rollout. Without a step the metrics are 0.
    """
    whole, rest = divmod(transitions, every)
    metrics: dict[str, Array] = {}
    if whole:
        state, told = lax.scan(step, state, jax.random.split(key, whole))
        metrics = jax.tree.map(lambda x: x.mean(0), told)
    if rest:
        another = jax.random.bernoulli(jax.random.fold_in(key, 2), rest / every)
        state, told = if_ready(another, lambda state: step(state, jax.random.fold_in(key, 3)), state)
        mean = lambda x, last: jnp.where(another, (whole * x + last) / (whole + 1), x)  # noqa: E731
        metrics = jax.tree.map(mean, metrics, told) if whole else told
    return state, metrics


def fit_backwards(
    loss: Callable,
    optimizer: optax.GradientTransformation,
    params: T,
    opt_state: PyTree,
    data: PyTree,
    valid: Bool[Array, "T B"],
    groups: int,
) -> tuple[T, PyTree, PyTree]:
    """Takes one optimizer step per group of time indices, the last group first, as COMA does for its critic.

    loss(params, data of a group, leaves [T / groups, B, ...]) -> ([], aux with leaves [T / groups, B, ...]); data:
    leaves [T, B, ...]. groups = T: one step per time index; 1: one step in all. For a group without a valid step none
    is taken. Returns (params, opt_state, aux), leaves [T, B, ...], where aux[t] is from just before the step on time t.
    """

    def step(carry, group):
        data, present = group
        grads, aux = jax.grad(loss, has_aux=True)(carry[0], data)
        after = take_step(optimizer, carry[0], carry[1], grads)
        # If every game has ended, there is nothing to learn from, and RMSprop's average must stay as it is.
        return jax.tree.map(lambda new, old: jnp.where(present.any(), new, old), after, carry), aux

    grouped = jax.tree.map(lambda x: x.reshape(groups, -1, *x.shape[1:]), (data, valid))
    (params, opt_state), aux = over_time(step, (params, opt_state), grouped, reverse=True)
    return params, opt_state, jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), aux)


def per_agent_optimizer(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """Applies `optimizer` to each agent by itself. So a norm over all parameters becomes a norm over one agent's."""

    def update(updates, state, params=None):
        return jax.vmap(optimizer.update)(updates, state, params)

    return optax.GradientTransformation(jax.vmap(optimizer.init), update)
