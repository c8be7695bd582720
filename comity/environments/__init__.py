"""Games: the rules, one file each. The table names modules as text, so that listing them imports nothing."""

TASKS = {  # name: (module:class, one line)
    "manitokan": (
        "comity.environments.grid.manitokan.game:Manitokan",
        "one key, a door each, gifts that their receiver cannot see (hidden gifts)",
    ),
    "manitokan-messages": (
        "comity.environments.grid.manitokan.messages:ManitokanMessages",
        "the same, with a symbol beside every action that the others see one step later",
    ),
    "two-step": (
        "comity.environments.matrix.two_step:TwoStep",
        "a first choice between a safe table and a risky one (QMIX)",
    ),
    "matrix": (
        "comity.environments.matrix.matrix:Matrix",
        "one pay-off matrix, one step; by default its best entry stands among the worst (QTRAN)",
    ),
    "ipd": (
        "comity.environments.matrix.ipd:IPD",
        "iterated prisoner's dilemma, as in COALA-PG, RUSP or LOLA; exact values of tabular players",
    ),
    "repeated-matrix": (
        "comity.environments.matrix.repeated_matrix:RepeatedMatrix",
        "a two-player matrix game played again and again: stag hunt, chicken, pennies, one's own",
    ),
    "n-ipd": (
        "comity.environments.matrix.n_player_ipd:NPlayerIPD",
        "the prisoner's dilemma of several players, each against all others with one action",
    ),
    "indirect-reciprocity": (
        "comity.environments.indirect_reciprocity:IndirectReciprocity",
        "of several agents two play a prisoner's dilemma at every step, the others watch (RUSP)",
    ),
    "prisoners-buddy": (
        "comity.environments.prisoners_buddy:PrisonersBuddy",
        "agents choose partners; a mutual choice pays both, an unanswered one costs (RUSP)",
    ),
    "n-step": (
        "comity.environments.matrix.n_step:NStep",
        "repeat the first joint action n times, and break the rule at the end (MAVEN)",
    ),
    "one-step-traffic-junction": (
        "comity.environments.matrix.one_step_traffic_junction:OneStepTrafficJunction",
        "of two cars exactly one is to pass (LICA)",
    ),
    "cooperative-navigation": (
        "comity.environments.particle.cooperative_navigation:CooperativeNavigation",
        "particles: as many places as agents; cover all of them without bumping (LICA, MADDPG)",
    ),
    "cooperative-communication": (
        "comity.environments.particle.cooperative_communication:CooperativeCommunication",
        "particles: one knows the goal and cannot move, one moves and does not know it (MADDPG)",
    ),
    "physical-deception": (
        "comity.environments.particle.physical_deception:PhysicalDeception",
        "particles: good agents hide from an adversary which landmark is the goal (MADDPG)",
    ),
    "predator-prey": (
        "comity.environments.particle.predator_prey:PredatorPrey",
        "particles: predators hunt a prey that moves at random (SQDDPG, LICA) or learns (MADDPG)",
    ),
    "push-box": (
        "comity.environments.grid.sparse.push_box:PushBox",
        "two agents push a box to the wall, which neither can do alone; nothing else is paid (EITI, ALITA)",
    ),
    "secret-room": (
        "comity.environments.grid.sparse.secret_room:SecretRoom",
        "doors are open only while somebody stands on a switch; both must reach the top room (EITI, ALITA)",
    ),
    "harvest": (
        "comity.environments.dilemmas.harvest:Harvest",
        "apples grow beside apples; what all have eaten never comes back (RUSP, sequential social dilemmas)",
    ),
    "cleanup": (
        "comity.environments.dilemmas.cleanup:Cleanup",
        "apples grow while somebody, far away, cleans the river (RUSP, sequential social dilemmas)",
    ),
    "cleanup-lite": (
        "comity.environments.dilemmas.cleanup_lite:CleanupLite",
        "apples grow while somebody cleans the river; two to four agents, zaps (COALA-PG)",
    ),
    "coin-game": (
        "comity.environments.dilemmas.coin_game:CoinGame",
        "any coin is a point; who takes the other's costs it two (LOLA, M-FOS)",
    ),
    "pendulum": (
        "comity.environments.control.pendulum:Pendulum",
        "control: swing a rod up with a torque too weak to lift it (Gymnasium's Pendulum-v1)",
    ),
    "point-mass": (
        "comity.environments.control.point_mass:PointMass",
        "control: push a body to a place and stop there; by one agent, or one for each direction",
    ),
    "reacher": (
        "comity.environments.control.reacher:Reacher",
        "control: bring the tip of an arm of two links to a place; by one agent, or one for each joint",
    ),
    "cartpole-swing-up": (
        "comity.environments.control.cartpole:CartpoleSwingUp",
        "control: swing a hanging pole up by pushing its cart, and hold it",
    ),
    "oasis": (
        "comity.environments.particle.oasis:Oasis",
        "three agents and food for two: they move, turn, eat and attack (RUSP)",
    ),
    "smac": (
        "comity.environments.battle.game:SMAC",
        "small battles by SMAC's rules without the game (LICA, ALITA); eleven maps: smac/2s3z",
    ),
}

VARIANTS = {  # name: (task, the settings that the name fixes, one line)
    "smac/3m": ("smac", {"map": "3m"}, "easy: 3 Marines against 3"),
    "smac/8m": ("smac", {"map": "8m"}, "easy: 8 Marines against 8"),
    "smac/2s3z": ("smac", {"map": "2s3z"}, "easy: 2 Stalkers and 3 Zealots, on both sides"),
    "smac/3s5z": ("smac", {"map": "3s5z"}, "easy: 3 Stalkers and 5 Zealots, on both sides"),
    "smac/1c3s5z": ("smac", {"map": "1c3s5z"}, "easy: a Colossus, 3 Stalkers and 5 Zealots, on both sides"),
    "smac/5m_vs_6m": ("smac", {"map": "5m_vs_6m"}, "hard: 5 Marines against 6"),
    "smac/3s_vs_5z": ("smac", {"map": "3s_vs_5z"}, "hard: 3 Stalkers against 5 Zealots"),
    "smac/2c_vs_64zg": ("smac", {"map": "2c_vs_64zg"}, "hard: 2 Colossi against 64 Zerglings"),
    "smac/corridor": ("smac", {"map": "corridor"}, "super hard: 6 Zealots against 24 Zerglings"),
    "smac/MMM2": ("smac", {"map": "MMM2"}, "super hard: 7 Marines, 2 Marauders, a Medivac against 8, 3 and 1"),
    "smac/3s5z_vs_3s6z": ("smac", {"map": "3s5z_vs_3s6z"}, "super hard: 3 Stalkers, 5 Zealots against 3 and 6"),
}

WRAPPERS = {  # suffix of a task's name, `ipd+rusp`: (module:class, one line)
    "rusp": (
        "comity.environments.wrappers.preferences:Preferences",
        "whose rewards an agent cares for is drawn anew in every episode, and seen with noise",
    ),
    "messages": (
        "comity.environments.wrappers.messages:Messages",
        "a symbol beside every action, which the others see one step later",
    ),
    "pool": (
        "comity.environments.wrappers.pool:Pool",
        "two learners that meet each other or random tables, and are not told which",
    ),
    "scripted": (
        "comity.environments.wrappers.scripted:Scripted",
        "the last agent follows a script of the game: all-c, all-d, tit-for-tat",
    ),
    "learners": (
        "comity.opponents:Learners",
        "many episodes in a row against a naive learner, which learns between them (COALA-PG)",
    ),
}
