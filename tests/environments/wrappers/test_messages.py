"""Messages: which agents hear what and when, what the game itself sees, and a game that needs messages."""

from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

import comity
from comity import rollout
from comity.algorithms.policy_gradient import pg
from comity.environments.grid.manitokan.game import Manitokan
from comity.environments.grid.manitokan.messages import ManitokanMessages
from comity.environments.wrappers.messages import Messages, without_messages
from comity.learning import replay
from comity.spec import Discrete, Spec, Vector, functions
from comity.types import Observation, Timestep
from tests.tiny.learning import played, training

KEY = jax.random.key(0)


class State(NamedTuple):
    bit: Array  # [] int32
    time: Array  # [] int32


@dataclass(frozen=True)
class Tell:
    """Agent 0 alone sees a bit; all are paid if agent 1 names it at the second step. The last number is a past."""

    num_agents: int = 2
    length: int = 2

    @property
    def spec(self) -> Spec:
        return Spec(self.num_agents, Vector(4), Discrete(2), self.length, state=Vector(1), history=1)

    def observe(self, state, action):
        mine = (jnp.arange(self.num_agents) == 0)[:, None] * jax.nn.one_hot(state.bit, 2) * (state.time == 0)
        clock = jnp.full((self.num_agents, 1), state.time == 1, float)
        available = jnp.ones((self.num_agents, 2), bool).at[0, 1].set(state.time == 0)
        return Observation(jnp.concatenate([mine, clock, 0.1 + 0.1 * action[:, None]], -1), state.bit[None], available)

    def reset(self, key, episode=0):
        state = State((jax.random.randint(key, (), 0, 2) + episode) % 2, jnp.int32(0))
        return state, self.observe(state, jnp.zeros(self.num_agents))

    def step(self, key, state, action):
        named = (state.time == 1) & (action[1] == state.bit)
        after = State(state.bit, state.time + 1)
        reward = jnp.full(self.num_agents, named, float)
        over = after.time >= self.length
        return after, Timestep(self.observe(after, action), reward, over, jnp.bool_(False), {"named": reward})


def test_who_hears_what_and_when():
    """Three agents, three symbols: the next agent's first, then the one after it, one step later."""
    env = Messages(Tell(num_agents=3), symbols=3)
    state, first = env.reset(KEY, 1)
    game_state, alone = Tell(num_agents=3).reset(KEY, 1)
    np.testing.assert_array_equal(first.view[:, 3:9], 0)
    action = jnp.array([1 * 3 + 2, 0 * 3 + 1, 1 * 3 + 0])  # actions 1, 0, 1 with symbols 2, 1, 0
    state, timestep = env.step(KEY, state, action)
    plain_state, plain = env.game.step(KEY, game_state, jnp.array([1, 0, 1]))
    one = np.eye(3)
    heard = [[*one[1], *one[0]], [*one[0], *one[2]], [*one[2], *one[1]]]
    np.testing.assert_array_equal(timestep.observation.view[:, 3:9], heard)
    np.testing.assert_array_equal(timestep.observation.state[1:], [*one[2], *one[1], *one[0]])
    np.testing.assert_array_equal(timestep.reward, plain.reward)
    np.testing.assert_array_equal(state.game.time, plain_state.time)
    for seen, of_game in ((first, alone), (timestep.observation, plain.observation)):
        without, _ = without_messages(env, seen)
        jax.tree.map(np.testing.assert_array_equal, without, of_game)
        np.testing.assert_array_equal(seen.view[:, -1], of_game.view[:, -1])  # the own past stays last
        np.testing.assert_array_equal(seen.available, np.repeat(of_game.available, 3, -1))
    np.testing.assert_array_equal(without_messages(env, timestep.observation)[1], [2, 1, 0])
    np.testing.assert_array_equal(without_messages(env, first)[1], -1)
    assert {k: list(x) for k, x in timestep.info.items() if k != "named"} == {
        "symbol_0": [0, 0, 1],
        "symbol_1": [0, 1, 0],
        "symbol_2": [1, 0, 0],
    }


def test_a_closed_channel_delivers_nothing_and_changes_no_shape():
    open_, closed = (Messages(Tell(), symbols=3, closed=c) for c in (False, True))
    for env in (open_, closed):
        state, _ = env.reset(KEY)
        state, timestep = env.step(KEY, state, jnp.array([4, 2]))
        np.testing.assert_array_equal(state.sent, [1, 2])
        assert (timestep.observation.view[:, 3:6].sum() > 0) == (env is open_)
        assert (timestep.observation.state[1:].sum() > 0) == (env is open_)
        assert timestep.observation.view.shape == (2, env.spec.view.size)
        assert timestep.observation.state.shape == (env.spec.state.size,)


