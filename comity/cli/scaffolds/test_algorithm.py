"""Tests that my_algorithm fits, and that it learns a known answer: `python -m pytest test_my_algorithm.py`."""

from dataclasses import dataclass

import jax.numpy as jnp
import my_algorithm
import numpy as np

import comity


@dataclass(frozen=True)
class Second:
    """A game of one step: the second of two actions pays 1, the first 0."""

    spec = comity.Spec(agents=2, view=comity.Vector(1), action=comity.Discrete(2), length=1, state=comity.Vector(1))

    def reset(self, key):
        return jnp.zeros((), jnp.int32), self.observe()

    def step(self, key, state, action):
        over, going = jnp.bool_(True), jnp.bool_(False)
        return state + 1, comity.Timestep(self.observe(), action.astype(jnp.float32), over, going, {})

    def observe(self):
        return comity.Observation(jnp.ones((2, 1)), jnp.ones(1), jnp.ones((2, 2), bool))


def test_it_fits():
    """Shapes, dtypes, jit, leading axes."""
    comity.check(my_algorithm.Config())


def test_it_learns_which_action_pays(tmp_path):
    few = {"seeds": 1, "envs": 16, "iterations": 150, "evaluations": 2, "evaluation_episodes": 8, "final_episodes": 16}
    run = comity.train(Second(), my_algorithm.Config(learning_rate=0.05), out=tmp_path, progress=False, **few)
    _, returns = run.curve("return", "greedy")
    assert np.allclose(returns[:, -1], 1.0)
