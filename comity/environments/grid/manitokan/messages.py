"""Manitokan with messages: do agents leave gifts sooner when they can talk, and do they go on without messages?

Section 5.1 of "hidden gifts" (arXiv 2505.20579) asks for this test; docs/tasks/messages.md.
"""

from dataclasses import dataclass

from comity.environments.grid.manitokan import game
from comity.environments.wrappers.flat import plays_as
from comity.environments.wrappers.messages import Messages

VERSION, PROFILES = game.VERSION, game.PROFILES


@plays_as(Messages, game.Manitokan)
@dataclass(frozen=True)
class ManitokanMessages(game.Manitokan):
    """Manitokan with messages: each action comes with a symbol, which the others see in the next step."""

    symbols: int = 4  # K, number of symbols; one goes with each action
    closed: bool = False  # True: no symbol is delivered, but agents still choose them
