"""Rollouts against a loop in plain Python: resets, padding, episode counts, next observations, seeds."""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from comity import rollout
from comity.learning import log_prob, masked, sample
from comity.spec import Discrete, Spec, Vector
from comity.training.programs import begun, programs
from comity.types import Algorithm, Environment, Observation, Timestep

GAMES, STEPS = 3, 8


class State(NamedTuple):
    time: Array  # [] int32
    limit: Array  # [] int32, the episode ends at this step, if the clock does not end it first
    drawn: Array  # [] float32


@dataclass(frozen=True)
class Lottery:
    """Ends after 1 to 6 steps, by turns of the episodes, or by the clock after 4. Numbers are drawn at every step."""

    noise: float = 1.0  # 0: what happens depends on no key
    length: int = 4

    @property
    def spec(self):
        return Spec(agents=2, view=Vector(3), action=Discrete(3), length=self.length, state=Vector(1))

    def draw(self, key):
        return self.noise * jax.random.uniform(key) if self.noise else jnp.zeros(())

    def observe(self, state: State) -> Observation:
        own = jnp.arange(2.0)
        view = jnp.stack([state.time + 0 * own, state.drawn + 0 * own, own], -1)
        available = jnp.ones((2, 3), bool).at[0, 2].set(state.time % 2 == 0)
        return Observation(view, state.time[None].astype(jnp.float32), available)

    def reset(self, key, episode=0):
        limit = 1 + (5 * jnp.asarray(episode, jnp.int32) + 2) % 6
        state = State(jnp.int32(0), limit, self.draw(key))
        return state, self.observe(state)

    def step(self, key, state, action):
        time = state.time + 1
        after = State(time, state.limit, self.draw(key) + 0.1 * action.sum())
        truncated = (time >= self.length) & (time < state.limit)
        info = {"drawn": after.drawn, "took": action.astype(jnp.float32)}
        return after, Timestep(self.observe(after), action + after.drawn, time >= state.limit, truncated, info)


def act(key, state, memory, observation, explore=True):
    """A fixed policy with a memory. state: [] scale of the logits."""
    memory = 0.5 * memory + observation.view.sum(-1)
    logits = masked(state * memory[..., None] * jnp.arange(3.0), observation.available)
    action = sample(key, logits) if explore else logits.argmax(-1).astype(jnp.int32)
    return action, memory, {"log_prob": log_prob(logits, action)}


def algorithm(**kwargs) -> Algorithm:
    return Algorithm(lambda key: jnp.float32(0.3), act, lambda key, state, steps: (state, {}), jnp.zeros(2), **kwargs)


ENV = Lottery()
EPISODES, ONWARD = algorithm(whole_episodes=True), algorithm(steps=STEPS)
SCALE = jnp.float32(0.3)


@jax.jit
def begin(key, episode):
    return rollout.start(key, ENV, EPISODES.memory, GAMES, episode)


@jax.jit
def play_episodes(key, play):
    return rollout.collect(key, ENV, EPISODES, SCALE, play)


@jax.jit
def play_on(key, play):
    return rollout.collect(key, ENV, ONWARD, SCALE, play)


def equal(a, b, tolerance=0.0) -> bool:
    close = jax.tree.map(lambda x, y: np.allclose(x, y, rtol=0, atol=tolerance) and x.shape == y.shape, a, b)
    return all(jax.tree.leaves(close))


def stack(rows):
    return jax.tree.map(lambda *leaves: np.stack(leaves), *rows)


act_one_step = jax.jit(lambda key, memory, observation: act(key, SCALE, memory, observation))
step_one_game = jax.jit(ENV.step)
reset_one_game = jax.jit(ENV.reset)


def plain_step(key, games, memory, observations):
    """One step of every game, in turn."""
    key_act, key_step = jax.random.split(key)
    action, memory, notes = act_one_step(key_act, memory, stack(observations))
    keys = jax.random.split(key_step, GAMES)
    action = np.asarray(action)
    results = [jax.device_get(step_one_game(keys[b], games[b], action[b])) for b in range(GAMES)]
    return action, np.asarray(memory), notes, [r[0] for r in results], [r[1] for r in results]


def unstacked(play):
    play = jax.device_get(play)
    one = lambda tree, b: jax.tree.map(lambda x: x[b], tree)  # noqa: E731
    return [one(play.game, b) for b in range(GAMES)], [one(play.observation, b) for b in range(GAMES)]


def test_games_are_environments():
    assert isinstance(ENV, Environment)


