"""RUSP's learner: play repeated by pieces, several heads, past play, private inputs, and games it must solve."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array, lax

from comity import rollout
from comity.algorithms import sights
from comity.algorithms.ppo import rusp
from comity.environments.matrix.ipd import IPD
from comity.learning import Moments, log_prob, masked, versions
from comity.networks import EntityView
from comity.settings import floats, with_floats
from comity.spec import Entities, MultiDiscrete, Spec, Vector
from comity.types import Observation, Timestep
from tests.tiny.learning import training

KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles fastest
N, T, B = 3, 6, 4
CHOOSE, OUT = 0, 1


@dataclass(frozen=True)
class Pairs:
    """Everything is drawn: views, states, masks, rewards, and ends of both kinds. Agents choose one of the others, or
    sit out; then whom they chose means nothing. State: 2 numbers for all, then 3 for each agent."""

    length: int = T
    seen = Entities(own=(0, 5), others=((1, 2), (3, 4)), offsets=(-1, -2))

    @property
    def spec(self):
        private = Vector(3, Entities(own=(0,), others=((1,), (2,)), offsets=(-1, -2)))
        choice = MultiDiscrete((2, 2), pointer=1)
        return Spec(N, Vector(6, self.seen), choice, self.length, state=Vector(2 + 3 * N), private=private)

    def counts(self, action):
        return jnp.ones_like(action[0], bool), action[0] == CHOOSE

    def observe(self, key):
        keys = jax.random.split(key, 3)
        allowed = jax.random.bernoulli(keys[2], 0.7, (N, 2)).at[:, 0].set(True)
        view, state = jax.random.normal(keys[0], (N, 6)), jax.random.normal(keys[1], (2 + 3 * N,))
        return Observation(view, state, (jnp.ones((N, 2), bool), allowed))

    def reset(self, key):
        return jnp.int32(0), self.observe(key)

    def step(self, key, state, action):
        key, key_end, key_reward = jax.random.split(key, 3)
        drawn, late = jax.random.uniform(key_end), state + 1 >= self.length
        reward = jax.random.normal(key_reward, (N,)) + action[0]
        truncated = ((drawn > 0.8) | late) & (drawn >= 0.2)
        return state + 1, Timestep(self.observe(key), reward, drawn < 0.2, truncated, {})


ENV = Pairs()
SMALL = rusp.Config(steps=T, chunk=3, epochs=1, minibatches=1, width=4, hidden=5, versions=3, past_play=0.4)


def made(values=None):
    return rusp.make(with_floats(SMALL, {**floats(SMALL), **(values or {})}), ENV)


def moved(key, tree):
    return jax.tree.map(lambda x: x + 0.3 * jax.random.normal(key, x.shape), tree)


class Played(NamedTuple):
    state: Any  # rusp.State
    steps: rollout.Transition


@cache
def played() -> Played:
    """6 steps of 4 games in which episodes end in both ways. The state has seen returns and inputs, and a rival."""
    algorithm = made()

    @jax.jit
    def play(key):
        state = algorithm.init(key)
        scales = jax.tree.map(lambda x: x, (state.policy.scale, state.critic.scale))
        number = iter(range(1, 100))
        seen = lambda m: Moments(m.mean + 0.1 * next(number), m.square + 1.0 + next(number), jnp.float32(0.8))  # noqa: E731
        of = lambda scale: sights.Scale(seen(scale.own), seen(scale.others))  # noqa: E731
        state = state._replace(
            policy=rusp.Player(moved(key, state.policy.net), of(scales[0])),
            critic=rusp.Player(moved(key, state.critic.net), of(scales[1])),
            rival=rusp.Player(moved(jax.random.fold_in(key, 1), state.policy.net), of(scales[0])),
            returns=Moments(jnp.array([0.3]), jnp.array([2.0]), jnp.float32(0.8)),
            count=jnp.int32(1),
        )
        start = rollout.start(key, ENV, algorithm.memory, B)
        return Played(state, rollout.collect(key, ENV, algorithm, state, start)[1])

    found = play(KEY)
    steps = found.steps
    assert steps.terminated[:-1].any()
    assert steps.truncated[:-1].any()
    assert steps.ended[jnp.array([0, 1, 3, 4])].any()  # inside of a piece
    assert 0.1 < driven(steps).mean() < 0.9
    return found


def driven(steps):
    return np.asarray(steps.next_memory.driver == rusp.RIVAL)


@jax.jit
def update(values, state, steps):
    """One update of SMALL with other floats: compiled once for all tests."""
    return made(values).update(KEY, state, steps)


def learn(state, steps, **values) -> Any:
    return update({**floats(SMALL), **values}, state, steps)


def close(a, b, tolerance=1e-5):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance), a, b)


def nets(state):
    return state.policy.net, state.critic.net


# Pieces --------------------------------------------------------------------------------------------------------------


def test_pieces_begun_from_stored_memory_repeat_the_play():
    """Every ratio is 1 and every value as it was, though episodes begin inside of pieces."""
    state, steps = played()
    _, metrics = learn(state, steps, clip=1e-4, decay=0.9)
    assert metrics["clipped"] == 0
    assert abs(metrics["kl"]) < 1e-6
    assert metrics["driven_by_past"] == pytest.approx(driven(steps).mean())
    off = steps._replace(memory=jax.tree.map(lambda m: m.at[3].add(0.5) if m.ndim == 4 else m, steps.memory))
    _, metrics = learn(state, off, clip=1e-4)
    assert metrics["clipped"] > 0.1  # the second piece begins from there


def test_the_critic_learns_lambda_returns_in_deviations():
    """The squared error at the first step by hand: advantages as discounted sums of one-step errors."""
    state, steps = played()
    _, metrics = learn(state, steps, decay=0.9)
    algorithm = made()
    evaluate = jax.jit(lambda memory, o: algorithm.act(KEY, state, memory, o)[2]["value"])
    value, following = (
        np.asarray(evaluate(memory, o))
        for memory, o in ((steps.memory, steps.observation), (steps.next_memory, steps.next_observation))
    )
    np.testing.assert_allclose(value, steps.notes["value"], atol=1e-5)
    terminated, ended = np.asarray(steps.terminated), np.asarray(steps.ended)
    error = np.asarray(steps.reward) + 0.998 * np.where(terminated[..., None], 0, following) - value
    advantage = np.zeros_like(error)
    for t in range(T):
        for b in range(B):
            for k in range(t, T):
                advantage[t, b] += (0.998 * 0.95) ** (k - t) * error[k, b]
                if ended[k, b]:
                    break
    own = ~driven(steps)
    returns = (advantage + value)[own]
    mean, square = 0.9 * 0.3 + 0.1 * returns.mean(), 0.9 * 2.0 + 0.1 * (returns**2).mean()
    weight = 0.9 * 0.8 + 0.1
    mean, deviation = mean / weight, np.sqrt(square / weight - (mean / weight) ** 2)
    before = (value[own] - 0.3 / 0.8) / np.sqrt(2 / 0.8 - (0.3 / 0.8) ** 2)  # as the network gave it
    expected = ((before - (returns - mean) / deviation) ** 2).mean()
    np.testing.assert_allclose(metrics["critic_loss"], expected, rtol=1e-4)


# Heads ---------------------------------------------------------------------------------------------------------------


def test_log_probability_of_several_heads():
    """The sum over heads that count; 0 for a choice of whom by one who sits out."""
    state, steps = played()
    seen = sights.to_scale(sights.seen_by_policy(ENV, steps.observation), state.policy.scale, 5.0)
    outputs, _ = state.policy.net(seen, steps.memory.policy)
    option, whom = outputs[..., :2], masked(outputs[..., 2:], steps.observation.available[1])
    expected = log_prob(option, steps.action[0])
    expected += jnp.where(steps.action[0] == CHOOSE, log_prob(whom, steps.action[1]), 0)
    own = ~driven(steps)
    np.testing.assert_allclose(steps.notes["log_prob"][own], expected[own], rtol=1e-4, atol=1e-5)


def test_a_choice_that_does_not_count_teaches_nothing():
    state, steps = played()
    option, whom = steps.action
    other = jnp.where(option == OUT, 1 - whom, whom)
    assert (other != whom).any()
    plain, changed = (learn(state, steps._replace(action=(option, x)))[0] for x in (whom, other))
    close(nets(plain), nets(changed), 0)
    out = steps._replace(action=(jnp.full_like(option, OUT), whom))
    after = learn(state, out)[0]
    close(after.policy.net.pointer, state.policy.net.pointer, 0)
    assert (after.policy.net.head.weight != state.policy.net.head.weight).any()
    assert (plain.policy.net.pointer.layers[0].weight != state.policy.net.pointer.layers[0].weight).any()


# Past play -----------------------------------------------------------------------------------------------------------


def test_nothing_is_learned_from_whom_the_past_drives():
    state, steps = played()
    past = driven(steps)
    garbled = lambda x, y: jnp.where(past.reshape(*past.shape, *(1,) * (x.ndim - 3)), y, x)  # noqa: E731
    garbage = steps._replace(
        action=(garbled(steps.action[0], 0), garbled(steps.action[1], 0)),
        reward=garbled(steps.reward, 9.0),
        observation=steps.observation._replace(view=garbled(steps.observation.view, 9.0)),
        notes={name: garbled(x, 0.5) for name, x in steps.notes.items()},
    )
    plain, other = learn(state, steps), learn(state, garbage)
    close((nets(plain[0]), plain[0].returns), (nets(other[0]), other[0].returns))
    close((plain[0].policy.scale, plain[1]), (other[0].policy.scale, other[1]))
    learnt = learn(state, steps._replace(reward=garbled(steps.reward, 9.0) + 1.0 * ~past))
    assert abs(learnt[1]["critic_loss"] - plain[1]["critic_loss"]) > 1e-3


def test_the_past_drives_for_an_episode():
    state, steps = played()
    driver = np.asarray(steps.next_memory.driver)
    begins = np.asarray(steps.memory.driver == 0)
    np.testing.assert_array_equal(begins[1:], np.repeat(np.asarray(steps.ended[:-1])[..., None], N, -1))
    np.testing.assert_array_equal(driver[1:][~begins[1:]], driver[:-1][~begins[1:]])
    assert set(np.unique(driver)) == {rusp.SELF, rusp.RIVAL}
    # It is the rival's network that acts, from its own memory.
    seen = sights.seen_by_policy(ENV, steps.observation)
    for player, who in ((state.policy, ~driven(steps)), (state.rival, driven(steps))):
        _, kept = player.net(sights.to_scale(seen, player.scale, 5.0), steps.memory.policy)
        np.testing.assert_allclose(kept.cell[who], steps.next_memory.policy.cell[who], rtol=1e-4, atol=1e-5)


def test_how_often_the_past_drives_and_when_never():
    state, steps = played()
    algorithm = made()
    many = jax.tree.map(lambda x: jnp.broadcast_to(x[0, :1], (2000, *x.shape[2:])), (steps.memory, steps.observation))
    drivers = lambda act, state: np.asarray(jax.jit(act)(KEY, state, *many)[1].driver)  # noqa: E731
    assert (many[0].driver == 0).all()
    share = (drivers(algorithm.practise, state) == rusp.RIVAL).mean()
    assert share == pytest.approx(0.4, abs=0.03)
    assert (drivers(algorithm.practise, state._replace(count=jnp.int32(0))) == rusp.SELF).all()  # nothing is stored yet
    assert (drivers(algorithm.act, state) == 0).all()  # nor where nobody learns


def test_stored_versions_are_a_uniform_sample_of_all():
    def sample(key):
        def step(past, xs):
            count, key = xs
            return versions.remembered(key, past, count, count.astype(jnp.float32)), None

        key, key_recall = jax.random.split(key)
        past = lax.scan(step, jnp.full(4, -1.0), (jnp.arange(20), jax.random.split(key, 20)))[0]
        return past, versions.recalled(key_recall, past, jnp.int32(20))

    past, one = jax.jit(jax.vmap(sample))(jax.random.split(jax.random.key(1), 8000))
    counts = np.bincount(np.asarray(past, int).ravel(), minlength=20) / 8000
    np.testing.assert_allclose(counts, 4 / 20, atol=0.02)
    assert (jnp.diff(jnp.sort(past), axis=-1) > 0).all()  # each but once
    np.testing.assert_allclose(np.bincount(np.asarray(one, int), minlength=20) / 8000, 1 / 20, atol=0.01)
    few = {float(versions.recalled(jax.random.key(k), jnp.arange(4.0), jnp.int32(2))) for k in range(20)}
    assert few == {0.0, 1.0}  # of four places two are filled


def test_every_update_stores_its_policy_and_draws_a_rival():
    state, steps = played()
    state = state._replace(count=jnp.int32(0))
    for k in range(3):
        state, _ = learn(state, steps)
        close(jax.tree.map(lambda x, k=k: x[k], state.past), state.policy, 0)
        same = [
            all(jax.tree.leaves(jax.tree.map(lambda x, y, j=j: bool((x[j] == y).all()), state.past, state.rival)))
            for j in range(k + 1)
        ]
        assert sum(same) == 1
    assert state.count == 3


# What is seen --------------------------------------------------------------------------------------------------------


def test_a_critic_reads_its_own_agents_private_numbers():
    view = 100 * jnp.arange(N)[:, None] + jnp.arange(6.0)
    observation = Observation(view, 1000 + jnp.arange(2.0 + 3 * N), ())
    seen: Any = sights.seen_by_critic(ENV, observation)
    for agent in range(N):
        v, p = 100 * agent, 1002 + 3 * agent
        assert seen.own[agent].tolist() == [v, v + 5, 1000, 1001, p]
        assert seen.others[agent].tolist() == [[v + 1, v + 2, p + 1], [v + 3, v + 4, p + 2]]
    mine: Any = sights.seen_by_policy(ENV, observation)
    assert mine.own[1].tolist() == [100, 105]
    assert mine.others[1].tolist() == [[101, 102], [103, 104]]


def test_no_value_reads_what_is_private_to_another():
    state, steps = played()
    algorithm = made()
    memory, seen = jax.tree.map(lambda x: x[0], (steps.memory, steps.observation))
    act = jax.jit(lambda seen: algorithm.act(KEY, state, memory, seen))
    other = seen._replace(state=seen.state.at[:, 2 + 3 : 2 + 6].add(1.0))
    value, changed = act(seen)[2]["value"], act(other)[2]["value"]
    assert (value[:, 1] != changed[:, 1]).all()
    np.testing.assert_array_equal(value[:, [0, 2]], changed[:, [0, 2]])
    close(act(seen)[0], act(other)[0], 0)


def test_inputs_to_scale():
    """Entity features share their mean over all others; within five deviations, and no deviation is below 0.1."""
    own, others = jnp.array([[[[1.0, 7.0]], [[3.0, 7.0]]]]), jnp.array([[[[[2.0], [6.0]]], [[[4.0], [8.0]]]]])
    seen = EntityView(own, others)  # [T 1, B 2, N 1, ...]
    zero = lambda size: Moments(jnp.zeros(size), jnp.zeros(size), jnp.zeros(()))  # noqa: E731
    scale = sights.updated_scale(sights.Scale(zero(2), zero(1)), seen, jnp.ones((1, 2, 1), bool), 0.9)
    scaled: Any = sights.to_scale(seen, scale, 5.0)
    np.testing.assert_allclose(scaled.own[0, :, 0], [[-1, 0], [1, 0]], atol=1e-3)
    np.testing.assert_allclose(scaled.others[0, :, 0, :, 0], np.array([[-3, 1], [-1, 3]]) / np.sqrt(5), rtol=1e-4)
    far = sights.to_scale(EntityView(own + 100, others - 100), scale, 5.0)
    assert (far.own == 5).all()
    assert (far.others == -5).all()
    only: Any = sights.updated_scale(sights.Scale(zero(2), zero(1)), seen, jnp.array([[[True], [False]]]), 0.9)
    np.testing.assert_allclose(only.own.mean / only.own.weight, [1, 7], rtol=1e-5)
    np.testing.assert_allclose(only.others.mean / only.others.weight, [4], rtol=1e-5)


def test_columns_in_any_order():
    x = jnp.arange(12.0).reshape(2, 6)
    for columns in ((0, 1, 2), (5, 0), (3, 1, 2, 5), ()):
        np.testing.assert_array_equal(sights.taken(x, columns), x[:, np.array(columns, int)])


def test_a_pointer_needs_to_see_whom_it_chooses():
    blind = type("Blind", (Pairs,), {"seen": Entities((0, 1), ((), ()), (1, 2))})()
    with pytest.raises(ValueError, match="of whom nothing is seen"):
        rusp.make(SMALL, blind)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"past_play": 1.5}, "past_play 1.5 is above 1"),
        ({"chunk": 0}, "chunk 0 is below 1"),
        ({"versions": -1}, "versions -1 is below 0"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        rusp.Config(**settings)


# Learning ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sharing(IPD):
    """The dilemma, of whose points a share goes to the other."""

    share: Array | float = 0.0

    def step(self, key, state, action):
        state, timestep = super().step(key, state, action)
        reward = (1 - self.share) * timestep.reward + self.share * timestep.reward[::-1]
        return state, timestep._replace(reward=reward)


@jax.jit
def defection(share):
    """Share of defection in each of 60 updates of 32 games. One program for both tests."""
    env = Sharing(payoffs=(2.0, -2.0, 4.0, 0.0), length=4, sees="actions", share=share)
    config = replace(SMALL, steps=8, chunk=4, epochs=4, width=8, hidden=8, learning_rate=0.01, past_play=0.1)
    algorithm = rusp.make(config, env)
    return training(algorithm, env, 60, 32, lambda steps, _: (steps.action == 1).mean())(KEY)[1]


@pytest.mark.learn
def test_learns_to_defect_for_itself_and_to_cooperate_for_the_team():
    selfish, team = defection(0.0), defection(0.5)
    assert 0.2 < selfish[0] < 0.8
    assert selfish[-5:].mean() > 0.9
    assert team[-5:].mean() < 0.1
