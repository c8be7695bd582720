"""LIIR: learning individual intrinsic rewards (Du et al. 2019, "LIIR: learning individual intrinsic reward in
multi-agent reinforcement learning").

Each agent has a proxy reward, the team's reward plus its own intrinsic one, and ascends its policy gradient:

    theta_i' = theta_i + alpha grad log pi_i(a_i) A_proxy_i     for the proxy reward r + w r_in_i          (eq. 6)
    eta'     = eta + beta grad_eta J_ex(theta')                 through the step of theta                  (eq. 9)

The intrinsic rewards r_in with parameters eta ascend the team's extrinsic objective J_ex at the policies *after* their
step, by the chain rule through that step. docs/algorithms/liir.md derives it and lists every departure.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from comity.algorithms import actors
from comity.compatibility import require_discrete
from comity.learning import (
    Reward,
    chosen,
    credited,
    critic_loss,
    differentiable_rmsprop,
    entropy,
    lambda_returns,
    log_prob,
    mean_valid,
    optimizer,
    replay,
    take_step,
    towards,
)
from comity.learning.actions import actions
from comity.learning.normalisation import smoothly_standardised
from comity.networks import (
    ACTIVATIONS,
    Activation,
    Core,
    JointNet,
    Linear,
    Part,
    RecurrentNet,
    joint_net,
    numbers,
)
from comity.settings import Fraction, NotNegative, Positive, check
from comity.spec import Spec
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config(actors.Reads):
    """Settings of LIIR. Paper and code: its runs on StarCraft, as LICA's comparison repeats them."""

    actors: Literal["shared", "separate"] = "shared"  # paper: one network for all agents
    intrinsic_weight: NotNegative[float] = 0.01  # w of r + w r_in
    intrinsic_limit: Positive[float] = 10.0  # r_in = limit tanh(x / limit)
    credit: Reward = "mean"  # the extrinsic reward: the team's mean or sum, or each agent's own
    learning_rate: Positive[float] = 5e-4  # RMSprop's rate for actors; the intrinsic rewards' gradient uses this step
    critic_learning_rate: Positive[float] = 5e-4  # RMSprop's rate for values and intrinsic rewards
    gamma: Fraction = 0.99  # discount per step
    lambda_: Fraction = 0.8  # lambda of both returns
    core: Core = "gru"  # memory of an actor; none: two hidden layers and no memory
    hidden: Positive[int] = 64  # width of every layer of an actor
    critic_hidden: Positive[int] = 128  # width of both layers that values and intrinsic rewards share
    activation: Activation = "relu"  # after every hidden layer
    standardise: bool = True  # normalise proxy advantages to mean 0 and deviation 1 over valid steps
    entropy_coefficient: NotNegative[float] = 0.0  # weight of the policies' entropy
    target_period: Positive[int] = 200  # updates between two copies of the critic to its target
    clip: Positive[float] = 10.0  # largest gradient norm, of the critic and of actors
    decay: Fraction = 0.99  # RMSprop's alpha
    epsilon: Positive[float] = 1e-5  # RMSprop's epsilon; for actors inside the root, so its gradient is finite at 0

    def __post_init__(self):
        check(self)


PRESETS = {"sound": {}, "paper": {}, "released": {}, "pymarl": {"agent_id": True, "last_action": True}}


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


class State(NamedTuple):
    actor: RecurrentNet  # leaves [N, ...] if separate
    critic: JointNet  # encoders and a `Critic`, one for all agents
    target_critic: JointNet
    actor_opt_state: PyTree
    critic_opt_state: PyTree
    updates: Array  # [] int32


class Credit(NamedTuple):
    """The critic's estimates on a rollout, leaves [T, B, N]. Only `proxy_advantage` is used with its gradient."""

    intrinsic: Array  # r_in
    proxy_return: Array
    proxy_advantage: Array
    extrinsic_return: Array
    extrinsic_advantage: Array


def new_critic(config: Config, spec: Spec, key: Key) -> JointNet:
    def net(key: Key, inputs: int) -> Critic:
        return Critic(key, inputs, config.critic_hidden, spec.action.n, config.activation)

    parts = Part(spec.state), Part(spec.view), numbers(spec.agents)
    return joint_net(key, parts, net, config.critic_hidden, config.convolutions, config.activation)


def critic_reads(spec: Spec, observation: Observation) -> tuple[Array, ...]:
    """Returns the inputs of the critic: state, own view and agent id, leaves [..., N, 1, *]."""
    return *actors.central(spec, observation), jnp.eye(spec.agents)[:, None]


def intrinsic_rewards(config: Config, raw: Array) -> Array:
    """Returns the bounded r_in of every own action, [..., A]. raw [..., A]: the critic's outputs."""
    return config.intrinsic_limit * jnp.tanh(raw / config.intrinsic_limit)


def credit(config: Config, spec: Spec, critic: JointNet, target: JointNet, episodes: replay.Episodes) -> Credit:
    """Returns proxy and extrinsic returns and advantages (eq. 5 to 8), by `lambda_returns` on the target's values."""
    raw, proxy_value, extrinsic_value = critic(*critic_reads(spec, episodes.before))
    _, proxy_after, extrinsic_after = target(*critic_reads(spec, episodes.after))
    intrinsic = chosen(intrinsic_rewards(config, raw), episodes.action)
    team = credited(episodes.reward, config.credit)
    returns = lambda reward, after: lambda_returns(  # noqa: E731
        reward, lax.stop_gradient(after), episodes.terminated, episodes.ended, config.gamma, config.lambda_
    )
    own = jnp.where(episodes.valid[..., None], team + config.intrinsic_weight * intrinsic, 0.0)
    proxy, extrinsic = returns(own, proxy_after), returns(team, extrinsic_after)
    advantage = proxy - lax.stop_gradient(proxy_value)
    if config.standardise:
        advantage = smoothly_standardised(advantage, episodes.valid)
    return Credit(
        intrinsic, proxy, advantage, lax.stop_gradient(extrinsic), lax.stop_gradient(extrinsic - extrinsic_value)
    )


