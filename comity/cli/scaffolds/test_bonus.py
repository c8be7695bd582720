"""Tests what my_bonus pays, and that a learner trains with it: `python -m pytest test_my_bonus.py`."""

import jax
import jax.numpy as jnp
import my_bonus
import numpy as np

import comity
from comity.types import Experience


def experience(before, after) -> Experience:
    """Returns the experience of one step of two agents."""
    seen = [
        comity.Observation(jnp.asarray(x, jnp.float32), jnp.zeros(1), jnp.ones((2, 2), bool)) for x in (before, after)
    ]
    action, reward = jnp.zeros(2, jnp.int32), jnp.zeros(2)
    return Experience(seen[0], action, seen[1], jnp.bool_(True), reward, jnp.bool_(False), {})


def test_change_pays_and_standing_still_does_not():
    one = my_bonus.bonus(my_bonus.Config())
    state = one.init(jax.random.key(0))
    paid = one.reward(state, experience([[0, 0], [1, 1]], [[2, 0], [1, 1]]))
    np.testing.assert_allclose(paid, [1.0, 0.0], rtol=1e-4)


def test_it_fits():
    comity.check(my_bonus.Config())


def test_it_trains(tmp_path):
    few = {"seeds": 1, "envs": 2, "iterations": 2, "evaluations": 1, "evaluation_episodes": 2, "final_episodes": 2}
    run = comity.train("two-step", my_bonus.Config(), out=tmp_path, progress=False, **few)
    assert run.iteration == 2
    assert "my_bonus/usual" in run.directory.lines("metrics.jsonl")[-1]
