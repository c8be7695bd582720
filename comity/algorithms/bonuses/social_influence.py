"""Social influence: an agent is paid for the change that its action makes in the others' next actions (Jaques et al.
2019, arXiv 1810.08647, with the model of other agents, section 5).

    b_i = sum over j of KL( p(a_j' | o_i, a)  ||  sum over x of pi_i(x | o_i) p(a_j' | o_i, (x, a_-i)) )

p is i's own model of j's next action, and pi_i the policy with which i acted. The second distribution is what i would
expect of j without knowing its own action. docs/algorithms/social_influence.md derives it and lists every departure.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.compatibility import require_choices, require_one_head
from comity.learning import as_often, take_step
from comity.networks import MLP, joint_net, numbers, per_agent, stacked
from comity.networks.joint import Part
from comity.settings import NotNegative, Positive, check
from comity.types import Bonus, Environment, Experience, Key, PyTree, Transition

VERSION = 1


@dataclass(frozen=True)
class Config:
    """Settings of the influence bonus. The sizes are ours; the paper's model is recurrent."""

    weight: NotNegative[float] = 0.1  # beta, in units of the game's reward per nat; paper: a search for each game
    limit: Positive[float] = 10.0  # largest influence of an agent in a step, nats; code 10
    hidden: tuple[Positive[int], ...] = (64, 64)  # widths of an agent's model of the others, with ReLU
    learning_rate: Positive[float] = 1e-3  # learning rate of the models (Adam)
    batch: Positive[int] = 256  # transitions per step of the models, drawn from the rollout
    every: Positive[int] = 100  # transitions of a rollout for one step of the models

    def __post_init__(self):
        check(self)


PRESETS = {"sound": {}}


class State(NamedTuple):
    model: PyTree  # the models of all agents, leaves [N, ...]
    opt_state: PyTree


def require_others(env: Environment) -> None:
    """Raises ValueError, one line, for a game without choices of one head, without others or without a next step."""
    require_choices(env, "social-influence")
    require_one_head(env, "social-influence")
    if env.spec.agents < 2:
        raise ValueError("social-influence pays for influence on others, and this game has one agent: leave it out")
    if env.spec.length < 2:
        raise ValueError("social-influence pays for the others' next actions, and this game has one step: leave it out")


def make(config: Config, env: Environment) -> Bonus:
    require_others(env)
    spec = env.spec
    agents, choices = spec.agents, spec.action.n
    others = jnp.array([[j for j in range(agents) if j != i] for i in range(agents)])  # [N, N - 1]
    adam = optax.adam(config.learning_rate)

    def fresh(key: Key) -> PyTree:
        net = partial(MLP, hidden=config.hidden, outputs=(agents - 1) * choices)
        return joint_net(key, (Part(spec.view), numbers(agents * choices)), net, config.hidden[0])

    def predicted(model: PyTree, view: Array, done: Array) -> Array:
        """Returns log p(a_j' | o_i, a), [..., N, N - 1, A].

        view [..., N, *view]; done [..., N, N A]: the joint action that each agent assumes.
        """
        axis = done.ndim - 2
        each = lambda net, view, done: net(jnp.expand_dims(view, done.ndim - 1), done[..., None, :])  # noqa: E731
        logits = per_agent(each, (0, axis, axis), axis)(model, view, done)
        return jax.nn.log_softmax(logits.reshape(*logits.shape[:-1], agents - 1, choices))

    def as_each_has_it(action: Array) -> Array:
        """Returns the joint action, one-hot, repeated for each agent: [..., N, N A]."""
        done = jax.nn.one_hot(action, choices).reshape(*action.shape[:-1], 1, agents * choices)
        return jnp.broadcast_to(done, (*action.shape, agents * choices))

    def had_it_done(action: Array, x: int) -> Array:
        """Returns the joint action in which each agent's own action is replaced by x: [..., N, N A]."""
        done = as_each_has_it(action).reshape(*action.shape, agents, choices)
        own = jnp.eye(agents, dtype=bool)[..., None]  # [N, N, 1]
        return jnp.where(own, jax.nn.one_hot(x, choices), done).reshape(*action.shape, agents * choices)

    def init(key: Key) -> State:
        model = stacked(fresh, key, agents)
        return State(model, adam.init(model))

    def reward(state: State, experience: Experience) -> Array:
        """Returns b, [..., N]: 0 at the end of an episode, where no action follows."""
        view, action, policy = experience.observation.view, experience.action, experience.notes["probabilities"]
        instead = jnp.stack([predicted(state.model, view, had_it_done(action, x)) for x in range(choices)])
        weights = jnp.moveaxis(policy, -1, 0)[..., None, None]  # [A, ..., N, 1, 1]
        averaged = jnp.log(jnp.maximum((weights * jnp.exp(instead)).sum(0), 1e-30))
        chosen = jax.nn.one_hot(action, choices)
        took = jnp.moveaxis(chosen, -1, 0)[..., None, None]
        actual = (took * instead).sum(0)  # log p given the action that was taken
        paid = jnp.minimum((jnp.exp(actual) * (actual - averaged)).sum((-2, -1)), config.limit)
        ended = experience.terminated if experience.truncated is None else experience.terminated | experience.truncated
        return jnp.where(ended[..., None], 0.0, paid)

    def update(key: Key, state: State, steps: Transition) -> tuple[State, dict[str, Array]]:
        if len(steps.valid) < 2:
            raise ValueError(
                "social-influence learns from an action and the next one: give rollouts of two steps or more"
            )
        follows = (steps.valid & ~steps.ended)[:-1] & steps.valid[1:]
        before: Any = jax.tree.map(lambda x: x[:-1], (steps.observation.view, as_each_has_it(steps.action)))
        after = steps.action[1:][..., others]  # [T - 1, B, N, N - 1]
        view, done, meant, valid = (x.reshape(-1, *x.shape[2:]) for x in (*before, after, follows))

        def step(carry: tuple, key: Key) -> tuple[tuple, dict[str, Array]]:
            drawn = jax.random.randint(key, (config.batch,), 0, len(valid))
            present = valid[drawn]

            def loss(model: PyTree) -> Array:  # a sum of the agents' losses, which share no parameters
                found = predicted(model, view[drawn], done[drawn])
                found = jnp.take_along_axis(found, meant[drawn][..., None], -1)[..., 0].sum(-1)  # [batch, N]
                return -(jnp.where(present[:, None], found, 0.0).sum(0) / jnp.maximum(present.sum(), 1)).sum()

            error, grads = jax.value_and_grad(loss)(carry[0])
            after = take_step(adam, carry[0], carry[1], grads)
            keep = lambda new, old: jnp.where(present.any(), new, old)  # noqa: E731
            return jax.tree.map(keep, after, carry), {"error": error / (agents * (agents - 1))}

        (model, opt_state), told = as_often(config.every, key, len(valid), step, (state.model, state.opt_state))
        return State(model, opt_state), told

    return Bonus(init, reward, update, reads=("probabilities",))
