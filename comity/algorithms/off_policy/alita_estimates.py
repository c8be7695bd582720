"""ALITA's estimates of q_i, the value of agent i after the influencer k has acted, and the data D_t that fit them.

    q_i(s, a_k) = E[ r_i + gamma q_i(s', a_k') ]        over the others' actions

An estimate C_i reads all agents' views and actions, and its mean over the others' actions is q_i. It is fitted by

    descend mean over D_t of (r_i + gamma Q_i'(s', pi'(s')) - C_i(s, a))^2

D_t are transitions in which k saw and did the same as in one transition of the last rollout. "clones" are copies of the
critics that go on learning (the paper's estimator of equation 8, better than a single network once critics are good);
"single" is one separate network. docs/algorithms/alita.md lists every departure.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from comity.algorithms.off_policy import deterministic as family
from comity.algorithms.off_policy.alita_settings import Built
from comity.algorithms.off_policy.deterministic_nets import (
    Nets,
    clipped_descent,
    each_value_of,
    of_agents,
    policies,
    values,
)
from comity.learning import alike, credited, divisor, replay, side_by_side, take_step
from comity.learning import joint_actions as search
from comity.networks import MLP, JointNet, NormedMLP, Part, Twins, joint_net, numbers
from comity.spec import Spec
from comity.types import Environment, Key, Observation, PyTree, Transition

AT_ONCE = 8  # most sets D_t that are drawn together, because small batches are slow


class Role(NamedTuple):
    influencer: int
    others: tuple[int, ...]  # the J agents that it influences


class Estimate(NamedTuple):
    net: JointNet
    opt_state: PyTree


def reading(config: Built, env: Environment) -> str:
    """Returns the rule that selects D_t: "exact", "nearest" or "substitute"."""
    if config.alike != "by-view":
        return config.alike
    _, observation = jax.eval_shape(env.reset, jax.random.key(0))
    return "nearest" if jnp.issubdtype(observation.view.dtype, jnp.floating) else "exact"


def optimizer(config: Built, nets: Nets):
    """Returns the optimizer of the estimate: the critics' for clones, that of one agent's critic for one network."""
    of_one = clipped_descent(config, config.critic_learning_rate)
    return nets.critic_optimizer if config.influence == "clones" else of_one


def init(config: Built, spec: Spec, nets: Nets, role: Role, key: Key, critics: JointNet) -> Estimate:
    if config.influence == "clones":
        net = jax.tree.map(jnp.copy, fresh_clones(nets, role, critics))
    else:
        kind, widths = NormedMLP if config.layer_norm else MLP, (config.hidden,) * 2
        behind = partial(kind, hidden=widths, outputs=len(role.others), activation=config.activation)
        parts = Part(spec.view, spec.agents), numbers(spec.agents * spec.action.n)
        net = joint_net(key, parts, behind, config.hidden, config.convolutions, config.activation)
    return Estimate(net, optimizer(config, nets).init(net))  # pyright: ignore[reportArgumentType]


def fresh_clones(nets: Nets, role: Role, critics: JointNet) -> JointNet:
    """Returns the critics of the agents that are influenced; if an agent has several critics, the first one."""
    net = of_agents(nets, critics, jnp.array(role.others))
    return JointNet(net.eyes, Twins(net.net.nets[:1])) if isinstance(net.net, Twins) else net


def copied(nets: Nets, role: Role, estimate: Estimate, critics: JointNet, when: Array) -> Estimate:
    """Returns the estimate with clones copied anew from the critics if `when`. The optimizer's state stays."""
    now = fresh_clones(nets, role, critics)
    return estimate._replace(net=jax.tree.map(lambda new, old: jnp.where(when, new, old), now, estimate.net))


def call(config: Built, nets: Nets, role: Role, net: JointNet, view: Array, joint: Array) -> Array:
    """Returns the estimate for joint actions [batch, N, A], [batch, J]. view [batch, N, ...]."""
    if config.influence == "clones":
        others = jnp.array(role.others)
        return values(nets, jax.random.key(0), net, view, joint, joint, others)  # no random numbers are drawn
    turned = jnp.roll(view, -role.influencer, 1), jnp.roll(joint, -role.influencer, 1)
    return net(turned[0], side_by_side(turned[1])[:, None])


