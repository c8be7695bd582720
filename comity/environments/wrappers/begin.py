"""How a wrapper starts the game inside it, and hands on what it does not change."""

import inspect
from typing import Any

from jax import Array

from comity.types import Environment, Key, Observation, PyTree


def begun(game: Environment, key: Key, episode: Array | int) -> tuple[PyTree, Observation]:
    """`game.reset`, with the number of the episode if the game asks for it."""
    asks = len(inspect.signature(game.reset).parameters) > 1
    return game.reset(key, *((episode,) if asks else ()))


def handed_on(name: str) -> Any:
    """A property of a wrapper that is its game's: `length = handed_on("length")`."""
    return property(lambda self: getattr(self.game, name))
