"""QTRAN: factorisation by transformation, for any team value (Son et al. 2019).

A joint network Q_jt(s, a) learns the team's value by TD. The agents' own values Q_i, with the sum Q'(a), and a network
V(s) are fitted to it. Let abar be the agents' greedy actions. If

    Q'(a) - Q_jt(s, a) + V(s)  =  0  for a = abar,   >= 0  for every other a                                 (theorem 1)

then abar is also the best joint action of Q_jt. The loss is the TD loss, plus `optimum_loss`, plus `rest_loss` (base)
or `minimum_loss` (alt). These two fit Q' and V, and give Q_jt no gradient. docs/algorithms/qtran.md lists every
departure.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from comity.algorithms.values import value_decomposition as family
from comity.algorithms.values.value_decomposition import Member, greedy, over_agents_loss, td_targets
from comity.algorithms.values.value_networks import StepValues, central_size
from comity.algorithms.values.value_settings import CENTRAL, PAPER, PYMARL, RELEASED, CentralConfig
from comity.learning import chosen, masked
from comity.learning.replay import Episodes
from comity.networks import MLP, Activation
from comity.settings import NotNegative, Positive
from comity.types import Algorithm, Environment, Key


@dataclass(frozen=True)
class Config(CentralConfig):
    """Settings of QTRAN: the family's, and those of the joint network."""

    variant: Literal["base", "alt"] = "base"  # base: Q_jt gives one value; alt: one for each action of an agent
    joint_hidden: Positive[int] = 64  # width of the two hidden layers of Q_jt and V; paper and code 32
    joint_activation: Activation = "relu"  # activation of encoder, Q_jt and V; code GELU
    next_actions: Literal["greedy", "taken"] = "greedy"  # targets value greedy actions, or (code) those taken next
    optimum_weight: NotNegative[float] = 1.0  # weight of the loss at greedy actions; code 0: it has neither loss
    rest_weight: NotNegative[float] = 1.0  # weight of the loss at other actions; Son et al. 1, reference code 0.1


TABLE = {**CENTRAL, "joint_hidden": 32}
PRESETS = {
    "sound": {},
    "alt": {"variant": "alt"},
    "paper": {**PAPER, **TABLE},
    "released": {
        **RELEASED,
        **TABLE,
        "joint_activation": "gelu",
        "next_actions": "taken",
        "optimum_weight": 0.0,
        "rest_weight": 0.0,
    },
    "pymarl": {**PYMARL, "mixer_input": "raw", "rest_weight": 0.1},
}


class Mixer(NamedTuple):
    encoder: MLP  # (memory, action) of one agent -> its part of the joint encoding
    joint: MLP  # base: (state, sum of encodings) -> Q_jt; alt: (state, own memory, others' encodings, id) -> [A]
    value: MLP  # state -> V


def joint_values(mixer: Mixer, memory: Array, action: Array, central: Array, num_actions: int) -> Array:
    """Returns Q_jt(s, a) of QTRAN-base, [..., 1]. memory [..., N, H], action [..., N], central [..., S]."""
    encoded = mixer.encoder(with_action(memory, action, num_actions)).sum(-2)
    return mixer.joint(jnp.concatenate([central, encoded], -1))


def counterfactual_values(mixer: Mixer, memory: Array, action: Array, central: Array, num_actions: int) -> Array:
    """Returns Q_jt(s, (b, a_-i)) of QTRAN-alt for every action b of every agent i, [..., N, A].

    The arguments have the shapes of `joint_values`.
    """
    encoded = mixer.encoder(with_action(memory, action, num_actions))  # [..., N, E]
    others = encoded.sum(-2, keepdims=True) - encoded
    agents = memory.shape[-2]
    central = jnp.broadcast_to(central[..., None, :], (*memory.shape[:-1], central.shape[-1]))
    name = jnp.broadcast_to(jnp.eye(agents), (*memory.shape[:-1], agents))
    return mixer.joint(jnp.concatenate([central, memory, others, name], -1))


