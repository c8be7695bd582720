"""COMA: counterfactual multi-agent policy gradients (Foerster et al. 2018, arXiv 1705.08926).

One central critic says what each agent's every action is worth, given what the others do: Q(s, (b, a_-i)). Each agent
climbs E[A_i grad log pi_i(a_i | history)], where A_i is Q of what was done minus what the agent's policy would have
given on average in its place. Settings and presets are those of "The challenge of hidden gifts in multi-agent
reinforcement learning" (Malenfant & Richards 2025, arXiv 2505.20579). docs/algorithms/coma.md derives it and lists
every departure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.algorithms.released import critics
from comity.compatibility import require_discrete
from comity.learning import (
    Reward,
    chosen,
    credited,
    entropy,
    fit_backwards,
    lambda_returns,
    linear,
    log_prob,
    mean_valid,
    optimizer,
    per_agent_optimizer,
    policy_logits,
    policy_loss,
    replay,
    sample,
    take_step,
    towards,
)
from comity.networks import MLP, Activation, RecurrentNet, per_agent, shared, stacked
from comity.rollout import shapes
from comity.settings import Fraction, Positive, check
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config:
    """Settings of COMA. Paper: the text and tables of "hidden gifts"; code: its authors' implementation."""

    actors: Literal["separate", "shared"] = "separate"  # paper and code: one actor for all agents
    critic_reads: Literal["joint", "present"] = "joint"  # paper and code: only the own view without the own past
    credit: Reward = "mean"  # whose reward the critic predicts; paper and code: own
    learning_rate: Positive[float] = 5e-4  # of actors; paper 5e-5, code 5e-4
    critic_learning_rate: Positive[float] = 5e-4  # paper 5e-5, code 5e-4
    gamma: Fraction = 0.99  # per step
    lambda_: Fraction = 0.8  # of the targets (Foerster et al.); paper and code 1
    hidden: Positive[int] = 64  # width of every layer of an actor; paper 64, code 128
    critic_hidden: Positive[int] = 128  # width of the critic's two hidden layers; paper 64, code 128
    activation: Activation = "relu"  # paper ReLU, code GELU
    critic_schedule: Literal["each-step", "batch"] = (
        "each-step"  # one critic step per time index, last first, or one in all
    )
    target_period: Positive[int] = 200  # critic steps, at least, between two copies to the target; paper 1 update
    clip: Positive[float] = 10.0  # gradient norm: of the critic, of each actor
    decay: Fraction = 0.99  # RMSprop's alpha, per optimizer step
    epsilon: Positive[float] = 1e-5  # RMSprop's, added to the root
    exploration: Literal["none", "floor"] = (
        "none"  # floor: mix the uniform policy in, in play and in the gradient (code)
    )
    floor_start: Fraction = 0.8  # weight of the uniform policy at the start (code)
    floor_end: Fraction = 0.01  # and from floor_steps on (code)
    floor_steps: Positive[float] = 2e6  # steps of a batch; one update advances by T
    entropy_bonus: float = 0.0  # c in r + c H(pi); the code's max-entropy has -1e-4 (a penalty)
    entropy_enters: Literal["targets", "too-late"] = "targets"  # too-late (code): no target that is learned from
    last_value: Literal["target", "marked"] = "target"  # what follows the last step; marked (code): coma.md
    learns_from: Literal["rollout", "replay"] = "rollout"  # paper and code: replay, off-policy without correction
    capacity: Positive[int] = 320  # episodes in the replay; paper 320, code 1,000
    batch: Positive[int] = 32  # episodes drawn per update from the replay; paper and code 32
    replacement: bool = True  # an episode may be drawn twice for one update; code: no

    def __post_init__(self):
        check(self)


PAPER = {
    "actors": "shared",
    "critic_reads": "present",
    "credit": "own",
    "learning_rate": 5e-5,
    "critic_learning_rate": 5e-5,
    "lambda_": 1.0,
    "critic_hidden": 64,
    "target_period": 1,
    "learns_from": "replay",
}
RELEASED = {
    **PAPER,
    "learning_rate": 5e-4,
    "critic_learning_rate": 5e-4,
    "hidden": 128,
    "critic_hidden": 128,
    "activation": "gelu",
    "target_period": 200,
    "exploration": "floor",
    "entropy_enters": "too-late",
    "last_value": "marked",
    "capacity": 1_000,
    "replacement": False,
}
PRESETS = {
    "sound": {},
    "paper": PAPER,
    "released": RELEASED,
    "released-max-entropy": {**RELEASED, "entropy_bonus": -1e-4},
}


class State(NamedTuple):
    actor: RecurrentNet  # leaves [N, ...] if separate
    critic: MLP  # one for all agents
    target_critic: MLP
    actor_opt_state: PyTree
    critic_opt_state: PyTree
    replay: replay.Replay | tuple[()]
    since: Array  # [] int32, critic steps since the target was copied
    time: Array  # [] int32, steps of a batch so far


