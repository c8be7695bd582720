"""Bonuses: intrinsic rewards, one file each. A bonus is a module with `make(config, env) -> Bonus` and with `Config`,
which has a `weight`. `combinators.with_bonus` adds a bonus to the rewards of any algorithm.

The table holds the names of modules as text, so a command that lists them imports nothing.
"""

BONUSES = {  # suffix of an algorithm's name, `ippo+counts`: (module, one line)
    "counts": (
        "comity.algorithms.bonuses.counts",
        "count-based exploration: pays 1 / sqrt(N + 1) for a hashed view that was seen N times",
    ),
    "novelty": (
        "comity.algorithms.bonuses.novelty",
        "pays for views that an autoencoder, or random network distillation, does not know",
    ),
    "eiti": (
        "comity.algorithms.bonuses.eiti",
        "pays for influence on where the others go: mutual information, in nats",
    ),
    "edti": (
        "comity.algorithms.bonuses.edti",
        "pays for influence on the others' moves by its value to them, and a part of their rewards",
    ),
    "inequity": (
        "comity.algorithms.bonuses.inequity",
        "inequity aversion: earning less than others costs, earning more costs a little",
    ),
    "social-influence": (
        "comity.algorithms.bonuses.social_influence",
        "pays for influence on the others' next actions, compared with other actions of the agent",
    ),
}
