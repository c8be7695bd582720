"""How a wrapper starts the game inside it."""

import inspect

from jax import Array

from comity.types import Environment, Key, Observation, PyTree


def begun(game: Environment, key: Key, episode: Array | int) -> tuple[PyTree, Observation]:
    """`game.reset`, with the number of the episode if the game asks for it."""
    asks = len(inspect.signature(game.reset).parameters) > 1
    return game.reset(key, *((episode,) if asks else ()))
