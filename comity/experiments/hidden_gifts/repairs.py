"""The repair study: from the released code, one defect repaired at a time (specification, section 5)."""

from typing import Any

from comity.experiments.claims import Comparison, dated
from comity.experiments.figure import Arm, Budget, Ends, Figure, Panel
from comity.experiments.hidden_gifts.arms import HISTORY, RANDOM, SUCCESS, all_of, claim
from comity.experiments.measures import Measure

Repair = tuple[dict[str, Any], dict[str, Any]]  # what a repair changes in the game, and in the algorithm
SIGHT: Repair = ({"content": "scene", "show_carried": False}, {})
THAWED: Repair = ({"frozen_observation": False}, {})
SHORT: Repair = ({"length": 150}, {})
NO_FLOOR: Repair = ({}, {"exploration": "none"})
REPAIRS: dict[str, dict[str, Repair]] = {  # defect -> repair, in the order of the repairs
    "pg": {
        "frozen views": THAWED,
        "blind views": SIGHT,
        "end value": ({}, {"last_value": "zero"}),
        "exploration floor": NO_FLOOR,
        "300 steps": SHORT,
    },
    "coma": {
        "frozen views": THAWED,
        "blind views": SIGHT,
        "end value": ({}, {"last_value": "target"}),
        "exploration floor": NO_FLOOR,
        "300 steps": SHORT,
    },
    "mappo": {
        "blind views": SIGHT,
        "misread actions": ({}, {"misread_actions": False}),
        "misread rows": ({}, {"rows": "pieces"}),
        "late views": ({"lagged_observation": False}, {"post_terminal": False}),
        "clip and lambda": ({}, {"actor_clip": 10.0, "critic_clip": 10.0, "lambda_": 0.95}),
        "300 steps": SHORT,
    },
    "qmix": {
        "blind views": SIGHT,
        "mixed views": ({}, {"views_mixed": False, "misread": False}),
        "silent ends": ({}, {"ends_teach": True, "padding": "masked"}),
        "optimizer and target": (
            {},
            {
                "optimizer": "adam",
                "learning_rate": 1e-3,
                "last_learning_rate": 1e-3,
                "epsilon": 1e-8,
                "target_period": 1,
                "target_moves": "after",
                "tau": 0.01,
                "unavailable": "never",
                "replay_restarts": False,
            },
        ),
        "300 steps": SHORT,
    },
}
# Single repairs that laptop scale trains for learners other than PG: those whose meaning changed after they were first
# trained. It also trains the released arm and the end of the chain, and all arms of PG.
ALONE = {
    "coma": ("end value",),
    "mappo": ("misread actions", "misread rows", "late views"),
    "qmix": ("mixed views", "silent ends", "optimizer and target"),
}
ROLLOUT = {"batch": 32, "warmup": 32}  # a draw is one rollout of 32 games, not 32: values are misread within each
# Frozen views are an error in the loop of PG, COMA and MAVEN only; late views are one of MAPPO's and IPPO's buffers.
ALWAYS: dict[str, Repair] = {
    "pg": ({}, {}),
    "coma": ({}, {}),
    "mappo": ({"frozen_observation": False, "lagged_observation": True}, {}),
    "qmix": ({"frozen_observation": False}, ROLLOUT),
}


def at_laptop(algorithm: str, names: tuple[str, ...]) -> bool:
    """True if laptop scale trains the arm with these repairs."""
    alone = [(name,) for name in ALONE.get(algorithm, ())]
    return algorithm == "pg" or len(names) in (0, len(REPAIRS[algorithm])) or names in alone


def repaired(algorithm: str, names: tuple[str, ...], options: dict[str, Any], kind: str) -> Arm:
    """Returns the released code without the defects `names`. kind: part of the arm's name."""
    changes = [ALWAYS[algorithm], *(REPAIRS[algorithm][name] for name in names)]
    game = {**options, **{k: v for change, _ in changes for k, v in change.items()}}
    settings = {k: v for _, change in changes for k, v in change.items()}
    words = ["released", kind, *(["to"] if len(names) > 1 else []), *(names[-1:])]
    budget = {"pg": "pg", "coma": "coma", "mappo": "ppo", "qmix": "replay"}[algorithm]
    if "300 steps" in names and algorithm != "mappo" and settings.get("exploration") != "none":
        budget += "-short"
    if not at_laptop(algorithm, names):
        budget += "-later"
    name = "-".join(words).replace(" ", "-")
    return Arm(name, algorithm, "released", settings, game, profile="released", budget=budget)


