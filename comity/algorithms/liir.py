"""LIIR: learning individual intrinsic rewards (Du et al. 2019, "LIIR: learning individual intrinsic reward in
multi-agent reinforcement learning").

Every agent climbs a reward of its own, the team's plus an intrinsic one, r + w r_in_i; the intrinsic rewards climb what
the team then earns: the gradient of the extrinsic objective at the policies *after* their step, through that step.
docs/algorithms/liir.md derives it and lists every departure.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from comity.compatibility import require_discrete
from comity.learning import (
    Reward,
    chosen,
    credited,
    entropy,
    lambda_returns,
    log_prob,
    masked,
    mean_valid,
    optimizer,
    per_agent_optimizer,
    replay,
    sample,
    take_step,
    towards,
)
from comity.networks import ACTIVATIONS, Activation, Linear, RecurrentNet, per_agent, shared, stacked
from comity.settings import Fraction, NotNegative, Positive, check
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config:
    """Settings of LIIR. Paper and code: of its runs on StarCraft, as LICA's comparison repeats them."""

    actors: Literal["shared", "separate"] = "shared"  # paper: one network for all agents
    intrinsic_weight: NotNegative[float] = 0.01  # w of r + w r_in
    intrinsic_limit: Positive[float] = 10.0  # r_in = limit tanh(x / limit)
    credit: Reward = "mean"  # the extrinsic reward: the team's
    learning_rate: Positive[float] = 5e-4  # of actors, RMSprop; the step that intrinsic rewards look through
    critic_learning_rate: Positive[float] = 5e-4  # of values and intrinsic rewards, RMSprop
    gamma: Fraction = 0.99  # per step
    lambda_: Fraction = 0.8  # of both returns
    hidden: Positive[int] = 64  # width of every layer of an actor
    critic_hidden: Positive[int] = 128  # width of both layers that values and intrinsic rewards share
    activation: Activation = "relu"
    standardise: bool = True  # proxy advantages to mean 0 and deviation 1, over what is valid
    entropy_coefficient: NotNegative[float] = 0.0
    target_period: Positive[int] = 200  # updates between two copies of the values to their target
    clip: Positive[float] = 10.0  # gradient norm, of critic and actors
    decay: Fraction = 0.99  # RMSprop's alpha
    epsilon: Positive[float] = 1e-5  # RMSprop's; of actors inside the root, whose gradient is finite at 0

    def __post_init__(self):
        check(self)


PRESETS = {"sound": {}, "paper": {}, "released": {}}


class Critic(eqx.Module):
    """Two shared layers, and on them: an intrinsic reward of each own action, the value of the proxy reward, that of
    the extrinsic one."""

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
        """x [..., I] -> (raw intrinsic rewards [..., A], proxy value [...], extrinsic value [...])."""
        for layer in self.layers:
            x = ACTIVATIONS[self.activation](layer(x))
        values = self.values(x)
        return self.rewards(x), values[..., 0], values[..., 1]


class State(NamedTuple):
    actor: RecurrentNet  # leaves [N, ...] if separate
    critic: Critic  # one for all agents
    target_critic: Critic
    actor_opt_state: PyTree
    critic_opt_state: PyTree
    updates: Array  # [] int32


class Judged(NamedTuple):
    """What the critic says of a rollout, leaves [T, B, N]. Only `proxy_advantage` carries gradient, to the critic."""

    intrinsic: Array  # r_in
    proxy_return: Array
    proxy_advantage: Array
    extrinsic_return: Array
    extrinsic_advantage: Array


def central_input(observation: Observation) -> Array:
    """State, own view, who one is, [..., N, S + V + N]."""
    view = observation.view
    agents, lead = view.shape[-2], view.shape[:-1]
    state = jnp.broadcast_to(observation.state[..., None, :], (*lead, observation.state.shape[-1]))
    return jnp.concatenate([state, view, jnp.broadcast_to(jnp.eye(agents), (*lead, agents))], -1).astype(jnp.float32)


