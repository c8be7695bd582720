"""ALITA on TD3: two policies that take turns in one body, compared with TD3 and with hand calculation."""

from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

pytest.importorskip("gymnasium")

import gymnasium

from comity import interop, rollout
from comity.algorithms.off_policy import alita, alita_estimates, alita_rewards, alita_td3, td3
from comity.algorithms.off_policy.deterministic_nets import each_value, nets_of, policies
from comity.algorithms.taking_turns import Copies, driver
from comity.environments.control.point_mass import PointMass
from comity.recipes import from_objects
from comity.spec import Box, Spec, Vector
from comity.training import compile as compiling
from comity.training import stepping
from comity.training.programs import Carry
from comity.types import Observation, Timestep

KEY = jax.random.key(0)
TINY: dict[str, Any] = {"hidden": 8, "batch": 16, "capacity": 120, "warmup": 30, "steps": 10, "every": 5,
                        "novelty_hidden": (4, 2, 4), "novelty_batch": 4, "influence_batch": 4}  # fmt: skip


@dataclass(frozen=True)
class Push:
    """Three steps, each of which pays the action; the view counts them."""

    spec = Spec(1, Vector(2), Box(1), 3, state=Vector(1))

    def reset(self, key):
        return jnp.zeros((), jnp.int32), self.seen(0)

    def step(self, key, state, action):
        over = state + 1 >= 3
        return state + 1, Timestep(self.seen(state + 1), action[:, 0], over, jnp.zeros_like(over), {})

    def seen(self, time):
        view = jnp.stack([jnp.ones(()), jnp.asarray(time, jnp.float32)])[None]
        return Observation(view, jnp.zeros(1), jnp.ones((1, 1), bool))


class Pays(gymnasium.Env):
    """The same, stepped by Python."""

    observation_space = gymnasium.spaces.Box(-5, 5, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, seed=None, options=None):
        self.time = 0
        return np.array([1, 0], np.float32), {}

    def step(self, action):
        self.time += 1
        return np.array([1, self.time], np.float32), float(action[0]), self.time >= 3, False, {}


@pytest.fixture(scope="module")
def played():
    """(settings, learner, state, steps [30, 2]) after three rollouts of the whole algorithm, and its update."""
    config, env = alita_td3.Config(**TINY), Push()
    learner = alita_td3.make(config, env)

    @jax.jit
    def run(key):
        key_init, key_start, key = jax.random.split(key, 3)
        state, play = learner.init(key_init), rollout.start(key_start, env, learner.memory, 2)

        def iterate(carry, key):
            play, steps = rollout.collect(key, env, learner, *carry)
            return (learner.update(key, carry[0], steps)[0], play), steps

        (state, _), steps = lax.scan(iterate, (state, play), jax.random.split(key, 3))
        return state, jax.tree.map(lambda x: x.reshape(30, *x.shape[2:]), steps)

    return config, learner, *run(KEY)


def split_of(config):
    """(networks, parts) of the two policies as the learner inside has them."""
    env = Copies(Push(), 2)
    nets = nets_of(config, env.spec, alita_td3.member(config, True))
    return nets, alita_rewards.Parts(config, env, nets, alita_rewards.roles_of(config, env), None)


