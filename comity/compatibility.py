"""Which games an algorithm can play, said before anything compiles."""

import sys

from comity.types import Environment

FIT = "`comity list algorithms` says what there is"


def require_discrete(env: Environment, algorithm: str, several_heads: bool = False) -> None:
    """Raises ValueError unless agents choose one of `num_actions` actions from views that are plain vectors.

    several_heads: they may choose one of each head. The line says what the game has and which algorithms would fit.
    """
    if env.continuous:
        name = type(env).__name__
        raise ValueError(f"{algorithm} chooses among discrete actions, {name} has continuous ones: take another; {FIT}")
    require_vectors(env, algorithm, several_heads)


def require_vectors(env: Environment, algorithm: str, several_heads: bool = False) -> None:
    """Raises ValueError unless views are plain vectors and actions of one head, discrete or continuous."""
    name = type(env).__name__
    if getattr(env, "heads", None) and not several_heads:
        simpler = "".join(f"start from --profile {profile}, or " for profile in one_headed(env)[:1])
        raise ValueError(f"{algorithm} has one head, {name} asks for {len(env.heads)}: {simpler}take another; {FIT}")  # pyright: ignore
    if not isinstance(env.view_size, int):
        raise ValueError(f"{algorithm} reads vectors, {name} shows images {env.view_size}: take another; {FIT}")


def one_headed(env: Environment) -> list[str]:
    """Profiles of a game, under whatever wrappers, in which agents choose one action."""
    while hasattr(env, "game"):
        env = env.game  # pyright: ignore[reportAttributeAccessIssue]
    kind = type(env)
    profiles = getattr(sys.modules[kind.__module__], "PROFILES", {})
    return [name for name, values in profiles.items() if not getattr(kind(**values), "heads", None)]
