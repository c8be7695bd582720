"""`check(game)` and `check(algorithm)` find violations of the interface of `comity.types`, one line each.

Most problems show without a compilation: `jax.eval_shape` traces a function and returns the shapes and dtypes of its
results. Then `check` also compiles and plays, to find endless episodes, forbidden actions and hidden state. `refuse` is
the part without play, for the start of a training.
"""

import dataclasses
import inspect
import sys
from collections.abc import Callable
from typing import Any

from comity.checking.algorithms import algorithm_problems
from comity.checking.games import empty_sizes, game_problems
from comity.types import Algorithm, Environment


def check(thing: Any, env: Environment | None = None) -> None:
    """Returns if a game or an algorithm fits; else raises ValueError with all problems, one line each.

    thing: a game (an instance), or an algorithm: an `Algorithm`, a Config of a module with `make(config, env)`, or such
    a module. env: the game that an algorithm plays; None: a tiny one of two agents and six steps.
    """
    if _is_algorithm(thing):
        config, make = _maker(thing)
        problems = algorithm_problems(make, config, env, play=True)
    else:
        problems = game_problems(thing, play=True)
    if problems:
        raise ValueError("\n".join(problems))


def refuse(make: Callable[[Any, Environment], Algorithm], config: Any, env: Environment) -> None:
    """Raises ValueError, one line, if game or algorithm do not fit. It only traces; it does not compile or play."""
    problems = game_problems(env, play=False)
    asks = "comity.check(game)" if problems else "comity.check(algorithm, game)"
    if not problems and (problems := algorithm_problems(make, config, env, play=False)):
        problems = [*empty_sizes(env)[:1], *problems]  # an empty input makes every network divide by zero
    if problems:
        more = f" (and {len(problems) - 1} more: {asks} lists them)" if len(problems) > 1 else ""
        raise ValueError(problems[0] + more)


def refuse_game(env: Environment) -> None:
    """Does the same as `refuse`, but checks the game only."""
    if problems := game_problems(env, play=False):
        raise ValueError(problems[0])


def _is_algorithm(thing: Any) -> bool:
    if isinstance(thing, Algorithm) or inspect.ismodule(thing):
        return True
    if hasattr(type(thing), "composition"):
        return True
    if inspect.isclass(thing) or not dataclasses.is_dataclass(thing) or hasattr(thing, "step"):
        return False
    return hasattr(sys.modules[type(thing).__module__], "make")


def _maker(thing: Any) -> tuple[Any, Callable[[Any, Environment], Algorithm]]:
    """Returns (config, make) of an algorithm."""
    if isinstance(thing, Algorithm):
        return None, lambda config, env: thing
    if composition := getattr(type(thing), "composition", None):
        return thing, composition.make
    module = thing if inspect.ismodule(thing) else sys.modules[type(thing).__module__]
    if not callable(getattr(module, "make", None)):
        raise ValueError(f"{module.__name__} has no make(config, env)")
    if not inspect.ismodule(thing):
        return thing, module.make
    return module.Config() if hasattr(module, "Config") else None, module.make
