"""SAF: a stateful active facilitator, PPO with messages and a pool of policies (Liu et al. 2022, arXiv 2210.03022).

All agents share all networks. At every step the agents' messages are written into a few slots by attention, and every
agent reads the slots. Each agent then chooses one policy of a pool, by attention of its query over learned keys. The
critic reads the agent's own encoding and a small latent z of every agent:

    loss = PPO's loss  +  c_KL mean KL( q(z | messages read) || p(z | encoding one step earlier) )

The KL limits the information of a latent that its agent could not have known one step earlier. Settings and presets are
those of "The challenge of hidden gifts in multi-agent reinforcement learning" (Malenfant & Richards 2025, arXiv
2505.20579). docs/algorithms/saf.md derives it and lists every departure.
"""

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.algorithms import actors
from comity.algorithms.ppo.saf_networks import (
    Encodings,
    Params,
    choose,
    encoded,
    gaussian,
    look,
    new_params,
    policy_outputs,
    values,
)
from comity.algorithms.ppo.saf_settings import PRESETS, Settings
from comity.compatibility import require_choices
from comity.learning import (
    credited,
    divisor,
    gaussian_kl,
    lambda_returns,
    linear,
    mean_valid,
    optimizer,
    over_minibatches,
    picked,
    standardised,
    surrogate_loss,
    take_step,
    value_loss,
)
from comity.learning.actions import Actions, actions
from comity.networks import MLP, Team
from comity.spec import Image, Spec
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition

__all__ = ["PRESETS", "Config", "make"]


@dataclass(frozen=True)
class Config(Settings):
    """Settings of SAF, defined in `saf_settings.py`."""


class State(NamedTuple):
    params: Params
    opt_state: PyTree
    count: Array  # [] int32, number of optimizer steps so far


class Batch(NamedTuple):
    """The part of a rollout that the loss reads; leaves [1, R, N, ...] of R steps, or [1, R]."""

    read: PyTree  # [1, R, N, I] input of the encoder
    before: PyTree  # [1, R, N, I] input one step earlier, 0 at the start of an episode
    available: PyTree
    gumbel: Array  # [1, R, N, P] noise that chose the policy
    noise: Array  # [1, R, N, Z] noise of the latent
    action: PyTree
    log_prob: Array  # by the policy that played
    advantage: Array  # mean 0, variance 1
    value: Array  # the critic's value in play
    target: Array  # target of the critic
    valid: Array


AXES = Batch(*(1,) * 11)  # pyright: ignore[reportArgumentType]  # the axis R of each field


def policy_of(
    config: Config, acts: Actions, params: Params, encodings: Encodings, available: PyTree, gumbel: Array
) -> tuple[Any, Array]:
    """Returns (the distribution of actions, the chosen policies [..., N, P], one-hot)."""
    x = encodings.exchanged if config.policies_read == "exchanged" else encodings.own
    chosen = choose(params, x, gumbel, config.choice == "probabilities")
    return acts(policy_outputs(params, x, chosen), available), chosen


def critic_of(config: Config, params: Params, encodings: Encodings, noise: Array) -> tuple[Array, tuple[Array, Array]]:
    """Returns `values` with the options of the settings."""
    return values(params, encodings, noise, config.latent_scale == "raw", config.critic_encoding == "first")


def objective(config: Config, acts: Actions, params: Params, batch: Batch) -> tuple[Array, dict[str, Array]]:
    """Returns (PPO's loss plus the KL of the latents, metrics)."""
    straight = config.encoding == "linear"
    encodings = look(params, batch.read, straight)
    policy, _ = policy_of(config, acts, params, encodings, batch.available, batch.gumbel)
    log_probs = policy.log_prob(batch.action)
    climbed = surrogate_loss(log_probs, batch.log_prob, batch.advantage, batch.valid, config.clip).mean()
    entropy = mean_valid(policy.entropy(batch.action), batch.valid).mean()
    now, posterior = critic_of(config, params, encodings, batch.noise)
    errors = value_loss(now, batch.value, batch.target, batch.valid, config.value_clip, config.huber).mean()
    prior = gaussian(params.prior(encoded(params, batch.before, straight)), config.latent_scale == "raw")
    price = mean_valid(gaussian_kl(*posterior, *prior), batch.valid).mean()
    total = climbed + config.value_coefficient * errors
    total += config.kl_coefficient * price - config.entropy_coefficient * entropy
    return total, {"policy_loss": climbed, "critic_loss": errors, "entropy": entropy, "latent_kl": price}


