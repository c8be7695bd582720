"""Novelty: an agent is paid the prediction error of a network phi on its view and action, v = (o_i, a_i).

    b_i = |phi(v) - v|^2       autoencoder (ALITA: Fayad & Ibrahim 2021, arXiv 2108.12581, eq. 10)
    b_i = |phi(v) - g(v)|^2    random network distillation, g fixed and random (Burda et al. 2018, arXiv 1810.12894)

phi learns from the last `capacity` transitions, so the error falls for what was seen often. docs/algorithms/bonuses.md
derives it and lists every departure.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from comity.learning import Sample, as_often, fresh_sample, in_deviations, replay, take_step, with_sample
from comity.learning.actions import actions
from comity.networks import NormedMLP, stacked
from comity.settings import NotNegative, Positive, check
from comity.types import Bonus, Environment, Experience, Key, PyTree, Transition

VERSION = 1


@dataclass(frozen=True)
class Config:
    """Settings of the novelty bonus. ALITA's paper gives the layers, the batch and the 10,000; the rest is ours."""

    weight: NotNegative[float] = 0.1  # lambda_pi; ALITA 0.01 on particles, 0.1 on grids
    kind: Literal["autoencoder", "rnd"] = "autoencoder"  # the network predicts its input, or (rnd) a random network
    hidden: tuple[Positive[int], ...] = (128, 64, 12, 3, 12, 64, 128)  # widths; a LayerNorm and a ReLU after each
    features: Positive[int] = 32  # number of outputs of the random network, and of its prediction
    optimizer: Literal["adam", "rmsprop"] = "adam"  # optimizer of the network; ALITA on SMAC: RMSprop, alpha 0.99
    learning_rate: Positive[float] = 1e-3  # learning rate of the network that predicts
    capacity: Positive[int] = 10_000  # number of last transitions that the network learns from
    batch: Positive[int] = 256  # transitions per step; ALITA 1,024
    every: Positive[int] = 100  # transitions of all games for one step of the network; ALITA 100

    def __post_init__(self):
        check(self)


PRESETS = {"sound": {}}


class Row(NamedTuple):
    view: Array  # [K, *view]
    action: Array  # [K, A], as float vectors
    valid: Array  # [] bool


class State(NamedTuple):
    """The state of the bonus for K agents, each with its own networks."""

    net: NormedMLP  # leaves [K, ...]
    fixed_target: PyTree  # the random network, leaves [K, ...], or ()
    opt_state: PyTree
    recent: replay.Replay  # rows of the last transitions
    seen: Sample  # [K, I], moments of v


def make(config: Config, env: Environment, who: tuple[int, ...] | None = None) -> Bonus:
    """Returns the bonus for the K agents `who`; None: all. Its reward is [..., K]."""
    spec = env.spec
    acts, agents = actions(spec.action), tuple(range(spec.agents)) if who is None else who
    chosen, size = jnp.array(agents), spec.view.size + spec.action.n
    outputs = size if config.kind == "autoencoder" else config.features
    adam, rate = config.optimizer == "adam", config.learning_rate
    descent = optax.adam(rate) if adam else optax.rmsprop(rate, decay=0.99, eps=1e-5, eps_in_sqrt=False)

    def fresh(key: Key) -> NormedMLP:
        return NormedMLP(key, size, config.hidden, outputs, start="he")

    def row_of(experience: Any) -> Row:
        """Returns the views and actions of the K agents, leaves [..., K, ...]."""
        view, action = experience.observation.view, acts.encoded(experience.action)
        axis = action.ndim - 2
        return Row(view.take(chosen, axis), action.take(chosen, axis), experience.valid)

    def vector(row: Row) -> Array:
        """Returns v = (view, action), [..., K, I]."""
        flat = row.view.reshape(*row.action.shape[:-1], -1)
        return jnp.concatenate([flat.astype(jnp.float32), row.action], -1)

    def surprise(net: Any, target: Any, state: State, v: Array) -> Array:
        """Returns the squared error of the prediction, [..., K], on normalised v [..., K, I]."""
        x = in_deviations(v, state.seen)
        axis = x.ndim - 2
        of_each = jax.vmap(lambda net, x: net(x), (0, axis), axis)
        meant = x if config.kind == "autoencoder" else lax.stop_gradient(of_each(target, x))
        return jnp.square(of_each(net, x) - meant).sum(-1)

    def init(key: Key) -> State:
        net = stacked(fresh, key, len(agents))
        target = stacked(fresh, jax.random.fold_in(key, 1), len(agents)) if config.kind == "rnd" else ()
        _, observation = jax.eval_shape(env.reset, key)
        view = jnp.zeros((1, len(agents), *spec.view.shape), observation.view.dtype)
        row = Row(view, jnp.zeros((1, len(agents), spec.action.n)), jnp.zeros(1, bool))
        recent = replay.empty(row, config.capacity)
        return State(net, target, descent.init(net), recent, fresh_sample(len(agents), size))

    def reward(state: State, experience: Experience) -> Array:
        """Returns psi(o_i, a_i), [..., K]."""
        return surprise(state.net, state.fixed_target, state, vector(row_of(experience)))

    def update(key: Key, state: State, steps: Transition) -> tuple[State, dict[str, Array]]:
        rows = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), row_of(steps))
        # The last steps of a rollout may all be padding. So padding goes to the front, where the cut drops it first.
        kept = jnp.argsort(rows.valid, stable=True)[-config.capacity :]
        rows = jax.tree.map(lambda x: x[kept], rows)
        state = state._replace(seen=with_sample(state.seen, vector(rows), rows.valid))
        pushed = replay.push(state.recent, rows)
        recent = jax.tree.map(lambda new, old: jnp.where(rows.valid.any(), new, old), pushed, state.recent)
        state = state._replace(recent=recent)

        def step(carry: tuple, key: Key) -> tuple[tuple, dict[str, Array]]:
            net, opt_state = carry
            row = replay.draw(key, recent, config.batch)

            def loss(net: Any) -> Array:  # a sum of the agents' losses, which share no parameters
                errors = surprise(net, state.fixed_target, state, vector(row))
                return (jnp.where(row.valid[:, None], errors, 0.0).sum(0) / jnp.maximum(row.valid.sum(), 1)).sum()

            error, grads = jax.value_and_grad(loss)(net)
            after = take_step(descent, net, opt_state, grads)
            keep = lambda new, old: jnp.where(row.valid.any(), new, old)  # noqa: E731
            return jax.tree.map(keep, after, carry), {"error": error / len(agents)}

        (net, opt_state), told = as_often(config.every, key, steps.valid.size, step, (state.net, state.opt_state))
        return state._replace(net=net, opt_state=opt_state), told

    return Bonus(init, reward, update)
