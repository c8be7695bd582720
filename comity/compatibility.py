"""Checks, from a game's spec and before anything compiles, whether an algorithm can play the game."""

import sys

from comity.spec import Box, MultiDiscrete, Vector, innermost
from comity.types import Environment

FIT = "`comity list algorithms` lists all"


def require_discrete(env: Environment, algorithm: str, several_heads: bool = False, images: bool = False) -> None:
    """Raises ValueError unless agents choose one of `action.n` actions from views that are plain vectors.

    several_heads: actions with several heads are allowed, too. images: views that are images are allowed, too. The
    message says what the game has and what to do.
    """
    require_choices(env, algorithm)
    if not several_heads:
        require_one_head(env, algorithm)
    if not images:
        require_vectors(env, algorithm)


def require_choices(env: Environment, what: str) -> None:
    """Raises ValueError if actions are continuous."""
    if isinstance(env.spec.action, Box):
        name = type(env).__name__
        raise ValueError(f"{what} chooses among discrete actions, {name} has continuous ones: take another; {FIT}")


def require_one_head(env: Environment, algorithm: str) -> None:
    """Raises ValueError if actions have several heads."""
    action = env.spec.action
    if isinstance(action, MultiDiscrete):
        name, asked = type(env).__name__, len(action.heads)
        simpler = "".join(f"start from --profile {profile}, or " for profile in one_headed(env)[:1])
        raise ValueError(f"{algorithm} has one head, {name} asks for {asked}: {simpler}take another; {FIT}")


def require_vectors(env: Environment, algorithm: str) -> None:
    """Raises ValueError unless views are plain vectors."""
    view = env.spec.view
    if not isinstance(view, Vector):
        name = type(env).__name__
        raise ValueError(f"{algorithm} reads vectors, {name} shows images {view.shape}: take another; {FIT}")


def one_headed(env: Environment) -> list[str]:
    """Names of the profiles of the innermost game in which actions have one head."""
    kind = type(innermost(env))
    profiles = getattr(sys.modules[kind.__module__], "PROFILES", {})
    return [name for name, values in profiles.items() if not isinstance(kind(**values).spec.action, MultiDiscrete)]