def encoder_of(config: Config, env: Environment) -> Team:
    """Returns the encoder that all agents share. Its memory is its input of the step before."""
    new = partial(MLP, hidden=config.encoder, outputs=config.width, activation="relu", head_gain=1.0)
    done = actions(env.spec.action, "point")  # "point", because the encoder's outputs are no actions with deviations
    team = actors.team(config, env, done, "shared", new, (), config.width)
    agents = env.spec.agents
    view = to_scale(config, env.spec, jnp.zeros((agents, *env.spec.view.shape)))
    blank = jax.tree.map(jnp.zeros_like, team.reads(view, jnp.zeros((agents, done.space.n))))
    return dataclasses.replace(team, core=blank)


def to_scale(config: Config, spec: Spec, view: Array) -> Array:
    """Returns a vector view, scaled, as float. Images stay integers: memories store them, and encoders scale them."""
    if isinstance(spec.view, Image):
        return view.astype(jnp.uint8 if spec.view.high < 256 else jnp.int32)
    return view.astype(jnp.float32) * config.view_scale


def make(config: Config, env: Environment) -> Algorithm:
    if config.mask == "learning":
        require_choices(env, "saf's mask 'learning'")
    agents, acts = env.spec.agents, actors.actions_of(config, env)
    team, straight = encoder_of(config, env), config.encoding == "linear"
    rate = partial(linear, config.learning_rate, config.last_learning_rate, config.learning_rate_steps)
    adam = optimizer("adam", rate, config.gradient_clip, epsilon=config.epsilon)

    def read(view: Array, memory: PyTree) -> PyTree:
        """Returns the encoder's input, [..., N, I] or a `Sight`. memory: holds the last action, if it is an input."""
        return team.reads(to_scale(config, env.spec, view), team.parts(memory)[1])

    def init(key: Key) -> State:
        params = new_params(config, agents, team, acts, key)
        return State(params, adam.init(params), jnp.zeros((), jnp.int32))  # pyright: ignore[reportArgumentType]

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        key_policy, key_latent, key_action = jax.random.split(key, 3)
        available = observation.available
        lead = jax.tree.leaves(available)[0].shape[:-1]
        draw = lambda f, key, size: f(key, (*lead, size)) if explore else jnp.zeros((*lead, size))  # noqa: E731
        gumbel = draw(jax.random.gumbel, key_policy, config.policies)
        noise = draw(jax.random.normal, key_latent, config.latent)
        now = read(observation.view, memory)
        encodings = look(state.params, now, straight)
        at_play = available if config.mask == "always" else jax.tree.map(jnp.ones_like, available)
        policy, chosen = policy_of(config, acts, state.params, encodings, at_play, gumbel)
        action = policy.sample(key_action) if explore else policy.mode()
        notes = {
            **policy.notes(),
            "log_prob": policy.log_prob(action),
            "value": critic_of(config, state.params, encodings, noise)[0],
            "policy": chosen.argmax(-1),
            "gumbel": gumbel,
            "noise": noise,
        }
        before = memory._replace(core=now) if team.reads_last else now
        return action, team.acted(before, action), notes

    def rows_of(state: State, steps: Transition) -> Batch:
        """Returns all steps of a rollout with their advantages and targets."""
        notes, reward = steps.notes, credited(steps.reward, config.credit)
        after = look(state.params, read(steps.next_observation.view, steps.next_memory), straight)
        # The next value uses the noise of this step's latent. Its mean is the same, and nothing is drawn here.
        next_value, _ = critic_of(config, state.params, after, notes["noise"])
        returns = lambda_returns(reward, next_value, steps.terminated, steps.ended, config.gamma, config.lambda_)
        advantage = standardised(returns - notes["value"], steps.valid, together=True)
        rows = Batch(
            read(steps.observation.view, steps.memory),
            team.parts(steps.memory)[0],
            steps.observation.available,
            notes["gumbel"],
            notes["noise"],
            steps.action,
            notes["log_prob"],
            advantage,
            notes["value"],
            returns,
            steps.valid,
        )
        return jax.tree.map(lambda x: x.reshape(1, -1, *x.shape[2:]), rows)

    def update(key: Key, state: State, steps: Transition):
        rows, count = rows_of(state, steps), steps.valid.size
        minibatches = divisor(count, config.minibatches)

        def step(carry: tuple[Params, PyTree], chosen: Array | None):
            batch = rows if chosen is None else picked(rows, AXES, chosen)
            grads, metrics = jax.grad(partial(objective, config, acts), has_aux=True)(carry[0], batch)
            metrics["gradient_norm"] = optax.tree.norm(grads)
            return take_step(adam, *carry, grads), metrics

        carry = state.params, state.opt_state
        (params, opt_state), metrics = over_minibatches(step, carry, key, count, config.epochs, minibatches)
        return State(params, opt_state, state.count + config.epochs * minibatches), metrics

    return Algorithm(init, act, update, team.memory, steps=config.steps or None)
