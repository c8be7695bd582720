"""PG: independent recurrent policy gradient with a Monte-Carlo critic.

The central learner of "The challenge of hidden gifts in multi-agent reinforcement learning" (Malenfant & Richards 2025,
arXiv 2505.20579).

Each agent climbs E[(G_t - V(o_t)) grad log pi(a_t | history)], where G_t is the discounted return of its own rewards
and V its own critic of the present observation. docs/algorithms/pg.md derives it and lists every departure.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from comity.algorithms import context, correction, prediction
from comity.algorithms.released import critics
from comity.compatibility import require_discrete
from comity.learning import (
    discounted_returns,
    entropy,
    fit_backwards,
    linear,
    log_prob,
    mean_valid,
    per_agent_optimizer,
    policy_logits,
    sample,
    take_step,
)
from comity.networks import MLP, Activation, ContextNet, RecurrentNet, per_agent, shared, stacked
from comity.settings import Fraction, Positive, check
from comity.spec import functions
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config(correction.Settings, prediction.Settings, context.Settings):
    """Settings of PG. Paper: the text and tables; code: the authors' implementation."""

    actors: Literal["separate", "shared"] = "separate"  # paper and code: one actor for all agents; critics are separate
    learning_rate: Positive[float] = 5e-4  # of the actor; paper 5e-5, code 5e-4
    critic_learning_rate: Positive[float] = 5e-4  # paper 5e-5, code 5e-4
    gamma: Fraction = 0.99  # per step
    hidden: Positive[int] = 64  # width of every layer
    activation: Activation = "relu"  # paper ReLU, code GELU
    critic_schedule: Literal["each-step", "batch"] = (
        "each-step"  # one critic step per time index, last first, or one in all
    )
    critic_reads: Literal["present", "view"] = (
        "present"  # without or with the agent's own last action, if the view has it
    )
    critic_optimizer: Literal["separate", "joint"] = "separate"  # joint: one, with one clip, for all critics (code)
    critic_clip: Positive[float] = 10.0  # gradient norm, per optimizer
    decay: Fraction = 0.99  # RMSprop's alpha, per optimizer step
    epsilon: Positive[float] = 1e-5  # RMSprop's, added to the root
    exploration: Literal["none", "floor"] = (
        "none"  # floor: mix the uniform policy in, in play and in the gradient (code)
    )
    floor_start: Fraction = 0.8  # weight of the uniform policy at the start (code)
    floor_end: Fraction = 0.01  # and from floor_steps on (code)
    floor_steps: Positive[float] = 2e6  # steps of a batch; one update advances by T
    entropy_bonus: float = 0.0  # c in r + c H(pi); the paper's max-entropy 1e-4, its code -1e-4 (a penalty)
    last_value: Literal["zero", "first-critic"] = "zero"  # behind the critic's last target; first-critic: code

    def __post_init__(self):
        check(self)
        context.check_heads(self)


PAPER = {"actors": "shared", "learning_rate": 5e-5, "critic_learning_rate": 5e-5}
RELEASED = {
    "actors": "shared",
    "activation": "gelu",
    "exploration": "floor",
    "critic_optimizer": "joint",
    "last_value": "first-critic",
    "correction_trigger": "reward",
}
PRESETS = {
    "sound": {},
    "paper": PAPER,
    "released": RELEASED,
    "max-entropy": {"entropy_bonus": 1e-4},
    "correction": {"correction": "mixed"},
    "self-correction": {"correction": "self_pure"},
    "anti-collective": {"correction": "mixed", "correction_coefficient": -1.0},
    "released-max-entropy": {**RELEASED, "entropy_bonus": -1e-4},
    "released-correction": {**RELEASED, "correction": "released"},
}


