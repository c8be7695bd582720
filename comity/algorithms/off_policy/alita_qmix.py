"""ALITA on QMIX: the team learns by QMIX from the game's rewards, and the influencer's Q-values also descend F (Fayad &
Ibrahim 2021, arXiv 2108.12581, section 4.3, as the specification reads it).

    loss = QMIX's TD loss + critics' squared errors + clones' squared errors + lambda F

Besides the mixer there are critics Q_i of the state and all agents' actions. They serve only F, and learn from rewards
with bonuses. pi_k in F is the softmax of the influencer's Q-values. All networks learn in one optimizer step, and the
clones are copied from the critics at every rollout. docs/algorithms/alita.md lists every departure.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from comity.algorithms.off_policy import alita
from comity.algorithms.off_policy import alita_estimates as estimates
from comity.algorithms.off_policy import deterministic as family
from comity.algorithms.off_policy.alita_episodes import (
    alike_sets,
    critic_errors,
    flat,
    read_by,
    some_steps,
    steps_of,
    targets,
    with_rewards,
)
from comity.algorithms.off_policy.alita_rewards import Parts, parts_of
from comity.algorithms.off_policy.alita_settings import Influence
from comity.algorithms.off_policy.deterministic_nets import Member, Nets, nets_of
from comity.algorithms.off_policy.maddpg import joint_actions
from comity.algorithms.values import qmix
from comity.algorithms.values import value_decomposition as values
from comity.algorithms.values.value_learning import State as ValueState
from comity.algorithms.values.value_learning import learning
from comity.algorithms.values.value_networks import StepValues, central_reader, central_size, episode_values, team_of
from comity.compatibility import require_vectors
from comity.learning import credited, masked, replay
from comity.networks import JointNet
from comity.settings import Positive, check
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config(Influence, qmix.Config):
    """Settings of ALITA on QMIX: QMIX's, and those of the influence."""

    critic_hidden: Positive[int] = 128  # width of both hidden layers of the critics Q_i (SPEC 128)
    novelty_every: Positive[int] = 100  # transitions for one step of the novelty network (paper)
    softmax: Positive[float] = 1.0  # temperature of pi_k, the softmax of the influencer's Q-values (SPEC 1)

    def __post_init__(self):
        super().__post_init__()
        check(self)


PRESETS: dict[str, dict[str, Any]] = {
    "sound": {},
    "pymarl": qmix.PRESETS["pymarl"],
    "no-f": {"influence": "none"},
    "no-im": {"novelty_by": "none"},
}


class Params(NamedTuple):
    """Parameters of QMIX, of the critics, and of their clones."""

    agents: PyTree
    mixer: PyTree
    reader: JointNet | None
    critics: JointNet
    clones: tuple[JointNet, ...]  # one for each influencer


class State(NamedTuple):
    qmix: ValueState
    novelty: PyTree


def nets_beside(config: Config, env: Environment) -> Nets:
    """Returns the critics' networks."""
    own = family.Config(hidden=config.critic_hidden, layer_norm=True)
    return nets_of(own, read_by(env), Member(joint_actions, everyone=False, of_state=True))


def greedy_vectors(q: Array, available: Array) -> Array:
    """Returns the greedy actions as one-hot, [..., N, A]."""
    return jax.nn.one_hot(values.greedy(q, available), q.shape[-1])


def added_loss(
    parts: Parts, key: Key, novelty: PyTree, params: Params, target: Params, found: tuple[StepValues, StepValues],
    episodes: replay.Episodes,
) -> tuple[Array, dict[str, Array]]:  # fmt: skip
    """Returns (loss of critics and clones plus lambda F, []; metrics). found: values by present and target networks."""
    config, nets, q = parts.config, parts.nets, found[0].before.q
    meant = greedy_vectors(lax.stop_gradient(q), episodes.before.available)
    following = greedy_vectors(found[1].after.q, episodes.after.available)
    reward = with_rewards(parts, novelty, episodes, meant, credited(episodes.reward, config.credit))
    steps = steps_of(parts, episodes, following, reward)
    wanted = targets(config, nets, key, target.critics, steps)
    loss = critic_errors(nets, key, params.critics, steps, wanted).sum()
    metrics = {"critic_loss": loss / wanted.shape[-1]}
    if config.influence == "none":
        return loss, metrics
    errors = []
    for at, (role, clone) in enumerate(zip(parts.roles, params.clones, strict=True)):
        sets = alike_sets(parts, jax.random.fold_in(key, at), role, steps, flat(meant), wanted)
        error = jax.vmap(partial(estimates.errors, config, nets, role, clone))(sets)  # [K, J]
        errors.append(error.sum(-1).mean())
    soft = jax.nn.softmax(masked(q, episodes.before.available) / config.softmax)
    influencing = jnp.array([role.influencer for role in parts.roles])
    mine = flat(meant.at[..., influencing, :].set(soft[..., influencing, :]))
    critics, clones = lax.stop_gradient((params.critics, params.clones))
    term, of_influence = alita.influence(parts, key, judge(critics, clones), *some_steps(config, key, steps, mine))
    error = jnp.stack(errors).sum()
    metrics |= {**of_influence, "influence_error": error / len(errors)}
    return loss + error + term.sum(), metrics


