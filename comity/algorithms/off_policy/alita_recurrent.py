"""ALITA on MADDPG with memory, for battles (Fayad & Ibrahim 2021, arXiv 2108.12581, section 4.3).

Actors are recurrent and learn from whole episodes. Critics read the state and all agents' actions. An update draws
episodes and unrolls actors and target actors over them. After that each step counts separately: critics, estimates,
influence and rewards are those of ALITA on single steps (`alita.py`), and sets D_t are chosen from the steps of the
same episodes. The actors' gradient goes back through their memories. Without influence and novelty it is recurrent
MADDPG. docs/algorithms/alita.md lists every departure.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from comity.algorithms import actors
from comity.algorithms.off_policy import alita
from comity.algorithms.off_policy import alita_estimates as estimates
from comity.algorithms.off_policy import deterministic as family
from comity.algorithms.off_policy.alita_episodes import (
    Steps,
    alike_sets,
    critic_errors,
    flat,
    mean_over,
    read_by,
    some_steps,
    steps_of,
    targets,
    with_rewards,
)
from comity.algorithms.off_policy.alita_rewards import Parts, parts_of
from comity.algorithms.off_policy.alita_settings import Influence
from comity.algorithms.off_policy.deterministic_nets import Member, Nets, clipped_descent, nets_of, values
from comity.algorithms.off_policy.maddpg import joint_actions
from comity.compatibility import require_discrete
from comity.learning import Reward, as_often, credited, if_ready, replay, take_step, towards
from comity.networks import Core, Team
from comity.rollout import shapes
from comity.settings import Fraction, NotNegative, Positive, check
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config(Influence, family.Config):
    """Settings of ALITA with memory: MADDPG's family's, the influence's, the memory's. SPEC: our choice for battles."""

    agents: Literal["separate", "shared"] = "shared"  # an actor for each agent, or one for all
    critics: Literal["separate", "shared"] = "separate"  # a critic for each agent; shared: one for all, which reads the
    # state and the own action first, so it does not know which agent it judges
    core: Core = "gru"  # memory of actors
    memory: Positive[int] = 64  # width of the memory
    agent_id: bool = True  # an actor reads the agent's number as one-hot
    last_action: bool = True  # an actor reads its last action
    hidden: Positive[int] = 128  # width of both hidden layers of critics (SPEC 128)
    layer_norm: bool = True  # a LayerNorm before each activation of critics (paper)
    credit: Reward = "mean"  # the game's reward that a critic predicts; ALITA's own rewards stay with their agent
    gamma: Fraction = 0.99  # discount per step
    capacity: Positive[int] = 5_000  # episodes in the replay (SPEC 5,000)
    batch: Positive[int] = 32  # episodes per update (SPEC 32)
    warmup: Positive[int] = 32  # episodes in the replay before the first update
    every: Positive[int] = 100  # steps of rollouts, padding included, for one update
    logit_penalty: NotNegative[float] = 0.0  # weight of the mean square of an actor's outputs

    def __post_init__(self):
        super().__post_init__()
        check(self)


SMAC: dict[str, Any] = {  # rates and weights for 2s3z and 3s_vs_5z; other maps have other weights
    "optimizer": "rmsprop", "learning_rate": 5e-4, "critic_learning_rate": 5e-4, "novelty_learning_rate": 5e-4,
    "epsilon": 1e-5, "gamma": 0.95, "influence_batch": 1_024, "novelty_batch": 1_024, "novelty_weight": 0.01,
    "penalty_decay": 0.01,
}  # fmt: skip
PRESETS: dict[str, dict[str, Any]] = {
    "sound": {},
    "smac": SMAC,
    "maddpg": {"influence": "none", "novelty_by": "none"},  # recurrent MADDPG
    "no-f": {"influence": "none"},
    "no-im": {"novelty_by": "none"},
    "symmetric": {"influencers": ()},
}


def networks(config: Config, env: Environment) -> tuple[Nets, Team]:
    """Returns (the networks, with recurrent actors; the team of these actors)."""
    require_discrete(env, "alita-recurrent")
    nets = nets_of(config, read_by(env), Member(joint_actions, everyone=False, of_state=True), config.critics)
    memory = config.core, config.memory, config.activation
    team = actors.recurrent_team(config, env, nets.acts, config.agents, *memory, config.hidden)  # pyright: ignore
    optimizer = team.optimizer(clipped_descent(config, config.learning_rate))
    return nets._replace(actors=team, actor_optimizer=optimizer), team


def outputs_of(team: Team, net: PyTree, episodes: replay.Episodes) -> Array:
    """Returns the outputs of actors that are unrolled from the start of each episode, [T + 1, B, N, out]."""
    fresh = team.begin(episodes.valid.shape[1])
    done = jax.tree.map(lambda a: jnp.concatenate([a, a[-1:]]), episodes.action)  # the last entry is never read
    return team.unroll(net, episodes.observation.view, fresh, None, done)


def current_steps(
    parts: Parts, team: Team, key: Key, state: family.State, episodes: replay.Episodes, paid: Any
) -> Steps:
    """Returns the steps of episodes, with the outputs of the present networks. paid: computes additional rewards."""
    config, acts, after = parts.config, parts.nets.acts, episodes.after
    now, target = (outputs_of(team, net, episodes) for net in (state.actors, state.target_actors))
    following = acts((target if config.target_policies else now)[1:], after.available)
    following = following.relaxed(key, config.relaxed, config.temperature)
    meant = acts(now[:-1], episodes.before.available).relaxed(key, "softmax")
    earned = credited(replay.paid(episodes, paid).reward, config.credit)
    return steps_of(parts, episodes, following, with_rewards(parts, state.added.novelty, episodes, meant, earned))


def critic_step(config: Config, nets: Nets, key: Key, state: family.State, steps: Steps) -> tuple[family.State, Array]:
    """Returns (state, loss []) after one step of the critics."""
    target = targets(config, nets, key, state.target_critics, steps)

    def loss(critics: PyTree) -> tuple[Array, Array]:
        losses = critic_errors(nets, key, critics, steps, target)
        return nets.critics.total(losses), losses.mean()

    grads, error = jax.grad(loss, has_aux=True)(state.critics)
    critics, opt_state = take_step(nets.critic_optimizer, state.critics, state.critic_opt_state, grads)
    return state._replace(critics=critics, critic_opt_state=opt_state), error


def actor_step(parts: Parts, team: Team, key: Key, state: family.State, episodes: replay.Episodes, steps: Steps):
    """Returns (state, metrics) after one step of the actors, with the gradient through their memories."""
    config, nets = parts.config, parts.nets
    key_policy, key_some = jax.random.split(key)
    exist = jnp.concatenate(jax.tree.leaves(steps.now.available), -1).astype(jnp.float32)

    def loss(net: PyTree) -> tuple[Array, dict[str, Array]]:
        outputs = flat(outputs_of(team, net, episodes)[:-1])
        policy = nets.acts(outputs, steps.now.available)
        mine, worth = family.relaxed_choice(config, state, key_policy, policy)
        q = values(nets, key, lax.stop_gradient(state.critics), steps.now.view, steps.taken, mine)
        size = (exist * jnp.square(outputs[..., : exist.shape[-1]])).sum(-1) / jnp.maximum(exist.sum(-1), 1.0)
        climbed, more = mean_over(steps.counts, q - config.logit_penalty * size + worth), {}
        if config.influence != "none":
            term, more = alita.influence(parts, key_some, state, *some_steps(config, key_some, steps, mine))
            climbed = climbed - term
        entropy = mean_over(steps.counts, policy.entropy().mean(-1))
        return -nets.actors.total(climbed), {"q": mean_over(steps.counts, q.mean(-1)), "entropy": entropy, **more}

    grads, metrics = jax.grad(loss, has_aux=True)(state.actors)
    net, opt_state = take_step(nets.actor_optimizer, state.actors, state.actor_opt_state, grads)
    return state._replace(actors=net, actor_opt_state=opt_state), {**metrics, "gradient_norm": optax.tree.norm(grads)}


def estimate_steps(parts: Parts, key: Key, state: family.State, steps: Steps, meant: Array) -> tuple[alita.Added, dict]:
    """Returns (the added state, metrics) after the estimates' steps. meant [M, N, A]: the present policies' actions."""
    config, nets, found = parts.config, parts.nets, []
    if config.influence == "none":
        return state.added, {}
    target = targets(config, nets, key, state.target_critics, steps)
    for at, (role, estimate) in enumerate(zip(parts.roles, state.added.estimates, strict=True)):
        sets = alike_sets(parts, jax.random.fold_in(key, at), role, steps, meant, target)
        found.append(estimates.regressed(config, nets, role, estimate, sets))
    metrics = jax.tree.map(lambda *xs: jnp.stack(xs).mean(), *(more for _, more in found))
    return state.added._replace(estimates=tuple(x for x, _ in found)), metrics


def make(config: Config, env: Environment) -> Algorithm:
    if config.influence_of != "all" or config.alike == "substitute":
        raise ValueError("alita-recurrent has critics of all rewards and sets D_t of what happened: leave influence_of "
                         "at all, and alike at by-view, exact or nearest")  # fmt: skip
    nets, team = networks(config, env)
    parts = parts_of(config, env, nets)

    def init(key: Key) -> family.State:
        key_actor, key_critic = jax.random.split(key)
        both = team.init(key_actor), nets.critics.init(key_critic)
        opt_states = nets.actor_optimizer.init(both[0]), nets.critic_optimizer.init(both[1])
        targets = jax.tree.map(jnp.copy, both)  # a donated state may not hold an array twice
        state = family.State(*both, *targets, *opt_states, (), jnp.zeros((), jnp.int32))  # pyright: ignore
        added = alita.added_of(parts, jax.random.fold_in(key, 1), state, read_by(env))
        steps = shapes(env, lambda key, memory, observation: act(key, state, memory, observation), team.memory)
        rows = jax.eval_shape(partial(replay.stored, env), steps)
        return state._replace(added=added, replay=replay.empty(rows, config.capacity))

    def act(key: Key, state: family.State, memory: PyTree, observation: Observation, explore: bool = True):
        outputs, after = team.step(state.actors, observation.view, memory)
        policy = nets.acts(outputs, observation.available)
        action = policy.sample(key) if explore else policy.mode()
        if explore and config.first_actions == "uniform":
            anything = family.uniform(nets.acts, key, outputs, observation.available)
            action = jax.tree.map(lambda x, y: jnp.where(state.updates > 0, x, y), action, anything)
        return action, team.acted(after, action), policy.notes()

    def after_rollout(key: Key, state: family.State, steps: Transition) -> tuple[alita.Added, dict[str, Array]]:
        """Returns (the added state, metrics): novelty learns from the rollout, and clones are copied anew."""
        added, more = state.added, {}
        if parts.bonus is not None:
            known, error = parts.bonus.update(key, added.novelty, steps)
            added, more = added._replace(novelty=known), {"novelty_error": error["error"]}
        if config.influence == "clones":
            copy = partial(estimates.copied, nets, critics=state.critics, when=jnp.bool_(True))
            made = tuple(copy(role, e) for role, e in zip(parts.roles, added.estimates, strict=True))
            added = added._replace(estimates=made)
        return added, more

    def update(key: Key, state: family.State, steps: Transition, reward_of: Any = None):
        memories = replay.push(state.replay, replay.stored(env, steps), warmup=config.warmup)

        def step(state: family.State, key: Key) -> tuple[family.State, dict[str, Array]]:
            key_draw, key_steps, key_learn, key_actor, *keys = jax.random.split(key, 4 + config.critic_updates)
            episodes = replay.episodes_of(env, replay.draw(key_draw, memories, config.batch))
            data = current_steps(parts, team, key_steps, state, episodes, reward_of)
            policy = nets.acts(flat(outputs_of(team, state.actors, episodes)[:-1]), data.now.available)
            meant = policy.relaxed(key_learn, "straight-through")
            added, more = estimate_steps(parts, key_learn, state, data, meant)
            state, losses = state._replace(added=added), []
            for one in keys:
                state, loss = critic_step(config, nets, one, state, data)
                losses.append(loss)
            state, metrics = actor_step(parts, team, key_actor, state, episodes, data)
            count = state.updates + 1
            before, present = (state.target_actors, state.target_critics), (state.actors, state.critics)
            before = towards(before, present, config.tau, count % config.target_period == 0)
            state = state._replace(target_actors=before[0], target_critics=before[1], updates=count)
            return state, {"critic_loss": jnp.stack(losses).mean(), **metrics, **more}

        learn = partial(as_often, config.every, key, steps.valid.size, step)
        added, more = after_rollout(jax.random.fold_in(key, 1), state, steps)
        learned = state._replace(replay=(), added=added)  # pyright: ignore[reportArgumentType]
        learned, metrics = if_ready(memories.filled >= config.warmup, learn, learned)
        return learned._replace(replay=memories), {**metrics, **more, "replay_episodes": memories.filled}

    return Algorithm(init, act, update, memory=team.memory, whole_episodes=True, replays=True)