def judged(config: Config, critic: Critic, target: Critic, episodes: replay.Episodes) -> Judged:
    """Proxy and extrinsic returns and advantages (eq. 5 to 8), by `lambda_returns` on the target's values."""
    inputs = central_input(episodes.observation)  # [T + 1, B, N, I]
    raw, proxy_value, extrinsic_value = critic(inputs[:-1])
    _, *following = target(inputs[1:])
    proxy_after, extrinsic_after = following
    limit = config.intrinsic_limit
    intrinsic = chosen(limit * jnp.tanh(raw / limit), episodes.action)
    team = credited(episodes.reward, config.credit)
    returns = lambda reward, after: lambda_returns(  # noqa: E731
        reward, lax.stop_gradient(after), episodes.terminated, episodes.ended, config.gamma, config.lambda_
    )
    own = jnp.where(episodes.valid[..., None], team + config.intrinsic_weight * intrinsic, 0.0)
    proxy, extrinsic = returns(own, proxy_after), returns(team, extrinsic_after)
    advantage = proxy - lax.stop_gradient(proxy_value)
    if config.standardise:
        advantage = standardised(advantage, episodes.valid)
    return Judged(
        intrinsic, proxy, advantage, lax.stop_gradient(extrinsic), lax.stop_gradient(extrinsic - extrinsic_value)
    )


def standardised(advantage: Array, valid: Array) -> Array:
    """Mean 0 and deviation 1 over valid steps and agents; what it is divided by has a finite gradient also at 0."""
    count = jnp.maximum(valid.sum() * advantage.shape[-1], 1)
    over = lambda x: jnp.where(valid[..., None], x, 0.0).sum() / count  # noqa: E731
    away = advantage - over(advantage)
    return away * lax.rsqrt(over(jnp.square(away)) + 1e-8)


def policy_loss(logits: Array, action: Array, advantage: Array, valid: Array) -> Array:
    """-(sum m A_i log pi(a_i)) / sum m, per agent [N]. Here the advantage does carry gradient, for who learns it."""
    return -mean_valid(advantage * log_prob(logits, action), valid)


def extrinsic_objective(logits: Array, before: Array, action: Array, advantage: Array, valid: Array) -> Array:
    """What the team earns with new policies, to first order, by data of the old ones: mean over agents of
    (pi_i' / pi_i) A_ex (eq. 9). logits, before [T, B, N, A] of new and old."""
    ratio = jnp.exp(log_prob(logits, action) - lax.stop_gradient(log_prob(before, action)))
    return mean_valid(ratio * advantage, valid).mean()


def differentiable_rmsprop(config: Config, learning_rate: Any) -> optax.GradientTransformation:
    """RMSprop after clipping, through which one can differentiate also where a gradient is exactly 0."""

    def shortened(grads: PyTree) -> PyTree:
        square = sum(jnp.square(x).sum() for x in jax.tree.leaves(grads))
        return jax.tree.map(lambda x: x * jnp.minimum(1.0, config.clip * lax.rsqrt(square + 1e-12)), grads)

    clip = optax.stateless(lambda updates, params=None: shortened(updates))
    return optax.chain(clip, optax.rmsprop(learning_rate, decay=config.decay, eps=config.epsilon, eps_in_sqrt=True))


