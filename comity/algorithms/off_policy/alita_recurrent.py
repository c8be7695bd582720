"""ALITA on MADDPG with memory, for battles: recurrent actors, whole episodes, critics of the state and everyone's
actions (Fayad & Ibrahim 2021, arXiv 2108.12581, section 4.3). docs/algorithms/alita.md.

An update draws episodes and unrolls actors and target actors over them. After that each step stands for itself, and
critics, estimates, influence and rewards are those of ALITA on single steps; sets D_t are drawn among the steps of the
same episodes. Without influence and novelty it is MADDPG with memory.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from comity.algorithms import actors
from comity.algorithms.off_policy import alita
from comity.algorithms.off_policy import alita_estimates as estimates
from comity.algorithms.off_policy import deterministic as family
from comity.algorithms.off_policy.alita_settings import Influence
from comity.algorithms.off_policy.deterministic_nets import Member, Nets, clipped_descent, each_value, nets_of
from comity.algorithms.off_policy.maddpg import joint_actions
from comity.compatibility import require_discrete
from comity.learning import Reward, alike, credited, if_ready, replay, take_step, towards
from comity.networks import Core, RecurrentNet, Team, fresh_core
from comity.rollout import shapes
from comity.settings import Fraction, NotNegative, Positive, check
from comity.spec import Spec, Vector
from comity.types import Algorithm, Environment, Experience, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config(Influence, family.Config):
    """Settings of ALITA with memory: those of MADDPG's family, of the influence, of memories. SPEC: its own table of
    battles."""

    agents: Literal["separate", "shared"] = "shared"  # an actor and a critic for each agent, or one for all
    core: Core = "gru"  # what actors remember by
    memory: Positive[int] = 64  # its width
    agent_id: bool = True  # an actor reads which agent it is, as one-hot
    last_action: bool = True  # and what it did last
    hidden: Positive[int] = 128  # width of both hidden layers of critics (SPEC 128)
    layer_norm: bool = True  # before each activation of critics (paper)
    credit: Reward = "mean"  # whose reward a critic predicts
    gamma: Fraction = 0.99  # per step
    capacity: Positive[int] = 5_000  # episodes in the replay (SPEC 5,000)
    batch: Positive[int] = 32  # episodes per update (SPEC 32)
    warmup: Positive[int] = 32  # episodes in the replay before the first update
    every: Positive[int] = 100  # steps of rollouts, ends or not, for one update
    logit_penalty: NotNegative[float] = 0.0  # weight of the mean square of an actor's outputs

    def __post_init__(self):
        super().__post_init__()
        check(self)


SMAC: dict[str, Any] = {  # rates and weights of 2s3z and 3s_vs_5z; other maps have other weights
    "optimizer": "rmsprop", "learning_rate": 5e-4, "critic_learning_rate": 5e-4, "novelty_learning_rate": 5e-4,
    "epsilon": 1e-5, "gamma": 0.95, "influence_batch": 1_024, "novelty_batch": 1_024, "novelty_weight": 0.01,
    "penalty_decay": 0.01,
}  # fmt: skip
PRESETS: dict[str, dict[str, Any]] = {
    "sound": {},
    "smac": SMAC,
    "maddpg": {"influence": "none", "novelty_by": "none"},  # with memory, nothing added
    "no-f": {"influence": "none"},
    "no-im": {"novelty_by": "none"},
    "symmetric": {"influencers": ()},
}


class Flat(NamedTuple):
    """Steps of drawn episodes, each by itself, leaves [M, ...]. Views are what critics read."""

    now: Observation
    after: Observation
    known: Array  # [M, N, V + A], what agents saw and did, by which sets D_t are found
    taken: Array  # [M, N, A]
    reward: Array  # [M, N], with bonuses
    terminated: Array  # [M]
    counts: Array  # [M] float32, 0 behind the end
    following: Array  # [M, N, A], what targets ask for


def flat(x: Any) -> Any:
    """Leaves [T, B, ...] as [T B, ...]."""
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), x)


def centrally(env: Environment, observation: Observation) -> Observation:
    """What critics read in the place of each agent's view, [..., N, S]: the state, or all views if there is none."""
    agents, view = env.spec.agents, observation.view
    lead = view.shape[: -1 - len(env.spec.view.shape)]
    state = observation.state if env.spec.state.size else view.reshape(*lead, -1)
    return observation._replace(view=jnp.broadcast_to(state.reshape(*lead, 1, -1), (*lead, agents, state.shape[-1])))


