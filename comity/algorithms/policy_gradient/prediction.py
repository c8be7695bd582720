"""A head on the actor's memory that predicts what the others do in the same step, for PG and PPO.

Section 5.2 of "hidden gifts" asks whether agents that predict each other leave gifts. At step t an agent has seen
o_0, ..., o_t, and the others choose a_t at the same time, so a_t is the next action there is to predict.
docs/algorithms/pg.md.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.algorithms.terms import Actor, Learned, Term
from comity.compatibility import require_discrete
from comity.learning import in_a_circle, log_prob, mean_valid, take_step
from comity.networks import Linear, Team, per_agent, stacked
from comity.settings import NotNegative
from comity.types import Environment, Key, PyTree


@dataclass(frozen=True)
class Settings:
    """Settings of the prediction; the learner has those of its own."""

    predict: Literal["none", "others"] = "none"  # others: a head on the actor's memory names every other agent's action
    prediction_weight: NotNegative[float] = 0.1  # of its cross-entropy, nats, in the actor's loss; not tuned


class Predictor(NamedTuple):
    head: Linear  # leaves [N, ...] if actors are separate
    opt_state: PyTree


def begin(
    config: Settings, key: Key, env: Environment, size: int, separate: bool, optimizer: optax.GradientTransformation
) -> Predictor | None:
    """size: numbers of an actor's memory. Raises ValueError if there is nobody else, or no single choice to predict."""
    if config.predict == "none":
        return None
    spec = env.spec
    require_discrete(env, "predict 'others'", images=True)
    others = spec.agents - 1
    if not others:
        raise ValueError("predict 'others' needs two agents or more, the game has 1: set predict to 'none'")
    new = lambda key: Linear(key, size, others * spec.action.n)  # noqa: E731
    head: PyTree = stacked(new, key, spec.agents) if separate else new(key)
    return Predictor(head, optimizer.init(head))


def terms(
    config: Settings, env: Environment, team: Team, size: int, optimizer: optax.GradientTransformation
) -> tuple[Term, ...]:
    """The prediction as a term of a learner from whole rollouts, if the settings ask for it; size as in `begin`."""
    if config.predict == "none":
        return ()

    def add(predictor: Predictor, actor: Actor, learned: Learned, grads: PyTree):
        steps = learned.steps
        of_memories, predictor, guesses = learned_head(
            config, optimizer, predictor, actor.memories, steps.action, steps.valid, team.separate
        )
        more = actor.pull(jnp.zeros_like(actor.outputs), of_memories)
        return jax.tree.map(jnp.add, grads, more), predictor, guesses

    return (Term(lambda key, actor: begin(config, key, env, size, team.separate, optimizer), add),)


def unrolled(config: Settings, net, x: Array, memory: PyTree, starts: Array | None = None) -> tuple[Array, PyTree]:
    """(outputs [T, ..., out], what they were read from [T, ..., H], or () if nothing is predicted)."""
    memories = net.memories(x, memory, starts)
    return net.output(memories), memories if config.predict == "others" else ()


def prediction_loss(head: Linear, memories: Array, action: Array, valid: Array, separate: bool) -> tuple[Array, Array]:
    """(-mean_m log p(a_t of the others | memory), share of right guesses), means over the others, per agent [N].

    memories [T, B, N, H], action [T, B, N], valid m [T, B]. What is available to others is not known, so all actions
    count.
    """
    outputs = per_agent(lambda net, x: net(x), (0, 2), 2)(head, memories) if separate else head(memories)
    theirs = in_a_circle(action, own=False)  # [T, B, N, N - 1]
    logits = outputs.reshape(*theirs.shape, -1)
    right = (logits.argmax(-1) == theirs).astype(jnp.float32)
    return -mean_valid(log_prob(logits, theirs).mean(-1), valid), mean_valid(right.mean(-1), valid)


def objective(
    config: Settings, head: Linear, memories: Array, action: Array, valid: Array, separate: bool
) -> tuple[Array, dict[str, Array]]:
    """(what the actors' loss gains, metrics). Separate actors climb each their own, so the sum only collects them."""
    losses, right = prediction_loss(head, memories, action, valid, separate)
    total = config.prediction_weight * (losses.sum() if separate else losses.mean())
    return total, {"prediction_loss": losses.mean(), "prediction_accuracy": right.mean()}


def learned_head(
    config: Settings,
    optimizer: optax.GradientTransformation,
    predictor: Predictor,
    memories: Array,
    action: Array,
    valid: Array,
    separate: bool,
) -> tuple[Array, Predictor, dict[str, Array]]:
    """(gradient of memories, the predictor after one step, metrics)."""

    def loss(head: Linear, memories: Array):
        return objective(config, head, memories, action, valid, separate)

    (grad_head, grad_memories), metrics = jax.grad(loss, (0, 1), has_aux=True)(predictor.head, memories)
    return grad_memories, Predictor(*take_step(optimizer, *predictor, grad_head)), metrics