def repairs(algorithm: str, words: str, options: dict[str, Any], kind: str) -> tuple[dict[str, Arm], list[str]]:
    """Returns (label -> arm: as released, each repair alone, then the chain of repairs; the labels of the chain)."""
    names = tuple(REPAIRS[algorithm])
    arms = {f"{words}, released": repaired(algorithm, (), options, kind)}
    arms |= {f"{words}, repaired: {name}": repaired(algorithm, (name,), options, kind) for name in names}
    chain = [f"{words}, released"]
    for count in range(2, len(names) + 1):
        label = f"{words}, repaired up to: {names[count - 1]}"
        arms[label] = repaired(algorithm, names[:count], options, kind)
        chain.append(label)
    return arms, [chain[0], f"{words}, repaired: {names[0]}", *chain[1:]]


STUDIES = {
    "PG": repairs("pg", "PG", {}, "pg-window"),
    "PG with history": repairs("pg", "PG with history", HISTORY, "pg-history"),
    "COMA": repairs("coma", "COMA", {}, "coma"),
    "MAPPO": repairs("mappo", "MAPPO", {}, "mappo"),
    "QMIX": repairs("qmix", "QMIX", {}, "qmix"),
}
RELEASED_RANDOM = Arm("released-random", "random", "sound", profile="released", budget="random")
SHORT_RANDOM = "random, 150 steps"


def reference(label: str) -> str:
    """Returns the label of the random policy that plays as many steps."""
    return SHORT_RANDOM if "300 steps" in label else "random"


def budgets(seeds: int, iterations: int, schedule: str = "", steps: float = 0.0, later: int = 0) -> dict[str, Budget]:
    """Returns the budgets of one learner: for 300 steps, for 150 if schedules count steps, and `later` seeds for the
    arms that laptop scale leaves out.
    """
    whole = {"": Budget(seeds, iterations, settings={schedule: steps} if schedule else {})}
    half = {"-short": Budget(seeds, iterations, settings={schedule: steps / 2})} if schedule else {}
    return whole | half | {f"{kind}-later": x._replace(seeds=later) for kind, x in (whole | half).items()}


def of_learners(**learners: dict[str, Budget]) -> dict[str, Budget]:
    return {f"{name}{kind}": budget for name, kinds in learners.items() for kind, budget in kinds.items()}


def trained(name: str) -> tuple[str, ...]:
    """Returns the labels of a study that laptop scale trains."""
    return tuple(label for label, arm in STUDIES[name][0].items() if not arm.budget.endswith("-later"))


# Written before any run with the corrected end value, on the day when PG's was moved to its place in the code.
END_VALUE = ("PG, repaired up to: blind views", "PG with history, repaired up to: blind views")
NO_END_VALUE = ("PG, repaired up to: end value", "PG with history, repaired up to: end value")
WHOLE = Measure("success", window=(0.0, 1.0))
predicted = dated("2026-11-30")
PREDICTIONS = (
    predicted(
        "no-seed-is-left-behind",
        "Ours: with live views that show keys and doors the end value, which is of the critic's targets only, decides "
        "no seed: of five none ends below 80 % of the others' success (a standard deviation below 0.1).",
        *all_of(END_VALUE, "steadier", 0.1, SUCCESS, 0.0),
    ),
    predicted(
        "learns-with-the-end-value",
        "Ours: the same PG succeeds, in half of its episodes or more.",
        *all_of(END_VALUE, "above", 0.5, SUCCESS, 0.0),
    ),
    predicted(
        "the-end-value-slows",
        "Ours: the end value makes the baseline worse, and so PG slower: over the whole of training it succeeds less "
        "often than without.",
        *(Comparison(a, "below", b, WHOLE, 0.05) for a, b in zip(END_VALUE, NO_END_VALUE, strict=True)),
    ),
)