def best(
    config: Built, nets: Nets, role: Role, key: Key, critics: JointNet, observation: Observation, first: Array
) -> Array:
    """Returns max_u Q_i(x, u) of the agents that are influenced, [batch, J]. Q_i is the smallest of i's critics.

    first [K, batch, N, A]: joint actions that start the search, see `learning/joint_actions.py`. With one body, each of
    the N rows is an action of the body.
    """
    others = jnp.array(role.others)
    theirs = lax.stop_gradient(of_agents(nets, critics, others))

    def value(joint: Array) -> Array:
        """Returns the values [U, batch, J] of joint actions [U, batch, J or 1, N, A]; row i is for critic i."""
        each = jnp.broadcast_to(joint, (*joint.shape[:2], len(role.others), *joint.shape[3:]))
        read = [
            nets.member.reads(key, e, e)[..., i, :] for i, e in zip(role.others, jnp.moveaxis(each, 2, 0), strict=True)
        ]
        return each_value_of(nets, theirs, observation.view, jnp.stack(read, -2), others).min(-1)

    if nets.member.one_body:
        some = search.uniform(nets.acts, key, observation.available, config.searched)[:, :, :1]
        own = jnp.moveaxis(first, 2, 1).reshape(-1, first.shape[1], 1, first.shape[3])
        joint = jnp.broadcast_to(jnp.concatenate([own, some]), (len(own) + len(some), *first.shape[1:]))
        return value(joint[:, :, None]).max(0)
    return search.best_value(value, nets.acts, key, first, observation.available, config.enumerated, config.searched)


def hashes(nets: Nets, roles: tuple[Role, ...], added: Any, steps: Transition) -> Array:
    """Returns a hash of each influencer's view and action, [T, B, influencers] uint32."""
    view, action = steps.observation.view, nets.acts.encoded(steps.action)
    flat = view.reshape(*action.shape[:-1], -1)
    size = flat.shape[-1]
    both = alike.hashed(added.factors[:size], flat) + alike.hashed(added.factors[size:], action)
    return both[..., jnp.array([role.influencer for role in roles])]


def alike_set(config: Built, env: Environment, nets: Nets, key: Key, memories: Any, paid: Any, fresh: int, role: Role,
              place: int):  # fmt: skip
    """Returns (a batch of D_t in the form of `family.training_rows`, weights [batch]) for one transition of the last
    rollout.

    exact: transitions with the same view and action of the influencer | nearest: of many drawn transitions, those with
    the most similar view and action | substitute: any transitions, with the influencer's view and action replaced;
    rewards and next observations then belong to another action.
    """
    key_at, key = jax.random.split(key)
    count, how = config.influence_batch, reading(config, env)
    at = alike.last_row(key_at, memories.position, fresh, len(memories.rows.reward))
    if how == "exact":
        index = alike.exact_rows(key, memories.rows.beside[:, place], memories.filled, at, count)
    else:
        asked = count * config.candidates if how == "nearest" else count
        index = jax.random.randint(key, (asked,), 0, jnp.maximum(memories.filled, 1)).at[0].set(at)
    rows = jax.tree.map(lambda x: x[index], memories.rows)
    if how == "nearest":
        chosen = alike.nearest(known(env, nets, role, rows), count)
        rows = jax.tree.map(lambda x: x[chosen], rows)
    now, after, taken, reward, terminated = family.training_rows(env, nets, rows, paid)
    weights = alike.equal(known(env, nets, role, rows)) if how == "exact" else jnp.ones(count)
    if how == "substitute":
        k = role.influencer
        now = now._replace(view=now.view.at[:, k].set(now.view[0, k]))
        taken = taken.at[:, k].set(taken[0, k])
    return (now, after, taken, reward, terminated), weights


