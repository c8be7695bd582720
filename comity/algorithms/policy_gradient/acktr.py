"""ACKTR: actor-critic with Kronecker-factored natural gradients and a trust region (Wu et al. 2017, arXiv 1708.05144),
one learner per agent.

    actor:  F = E[grad log pi grad log pi^T]
    critic: F = the Gauss-Newton matrix, which is the Fisher matrix of values with normal noise
    step:   -min(eta_max, sqrt(2 delta / v^T F v)) v,   v = F^-1 grad,   F ~ A (x) G for each layer

learning/kronecker.py has the factors, their averages and the step. docs/algorithms/acktr.md lists every departure.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from comity.algorithms import actors
from comity.algorithms.normalised_views import Settings as Views
from comity.algorithms.normalised_views import normalised
from comity.compatibility import require_vectors
from comity.learning import critic_loss, lambda_returns, mean_valid, policy_loss, standardised
from comity.learning.kronecker import Curvature, Rules, fresh_curvature, observed, trusted_step
from comity.networks import MLP, Activation, Team
from comity.networks.watched import factors_of, matrices, with_matrices
from comity.rollout import starts
from comity.settings import BelowOne, Fraction, NotNegative, Positive, check
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config(actors.Settings, Views):
    """Settings of ACKTR. Paper: Wu et al. 2017 and its authors' code."""

    actors: Literal["separate", "shared"] = "separate"  # separate: each agent has its own factors and bound
    hidden: Positive[int] = 64  # width of the two layers of actors and critics
    activation: Activation = "tanh"  # after every hidden layer
    steps: NotNegative[int] = 0  # T of a rollout; 0: the game's length. Paper 2,500 transitions
    gamma: Fraction = 0.99  # discount per step
    lambda_: Fraction = 0.97  # lambda of the advantages
    learning_rate: Positive[float] = 0.25  # eta_max, largest factor of the natural gradient
    rate_falls: bool = False  # the actors' rate falls linearly to 0 over rate_steps; paper True
    rate_steps: Positive[float] = 1e6  # transitions
    limit: Positive[float] = 2e-3  # delta, nats: bound of the KL of a step of actors; paper 0.001
    momentum: BelowOne = 0.0  # decay of the average of natural gradients; paper 0.9
    factor_decay: BelowOne = 0.95  # decay of the averages of factors; paper 0.99
    damping: Positive[float] = 0.01  # is added to F
    inverse_every: Positive[int] = 1  # rollouts between two inversions of the factors
    entropy_coefficient: NotNegative[float] = 0.0  # weight of the entropy in the loss; paper 0.01
    clip: Positive[float] = 1e6  # largest gradient norm of each network, before F^-1; paper 0.5
    critic_steps: Positive[int] = 20  # steps of a critic per rollout, each on the whole rollout; paper 1
    critic_limit: Positive[float] = 0.03  # delta of one step of a critic; paper 0.001
    critic_deviation: Literal["error", "one"] = "error"  # deviation of the values' noise: the error; paper 1
    value_coefficient: Positive[float] = 0.5  # weight of the critic's squared error

    def __post_init__(self):
        check(self)


PAPER: dict[str, Any] = {
    "steps": 2_500,
    "rate_falls": True,
    "limit": 1e-3,
    "momentum": 0.9,
    "factor_decay": 0.99,
    "clip": 0.5,
    "entropy_coefficient": 0.01,
    "critic_steps": 1,
    "critic_limit": 1e-3,
    "critic_deviation": "one",
    "normalise_views": True,
}
PRESETS = {"sound": {}, "paper": PAPER}


class State(NamedTuple):
    actor: PyTree  # leaves [N, ...] if separate
    critic: MLP  # leaves [N, ...]
    actor_curvature: Curvature  # leaves [N, ...] if separate
    critic_curvature: Curvature  # leaves [N, ...]
    updates: Array  # [] int32


def rules(config: Config, rate: Any) -> Rules:
    return Rules(rate, config.momentum, config.factor_decay, config.damping, config.clip)


def learned(
    rules: Rules, team: Team, curvature: Curvature, net: PyTree, grads: PyTree, limit: Array
) -> tuple[PyTree, Curvature, Array]:
    """Returns (networks after a step, curvature, the step's size v^T F v, [N] or []).

    grads: gradients of the networks; limit: delta, [N] or [].
    """
    step = partial(trusted_step, rules)
    steps, curvature, size = (jax.vmap(step) if team.separate else step)(curvature, matrices(grads), limit)
    return with_matrices(net, tuple(map(jnp.add, matrices(net), steps))), curvature, size


def updated_curvature(
    rules: Rules, team: Team, curvature: Curvature, log_probs: Any, net: PyTree, renew: Array
) -> Curvature:
    """Returns the curvature after one more rollout. log_probs(net): see `factors_of`."""
    add = partial(observed, rules)
    add = jax.vmap(add, (0, 0, None)) if team.separate else add
    return add(curvature, factors_of(log_probs, net), renew)