FEW = ("MAPPO", "QMIX")  # trained so briefly that a point of a record has few games
REPAIR_STUDY = Figure(
    "repairs",
    "The released code, one defect repaired at a time",
    {
        **{label: arm for arms, _ in STUDIES.values() for label, arm in arms.items()},
        "random": RELEASED_RANDOM,
        SHORT_RANDOM: RANDOM,
    },
    {
        "smoke": {},
        "laptop": {
            **of_learners(
                pg=budgets(5, 3_000, "floor_steps", 600_000.0),
                coma=budgets(3, 1_000, "floor_steps", 200_000.0),
                ppo=budgets(3, 200),
                replay=budgets(3, 400, "explore_steps", 120_000.0),
            ),
            "random": Budget(10, 1_000),
        },
        "paper": {
            **of_learners(
                pg=budgets(10, 10_000, "floor_steps", 2e6) | {"": Budget(10, 10_000)},  # as in `views`
                coma=budgets(10, 10_000, "floor_steps", 2e6, later=10),
                ppo=budgets(10, 10_000, later=10),
                replay=budgets(10, 10_000, "explore_steps", 3e6, later=10),
            ),
            "random": Budget(10, 1_000),
        },
    },
    tuple(
        Panel("success", f"success, {name} (%)", (*chain, "random"), scale=100, points=20 if name in FEW else None)
        for name, (_, chain) in STUDIES.items()
    ),
    (
        *(
            claim(
                f"history-{label.partition(', ')[2].replace(':', '').replace(' ', '-')}",
                f"Action history makes PG succeed: {label.partition(', ')[2]}.",
                Comparison(f"PG with history, {label.partition(', ')[2]}", "above", label, SUCCESS, 0.1),
            )
            for label in STUDIES["PG"][0]
        ),
        *(
            claim(
                f"{name.lower().replace(' ', '-')}-stays-low",
                f"{name} never succeeds more often than random, whatever is repaired.",
                *(Comparison(label, "below", reference(label), SUCCESS, 0.0) for label in trained(name)),
            )
            for name in STUDIES
            if name != "PG with history"
        ),
        claim(
            "measured-by-rewards",
            "Success as the code measures it, by agent 0's rewards, is success by the doors.",
            *(
                Comparison(label, "equal", 0.0, Measure("success_error"), 0.005)
                for label in ("PG, released", "PG with history, released")
            ),
        ),
        *PREDICTIONS,
    ),
    smoke=(
        "PG, released",
        "QMIX, released",
        STUDIES["PG"][1][-1],
        "random",
        SHORT_RANDOM,
    ),
    note=(
        "Exploration schedules are as long, in parts of a training, as in the code, and half as many steps where an "
        "episode has 150. Replays draw 32 episodes instead of 1,024, QMIX's one rollout, and are never full, so that "
        "none restarts (part of 'optimizer and target'), and the mixers' agents always explore together, as in the "
        "code. 'Clip and lambda' are MAPPO's of the tables. All of MAPPO's arms keep what else its preset `released` "
        "has: losses count steps after a game's end, advantages are normalised over both agents, the actors' loss is "
        "a mean over agents, returns enter their moments at each minibatch, log-probabilities are clipped, and the "
        "deviation of returns and the networks start as in the code. Where MAPPO's views are late, nothing is seen "
        "until the first one comes. 'Repaired: X' is that repair alone, 'repaired up to: X' all repairs so far in the "
        "order shown. Of COMA, MAPPO and QMIX the other arms are trained at the paper's scale only. Records of before "
        "30 November 2026 were removed: the preset `released` was not what the released code does (see the log of the "
        "paper's page)."
    ),
    ends=tuple(
        Ends(
            SUCCESS,
            f"success, {name} (%); grey: random play",
            {label: label.partition(", ")[2] for label in arms},
            {label: reference(label) for label in arms},
            100,
        )
        for name, (arms, _) in STUDIES.items()
    ),
)
