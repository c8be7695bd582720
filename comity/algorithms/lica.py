"""LICA: learning implicit credit assignment (Zhou et al. 2020, arXiv 2007.02529).

One central critic Q(s, u) of what all agents do. The actors climb it at u = their action probabilities, all at once and
straight through it, so that nobody says who contributed what. An entropy term whose gradient is divided by the entropy
keeps policies as random as its weight says. docs/algorithms/lica.md derives it and lists every departure.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from comity.compatibility import require_discrete
from comity.learning import (
    credited,
    entropy,
    lambda_returns,
    masked,
    mean_valid,
    optimizer,
    per_agent_optimizer,
    replay,
    sample,
    take_step,
    towards,
)
from comity.learning.relaxed import relaxed
from comity.networks import MLP, Activation, FlatCritic, MixingCritic, RecurrentNet, per_agent, shared, stacked
from comity.networks.mixers import matched_width
from comity.settings import Fraction, NotNegative, Positive, check
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition

Entropy = Literal["batch", "per_agent", "l2", "fixed"]


@dataclass(frozen=True)
class Config:
    """Settings of LICA. Paper: its text; code: the authors' implementation, on StarCraft maps."""

    actors: Literal["separate", "shared"] = "separate"  # paper and code: shared; a shared one reads the agent's id too
    network: Literal["gru", "mlp"] = "gru"  # of an actor; mlp: two hidden layers and no memory
    last_action: bool = False  # an actor reads its own last action beside its view; code: True
    critic: Literal["mixing", "mlp", "mlp-matched"] = "mixing"
    # mlp: a plain network of critic_width, or of as many parameters as the mixing one has
    critic_reads: Literal["state", "views"] = "state"  # views: all agents', side by side
    critic_width: Positive[int] = 64  # E; of the two hidden layers of a plain one
    critic_layers: Literal["one", "two"] = "two"  # of the hypernetworks of its weights
    climbs: Literal["probabilities", "gumbel"] = "probabilities"  # what of the actors goes into the critic
    temperature: Positive[float] = 1.0  # of gumbel
    entropy: Entropy = "batch"  # by what its gradient is divided; paper per_agent, code batch; fixed: by nothing
    entropy_weight: NotNegative[float] = 0.06  # xi, or beta if fixed;
    # paper and code 0.11 on 5m_vs_6m, 0.03 to 0.06 elsewhere
    credit: Literal["mean", "sum"] = "mean"  # of agents' rewards: the team's
    learning_rate: Positive[float] = 2.5e-3  # of actors (code)
    critic_learning_rate: Positive[float] = 5e-4  # (code)
    gamma: Fraction = 0.99  # per step (code)
    lambda_: Fraction = 0.8  # of the targets (code)
    target_period: Positive[int] = 200  # updates between two copies of the critic to its target (code)
    clip: Positive[float] = 10.0  # gradient norm: of the critic, of each actor (code)
    epsilon: Positive[float] = 1e-8  # Adam's, added to the root
    hidden: Positive[int] = 64  # width of every layer of an actor
    activation: Activation = "relu"  # of actors

    def __post_init__(self):
        check(self)


RELEASED = {"actors": "shared", "last_action": True, "entropy_weight": 0.11}
PRESETS = {
    "sound": {},
    "paper": {**RELEASED, "entropy": "per_agent"},
    "released": RELEASED,
    "particle": {"network": "mlp", "critic_reads": "views"},  # unpublished: a reading
    "mlp-critic": {"critic": "mlp"},
    "gumbel": {"climbs": "gumbel"},
    "fixed-entropy": {"entropy": "fixed", "entropy_weight": 0.15},
}


class Memory(NamedTuple):
    """What an actor carries from step to step."""

    hidden: Array | tuple[()]  # [N, H] of a gru
    last: Array | tuple[()]  # [N, A], its last action as one-hot, zeros at the start


class State(NamedTuple):
    actor: RecurrentNet | MLP  # leaves [N, ...] if separate
    critic: MixingCritic | FlatCritic
    target_critic: MixingCritic | FlatCritic
    actor_opt_state: PyTree
    critic_opt_state: PyTree
    since: Array  # [] int32, updates since the target was copied


def critic_loss(q: Array, targets: Array, valid: Array) -> Array:
    """Mean squared error of Q(s_t, a_t) against its targets over valid steps, []. Leaves [T, B]."""
    return mean_valid(jnp.square(q - targets), valid)


def critic_targets(config: Config, reward: Array, following: Array, terminated: Array, ended: Array) -> Array:
    """Lambda-returns G_t of the team's reward, [T, B].

    reward [T, B, N]; following [T, B]: the target critic's Q of what was seen and done after step t; flags [T, B].
    """
    team = credited(reward, config.credit)[..., 0]
    return lambda_returns(team, following, terminated, ended, config.gamma, config.lambda_)


