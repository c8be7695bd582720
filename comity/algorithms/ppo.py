"""PPO for teams of recurrent agents (Schulman et al. 2017, arXiv 1707.06347): what IPPO and MAPPO have in common.

Both play on without a break, learn from generalised advantages, and climb a clipped surrogate for several epochs over
chunks of the rollout. They differ by their critics only, which are arguments of `learner`: how many, and what they
read. docs/algorithms/mappo.md derives it and lists every departure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from comity.algorithms import context, prediction
from comity.compatibility import require_discrete
from comity.learning import (
    Moments,
    Reward,
    credited,
    entropy,
    fresh_moments,
    lambda_returns,
    log_prob,
    masked,
    mean_valid,
    normalised,
    optimizer,
    per_agent_optimizer,
    restored,
    sample,
    standardised,
    take_step,
    updated_moments,
)
from comity.networks import Activation, ContextNet, DeepRecurrentNet, per_agent, stacked
from comity.rollout import starts
from comity.settings import AT_LEAST_ONE, FRACTION, NOT_NEGATIVE, POSITIVE, check
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition

WIDTHS = ("whole numbers of 1 or greater", lambda xs: all(type(x) is int and x >= 1 for x in xs))


@dataclass(frozen=True)
class Config(prediction.Settings, context.Settings):
    """Settings of the family. Paper: the text and tables of "hidden gifts"; code: its authors' implementation."""

    actors: Literal["separate", "shared"] = "separate"  # paper: shared in MAPPO, separate in IPPO; code: separate
    actor_reads: Literal["view", "views"] = "view"  # views: everyone's, with the own last action alone (code, variant)
    steps: int = 0  # T of a rollout; 0: env.length
    chunk: int = 10  # most steps that a gradient goes back; the largest divisor of T that is no greater. Attention: T
    epochs: int = 5  # passes over a rollout; paper and code 15
    minibatches: int = 1  # per epoch, at most, see `divisor`; paper 1, code 5
    learning_rate: float = 5e-4  # of actors; paper and code 1e-5
    critic_learning_rate: float = 5e-4  # paper and code 1e-5
    epsilon: float = 1e-5  # Adam's, added to the root (code)
    actor_clip: float = 10.0  # gradient norm, per network; paper 10, code 10 (IPPO), 1 (MAPPO)
    critic_clip: float = 10.0  # paper 10, code 1
    clip: float = 0.2  # of the ratio, and of what a value moves, in deviations
    entropy_coefficient: float = 0.01  # of H in the loss; paper and code 1e-4
    entropy_bonus: float = 0.0  # c in r + c H(pi); the paper's max-entropy 1e-4, its code -1e-4 (a penalty)
    gamma: float = 0.99  # per step
    lambda_: float = 0.95  # of the advantages; paper 0.95, code 0.95 (IPPO), 1 (MAPPO)
    credit: Reward = "own"  # whose reward an agent learns from
    huber: float = 10.0  # deviations: where the critic's loss turns from a square into a line
    value_normalisation: bool = True  # critics learn returns in deviations from their running mean
    value_decay: float = 0.99999  # of the running mean and variance, per optimizer step
    encoder: tuple[int, ...] = (64,)  # widths of the dense layers before the GRU; paper and code 32, 64, 64
    hidden: int = 64  # width of the GRU
    layer_norm: bool = True  # after the GRU
    activation: Activation = "relu"  # paper ReLU, code ReLU (IPPO), GELU (MAPPO)
    view_scale: float = 1.0  # inputs are multiplied by it; paper and code 1/255

    def __post_init__(self):
        check(
            self,
            steps=NOT_NEGATIVE,
            chunk=AT_LEAST_ONE,
            epochs=AT_LEAST_ONE,
            minibatches=AT_LEAST_ONE,
            learning_rate=POSITIVE,
            critic_learning_rate=POSITIVE,
            epsilon=POSITIVE,
            actor_clip=POSITIVE,
            critic_clip=POSITIVE,
            clip=POSITIVE,
            entropy_coefficient=NOT_NEGATIVE,
            gamma=FRACTION,
            lambda_=FRACTION,
            huber=POSITIVE,
            value_decay=FRACTION,
            encoder=WIDTHS,
            hidden=AT_LEAST_ONE,
            view_scale=POSITIVE,
            **context.RULES,
            **prediction.RULES,
        )
        context.check_heads(self)
        if self.network == "attention" and self.steps:
            raise ValueError(
                f"steps {self.steps} with network attention, whose rollouts are whole episodes: set it to 0"
            )