def test_collect_episodes_is_a_plain_loop():
    key, play = jax.random.key(1), begin(jax.random.key(0), jnp.arange(GAMES) + 1)  # one of them ends by the clock
    steps = jax.device_get(play_episodes(key, play)[1])
    key, key_start = jax.random.split(key)
    games, observations = unstacked(begin(key_start, play.episode))
    memory, over = np.zeros((GAMES, 2)), np.zeros(GAMES, bool)
    for t, step_key in enumerate(jax.random.split(key, ENV.length)):
        assert equal(jax.tree.map(lambda x, t=t: x[t], steps.observation), stack(observations), 1e-6)
        np.testing.assert_allclose(steps.memory[t], memory, atol=1e-6)
        action, after, _, new_games, timesteps = plain_step(step_key, games, memory, observations)
        np.testing.assert_array_equal(steps.action[t], action)
        for b in range(GAMES):
            assert bool(steps.valid[t, b]) != bool(over[b])
            frozen = over[b]
            expected = 0 * timesteps[b].reward if frozen else timesteps[b].reward
            np.testing.assert_allclose(steps.reward[t, b], expected, atol=1e-6)
            np.testing.assert_allclose(steps.info["took"][t, b], 0 if frozen else action[b], atol=1e-6)
            np.testing.assert_allclose(
                steps.info["drawn"][t, b], 0 if frozen else timesteps[b].info["drawn"], atol=1e-6
            )
            assert bool(steps.terminated[t, b]) == (not frozen and bool(timesteps[b].terminated))
            assert bool(steps.truncated[t, b]) == (not frozen and bool(timesteps[b].truncated))
            if not frozen:
                games[b], observations[b], memory[b] = new_games[b], timesteps[b].observation, after[b]
            over[b] |= bool(timesteps[b].terminated | timesteps[b].truncated)
        assert equal(jax.tree.map(lambda x, t=t: x[t], steps.next_observation), stack(observations), 1e-6)
        np.testing.assert_allclose(steps.next_memory[t], memory, atol=1e-6)
    assert over.all()
    assert not steps.valid.all()  # some padding was seen
    assert steps.terminated.any()
    assert steps.truncated.any()


def test_collect_steps_is_a_plain_loop_with_resets():
    key, play = jax.random.key(2), begin(jax.random.key(0), jnp.arange(GAMES))
    last, steps = jax.device_get(play_on(key, play))
    games, observations = unstacked(play)
    memory, episode = np.zeros((GAMES, 2)), np.arange(GAMES)
    for t, step_key in enumerate(jax.random.split(key, STEPS)):
        step_key, key_reset = jax.random.split(step_key)
        reset_keys = jax.random.split(key_reset, GAMES)
        assert equal(jax.tree.map(lambda x, t=t: x[t], steps.observation), stack(observations), 1e-6)
        np.testing.assert_allclose(steps.memory[t], memory, atol=1e-6)
        action, memory, notes, games, timesteps = plain_step(step_key, games, memory, observations)
        np.testing.assert_array_equal(steps.action[t], action)
        np.testing.assert_allclose(steps.notes["log_prob"][t], notes["log_prob"], atol=1e-6)
        np.testing.assert_allclose(steps.reward[t], [x.reward for x in timesteps], atol=1e-6)
        observations = [x.observation for x in timesteps]
        assert equal(jax.tree.map(lambda x, t=t: x[t], steps.next_observation), stack(observations), 1e-6)  # no reset
        np.testing.assert_allclose(steps.next_memory[t], memory, atol=1e-6)
        memory = memory.copy()
        for b in range(GAMES):
            ended = bool(timesteps[b].terminated | timesteps[b].truncated)
            assert bool(steps.ended[t, b]) == ended
            if ended:
                episode[b] += 1
                memory[b] = 0
                games[b], observations[b] = jax.device_get(reset_one_game(reset_keys[b], np.int32(episode[b])))
    np.testing.assert_array_equal(last.episode, episode)
    assert equal(last.game, stack(games), 1e-6)
    assert equal(last.observation, stack(observations), 1e-6)
    np.testing.assert_allclose(last.memory, memory, atol=1e-6)
    assert steps.valid.all()
    assert episode.sum() > GAMES


def test_seeds_together_are_seeds_one_by_one():
    keys, play = jax.random.split(jax.random.key(3), 2), begin(jax.random.key(0), jnp.arange(GAMES))
    together = jax.jit(jax.vmap(lambda k: rollout.collect(k, ENV, ONWARD, SCALE, play)))(keys)
    for i in range(2):
        assert equal(jax.tree.map(lambda x, i=i: x[i], together), play_on(keys[i], play), 1e-6)
    assert not equal(play_on(keys[0], play), play_on(keys[1], play))


