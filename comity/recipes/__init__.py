"""Finds the task, the algorithm or the user's file that a name means. Makes recipes from names, objects and configs."""

from comity.recipes.configs import from_config, given, refuse_another
from comity.recipes.naming import find_algorithm, find_task
from comity.recipes.objects import from_objects, population, source_of_game, source_of_hosted
from comity.recipes.recipe import Recipe, settled
from comity.recipes.settings import settings_of
from comity.recipes.source import Source

__all__ = [
    "Recipe",
    "Source",
    "find_algorithm",
    "find_task",
    "from_config",
    "from_objects",
    "given",
    "population",
    "refuse_another",
    "settings_of",
    "settled",
    "source_of_game",
    "source_of_hosted",
]
