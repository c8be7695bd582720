"""Tests what MyWrapper changes, and what it leaves alone: `python -m pytest test_my_wrapper.py`."""

import jax
import jax.numpy as jnp
import numpy as np
from my_wrapper import MyWrapper

import comity


def test_it_fits():
    comity.check(MyWrapper())


def test_without_chance_it_is_the_game():
    key, wrapped = jax.random.key(0), MyWrapper(chance=0.0)
    state, _ = wrapped.reset(key)
    inner, _ = wrapped.game.reset(key)
    for action in ([0, 1], [1, 1]):
        state, timestep = wrapped.step(key, state, jnp.array(action))
        inner, plain = wrapped.game.step(key, inner, jnp.array(action))
        np.testing.assert_array_equal(timestep.reward, plain.reward)


def test_with_certainty_the_first_action_stays():
    key, wrapped = jax.random.key(0), MyWrapper(chance=1.0)
    state, _ = wrapped.reset(key)
    state, _ = wrapped.step(key, state, jnp.array([0, 1]))
    state, _ = wrapped.step(key, state, jnp.array([1, 0]))
    assert state.last.tolist() == [0, 1]


def test_it_trains(tmp_path):
    few = {"seeds": 1, "envs": 2, "iterations": 2, "evaluations": 1, "evaluation_episodes": 2, "final_episodes": 2}
    run = comity.train(MyWrapper(), "reinforce", out=tmp_path, progress=False, **few)
    assert run.iteration == 2