def test_two_halves_are_the_whole():
    """In a game without chance, played greedily: what differs otherwise is only which keys the steps get."""
    env = Lottery(noise=0.0)

    greedy = lambda key, memory, observation: act(key, SCALE, memory, observation, explore=False)  # noqa: E731

    @partial(jax.jit, static_argnums=2)
    def onward(key, play, length):
        return rollout.collect_steps(key, env, greedy, play, jnp.zeros(2), length)

    key = jax.random.key(4)
    play = jax.jit(lambda key: rollout.start(key, env, jnp.zeros(2), GAMES, jnp.arange(GAMES)))(key)
    last, whole = onward(key, play, 2 * STEPS)
    middle, first = onward(key, play, STEPS)
    also_last, second = onward(key, middle, STEPS)
    assert equal(jax.tree.map(lambda a, b: np.concatenate([a, b]), first, second), whole)
    assert equal(last, also_last)
    assert whole.ended.sum() > 2 * GAMES


def test_next_observation_of_whole_episodes_is_the_following_one():
    _, steps = play_episodes(jax.random.key(5), begin(jax.random.key(6), jnp.arange(GAMES)))
    for now, following in ((steps.observation, steps.next_observation), (steps.memory, steps.next_memory)):
        assert equal(jax.tree.map(lambda x: x[1:], now), jax.tree.map(lambda x: x[:-1], following))


def test_collect_of_whole_episodes_starts_anew_and_counts_episodes():
    key_first, key_second = jax.random.split(jax.random.key(7))
    play, first = play_episodes(key_first, begin(jax.random.key(0), jnp.arange(GAMES)))
    play, second = play_episodes(key_second, play)
    assert first.reward.shape == (ENV.length, GAMES, 2)
    for steps, offset in ((first, 0), (second, 1)):
        np.testing.assert_array_equal(steps.observation.view[0, :, :, 0], 0)
        np.testing.assert_array_equal(steps.memory[0], 0)
        lengths = np.minimum(1 + (5 * (np.arange(GAMES) + offset) + 2) % 6, ENV.length)
        np.testing.assert_array_equal(steps.valid.sum(0), lengths)
    np.testing.assert_array_equal(play.episode, np.arange(GAMES) + 2)


def test_starts_follow_ends_and_memory_restarts_there():
    _, steps = play_on(jax.random.key(8), begin(jax.random.key(0), jnp.arange(GAMES)))
    starts = rollout.starts(steps)
    assert not starts[0].any()
    np.testing.assert_array_equal(starts[1:], (steps.terminated | steps.truncated)[:-1])
    np.testing.assert_array_equal((steps.memory == 0).all(-1)[1:], starts[1:])


def test_unavailable_actions_are_never_taken():
    _, steps = play_on(jax.random.key(9), begin(jax.random.key(0), jnp.arange(GAMES)))
    assert jnp.take_along_axis(steps.observation.available, steps.action[..., None], -1).all()


@pytest.mark.parametrize("length", [None, 5])
def test_length_of_a_rollout(length):
    play = jax.eval_shape(lambda key: rollout.start(key, ENV, jnp.zeros(2), GAMES), jax.random.key(0))
    shapes = jax.eval_shape(
        lambda key, play: rollout.collect(key, ENV, algorithm(steps=length), SCALE, play), jax.random.key(0), play
    )
    assert shapes[1].reward.shape == (length or ENV.length, GAMES, 2)


@pytest.mark.parametrize(("steps", "iteration", "first"), [(None, 5, 5), (6, 5, 7)])
def test_an_evaluation_goes_on_counting_where_training_stands(steps, iteration, first):
    """Games that change with their number, as views that come ever later do, are tested as they are trained."""
    made = programs(lambda config, env: algorithm(steps=steps), None, ENV, GAMES, capacity=1, episodes=4)
    number = begun(made.algorithm, ENV, iteration)
    assert number == first
    found = jax.jit(made.evaluate)({}, number, jax.random.key(0), SCALE)
    lengths = np.minimum(1 + (5 * (np.arange(4) + first) + 2) % 6, ENV.length)
    np.testing.assert_array_equal(found["sampled"]["length"], lengths)
    np.testing.assert_array_equal(found["greedy"]["length"], lengths)
