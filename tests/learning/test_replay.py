"""Replay: what is stored comes back exactly, rows are overwritten in order, draws are uniform, slices add up."""

from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import rollout
from comity.algorithms import random
from comity.environments.grid.manitokan.game import Manitokan
from comity.environments.matrix.n_step import NStep
from comity.learning import replay

KEY = jax.random.key(3)
OPTIONS = [
    {},
    {"observe": "door-signal+key-signal+agent-id+last-action"},
    {"frozen_observation": True, "observe": "last-action+door-signal", "signals": "raw", "content": "last-agent"},
    {"lagged_observation": True, "observe": "last-action+key-signal"},
    {"reward": "oracle", "oracle": "released", "observe": "door-signal", "num_agents": 3},
    {"pickup": "own_cell", "window": "centred", "show_carried": True},
    {"size": 14, "num_agents": 3},  # cells need 16 bits
]


def played(env, games: int = 16, length: int | None = None):
    """(a random rollout of whole episodes, its rows, the episodes that rows give)."""
    algorithm = random.make(random.Config(), env)

    @jax.jit
    def run():
        play = rollout.start(KEY, env, algorithm.memory, games)
        steps = rollout.collect_episodes(KEY, env, lambda key, memory, o: algorithm.act(key, (), memory, o), play)
        rows = replay.stored(env, steps, jnp.arange(games))
        return steps, rows, replay.episodes_of(env, rows)

    return run()


