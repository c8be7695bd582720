"""Compares one step of any game in plain Python with the same step under jit and vmap."""

import jax
import numpy as np


def assert_plain_jit_and_vmap_agree(env, action, key, rtol: float = 1e-6, atol: float = 0.0) -> None:
    """A reset and a step in plain Python, and of several games at once in one program."""

    def one(key):
        state, first = env.reset(key)
        return first, env.step(key, state, action)

    keys = jax.random.split(key)
    many = jax.jit(jax.vmap(one))(keys)
    for k, key_of_one in enumerate(keys):
        both = one(key_of_one), jax.tree.map(lambda x, k=k: x[k], many)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol), *both)
