"""Chooses the best checkpoint of each seed by the evaluations during training."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from comity.types import Environment


class Best(NamedTuple):
    iteration: int  # the iteration at which the policy was evaluated
    score: float  # mean of the `aim` over its sampled episodes; -inf if that is undefined


def aim(env: Environment) -> str:
    """The metric that the best is chosen by: success or the return before it is shared, if that is the game's headline,
    else the return.

    Returns count equally for all agents, so the mean over agents ranks policies as the team's return or the sum does.
    """
    return env.spec.headline if env.spec.headline in ("success", "raw_return") else "return"


def better(old: Best | None, new: Best) -> bool:
    """True if `new`, which was evaluated later, replaces `old`.

    Of two equal scores the later one is better. Any trained policy is better than the one at iteration 0.
    """
    return old is None or old.iteration == 0 or new.score >= old.score


def chosen(lines: Iterable[Mapping[str, Any]], by: str) -> dict[int, Best]:
    """{seed: its best} among periodic evaluations, given in the order of eval.jsonl. by: the metric, see `aim`."""
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
