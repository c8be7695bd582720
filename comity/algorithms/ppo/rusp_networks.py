"""Networks of RUSP's learner: one policy for all agents, and a critic that also reads the state.

docs/algorithms/rusp.md.
"""

from functools import partial
from typing import Any, NamedTuple

import jax

from comity.algorithms.sights import Scale, seen_by_critic, seen_by_policy
from comity.learning import fresh_moments
from comity.learning.actions import Actions
from comity.networks import EntityNet, encoder
from comity.networks.deviations import with_deviations
from comity.spec import MultiDiscrete, Vector
from comity.types import Environment, Key, PyTree


class Player(NamedTuple):
    """A network and the scale of its inputs. Its outputs depend on both."""

    net: PyTree  # an `EntityNet`
    scale: Scale


def require_columns(env: Environment) -> None:
    """Raises ValueError if an action chooses another agent, but views do not describe the other agents."""
    action, view = env.spec.action, env.spec.view
    others = view.entities.others if isinstance(view, Vector) and view.entities else ()
    if isinstance(action, MultiDiscrete) and action.pointer is not None and not (others and all(others)):
        raise ValueError(f"{type(env).__name__} chooses among others of whom nothing is seen: give their columns")


def new_players(key: Key, config: Any, env: Environment, acts: Actions) -> tuple[Player, Player]:
    """Returns (policy, critic), with the input sizes of the game."""
    spec, shape = env.spec, jax.eval_shape(env.reset, key)[1]
    action, view = spec.action, spec.view
    several = isinstance(action, MultiDiscrete)
    heads, pointer = (action.heads, action.pointer) if several else ((acts.size,), None)

    def new(key: Key, reads, outputs: tuple[int, ...], pointer: int | None) -> tuple[EntityNet, Scale]:
        sizes = jax.eval_shape(partial(reads, env), shape)
        own, other = sizes.own.shape[-1], 0 if sizes.others is None else sizes.others.shape[-1]
        eyes = encoder(jax.random.fold_in(key, 1), view, config.width, config.convolutions, "relu")
        net = EntityNet(key, own, other, config.width, config.hidden, outputs, pointer, config.core, eyes)
        return net, Scale(fresh_moments(own), fresh_moments(other) if other else None)

    keys = jax.random.split(key)
    policy, scale = new(keys[0], seen_by_policy, heads, pointer)
    return Player(with_deviations(policy, acts), scale), Player(*new(keys[1], seen_by_critic, (1,), None))
