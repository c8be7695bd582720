"""Manitokan with messages: do agents leave gifts sooner when they can talk, and still when they no longer can?

Section 5.1 of "hidden gifts" (arXiv 2505.20579) asks for it; docs/tasks/messages.md.
"""

from dataclasses import dataclass

from comity.environments.grid.manitokan import game
from comity.environments.wrappers.flat import plays_as
from comity.environments.wrappers.messages import Messages

VERSION, PROFILES = game.VERSION, game.PROFILES


@plays_as(Messages, game.Manitokan)
@dataclass(frozen=True)
class ManitokanMessages(game.Manitokan):
    """Manitokan, in which every action comes with a symbol that the others see at the next step."""

    symbols: int = 4  # K, of which one goes with each action
    closed: bool = False  # True: nothing is delivered; agents choose symbols all the same