def counterfactual_baseline(q: Array, logits: Array) -> Array:
    """sum_b pi_i(b) Q(s, (b, a_-i)), [..., N] (eq. 4): what agent i would earn if only its own action were redrawn.

    q [..., N, A]: the worth of each own action, given the others'; logits [..., N, A] of pi.
    """
    return (jax.nn.softmax(logits) * q).sum(-1)


def advantages(q: Array, logits: Array, action: Array) -> Array:
    """A_i = Q(s, a) - sum_b pi_i(b) Q(s, (b, a_-i)), [..., N] (eq. 4). q, logits [..., N, A]; action [..., N]."""
    return chosen(q, action) - counterfactual_baseline(q, logits)


def critic_loss(q: Array, action: Array, targets: Array, valid: Array) -> Array:
    """Mean squared error of Q(s, a) against its targets over valid steps, per agent [N].

    q [T, B, N, A]; action, targets [T, B, N]; valid [T, B]. The actions not taken are not in it.
    """
    return mean_valid(jnp.square(chosen(q, action) - targets), valid)


def joint_input(observation: Observation, action: Array, actions: int) -> Array:
    """What the critic reads of agent i: state, own view, the others' actions, id. [..., N, S + V + (N - 1) A + N].

    action [..., N] of `actions` many. The others' stand as one-hot in a circle: that of agent i + 1 first.
    """
    agents, lead = action.shape[-1], action.shape
    taken = jax.nn.one_hot(action, actions)  # [..., N, A]
    others = [jnp.roll(taken, -k, axis=-2) for k in range(1, agents)]
    state = jnp.broadcast_to(observation.state[..., None, :], (*lead, observation.state.shape[-1]))
    name = jnp.broadcast_to(jnp.eye(agents), (*lead, agents))
    return jnp.concatenate([state, observation.view, *others, name], -1).astype(jnp.float32)


