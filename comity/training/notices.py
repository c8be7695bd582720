"""Notices about faults of a game, one line each, before training goes on. Games that cannot be learned are refused.

`comity.check(game)` finds the same faults by random play. Here the first evaluation is used, at no further cost.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.types import Environment, Transition

CHECK = "comity.check(game) says more"


def faults(steps: Transition, episodes: int) -> dict[str, Array]:
    """Faults of whole episodes with leaves [T, k episodes, ...]: {name: [episodes] bool}.

    endless: none of the k episodes in a place ended. infinite: at least one of them had a reward that is not finite.
    """
    ended, finite = steps.ended.any(0), jnp.isfinite(steps.reward).all((0, 2))
    return {"endless": ~ended.reshape(-1, episodes).any(0), "infinite": ~finite.reshape(-1, episodes).all(0)}


def of_play(found: list[dict[str, np.ndarray]], env: Environment) -> list[str]:
    """Lines about the `faults` of an evaluation, given for each seed. Raises ValueError if nothing can be learned."""
    every = {name: np.concatenate([of[name] for of in found]) for name in found[0]}
    lines, bad, length = [], every["infinite"], env.spec.length
    if bad.all():
        raise ValueError(f"rewards are not finite in any episode of the first evaluation: mend the game; {CHECK}")
    if bad.any():
        lines.append(
            f"rewards are not finite in {100 * bad.mean():.2g}% of the first evaluation: a seed that meets such an "
            f"episode learns no more; mend the game; {CHECK}"
        )
    if every["endless"].all():
        lines.append(
            f"no episode of the first evaluation ended within length {length}: episodes are cut there, and "
            f"counts of their ends stay 0; end them at step {length} by truncated, or raise length; {CHECK}"
        )
    return lines
