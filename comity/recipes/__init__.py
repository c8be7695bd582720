"""What a name means: a task, an algorithm, a user's own file; and how a run's config names what made it."""

from comity.recipes.configs import from_config, given
from comity.recipes.naming import find_algorithm, find_task
from comity.recipes.objects import from_objects, population, source_of_hosted
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
    "settings_of",
    "settled",
    "source_of_hosted",
]
