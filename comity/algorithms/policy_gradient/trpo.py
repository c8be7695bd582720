"""TRPO: trust region policy optimisation (Schulman et al. 2015, arXiv 1502.05477).

    maximise mean rho A,  rho = pi / pi_old,   subject to  mean KL(pi_old || pi) <= delta

The direction is the natural gradient, by conjugate gradients on the Hessian of the KL. Its length is the longest that
the bound allows. A backtracking line search then shortens the step until it keeps the bound and improves the surrogate.
With separate actors, each agent has its own bound, step and search. docs/algorithms/trpo.md lists every departure.
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
from comity.learning import (
    critic_loss,
    divisor,
    lambda_returns,
    mean_valid,
    optimizer,
    over_minibatches,
    standardised,
    take_step,
)
from comity.learning.curvature import curvature_product, line_search, natural_step
from comity.networks import MLP, Activation, Core, Team
from comity.rollout import starts
from comity.settings import BelowOne, Fraction, NotNegative, Positive, check
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config(actors.Settings, Views):
    """Settings of TRPO. Paper: ALITA's table of the compared algorithms, after OpenAI's baselines."""

    actors: Literal["separate", "shared"] = "separate"  # separate: each agent has its own bound and line search
    core: Core = "none"  # memory of an actor; critics have no memory
    hidden: Positive[int] = 64  # width of the two layers of actors and critics; paper 32
    activation: Activation = "tanh"  # after every hidden layer
    steps: NotNegative[int] = 0  # T of a rollout; 0: the game's length. Paper 1,024 transitions
    gamma: Fraction = 0.99  # discount per step
    lambda_: Fraction = 0.98  # lambda of the advantages
    limit: Positive[float] = 0.01  # delta, nats: bound of the mean KL of a step
    slack: Positive[float] = 1.5  # a step's KL may be this many times delta, because the model of the KL is quadratic
    gradients: Positive[int] = 10  # number of conjugate gradient steps
    damping: NotNegative[float] = 0.1  # is added to the Hessian
    tries: Positive[int] = 10  # number of tries of the line search
    shrink: BelowOne = 0.5  # factor of the step's length from one try to the next
    value_learning_rate: Positive[float] = 1e-3  # learning rate of the critics (Adam)
    value_epochs: Positive[int] = 5  # passes of the critics over a rollout
    value_minibatches: Positive[int] = 16  # most minibatches per epoch; the number divides the steps of a rollout

    def __post_init__(self):
        check(self)


PRESETS = {"sound": {}, "paper": {"hidden": 32, "steps": 1_024, "normalise_views": True}}


class State(NamedTuple):
    actor: PyTree  # leaves [N, ...] if separate
    critic: MLP  # leaves [N, ...]
    critic_opt_state: PyTree


class Local(NamedTuple):
    """Measures of a policy that is close to the policy that played."""

    surrogate: Array  # [N], mean of rho A
    kl: Array  # [N] nats, mean KL(old || new)
    entropy: Array  # [N] nats


def local(team: Team, acts: Any, old: Any, steps: Transition, advantage: Array, params: PyTree) -> Local:
    """Returns `Local` of the policy with `params`, on a rollout that the policy `old` played. advantage [T, B, N]."""
    action, valid = steps.action, steps.valid
    outputs = team.unroll(
        params, steps.observation.view, jax.tree.map(lambda x: x[0], steps.memory), starts(steps), action
    )
    policy = acts(outputs, steps.observation.available)
    ratio = jnp.exp(policy.log_prob(action) - old.log_prob(action))
    measures = ratio * advantage, old.kl(policy), policy.entropy(action)
    return Local(*(mean_valid(x, valid) for x in measures))


def trust_step(config: Config, team: Team, params: PyTree, measure: Any) -> tuple[PyTree, dict[str, Array]]:
    """Returns (parameters after one step, metrics). measure(params) -> `Local`."""
    of_each = lambda x: x if team.separate else x.mean()  # noqa: E731
    before, pull = jax.vjp(lambda params: measure(params).surrogate, params)
    weight = 1.0 if team.separate else 1 / len(before)
    (uphill,) = pull(jnp.full_like(before, weight))
    product = curvature_product(lambda params: team.total(measure(params).kl), params, config.damping)
    step = natural_step(product, uphill, config.gradients, config.limit, team.separate)

    def fits(params: PyTree) -> Array:
        now = measure(params)
        return (of_each(now.surrogate) > of_each(before)) & (of_each(now.kl) <= config.slack * config.limit)

    search = line_search(fits, params, step, config.tries, config.shrink, team.separate)
    now = measure(search.params)
    metrics = {
        "policy_loss": -now.surrogate.mean(),
        "surrogate_gain": (now.surrogate - before).mean(),
        "kl": now.kl.mean(),
        "kl_most": now.kl.max(),
        "entropy": now.entropy.mean(),
        "step_fraction": search.fraction.mean(),
        "gradient_norm": optax.tree.norm(uphill),
    }
    return search.params, metrics


def learner(config: Config, env: Environment) -> Algorithm:
    spec, acts = env.spec, actors.actions_of(config, env)
    team = actors.recurrent_team(config, env, acts, config.actors, config.core, config.hidden, config.activation)
    new_critic = partial(MLP, hidden=(config.hidden,) * 2, outputs=1, activation=config.activation)
    sees = actors.present(spec)
    values = Team(new_critic, spec.agents, sees, convolutions=config.convolutions, width=config.hidden)
    adam = values.optimizer(optimizer("adam", config.value_learning_rate, 1e6, epsilon=1e-8))

    def evaluate(critic: PyTree, view: Array) -> Array:
        """Returns V of every agent, [..., N], for views [..., N, V]."""
        return values.call(critic, actors.present_view(sees, view))[..., 0]

    def init(key: Key) -> State:
        key_actor, key_critic = jax.random.split(key)
        critic = values.init(key_critic)
        return State(team.init(key_actor), critic, adam.init(critic))

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        outputs, memory = team.step(state.actor, observation.view, memory)
        policy = acts(outputs, observation.available)
        action = policy.sample(key) if explore else policy.mode()
        return action, team.acted(memory, action), policy.notes()

    def fit(key: Key, state: State, steps: Transition, targets: Array) -> tuple[PyTree, PyTree, Array]:
        """Returns (critic, its optimizer's state, loss) after all epochs over the rollout."""
        view, valid = steps.observation.view, steps.valid
        rows = jax.tree.map(lambda x: x.reshape(1, -1, *x.shape[2:]), (view, targets, valid))

        def step(carry: tuple[PyTree, PyTree], chosen: Array | None):
            view, target, present = rows if chosen is None else jax.tree.map(lambda x: x[:, chosen], rows)
            losses = lambda critic: critic_loss(evaluate(critic, view), target, present).sum()  # noqa: E731
            loss, grads = jax.value_and_grad(losses)(carry[0])
            return take_step(adam, *carry, grads), loss / spec.agents

        minibatches = divisor(valid.size, config.value_minibatches)
        carry = state.critic, state.critic_opt_state
        carry, loss = over_minibatches(step, carry, key, valid.size, config.value_epochs, minibatches)
        return *carry, loss

    def update(key: Key, state: State, steps: Transition) -> tuple[State, dict[str, Array]]:
        value = evaluate(state.critic, steps.observation.view)
        following = evaluate(state.critic, steps.next_observation.view)
        targets = lambda_returns(steps.reward, following, steps.terminated, steps.ended, config.gamma, config.lambda_)
        advantage = standardised(targets - value, steps.valid, together=not team.separate)
        before = jax.tree.map(lambda x: x[0], steps.memory)
        outputs = team.unroll(state.actor, steps.observation.view, before, starts(steps), steps.action)
        old = lax.stop_gradient(acts(outputs, steps.observation.available))
        measure = partial(local, team, acts, old, steps, advantage)
        actor, metrics = trust_step(config, team, state.actor, measure)
        critic, opt_state, loss = fit(key, state, steps, targets)
        return State(actor, critic, opt_state), {**metrics, "critic_loss": loss}

    return Algorithm(init, act, update, team.memory, steps=config.steps or None)


def make(config: Config, env: Environment) -> Algorithm:
    return normalised(config, env, partial(learner, config))