def learner(config: Config, env: Environment) -> Algorithm:
    spec, acts = env.spec, actors.actions_of(config, env)
    team = actors.recurrent_team(config, env, acts, config.actors, "none", config.hidden, config.activation)
    new_critic = partial(MLP, hidden=(config.hidden,) * 2, outputs=1, activation=config.activation)
    sees = actors.present(spec)
    values = Team(new_critic, spec.agents, sees)

    def evaluate(critic: PyTree, view: Array) -> Array:
        """Returns V of every agent, [..., N], for views [..., N, V]."""
        return values.call(critic, actors.present_view(sees, view))[..., 0]

    def init(key: Key) -> State:
        key_actor, key_critic = jax.random.split(key)
        actor, critic = team.init(key_actor), values.init(key_critic)
        begin = lambda team, net: (jax.vmap(fresh_curvature) if team.separate else fresh_curvature)(matrices(net))  # noqa: E731
        return State(actor, critic, begin(team, actor), begin(values, critic), jnp.int32(0))

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        outputs, memory = team.step(state.actor, observation.view, memory)
        policy = acts(outputs, observation.available)
        action = policy.sample(key) if explore else policy.mode()
        return action, team.acted(memory, action), policy.notes()

    def improve(state: State, steps: Transition, advantage: Array) -> tuple[PyTree, Curvature, dict[str, Array]]:
        """Returns (actors, their curvature, metrics) after one step on the advantage."""
        before, valid = jax.tree.map(lambda x: x[0], steps.memory), steps.valid

        def policy_of(net: PyTree) -> Any:
            outputs = team.unroll(net, steps.observation.view, before, starts(steps), steps.action)
            return acts(outputs, steps.observation.available)

        def loss(net: PyTree) -> tuple[Array, tuple[Any, Array, Array]]:
            policy = policy_of(net)
            climbed = policy_loss(policy.log_prob(steps.action), advantage, valid)
            entropy = mean_valid(policy.entropy(steps.action), valid)
            return team.total(climbed - config.entropy_coefficient * entropy), (policy, climbed, entropy)

        left = 1 - state.updates * valid.size / config.rate_steps
        rate = config.learning_rate * (jnp.maximum(left, 0.0) if config.rate_falls else 1.0)
        how, renew = rules(config, rate), state.updates % config.inverse_every == 0
        # F needs actions drawn from the policy; the actions of the rollout are such draws.
        log_probs = lambda net: policy_of(net).log_prob(steps.action)  # noqa: E731
        curvature = updated_curvature(how, team, state.actor_curvature, log_probs, state.actor, renew)
        grads, (old, climbed, entropy) = jax.grad(loss, has_aux=True)(state.actor)
        limit = jnp.full(spec.agents if team.separate else (), config.limit)
        actor, curvature, size = learned(how, team, curvature, state.actor, grads, limit)
        kl = mean_valid(lax.stop_gradient(old).kl(policy_of(actor)), valid)
        metrics = {"policy_loss": climbed.mean(), "entropy": entropy.mean(), "kl": kl.mean(), "kl_most": kl.max()}
        metrics |= {"kl_model": size.mean() / 2, "gradient_norm": optax.tree.norm(grads)}
        return actor, curvature, metrics

    def fit(state: State, steps: Transition, targets: Array) -> tuple[PyTree, Curvature, Array]:
        """Returns (critics and their curvature after all steps on the rollout, their loss before)."""
        view, how = steps.observation.view, rules(config, config.learning_rate)
        renew = state.updates % config.inverse_every == 0
        # For normal noise of deviation 1 the mean of g g^T over the noise is that of the derivatives of the values.
        outputs = lambda net: evaluate(net, view)  # noqa: E731
        curvature = updated_curvature(how, values, state.critic_curvature, outputs, state.critic, renew)
        errors = lambda critic: critic_loss(evaluate(critic, view), targets, steps.valid)  # noqa: E731
        first = errors(state.critic)
        limit = config.critic_limit * (first if config.critic_deviation == "error" else jnp.ones_like(first))

        def step(carry: tuple[PyTree, Curvature], _: None):
            grads = jax.grad(lambda critic: config.value_coefficient * errors(critic).sum())(carry[0])
            return learned(how, values, carry[1], carry[0], grads, limit)[:2], None

        (critic, curvature), _ = lax.scan(step, (state.critic, curvature), None, config.critic_steps)
        return critic, curvature, first.mean()

    def update(key: Key, state: State, steps: Transition) -> tuple[State, dict[str, Array]]:
        value = evaluate(state.critic, steps.observation.view)
        following = evaluate(state.critic, steps.next_observation.view)
        targets = lambda_returns(steps.reward, following, steps.terminated, steps.ended, config.gamma, config.lambda_)
        advantage = standardised(targets - value, steps.valid, together=not team.separate)
        actor, actor_curvature, metrics = improve(state, steps, advantage)
        critic, critic_curvature, loss = fit(state, steps, targets)
        after = State(actor, critic, actor_curvature, critic_curvature, state.updates + 1)
        return after, {**metrics, "critic_loss": loss}

    return Algorithm(init, act, update, team.memory, steps=config.steps or None)


def make(config: Config, env: Environment) -> Algorithm:
    require_vectors(env, "acktr")
    return normalised(config, env, partial(learner, config))