def read_by(env: Environment) -> Spec:
    """The game's spec with what critics read in the place of views."""
    spec = env.spec
    return replace(spec, view=spec.state if spec.state.size else Vector(spec.agents * spec.view.size))


def networks(config: Config, env: Environment) -> tuple[Nets, Team]:
    """(critics, optimizers and actions, whose actors are those of the team; the team)."""
    require_discrete(env, "alita-recurrent")
    spec = env.spec
    nets = nets_of(config, read_by(env), Member(joint_actions, everyone=False, of_state=True))

    def new_actor(key: Key, inputs: int) -> PyTree:
        return RecurrentNet(key, inputs, config.memory, nets.acts.size, config.activation, core=config.core)

    core = fresh_core(config.core, config.memory, spec.agents)
    team = actors.team(config, env, nets.acts, config.agents, new_actor, core, config.hidden)  # pyright: ignore
    optimizer = team.optimizer(clipped_descent(config, config.learning_rate))
    return nets._replace(actors=team, actor_optimizer=optimizer), team


def outputs_of(team: Team, net: PyTree, episodes: replay.Episodes) -> Array:
    """[T + 1, B, N, out] of actors that remember each episode from its start."""
    fresh = team.begin(episodes.valid.shape[1])
    done = jax.tree.map(lambda a: jnp.concatenate([a, a[-1:]]), episodes.action)  # nobody reads what follows the end
    return team.unroll(net, episodes.observation.view, fresh, None, done)


def steps_of(parts: alita.Parts, team: Team, key: Key, state: family.State, episodes: replay.Episodes,
             paid: Any) -> Flat:  # fmt: skip
    """The steps of episodes, with what networks say of them today."""
    config, nets, env = parts.config, parts.nets, parts.env
    before = jax.tree.map(lambda x: x[:-1], episodes.observation)
    after = jax.tree.map(lambda x: x[1:], episodes.observation)
    now, target = (outputs_of(team, net, episodes) for net in (state.actors, state.target_actors))
    following = nets.acts((target if config.target_policies else now)[1:], after.available)
    taken = nets.acts.encoded(episodes.action)
    reward = replay.paid(episodes, paid).reward
    if parts.bonus is not None:
        judged = before, episodes.action, after, episodes.valid, episodes.reward, episodes.terminated, {}
        psi = parts.bonus.reward(state.added.novelty, Experience(*judged))  # [T, B, influencers]
        meant = nets.acts(now[:-1], before.available).relaxed(key, "softmax")
        reward = reward + alita.shared_out(config, parts.roles, psi, jnp.square(meant - taken).sum(-1))
    known = jnp.concatenate([before.view.astype(jnp.float32), taken], -1)
    asked = following.relaxed(key, config.relaxed, config.temperature)
    central = [centrally(env, x) for x in (before, after)]
    rest = known, taken, credited(reward, config.credit), episodes.terminated, episodes.valid.astype(jnp.float32), asked
    return Flat(*lax.stop_gradient(flat((*central, *rest))))


def mean_over(counts: Array, x: Array) -> Array:
    """Of x [M, ...] over the steps that count."""
    return jnp.tensordot(counts, x, 1) / jnp.maximum(counts.sum(), 1.0)