class State(NamedTuple):
    actor: RecurrentNet | ContextNet  # leaves [N, ...] if separate
    critic: MLP  # leaves [N, ...]
    first_critic: MLP | None  # the critic as it was drawn, the "target" that the code never updates
    actor_opt_state: PyTree
    critic_opt_state: PyTree
    time: Array  # [] int32, steps of a batch so far
    average: correction.Average | None  # of the correction term
    predictor: prediction.Predictor | None


def policy_loss(logits: Array, action: Array, advantage: Array, valid: Array) -> Array:
    """-(sum m (G_t - V(o_t)) log pi(a_t)) / sum m, per agent [N]; m: the step is part of an episode.

    logits [T, B, N, A]; action, advantage [T, B, N]; valid [T, B]. The advantage carries no gradient.
    """
    return -mean_valid(lax.stop_gradient(advantage) * log_prob(logits, action), valid)


def critic_loss(values: Array, returns: Array, valid: Array) -> Array:
    """Mean squared error of V(o_t) against G_t over valid steps, per agent [N]. Leaves [T, B, N]; valid [T, B]."""
    return mean_valid(jnp.square(values - returns), valid)


def fit_critic(evaluate, optimizer, critic, opt_state, views, returns, valid, groups: int):
    """One optimizer step per group of time indices, the last group first, on mean_m (V(o_t) - G_t)^2.

    views [T, B, N, V], returns [T, B, N], valid [T, B]; groups = T: one step per time index, as in the authors' code;
    groups = 1: one step on the whole batch. Returns (critic, opt_state, values [T, B, N]), where values[t] is V(o_t)
    just before the step on time t: the baseline.
    """

    def loss(critic, group):
        view, target, present = group
        values = evaluate(critic, view)
        return critic_loss(values, target, present).sum(), values

    return fit_backwards(loss, optimizer, critic, opt_state, (views, returns, valid), valid, groups)


