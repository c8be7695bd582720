"""Measures the seconds of training until a score is held, for one seed in a process of its own:

    python -m comity.bench.to_score --cores 1 REQUEST

REQUEST is JSON, {"config": config of a run, "seed": S, "envs": B, "aim": {...}}. It prints one line of JSON. The
programs are those of `comity train`. On a CPU the process is pinned to one core and seconds are process CPU time;
elsewhere they are wall time. Compile time is counted apart, and so are evaluations, since they are not part of
learning.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

EVALUATE_STREAM = 11  # stream of keys of a seed, apart from those of training


class Aim(NamedTuple):
    """A score to reach. It is held if the means of `in_a_row` evaluations, each of new episodes, are at or above it."""

    score: float
    metric: str  # a statistic of episodes
    policy: str = "sampled"  # or greedy
    episodes: int = 128  # episodes of an evaluation
    in_a_row: int = 2
    every: int = 10  # iterations between two evaluations
    limit: float = 120.0  # seconds of training after which the seed stops without success


def held(scores: Sequence[float], score: float, in_a_row: int) -> int | None:
    """Index of the first score from which `in_a_row` scores in a row are at or above `score`; None if there is none."""
    run = 0
    for place, one in enumerate(scores):
        run = run + 1 if one >= score else 0
        if run == in_a_row:
            return place + 1 - in_a_row
    return None


def climb(
    learn: Callable[[int], tuple[float, bool]], judge: Callable[[int], float], aim: Aim, clock: Callable[[], float]
) -> dict[str, Any]:
    """Learns and judges in turn until the score is held or the limit is reached.

    learn(iteration) -> (env steps, True if all is finite) of the next `aim.every` iterations; judge(iteration) -> score
    of new episodes. `seconds` counts `learn` only, until the first of the evaluations that hold the score. `ended` is
    held, limit or not finite; `seconds` is None unless it is held.
    """
    points: list[dict[str, float]] = []
    seconds = evaluating = env_steps = 0.0
    iteration, ended = 0, "limit"
    while True:
        start = clock()
        score = judge(iteration)
        evaluating += clock() - start
        points.append({"iteration": iteration, "env_steps": env_steps, "seconds": seconds, "score": score})
        place = held([point["score"] for point in points], aim.score, aim.in_a_row)
        if place is not None:
            ended = "held" if points[place]["seconds"] <= aim.limit else "limit"
            break
        if seconds >= aim.limit and not score >= aim.score:  # a score reached in time may still be confirmed
            break
        start = clock()
        steps, finite = learn(iteration)
        seconds, env_steps, iteration = seconds + clock() - start, env_steps + steps, iteration + aim.every
        if not finite:
            ended = "not finite"
            break
    first = points[place] if ended == "held" and place is not None else dict.fromkeys(points[0])
    return {"ended": ended, **first, "spent": seconds, "evaluating": evaluating, "points": points}


def metrics_of(recipe: Any) -> list[str]:
    """Names of the statistics of a recipe's episodes."""
    import jax
    import numpy as np

    from comity.training import compile
    from comity.training.programs import one_key

    one = compile.built(recipe, 2, 1, 2)
    return sorted(jax.eval_shape(one.evaluate, one.floats, np.int32(0), one_key(), one.shape.state)["sampled"])


def measured(config: dict[str, Any], seed: int, envs: int, aim: Aim, known: Any = None) -> dict[str, Any]:
    """Trains one seed of the recipe that a run's config describes. Returns the entries of `climb` and compile times.

    known: `remembered.Programs` of this process, if it trains several seeds; then compile times mean nothing.
    """
    import jax
    import numpy as np

    from comity.recipes import from_config
    from comity.settings import floats
    from comity.training import compile, evaluation
    from comity.training.programs import begun
    from comity.training.seed_keys import key_of
    from comity.training.settings import Training

    recipe = from_config(config)
    clock = time.process_time if jax.default_backend() == "cpu" else time.perf_counter
    start = clock()
    training = Training(seeds=1, first_seed=seed, envs=envs, chunk=aim.every)
    seeds, batch = compile.seeds_of(recipe, training), min(aim.episodes, 64)
    one = compile.built(recipe, envs, aim.every, batch)
    numbers, keys = floats(recipe.config), seeds.join([key_of(seed)])
    try:
        sizes = {"games": envs, "chunk": aim.every, "episodes": batch}
        ready = compile.compiled(one, recipe, seeds, sizes, known=known)
        compiling, start = clock() - start, clock()
        carry = ready.call(seeds, "init", numbers, keys)
        jax.block_until_ready(carry)
        beginning = clock() - start

        def learn(iteration: int) -> tuple[float, bool]:
            nonlocal carry
            given = numbers, keys, np.int32(iteration), np.int32(aim.every), carry
            carry, history, sound = ready.call(seeds, "chunk", *given)
            return float(np.sum(seeds.each(history)[0].by_name()["env_steps"])), bool(seeds.each(sound)[0])

        def judge(iteration: int) -> float:
            states = seeds.part(lambda carry: carry.state, carry)
            count = begun(one.outline, recipe.env, iteration)
            of_run = seeds, ready, numbers, [seed], states
            (found,) = evaluation.evaluate(*of_run, EVALUATE_STREAM, iteration, count, aim.episodes, batch)
            return evaluation.known_mean(found[aim.policy][aim.metric])

        return {"seed": seed, "compile": compiling, "init": beginning, **climb(learn, judge, aim, clock)}
    finally:
        seeds.close()
        one.close()


def middle(values: Sequence[float | None]) -> float:
    """Median, the upper of two middle values. A None counts as infinite."""
    return statistics.median_high(math.inf if x is None else x for x in values)


def row(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Summary of one learner's seeds: medians. `seconds` is None unless more than half of the seeds held the score."""
    reached = [one["seconds"] for one in rows]
    known = [x for x in reached if x is not None]
    median = middle(reached)
    compiling = statistics.median(one["compile"] for one in rows)
    of = lambda name: middle([one[name] for one in rows])  # noqa: E731
    there = math.isfinite(median)
    return {
        "seeds": len(rows),
        "held": len(known),
        "seconds": median if there else None,
        "least": min(known, default=None),
        "most": max(known) if len(known) == len(rows) else None,
        "compile": compiling,
        "together": median + compiling if there else None,
        "iterations": of("iteration") if there else None,
        "env_steps": of("env_steps") if there else None,
        "evaluating": statistics.median(one["evaluating"] for one in rows),
    }


def main() -> None:
    from comity.bench.measure import pin

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("request")
    parser.add_argument("--cores", type=int, default=1)
    given = parser.parse_args()
    pin(given.cores)
    request = json.loads(given.request)
    print(json.dumps(measured(**{**request, "aim": Aim(**request["aim"])})))


if __name__ == "__main__":
    main()
