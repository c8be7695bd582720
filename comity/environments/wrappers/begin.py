"""How a wrapper starts the game inside it, and hands on what it does not change."""

from typing import Any

from comity.types import begin as begun

__all__ = ["begun", "handed_on"]


def handed_on(name: str) -> Any:
    """A property of a wrapper that is its game's: `length = handed_on("length")`."""
    return property(lambda self: getattr(self.game, name))
