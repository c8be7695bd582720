"""Algorithms: one file per paper. An algorithm is a module with `Config`, `PRESETS` and `make(config, env)`.

The table names modules as text, so that listing them imports nothing.
"""

ALGORITHMS = {  # name: (module, one line)
    "pg": (
        "comity.algorithms.policy_gradient.pg",
        "recurrent independent policy gradient with a Monte-Carlo critic (hidden gifts)",
    ),
    "coma": (
        "comity.algorithms.policy_gradient.coma",
        "counterfactual policy gradient: one central critic of every own action",
    ),
    "ippo": ("comity.algorithms.ppo.ippo", "independent recurrent PPO, a critic for each agent"),
    "mappo": ("comity.algorithms.ppo.mappo", "recurrent PPO with one central critic"),
    "saf": ("comity.algorithms.ppo.saf", "PPO with messages, a shared memory of slots and a pool of policies"),
    "trpo": (
        "comity.algorithms.policy_gradient.trpo",
        "natural steps inside a bound on the policy's change, of each agent by itself",
    ),
    "acktr": (
        "comity.algorithms.policy_gradient.acktr",
        "natural gradients by Kronecker factors inside a trust region, of each agent by itself",
    ),
    "reinforce": (
        "comity.algorithms.policy_gradient.reinforce",
        "Monte-Carlo policy gradient with a mean as baseline, of each agent by itself",
    ),
    "actor-critic": (
        "comity.algorithms.policy_gradient.actor_critic",
        "one-step actor-critic, of each agent by itself",
    ),
    "dqn": ("comity.algorithms.values.dqn", "independent Q-learning without memory"),
    "iql": ("comity.algorithms.values.iql", "independent recurrent Q-learning"),
    "vdn": ("comity.algorithms.values.vdn", "Q-learning of a team whose value is the sum of the agents' values"),
    "qmix": ("comity.algorithms.values.qmix", "Q-learning of a team whose value is monotone in the agents' values"),
    "qtran": ("comity.algorithms.values.qtran", "Q-learning of a team with any value, to which the agents' are fitted"),
    "maven": (
        "comity.algorithms.values.maven",
        "QMIX with a latent that commits a team to one way of playing per episode",
    ),
    "pqn": (
        "comity.algorithms.values.pqn",
        "Q-learning from fresh play of many games; no replay, no target network",
    ),
    "pqn-vdn": ("comity.algorithms.values.pqn_vdn", "the same for a team whose value is the sum of the agents' values"),
    "maddpg": (
        "comity.algorithms.off_policy.maddpg",
        "actors climbed through critics that see everyone; continuous actions too",
    ),
    "ddpg": (
        "comity.algorithms.off_policy.ddpg",
        "an actor climbed through a critic of its own view, one for all agents",
    ),
    "iddpg": ("comity.algorithms.off_policy.iddpg", "independent DDPG: the same for every agent by itself"),
    "td3": (
        "comity.algorithms.off_policy.td3",
        "DDPG with two critics, smoothed targets and late actors, of each agent by itself",
    ),
    "sac": (
        "comity.algorithms.off_policy.sac",
        "soft actor-critic, which climbs entropy too, of each agent by itself",
    ),
    "tac": (
        "comity.algorithms.off_policy.tac",
        "SAC with Tsallis' entropy, which has an index, of each agent by itself",
    ),
    "sqddpg": (
        "comity.algorithms.off_policy.sqddpg",
        "critics that share the team's value among agents as Shapley values",
    ),
    "alita": (
        "comity.algorithms.off_policy.alita",
        "MADDPG whose first agent raises the others' values and seeks what is new",
    ),
    "alita-recurrent": (
        "comity.algorithms.off_policy.alita_recurrent",
        "ALITA whose actors remember, from whole episodes: for battles",
    ),
    "alita-qmix": (
        "comity.algorithms.off_policy.alita_qmix",
        "QMIX whose first agent also raises what critics expect of the others (ALITA)",
    ),
    "alita-td3": (
        "comity.algorithms.off_policy.alita_td3",
        "TD3 with an auxiliary agent: two policies of one body, of which one influences the other (ALITA)",
    ),
    "liir": (
        "comity.algorithms.policy_gradient.liir",
        "policy gradient of rewards that are learned for each agent",
    ),
    "rusp": (
        "comity.algorithms.ppo.rusp",
        "PPO of one policy, an omniscient critic, opponents from the past (RUSP)",
    ),
    "a2c": (
        "comity.algorithms.policy_gradient.a2c",
        "advantage actor-critic with one recurrent network; the naive learner of COALA-PG",
    ),
    "coala": ("comity.algorithms.shaping.coala", "policy gradients of players whose opponents learn (COALA-PG, M-FOS)"),
    "coala-exact": (
        "comity.algorithms.shaping.coala_exact",
        "tabular players who shape naive learners, exact values (COALA-PG)",
    ),
    "lola": (
        "comity.algorithms.shaping.lola",
        "two tabular players who climb through each other's learning (LOLA, LOLA-DiCE)",
    ),
    "lica": (
        "comity.algorithms.policy_gradient.lica",
        "actors climb one mixing critic of everyone's action probabilities",
    ),
    "lica-exact": (
        "comity.algorithms.policy_gradient.lica_exact",
        "one shared policy climbs a critic of all joint actions of one step (LICA's traffic junction)",
    ),
    "random": ("comity.algorithms.random", "uniform over available actions"),
}