def known(env: Environment, nets: Nets, role: Role, rows: family.Rows) -> Array:
    """Returns the influencer's views and actions, [C, V + A]."""
    view = replay.unpacked(env, rows.observation, 1).view[:, role.influencer]
    action = nets.acts.encoded(rows.action)[:, role.influencer]
    return jnp.concatenate([view.reshape(len(view), -1).astype(jnp.float32), action], -1)


class AlikeSet(NamedTuple):
    """A set D_t, in the form that the regression reads."""

    view: Array  # [batch, N, ...]
    taken: Array  # [batch, N, A], the recorded actions
    today: Array  # [batch, N, A], the others' actions by their present policies, and the influencer's recorded one
    target: Array  # [batch, J]
    weights: Array  # [batch]


def after_fitting(config: Built, env: Environment, nets: Nets, state: family.State, memories: Any, paid: Any,
                  fresh: int, role: Role, place: int, key: Key, estimate: Estimate):  # fmt: skip
    """Returns (estimate, metrics) after the steps of one update, each on its own set D_t.

    old_buffer_gap: the estimate's mean over the others' actions in D_t, minus its mean over their present actions
    there, as root of the mean square over the others. An old buffer holds the actions of earlier policies.
    """
    others = jnp.array(role.others)

    def new_set(key: Key) -> AlikeSet:
        key_draw, *keys = jax.random.split(key, 3)
        data, weights = alike_set(config, env, nets, key_draw, memories, paid, fresh, role, place)
        now, after, taken, reward, terminated = data
        follows = (nets.member.target or family.targets)(config, nets, state, (keys[0], keys[1]), after, others)
        earned = credited(reward, config.credit)[:, others]
        target = earned + config.gamma * jnp.where(terminated[:, None], 0.0, follows)
        today = policies(nets, state.actors, now)[0].relaxed(jax.random.fold_in(key, 1), "straight-through")
        today = taken if nets.member.one_body else today.at[:, role.influencer].set(taken[:, role.influencer])
        return AlikeSet(now.view, *lax.stop_gradient((taken, today, target)), weights)

    def several(estimate: Estimate, keys: Key) -> tuple[Estimate, dict[str, Array]]:
        """Takes some steps on sets that are drawn together, because targets do not change in between."""
        return regressed(config, nets, role, estimate, jax.vmap(new_set)(keys))

    together = divisor(config.influence_updates, AT_ONCE)
    keys = jax.random.split(key, config.influence_updates).reshape(-1, together)
    estimate, metrics = lax.scan(several, estimate, keys)
    return estimate, jax.tree.map(jnp.mean, metrics)


def mean_of(data: AlikeSet, x: Array) -> Array:
    """Returns the weighted mean over a set of x [batch, J]: [J]."""
    return (data.weights[:, None] * x).sum(0) / data.weights.sum()


def errors(config: Built, nets: Nets, role: Role, net: JointNet, data: AlikeSet) -> Array:
    """Returns the mean squared errors of the estimate on a set, [J]."""
    return mean_of(data, jnp.square(call(config, nets, role, net, data.view, data.taken) - data.target))


def regressed(config: Built, nets: Nets, role: Role, estimate: Estimate, sets: AlikeSet):
    """Returns (estimate, metrics) after one step on each of the sets, leaves [steps, ...]."""

    def step(estimate: Estimate, data: AlikeSet) -> tuple[Estimate, Array]:
        def loss(net: JointNet) -> tuple[Array, Array]:
            each = errors(config, nets, role, net, data)
            return nets.critics.total(each), each.mean()

        grads, error = jax.grad(loss, has_aux=True)(estimate.net)
        return Estimate(*take_step(optimizer(config, nets), *estimate, grads)), error

    estimate, losses = lax.scan(step, estimate, sets)
    last = jax.tree.map(lambda x: x[-1], sets)
    value = partial(call, config, nets, role, estimate.net, last.view)
    gap = mean_of(last, value(last.taken) - value(last.today))
    return estimate, {"influence_error": losses.mean(), "old_buffer_gap": jnp.sqrt(jnp.square(gap).mean())}
