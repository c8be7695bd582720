"""Figures of papers as data: what is trained, on what, for how long, and what a figure claims.

A registry of papers: name -> (module, one line), and of their figures. Names only, so that listing imports nothing
heavy.
"""

PAPERS: dict[str, tuple[str, str]] = {
    "hidden-gifts": ("comity.experiments.hidden_gifts.paper", "The challenge of hidden gifts in multi-agent RL (2025)"),
    "coala-pg": (
        "comity.experiments.coala_pg.paper",
        "Multi-agent cooperation through learning-aware policy gradients (2025)",
    ),
    "in-context": (
        "comity.experiments.in_context.paper",
        "Multi-agent cooperation through in-context co-player inference (2026)",
    ),
    "rusp": (
        "comity.experiments.rusp.paper",
        "Emergent reciprocity and team formation from randomized uncertain social preferences (2020)",
    ),
    "alita": (
        "comity.experiments.alita.paper",
        "Influence-based reinforcement learning for intrinsically-motivated agents (2021)",
    ),
    "lica": ("comity.experiments.lica.paper", "Learning implicit credit assignment for cooperative MARL (2020)"),
}
FIGURES: dict[str, tuple[str, str]] = {  # PAPER/FIGURE: (module, one line)
    f"{paper}/{name}": (PAPERS[paper][0], line)
    for paper, name, line in (
        ("hidden-gifts", "fig1", "an episode in six steps"),
        ("hidden-gifts", "fig2", "success and reward of every learner, window only"),
        ("hidden-gifts", "fig3", "how often the key is dropped"),
        ("hidden-gifts", "fig4", "with door and key signals"),
        ("hidden-gifts", "fig5", "with action history"),
        ("hidden-gifts", "fig6", "correction terms"),
        ("hidden-gifts", "fig7", "COMA's policy loss and baseline"),
        ("hidden-gifts", "fig8", "drops of the value mixers"),
        ("hidden-gifts", "fig9", "who moves first"),
        ("hidden-gifts", "fig10", "learners kept close to random"),
        ("hidden-gifts", "fig11", "distance between agents"),
        ("hidden-gifts", "fig12", "time of the first reward"),
        ("hidden-gifts", "fig13", "other rewards: oracle, punishment, injection"),
        ("hidden-gifts", "fig14", "one of the two rewards alone"),
        ("hidden-gifts", "fig15", "the negated correction terms"),
        ("hidden-gifts", "factorial", "PG: history x actors x learning rate x exploration"),
        ("hidden-gifts", "repairs", "the released code, one defect repaired at a time"),
        ("hidden-gifts", "views", "PG: frozen or live views x blind or seen x history"),
        ("hidden-gifts", "views-long", "the released pair for the paper's 10,000 batches"),
        ("hidden-gifts", "readings", "PG: other readings of the text x history"),
        ("hidden-gifts", "tables", "learners with every number and layer of their tables"),
        ("hidden-gifts", "beyond", "more agents, long memory, messages, prediction of the other"),
        ("hidden-gifts", "beyond-ppo", "the same with PPO"),
        ("hidden-gifts", "gift-games", "gifts in closed form: PG, corrections, LOLA, DiCE, COALA, exact"),
        ("hidden-gifts", "credit", "what rules say of a drop, and what it is worth by replays"),
        ("coala-pg", "analytic", "extortion, groups and look-ahead with exact values"),
        ("coala-pg", "pure-shaping", "COALA-PG, M-FOS, batch-unaware against naive learners"),
        ("coala-pg", "mixed-pool", "players among naive learners"),
        ("coala-pg", "gradient-balance", "the gradient of later episodes against that of the own one"),
        ("coala-pg", "estimators", "each estimator's mean against the true gradient, enumerated"),
        ("coala-pg", "returns", "what players trained by each estimator earn, by the closed form"),
        ("coala-pg", "time-scales", "what pulls where: naive learners, other players"),
        ("coala-pg", "composition", "how many naive learners a group needs"),
        ("coala-pg", "minibatch", "how many inner games, at equal play"),
        ("coala-pg", "observability", "when the other's actions are seen wrongly"),
        ("coala-pg", "changing-rules", "naive learners whose rate or optimizer changes on the way"),
        ("coala-pg", "dilemmas", "stag hunt, chicken, other horizons; shares of the best symmetric return"),
        ("in-context", "ipd", "prisoner's dilemma in a pool of random tables"),
        ("rusp", "fig3", "prisoner's dilemma: selfish, and with random uncertain preferences"),
        ("rusp", "fig8", "who shares levels and noises"),
        ("rusp", "fig9", "play against the past"),
        ("rusp", "fig10", "Prisoner's Buddy: partitions, or everybody shares"),
        ("rusp", "indirect", "indirect reciprocity: watched, and newcomers"),
        ("rusp", "buddy", "Prisoner's Buddy: do teams form"),
        ("alita", "fig1", "the influence by clones, by one network, by play"),
        ("alita", "fig3", "battles: ALITA and eight rivals on five maps"),
        ("alita", "fig4", "battles: ALITA without influence, without bonuses, symmetric"),
        ("alita", "table1", "Push-Box and Secret Room: ALITA, its rivals, MADDPG"),
        ("alita", "table2", "navigation of three and six: ALITA, MADDPG, DDPG"),
        ("alita", "table3", "communication: ALITA, MADDPG and learners that know of nobody"),
        ("alita", "table4", "deception: ALITA, MADDPG, DDPG against MADDPG, DDPG"),
        ("alita", "ablations", "ALITA without influence, without bonuses, symmetric"),
        ("alita", "fig5", "bodies with an auxiliary agent: ALITA on TD3, two learners without influence, eight others"),
        ("lica", "fig2", "plain and adaptive entropy, exact, on 5m_vs_6m and on navigation"),
        ("lica", "fig3", "LICA, COMA, IDDPG, MADDPG, SQDDPG on navigation and predator-prey"),
        ("lica", "fig4", "battles: LICA, COMA, LIIR, VDN, QMIX, QTRAN on nine maps"),
        ("lica", "fig5", "traffic junction: LICA, COMA, and what stood for COMA"),
        ("lica", "fig6", "LICA's parts: probabilities, mixing critic"),
    )
}
