"""LIIR's critic, and what it says of a rollout: intrinsic rewards, and returns and advantages of two rewards."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array, lax

from comity.algorithms import actors
from comity.algorithms.policy_gradient.liir_settings import Settings
from comity.learning import chosen, credited, critic_loss, lambda_returns, replay
from comity.learning.normalisation import smoothly_standardised
from comity.networks import ACTIVATIONS, Activation, JointNet, Linear, Part, joint_net, numbers
from comity.spec import Spec
from comity.types import Key, Observation


class Critic(eqx.Module):
    """A network of two shared layers with three heads: the intrinsic reward of each own action, the value of the proxy
    reward, and the value of the extrinsic reward."""

    layers: tuple[Linear, Linear]
    rewards: Linear
    values: Linear
    activation: Activation = eqx.field(static=True)

    def __init__(self, key: Key, inputs: int, hidden: int, actions: int, activation: Activation):
        keys = jax.random.split(key, 4)
        self.layers = Linear(keys[0], inputs, hidden), Linear(keys[1], hidden, hidden)
        self.rewards, self.values = Linear(keys[2], hidden, actions), Linear(keys[3], hidden, 2)
        self.activation = activation

    def __call__(self, x: Array) -> tuple[Array, Array, Array]:
        """Returns (raw intrinsic rewards [..., A], proxy value [...], extrinsic value [...]) of x [..., I]."""
        for layer in self.layers:
            x = ACTIVATIONS[self.activation](layer(x))
        values = self.values(x)
        return self.rewards(x), values[..., 0], values[..., 1]


class Credit(NamedTuple):
    """The critic's estimates on a rollout, leaves [T, B, N]. Only `proxy_advantage` is used with its gradient."""

    intrinsic: Array  # r_in
    proxy_return: Array
    proxy_advantage: Array
    extrinsic_return: Array
    extrinsic_advantage: Array


def new_critic(config: Settings, spec: Spec, key: Key) -> JointNet:
    def net(key: Key, inputs: int) -> Critic:
        return Critic(key, inputs, config.critic_hidden, spec.action.n, config.activation)

    parts = Part(spec.state), Part(spec.view), numbers(spec.agents)
    return joint_net(key, parts, net, config.critic_hidden, config.convolutions, config.activation)


def critic_reads(spec: Spec, observation: Observation) -> tuple[Array, ...]:
    """Returns the inputs of the critic: state, own view and agent id, leaves [..., N, 1, *]."""
    return *actors.central(spec, observation), jnp.eye(spec.agents)[:, None]


def intrinsic_rewards(config: Settings, raw: Array) -> Array:
    """Returns the bounded r_in of every own action, [..., A]. raw [..., A]: the critic's outputs."""
    return config.intrinsic_limit * jnp.tanh(raw / config.intrinsic_limit)


def credit(
    config: Settings,
    spec: Spec,
    critic: JointNet,
    target: JointNet,
    episodes: replay.Episodes,
    values: tuple[Array, Array] | None = None,
) -> Credit:
    """Returns proxy and extrinsic returns and advantages (eq. 5 to 8), by `lambda_returns` on the target's values.

    values: baselines of both advantages, [T, B, N] each; None: the critic's.
    """
    raw, *own_values = critic(*critic_reads(spec, episodes.before))
    proxy_value, extrinsic_value = own_values if values is None else values
    _, proxy_after, extrinsic_after = target(*critic_reads(spec, episodes.after))
    intrinsic = chosen(intrinsic_rewards(config, raw), episodes.action)
    team = credited(episodes.reward, config.credit)
    returns = lambda reward, after: lambda_returns(  # noqa: E731
        reward, lax.stop_gradient(after), episodes.terminated, episodes.ended, config.gamma, config.lambda_
    )
    own = jnp.where(episodes.valid[..., None], team + config.intrinsic_weight * intrinsic, 0.0)
    proxy, extrinsic = returns(own, proxy_after), returns(team, extrinsic_after)
    advantages = proxy - lax.stop_gradient(proxy_value), lax.stop_gradient(extrinsic - extrinsic_value)
    proxy_advantage, extrinsic_advantage = (
        smoothly_standardised(advantage, episodes.valid) if wanted else advantage
        for advantage, wanted in zip(advantages, (config.standardise, config.standardise_extrinsic), strict=True)
    )
    return Credit(intrinsic, proxy, proxy_advantage, lax.stop_gradient(extrinsic), extrinsic_advantage)


def value_errors(values: tuple[Array, Array], returns: tuple[Array, Array], valid: Array) -> Array:
    """Returns the sum of the squared errors of the proxy and the extrinsic value, each the mean over agents, []."""
    pairs = zip(values, returns, strict=True)
    return jnp.stack([critic_loss(value, lax.stop_gradient(target), valid).mean() for value, target in pairs]).sum()