def critic_step(config: Config, nets: Nets, key: Key, state: family.State, steps: Flat) -> tuple[family.State, Array]:
    """(state, loss []) after one step of the critics."""
    value = partial(each_value, nets, key)
    follows = value(state.target_critics, steps.after.view, steps.following, steps.following)[..., 0]
    target = steps.reward + config.gamma * jnp.where(steps.terminated[:, None], 0.0, follows)

    def loss(critics: PyTree) -> tuple[Array, Array]:
        away = jnp.square(target - value(critics, steps.now.view, steps.taken, steps.taken)[..., 0])
        losses = mean_over(steps.counts, away)  # [N]
        return nets.critics.total(losses), losses.mean()

    grads, error = jax.grad(loss, has_aux=True)(state.critics)
    critics, opt_state = take_step(nets.critic_optimizer, state.critics, state.critic_opt_state, grads)
    return state._replace(critics=critics, critic_opt_state=opt_state), error


def actor_step(parts: alita.Parts, team: Team, key: Key, state: family.State, episodes: replay.Episodes, steps: Flat):
    """(state, metrics) after one step of the actors, back through their memories."""
    config, nets = parts.config, parts.nets
    key_policy, key_some = jax.random.split(key)
    some = jax.random.categorical(key_some, jnp.log(steps.counts), shape=(config.influence_batch,))
    exist = flat(jnp.concatenate(jax.tree.leaves(episodes.observation.available[:-1]), -1)).astype(jnp.float32)

    def loss(net: PyTree) -> tuple[Array, dict[str, Array]]:
        outputs = flat(outputs_of(team, net, episodes)[:-1])
        policy = nets.acts(outputs, steps.now.available)
        mine, worth = family.relaxed_choice(config, state, key_policy, policy)
        q = each_value(nets, key, lax.stop_gradient(state.critics), steps.now.view, steps.taken, mine)[..., 0]
        size = (exist * jnp.square(outputs[..., : exist.shape[-1]])).sum(-1) / jnp.maximum(exist.sum(-1), 1.0)
        climbed, told = mean_over(steps.counts, q - config.logit_penalty * size + worth), {}
        if config.influence != "none":
            now, after, taken, own = jax.tree.map(lambda x: x[some], (steps.now, steps.after, steps.taken, mine))
            term, told = alita.influence(parts, key_some, state, now, after, taken, own)
            climbed = climbed - term
        entropy = mean_over(steps.counts, policy.entropy().mean(-1))
        return -nets.actors.total(climbed), {"q": mean_over(steps.counts, q.mean(-1)), "entropy": entropy, **told}

    grads, metrics = jax.grad(loss, has_aux=True)(state.actors)
    net, opt_state = take_step(nets.actor_optimizer, state.actors, state.actor_opt_state, grads)
    return state._replace(actors=net, actor_opt_state=opt_state), {**metrics, "gradient_norm": optax.tree.norm(grads)}


def alike_steps(config: Config, exact: bool, key: Key, known: Array, counts: Array) -> tuple[Array, Array]:
    """(rows [K, count] of sets D_t, each of one step that counts and of those in which the influencer saw and did the
    same, or nearly; their weights). known [M, V + A]."""
    mean = mean_over(counts, known)
    deviation = jnp.sqrt(mean_over(counts, jnp.square(known - mean)))
    scaled = jnp.where(deviation > 0, known / jnp.maximum(deviation, 1e-6), 0.0)
    count = min(config.influence_batch, len(known))

    def rows(at: Array) -> tuple[Array, Array]:
        away = jnp.where(counts > 0, jnp.square(scaled - scaled[at]).sum(-1), jnp.inf).at[at].set(-1.0)
        found = lax.top_k(-away, count)[1]
        same = alike.equal(known[found]) if exact else jnp.ones(count)
        return found, same * counts[found]

    ats = jax.random.categorical(key, jnp.log(counts), shape=(config.influence_updates,))
    return lax.map(rows, ats)


