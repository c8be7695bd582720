"""The family of REINFORCE and one-step actor-critic: one gradient step after each rollout.

An actor ascends mean A log pi(a | o). A member of the family defines the advantage A, and whether a critic learns. With
separate actors, each agent ascends its own objective. docs/algorithms/reinforce.md, docs/algorithms/actor_critic.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.algorithms import actors
from comity.algorithms.normalised_views import Settings as Views
from comity.algorithms.normalised_views import normalised
from comity.learning import critic_loss, mean_valid, optimizer, policy_loss, take_step
from comity.networks import MLP, Activation, Core, Team
from comity.rollout import starts
from comity.settings import Fraction, NotNegative, Positive, check
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config(actors.Settings, Views):
    """Settings of both members. Paper: the widths and rate known from ALITA's table 3, and its common settings."""

    actors: Literal["separate", "shared"] = "separate"  # networks: one set for each agent, or one for all
    core: Core = "none"  # memory of an actor; critics have no memory
    hidden: Positive[int] = 128  # width of the two layers
    activation: Activation = "relu"  # after every hidden layer
    learning_rate: Positive[float] = 1e-3  # learning rate of actors and critics (Adam)
    epsilon: Positive[float] = 1e-8  # Adam's epsilon, added to the root
    clip: Positive[float] = 10.0  # largest gradient norm, of each network; paper 0.5
    gamma: Fraction = 0.95  # discount per step
    entropy_coefficient: NotNegative[float] = 0.01  # weight of the entropy in the loss; paper none

    def __post_init__(self):
        check(self)


PAPER: dict[str, Any] = {"clip": 0.5, "entropy_coefficient": 0.0}


class State(NamedTuple):
    actor: PyTree  # leaves [N, ...] if separate
    critic: MLP | tuple[()]
    actor_opt_state: PyTree
    critic_opt_state: PyTree


Values = tuple[Array, Array] | None  # V before and after each step, [T, B, N]


class Member(NamedTuple):
    """The definition of an algorithm of the family."""

    targets: Callable[[Transition, Values], tuple[Array, Array]]  # -> (targets of the critic, A), [T, B, N]
    critic: bool  # True: a critic learns
    whole_episodes: bool
    steps: int | None = None  # T of a rollout


def plain(config: Config, env: Environment, member: Member) -> Algorithm:
    spec, acts = env.spec, actors.actions_of(config, env)
    team = actors.recurrent_team(config, env, acts, config.actors, config.core, config.hidden, config.activation)
    new_critic = partial(MLP, hidden=(config.hidden,) * 2, outputs=1, activation=config.activation)
    sees = actors.present(spec)
    values = Team(new_critic, spec.agents, sees, config.actors, convolutions=config.convolutions, width=config.hidden)
    adam = optimizer("adam", config.learning_rate, config.clip, epsilon=config.epsilon)
    descent, fit = team.optimizer(adam), values.optimizer(adam)

    def evaluate(critic: PyTree, view: Array) -> Array:
        """Returns V of every agent, [..., N], for views [..., N, V]."""
        return values.call(critic, actors.present_view(sees, view))[..., 0]

    def init(key: Key) -> State:
        key_actor, key_critic = jax.random.split(key)
        actor = team.init(key_actor)
        critic = values.init(key_critic) if member.critic else ()
        return State(actor, critic, descent.init(actor), fit.init(critic) if member.critic else ())

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        outputs, memory = team.step(state.actor, observation.view, memory)
        policy = acts(outputs, observation.available)
        action = policy.sample(key) if explore else policy.mode()
        return action, team.acted(memory, action), policy.notes()

    def update(key: Key, state: State, steps: Transition) -> tuple[State, dict[str, Array]]:
        view, valid = steps.observation.view, steps.valid
        known = None
        if member.critic:
            known = evaluate(state.critic, view), evaluate(state.critic, steps.next_observation.view)
        targets, advantage = member.targets(steps, known)

        def climbed(actor: PyTree) -> tuple[Array, dict[str, Array]]:
            before = jax.tree.map(lambda x: x[0], steps.memory)
            policy = acts(team.unroll(actor, view, before, starts(steps), steps.action), steps.observation.available)
            loss = policy_loss(policy.log_prob(steps.action), advantage, valid)
            entropy = mean_valid(policy.entropy(steps.action), valid)
            told = {"policy_loss": loss.mean(), "entropy": entropy.mean()}
            return team.total(loss - config.entropy_coefficient * entropy), told

        grads, metrics = jax.grad(climbed, has_aux=True)(state.actor)
        actor, opt_state = take_step(descent, state.actor, state.actor_opt_state, grads)
        critic, critic_opt_state = state.critic, state.critic_opt_state
        if member.critic:
            error = lambda critic: critic_loss(evaluate(critic, view), targets, valid)  # noqa: E731
            losses, pull = jax.vjp(error, critic)
            (down,) = pull(jnp.full_like(losses, 1.0 if values.separate else 1 / len(losses)))
            critic, critic_opt_state = take_step(fit, critic, critic_opt_state, down)
            metrics["critic_loss"] = losses.mean()
        metrics["gradient_norm"] = optax.tree.norm(grads)
        return State(actor, critic, opt_state, critic_opt_state), metrics

    return Algorithm(init, act, update, team.memory, whole_episodes=member.whole_episodes, steps=member.steps)


def learner(config: Config, env: Environment, member: Member) -> Algorithm:
    return normalised(config, env, lambda env: plain(config, env, member))
