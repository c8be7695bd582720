"""Ranges of metrics, as far as their names tell them: extrapolations and the bands of pictures stay inside."""

import math

from comity.report.words import is_rate

# Between 0 and 1, in addition to names that say that they are rates.
SHARES = ("cooperates", "defection", "likeliest", "optimal", "optimum", "certainty", "captured", "occupied", "rewarded")
SHARES += ("perfect", "success_error", "success_deviation", "alive", "ate", "attacks", "only_one_died", "equality")
# Never negative: counts, times, distances, norms, entropies.
COUNTS = ("length", "drops", "drop_choices", "doors_opened", "pickups", "distance", "final_distance")
COUNTS += ("first_reward_time", "gift_delay", "entropy", "kl", "collisions", "capture_steps", "agents_in_pairs")
COUNTS += ("team_length", "team_changes", "extortion_residual", "gradient_own", "gradient_later", "gradient_balance")
COUNTS += ("naive_gradient_norm", "player_gradient_norm", "critic_loss")
COUNTS += ("deaths", "dead_agents", "peace", "sustainability")


def limits(metric: str) -> tuple[float, float]:
    """Returns the smallest and the largest value of a metric, TRIAL:METRIC or METRIC.AGENT. For a difference `A - B`
    and a quotient `A / B` they follow from the limits of both.
    """
    if " - " in metric:
        (a, b), (c, d) = map(limits, metric.rsplit(" - ", 1))
        return a - d, b - c
    if metric.startswith(("absolute_", "root_")):
        return 0.0, math.inf
    if " / " in metric:
        return (0.0 if all(limits(x)[0] >= 0 for x in metric.split(" / ")) else -math.inf), math.inf
    name = metric.rpartition(":")[2].partition(".")[0]
    starts = lambda words: any(name == word or name.startswith(f"{word}_") for word in words)  # noqa: E731
    if is_rate(name) or starts(SHARES):
        return 0.0, 1.0
    return (0.0, math.inf) if starts(COUNTS) else (-math.inf, math.inf)