def mean_choice(x: Array, available: Array, valid: Array) -> Array:
    """Mean [] of x [T, B, N] over valid steps and agents that have a choice. available [T, B, N, A], valid [T, B]."""
    counts = valid[..., None] & (available.sum(-1) > 1)
    return jnp.where(counts, x, 0.0).sum() / jnp.maximum(counts.sum(), 1)


def entropy_term(logits: Array, available: Array, valid: Array, kind: Entropy) -> Array:
    """What the actors gain from entropy, [], to be weighed by xi or beta (section 4.2).

    logits [T, B, N, A], masked. With H the entropy of an agent in a state (nats), means over valid steps and agents
    that have a choice, and sg for no gradient:
    batch: mean H / sg(mean H), whose gradient is that of log mean H (the authors' code);
    per_agent: mean (H / sg H), dH_k = -(log p_k + 1) / H (eq. 8);
    l2: mean (H sg |p - uniform|_2), the other measure that the paper names, 1 / |p - uniform|, in the place of H;
    fixed: mean H.
    """
    each = entropy(logits)
    if kind == "per_agent":
        each = each / lax.stop_gradient(jnp.maximum(each, 1e-8))
    elif kind == "l2":
        uniform = available / jnp.maximum(available.sum(-1, keepdims=True), 1)
        each = each * lax.stop_gradient(jnp.linalg.norm(jax.nn.softmax(logits) - uniform, axis=-1))
    mean = mean_choice(each, available, valid)
    return mean / lax.stop_gradient(jnp.maximum(mean, 1e-8)) if kind == "batch" else mean


def climbed(config: Config, key: Key, logits: Array) -> Array:
    """u [..., N, A], what of the actors goes into the critic; an unavailable action's entry is exactly 0.

    probabilities: the policies themselves. gumbel: one-hot draws from them, with the gradient of
    softmax((logits + noise) / temperature) (straight-through; Jang et al. 2017). logits [..., N, A], masked.
    """
    how = "softmax" if config.climbs == "probabilities" else "straight-through"
    return relaxed(key, logits, how, config.temperature)


def policy_loss(q: Array, valid: Array, randomness: Array, weight: Array | float) -> Array:
    """-(mean_m Q(s_t, pi_1, ..., pi_N)) - weight randomness, []. q, valid [T, B]; randomness []: `entropy_term`."""
    return -mean_valid(q, valid) - weight * randomness