def with_action(memory: Array, action: Array, num_actions: int) -> Array:
    """Returns each agent's memory and its action as one-hot, [..., N, H + A]."""
    return jnp.concatenate([memory, jax.nn.one_hot(action, num_actions)], -1)


def optimum_loss(own: Array, joint: Array, value: Array) -> Array:
    """Returns (Q'(abar) - Q_jt(abar) + V)^2, eq. 4b of Son et al. Arrays [..., 1 or N]; Q_jt gets no gradient."""
    return jnp.square(own - lax.stop_gradient(joint) + value)


def rest_loss(own: Array, joint: Array, value: Array) -> Array:
    """Returns min(0, Q'(a) - Q_jt(a) + V)^2 at the actions taken, eq. 4c: it is 0 unless theorem 1 is violated."""
    return jnp.square(jnp.minimum(own - lax.stop_gradient(joint) + value, 0.0))


def minimum_loss(own: Array, joint: Array, value: Array, available: Array) -> Array:
    """Returns (min_b [Q'(b, a_-i) - Q_jt(b, a_-i) + V])^2, [..., N], eq. 8.

    For each agent it moves the minimum over the agent's actions to 0. own, joint [..., N, A]; value [..., 1, 1];
    available [..., N, A].
    """
    distance = own - lax.stop_gradient(joint) + value
    return jnp.square(-masked(-distance, available).max(-1))


def member(config: Config, env: Environment) -> Member:
    agents, actions, hidden = env.spec.agents, env.spec.action.n, config.hidden
    base = config.variant == "base"

    def init(key: Key) -> Mixer:
        code, central = hidden + actions, central_size(config, env.spec)
        width, activation = (config.joint_hidden, config.joint_hidden), config.joint_activation
        inputs = central + code + (0 if base else hidden + agents)
        keys = jax.random.split(key, 3)
        return Mixer(
            MLP(keys[0], code, (code,), code, activation),
            MLP(keys[1], inputs, width, 1 if base else actions, activation),
            MLP(keys[2], central, width, 1, activation),
        )

    def loss(
        mixer: Mixer, target_mixer: Mixer, present: StepValues, target: StepValues, episodes: Episodes, reward: Array
    ):
        available, action, before = episodes.observation.available, episodes.action, present.before
        best = greedy(before.q, available[:-1])  # [T, B, N]
        then = greedy((present if config.double else target).after.q, available[1:])
        if config.next_actions == "taken":
            then = jnp.concatenate([action[1:], action[-1:]])
        evaluate = partial(joint_values if base else counterfactual_values, num_actions=actions)
        of = lambda x, action: x if base else chosen(x, action)  # noqa: E731  # [T, B, 1 or N]
        following = of(evaluate(target_mixer, target.after.memory, then, target.after.central), then)
        joint = evaluate(mixer, before.memory, action, before.central)  # [T, B, 1], or of every own action [T, B, N, A]
        joint_best = of(evaluate(mixer, before.memory, best, before.central), best)
        value = mixer.value(before.central)  # [T, B, 1]
        own, own_best = chosen(before.q, action), chosen(before.q, best)  # [T, B, N]
        if base:
            rest = rest_loss(own.sum(-1, keepdims=True), joint, value)
        else:
            others = own.sum(-1, keepdims=True) - own
            rest = minimum_loss(before.q + others[..., None], joint, value[..., None], available[:-1])
        taken = of(joint, action)
        td_loss = over_agents_loss(config, td_targets(config, reward, following, episodes) - taken)
        optimum = optimum_loss(own_best.sum(-1, keepdims=True), joint_best, value).mean(-1)
        total = td_loss + config.optimum_weight * optimum + config.rest_weight * rest.mean(-1)
        losses = {"optimum_loss": optimum, "rest_loss": rest.mean(-1), "td_loss": td_loss}
        return total, losses | {"q_tot": taken.mean(-1)}

    return Member(init, loss, reads_memory=True)


def make(config: Config, env: Environment) -> Algorithm:
    return family.learner(config, env, "qtran", member(config, env))
