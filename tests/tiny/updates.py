"""One rollout and one update of any learner, as tests of whole families trace them."""

from typing import Any

import jax

from comity import rollout


def once(algorithm, env, key, games: int):
    """(state at the start, a rollout, state and metrics after an update)."""
    key_init, key_start, key_play, key_learn = jax.random.split(key, 4)
    state = algorithm.init(key_init)
    play = rollout.start(key_start, env, algorithm.memory, games)
    steps = rollout.collect(key_play, env, algorithm, state, play)[1]
    return state, steps, *algorithm.update(key_learn, state, steps)


def kinds_of(tree: Any) -> Any:
    """Shapes and dtypes of leaves."""
    return jax.tree.map(lambda x: (x.shape, x.dtype), tree)
