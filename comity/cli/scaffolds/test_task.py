"""Tests what MyTask pays, that it fits, and that a learner trains on it: `python -m pytest test_my_task.py`."""

import jax
import jax.numpy as jnp
import pytest
from my_task import MyTask, State

import comity


def test_it_fits():
    """Checks shapes, dtypes, that episodes end, and that there is no hidden state."""
    comity.check(MyTask())


@pytest.mark.parametrize(("places", "actions", "paid"), [((1, 2), (2, 1), 1.0), ((1, 2), (1, 1), 0.0)])
def test_standing_together_pays_both(places, actions, paid):
    game, key = MyTask(), jax.random.key(0)
    state = State(jnp.array(places), jnp.array(0))
    state, timestep = game.step(key, state, jnp.array(actions))
    assert timestep.reward.tolist() == [paid, paid]


def test_the_ring_has_no_edge():
    state, _ = MyTask(cells=4).step(jax.random.key(0), State(jnp.array([0, 3]), jnp.array(0)), jnp.array([0, 2]))
    assert state.place.tolist() == [3, 0]


def test_it_trains(tmp_path):
    few = {"seeds": 1, "envs": 2, "iterations": 2, "evaluations": 1, "evaluation_episodes": 2, "final_episodes": 2}
    run = comity.train(MyTask(length=4), "reinforce", out=tmp_path, progress=False, **few)
    assert run.iteration == 2
