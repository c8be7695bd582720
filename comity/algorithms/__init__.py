"""Algorithms, one file per paper. An algorithm is a module with `Config`, `PRESETS` and `make(config, env)`.

The table holds the names of modules as text, so a command that lists them imports nothing.
"""

ALGORITHMS = {  # name: (module, one line)
    "pg": (
        "comity.algorithms.policy_gradient.pg",
        "recurrent independent policy gradient with a Monte-Carlo critic (hidden gifts)",
    ),
    "coma": (
        "comity.algorithms.policy_gradient.coma",
        "counterfactual policy gradient: one central critic that values every action of an agent",
    ),
    "ippo": ("comity.algorithms.ppo.ippo", "independent recurrent PPO, one critic for each agent"),
    "mappo": ("comity.algorithms.ppo.mappo", "recurrent PPO with one central critic"),
    "saf": ("comity.algorithms.ppo.saf", "PPO with messages, a shared memory of slots and a pool of policies (SAF)"),
    "trpo": (
        "comity.algorithms.policy_gradient.trpo",
        "trust region policy optimisation, one learner per agent",
    ),
    "acktr": (
        "comity.algorithms.policy_gradient.acktr",
        "natural gradients with Kronecker factors and a trust region, one learner per agent",
    ),
    "reinforce": (
        "comity.algorithms.policy_gradient.reinforce",
        "Monte-Carlo policy gradient with the mean return as baseline, one learner per agent",
    ),
    "actor-critic": (
        "comity.algorithms.policy_gradient.actor_critic",
        "one-step actor-critic, one learner per agent",
    ),
    "dqn": ("comity.algorithms.values.dqn", "independent Q-learning without memory"),
    "iql": ("comity.algorithms.values.iql", "independent recurrent Q-learning"),
    "vdn": ("comity.algorithms.values.vdn", "Q-learning of a team whose value is the sum of the agents' values"),
    "qmix": ("comity.algorithms.values.qmix", "Q-learning of a team whose value is monotone in the agents' values"),
    "qtran": (
        "comity.algorithms.values.qtran",
        "Q-learning of a team with any joint value, to which the agents' values are fitted",
    ),
    "maven": (
        "comity.algorithms.values.maven",
        "QMIX with a latent variable that commits a team to one way of playing per episode",
    ),
    "pqn": (
        "comity.algorithms.values.pqn",
        "Q-learning from fresh play of many games, without replay and target network",
    ),
    "pqn-vdn": ("comity.algorithms.values.pqn_vdn", "PQN for a team whose value is the sum of the agents' values"),
    "maddpg": (
        "comity.algorithms.off_policy.maddpg",
        "deterministic policy gradient with central critics; discrete or continuous actions",
    ),
    "ddpg": (
        "comity.algorithms.off_policy.ddpg",
        "deterministic policy gradient with a critic of the own view; one network for all agents",
    ),
    "iddpg": ("comity.algorithms.off_policy.iddpg", "independent DDPG, one learner per agent"),
    "td3": (
        "comity.algorithms.off_policy.td3",
        "DDPG with two critics, smoothed targets and delayed actors, one learner per agent",
    ),
    "sac": (
        "comity.algorithms.off_policy.sac",
        "soft actor-critic: maximises return and entropy, one learner per agent",
    ),
    "tac": (
        "comity.algorithms.off_policy.tac",
        "SAC with Tsallis entropy, one learner per agent",
    ),
    "sqddpg": (
        "comity.algorithms.off_policy.sqddpg",
        "MADDPG whose critics share the team's value among agents as Shapley values",
    ),
    "alita": (
        "comity.algorithms.off_policy.alita",
        "MADDPG whose first agent also raises the others' values and explores (ALITA)",
    ),
    "alita-recurrent": (
        "comity.algorithms.off_policy.alita_recurrent",
        "ALITA with recurrent actors, trained on whole episodes: for battles",
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
        "policy gradient with learned intrinsic rewards for each agent",
    ),
    "rusp": (
        "comity.algorithms.ppo.rusp",
        "PPO with one shared policy, a critic that sees everything, and past opponents (RUSP)",
    ),
    "a2c": (
        "comity.algorithms.policy_gradient.a2c",
        "advantage actor-critic with one recurrent network; the naive learner of COALA-PG",
    ),
    "coala": (
        "comity.algorithms.shaping.coala",
        "policy gradients for players whose opponents learn (COALA-PG, M-FOS)",
    ),
    "coala-exact": (
        "comity.algorithms.shaping.coala_exact",
        "tabular players that shape naive learners, with exact values (COALA-PG)",
    ),
    "lola": (
        "comity.algorithms.shaping.lola",
        "two tabular players that differentiate through each other's learning (LOLA, LOLA-DiCE)",
    ),
    "lica": (
        "comity.algorithms.policy_gradient.lica",
        "actors follow the gradient of one mixing critic of all action probabilities",
    ),
    "lica-exact": (
        "comity.algorithms.policy_gradient.lica_exact",
        "one shared policy and a critic of all joint actions of one step (LICA's traffic junction)",
    ),
    "random": ("comity.algorithms.random", "uniform over available actions"),
}
