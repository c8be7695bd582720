"""Algorithms: one file per paper. An algorithm is a module with `Config`, `PRESETS` and `make(config, env)`.

The table names modules as text, so that listing them imports nothing.
"""

ALGORITHMS = {  # name: (module, one line)
    "pg": ("comity.algorithms.pg", "recurrent independent policy gradient with a Monte-Carlo critic (hidden gifts)"),
    "coma": ("comity.algorithms.coma", "counterfactual policy gradient: one central critic of every own action"),
    "ippo": ("comity.algorithms.ippo", "independent recurrent PPO, a critic for each agent"),
    "mappo": ("comity.algorithms.mappo", "recurrent PPO with one central critic"),
    "saf": ("comity.algorithms.saf", "PPO with messages, a shared memory of slots and a pool of policies"),
    "iql": ("comity.algorithms.iql", "independent recurrent Q-learning"),
    "vdn": ("comity.algorithms.vdn", "Q-learning of a team whose value is the sum of the agents' values"),
    "qmix": ("comity.algorithms.qmix", "Q-learning of a team whose value is monotone in the agents' values"),
    "qtran": ("comity.algorithms.qtran", "Q-learning of a team with any value, to which the agents' are fitted"),
    "maven": ("comity.algorithms.maven", "QMIX with a latent that commits a team to one way of playing per episode"),
    "maddpg": ("comity.algorithms.maddpg", "actors climbed through critics that see everyone; continuous actions too"),
    "ddpg": ("comity.algorithms.ddpg", "an actor climbed through a critic of its own view, one for all agents"),
    "iddpg": ("comity.algorithms.iddpg", "independent DDPG: the same for every agent by itself"),
    "sqddpg": (
        "comity.algorithms.sqddpg",
        "critics that share the team's value among agents as Shapley values",
    ),
    "alita": ("comity.algorithms.alita", "MADDPG whose first agent raises the others' values and seeks what is new"),
    "liir": (
        "comity.algorithms.liir",
        "policy gradient of rewards that are learned for each agent",
    ),
    "rusp": (
        "comity.algorithms.rusp",
        "PPO of one policy, an omniscient critic, opponents from the past (RUSP)",
    ),
    "a2c": (
        "comity.algorithms.a2c",
        "advantage actor-critic with one recurrent network; the naive learner of COALA-PG",
    ),
    "coala": ("comity.algorithms.coala", "policy gradients of players whose opponents learn (COALA-PG, M-FOS)"),
    "coala-exact": (
        "comity.algorithms.coala_exact",
        "tabular players who shape naive learners, exact values (COALA-PG)",
    ),
    "lola": ("comity.algorithms.lola", "two tabular players who climb through each other's learning (LOLA, LOLA-DiCE)"),
    "lica": ("comity.algorithms.lica", "actors climb one mixing critic of everyone's action probabilities"),
    "lica-exact": (
        "comity.algorithms.lica_exact",
        "one shared policy climbs a critic of all joint actions of one step (LICA's traffic junction)",
    ),
    "random": ("comity.algorithms.random", "uniform over available actions"),
}