def estimated(parts: alita.Parts, key: Key, state: family.State, episodes: replay.Episodes, steps: Flat, meant: Array):
    """(what is added, metrics) after the estimates' steps. meant [M, N, A]: what agents would do today."""
    config, nets, found = parts.config, parts.nets, []
    if config.influence == "none":
        return state.added, {}
    exact = estimates.reading(config, parts.env) == "exact"
    for at, role in enumerate(parts.roles):
        others = jnp.array(role.others)
        follows = each_value(nets, key, estimates.of_agents(nets, state.target_critics, others), steps.after.view,
                             steps.following, steps.following, others)[..., 0]  # fmt: skip
        target = steps.reward[:, others] + config.gamma * jnp.where(steps.terminated[:, None], 0.0, follows)
        today = meant.at[:, role.influencer].set(steps.taken[:, role.influencer])
        rows, weights = alike_steps(config, exact, jax.random.fold_in(key, at), steps.known[:, role.influencer],
                                    steps.counts)  # fmt: skip
        each = jax.tree.map(lambda x, rows=rows: x[rows], (steps.now.view, steps.taken, today, target))
        view, taken, meant_today, towards = lax.stop_gradient(each)
        sets = estimates.Asked(view, taken, meant_today, towards, weights)
        found.append(estimates.regressed(config, nets, role, state.added.estimates[at], sets))
    told = jax.tree.map(lambda *xs: jnp.stack(xs).mean(), *(told for _, told in found))
    return state.added._replace(estimates=tuple(x for x, _ in found)), told


def make(config: Config, env: Environment) -> Algorithm:
    if config.influence_of != "all" or config.alike == "substitute":
        raise ValueError("alita-recurrent has critics of all rewards and sets D_t of what happened: leave influence_of "
                         "at all, and alike at by-view, exact or nearest")  # fmt: skip
    nets, team = networks(config, env)
    parts = alita.parts_of(config, env, nets)

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

    def begun(key: Key, state: family.State, steps: Transition) -> tuple[alita.Added, dict[str, Array]]:
        """(what is added, metrics): novelty learns from the rollout, and clones are copied anew, as episodes began."""
        added, told = state.added, {}
        if parts.bonus is not None:
            known, error = parts.bonus.update(key, added.novelty, steps)
            added, told = added._replace(novelty=known), {"novelty_error": error["error"]}
        if config.influence == "clones":
            copy = partial(estimates.copied, nets, critics=state.critics, when=jnp.bool_(True))
            made = tuple(copy(role, e) for role, e in zip(parts.roles, added.estimates, strict=True))
            added = added._replace(estimates=made)
        return added, told

    def update(key: Key, state: family.State, steps: Transition, reward_of: Any = None):
        memories = replay.push(state.replay, replay.stored(env, steps))

        def step(state: family.State, key: Key) -> tuple[family.State, dict[str, Array]]:
            key_draw, key_steps, key_learn, key_actor, *keys = jax.random.split(key, 4 + config.critic_updates)
            episodes = replay.episodes_of(env, replay.draw(key_draw, memories, config.batch))
            seen = steps_of(parts, team, key_steps, state, episodes, reward_of)
            policy = nets.acts(flat(outputs_of(team, state.actors, episodes)[:-1]), seen.now.available)
            meant = policy.relaxed(key_learn, "straight-through")
            added, told = estimated(parts, key_learn, state, episodes, seen, meant)
            state, losses = state._replace(added=added), []
            for one in keys:
                state, loss = critic_step(config, nets, one, state, seen)
                losses.append(loss)
            state, metrics = actor_step(parts, team, key_actor, state, episodes, seen)
            count = state.updates + 1
            before, present = (state.target_actors, state.target_critics), (state.actors, state.critics)
            before = towards(before, present, config.tau, count % config.target_period == 0)
            state = state._replace(target_actors=before[0], target_critics=before[1], updates=count)
            return state, {"critic_loss": jnp.stack(losses).mean(), **metrics, **told}

        def learn(state: family.State) -> tuple[family.State, dict[str, Array]]:
            state, metrics = lax.scan(step, state, jax.random.split(key, family.updates_of(config, steps.valid.size)))
            return state, jax.tree.map(lambda x: x.mean(0), metrics)

        added, told = begun(jax.random.fold_in(key, 1), state, steps)
        learned = state._replace(replay=(), added=added)  # pyright: ignore[reportArgumentType]
        learned, metrics = if_ready(memories.filled >= config.warmup, learn, learned)
        return learned._replace(replay=memories), {**metrics, **told, "replay_episodes": memories.filled}

    return Algorithm(init, act, update, memory=team.memory, whole_episodes=True, replays=True)