def test_policies_take_turns_at_episodes_and_share_one_replay(played):
    _, _, state, steps = played
    turns = driver(steps)  # [30, 2]
    for game in range(2):
        np.testing.assert_array_equal(turns[:, game], np.arange(30) // 3 % 2)
    rows = state.replay.rows
    assert int(state.replay.filled) == 60
    np.testing.assert_array_equal(rows.beside[:60], turns.reshape(-1))
    assert {0, 1} == set(np.asarray(rows.beside[:60]).tolist())
    np.testing.assert_array_equal(rows.action[:60, 0], rows.action[:60, 1])
    np.testing.assert_array_equal(rows.action[:60, 0], steps.action.reshape(60, 1))
    np.testing.assert_array_equal(rows.reward[:60], np.repeat(steps.reward.reshape(60, 1), 2, 1))


def test_whose_turn_it_is_moves_the_body(played):
    config, learner, state, _ = played
    nets, _ = split_of(config)
    seen = jax.tree.map(lambda x: jnp.broadcast_to(x, (2, *x.shape)), Push().seen(1))
    memory = rollout.start(KEY, Push(), learner.memory, 2, jnp.array([4, 7])).memory
    action, after, notes = learner.act(KEY, state, memory, seen, explore=False)
    both = seen._replace(view=jnp.repeat(seen.view, 2, 1), available=jnp.repeat(seen.available, 2, 1))
    meant = policies(nets, state.actors, both)[0].mode()
    np.testing.assert_array_equal(action[:, 0], meant[jnp.arange(2), jnp.array([0, 1])])
    assert float(jnp.abs(meant[:, 0] - meant[:, 1]).min()) > 1e-4
    np.testing.assert_array_equal(notes["driver"], [[0], [1]])
    np.testing.assert_array_equal(after.number, memory.number)


def test_novelty_learns_from_the_influencers_own_episodes(played):
    config, _, state, steps = played
    _, parts = split_of(config)
    np.testing.assert_array_equal(alita_rewards.own_steps(parts, steps).valid, driver(steps) == 0)
    recent = state.added.novelty.recent
    assert int(recent.filled) == 60
    own = np.sort((driver(steps) == 0).reshape(3, 20), 1)  # of each of three rollouts, the others' steps first
    np.testing.assert_array_equal(recent.rows.valid[:60], own.reshape(-1))


def test_the_influence_is_what_the_others_critic_expects_of_the_first_policy(played):
    """F = mean (C_1(s, pi_0(s)) - z)^2, z the largest of the smaller twin at what both mean, what was done, what is
    drawn; its gradient is the influencer's alone."""
    config, _, state, _ = played
    nets, parts = split_of(config)
    rng = np.random.default_rng(0)
    seen = Observation(jnp.asarray(np.repeat(rng.normal(size=(4, 1, 2)), 2, 1), jnp.float32), jnp.zeros((4, 1)),
                       jnp.ones((4, 2, 1), bool))  # fmt: skip
    taken = jnp.asarray(np.repeat(rng.uniform(-1, 1, (4, 1, 1)), 2, 1), jnp.float32)
    mine = jnp.asarray(rng.uniform(-1, 1, (4, 2, 1)), jnp.float32)
    found, told = alita.influence(parts, KEY, state, seen, seen, taken, mine)

    def twins(critics, a, agent=1):
        return each_value(nets, KEY, critics, seen.view, a, a)[:, agent]  # [4, 2]

    whole = lambda a: jnp.broadcast_to(a, (4, 2, 1))  # noqa: E731
    drawn = jax.random.uniform(jax.random.fold_in(KEY, 0), (32, 4, 2, 1), minval=-1.0)[:, :, :1]
    some = [mine[:, :1], mine[:, 1:], taken[:, :1], *drawn]
    z = jnp.stack([twins(state.critics, whole(a)).min(-1) for a in some]).max(0)
    clone = jax.tree.map(lambda x: x[0], state.added.estimates[0].net)
    expected = jnp.square(clone(seen.view[:, 1:], mine[:, :1])[:, 0] - z).mean()
    assert float(told["influence"]) == pytest.approx(float(expected), rel=1e-4)
    assert float(expected) > 1e-6
    np.testing.assert_allclose(found, np.array([0.1 * float(expected), 0.0]), rtol=1e-4)
    pull = jax.grad(lambda a: alita.influence(parts, KEY, state, seen, seen, taken, a)[0].sum())(mine)
    assert float(jnp.abs(pull[:, 0]).max()) > 0
    assert float(jnp.abs(pull[:, 1]).max()) == 0


def test_without_influence_each_policy_learns_as_td3(played):
    """The same transitions, batches and first parameters; no noise on targets, which has a number for each agent."""
    config, _, _, steps = played
    silent = replace(config, influence_weight=0.0, novelty_by="none", smoothing=0.0)
    known = {f: getattr(config, f) for f in ("hidden", "batch", "capacity", "warmup", "steps", "every")}
    single = td3.make(td3.Config(**known, smoothing=0.0), Push())
    both = alita_td3.make(silent, Push())

    parts = jax.tree.map(lambda x: x.reshape(3, 10, *x.shape[1:]), steps)

    def after(learner, steps):
        return lax.scan(lambda state, x: (learner.update(KEY, state, x)[0], None), learner.init(KEY), steps)[0]

    alone = parts._replace(memory=(), next_memory=(), notes={})
    first, two, one = jax.jit(lambda: (single.init(KEY), after(both, parts), after(single, alone)))()
    for name in ("actors", "critics", "target_actors", "target_critics"):
        ours, theirs, before = (jax.tree.leaves(getattr(x, name)) for x in (two, one, first))
        for a, b, start in zip(ours, theirs, before, strict=True):
            np.testing.assert_allclose(a[0], b[0], rtol=1e-5, atol=1e-6)
            assert float(jnp.abs(b[0] - start[0]).max()) > 1e-5 or not start[0].size
    assert int(two.updates) == int(one.updates) > 0


def test_an_evaluation_tells_the_policies_apart(played):
    """Their returns, with biases that make one push right and the other left."""
    _, _, state, _ = played
    last = state.actors.layers[-1]
    bent = last.bias.at[0].set(1.0).at[1].set(-1.0)
    still = replace_last(state, jnp.zeros_like(last.weight), bent)
    right, left = 3 * np.tanh(1.0), 3 * np.tanh(-1.0)
    settings = alita_td3.Config(**TINY)
    for env in (Push(), interop.from_gymnasium(Pays, 3)):
        one = compiling.built(from_objects(env, settings), 3, 2, 4)
        found = one.evaluate(one.floats, np.int32(0), KEY, still)["greedy"]
        one.close()
        np.testing.assert_allclose(found["return"][:, 0], [right, left, right, left], rtol=1e-4)
        np.testing.assert_allclose(found["alone"], [[right, np.nan], [np.nan, left]] * 2, rtol=1e-4)


def replace_last(state, weight, bias):
    place = lambda actors: (actors.layers[-1].weight, actors.layers[-1].bias)  # noqa: E731
    return state._replace(actors=eqx.tree_at(place, state.actors, (weight, bias)))


def test_turns_of_games_that_python_steps():
    settings, env, taken = alita_td3.Config(**TINY), interop.from_gymnasium(Pays, 3), []
    one = stepping.Stepping(alita_td3.make, settings, env, 2, 4, 2)

    def update(values, key, state, totals, steps):
        taken.append(steps)
        return Carry(state, (), ()), totals, {}, True

    parts = {"act": jax.jit(one.act), "update": update}
    one.chunk(parts, one.floats, KEY, 0, 2, one.init(one.floats, KEY))
    one.close()
    turns = np.concatenate([driver(steps) for steps in taken])
    for game in range(2):
        np.testing.assert_array_equal(turns[:, game], np.arange(20) // 3 % 2)


def test_what_does_not_fit():
    with pytest.raises(ValueError, match="take a game that is split"):
        alita_td3.make(alita_td3.Config(aux="split"), Push())
    with pytest.raises(ValueError, match="need a game of one agent, this one has 2"):
        alita_td3.make(alita_td3.Config(aux="shared"), PointMass(split=True))


def test_split_joints_have_critics_of_everyone():
    """Both agents' actions matter to each critic, and F holds the influencer's own joints only."""
    env = PointMass(split=True)
    config = alita_td3.Config(**TINY)
    assert not alita_td3.shared(config, env)
    nets = nets_of(config, env.spec, alita_td3.member(config, False))
    critics = nets.critics.init(KEY)
    view, a = jnp.ones((1, 2, 6)), jnp.full((1, 2, 1), 0.3)
    slope = jax.grad(lambda a: each_value(nets, KEY, critics, view, a, a)[0, 0, 0])(a)
    assert float(jnp.abs(slope).min()) > 0
    role = alita_estimates.Role(0, (1,))
    np.testing.assert_array_equal(alita.caused(nets, role, jnp.array([[[0.25], [0.5]]])), [[[0.25], [0.5]]])
    assert alita_td3.make(config, env).policies == 1
