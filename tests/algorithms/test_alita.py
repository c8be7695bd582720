"""ALITA: estimates against values in closed form, the effect of its influence and rewards, the sets D_t."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from comity import rollout
from comity.algorithms.bonuses import novelty
from comity.algorithms.off_policy import alita, alita_estimates, alita_rewards
from comity.algorithms.off_policy.deterministic_nets import Member, nets_of, policies
from comity.algorithms.off_policy.maddpg import joint_actions
from comity.environments.grid.sparse.push_box import PushBox
from comity.learning import alike, influence
from comity.learning.actions import actions
from comity.learning.joint_actions import best_value
from comity.spec import Box, Discrete, Spec, Vector
from comity.types import Experience, Observation, Timestep, Transition

KEY = jax.random.key(0)
TINY: dict[str, Any] = {"hidden": 32, "steps": 5, "every": 40, "batch": 64, "warmup": 80, "capacity": 4_000}
RNG = np.random.default_rng(3)
TRANSITIONS, REWARDS = RNG.dirichlet(np.ones(2), (2, 2, 2)), RNG.normal(size=(2, 2, 2, 2))  # [s, a0, a1, s'], [i, ...]


@dataclass(frozen=True)
class Tabular:
    """Two states, two agents with two actions, which see the state."""

    length: int = 20

    @property
    def spec(self):
        return Spec(agents=2, view=Vector(2), action=Discrete(2), length=self.length, state=Vector(2))

    def reset(self, key):
        return (jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32)), self.observe(jnp.zeros((), jnp.int32))

    def step(self, key, state, action):
        place = state[0], action[0], action[1]
        after = jax.random.categorical(key, jnp.log(jnp.asarray(TRANSITIONS, jnp.float32)[place])).astype(jnp.int32)
        late = state[1] + 1 >= self.length
        reward = jnp.asarray(REWARDS, jnp.float32)[:, place[0], place[1], place[2]]
        return (after, state[1] + 1), Timestep(self.observe(after), reward, jnp.bool_(False), late, {})

    def observe(self, place):
        view = jnp.tile(jax.nn.one_hot(place, 2, dtype=jnp.int8), (2, 1))
        return Observation(view, view[0], jnp.ones((2, 2), bool))


@dataclass(frozen=True)
class Rows:
    """One step: agent 1 earns 0, 1 or 3 by what agent 0 does, or, if it does not listen, by its own action."""

    listens: bool = True
    best: int = 2  # the action that is worth 3
    spec = Spec(agents=2, view=Vector(1), action=Discrete(3), length=1, state=Vector(1))

    def reset(self, key):
        return (), self.observe()

    def step(self, key, state, action):
        reward = jnp.roll(jnp.array([0.0, 1.0, 3.0]), self.best - 2)[action[0 if self.listens else 1]] * jnp.array(
            [0.0, 1.0]
        )
        return (), Timestep(self.observe(), reward, jnp.bool_(True), jnp.bool_(False), {})

    def observe(self):
        return Observation(jnp.ones((2, 1), jnp.int8), jnp.ones(1), jnp.ones((2, 3), bool))


def trained(env: Any, iterations: int, games: int = 16, **settings):
    """(config, networks, state, metrics [iterations])."""
    config = alita.Config(**{**TINY, **settings})
    learner = alita.make(config, env)

    def iteration(carry, key):
        state, play = carry
        keys = jax.random.split(key)
        play, steps = rollout.collect(keys[0], env, learner, state, play)
        state, metrics = learner.update(keys[1], state, steps)
        return (state, play), metrics

    @jax.jit
    def run(key):
        keys = jax.random.split(key, 3)
        carry = learner.init(keys[0]), rollout.start(keys[1], env, learner.memory, games)
        (state, _), told = lax.scan(iteration, carry, jax.random.split(keys[2], iterations))
        return state, told

    return config, nets_of(config, env.spec, Member(joint_actions)), *run(KEY)


# ---------------------------------------------------------------------- estimates


PENALTIES = {"penalty_weight": 3.0, "penalty_decay": 0.0, "novelty_hidden": (4,), "novelty_batch": 4}
PAID = {"influence_of": "extrinsic", **PENALTIES}


@pytest.mark.learn
@pytest.mark.parametrize(("kind", "bonuses"), [("clones", {"novelty_by": "none"}), ("single", PAID)])
def test_estimates_become_the_expected_values_of_a_tabular_game(kind, bonuses):
    """The mean over the other's actions of what they say is q_1(s, a_0), of which the linear system is the judge.

    Penalties of the other, about 3 a step, are none of what is expected by critics of the game's rewards alone.
    """
    env, role = Tabular(), alita_estimates.Role(0, (1,))
    settings = {"influence": kind, **bonuses, "gamma": 0.5, "learning_rate": 1e-12, "tau": 0.05}
    views = jnp.tile(jnp.eye(2)[:, None], (1, 2, 1))  # [S, N, 2]

    def error(iterations):
        config, nets, state, _ = trained(env, iterations, critic_learning_rate=3e-3, influence_batch=64, **settings)
        seen = Observation(views, jnp.zeros(()), jnp.ones((2, 2, 2), bool))
        chances = np.asarray(policies(nets, state.actors, seen)[0].probabilities)
        mean = influence.averaged(TRANSITIONS, REWARDS[1:], chances[:, 1], config.gamma)
        found = np.zeros((2, 2))
        for mine in range(2):
            for theirs in range(2):
                joint = jnp.tile(jnp.eye(2)[jnp.array([mine, theirs])], (2, 1, 1))
                said = alita_estimates.call(config, nets, role, state.added.estimates[0].net, views, joint)[:, 0]
                found[:, mine] += chances[:, 1, theirs] * said
        return np.abs(found - influence.expected_values(mean, chances[:, 0])[0]).max()

    early, late = error(4), error(400)
    assert late < 0.3
    assert late < early / 3


def test_the_gap_of_an_old_buffer_is_what_the_others_have_changed():
    """They chose by one policy in the buffer, and always take action 0 today."""
    env, role = Tabular(), alita_estimates.Role(0, (1,))
    config, nets, state, told = trained(env, 60, novelty_by="none", learning_rate=1e-12, influence_updates=1)
    place = lambda actors: actors.layers[-1].bias  # noqa: E731
    bent = eqx.tree_at(place, state.actors, place(state.actors).at[1].set(jnp.array([100.0, -100.0])))
    gap = {}
    for name, actors in (("today's", state.actors), ("another's", bent)):
        given = config, env, nets, state._replace(actors=actors), state.replay, None, 80, role, 0
        after, said = alita_estimates.after_fitting(*given, KEY, state.added.estimates[0])
        gap[name] = float(said["old_buffer_gap"])
    key, _, _ = jax.random.split(jax.random.split(KEY, 1)[0], 3)
    (now, _, taken, *_), weights = alita_estimates.alike_set(config, env, nets, key, state.replay, None, 80, role, 0)
    away = []
    for joint in (taken, taken.at[:, 1].set(jnp.array([1.0, 0.0]))):
        said = alita_estimates.call(config, nets, role, after.net, now.view, joint)[:, 0]
        away.append((weights * said).sum() / weights.sum())
    assert gap["another's"] == pytest.approx(float(jnp.abs(away[0] - away[1])), rel=1e-4)
    assert gap["another's"] > 2 * float(told["old_buffer_gap"][-20:].mean())


@pytest.mark.learn
@pytest.mark.parametrize("best", [0, 1, 2])
def test_the_influence_alone_finds_the_best_row_of_the_other(best):
    """The influencer itself earns nothing."""
    settings = {"novelty_by": "none", "logit_penalty": 0.0, "learning_rate": 3e-3, "influence_weight": 1.0}
    env = Rows(best=best)
    _, nets, state, _ = trained(env, 500, critic_learning_rate=3e-3, **settings)
    chances = policies(nets, state.actors, env.observe())[0].probabilities[0]
    assert float(chances[best]) > 0.8


def test_nobody_is_influenced_who_does_not_listen():
    """How much what is expected of agent 1 depends on what agent 0 does; and who is pulled by it."""
    spreads = []
    for env in (Rows(True), Rows(False)):
        config, nets, state, _ = trained(env, 800, novelty_by="none", critic_learning_rate=1e-3, learning_rate=1e-12)
        role = alita_estimates.Role(0, (1,))
        seen = jax.tree.map(lambda x: jnp.broadcast_to(x, (3, *x.shape)), env.observe())
        parts = alita_rewards.Parts(config, env, nets, (role,), None)
        found = []
        for theirs in range(3):  # whatever agent 1 does
            joint = jnp.stack([jnp.eye(3), jnp.tile(jnp.eye(3)[theirs], (3, 1))], 1)
            found.append(alita_estimates.call(config, nets, role, state.added.estimates[0].net, seen.view, joint)[:, 0])
        spreads.append(float(np.ptp(np.array(found), axis=1).mean()))

        def term(mine, parts=parts, state=state, seen=seen):
            return alita.influence(parts, KEY, state, seen, seen, lax.stop_gradient(mine), mine)[0].sum()

        pull = jnp.abs(jax.grad(term)(jnp.full((3, 2, 3), 1 / 3)))
        assert pull[:, 0].max() > 0
        assert pull[:, 1].max() == 0  # only the influencer's actions carry it
    assert spreads[0] == pytest.approx(3.0, abs=0.3)
    assert spreads[1] < 0.1 * spreads[0]


def test_at_the_policies_own_action_the_influence_vanishes():
    """Fresh clones, and z at that action instead of the largest: nothing is left to minimise."""
    env = PushBox()
    config = alita.Config(**TINY)
    nets, role = nets_of(config, env.spec, Member(joint_actions)), alita_estimates.Role(0, (1,))
    state = alita.make(config, env).init(KEY)
    _, seen = jax.vmap(env.reset)(jax.random.split(KEY, 8))
    own = nets.acts.encoded(jax.random.randint(KEY, (8, 2), 0, 5))
    said = alita_estimates.call(config, nets, role, state.added.estimates[0].net, seen.view, own)
    critics = alita_estimates.of_agents(nets, state.critics, jnp.array([1]))
    at_own = alita_estimates.call(config, nets, role, critics, seen.view, own)
    largest = alita_estimates.best(config, nets, role, KEY, state.critics, seen, own[None])
    np.testing.assert_allclose(said, at_own, atol=1e-6)
    assert (largest >= said - 1e-6).all()
    assert float(jnp.square(largest - said).mean()) > 1e-4


# ---------------------------------------------------------------------- the largest value of joint actions


@pytest.mark.parametrize("all_up_to", [1_000, 0])
def test_the_largest_value_is_found_among_available_actions(all_up_to):
    """All 64 joint actions, or a search, of values that are a sum and a product of pairs."""
    acts, batch, agents, size = actions(Discrete(4)), 16, 3, 4
    keys = jax.random.split(KEY, 4)
    table = jax.random.normal(keys[0], (2, size, size, size))
    available = jax.random.bernoulli(keys[1], 0.7, (batch, agents, size)).at[..., 0].set(True)

    def value(u):
        each = jnp.broadcast_to(u, (*u.shape[:2], 2, agents, size))
        return jnp.einsum("jabc,xyja,xyjb,xyjc->xyj", table, *(each[..., k, :] for k in range(3)))

    wish = jnp.stack(jnp.unravel_index(table[0].argmax(), table.shape[1:]))  # the best of all, mostly not available
    first = jnp.broadcast_to(jnp.eye(size)[jnp.stack([wish, 0 * wish])][:, None], (2, batch, agents, size))
    found = best_value(value, acts, keys[2], first, available, all_up_to, 64)
    mask = jnp.einsum("ya,yb,yc->yabc", *(available[:, k].astype(jnp.float32) for k in range(3)))
    true = jnp.where(mask[:, None] > 0, table, -jnp.inf).max((2, 3, 4))
    assert (found <= true + 1e-6).all()
    assert float((found >= true - 1e-6).mean()) > (0.99 if all_up_to else 0.9)


def test_the_largest_value_of_numbers_is_climbed_to():
    goal = jnp.array([[0.5, -0.3], [0.2, 0.9]])
    value = lambda u: -jnp.square(u - goal).sum((-2, -1)) + jnp.zeros((1, 1, 2))  # noqa: E731
    acts = actions(Box(2), "point")
    found = best_value(value, acts, KEY, jnp.zeros((1, 4, 2, 2)), jnp.ones((4, 2, 2), bool), 1_000, 64)
    assert found.shape == (4, 2)
    assert (found > -0.1).all()
    assert (found <= 0).all()


# ---------------------------------------------------------------------- transitions alike


def test_equal_transitions_are_found_by_their_hashes():
    numbers = jax.random.randint(KEY, (500, 3), 0, 3)
    factors = jax.random.bits(KEY, (3,), jnp.uint32) | 1
    hashes = alike.hashed(factors, numbers)
    same = (numbers[:, None] == numbers).all(-1)
    np.testing.assert_array_equal(hashes[:, None] == hashes, same)  # 27 vectors, none of which meet
    rows = alike.exact_rows(KEY, hashes, jnp.int32(400), jnp.int32(7), 200)
    members = np.flatnonzero(same[7, :400])
    assert set(np.asarray(rows)) == set(members)
    assert rows[0] == 7
    counts = np.bincount(np.searchsorted(members, rows[1:]), minlength=len(members))
    assert counts.max() < 6 * 199 / len(members)
    floats = jnp.array([[0.5, -1.0, 2.0], [0.5, -1.0, 2.0], [0.5, -1.0, 2.0001]])
    one, two, other = alike.hashed(factors, floats)
    assert one == two
    assert one != other


def test_the_nearest_are_the_equal_ones_where_there_are_some():
    numbers = jax.random.randint(KEY, (500, 2), 0, 4).astype(jnp.float32) * jnp.array([1.0, 100.0])
    chosen = alike.nearest(numbers, 16)
    assert chosen[0] == 0
    np.testing.assert_array_equal(alike.equal(numbers[chosen]), 1.0)
    assert len(set(np.asarray(chosen))) == 16


def test_the_last_row_is_one_of_the_last_rollout():
    found = {int(alike.last_row(jax.random.key(k), jnp.int32(4), 8, 20)) for k in range(200)}
    assert found == {12, 13, 14, 15, 0, 1, 2, 3}  # of 16 places in use, written up to 4


# ---------------------------------------------------------------------- rewards


def steps_of(view, action, env) -> Transition:
    """[T, B] steps that stand still, as a bonus sees them."""
    lead = view.shape[:2]
    seen = Observation(view, jnp.zeros(lead), jnp.ones((*view.shape[:3], env.spec.action.n), bool))
    flag = jnp.zeros(lead, bool)
    return Transition(seen, (), action, jnp.zeros(view.shape[:3]), seen, (), flag, flag, ~flag, {}, {})


def test_what_was_seen_is_no_longer_new():
    """Under 5 % of the novelty of views drawn uniformly, after 400 rollouts on a corner of the grid."""
    env = PushBox()
    bonus = novelty.make(novelty.Config(batch=256), env)

    def views(key, low, high):
        cells = jax.random.randint(key, (25, 16, 6), low, high)
        view = jax.nn.one_hot(cells, 15, dtype=jnp.int8).reshape(25, 16, 1, 90)
        return jnp.tile(view, (1, 1, 2, 1))

    @jax.jit
    def rollouts(state):
        def one(state, key):
            known = views(key, jnp.array([0, 0, 1, 1, 4, 4]), jnp.array([2, 1, 2, 2, 5, 5]))
            action = jax.random.randint(key, known.shape[:3], 0, 2)
            return bonus.update(key, state, steps_of(known, action, env))

        return lax.scan(one, state, jax.random.split(KEY, 400))[0]

    state = rollouts(bonus.init(KEY))
    psi = lambda low, high: bonus.reward(  # noqa: E731
        state, steps_of(views(KEY, low, high), jax.random.randint(KEY, (25, 16, 2), 0, 2), env).experience
    )
    known = psi(jnp.array([0, 0, 1, 1, 4, 4]), jnp.array([2, 1, 2, 2, 5, 5]))
    assert float(known.mean()) < 0.05 * float(psi(0, 15).mean())


def test_novelty_learns_from_short_episodes_in_long_rollouts():
    """The last `capacity` rows of the rollout are padding. What is kept are the last valid steps, in their order."""
    env, key_action = PushBox(), jax.random.key(1)
    bonus = novelty.make(novelty.Config(hidden=(4,), capacity=6, batch=4, every=24), env)
    view = jnp.zeros((12, 2, 2, 90), jnp.int8).at[:4, :, :, 0].set(jnp.arange(1, 9, dtype=jnp.int8).reshape(4, 2, 1))
    steps = steps_of(view, jax.random.randint(key_action, (12, 2, 2), 0, 2), env)
    steps = steps._replace(valid=steps.valid & (jnp.arange(12) < 4)[:, None])
    before = bonus.init(KEY)
    after, _ = jax.jit(bonus.update)(KEY, before, steps)
    np.testing.assert_array_equal(after.recent.rows.view[:, 0, 0], [3, 4, 5, 6, 7, 8])
    assert after.recent.rows.valid.all()
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), after.net, before.net)
    assert max(jax.tree.leaves(moved)) > 1e-4


def test_rewards_are_the_novelty_of_the_influencer_and_penalties_of_the_others():
    env = PushBox()
    weights: dict[str, Any] = {**TINY, "novelty_weight": 0.3, "penalty_weight": 0.2, "penalty_decay": 0.05}
    nets = nets_of(alita.Config(**weights), env.spec, Member(joint_actions))
    _, seen = jax.vmap(env.reset)(jax.random.split(KEY, 8))
    action = jax.random.randint(KEY, (8, 2), 0, 5)
    valid = jnp.ones(8, bool)
    experience = Experience(seen, action, seen, valid, jnp.zeros(action.shape[:2]), ~valid, {})
    for influencers, expected in (((0,), ("psi", "penalty")), ((), ("both", "both"))):
        settings = alita.Config(**weights, influencers=influencers)
        state = alita.make(settings, env).init(KEY)
        bonus = novelty.make(novelty.Config(), env, influencers or (0, 1))
        roles = alita_rewards.roles_of(settings, env)
        paid = alita_rewards.rewards(alita_rewards.Parts(settings, env, nets, roles, bonus), state, experience)
        psi = np.asarray(bonus.reward(state.added.novelty, experience))
        chances = np.asarray(policies(nets, state.actors, seen)[0].probabilities)
        away = ((chances - np.eye(5)[action]) ** 2).sum(-1)
        for agent, kind in enumerate(expected):
            mine = psi[:, agent] if kind != "penalty" else 0.0
            theirs = psi[:, 1 - agent] if kind == "both" else psi[:, 0]
            penalty = 0.2 * np.exp(-0.05 * theirs) * away[:, agent] if kind != "psi" else 0.0
            np.testing.assert_allclose(paid[:, agent], 0.3 * mine - penalty, rtol=1e-4, atol=1e-5)


def test_roles():
    def of(agents, influencers):
        class Some:
            spec = Spec(agents=agents, view=Vector(1), action=Discrete(2), length=1, state=Vector(1))

        return [tuple(role) for role in alita_rewards.roles_of(alita.Config(influencers=influencers), Some())]  # pyright: ignore

    assert of(3, (0,)) == [(0, (1, 2))]
    assert of(4, (1, 3)) == [(1, (0, 2)), (3, (0, 2))]
    assert of(3, ()) == [(0, (1, 2)), (1, (0, 2)), (2, (0, 1))]
    for agents, chosen, line in ((1, (0,), "this game has one agent"), (2, (2,), "below 2"), (3, (1, 1), "different")):
        with pytest.raises(ValueError, match=line):
            of(agents, chosen)


@pytest.mark.parametrize("settings", [{"alike": "substitute", "best_at": "next"}, {"alike": "nearest"},
                                      {"novelty_by": "rnd"}, {"enumerated": 0}, {"influence": "single"},
                                      {"agents": "shared", "influencers": ()}])  # fmt: skip
def test_every_reading_learns(settings):
    _, _, state, metrics = trained(Tabular(5), 4, influence_batch=8, novelty_hidden=(8, 3, 8), **settings)
    assert int(state.updates) > 0
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(metrics))
    assert float(metrics["influence_error"][-1]) > 0