def make(config: Config, env: Environment) -> Algorithm:
    require_discrete(env, "lica")
    spec = env.spec
    agents, choices, hidden = spec.agents, spec.action.n, config.hidden
    size = spec.state.size if config.critic_reads == "state" else agents * spec.view.size
    separate, recurrent = config.actors == "separate", config.network == "gru"
    over_actors = per_agent if separate else shared
    inputs = spec.view.size + choices * config.last_action + agents * (not separate)
    actor_optimizer = optimizer("adam", config.learning_rate, config.clip, epsilon=config.epsilon)
    actor_optimizer = per_agent_optimizer(actor_optimizer) if separate else actor_optimizer
    critic_optimizer = optimizer("adam", config.critic_learning_rate, config.clip, epsilon=config.epsilon)
    memory = Memory(
        jnp.zeros((agents, hidden)) if recurrent else (), jnp.zeros((agents, choices)) if config.last_action else ()
    )

    def new_actor(key: Key) -> RecurrentNet | MLP:
        if recurrent:
            return RecurrentNet(key, inputs, hidden, choices, config.activation)
        return MLP(key, inputs, (hidden, hidden), choices, config.activation)

    def new_critic(key: Key) -> MixingCritic | FlatCritic:
        joint, layers = agents * choices, 1 if config.critic_layers == "one" else 2
        mixing = lambda key: MixingCritic(key, size, joint, config.critic_width, layers)  # noqa: E731
        if config.critic == "mixing":
            return mixing(key)
        width = config.critic_width
        if config.critic == "mlp-matched":
            parameters = sum(x.size for x in jax.tree.leaves(jax.eval_shape(mixing, key)))
            width = matched_width(size + joint, parameters)
        return FlatCritic(key, size, joint, width)

    def read(view: Array, last: Array | tuple[()]) -> Array:
        """What actors read, [..., N, I]: own view, last action, id."""
        name = () if separate else jnp.broadcast_to(jnp.eye(agents), (*view.shape[:-1], agents))
        parts = [part.astype(jnp.float32) for part in (view, last, name) if not isinstance(part, tuple)]
        return jnp.concatenate(parts, -1)

    def central(observation: Observation) -> Array:
        """What the critic reads, [..., S]."""
        view = observation.view
        return observation.state if config.critic_reads == "state" else view.reshape(*view.shape[:-2], -1)

    def joint(actions: Array) -> Array:
        """[..., N, A] -> [..., N A]."""
        return actions.reshape(*actions.shape[:-2], -1)

    def init(key: Key) -> State:
        key_actor, key_critic = jax.random.split(key)
        actor: PyTree = stacked(new_actor, key_actor, agents) if separate else new_actor(key_actor)
        critic = new_critic(key_critic)
        target = jax.tree.map(jnp.copy, critic)  # a donated state may not hold an array twice
        opt_states = actor_optimizer.init(actor), critic_optimizer.init(critic)  # pyright: ignore[reportArgumentType]
        return State(actor, critic, target, *opt_states, jnp.zeros((), jnp.int32))

    def act(key: Key, state: State, memory: Memory, observation: Observation, explore: bool = True):
        axis = observation.available.ndim - 2
        x, after = read(observation.view, memory.last), memory.hidden
        if recurrent:
            logits, after = over_actors(lambda net, x, h: net(x, h), (0, axis, axis), (axis, axis))(
                state.actor, x, memory.hidden
            )
        else:
            logits = over_actors(lambda net, x: net(x), (0, axis), axis)(state.actor, x)
        logits = masked(logits, observation.available)
        action = sample(key, logits) if explore else logits.argmax(-1).astype(jnp.int32)
        memory = Memory(after, jax.nn.one_hot(action, choices) if config.last_action else ())
        probabilities = jax.nn.softmax(logits)
        value = state.critic(central(observation), joint(probabilities))[..., None]
        return action, memory, {"probabilities": probabilities, "value": jnp.broadcast_to(value, action.shape)}

    def update(key: Key, state: State, steps: Transition):
        key_last, key_noise = jax.random.split(key)
        observation, valid = replay.observed(steps), steps.valid  # leaves [T + 1, B, ...]; [T, B]
        before = jax.nn.one_hot(steps.action, choices)  # [T, B, N, A]
        last = jnp.concatenate([jnp.zeros_like(before[:1]), before]) if config.last_action else ()
        seen, state_seen = read(observation.view, last), central(observation)

        def unroll(actor: RecurrentNet | MLP) -> Array:
            """log pi(. | history) up to a constant, [T + 1, B, N, A]."""
            if recurrent:
                first = jnp.zeros((*seen.shape[1:3], hidden))
                logits = over_actors(lambda net, x, h: net.unroll(x, h), (0, 2, 1), 2)(actor, seen, first)
            else:
                logits = over_actors(lambda net, x: net(x), (0, 2), 2)(actor, seen)
            return masked(logits, observation.available)

        logits, pull_back = jax.vjp(unroll, state.actor)

        # What follows a cut episode is worth Q of what the policy would do next: drawn, because it was not played.
        action = jnp.concatenate([steps.action, sample(key_last, logits[-1])[None]])
        taken = joint(jax.nn.one_hot(action, choices))  # [T + 1, B, N A]
        following = state.target_critic(state_seen[1:], taken[1:])
        targets = critic_targets(config, steps.reward, following, steps.terminated, steps.ended)

        def error(critic: MixingCritic | FlatCritic) -> Array:
            return critic_loss(critic(state_seen[:-1], taken[:-1]), targets, valid)

        loss_critic, grads_critic = jax.value_and_grad(error)(state.critic)
        critic, critic_opt_state = take_step(critic_optimizer, state.critic, state.critic_opt_state, grads_critic)
        copied = state.since + 1 >= config.target_period
        target_critic = towards(state.target_critic, critic, 1, copied)

        available = observation.available[:-1]

        def loss(logits: Array) -> tuple[Array, Array]:
            q = critic(state_seen[:-1], joint(climbed(config, key_noise, logits)))
            randomness = entropy_term(logits, available, valid, config.entropy)
            return policy_loss(q, valid, randomness, config.entropy_weight), q

        (loss_policy, q), grad_logits = jax.value_and_grad(loss, has_aux=True)(logits[:-1])
        (grads,) = pull_back(jnp.concatenate([grad_logits, jnp.zeros_like(logits[-1:])]))
        actor, actor_opt_state = take_step(actor_optimizer, state.actor, state.actor_opt_state, grads)
        metrics = {
            "policy_loss": loss_policy,
            "critic_loss": loss_critic,
            "q": mean_valid(q, valid),
            "entropy": mean_choice(entropy(logits[:-1]), available, valid),
            "gradient_norm": optax.tree.norm(grads),
        }
        since = jnp.where(copied, 0, state.since + 1)
        return State(actor, critic, target_critic, actor_opt_state, critic_opt_state, since), metrics

    return Algorithm(init, act, update, memory=memory, whole_episodes=True)
