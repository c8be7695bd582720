"""RUSP's learner: PPO of one recurrent policy for all agents, with an omniscient critic and opponents from the past.

Baker 2020, "Emergent reciprocity and team formation from randomized uncertain social preferences" (arXiv 2011.05373),
the appendix on training. The preferences themselves are a wrapper of the game. docs/algorithms/rusp.md derives it and
lists every departure.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.algorithms import actors
from comity.algorithms.sights import Scale, seen_by_critic, seen_by_policy, to_scale, updated_scale
from comity.learning import (
    Moments,
    critic_loss,
    cut,
    denormalised,
    divisor,
    fresh_moments,
    lambda_returns,
    mean_valid,
    normalised,
    optimizer,
    over_minibatches,
    picked,
    standardised,
    surrogate_loss,
    take_step,
    updated_moments,
)
from comity.learning.actions import Actions
from comity.learning.versions import recalled, remembered
from comity.networks import Core, EntityNet, EntityView, encoder, fresh_core
from comity.networks.deviations import with_deviations
from comity.rollout import starts
from comity.settings import Fraction, NotNegative, Positive, check
from comity.spec import MultiDiscrete, Vector
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition

SELF, RIVAL = 1, 2  # who drives an agent; 0: not yet drawn


@dataclass(frozen=True)
class Config(actors.Numbers):
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
    core: Core = "lstm"  # what agents remember by (paper: an LSTM)

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
    "images": {  # Harvest and Cleanup: 6 convolutions of 3 x 3, a dense layer, the LSTM (paper: of 128)
        "convolutions": "dilemma",
        "width": 64,
        "hidden": 64,
        "epochs": 3,
    },
}


class Player(NamedTuple):
    """A network and the scale of what it reads: all that its outputs depend on."""

    net: PyTree  # an `EntityNet`
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

    policy: PyTree  # [N, H]
    critic: PyTree  # [N, H]
    driver: Array  # [N] int32: SELF, RIVAL, or 0 before it is drawn


class Batch(NamedTuple):
    """A rollout cut into R = B N T / c pieces of c steps of one agent."""

    policy_seen: EntityView  # [c, R, ...]
    critic_seen: EntityView  # [c, R, ...]
    policy_memory: PyTree  # [R, H] before the first step
    critic_memory: PyTree  # [R, H]
    starts: Array  # [c, R] bool, memory restarts before this step
    available: PyTree  # of each head, [c, R, A]
    action: PyTree  # [c, R]
    log_prob: Array  # [c, R], when it was played
    advantage: Array  # [c, R], mean 0, variance 1
    target: Array  # [c, R], what the critic should give, in deviations
    learnt: Array  # [c, R] bool, the step is learned from


PIECES = Batch(1, 1, 0, 0, *(1,) * 7)  # pyright: ignore[reportArgumentType]  # which axis of each is R


def new_players(key: Key, config: Config, env: Environment, acts: Actions) -> tuple[Player, Player]:
    """(policy, critic) of so many numbers as they see."""
    spec, shape = env.spec, jax.eval_shape(env.reset, key)[1]
    action, view = spec.action, spec.view
    several = isinstance(action, MultiDiscrete)
    heads, pointer = (action.heads, action.pointer) if several else ((acts.size,), None)

    def new(key: Key, reads, outputs: tuple[int, ...], pointer: int | None) -> tuple[EntityNet, Scale]:
        seen = jax.eval_shape(partial(reads, env), shape)
        own, other = seen.own.shape[-1], 0 if seen.others is None else seen.others.shape[-1]
        eyes = encoder(jax.random.fold_in(key, 1), view, config.width, config.convolutions, "relu")
        net = EntityNet(key, own, other, config.width, config.hidden, outputs, pointer, config.core, eyes)
        return net, Scale(fresh_moments(own), fresh_moments(other) if other else None)

    keys = jax.random.split(key)
    policy, scale = new(keys[0], seen_by_policy, heads, pointer)
    return Player(with_deviations(policy, acts), scale), Player(*new(keys[1], seen_by_critic, (1,), None))


def loss(config: Config, acts: Actions, nets: tuple[PyTree, PyTree], batch: Batch) -> tuple[Array, dict[str, Array]]:
    """(the clipped surrogate, the entropy and the critic's squared error as one loss, metrics)."""
    policy, critic = nets
    now = acts(policy.unroll(batch.policy_seen, batch.policy_memory, batch.starts), batch.available)
    log_probs = now.log_prob(batch.action)
    climbed = surrogate_loss(log_probs, batch.log_prob, batch.advantage, batch.learnt, config.clip)
    entropy = mean_valid(now.entropy(batch.action), batch.learnt)
    values = critic.unroll(batch.critic_seen, batch.critic_memory, batch.starts)[..., 0]
    error = critic_loss(values, batch.target, batch.learnt)
    moved = log_probs - batch.log_prob
    metrics = {
        "policy_loss": climbed,
        "critic_loss": error,
        "entropy": entropy,
        "kl": -mean_valid(moved, batch.learnt),  # from the policy that played to this one
        "clipped": mean_valid((jnp.abs(jnp.exp(moved) - 1) > config.clip).astype(jnp.float32), batch.learnt),
    }
    return climbed - config.entropy_coefficient * entropy + config.value_weight * error, metrics


def rows_of(
    config: Config, env: Environment, state: State, steps: Transition, learnt: Array, target: Array, advantage: Array
) -> Batch:
    """All pieces; learnt, target, advantage [T, B, N]."""
    times = len(steps.valid)
    chunk = divisor(times, config.chunk)
    # Games and agents side by side: all agents have one policy.
    # No -1: who sees pictures alone has numbers of size 0, and so has a memory of nothing.
    pieces = lambda x: cut(x.reshape(times, learnt[0].size, *x.shape[3:]), chunk)  # noqa: E731
    count = learnt.size // chunk
    first = lambda x: x[::chunk].reshape(count, *x.shape[3:])  # noqa: E731
    every = partial(jax.tree.map, pieces)
    return Batch(
        every(to_scale(seen_by_policy(env, steps.observation), state.policy.scale, config.input_clip)),
        every(to_scale(seen_by_critic(env, steps.observation), state.critic.scale, config.input_clip)),
        jax.tree.map(first, steps.memory.policy),
        jax.tree.map(first, steps.memory.critic),
        pieces(jnp.broadcast_to(starts(steps)[..., None], learnt.shape)),
        every(steps.observation.available),
        every(steps.action),
        pieces(steps.notes["log_prob"]),
        pieces(advantage),
        pieces(target),
        pieces(learnt),
    )


def require_columns(env: Environment) -> None:
    """Raises ValueError if agents choose one of the others and see nothing of them."""
    action, view = env.spec.action, env.spec.view
    others = view.entities.others if isinstance(view, Vector) and view.entities else ()
    if isinstance(action, MultiDiscrete) and action.pointer is not None and not (others and all(others)):
        raise ValueError(f"{type(env).__name__} chooses among others of whom nothing is seen: give their columns")


def make(config: Config, env: Environment) -> Algorithm:
    require_columns(env)
    agents, acts = env.spec.agents, actors.actions_of(config, env)
    adam = optimizer("adam", config.learning_rate, config.gradient_clip, epsilon=config.epsilon)
    scaled = partial(to_scale, clip=config.input_clip)

    def init(key: Key) -> State:
        policy, critic = new_players(key, config, env, acts)
        past = rival = None
        if config.versions:
            past = jax.tree.map(lambda x: jnp.zeros((config.versions, *x.shape)), policy)
            rival = policy
        opt_state = adam.init((policy.net, critic.net))
        return State(policy, critic, fresh_moments(1), opt_state, past, rival, jnp.zeros((), jnp.int32))

    def evaluate(state: State, observation: Observation, memory: PyTree) -> tuple[Array, PyTree]:
        """(V in reward units [..., N], next memory)."""
        outputs, memory = state.critic.net(scaled(seen_by_critic(env, observation), state.critic.scale), memory)
        return denormalised(outputs, state.returns)[..., 0], memory

    def decided(key: Key, state: State, memory: Memory, observation: Observation, explore: bool, rivals: bool):
        key_driver, key_action = jax.random.split(key)
        seen, driver = seen_by_policy(env, observation), memory.driver
        outputs, core = state.policy.net(scaled(seen, state.policy.scale), memory.policy)
        if rivals and state.rival is not None:
            chance = jnp.where(state.count > 0, config.past_play, 0.0)
            drawn = jnp.where(jax.random.uniform(key_driver, driver.shape) < chance, RIVAL, SELF)
            driver = jnp.where(driver > 0, driver, drawn).astype(jnp.int32)
            theirs = state.rival.net(scaled(seen, state.rival.scale), memory.policy)
            by_rival = (driver == RIVAL)[..., None]
            outputs, core = jax.tree.map(lambda x, y: jnp.where(by_rival, x, y), theirs, (outputs, core))
        policy = acts(outputs, observation.available)
        action = policy.sample(key_action) if explore else policy.mode()
        value, critic_memory = evaluate(state, observation, memory.critic)
        notes = {**policy.notes(), "log_prob": policy.log_prob(action), "value": value}
        return action, Memory(core, critic_memory, driver), notes

    def act(key: Key, state: State, memory: Memory, observation: Observation, explore: bool = True):
        return decided(key, state, memory, observation, explore, rivals=False)

    def practise(key: Key, state: State, memory: Memory, observation: Observation):
        return decided(key, state, memory, observation, explore=True, rivals=True)

    def update(key: Key, state: State, steps: Transition) -> tuple[State, dict[str, Array]]:
        key_order, key_keep, key_rival = jax.random.split(key, 3)
        learnt = steps.valid[..., None] & (steps.next_memory.driver != RIVAL)  # [T, B, N]
        next_value, _ = evaluate(state, steps.next_observation, steps.next_memory.critic)
        returns = lambda_returns(steps.reward, next_value, steps.terminated, steps.ended, config.gamma, config.lambda_)
        side_by_side = lambda x: x.reshape(len(x), -1)  # noqa: E731  # [T, B, N] -> [T, B N]
        flat = side_by_side(learnt)
        advantage = standardised(side_by_side(returns - steps.notes["value"])[..., None], flat)
        count = learnt.size // divisor(len(learnt), config.chunk)
        minibatches = divisor(count, config.minibatches)
        decay = config.decay ** (config.epochs * minibatches)  # as if by one small step for each gradient step
        moments = updated_moments(state.returns, side_by_side(returns)[..., None], flat, decay)
        target = normalised(returns[..., None], moments)[..., 0]
        rows = rows_of(config, env, state, steps, learnt, target, advantage.reshape(returns.shape))

        def step(carry, chosen: Array | None):
            batch = rows if chosen is None else picked(rows, PIECES, chosen)
            grads, metrics = jax.grad(partial(loss, config, acts), has_aux=True)(carry[0], batch)
            metrics["gradient_norm"] = optax.tree.norm(grads)
            nets, opt_state = carry
            return take_step(adam, nets, opt_state, grads), metrics

        carry = (state.policy.net, state.critic.net), state.opt_state
        carry, metrics = over_minibatches(step, carry, key_order, count, config.epochs, minibatches)
        (policy, critic), opt_state = carry
        # Networks learned on the scale of the rollout. The next one's differs from it by a little: 1 - decay.
        rescaled = lambda player, reads: updated_scale(player.scale, reads(env, steps.observation), learnt, decay)  # noqa: E731
        policy = Player(policy, rescaled(state.policy, seen_by_policy))
        critic = Player(critic, rescaled(state.critic, seen_by_critic))
        past = rival = None
        if state.past is not None:
            past = remembered(key_keep, state.past, state.count, policy)
            rival = recalled(key_rival, past, state.count + 1)
        metrics["driven_by_past"] = 1 - learnt.mean(dtype=jnp.float32)
        return State(policy, critic, moments, opt_state, past, rival, state.count + 1), metrics

    core = fresh_core(config.core, config.hidden, agents)
    memory = Memory(core, core, jnp.zeros(agents, jnp.int32))
    return Algorithm(init, act, update, memory, steps=config.steps or None, practise=practise)