PAPER = {  # what IPPO and MAPPO share in its tables
    "epochs": 15,
    "learning_rate": 1e-5,
    "critic_learning_rate": 1e-5,
    "entropy_coefficient": 1e-4,
    "encoder": (32, 64, 64),  # a 3 x 3 kernel on the 3 x 3 window is a dense layer of 32 on its 27 numbers
    "view_scale": 1 / 255,
}
RANDOMISED = {"learning_rate": 1e-6, "critic_learning_rate": 1e-3}  # figure 10: a policy that stays near its first


class State(NamedTuple):
    actor: DeepRecurrentNet | ContextNet  # leaves [N, ...] if separate
    critic: DeepRecurrentNet  # leaves [C, ...], C = N or 1
    returns: Moments  # mean and variance of returns so far, per agent
    actor_opt_state: PyTree
    critic_opt_state: PyTree
    predictor: prediction.Predictor | None


class Batch(NamedTuple):
    """A rollout cut into R = B T / c pieces of c steps."""

    actor_input: Array  # [N, c, R, V]
    critic_input: Array  # [C, c, R, S]
    actor_memory: Array | None  # [N, R, H] before the first step; None: it begins with no context
    critic_memory: Array  # [C, R, H]
    starts: Array  # [c, R] bool, memory restarts before this step
    available: Array  # [c, R, N, A]
    action: Array  # [c, R, N]
    log_prob: Array  # [c, R, N], when it was played
    advantage: Array  # [c, R, N], mean 0, variance 1
    value: Array  # [c, R, N], as the critic gave it in play
    target: Array  # [c, R, N], what it should give
    valid: Array  # [c, R]


PIECES = Batch(2, 2, 1, 1, *(1,) * 8)  # pyright: ignore[reportArgumentType]  # which axis of each is R


def policy_loss(logits: Array, action: Array, old_log_prob: Array, advantage: Array, valid: Array, clip) -> Array:
    """-mean_m min(rho A, clip(rho, 1 - clip, 1 + clip) A), per agent [N] (eq. 7); rho: pi over the pi that played.

    logits [T, B, N, A]; action, old_log_prob, advantage [T, B, N]; valid m [T, B].
    """
    return surrogate_loss(log_prob(logits, action), old_log_prob, advantage, valid, clip)


def surrogate_loss(log_probs: Array, old_log_prob: Array, advantage: Array, valid: Array, clip) -> Array:
    """The same from log-probabilities [T, B, ...] of the actions; one for each of the axes behind [T, B]."""
    ratio = jnp.exp(log_probs - old_log_prob)
    return -mean_valid(jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - clip, 1 + clip) * advantage), valid)


def value_loss(values: Array, old_values: Array, targets: Array, valid: Array, clip, huber) -> Array:
    """mean_m max(h(V - G), h(V_near - G)), per agent [N]. V_near: V, but at most `clip` away from what it was in play.

    h: Huber's loss, a square below `huber`, a line beyond. values, old_values, targets [T, B, N]; valid m [T, B].
    """
    near = old_values + jnp.clip(values - old_values, -clip, clip)
    loss = partial(optax.losses.huber_loss, targets=targets, delta=huber)
    return mean_valid(jnp.maximum(loss(values), loss(near)), valid)


def divisor(size: int, most: int) -> int:
    """The largest divisor of `size` that is at most `most`."""
    return next(d for d in range(min(size, most), 0, -1) if size % d == 0)


