"""Combined algorithms in the form of modules, with `Config` and `make`, so that the command line can name them.

`good:maddpg,adversary:ddpg` has one group of settings for each member: `--algorithm.good.gamma`. `ippo+counts` has
IPPO's settings and a group for the bonus: `--algorithm.counts.weight`.
"""

import dataclasses
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from comity.algorithms import combinators
from comity.algorithms.roles import label
from comity.types import Algorithm, Environment

EACH = "each"  # the only role of a population in which each agent has its own learner, all with the same settings


@dataclasses.dataclass(frozen=True, eq=False)
class Composition:
    """The contents of an algorithm's module. Equal compositions are one object, so that programs recognise it."""

    Config: type
    make: Callable[[Any, Environment], Algorithm]
    parts: tuple[tuple[str, Any], ...]  # (role, module of its algorithm) of each member; with a bonus: ("", its module)
    bonus: str = ""


@lru_cache
def population(members: tuple[tuple[str, Any], ...]) -> Composition:
    """Returns the composition of different learners in one game. members: (role, module of its algorithm)."""
    settings = [(label(role), module.Config) for role, module in members if hasattr(module, "Config")]
    config = _config("Population", settings, (), f"{len(members)} learners in one game.")

    def make(config: Any, env: Environment) -> Algorithm:
        makers = {role: partial(module.make, getattr(config, label(role), None)) for role, module in members}
        if [*makers] == [EACH] and EACH not in env.spec.roles:
            return combinators.independent(makers[EACH], env)
        return combinators.population(makers, env)

    return _named(Composition(config, make, members))


@lru_cache
def rewarded(algorithm: Any, name: str, bonus: Any) -> Composition:
    """Returns an algorithm with a bonus. algorithm, bonus: modules; name: name of the bonus and of its settings."""
    base, setting = (algorithm.Config,) if hasattr(algorithm, "Config") else (), label(name)
    config = _config("Rewarded", [(setting, bonus.Config)], base, f"An algorithm's settings, and those of {name}.")

    def make(config: Any, env: Environment) -> Algorithm:
        mine = getattr(config, setting)
        return combinators.with_bonus(algorithm.make(config, env), bonus.make(mine, env), mine.weight, setting)

    return _named(Composition(config, make, (("", algorithm),), name))


def _config(name: str, settings: list[tuple[str, type]], bases: tuple[type, ...], about: str) -> type:
    fields = [(setting, kind, dataclasses.field(default=kind())) for setting, kind in settings]
    config = dataclasses.make_dataclass(name, fields, bases=bases, frozen=True)
    config.__module__, config.__doc__ = __name__, about
    return config


def _named(composition: Composition) -> Composition:
    """Stores the composition in its Config, so that the Config leads to the function that makes the algorithm."""
    composition.Config.composition = composition  # pyright: ignore[reportAttributeAccessIssue]
    return composition
