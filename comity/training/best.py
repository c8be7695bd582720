"""Which of a seed's checkpoints is its best, by the evaluations that training made of them."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from comity.types import Environment


class Best(NamedTuple):
    iteration: int  # at which the policy was evaluated
    score: float  # its mean of the `aim` over sampled episodes; -inf where that is undefined


def aim(env: Environment) -> str:
    """What the best is chosen by: success where the game declares that as its headline, else the return.

    Each agent's return counts alike, so the mean over agents orders policies as the team's return or the sum does.
    """
    return "success" if env.spec.headline == "success" else "return"


def better(old: Best | None, new: Best) -> bool:
    """Whether `new`, which was evaluated later, takes the place of `old`: of equals the later one is the best, and a
    policy that was trained is always preferred to the one at iteration 0."""
    return old is None or old.iteration == 0 or new.score >= old.score


def chosen(lines: Iterable[Mapping[str, Any]], by: str) -> dict[int, Best]:
    """{seed: its best} among periodic evaluations in the order of eval.jsonl."""
    found: dict[int, Best] = {}
    for line in lines:
        if line["which"] == "periodic" and line["policy"] == "sampled":
            value = line["mean"].get(by)
            new = Best(
                line["iteration"],
                float(value) if isinstance(value, (int, float)) and not math.isnan(value) else -math.inf,
            )
            if better(found.get(line["seed"]), new):
                found[line["seed"]] = new
    return found
