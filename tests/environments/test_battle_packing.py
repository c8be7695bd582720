"""Battles in a replay: only units are stored, and all views are computed again, equal in every bit."""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import rollout
from comity.environments.battle import packing
from comity.environments.battle.game import SMAC
from comity.learning import replay
from comity.spec import functions

KEY = jax.random.key(0)
TIMED: dict[str, Any] = {"obs_timestep_number": True, "state_timestep_number": True, "obs_last_action": True}
GAMES = {
    "healers": SMAC("MMM2", rounded=True),
    "shields": SMAC("3s_vs_5z", rounded=True, **TIMED),
    "both teams": SMAC("2s3z", rounded=True, enemy="self_play"),
}


def random_play(env: SMAC, games: int, length: int):
    """Rollout [length, games] of random available actions."""

    def act(key, memory, observation):
        logits = jnp.where(observation.available, 0.0, -jnp.inf)
        return jax.random.categorical(key, logits), memory, {}

    short = replace(env, length=length)
    return rollout.collect_episodes(KEY, short, act, rollout.start(KEY, short, (), games))


@pytest.mark.parametrize("env", GAMES.values(), ids=GAMES)
def test_what_is_kept_gives_what_was_seen_bit_for_bit(env):
    env = replace(env, length=40)
    seen = replay.observed(jax.jit(partial(random_play, env, 4, 40))())
    codes = jax.jit(lambda x: replay.packed(env, x))(seen)
    again = jax.jit(lambda x: replay.unpacked(env, x))(codes)
    for name, old, new in zip(seen._fields, seen, again, strict=True):
        np.testing.assert_array_equal(np.asarray(old), np.asarray(new), err_msg=name)
    assert all(x.dtype in (jnp.uint8, jnp.uint16) for x in codes)
    assert len({bytes(x) for x in np.asarray(codes.places).reshape(-1, 3)}) > 200  # they have walked and fought
    assert len(np.unique(codes.hp)) > 2
    assert env.both or (np.asarray(codes.hp) == 0).any()  # two teams that walk at random kill nobody so soon


def test_views_are_as_near_as_the_grid_is_fine():
    """Who is at the edge of sight is in it or out of it by less than the grid."""
    exact, coarse = SMAC("2s3z"), SMAC("2s3z", rounded=True)
    state, _ = exact.reset(KEY)
    units = state.units
    moved = jax.random.uniform(KEY, (2, *units.x.shape), minval=-3.0, maxval=3.0)
    state = state._replace(units=units._replace(x=16 + moved[0], y=16 + moved[1], hp=units.hp * 0.37))
    one, two = exact.observation(state), coarse.observation(state)
    assert 0 < np.abs(one.view - two.view).max() < 2**0.5 / packing.CELL / 9 + 1e-6
    assert 0 < np.abs(one.state - two.state).max() < 1 / packing.POINT
    np.testing.assert_array_equal(one.available, two.available)


def test_nobody_dies_of_rounding():
    state, _ = SMAC("3m").reset(KEY)
    hp = jnp.array([1e-4, 0.0, 45.0, 0.3, 0.01, 0.0])
    rounded = packing.rounded(state.units._replace(hp=hp)).hp
    np.testing.assert_array_equal(rounded > 0, hp > 0)


def test_five_replays_of_5000_episodes_of_the_largest_map_are_below_a_gigabyte():
    def size(env: SMAC) -> int:
        rows = jax.eval_shape(lambda: replay.stored(env, random_play(env, 1, env.limit)))
        return 5 * 5_000 * sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(rows))

    assert size(GAMES["healers"]) < 1e9
    assert size(SMAC("MMM2")) > 30e9


def test_games_that_are_not_rounded_keep_all_and_a_time_that_the_state_hides_is_refused():
    assert functions(SMAC("3m")).pack is None
    with pytest.raises(ValueError, match=r"^rounded: a replay reads the time from the state: set state_"):
        SMAC("3m", rounded=True, obs_timestep_number=True)