def test_statistics_of_symbols_by_hand():
    env = Messages(Tell(), symbols=2)
    said = jnp.array([[[1.0, 1]], [[0, 1]], [[0, 1]], [[1, 1]]])  # [T, B, N] symbol 0; the last step is padding
    valid = jnp.array([[True], [True], [True], [False]])
    info = {"symbol_0": said, "symbol_1": 1 - said, "named": said}
    found = env.summary(jnp.zeros((4, 1, 2)), info, valid)
    np.testing.assert_allclose(found["symbol_0"], [[1 / 3, 1]], rtol=1e-6)
    np.testing.assert_allclose(found["symbol_1"], [[2 / 3, 0]], rtol=1e-6)
    np.testing.assert_allclose(found["symbol_entropy"], [[np.log(3) / 3 + 2 / 3 * np.log(1.5), 0]], atol=1e-6)
    np.testing.assert_allclose(found["named"], [[1, 3]])


@pytest.mark.learn
def test_only_talk_wins():
    """PG agrees on what the symbols mean (in some seeds: before anyone means anything nobody listens); with the channel
    closed the same agents are at chance."""
    env = Messages(Tell(), symbols=4)
    config = pg.Config(hidden=16, critic_schedule="batch", learning_rate=0.01, critic_learning_rate=0.01)
    algorithm = pg.make(replace(config, entropy_bonus=0.3), env)

    @jax.jit
    def learn(key):
        state, paid = training(algorithm, env, 120, 128, lambda steps, _: steps.reward.sum(0).mean())(key)
        return paid, played(key, algorithm, state, replace(env, closed=True), 512).reward.sum(0).mean()

    runs = [jax.device_get(learn(jax.random.key(seed))) for seed in (1, 3, 4)]
    paid, closed = max(runs, key=lambda run: run[0][-10:].mean())
    assert 0.35 < paid[:2].mean() < 0.65
    assert paid[-10:].mean() > 0.95
    assert 0.4 < closed < 0.6


MANITOKAN = ManitokanMessages(length=3, observe="door-signal+last-action", symbols=3)


def test_a_task_with_messages_is_a_wrapper_with_flat_settings():
    game = Manitokan(length=3, observe="door-signal+last-action")
    env = Messages(game, symbols=3)
    assert [f.name for f in fields(MANITOKAN)] == [f.name for f in fields(Manitokan)] + ["symbols", "closed"]
    assert MANITOKAN.spec == env.spec
    assert (MANITOKAN.spec.action.n, MANITOKAN.spec.history) == (18, 6)
    assert MANITOKAN.spec.action_names[4] == "turn right, says 1"
    assert not hasattr(MANITOKAN, "build")  # of a state without messages
    assert hash(MANITOKAN) == hash(ManitokanMessages(length=3, observe="door-signal+last-action", symbols=3))
    assert replace(MANITOKAN, closed=True).spec.view.size == env.spec.view.size
    jax.tree.map(np.testing.assert_array_equal, MANITOKAN.reset(KEY), env.reset(KEY))
    own = functions(MANITOKAN)
    assert own.draw
    assert own.draw_view
    assert own.draw(MANITOKAN.reset(KEY)[0]).shape == game.draw(game.reset(KEY)[0]).shape
    view = MANITOKAN.reset(KEY)[1].view[0]
    np.testing.assert_array_equal(own.draw_view(view), game.draw_view(jnp.delete(view, slice(28, 31))))


def test_manitokan_with_messages_holds_what_games_promise():
    comity.check(MANITOKAN)


def test_replay_gives_observations_back():
    policy = lambda key, memory, seen: (  # noqa: E731
        jax.random.categorical(key, jnp.where(seen.available, 0.0, -jnp.inf)).astype(jnp.int32),
        memory,
        {},
    )

    own: Any = functions(MANITOKAN)
    inject: dict[str, Any] = {"reward": "inject", "length": 3}
    injecting: Any = functions(ManitokanMessages(**inject))
    assert own.training_reward is None  # nothing is injected

    @jax.jit
    def play(key):
        steps = rollout.collect_episodes(key, MANITOKAN, policy, rollout.start(key, MANITOKAN, (), 4))
        seen = replay.observed(steps)
        again = jax.vmap(jax.vmap(lambda o: own.unpack(own.pack(o))))(seen)
        shared = own.collective(steps).reward
        trained = injecting.training_reward(key, steps, 0), Manitokan(**inject).training_reward(key, steps, 0)
        return seen, again, *trained, shared

    seen, again, trained, reward, shared = play(KEY)
    jax.tree.map(np.testing.assert_array_equal, seen, again)
    assert seen.view[1:, ..., 28:31].sum(-1).min() == 1
    np.testing.assert_array_equal(trained, reward)
    assert shared.shape == (3, 4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Messages(Tell(), symbols=1), "symbols 1 is below 2"),
        (lambda: Messages(Tell(num_agents=1)), "messages need two agents or more, Tell has 1"),
        (lambda: ManitokanMessages(symbols=0), "symbols 0 is below 2"),
        (lambda: ManitokanMessages(reward="nice"), "reward 'nice' is not one of normal"),  # pyright: ignore[reportArgumentType]
        (lambda: ManitokanMessages(num_agents=1), "two agents or more"),
    ],
)
def test_bad_settings_are_refused_in_one_line(make, message):
    with pytest.raises(ValueError, match=r"^[^\n]*$") as error:
        make()
    assert message in str(error.value)