def make(config: Config, env: Environment) -> Algorithm:
    require_discrete(env, "liir")
    spec = env.spec
    agents, choices = spec.agents, spec.action.n
    separate = config.actors == "separate"
    over_actors = per_agent if separate else shared
    actor_optimizer = differentiable_rmsprop(config, config.learning_rate)
    actor_optimizer = per_agent_optimizer(actor_optimizer) if separate else actor_optimizer
    critic_optimizer = optimizer("rmsprop", config.critic_learning_rate, config.clip, config.decay, config.epsilon)
    memory = jnp.zeros((agents, config.hidden))

    def init(key: Key) -> State:
        key_actor, key_critic = jax.random.split(key)
        new = lambda key: RecurrentNet(key, spec.view.size, config.hidden, choices, config.activation)  # noqa: E731
        actor: PyTree = stacked(new, key_actor, agents) if separate else new(key_actor)
        inputs = spec.state.size + spec.view.size + agents
        critic = Critic(key_critic, inputs, config.critic_hidden, choices, config.activation)
        opt_states = actor_optimizer.init(actor), critic_optimizer.init(critic)  # pyright: ignore[reportArgumentType]
        return State(actor, critic, jax.tree.map(jnp.copy, critic), *opt_states, jnp.zeros((), jnp.int32))

    def act(key: Key, state: State, memory: Array, observation: Observation, explore: bool = True):
        axis = observation.available.ndim - 2
        step = over_actors(lambda net, x, h: net(x, h), (0, axis, axis), (axis, axis))
        logits, memory = step(state.actor, observation.view, memory)
        logits = masked(logits, observation.available)
        action = sample(key, logits) if explore else logits.argmax(-1).astype(jnp.int32)
        value = state.critic(central_input(observation))[2]
        return action, memory, {"probabilities": jax.nn.softmax(logits), "value": value}

    def update(key: Key, state: State, steps: Transition):
        episodes = replay.of_rollout(steps)
        observation, action, valid = steps.observation, steps.action, steps.valid

        def unroll(actor: RecurrentNet) -> Array:
            """log pi(. | history) up to a constant, [T, B, N, A]."""
            net = over_actors(lambda net, x, h: net.unroll(x, h), (0, 2, 1), 2)
            return masked(net(actor, observation.view, steps.memory[0]), observation.available)

        before = unroll(state.actor)

        def stepped(found: Judged) -> tuple[RecurrentNet, PyTree, Array]:
            """The actors after their step along the proxy advantages (eq. 6)."""

            def loss(actor: RecurrentNet) -> Array:
                logits = unroll(actor)
                losses = policy_loss(logits, action, found.proxy_advantage, valid)
                losses -= config.entropy_coefficient * mean_valid(entropy(logits), valid)
                return losses.sum() if separate else losses.mean()

            value, grads = jax.value_and_grad(loss)(state.actor)
            actor, opt_state = take_step(actor_optimizer, state.actor, state.actor_opt_state, grads)
            return actor, opt_state, value

        def loss(critic: Critic):
            found = judged(config, critic, state.target_critic, episodes)
            actor, opt_state, policy = stepped(found)
            earned = extrinsic_objective(unroll(actor), before, action, found.extrinsic_advantage, valid)
            _, proxy_value, extrinsic_value = critic(central_input(observation))
            errors = [
                mean_valid(jnp.square(value - lax.stop_gradient(target)), valid).mean()
                for value, target in ((proxy_value, found.proxy_return), (extrinsic_value, found.extrinsic_return))
            ]
            metrics = {
                "policy_loss": policy,
                "critic_loss": errors[0] + errors[1],
                "extrinsic_objective": earned,
                "intrinsic_reward": mean_valid(jnp.abs(found.intrinsic), valid).mean(),
            }
            return errors[0] + errors[1] - earned, (actor, opt_state, metrics)

        grads, (actor, actor_opt_state, metrics) = jax.grad(loss, has_aux=True)(state.critic)
        critic, critic_opt_state = take_step(critic_optimizer, state.critic, state.critic_opt_state, grads)
        updates = state.updates + 1
        target = towards(state.target_critic, critic, 1, updates % config.target_period == 0)
        metrics |= {
            "entropy": mean_valid(entropy(before), valid).mean(),
            "critic_gradient_norm": optax.tree.norm(grads),
        }
        return State(actor, critic, target, actor_opt_state, critic_opt_state, updates), metrics

    return Algorithm(init, act, update, memory=memory, whole_episodes=True)
