"""Which games an algorithm can play, said before anything compiles."""

from comity.types import Environment


def require_discrete(env: Environment, algorithm: str, several_heads: bool = False) -> None:
    """Raises ValueError unless agents choose one of `num_actions` actions from views that are plain vectors.

    several_heads: they may choose one of each head. The line says what the game has and which algorithms would fit.
    """
    name, fit = type(env).__name__, "`comity list algorithms` says what there is"
    if env.continuous:
        raise ValueError(f"{algorithm} chooses among discrete actions, {name} has continuous ones: take another; {fit}")
    if getattr(env, "heads", None) and not several_heads:
        raise ValueError(f"{algorithm} has one head, {name} asks for {len(env.heads)}: take another; {fit}")  # pyright: ignore
    if not isinstance(env.view_size, int):
        raise ValueError(f"{algorithm} reads vectors, {name} shows images {env.view_size}: take another; {fit}")
