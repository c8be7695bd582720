"""Statistics of episodes, with numbers made by hand."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np

from comity.spec import Discrete, Spec, Vector
from comity.training.episodes import episode_statistics, finished_episodes, fresh_totals, means, with_welfare
from comity.types import Transition

SPEC = Spec(agents=2, view=Vector(1), action=Discrete(2), length=3)
NOTHING: dict[str, Any] = dict.fromkeys(Transition._fields)


def steps(reward, ended, info, valid=None) -> Transition:
    """One game, two agents; reward and info [T, 2], ended [T]."""
    reward, ended = jnp.asarray(reward, jnp.float32)[:, None], jnp.asarray(ended)[:, None]
    valid = jnp.ones_like(ended) if valid is None else jnp.asarray(valid)[:, None]
    fields = dict(reward=reward, terminated=ended, truncated=jnp.zeros_like(ended), valid=valid)
    return Transition(**{**NOTHING, **fields, "info": {"gifts": jnp.asarray(info)[:, None]}})


def test_an_episode_that_crosses_rollouts_is_counted_once_and_whole():
    first = steps([[1, 0], [2, 1]], [False, False], [[1, 0], [0, 0]])
    second = steps([[4, 1], [8, 0], [16, 3]], [True, False, True], [[1, 2], [0, 1], [0, 1]])
    totals = fresh_totals(first)
    totals, none = finished_episodes(totals, first)
    assert np.isnan(none["return"]).all()
    totals, done = finished_episodes(totals, second)
    np.testing.assert_array_equal(done["return"][:, 0], [[7, 2], [np.nan] * 2, [24, 3]])
    np.testing.assert_array_equal(done["length"][:, 0], [3, np.nan, 2])
    np.testing.assert_array_equal(done["gifts"][:, 0], [[2, 2], [np.nan] * 2, [0, 2]])
    assert all((x == 0).all() for x in totals.values())
    found = {name: float(x) for name, x in means(done).items()}
    assert found["return"] == 9.0  # of two episodes and two agents
    assert (found["return.0"], found["return.1"], found["length"]) == (15.5, 2.5, 2.5)


def test_means_of_nothing_are_undefined():
    statistics = {"length": jnp.full((3, 1), jnp.nan), "return": jnp.full((3, 1, 2), jnp.nan)}
    assert all(np.isnan(x) for x in means(statistics).values())


def test_whole_episodes_do_not_count_padding():
    rollout = steps([[1, 0], [2, 1], [0, 0]], [False, True, False], [[1, 0], [0, 3], [0, 0]], [True, True, False])
    found = episode_statistics(SimpleNamespace(spec=SPEC), rollout)  # pyright: ignore[reportArgumentType]
    np.testing.assert_array_equal(found["return"], [[3, 1]])
    np.testing.assert_array_equal(found["length"], [2])
    np.testing.assert_array_equal(found["gifts"], [[1, 3]])  # a game without summary: sums of info


def test_welfare_of_mixed_motives():
    env: Any = SimpleNamespace(spec=dataclasses.replace(SPEC, mixed_motive=True))
    returns = jnp.array([[3.0, 1.0], [2.0, 2.0], [-1.0, 5.0], [0.0, 0.0], [jnp.nan, 1.0]])
    found = with_welfare(env, {"return": returns})
    np.testing.assert_allclose(found["welfare_sum"], [4, 4, 4, 0, np.nan])
    np.testing.assert_allclose(found["welfare_minimum"], [1, 2, -1, 0, np.nan])
    np.testing.assert_allclose(found["welfare_equality"], [0.75, 1, np.nan, np.nan, np.nan])
    shared = with_welfare(env, {"return": returns, "raw_return": 2 * returns})
    assert shared["welfare_sum"][0] == 8  # of the rewards before they were shared
    team: Any = SimpleNamespace(spec=SPEC)
    assert with_welfare(team, {"return": returns}).keys() == {"return"}
