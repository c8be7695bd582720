"""A head on the actor's memory that predicts the others' actions in the same step, for PG and PPO.

    loss: - weight * mean over valid steps and other agents of log p(a_t of the other | memory after o_0, ..., o_t)

Section 5.2 of "hidden gifts" asks whether agents that predict each other leave gifts. At step t an agent has seen
o_0, ..., o_t, and the others choose a_t at the same time, so a_t is the next action that can be predicted.
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
    """Settings of the prediction. The learner adds its own settings."""

    predict: Literal["none", "others"] = "none"  # others: a head on the actor's memory predicts the others' actions
    prediction_weight: NotNegative[float] = 0.1  # weight of its cross-entropy (nats) in the actor's loss; not tuned


class Predictor(NamedTuple):
    head: Linear  # leaves [N, ...] if actors are separate
    opt_state: PyTree


def begin(
    config: Settings, key: Key, env: Environment, size: int, separate: bool, optimizer: optax.GradientTransformation
) -> Predictor | None:
    """Returns a new predictor, or None if the settings ask for none. size: width of an actor's memory.

    Raises ValueError if there is no other agent, or if actions are not one discrete choice.
    """
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
    """Returns the prediction as a term of the actors' gradient, if the settings ask for it. size: see `begin`."""
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
    """Returns (outputs [T, ..., out], the memories they are computed from [T, ..., H], or () without prediction)."""
    memories = net.memories(x, memory, starts)
    return net.output(memories), memories if config.predict == "others" else ()


def prediction_loss(head: Linear, memories: Array, action: Array, valid: Array, separate: bool) -> tuple[Array, Array]:
    """Returns (-mean log p(a_t of the others | memory), share of correct predictions), means over the others, [N].

    memories [T, B, N, H], action [T, B, N], valid [T, B]. An agent does not know which actions are available to the
    others, so the prediction is over all actions.
    """
    outputs = per_agent(lambda net, x: net(x), (0, 2), 2)(head, memories) if separate else head(memories)
    theirs = in_a_circle(action, own=False)  # [T, B, N, N - 1]
    logits = outputs.reshape(*theirs.shape, -1)
    right = (logits.argmax(-1) == theirs).astype(jnp.float32)
    return -mean_valid(log_prob(logits, theirs).mean(-1), valid), mean_valid(right.mean(-1), valid)


def objective(
    config: Settings, head: Linear, memories: Array, action: Array, valid: Array, separate: bool
) -> tuple[Array, dict[str, Array]]:
    """Returns (the term of the actors' loss, metrics). With separate actors it is a sum of independent losses."""
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
    """Returns (gradient by memories, the predictor after one step, metrics)."""

    def loss(head: Linear, memories: Array):
        return objective(config, head, memories, action, valid, separate)

    (grad_head, grad_memories), metrics = jax.grad(loss, (0, 1), has_aux=True)(predictor.head, memories)
    return grad_memories, Predictor(*take_step(optimizer, *predictor, grad_head)), metrics
