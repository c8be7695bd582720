"""Terms that can be added to the gradient of an actor that learns from whole rollouts: a correction, a prediction."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.networks import Team
from comity.types import Key, PyTree, Transition


class Actor(NamedTuple):
    """The actors during an update."""

    team: Team
    params: PyTree  # leaves [N, ...] if separate
    unroll: Callable[[PyTree], Array]  # params -> outputs [T, B, N, out]
    outputs: Array  # [T, B, N, out], the outputs at `params`
    memories: PyTree  # [T, B, N, H], the memories from which the outputs were computed
    log_probs: Callable[[Array], Array]  # outputs -> log pi(a_t | history) of the actions taken, [T, B, N]
    pull: Callable[[Array, PyTree], PyTree]  # (gradient by outputs, gradient by memories) -> gradient by params

    def pull_back(self, of_outputs: Array) -> PyTree:
        """Returns the gradient by params that follows from a gradient by the outputs alone."""
        return self.pull(of_outputs, jax.tree.map(jnp.zeros_like, self.memories))


class Learned(NamedTuple):
    """What the learner has computed before it adds terms."""

    steps: Transition
    reward: Array  # [T, B, N], the rewards that it learns from
    baseline: Array  # [T, B, N]


class Term(NamedTuple):
    """A term that is added to the actors' gradient."""

    init: Callable[[Key, PyTree], PyTree]  # (key, actor) -> state
    add: Callable[[PyTree, Actor, Learned, PyTree], tuple[PyTree, PyTree, dict[str, Array]]]
    # (state, actor, learned, gradient) -> (gradient with the term, state, metrics); gradients are of a loss


def actor_of(
    team: Team, params: PyTree, steps: Transition, before: PyTree, log_probs: Callable[[Array], Array], keep: bool
) -> Actor:
    """Returns the actors on a rollout. before: memory at its start, or None; keep: True if a term reads memories."""

    def both(params: PyTree) -> tuple[Array, PyTree]:
        memories = team.memories(params, steps.observation.view, before, None, steps.action)
        return team.output(params, memories), memories if keep else ()

    (outputs, memories), pull = jax.vjp(both, params)
    back = lambda of_outputs, of_memories: pull((of_outputs, of_memories))[0]  # noqa: E731
    return Actor(team, params, lambda params: both(params)[0], outputs, memories, log_probs, back)


def with_terms(
    terms: tuple[Term, ...], states: tuple[PyTree, ...], actor: Actor, learned: Learned, grads: PyTree
) -> tuple[PyTree, tuple[PyTree, ...], dict[str, Array]]:
    """Returns (the gradient with all terms, the terms' states, their metrics)."""
    after, metrics = [], {}
    for term, state in zip(terms, states, strict=True):
        grads, state, sizes = term.add(state, actor, learned, grads)
        after.append(state)
        metrics |= sizes
    return grads, tuple(after), metrics
