"""Networks of the family of deterministic policy gradients, their inputs and their optimizers."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import optax
from jax import Array

from comity.algorithms.off_policy.deterministic_settings import Config
from comity.learning import clip_by_array, in_a_circle
from comity.learning.actions import Actions, Numbers, actions
from comity.networks import MLP, JointNet, NormedMLP, Part, RecurrentNet, Team, Twins, joint_net, numbers
from comity.networks.cores import Feedforward
from comity.networks.teams import Sharing
from comity.spec import Spec, Vector
from comity.types import Key, Observation, PyTree


class Member(NamedTuple):
    """The definition of an algorithm of the family.

    reads(key, actions, mine) -> the actions that critic i reads, [..., N, K], or [M, ..., N, K] for M readings, whose
    values are averaged. actions [..., N, A]: those of all agents; mine [..., N, A]: replaces i's own action.
    means(config, state, key, policy) -> (an actor's action, with gradient [batch, N, A]; a term that is added to its
    value, [batch, N]). weighs(config, nets, state, now, q, added) -> (value, added term), replaced once Q is known.
    target(config, nets, state, keys, after) -> the next value in the critics' targets, [batch, N].
    """

    reads: Callable[[Key, Array, Array], Array]
    everyone: bool = True  # a critic reads all agents' views, its own first, then in a circle; False: only its own view
    of_state: bool = False  # a critic reads all agents' actions and one view, which holds the state
    one_body: bool = False  # agents are policies of one body, and critics judge the body's action
    adds_up: bool = False  # the sum of all critics is one value, of the mean reward, with one loss
    critics: int = 1  # number of critics of each agent; targets use the smallest value
    climbs_least: bool = False  # actors ascend the smallest value; False: the value of the first critic
    numbers: Numbers = "point"  # distribution of continuous actions
    means: Callable[..., tuple[Array, Array]] | None = None
    # None: the relaxed action of the policy, and the policy's entropy times `entropy_coefficient`
    target: Callable[..., Array] | None = None  # None: the target critics' value of the target actors' action
    weighs: Callable[..., tuple[Array, Array]] | None = None  # None: an actor ascends Q plus the term of `means`


class Nets(NamedTuple):
    """The networks of a game, and their optimizers."""

    acts: Actions
    actors: Team
    critics: Team
    member: Member
    actor_optimizer: optax.GradientTransformation
    critic_optimizer: optax.GradientTransformation


def clipped_descent(config: Config, rate: Any) -> optax.GradientTransformation:
    """Returns the optimizer with gradient clipping, for the network of one agent."""
    step = optax.adam(rate, eps=config.epsilon)
    if config.optimizer == "rmsprop":
        step = optax.rmsprop(rate, decay=config.decay, eps=config.epsilon, eps_in_sqrt=False)
    if config.clip_by == "none":
        return step
    kinds = {"norm": optax.clip_by_global_norm, "array": clip_by_array, "entry": optax.clip}
    return optax.chain(kinds[config.clip_by](config.clip), step)


def nets_of(config: Config, spec: Spec, member: Member, sharing: Sharing | None = None) -> Nets:
    """Returns the networks. sharing: that of the critics; None: that of the actors."""
    acts = actions(spec.action, member.numbers, noise=config.noise)
    widths, count = (config.hidden,) * 2, spec.agents if member.everyone else 1

    kind = NormedMLP if config.layer_norm else MLP

    def new_actor(key: Key, inputs: int) -> PyTree:
        return kind(key, inputs, widths, acts.size, config.activation)

    def new_critic(key: Key, beside: int) -> JointNet:
        one = partial(kind, hidden=widths, outputs=1, activation=config.activation)
        several = lambda key, inputs: Twins(tuple(one(k, inputs) for k in jax.random.split(key, member.critics)))  # noqa: E731
        net = one if member.critics == 1 else several
        parts = Part(spec.view, count), numbers(beside)
        return joint_net(key, parts, net, config.hidden, config.convolutions, config.activation)

    team = partial(Team, agents=spec.agents, sharing=config.agents, activation=config.activation)
    sees = {"reads_id": config.agent_id, "convolutions": config.convolutions, "width": config.hidden}
    actors = team(new_actor, view=spec.view, actions=acts, **sees)
    acting = spec.agents if member.everyone or member.of_state else 1
    critics = team(new_critic, view=Vector(acting * spec.action.n))  # critics make their image encoders themselves
    critics = replace(critics, sharing=sharing or config.agents)
    rates = config.learning_rate, config.critic_learning_rate
    of_actor, of_critic = (clipped_descent(config, rate) for rate in rates)
    optimizers = actors.optimizer(of_actor), critics.optimizer(of_critic)
    return Nets(acts, actors, critics, member, *optimizers)


def each_value(
    nets: Nets, key: Key, critics: JointNet, view: Array, actions: Array, mine: Array, who: Array | None = None
) -> Array:
    """Returns Q_i of joint actions [batch, N, A], with i's own action replaced by `mine`: [batch, N, critics].

    view [batch, N, ...]; who: see `each_value_of`.
    """
    read = nets.member.reads(key, actions, mine)
    q = each_value_of(nets, critics, view, read if who is None else read[..., who, :], who)
    return q if q.ndim == 3 else q.mean(0)


def values(
    nets: Nets, key: Key, critics: JointNet, view: Array, actions: Array, mine: Array, who: Array | None = None
) -> Array:
    """Returns `each_value` of the first critics, [batch, N]."""
    return each_value(nets, key, critics, view, actions, mine, who)[..., 0]


def each_value_of(nets: Nets, critics: JointNet, view: Array, read: Array, who: Array | None = None) -> Array:
    """Returns the critics' values, [..., batch, K, critics], for action inputs `read` [..., batch, K, R].

    who [K]: the agents whose critics these are, stacked [K, ...] if separate; None: all agents.
    """
    views = in_a_circle(view, 1) if nets.member.everyone else view[:, :, None]  # [batch, N, n, ...]
    views = views if who is None else views[:, who]
    beside = read[..., None, :]
    axis = beside.ndim - 3
    call = nets.critics.over(lambda net, *parts: net(*parts), (0, 1, axis), axis)
    return call(critics, views, beside)


def values_of(nets: Nets, critics: JointNet, view: Array, read: Array, who: Array | None = None) -> Array:
    """Returns `each_value_of` the first critics, [..., batch, K]."""
    return each_value_of(nets, critics, view, read, who)[..., 0]


def of_agents(nets: Nets, critics: JointNet, who: Array) -> JointNet:
    """Returns the critics of the agents `who`, leaves [K, ...] if separate; else the one critic of all agents."""
    return jax.tree.map(lambda x: x[who], critics) if nets.critics.separate else critics


def policies(nets: Nets, actors: PyTree, observation: Observation) -> tuple[Any, Array]:
    """Returns (the policies, outputs [..., N, A])."""
    outputs = nets.actors.call(actors, observation.view)
    return nets.acts(outputs, observation.available), outputs


def without_memory(actor: RecurrentNet) -> MLP:
    """Returns an actor of another family as an actor of this family, with the same layers.

    Raises ValueError, one line, if it has a memory.
    """
    if not isinstance(actor.cell, Feedforward):
        raise ValueError("these actors remember, those of deterministic gradients do not: set their core to 'none'")
    layers = actor.encoder, actor.cell.layer, actor.head
    inputs, *hidden = (layer.weight.shape[0] for layer in layers)
    net = MLP(jax.random.key(0), inputs, tuple(hidden), actor.head.weight.shape[1], actor.activation)
    return eqx.tree_at(lambda net: net.layers, net, layers)