def make(config: Config, env: Environment) -> Algorithm:
    require_discrete(env, "coma")
    spec = env.spec
    agents, hidden, choices = spec.agents, config.hidden, spec.action.n
    present = spec.view.size - spec.history
    joint = config.critic_reads == "joint"
    size = spec.state.size + spec.view.size + (agents - 1) * choices + agents if joint else present
    separate = config.actors == "separate"
    over_actors = per_agent if separate else shared
    rmsprop = lambda rate: optimizer("rmsprop", rate, config.clip, config.decay, config.epsilon)  # noqa: E731
    critic_optimizer, actor_optimizer = rmsprop(config.critic_learning_rate), rmsprop(config.learning_rate)
    actor_optimizer = per_agent_optimizer(actor_optimizer) if separate else actor_optimizer
    memory = jnp.zeros((agents, hidden))

    def new_actor(key: Key) -> RecurrentNet:
        return RecurrentNet(key, spec.view.size, hidden, choices, config.activation)

    def critic_input(observation: Observation, action: Array) -> Array:
        """[..., N, I]."""
        return joint_input(observation, action, choices) if joint else observation.view[..., :present]

    def floor_at(time: Array) -> Array | None:
        if config.exploration == "none":
            return None
        return linear(config.floor_start, config.floor_end, config.floor_steps, time)

    def ending_of(key: Key, state: State, steps: Transition) -> critics.Ending | tuple[()]:
        if config.last_value == "target":
            return ()
        end, memory = jax.tree.map(lambda x: x[-1], (steps.next_observation, steps.next_memory))
        until = jnp.broadcast_to(critics.longest(steps.valid), steps.valid.shape[1:])
        return critics.Ending(until, act(key, state, memory, end)[0])

    def init(key: Key) -> State:
        key_actor, key_critic = jax.random.split(key)
        actor: PyTree = stacked(new_actor, key_actor, agents) if separate else new_actor(key_actor)
        critic = MLP(key_critic, size, (config.critic_hidden,) * 2, choices, config.activation)
        target = jax.tree.map(jnp.copy, critic)  # a donated state may not hold an array twice
        zero = jnp.zeros((), jnp.int32)
        opt_states = actor_optimizer.init(actor), critic_optimizer.init(critic)  # pyright: ignore[reportArgumentType]
        state = State(actor, critic, target, *opt_states, (), zero, zero)
        if config.learns_from == "rollout":
            return state
        steps = shapes(env, lambda key, memory, observation: act(key, state, memory, observation), memory)
        rows = jax.eval_shape(lambda steps: replay.stored(env, steps, ending_of(key, state, steps)), steps)
        return state._replace(replay=replay.empty(rows, config.capacity))

    def act(key: Key, state: State, memory: Array, observation: Observation, explore: bool = True):
        axis = observation.available.ndim - 2
        step = over_actors(lambda net, x, h: net(x, h), (0, axis, axis), (axis, axis))
        logits, memory = step(state.actor, observation.view, memory)
        logits = policy_logits(logits, observation.available, floor_at(state.time) if explore else None)
        action = sample(key, logits) if explore else logits.argmax(-1).astype(jnp.int32)
        value = counterfactual_baseline(state.critic(critic_input(observation, action)), logits)
        return action, memory, {"probabilities": jax.nn.softmax(logits), "value": value}

    def learn_from(
        key: Key, memories: replay.Replay | tuple[()], steps: Transition, ending: critics.Ending | tuple[()],
        reward_of: Callable | None,
    ):  # fmt: skip
        """(what the replay holds now, the episodes of this update)."""
        if not isinstance(memories, replay.Replay):
            return memories, replay.of_rollout(steps)._replace(extra=ending)
        memories = replay.push(memories, replay.stored(env, steps, ending))
        rows = replay.draw(key, memories, config.batch, replacement=config.replacement)
        return memories, replay.paid(replay.restored(env, rows), reward_of)

    def update(key: Key, state: State, steps: Transition, reward_of: Callable | None = None):
        key_draw, key_last = jax.random.split(key)
        memories, episodes = learn_from(key_draw, state.replay, steps, ending_of(key_last, state, steps), reward_of)
        observation, valid = episodes.observation, episodes.valid  # leaves [T + 1, B, ...]; [T, B]
        floor = floor_at(state.time)

        def unroll(actor: RecurrentNet) -> Array:
            """log pi(. | history) up to a constant, [T + 1, B, N, A]."""
            net = over_actors(lambda net, x, h: net.unroll(x, h), (0, 2, 1), 2)
            first = jnp.zeros((*observation.view.shape[1:3], hidden))
            return policy_logits(net(actor, observation.view, first), observation.available, floor)

        logits, pull_back = jax.vjp(unroll, state.actor)

        # What follows a cut episode is worth Q of what the policy would do next: drawn, because it was not played.
        marked = config.last_value == "marked"
        after = episodes.extra.action if marked else sample(key_last, logits[-1])
        action = jnp.concatenate([episodes.action, after[None]])
        inputs = critic_input(observation, action)
        following = chosen(state.target_critic(inputs[1:]), action[1:])  # [T, B, N]
        reward = credited(episodes.reward, config.credit)
        if config.entropy_enters == "targets":
            reward += jnp.where(valid[..., None], config.entropy_bonus * entropy(logits[:-1]), 0.0)
        if marked:
            worth = lambda seen, did: chosen(state.target_critic(critic_input(seen, did)), did)  # noqa: E731
            targets = critics.marked_targets(worth, reward, following, episodes, config.gamma, config.lambda_)
        else:
            ends = episodes.terminated, episodes.ended
            targets = lambda_returns(reward, following, *ends, config.gamma, config.lambda_)

        def error(critic: MLP, group):
            x, action, targets, valid = group
            q = critic(x)
            return critic_loss(q, action, targets, valid).mean(), q

        groups = len(valid) if config.critic_schedule == "each-step" else 1
        data = (inputs[:-1], action[:-1], targets, valid)
        critic, critic_opt_state, q = fit_backwards(
            error, critic_optimizer, state.critic, state.critic_opt_state, data, valid, groups
        )
        since = state.since + valid.reshape(groups, -1).any(-1).sum(dtype=jnp.int32)
        copied = since >= config.target_period
        target_critic = towards(state.target_critic, critic, 1, copied)

        advantage = advantages(q, logits[:-1], action[:-1])  # [T, B, N], carries no gradient

        def loss(logits: Array) -> Array:
            losses = policy_loss(log_prob(logits[:-1], action[:-1]), advantage, valid)
            return losses.sum() if separate else losses.mean()  # separate actors climb each their own

        policy, grad_logits = jax.value_and_grad(loss)(logits)
        (grads,) = pull_back(grad_logits)
        actor, actor_opt_state = take_step(actor_optimizer, state.actor, state.actor_opt_state, grads)
        metrics = {
            "policy_loss": policy,
            "critic_loss": critic_loss(q, action[:-1], targets, valid).mean(),
            "baseline": mean_valid(counterfactual_baseline(q, logits[:-1]), valid).mean(),
            "entropy": mean_valid(entropy(logits[:-1]), valid).mean(),
            "gradient_norm": optax.tree.norm(grads),
        }
        since, time = jnp.where(copied, 0, since), state.time + len(steps.valid)
        return State(actor, critic, target_critic, actor_opt_state, critic_opt_state, memories, since, time), metrics

    replays = config.learns_from == "replay"
    return Algorithm(init, act, update, memory=memory, whole_episodes=True, replays=replays)