def assert_same(a, b):
    """Equal to the bit, dtypes too."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_manitokan_comes_back_to_the_bit(options):
    # A small crowded grid and many steps, so that doors are opened, keys dropped and episodes solved.
    env = Manitokan(**({"size": 3} | options), length=200)
    steps, _rows, episodes = played(env)
    observations = jax.tree.map(
        lambda x, after: jnp.concatenate([x, after[-1:]]), steps.observation, steps.next_observation
    )
    jax.tree.map(assert_same, observations, episodes.observation)
    for name in ("action", "reward", "valid"):
        assert_same(getattr(steps, name), getattr(episodes, name))
    assert_same(steps.terminated & steps.valid, episodes.terminated)
    assert_same(episodes.extra, jnp.arange(16))
    if options.get("size", 3) == 3:
        assert steps.info["doors_opened"].sum() > 0  # a door that is gone is one of the things a code must hold


def test_games_that_pack_nothing_are_kept_as_they_are():
    steps, rows, episodes = played(NStep(n=4))
    assert rows.observation.view.dtype == steps.observation.view.dtype
    jax.tree.map(lambda a, b: assert_same(a, b[:-1]), steps.observation, episodes.observation)
    lengths = steps.valid.sum(0)
    assert len(set(lengths.tolist())) > 1  # early ends happen
    assert_same(rows.length, lengths.astype(jnp.int32))


def test_ten_seeds_of_the_papers_replay_fit_into_a_gigabyte():
    """1,000 entries x 32 episodes x 150 steps, ten times: counted from shapes, as memory is taken."""
    env = Manitokan(observe="last-action")
    algorithm = random.make(random.Config(), env)
    steps = rollout.shapes(env, lambda key, memory, o: algorithm.act(key, (), memory, o), algorithm.memory)
    row = jax.eval_shape(lambda steps: replay.stored(env, steps), steps)
    whole = jax.eval_shape(lambda row: replay.empty(row, 32_000), row)
    size = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(whole))
    assert 10 * size < 1e9
    kinds = {x.dtype for x in jax.tree.leaves((row.observation, row.action))}
    assert all(jnp.issubdtype(kind, jnp.integer) for kind in kinds)
    assert size == 32_000 * (151 * 7 + 150 * (2 + 8) + 4 + 1) + 8  # codes, actions and rewards, ends; two counters


def rows_named(names) -> replay.Row:
    """Rows whose first reward is their name."""
    names = jnp.asarray(names, jnp.float32)
    reward = jnp.zeros((len(names), 3, 2)).at[:, 0, 0].set(names)
    number = len(names)
    return replay.Row((), jnp.zeros((number, 3, 2), jnp.int8), reward, jnp.full(number, 3), jnp.zeros(number, bool), ())


def names(rows: replay.Row) -> list[int]:
    return [int(x) for x in rows.reward[:, 0, 0]]


def test_the_oldest_is_overwritten_first():
    memory = replay.empty(rows_named([0, 0, 0]), 7)  # of which 6 are used
    for start in range(1, 8, 3):
        memory = replay.push(memory, rows_named([start, start + 1, start + 2]))
    assert names(memory.rows) == [7, 8, 9, 4, 5, 6, 0]
    assert memory.filled == 6
    assert memory.position == 3
    with pytest.raises(ValueError, match="a replay of 7 rows cannot take the 8 of one rollout"):
        replay.push(memory, rows_named(range(8)))
    replay.push(memory, rows_named([1, 2, 3]), warmup=6)
    line = "a replay of 7 rows holds 6 at most, in rollouts of 3, and never the 7 of its warm-up"
    with pytest.raises(ValueError, match=line):
        replay.push(memory, rows_named([1, 2, 3]), warmup=7)
    with pytest.raises(ValueError, match="holds 3 at most"):
        replay.push(memory, rows_named([1, 2, 3]), restart=True, warmup=6)


def test_a_full_replay_forgets_everything_as_released():
    memory = replay.empty(rows_named([0, 0]), 4)
    filled = []
    for _ in range(5):
        memory = replay.push(memory, rows_named([1, 2]), restart=True)
        filled.append(int(memory.filled))
    assert filled == [2, 0, 2, 0, 2]


def test_draws_are_uniform_over_what_is_filled():
    memory = replay.push(replay.empty(rows_named([0, 0, 0]), 9), rows_named([1, 2, 3]))
    counts = Counter(names(replay.draw(KEY, memory, 6_000)))
    assert set(counts) == {1, 2, 3}
    assert all(abs(count - 2_000) < 5 * np.sqrt(6_000 * 2 / 9) for count in counts.values())


def test_blocks_are_drawn_whole():
    memory = replay.empty(rows_named([0, 0, 0]), 9)
    for start in (1, 4, 7):
        memory = replay.push(memory, rows_named([start, start + 1, start + 2]))
    drawn = np.array(names(replay.draw(KEY, memory, 300, block=3))).reshape(-1, 3)
    assert {tuple(block) for block in drawn} == {(1, 2, 3), (4, 5, 6), (7, 8, 9)}


def test_without_replacement_everything_filled_comes_once():
    memory = replay.empty(rows_named([0, 0, 0]), 9)
    for start in (1, 4):
        memory = replay.push(memory, rows_named([start, start + 1, start + 2]))
    draws = [names(replay.draw(key, memory, 4, replacement=False)) for key in jax.random.split(KEY, 40)]
    assert all(len(set(drawn)) == 4 for drawn in draws)
    assert {name for drawn in draws for name in drawn} == {1, 2, 3, 4, 5, 6}
    assert len({tuple(drawn) for drawn in draws}) > 30
    blocks = names(replay.draw(KEY, memory, 6, 3, replacement=False))
    assert sorted(blocks) == [1, 2, 3, 4, 5, 6]
    assert blocks[:3] in ([1, 2, 3], [4, 5, 6])


@pytest.mark.parametrize(("size", "squares"), [(1, 36), (4, 36), (7, 72), (12, 144)])
def test_slices_are_whole_blocks(size, squares):
    """12 rows in blocks of 3: a slice has 3, 6 or 12 rows."""
    rows = {"x": jnp.zeros((12, 2))}
    assert replay.in_slices(lambda rows: jnp.array(len(rows["x"]) ** 2), rows, size, 3) == squares


@pytest.mark.parametrize("size", [1, 4, 5, 12, 64])
def test_slices_add_up(size):
    rows = {"x": jnp.arange(24.0).reshape(12, 2)}
    result = replay.in_slices(lambda rows: (rows["x"].sum(0), (rows["x"] ** 2).sum()), rows, size)
    np.testing.assert_allclose(result[0], rows["x"].sum(0))
    np.testing.assert_allclose(result[1], (rows["x"] ** 2).sum())
