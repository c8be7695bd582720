"""Games: the rules, one file each. The tables name modules as text, so that listing the games imports nothing."""

TASKS = {  # name: (module:class, one line)
    "manitokan": (
        "comity.environments.grid.manitokan.game:Manitokan",
        "one key, a door for each agent, and gifts that the giver never sees used (hidden gifts)",
    ),
    "manitokan-messages": (
        "comity.environments.grid.manitokan.messages:ManitokanMessages",
        "Manitokan with messages: a symbol with every action, which the others see one step later",
    ),
    "two-step": (
        "comity.environments.matrix.two_step:TwoStep",
        "one agent chooses between a safe and a risky payoff table, then both play it (QMIX)",
    ),
    "matrix": (
        "comity.environments.matrix.matrix:Matrix",
        "one payoff matrix, one step; by default its best entry is next to the worst (QTRAN)",
    ),
    "ipd": (
        "comity.environments.matrix.ipd:IPD",
        "iterated prisoner's dilemma, as in COALA-PG, RUSP or LOLA; exact values of tabular players",
    ),
    "repeated-matrix": (
        "comity.environments.matrix.repeated_matrix:RepeatedMatrix",
        "a repeated two-player matrix game: stag hunt, chicken, matching pennies, or your own",
    ),
    "n-ipd": (
        "comity.environments.matrix.n_player_ipd:NPlayerIPD",
        "the prisoner's dilemma of several players; one action counts against all others",
    ),
    "indirect-reciprocity": (
        "comity.environments.indirect_reciprocity:IndirectReciprocity",
        "at every step two of several agents play a prisoner's dilemma, the others watch (RUSP)",
    ),
    "prisoners-buddy": (
        "comity.environments.prisoners_buddy:PrisonersBuddy",
        "agents choose partners; a mutual choice pays both, an unanswered one costs (RUSP)",
    ),
    "n-step": (
        "comity.environments.matrix.n_step:NStep",
        "repeat a good first joint action; the last step pays most for the opposite one (MAVEN)",
    ),
    "one-step-traffic-junction": (
        "comity.environments.matrix.one_step_traffic_junction:OneStepTrafficJunction",
        "exactly one of two cars should pass (LICA)",
    ),
    "cooperative-navigation": (
        "comity.environments.particle.cooperative_navigation:CooperativeNavigation",
        "particles: agents cover as many landmarks, without collisions (LICA, MADDPG)",
    ),
    "cooperative-communication": (
        "comity.environments.particle.cooperative_communication:CooperativeCommunication",
        "particles: a speaker knows the goal, a listener moves (MADDPG)",
    ),
    "physical-deception": (
        "comity.environments.particle.physical_deception:PhysicalDeception",
        "particles: good agents hide the goal landmark from an adversary (MADDPG)",
    ),
    "predator-prey": (
        "comity.environments.particle.predator_prey:PredatorPrey",
        "particles: predators hunt a prey that moves at random (SQDDPG, LICA) or learns (MADDPG)",
    ),
    "push-box": (
        "comity.environments.grid.sparse.push_box:PushBox",
        "two agents together push a heavy box to a wall; sparse reward (EITI, ALITA)",
    ),
    "secret-room": (
        "comity.environments.grid.sparse.secret_room:SecretRoom",
        "a door is open only while an agent stands on a switch; both must reach a room (EITI, ALITA)",
    ),
    "harvest": (
        "comity.environments.dilemmas.harvest:Harvest",
        "commons: apples grow near apples, and an empty patch stays empty (RUSP, social dilemmas)",
    ),
    "cleanup": (
        "comity.environments.dilemmas.cleanup:Cleanup",
        "public good: apples grow if somebody cleans a distant river (RUSP, social dilemmas)",
    ),
    "cleanup-lite": (
        "comity.environments.dilemmas.cleanup_lite:CleanupLite",
        "a small Cleanup: apples grow if somebody cleans; agents can zap each other (COALA-PG)",
    ),
    "coin-game": (
        "comity.environments.dilemmas.coin_game:CoinGame",
        "a coin gives a point; taking the other's coin costs the other two (LOLA, M-FOS)",
    ),
    "pendulum": (
        "comity.environments.control.pendulum:Pendulum",
        "control: swing a rod up with a torque too weak to lift it (Gymnasium's Pendulum-v1)",
    ),
    "point-mass": (
        "comity.environments.control.point_mass:PointMass",
        "control: push a body to a place and stop there; one agent, or one per direction",
    ),
    "reacher": (
        "comity.environments.control.reacher:Reacher",
        "control: move the tip of a two-link arm to a place; one agent, or one per joint",
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
        "small battles with SMAC's rules, without StarCraft (LICA, ALITA); eleven maps: smac/2s3z",
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
        "random social preferences, drawn in every episode and seen with noise (RUSP)",
    ),
    "messages": (
        "comity.environments.wrappers.messages:Messages",
        "each action comes with a symbol, which the others see one step later",
    ),
    "pool": (
        "comity.environments.wrappers.pool:Pool",
        "two learners meet each other or random tabular players, and are not told which",
    ),
    "scripted": (
        "comity.environments.wrappers.scripted:Scripted",
        "the last agent follows a script of the game: all-c, all-d, tit-for-tat",
    ),
    "learners": (
        "comity.opponents:Learners",
        "many episodes in a row against a naive learner that learns between them (COALA-PG)",
    ),
}
