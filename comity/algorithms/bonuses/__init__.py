"""Bonuses: rewards of a learner's own, one file each. A bonus is a module with `Config`, which has a `weight`, and
`make(config, env) -> Bonus`. What it earns is added to any algorithm by `combinators.with_bonus`.

The table names modules as text, so that listing them imports nothing.
"""

BONUSES = {  # suffix of an algorithm's name, `ippo+counts`: (module, one line)
    "counts": ("comity.algorithms.bonuses.counts", "what was seldom seen pays: 1 / sqrt(N + 1) of a hashed view"),
    "novelty": (
        "comity.algorithms.bonuses.novelty",
        "what is new to an autoencoder, or to who imitates a random network, pays",
    ),
    "eiti": (
        "comity.algorithms.bonuses.eiti",
        "what tells where the others go pays: influence on moves, in nats",
    ),
    "edti": (
        "comity.algorithms.bonuses.edti",
        "what changes where the others go pays what it is worth to them, beside a part of their rewards",
    ),
    "inequity": (
        "comity.algorithms.bonuses.inequity",
        "to earn less than others costs, and a little to earn more: inequity aversion",
    ),
    "social-influence": (
        "comity.algorithms.bonuses.social_influence",
        "what changes what the others do next pays, beside what else the agent might have done",
    ),
}