def judge(critics: JointNet, clones: tuple[JointNet, ...]) -> family.State:
    """Returns critics and clones in the form of a state that `alita.influence` reads."""
    nothing: Any = ()
    added = alita.Added((), tuple(estimates.Estimate(net, ()) for net in clones), jnp.zeros(0))
    return family.State(nothing, critics, nothing, nothing, (), (), nothing, jnp.zeros((), jnp.int32), added)


def make(config: Config, env: Environment) -> Algorithm:
    if config.influence == "single" or config.influence_of != "all" or config.alike == "substitute":
        raise ValueError(
            "alita-qmix estimates by clones, of all rewards, in sets D_t of what happened: leave influence at clones "
            "or none, influence_of at all, and alike at by-view, exact or nearest"
        )
    require_vectors(env, "alita-qmix")
    team = team_of(config, env, "alita-qmix", partial(values.new_agent, config, env.spec.action.n))
    nets = nets_beside(config, env)
    parts = parts_of(config, env, nets, config.novelty_every)
    roles, bonus = parts.roles, parts.bonus
    new_mixer = lambda key: qmix.new_mixer(key, config, env.spec.agents, central_size(config, env.spec))  # noqa: E731
    member = values.td_member(config, new_mixer, qmix.mixed)

    def loss(key: Key, known: PyTree, params: Params, target: Params, episodes: replay.Episodes, games: int):
        now, then = (episode_values(config, env, team, x, episodes, games) for x in (params, target))
        reward = values.learned_reward(config, episodes, now.before.q)
        each, metrics = member.loss(params.mixer, target.mixer, now, then, episodes, reward)
        added, more = added_loss(parts, key, known, params, target, (now, then), episodes)
        everywhere = lambda x: jnp.broadcast_to(x, each.shape)  # noqa: E731
        return each + added, metrics | jax.tree.map(everywhere, more)

    def clones_of(critics: JointNet) -> tuple[JointNet, ...]:
        if config.influence == "none":
            return ()
        return tuple(jax.tree.map(jnp.copy, estimates.fresh_clones(nets, role, critics)) for role in roles)

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        action, memory, q = values.play(config, team, key, state.qmix, memory, observation, explore)
        return action, memory, {"values": q}

    def init(key: Key) -> State:
        key_agents, key_mixer = jax.random.split(key)
        critics, known = nets.critics.init(jax.random.fold_in(key, 1)), ()
        if bonus is not None:
            known = bonus.init(jax.random.fold_in(key, 2))
        reader = central_reader(config, env.spec, key_mixer)
        params = Params(team.init(key_agents), member.init(key_mixer), reader, critics, clones_of(critics))
        begin, _ = learning(config, env, partial(loss, key, known))
        plain = lambda key, state, memory, episode_values: act(key, State(state, known), memory, episode_values)  # noqa: E731
        return State(begin(params, plain, team.memory), known)

    def update(key: Key, state: State, steps: Transition, reward_of: Any = None):
        known, more = state.novelty, {}
        if bonus is not None:
            known, error = bonus.update(jax.random.fold_in(key, 1), known, steps)
            more = {"novelty_error": error["error"]}
        params = state.qmix.params
        anew = state.qmix._replace(params=params._replace(clones=clones_of(params.critics)))
        _, learn = learning(config, env, partial(loss, jax.random.fold_in(key, 2), known))
        learned, metrics = learn(key, anew, steps, reward_of)
        return State(learned, known), {**metrics, **more}

    return Algorithm(init, act, update, memory=team.memory, whole_episodes=True, replays=True)