def make(config: Config, env: Environment) -> Algorithm:
    require_discrete(env, "pg")
    spec = env.spec
    correction.require(config, env)
    agents, hidden = spec.agents, config.hidden
    present = spec.view.size - (spec.history if config.critic_reads == "present" else 0)
    rmsprop = partial(optax.rmsprop, decay=config.decay, eps=config.epsilon, eps_in_sqrt=False)
    actor_optimizer = rmsprop(config.learning_rate)
    over_critics = critics.joint_optimizer if config.critic_optimizer == "joint" else per_agent_optimizer
    critic_optimizer = over_critics(
        optax.chain(optax.clip_by_global_norm(config.critic_clip), rmsprop(config.critic_learning_rate))
    )
    separate = config.actors == "separate"
    over_actors = per_agent if separate else shared

    def new_actor(key: Key) -> RecurrentNet | ContextNet:
        if config.network == "attention":
            return context.new_actor(config, key, env, spec.view.size, (hidden,))
        return RecurrentNet(key, spec.view.size, hidden, spec.action.n, config.activation)

    def new_critic(key: Key) -> MLP:
        return MLP(key, present, (hidden, hidden), 1, config.activation)

    def evaluate(critic: MLP, views: Array) -> Array:
        """V of every agent: views [..., N, V] -> [..., N]."""
        axis = views.ndim - 2
        return per_agent(lambda net, x: net(x)[..., 0], (0, axis), axis)(critic, views[..., :present])

    def floor_at(time: Array) -> Array | None:
        if config.exploration == "none":
            return None
        return linear(config.floor_start, config.floor_end, config.floor_steps, time)

    def init(key: Key) -> State:
        key_actor, key_critic = jax.random.split(key)
        actor: PyTree = stacked(new_actor, key_actor, agents) if separate else new_actor(key_actor)
        critic = stacked(new_critic, key_critic, agents)
        first = critic if config.last_value == "first-critic" else None
        opt_states = actor_optimizer.init(actor), critic_optimizer.init(critic)
        average = correction.begin(config, actor, agents if separate else None)
        predictor = prediction.begin(config, jax.random.fold_in(key, 1), env, hidden, separate, actor_optimizer)
        return State(actor, critic, first, *opt_states, jnp.zeros((), jnp.int32), average, predictor)

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        axis = observation.available.ndim - 2
        step = over_actors(lambda net, x, h: net(x, h), (0, axis, axis), (axis, axis))
        logits, memory = step(state.actor, observation.view, memory)
        logits = policy_logits(logits, observation.available, floor_at(state.time) if explore else None)
        action = sample(key, logits) if explore else logits.argmax(-1).astype(jnp.int32)
        notes = {"probabilities": jax.nn.softmax(logits), "value": evaluate(state.critic, observation.view)}
        return action, memory, notes

    def update(key: Key, state: State, steps: Transition):
        view, available = steps.observation.view, steps.observation.available
        floor = floor_at(state.time)
        # Whole episodes begin with no context; that of every step, which `act` gave, would be T times too much to keep.
        before = steps.memory[0] if config.network == "gru" else None

        def unroll(actor: RecurrentNet | ContextNet) -> tuple[Array, PyTree]:
            """(log pi(. | history) up to a constant, [T, B, N, A]; memories that others are predicted from, or ())."""
            net = over_actors(partial(prediction.unrolled, config), (0, 2, 1), (2, 2))
            logits, memories = net(actor, view, before)
            return policy_logits(logits, available, floor), memories

        (logits, memories), pull = jax.vjp(unroll, state.actor)
        nothing = jax.tree.map(jnp.zeros_like, memories)
        pull_back = lambda grad_logits: pull((grad_logits, nothing))  # noqa: E731

        reward = steps.reward + jnp.where(steps.valid[..., None], config.entropy_bonus * entropy(logits), 0.0)
        returns = targets = discounted_returns(reward, steps.ended, config.gamma)
        if state.first_critic is not None:
            targets = critics.first_critic_targets(partial(evaluate, state.first_critic), reward, steps, config.gamma)

        groups = len(view) if config.critic_schedule == "each-step" else 1
        critic, critic_opt_state, values = fit_critic(
            evaluate, critic_optimizer, state.critic, state.critic_opt_state, view, targets, steps.valid, groups
        )

        def loss(logits: Array) -> Array:
            losses = policy_loss(logits, steps.action, returns - values, steps.valid)
            return losses.sum() if separate else losses.mean()  # separate actors climb each their own

        actor_loss, grad_logits = jax.value_and_grad(loss)(logits)
        (grads,) = pull_back(grad_logits)
        average, sizes = None, {}
        if config.correction != "none":
            policy = correction.Policy(state.actor, lambda actor: unroll(actor)[0], logits, pull_back, separate)
            shared_reward = functions(env).collective(steps)  # pyright: ignore[reportOptionalCall]
            grads, average, sizes = correction.corrected(
                config, policy, grads, steps, shared_reward, reward - values, config.gamma, state.average
            )
        predictor = None
        if state.predictor is not None:
            grad_memories, predictor, guesses = prediction.learned(
                config, actor_optimizer, state.predictor, memories, steps.action, steps.valid, separate
            )
            (more,) = pull((jnp.zeros_like(logits), grad_memories))
            grads, sizes = jax.tree.map(jnp.add, grads, more), sizes | guesses
        actor, actor_opt_state = take_step(actor_optimizer, state.actor, state.actor_opt_state, grads)
        metrics = {
            "policy_loss": actor_loss,
            "critic_loss": critic_loss(values, targets, steps.valid).mean(),
            "entropy": mean_valid(entropy(logits), steps.valid).mean(),
            "gradient_norm": optax.tree.norm(grads),
            **sizes,
        }
        time = state.time + len(view)
        opt_states = actor_opt_state, critic_opt_state
        return State(actor, critic, state.first_critic, *opt_states, time, average, predictor), metrics

    return Algorithm(init, act, update, memory=context.fresh_memory(config, env), whole_episodes=True)