def cut(x: Array, chunk: int) -> Array:
    """[T, B, ...] -> [chunk, T/chunk * B, ...]: pieces of consecutive steps, side by side."""
    return x.reshape(-1, chunk, *x.shape[1:]).swapaxes(0, 1).reshape(chunk, -1, *x.shape[2:])


def own_views(observation: Observation) -> Array:
    """[..., N, V] what each agent sees."""
    return observation.view


def all_views(env: Environment, observation: Observation) -> Array:
    """[..., 1, N V'] what all agents see, one after the other, without their own pasts (`env.history_size`)."""
    view = observation.view[..., : env.view_size - getattr(env, "history_size", 0)]
    return view.reshape(*view.shape[:-2], 1, -1)


def views_size(env: Environment) -> int:
    """How many numbers `all_views` gives."""
    return env.num_agents * (env.view_size - getattr(env, "history_size", 0))


def misread(x: Array) -> Array:
    """x [..., B, N] where numbers ordered (agent, game) are taken for ones ordered (game, agent): the shape stays."""
    return x.swapaxes(-1, -2).reshape(x.shape)


def learner(
    config: Config,
    env: Environment,
    name: str,
    critics: int,
    values: int,
    reads: Callable[[Observation], Array],
    size: int,
    misread_actions: bool = False,
) -> Algorithm:
    """The family's algorithm with so many `critics`, each of so many `values`: N of 1, 1 of N, or 1 of 1 for all.

    reads: Observation -> what the critics read, [..., critics, size]. misread_actions: see docs/algorithms/mappo.md.
    """
    require_discrete(env, name)
    agents, hidden, separate = env.num_agents, config.hidden, config.actors == "separate"
    gated = config.network == "gru"
    one_value = critics * values < agents
    history = getattr(env, "history_size", 0)
    actor_size = env.view_size + (agents - 1) * (env.view_size - history if config.actor_reads == "views" else 0)
    adam = partial(optimizer, "adam", epsilon=config.epsilon)
    actor_optimizer = adam(config.learning_rate, config.actor_clip)
    actor_optimizer = per_agent_optimizer(actor_optimizer) if separate else actor_optimizer
    critic_optimizer = per_agent_optimizer(adam(config.critic_learning_rate, config.critic_clip))
    of_actor = 0 if separate else None  # the axis of agents in the actor's parameters

    def network(key: Key, inputs: int, outputs: int, gain: float) -> DeepRecurrentNet:
        norm = config.layer_norm
        return DeepRecurrentNet(key, inputs, config.encoder, hidden, outputs, config.activation, norm, gain)

    def actor_input(observation: Observation) -> Array:
        """[..., N, V], float."""
        view = observation.view
        if config.actor_reads == "views":
            everyone = all_views(env, observation)
            everyone = jnp.broadcast_to(everyone, (*view.shape[:-1], everyone.shape[-1]))
            view = jnp.concatenate([everyone, view[..., env.view_size - history :]], -1)
        return view.astype(jnp.float32) * config.view_scale

    def critic_input(observation: Observation) -> Array:
        """[..., C, S], float."""
        read = reads(observation)
        return jnp.broadcast_to(read, (*read.shape[:-2], critics, size)).astype(jnp.float32) * config.view_scale

    def each_value(outputs: Array) -> Array:
        """Outputs of all critics [..., C, values] as one value per agent [..., N]."""
        return jnp.broadcast_to(outputs.reshape(*outputs.shape[:-2], critics * values), (*outputs.shape[:-2], agents))

    def evaluate(state: State, observation: Observation, memory: Array) -> tuple[Array, Array]:
        """(V in reward units [..., N], next memory [..., N, H]). One critic's memory is repeated for all agents."""
        axis = observation.available.ndim - 2
        step = per_agent(lambda net, x, h: net(x, h), (0, axis, axis), (axis, axis))
        outputs, after = step(state.critic, critic_input(observation), memory[..., :critics, :])
        value = each_value(outputs)
        value = restored(value, state.returns) if config.value_normalisation else value
        return value, jnp.broadcast_to(after, memory.shape)

    def init(key: Key) -> State:
        key_actor, key_critic = jax.random.split(key)
        if gated:
            new_actor = partial(network, inputs=actor_size, outputs=env.num_actions, gain=0.01)
        else:
            new_actor = partial(context.new_actor, config, env=env, inputs=actor_size, encoder=config.encoder)
        actor: PyTree = stacked(new_actor, key_actor, agents) if separate else new_actor(key_actor)
        critic = stacked(partial(network, inputs=size, outputs=values, gain=1.0), key_critic, critics)
        opt_states = actor_optimizer.init(actor), critic_optimizer.init(critic)
        predictor = prediction.begin(config, jax.random.fold_in(key, 1), env, hidden, separate, actor_optimizer)
        return State(actor, critic, fresh_moments(agents), *opt_states, predictor)

    def act(key: Key, state: State, memory: tuple[PyTree, Array], observation: Observation, explore: bool = True):
        axis = observation.available.ndim - 2
        step = per_agent(lambda net, x, h: net(x, h), (of_actor, axis, axis), (axis, axis))
        logits, actor_memory = step(state.actor, actor_input(observation), memory[0])
        logits = masked(logits, available_to(observation.available))
        action = sample(key, logits) if explore else logits.argmax(-1).astype(jnp.int32)
        value, critic_memory = evaluate(state, observation, memory[1])
        notes = {"probabilities": jax.nn.softmax(logits), "log_prob": log_prob(logits, action), "value": value}
        if misread_actions:
            notes["meant"], action = action, misread(action) if action.ndim > 1 else action
        return action, (actor_memory, critic_memory), notes

    def available_to(available: Array) -> Array:
        """What an actor holds for available, [..., N, A]."""
        if not misread_actions or available.ndim < 3:
            return available
        shape = available.shape  # the inverse of `misread`, so that what the game takes for its action is legal
        return available.reshape(*shape[:-3], agents, -1, shape[-1]).swapaxes(-2, -3)

    def targets(state: State, steps: Transition) -> tuple[Array, Array]:
        """(returns, advantages) [T, B, N]: lambda-returns in reward units, and what they are above the critic."""
        surprise = jax.scipy.special.entr(steps.notes["probabilities"]).sum(-1)
        bonus = jnp.where(steps.valid[..., None], config.entropy_bonus * surprise, 0.0)
        reward = credited(steps.reward, config.credit) + bonus
        next_value, _ = evaluate(state, steps.next_observation, steps.next_memory[1])
        returns = lambda_returns(reward, next_value, steps.terminated, steps.ended, config.gamma, config.lambda_)
        return returns, returns - steps.notes["value"]

    def update(key: Key, state: State, steps: Transition):
        returns, advantage = targets(state, steps)
        value, target, moments = steps.notes["value"], returns, state.returns
        chunk = divisor(len(steps.valid), config.chunk) if gated else len(steps.valid)
        count = steps.valid.size // chunk
        minibatches = divisor(count, config.minibatches)
        length = config.epochs * minibatches  # optimizer steps
        if config.value_normalisation:
            value = normalised(value, moments)
            moments = updated_moments(moments, returns, steps.valid, config.value_decay**length, one_value)
            target = normalised(returns, moments)

        pieces = partial(cut, chunk=chunk)
        agents_first = lambda x: jnp.moveaxis(pieces(x), 2, 0)  # noqa: E731
        first = lambda memory: jnp.moveaxis(memory[::chunk].reshape(-1, *memory.shape[2:]), 1, 0)  # noqa: E731
        rows = Batch(
            agents_first(actor_input(steps.observation)),
            agents_first(critic_input(steps.observation)),
            # Whole episodes begin with no context; that of every step would be T times too much to keep.
            first(steps.memory[0]) if gated else None,
            first(steps.memory[1][..., :critics, :]),
            pieces(starts(steps)),
            pieces(available_to(steps.observation.available)),
            pieces(steps.notes["meant"] if misread_actions else steps.action),
            pieces(steps.notes["log_prob"]),
            pieces(standardised(advantage, steps.valid, together=not separate)),
            pieces(value),
            pieces(target),
            pieces(steps.valid),
        )

        def loss(networks, batch: Batch):
            actor, critic, head = networks
            unroll = lambda net, x, memory: net.unroll(x, memory, batch.starts)  # noqa: E731
            remember = lambda net, x, memory: prediction.unrolled(config, net, x, memory, batch.starts)  # noqa: E731
            acted = per_agent(remember, (of_actor, 0, 0), (2, 2))
            logits, memories = acted(actor, batch.actor_input, batch.actor_memory)
            logits = masked(logits, batch.available)
            policy = policy_loss(logits, batch.action, batch.log_prob, batch.advantage, batch.valid, config.clip)
            surprise = mean_valid(entropy(logits), batch.valid)
            outputs = per_agent(unroll, (0, 0, 0), 2)(critic, batch.critic_input, batch.critic_memory)
            errors = value_loss(each_value(outputs), batch.value, batch.target, batch.valid, config.clip, config.huber)
            actors_loss = policy - config.entropy_coefficient * surprise  # [N]
            # Separate networks climb each their own loss, so the sum only collects them.
            total = actors_loss.sum() if separate else actors_loss.mean()
            total += errors.sum() if critics == agents else errors.mean()
            log_ratio = log_prob(logits, batch.action) - batch.log_prob
            clipped = jnp.abs(jnp.exp(log_ratio) - 1) > config.clip
            metrics = {
                "policy_loss": policy.mean(),
                "critic_loss": errors.mean(),
                "entropy": surprise.mean(),
                "kl": -mean_valid(log_ratio, batch.valid).mean(),  # from the policy that played to this one
                "clipped": mean_valid(clipped.astype(jnp.float32), batch.valid).mean(),
            }
            if head is not None:
                more, guesses = prediction.objective(config, head, memories, batch.action, batch.valid, separate)
                total, metrics = total + more, metrics | guesses
            return total, metrics

        def step(carry, chosen):
            networks, opt_states = carry
            pick = partial(jnp.take, indices=chosen, mode="clip")
            axes = PIECES if gated else PIECES._replace(actor_memory=None)
            batch = rows if chosen is None else jax.tree.map(lambda x, axis: pick(x, axis=axis), rows, axes)
            grads, metrics = jax.grad(loss, has_aux=True)(networks, batch)
            metrics["gradient_norm"] = optax.tree.norm(grads[0])
            actor, actor_opt_state = take_step(actor_optimizer, networks[0], opt_states[0], grads[0])
            critic, critic_opt_state = take_step(critic_optimizer, networks[1], opt_states[1], grads[1])
            head, head_opt_state = networks[2], opt_states[2]
            if head is not None:
                head, head_opt_state = take_step(actor_optimizer, head, head_opt_state, grads[2])
            return ((actor, critic, head), (actor_opt_state, critic_opt_state, head_opt_state)), metrics

        head, head_opt_state = state.predictor or (None, None)
        carry = ((state.actor, state.critic, head), (state.actor_opt_state, state.critic_opt_state, head_opt_state))
        order = None  # one minibatch is all pieces, in any order
        if minibatches > 1:
            order = jax.vmap(partial(jax.random.permutation, x=count))(jax.random.split(key, config.epochs))
            order = order.reshape(length, -1)
        (networks, opt_states), metrics = lax.scan(step, carry, order, length)
        predictor = None if networks[2] is None else prediction.Predictor(networks[2], opt_states[2])
        return State(*networks[:2], moments, *opt_states[:2], predictor), jax.tree.map(jnp.mean, metrics)

    memory = context.fresh_memory(config, env), jnp.zeros((agents, hidden))
    return Algorithm(init, act, update, memory, whole_episodes=not gated, steps=config.steps or None)
