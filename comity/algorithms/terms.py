"""What may be added to the gradient of an actor that learns from whole rollouts: a correction, a prediction."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.networks import Team
from comity.types import Key, PyTree, Transition


class Actor(NamedTuple):
    """The actors in the midst of an update."""

    team: Team
    params: PyTree  # leaves [N, ...] if separate
    unroll: Callable[[PyTree], Array]  # params -> outputs [T, B, N, out]
    outputs: Array  # what it gives
    memories: PyTree  # what the outputs were read from, [T, B, N, H]
    log_probs: Callable[[Array], Array]  # outputs -> log pi(a_t | history) of what was done, [T, B, N]
    pull: Callable[[Array, PyTree], PyTree]  # (gradient of outputs, of memories) -> gradient of params

    def pull_back(self, of_outputs: Array) -> PyTree:
        """The gradient of params that belongs to a gradient of outputs alone."""
        return self.pull(of_outputs, jax.tree.map(jnp.zeros_like, self.memories))


class Learned(NamedTuple):
    """What the learner has found by then."""

    steps: Transition
    reward: Array  # [T, B, N] that it learns from
    baseline: Array  # [T, B, N]


class Term(NamedTuple):
    """One of them."""

    init: Callable[[Key, PyTree], PyTree]  # (key, actor) -> state
    add: Callable[[PyTree, Actor, Learned, PyTree], tuple[PyTree, PyTree, dict[str, Array]]]
    # (state, actor, learned, gradient) -> (gradient with the term, state, metrics); gradients go down


def actor_of(
    team: Team, params: PyTree, steps: Transition, before: PyTree, log_probs: Callable[[Array], Array], keep: bool
) -> Actor:
    """The actors of a rollout. before: memory at its start, or None; keep: whether a term reads memories."""

    def both(params: PyTree) -> tuple[Array, PyTree]:
        memories = team.memories(params, steps.observation.view, before, None, steps.action)
        return team.output(params, memories), memories if keep else ()

    (outputs, memories), pull = jax.vjp(both, params)
    back = lambda of_outputs, of_memories: pull((of_outputs, of_memories))[0]  # noqa: E731
    return Actor(team, params, lambda params: both(params)[0], outputs, memories, log_probs, back)


def with_terms(
    terms: tuple[Term, ...], states: tuple[PyTree, ...], actor: Actor, learned: Learned, grads: PyTree
) -> tuple[PyTree, tuple[PyTree, ...], dict[str, Array]]:
    """(the gradient with all terms, their states, their metrics)."""
    after, metrics = [], {}
    for term, state in zip(terms, states, strict=True):
        grads, state, sizes = term.add(state, actor, learned, grads)
        after.append(state)
        metrics |= sizes
    return grads, tuple(after), metrics
