"""Figure 5: bodies with an auxiliary agent, compared with learners that are alone; bodies of MuJoCo, and small ones in
JAX.

At the laptop's scale every learner has the settings of its preset `sound`; those with a replay have two layers of 128
(as ALITA on Gym) and batches of 128. At scale `paper` each has the numbers of its own paper; ALITA, TD3, SAC and DDPG
have those that ALITA's paper gives for all its experiments.
"""

from typing import Any, NamedTuple

from comity.algorithms.off_policy.deterministic_settings import OF_ALITA
from comity.experiments.alita.arms import claim
from comity.experiments.claims import Comparison
from comity.experiments.figure import Arm, Budget, Figure, Panel, Scale
from comity.experiments.measures import Measure

STEPS, JAX_STEPS = 200_000, 100_000  # of a body of MuJoCo and of a small one in JAX, at the laptop's scale
PAPER_STEPS = 1_000_000  # at least
JAX = {"pendulum": "", "point-mass": "one", "reacher": "one", "cartpole-swing-up": ""}  # bodies in JAX: profile
MUJOCO = ("half-cheetah", "hopper")

SMALL: dict[str, Any] = {"hidden": 128, "batch": 128, "capacity": STEPS}
NEAR: dict[str, Any] = {**OF_ALITA, "capacity": 1_000_000}
WIDE: dict[str, Any] = {**NEAR, "hidden": 128, "layer_norm": True, "learning_rate": 1e-3, "critic_learning_rate": 1e-3}
INFLUENCE: dict[str, Any] = {"influence_batch": 1_024, "influence_updates": 400, "novelty_batch": 1_024}
TSALLIS: dict[str, Any] = {  # as in TAC's paper: a value network, the likelihood ratio, and a constant weight
    "values": "network",
    "gradient": "likelihood",
    "alpha": 1 / 3,
    "tau": 0.01,
    "logit_penalty": 1e-3,
}
PPO: dict[str, Any] = {
    "core": "none", "encoder": (64,), "hidden": 64, "activation": "tanh", "layer_norm": False, "steps": 256, "chunk": 1,
    "minibatches": 32, "epochs": 10, "learning_rate": 3e-4, "critic_learning_rate": 3e-4, "entropy_coefficient": 0.0,
    "actor_clip": 0.5, "critic_clip": 0.5,
}  # fmt: skip  # SPEC's table of continuous control


class Method(NamedTuple):
    """One line of the figure: its name on disk, its learner, its settings, those of its paper, and how it is played."""

    short: str
    algorithm: str
    settings: dict[str, Any]
    paper: dict[str, Any]
    games: int = 1
    steps: int = 10  # of each game in a rollout
    seconds: float = 0.02  # CPU seconds of a rollout on a body in JAX


