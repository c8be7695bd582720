"""RUSP's learner: PPO of one recurrent policy for all agents, with an omniscient critic and opponents from the past.

Baker 2020, "Emergent reciprocity and team formation from randomized uncertain social preferences" (arXiv 2011.05373),
the appendix on training. The preferences themselves are a wrapper of the game. docs/algorithms/rusp.md derives it and
lists every departure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from comity.algorithms.pg import critic_loss
from comity.compatibility import require_discrete
from comity.learning import (
    Moments,
    cut,
    divisor,
    entropy,
    fresh_moments,
    lambda_returns,
    log_prob,
    masked,
    mean_valid,
    normalised,
    optimizer,
    restored,
    sample,
    standardised,
    surrogate_loss,
    take_step,
    updated_moments,
)
from comity.networks import EntityNet, LSTMState, Seen, fresh_lstm
from comity.rollout import starts
from comity.settings import Fraction, NotNegative, Positive, check
from comity.spec import Entities, MultiDiscrete, Vector, View, functions
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition

SELF, RIVAL = 1, 2  # who drives an agent; 0: not yet drawn


@dataclass(frozen=True)
class Config:
    """Settings of RUSP's learner. Paper: its appendix; code: its authors' environments, no learner was released."""

    steps: NotNegative[int] = 50  # T of a rollout; 0: `Spec.length`
    chunk: Positive[int] = 5  # most steps that a gradient goes back;
    # the largest divisor of T that is no greater (paper)
    epochs: Positive[int] = 5  # how often each step is learned from (paper: about 5)
    minibatches: Positive[int] = 4  # per epoch, at most;
    # paper: 60 gradient steps an iteration, so 12, each of 8000 chunks
    learning_rate: Positive[float] = 1e-3  # of Adam; paper 3e-4
    epsilon: Positive[float] = 1e-8  # Adam's, added to the root
    gradient_clip: Positive[float] = 1.0  # norm of the whole gradient, policy and critic together (not given)
    clip: Positive[float] = 0.2  # of the ratio (paper)
    entropy_coefficient: NotNegative[float] = 0.01  # of H in the loss (paper)
    value_weight: NotNegative[float] = 0.5  # of the critic's squared error in the loss (not given)
    gamma: Fraction = 0.998  # per step (paper)
    lambda_: Fraction = 0.95  # of the advantages (paper)
    decay: Fraction = 0.99999  # of running means of inputs and returns, per gradient step (paper)
    input_clip: Positive[float] = 5.0  # deviations that an input may be from its mean (paper)
    past_play: Fraction = 0.1  # chance that an agent is driven by a past policy for an episode (paper)
    versions: NotNegative[int] = 64  # past policies that are kept; 0: no past play. Paper: all of them
    width: Positive[int] = 32  # of the dense layers; paper 128
    hidden: Positive[int] = 32  # of the LSTM; paper 128

    def __post_init__(self):
        check(self)


PRESETS = {
    "sound": {},
    "paper": {  # with so many games that one iteration is 480,000 steps of agents
        "width": 128,
        "hidden": 128,
        "learning_rate": 3e-4,
        "minibatches": 12,
        "steps": 100,
    },
    "no-past-play": {"versions": 0},  # figure 9
}


class Scale(NamedTuple):
    """Running means and squares of each input; those about others are shared by all others."""

    own: Moments  # [O]
    others: Moments | None  # [F]


class Player(NamedTuple):
    """A network and the scale of what it reads: all that its outputs depend on."""

    net: EntityNet
    scale: Scale


class State(NamedTuple):
    policy: Player
    critic: Player
    returns: Moments  # [1]
    opt_state: PyTree  # of both networks
    past: Player | None  # leaves [versions, ...], a uniform sample of all versions so far
    rival: Player | None  # the one of them that drives agents in the next rollout
    count: Array  # [] int32, versions so far


class Memory(NamedTuple):
    """What an agent carries through an episode."""

    policy: LSTMState  # [N, H]
    critic: LSTMState  # [N, H]
    driver: Array  # [N] int32: SELF, RIVAL, or 0 before it is drawn


class Batch(NamedTuple):
    """A rollout cut into R = B N T / c pieces of c steps of one agent."""

    policy_seen: Seen  # [c, R, ...]
    critic_seen: Seen  # [c, R, ...]
    policy_memory: LSTMState  # [R, H] before the first step
    critic_memory: LSTMState  # [R, H]
    starts: Array  # [c, R] bool, memory restarts before this step
    available: tuple[Array, ...]  # of each head, [c, R, A]
    action: tuple[Array, ...]  # [c, R]
    counts: tuple[Array, ...]  # [c, R] bool, the head's choice means something
    log_prob: Array  # [c, R], when it was played
    advantage: Array  # [c, R], mean 0, variance 1
    target: Array  # [c, R], what the critic should give, in deviations
    learnt: Array  # [c, R] bool, the step is learned from


PIECES = Batch(1, 1, 0, 0, *(1,) * 8)  # pyright: ignore[reportArgumentType]  # which axis of each is R


# What is seen, in parts and to scale ---------------------------------------------------------------------------------


def taken(x: Array, columns: Sequence[int]) -> Array:
    """x[..., columns], as slices of columns that follow each other."""
    runs = [list(columns[:1])]
    for column in columns[1:]:
        if column == runs[-1][-1] + 1:
            runs[-1].append(column)
        else:
            runs.append([column])
    return jnp.concatenate([x[..., run[0] : run[-1] + 1] for run in runs], -1) if columns else x[..., :0]


def parts(entities: Entities, x: Array) -> Seen:
    """x [..., V] as own [..., O] and others [..., K, F]."""
    others = [taken(x, columns) for columns in entities.others if columns]
    return Seen(taken(x, entities.own), jnp.stack(others, -2) if others else None)


def seen_by_policy(env: Environment, observation: Observation) -> Seen:
    """What an agent sees, leaves [..., N, ...]."""
    return parts(entities_of(env.spec.view), observation.view.astype(jnp.float32))


def seen_by_critic(env: Environment, observation: Observation) -> Seen:
    """What an agent sees, the game's own state, and of the private numbers that agent's: leaves [..., N, ...]."""
    seen, state = seen_by_policy(env, observation), observation.state.astype(jnp.float32)
    spec = env.spec
    n, private = spec.agents, spec.private
    game, rest = jnp.split(state, [spec.state.size - n * private.size], -1)
    known = parts(entities_of(private), rest.reshape(*rest.shape[:-1], n, private.size))
    everywhere = jnp.broadcast_to(game[..., None, :], (*seen.own.shape[:-1], game.shape[-1]))
    others = [x for x in (seen.others, known.others) if x is not None]
    return Seen(jnp.concatenate([seen.own, everywhere, known.own], -1), jnp.concatenate(others, -1) if others else None)


def entities_of(seen: View) -> Entities:
    own = seen.entities if isinstance(seen, Vector) else None
    return own or Entities(tuple(range(seen.size)), (), ())


def to_scale(seen: Seen, scale: Scale, clip) -> Seen:
    """Every input in deviations from its mean, at most `clip` of them (RUSP's appendix)."""

    def bounded(x: Array, moments: Moments) -> Array:
        return jnp.clip(normalised(x, moments), -clip, clip)

    others = seen.others if scale.others is None or seen.others is None else bounded(seen.others, scale.others)
    return Seen(bounded(seen.own, scale.own), others)


def updated_scale(scale: Scale, seen: Seen, valid: Array, decay) -> Scale:
    """`scale` after what was seen, leaves [T, B, N, ...], in the steps of agents that are valid [T, B, N]."""

    def updated(moments: Moments, x: Array, valid: Array) -> Moments:
        return updated_moments(moments, x.reshape(len(x), -1, x.shape[-1]), valid.reshape(len(x), -1), decay)

    own = updated(scale.own, seen.own, valid)
    if scale.others is None or seen.others is None:
        return Scale(own, None)
    each = jnp.broadcast_to(valid[..., None], seen.others.shape[:-1])  # [T, B, N, K]
    return Scale(own, updated(scale.others, seen.others, each))


# Several heads -------------------------------------------------------------------------------------------------------


def by_head(x: PyTree) -> tuple:
    """Actions or masks of a game with one head, as of one with several."""
    return x if isinstance(x, tuple) else (x,)


def joint(each: Sequence[Array], counts: Sequence[Array]) -> Array:
    """Sum of log-probabilities or entropies over the heads whose choice counts; the others' gradient is 0."""
    return jnp.stack([jnp.where(count, x, 0.0) for x, count in zip(each, counts, strict=True)]).sum(0)


# Past play -----------------------------------------------------------------------------------------------------------


def remembered(key: Key, past: PyTree, count: Array, new: PyTree) -> PyTree:
    """`past` after one more version, the `count`-th from 0: still a uniform sample of all so far (Vitter 1985, R).

    past: leaves [versions, ...].
    """
    room = len(jax.tree.leaves(past)[0])
    place = jnp.where(count < room, count, jax.random.randint(key, (), 0, count + 1))
    return jax.tree.map(lambda xs, x: xs.at[place].set(x, mode="drop"), past, new)


def recalled(key: Key, past: PyTree, count: Array) -> PyTree:
    """One of the versions in `past`, `count` of which were ever stored."""
    room = len(jax.tree.leaves(past)[0])
    chosen = jax.random.randint(key, (), 0, jnp.minimum(count, room))
    return jax.tree.map(lambda xs: xs[chosen], past)


# The algorithm -------------------------------------------------------------------------------------------------------


def make(config: Config, env: Environment) -> Algorithm:
    require_discrete(env, "rusp", several_heads=True)
    agents, entities, choice = env.spec.agents, entities_of(env.spec.view), env.spec.action
    several = isinstance(choice, MultiDiscrete)
    heads, pointer = (choice.heads, choice.pointer) if several else ((choice.n,), None)
    edges = [sum(heads[: k + 1]) for k in range(len(heads) - 1)]
    counted = functions(env).counts
    if pointer is not None and not all(entities.others):
        raise ValueError(f"{type(env).__name__} chooses among others of whom nothing is seen: give their columns")
    adam = optimizer("adam", config.learning_rate, config.gradient_clip, epsilon=config.epsilon)
    scaled = partial(to_scale, clip=config.input_clip)

    def counts(action: tuple[Array, ...]) -> tuple[Array, ...]:
        """bool [..., N] of each head."""
        everything = tuple(jnp.ones(a.shape, bool) for a in action)
        return everything if counted is None else by_head(counted(action if several else action[0]))

    def logits_of(outputs: Array, available: tuple[Array, ...]) -> tuple[Array, ...]:
        return tuple(map(masked, jnp.split(outputs, edges, -1), available))

    def init(key: Key) -> State:
        shape = jax.eval_shape(env.reset, key)[1]
        keys = jax.random.split(key)

        def new(key: Key, reads, outputs: tuple[int, ...], pointer: int | None) -> Player:
            seen = jax.eval_shape(partial(reads, env), shape)
            own, other = seen.own.shape[-1], 0 if seen.others is None else seen.others.shape[-1]
            net = EntityNet(key, own, other, config.width, config.hidden, outputs, pointer)
            return Player(net, Scale(fresh_moments(own), fresh_moments(other) if other else None))

        policy = new(keys[0], seen_by_policy, heads, pointer)
        critic = new(keys[1], seen_by_critic, (1,), None)
        past = rival = None
        if config.versions:
            past = jax.tree.map(lambda x: jnp.zeros((config.versions, *x.shape)), policy)
            rival = policy
        opt_state = adam.init((policy.net, critic.net))  # pyright: ignore[reportArgumentType]
        return State(policy, critic, fresh_moments(1), opt_state, past, rival, jnp.zeros((), jnp.int32))

    def evaluate(state: State, observation: Observation, memory: LSTMState) -> tuple[Array, LSTMState]:
        """(V in reward units [..., N], next memory)."""
        outputs, memory = state.critic.net(scaled(seen_by_critic(env, observation), state.critic.scale), memory)
        return restored(outputs, state.returns)[..., 0], memory

    def decided(key: Key, state: State, memory: Memory, observation: Observation, explore: bool, rivals: bool):
        key_driver, *keys = jax.random.split(key, 1 + len(heads))
        seen, available = seen_by_policy(env, observation), by_head(observation.available)
        outputs, kept = state.policy.net(scaled(seen, state.policy.scale), memory.policy)
        driver = memory.driver
        if rivals and state.rival is not None:
            chance = jnp.where(state.count > 0, config.past_play, 0.0)
            drawn = jnp.where(jax.random.uniform(key_driver, driver.shape) < chance, RIVAL, SELF)
            driver = jnp.where(driver > 0, driver, drawn).astype(jnp.int32)
            theirs = state.rival.net(scaled(seen, state.rival.scale), memory.policy)
            by_rival = (driver == RIVAL)[..., None]
            outputs, kept = jax.tree.map(lambda x, y: jnp.where(by_rival, x, y), theirs, (outputs, kept))
        logits = logits_of(outputs, available)
        best = lambda logits: logits.argmax(-1).astype(jnp.int32)  # noqa: E731
        action = tuple(map(sample, keys, logits)) if explore else tuple(map(best, logits))
        value, critic_memory = evaluate(state, observation, memory.critic)
        notes = {"log_prob": joint(tuple(map(log_prob, logits, action)), counts(action)), "value": value}
        if not several:
            notes["probabilities"] = jax.nn.softmax(logits[0])
        return (action if several else action[0]), Memory(kept, critic_memory, driver), notes

    def act(key: Key, state: State, memory: Memory, observation: Observation, explore: bool = True):
        return decided(key, state, memory, observation, explore, rivals=False)

    def practise(key: Key, state: State, memory: Memory, observation: Observation):
        return decided(key, state, memory, observation, explore=True, rivals=True)

    def batch_of(state: State, steps: Transition, learnt: Array, target: Array, advantage: Array) -> Batch:
        """All pieces; learnt, target, advantage [T, B, N]."""
        times = len(steps.valid)
        chunk = divisor(times, config.chunk)
        # Games and agents side by side: all agents have one policy.
        pieces = lambda x: cut(x.reshape(times, -1, *x.shape[3:]), chunk)  # noqa: E731
        first = lambda x: x[::chunk].reshape(-1, *x.shape[3:])  # noqa: E731
        cut_all = partial(jax.tree.map, pieces)
        action = by_head(steps.action)
        return Batch(
            cut_all(scaled(seen_by_policy(env, steps.observation), state.policy.scale)),
            cut_all(scaled(seen_by_critic(env, steps.observation), state.critic.scale)),
            jax.tree.map(first, steps.memory.policy),
            jax.tree.map(first, steps.memory.critic),
            pieces(jnp.broadcast_to(starts(steps)[..., None], learnt.shape)),
            cut_all(by_head(steps.observation.available)),
            cut_all(action),
            cut_all(counts(action)),
            pieces(steps.notes["log_prob"]),
            pieces(advantage),
            pieces(target),
            pieces(learnt),
        )

    def loss(nets: tuple[EntityNet, EntityNet], batch: Batch):
        policy, critic = nets
        logits = logits_of(policy.unroll(batch.policy_seen, batch.policy_memory, batch.starts), batch.available)
        log_probs = joint(tuple(map(log_prob, logits, batch.action)), batch.counts)
        climbed = surrogate_loss(log_probs, batch.log_prob, batch.advantage, batch.learnt, config.clip)
        surprise = mean_valid(joint(tuple(map(entropy, logits)), batch.counts), batch.learnt)
        values = critic.unroll(batch.critic_seen, batch.critic_memory, batch.starts)[..., 0]
        error = critic_loss(values, batch.target, batch.learnt)
        moved = log_probs - batch.log_prob
        metrics = {
            "policy_loss": climbed,
            "critic_loss": error,
            "entropy": surprise,
            "kl": -mean_valid(moved, batch.learnt),  # from the policy that played to this one
            "clipped": mean_valid((jnp.abs(jnp.exp(moved) - 1) > config.clip).astype(jnp.float32), batch.learnt),
        }
        return climbed - config.entropy_coefficient * surprise + config.value_weight * error, metrics

    def update(key: Key, state: State, steps: Transition):
        key_order, key_keep, key_rival = jax.random.split(key, 3)
        learnt = steps.valid[..., None] & (steps.next_memory.driver != RIVAL)  # [T, B, N]
        next_value, _ = evaluate(state, steps.next_observation, steps.next_memory.critic)
        returns = lambda_returns(steps.reward, next_value, steps.terminated, steps.ended, config.gamma, config.lambda_)
        side_by_side = lambda x: x.reshape(len(x), -1)  # noqa: E731  # [T, B, N] -> [T, B N]
        flat = side_by_side(learnt)
        advantage = standardised(side_by_side(returns - steps.notes["value"])[..., None], flat)
        count = learnt.size // divisor(len(learnt), config.chunk)
        minibatches = divisor(count, config.minibatches)
        length = config.epochs * minibatches  # gradient steps
        decay = config.decay**length  # as if by one small step for each of them
        moments = updated_moments(state.returns, side_by_side(returns)[..., None], flat, decay)
        target = normalised(returns[..., None], moments)[..., 0]
        rows = batch_of(state, steps, learnt, target, advantage.reshape(returns.shape))

        def step(carry, chosen):
            nets, opt_state = carry
            pick = partial(jnp.take, indices=chosen, mode="clip")
            of = lambda field, axis: jax.tree.map(lambda x: pick(x, axis=axis), field)  # noqa: E731
            batch = rows if chosen is None else Batch(*map(of, rows, PIECES))
            grads, metrics = jax.grad(loss, has_aux=True)(nets, batch)
            metrics["gradient_norm"] = optax.tree.norm(grads)
            return take_step(adam, nets, opt_state, grads), metrics

        order = None  # one minibatch is all pieces, in any order
        if minibatches > 1:
            order = jax.vmap(partial(jax.random.permutation, x=count))(jax.random.split(key_order, config.epochs))
            order = order.reshape(length, -1)
        carry = (state.policy.net, state.critic.net), state.opt_state
        ((policy, critic), opt_state), metrics = lax.scan(step, carry, order, length)
        # Networks learned on the scale of the rollout. The next one's differs from it by a little: 1 - decay.
        rescaled = lambda player, reads: updated_scale(player.scale, reads(env, steps.observation), learnt, decay)  # noqa: E731
        policy = Player(policy, rescaled(state.policy, seen_by_policy))
        critic = Player(critic, rescaled(state.critic, seen_by_critic))
        past = rival = None
        if state.past is not None:
            past = remembered(key_keep, state.past, state.count, policy)
            rival = recalled(key_rival, past, state.count + 1)
        metrics = jax.tree.map(jnp.mean, metrics) | {"driven_by_past": 1 - learnt.mean(dtype=jnp.float32)}
        return State(policy, critic, moments, opt_state, past, rival, state.count + 1), metrics

    memory = Memory(fresh_lstm(config.hidden, agents), fresh_lstm(config.hidden, agents), jnp.zeros(agents, jnp.int32))
    return Algorithm(init, act, update, memory, steps=config.steps or None, practise=practise)