def policy_loss(logits: Array, action: Array, advantage: Array, valid: Array) -> Array:
    """Returns -(sum m A_i log pi(a_i)) / sum m, per agent [N], with the mask m of valid steps.

    The advantage carries gradient, because the intrinsic rewards learn through it.
    """
    return -mean_valid(advantage * log_prob(logits, action), valid)


def extrinsic_objective(logits: Array, before: Array, action: Array, advantage: Array, valid: Array) -> Array:
    """Returns the extrinsic objective of new policies, to first order, from data of the old ones (eq. 9), [].

    It is the mean over agents of (pi_i' / pi_i) A_ex. logits, before [T, B, N, A]: of the new and the old policies.
    """
    ratio = jnp.exp(log_prob(logits, action) - lax.stop_gradient(log_prob(before, action)))
    return mean_valid(ratio * advantage, valid).mean()


def value_errors(values: tuple[Array, Array], found: Credit, valid: Array) -> Array:
    """Returns the sum of the squared errors of the proxy and the extrinsic value, each the mean over agents, []."""
    pairs = zip(values, (found.proxy_return, found.extrinsic_return), strict=True)
    return jnp.stack([critic_loss(value, lax.stop_gradient(target), valid).mean() for value, target in pairs]).sum()


def make(config: Config, env: Environment) -> Algorithm:
    require_discrete(env, "liir", images=True)
    spec, acts = env.spec, actions(env.spec.action)
    team = actors.recurrent_team(config, env, acts, config.actors, config.core, config.hidden, config.activation)
    actor_optimizer = team.optimizer(
        differentiable_rmsprop(config.learning_rate, config.clip, config.decay, config.epsilon)
    )
    critic_optimizer = optimizer("rmsprop", config.critic_learning_rate, config.clip, config.decay, config.epsilon)

    def init(key: Key) -> State:
        key_actor, key_critic = jax.random.split(key)
        actor, critic = team.init(key_actor), new_critic(config, spec, key_critic)
        opt_states = actor_optimizer.init(actor), critic_optimizer.init(critic)  # pyright: ignore[reportArgumentType]
        return State(actor, critic, jax.tree.map(jnp.copy, critic), *opt_states, jnp.zeros((), jnp.int32))

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        outputs, memory = team.step(state.actor, observation.view, memory)
        policy = acts(outputs, observation.available)
        action = policy.sample(key) if explore else policy.mode()
        value = state.critic(*critic_reads(spec, observation))[2]
        return action, team.acted(memory, action), {**policy.notes(), "value": value}

    def logits_of(actor: RecurrentNet, steps: Transition) -> Array:
        """Returns log pi(. | history) up to a constant, [T, B, N, A]."""
        before = jax.tree.map(lambda x: x[0], steps.memory)
        outputs = team.unroll(actor, steps.observation.view, before, None, steps.action)
        return acts(outputs, steps.observation.available).logits

    def actor_step(state: State, steps: Transition, advantage: Array) -> tuple[RecurrentNet, PyTree, Array]:
        """Returns (actors, their optimizer state, loss []) after the step on the proxy advantages (eq. 6)."""

        def loss(actor: RecurrentNet) -> Array:
            logits = logits_of(actor, steps)
            losses = policy_loss(logits, steps.action, advantage, steps.valid)
            return team.total(losses - config.entropy_coefficient * mean_valid(entropy(logits), steps.valid))

        value, grads = jax.value_and_grad(loss)(state.actor)
        return *take_step(actor_optimizer, state.actor, state.actor_opt_state, grads), value

    def update(key: Key, state: State, steps: Transition):
        episodes, valid = replay.of_rollout(steps), steps.valid
        before = logits_of(state.actor, steps)

        def loss(critic: JointNet):
            found = credit(config, spec, critic, state.target_critic, episodes)
            actor, opt_state, policy = actor_step(state, steps, found.proxy_advantage)
            now, advantage = logits_of(actor, steps), found.extrinsic_advantage
            earned = extrinsic_objective(now, before, steps.action, advantage, valid)
            _, *values = critic(*critic_reads(spec, steps.observation))
            error = value_errors(tuple(values), found, valid)
            metrics = {
                "policy_loss": policy,
                "critic_loss": error,
                "extrinsic_objective": earned,
                "intrinsic_reward": mean_valid(jnp.abs(found.intrinsic), valid).mean(),
            }
            return error - earned, (actor, opt_state, metrics)

        grads, (actor, actor_opt_state, metrics) = jax.grad(loss, has_aux=True)(state.critic)
        critic, critic_opt_state = take_step(critic_optimizer, state.critic, state.critic_opt_state, grads)
        updates = state.updates + 1
        target = towards(state.target_critic, critic, 1, updates % config.target_period == 0)
        metrics["entropy"] = mean_valid(entropy(before), valid).mean()
        metrics["critic_gradient_norm"] = optax.tree.norm(grads)
        return State(actor, critic, target, actor_opt_state, critic_opt_state, updates), metrics

    return Algorithm(init, act, update, memory=team.memory, whole_episodes=True)