METHODS = {
    "ALITA": Method("alita", "alita-td3", SMALL, {**WIDE, **INFLUENCE}, seconds=0.035),
    "two learners": Method("two-learners", "alita-td3", {**SMALL, "influence": "none", "novelty_by": "none"}, WIDE,
                           seconds=0.016),
    "TD3": Method("td3", "td3", SMALL, WIDE, seconds=0.006),
    "SAC": Method("sac", "sac", SMALL, {**NEAR, "hidden": 256}, seconds=0.012),
    "DDPG": Method("ddpg", "td3", {**SMALL, "critics": 1, "smoothing": 0.0, "critic_updates": 1, "every": 1}, WIDE,
                   seconds=0.012),
    "TAC, q = 1.5": Method("tac-1.5", "tac", {**SMALL, **TSALLIS, "entropic_index": 1.5},
                           {"batch": 256, "capacity": 1_000_000}, seconds=0.02),
    "TAC, q = 2": Method("tac-2", "tac", {**SMALL, **TSALLIS, "entropic_index": 2.0},
                         {"batch": 256, "capacity": 1_000_000}, seconds=0.02),
    "PPO": Method("ppo", "ippo", PPO, {"rate_steps": PAPER_STEPS // 2_048 * 10 * 32}, 8, 256, 0.035),
    "TRPO": Method("trpo", "trpo", {"steps": 128, "normalise_views": True}, {"hidden": 32}, 8, 128, 0.02),
    "ACKTR": Method("acktr", "acktr", {"steps": 250, "normalise_views": True},
                    {"rate_falls": True, "limit": 1e-3, "momentum": 0.9, "factor_decay": 0.99, "clip": 0.5,
                     "entropy_coefficient": 0.01, "critic_steps": 1, "critic_limit": 1e-3,
                     "critic_deviation": "one"}, 10, 250, 0.1),
}  # fmt: skip
RIVALS = tuple(x for x in METHODS if x not in ("ALITA", "two learners"))


def on(method: str, body: str) -> str:
    return f"{method}, {body}"


def budgets(seeds: dict[str, int], steps: int, points: int, paper: bool = False) -> dict[str, Budget]:
    """Returns budgets; their names are KIND-METHOD."""
    settings = lambda one: one.paper if paper else {}  # noqa: E731
    rollout = lambda one: one.games * settings(one).get("steps", one.steps)  # noqa: E731
    return {
        f"{kind}-{one.short}": Budget(count, steps // rollout(one), one.games, settings(one), points, 30, 60)
        for kind, count in seeds.items()
        for one in METHODS.values()
    }


BUDGETS: dict[Scale, dict[str, Budget]] = {
    "smoke": {},
    "laptop": budgets({"jax": 5}, JAX_STEPS, 20) | budgets({"mujoco": 3}, STEPS, 20),
    "paper": budgets({"jax": 10, "mujoco": 10}, PAPER_STEPS, 100, paper=True),
}


def arm(method: str, body: str) -> Arm:
    one, jax = METHODS[method], body in JAX
    task, kind = (body, "jax") if jax else (f"mujoco:{body}", "mujoco")
    learner = {"two learners": "two learners", "DDPG": "ddpg"}
    name, budget, style = f"{body}-{one.short}", f"{kind}-{one.short}", int(method == "TAC, q = 2")
    more: dict[str, Any] = {"learner": learner.get(method, ""), "condition": style}
    return Arm(name, one.algorithm, "sound", one.settings, {}, task, JAX.get(body, ""), budget, **more)


LAST, CURVE = Measure("greedy:best_alone", "last"), "greedy:best_alone"
BODIES = (*MUJOCO, *JAX)
FIG5 = Figure(
    "fig5",
    "Figure 5: bodies with an auxiliary agent",
    {on(method, body): arm(method, body) for body in BODIES for method in METHODS},
    BUDGETS,
    tuple(Panel(CURVE, f"{body}, return", tuple(on(m, body) for m in METHODS)) for body in BODIES),
    (
        claim(
            "best-on-all",
            "ALITA, the better of its two agents, ends higher than every other learner, on all bodies of MuJoCo.",
            *(Comparison(on("ALITA", body), "above", on(m, body), LAST, 0.0) for body in MUJOCO for m in RIVALS),
        ),
        claim(
            "above-td3",
            "ALITA ends clearly higher than TD3, which it is made of.",
            *(Comparison(on("ALITA", body), "above", on("TD3", body), LAST, 100.0) for body in MUJOCO),
        ),
        claim(
            "influence-not-replay",
            "Ours: it is the influence and the bonuses that help, not a second learner and the better of two.",
            *(Comparison(on("ALITA", body), "above", on("two learners", body), LAST, 100.0) for body in MUJOCO),
        ),
        claim(
            "two-learners-gain-nothing",
            "Ours: two TD3 with one replay end no higher than one, in as many steps of the body.",
            *(Comparison(on("two learners", body), "not above", on("TD3", body), LAST, 300.0) for body in MUJOCO),
        ),
        claim(
            "pendulum-for-all",
            "Ours: with and without influence the pendulum is held up, as TD3 alone holds it.",
            *(Comparison(on(m, "pendulum"), "equal", on("TD3", "pendulum"), LAST, 30.0)
              for m in ("ALITA", "two learners")),
        ),
        claim(
            "small-bodies-gain-nothing",
            "Ours: where one learner soon is as good as can be, the auxiliary agent gains nothing.",
            *(Comparison(on("ALITA", body), "not above", on("TD3", body), LAST, margin)
              for body, margin in (("point-mass", 2.0), ("reacher", 2.0))),
        ),
    ),
    smoke=tuple(on(m, "pendulum") for m in METHODS),
    note=(
        "Steps are those of the body, of both agents together. Returns are of 30 episodes without noise at a point, 60 "
        "at the end; ALITA and the two learners play half of them with each policy, and the better one counts, at "
        "each point by itself. The paper's bodies are PyBullet's, and it names Humanoid-v3 alone: returns here are "
        "MuJoCo's, and only order can be compared. 200,000 steps are a fifth of what the paper trains at least: they "
        "show who learns early, not who ends higher. Bodies in JAX are trained for 100,000. DDPG is TD3 without what "
        "it adds; TAC climbs by the likelihood ratio, as its paper does."
    ),
)  # fmt: skip
