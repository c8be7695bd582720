"""Which algorithms play which games. A pair that fits can be traced as `comity train TASK ALGORITHM` traces it; any
other pair is refused in one line before anything compiles. The tables here are also the page docs/compatibility.md,
which

    python tests/test_compatibility.py

writes again. Names come from the registries, so a new game or algorithm is tested here without a new line. Every
algorithm is traced on one game of each kind of action, and every game with one algorithm: their number grows as a sum,
not as a product. Images: tests/algorithms/test_kinds.py. All pairs: `pytest -m slow`.
"""

import dataclasses
import importlib
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.algorithms import ALGORITHMS
from comity.algorithms.bonuses import BONUSES
from comity.environments import TASKS, WRAPPERS
from comity.recipes import find_algorithm, find_task, settings_of
from comity.settings import floats
from comity.spec import functions
from comity.training.programs import Programs, programs

PAGE = Path(__file__).parents[1] / "docs" / "compatibility.md"
KEY = jax.random.key(0)
GAMES = 4

ONE_HEAD = "prisoners-buddy --profile one-head"
NUMBERS = "cooperative-navigation --task.actions continuous"
PLAIN = [*TASKS, ONE_HEAD, NUMBERS]
CONTROL = ["pendulum", "point-mass", "reacher", "cartpole-swing-up"]  # one agent that gives numbers
GIVES_NUMBERS = [NUMBERS, *CONTROL]
IMAGES = ["harvest", "cleanup"]
WRAPPED = [  # each wrapper around games that it fits, and around each other
    "ipd+rusp",
    "ipd+messages",
    "ipd+scripted",
    "ipd+learners",
    "ipd+pool",
    "manitokan+rusp",
    "manitokan+messages",
    "manitokan+learners",
    "cleanup-lite+learners",
    "indirect-reciprocity+rusp",
    "indirect-reciprocity+scripted",
    "prisoners-buddy+rusp",
    "cleanup+rusp",
    "ipd+rusp+scripted",
    "ipd+messages+rusp",
    "ipd+messages+learners",
    "ipd+rusp+learners",
]
ALL = [*PLAIN, *WRAPPED]
# The game on which an algorithm is traced, where that is not Manitokan.
OWN_GAMES = {"lola": "ipd", "coala-exact": "ipd", "lica-exact": "one-step-traffic-junction", "coala": "ipd+learners"}
READS_ALL = "mappo"  # reads views and state, so every game is traced by it
SPECIAL = ("prisoners-buddy", NUMBERS)  # several heads, continuous actions: traced by whoever plays them
UPDATED = [  # trained for two updates. All others: tests/algorithms/test_all.py, and the tests of lola and coala-exact
    ("pg", "ipd+messages"),
    ("mappo", "ipd+scripted"),
    ("qmix", "ipd+rusp"),
    ("rusp", "prisoners-buddy+rusp"),
    ("rusp", "oasis"),
    ("coala", "ipd+learners"),
    ("maddpg", "cooperative-navigation"),
]
NOT_LEARNED = r"opt_state|target|replay|returns|past|rival|versions"  # what of a state is no parameter


class Refusal(NamedTuple):
    """Algorithms that refuse some tasks, and the whole line that they say."""

    algorithms: list[str]
    tasks: list[str]
    line: str
    presets: tuple[str, ...] | None = None  # None: all


SEVERAL_HEADED = (
    *("pg", "ippo", "mappo", "saf", "rusp", "random", "a2c", "maddpg", "ddpg", "iddpg", "sqddpg", "alita"),
    *("trpo", "acktr", "reinforce", "actor-critic", "td3", "sac", "tac", "alita-td3"),
)
CONTINUOUS = SEVERAL_HEADED
SEVERAL_HEADS = [task for task in ALL if task.startswith("prisoners-buddy") and task != ONE_HEAD]
PICTURES = [task for task in ALL if task.split("+")[0] in IMAGES]
READS = "reads vectors, {game} shows images {shape}: take another; `comity list algorithms` lists all"
REFUSED = [  # of several that hold the first is said
    Refusal(["lica-exact", "acktr", "alita-recurrent", "alita-qmix"], PICTURES, "{algorithm} " + READS),
    Refusal(["trpo"], PICTURES, "normalise_views " + READS, ("paper",)),
    Refusal(["ippo", "mappo"], PICTURES, "{algorithm} as released " + READS, ("released", "released-last-action")),
    Refusal(
        ["lola", "coala-exact"],
        [task for task in ALL if task not in ("ipd", "repeated-matrix")],
        "{algorithm} needs a game of two players and two actions with exact values, in which they see the last "
        "outcome; {game} is none: play ipd or repeated-matrix with sees 'outcome'",
    ),
    Refusal(
        [name for name in ALGORITHMS if name not in SEVERAL_HEADED],
        SEVERAL_HEADS,
        "{algorithm} has one head, {game} asks for 2: start from --profile one-head, or take another; "
        "`comity list algorithms` lists all",
    ),
    Refusal(
        [name for name in ALGORITHMS if name not in SEVERAL_HEADED],
        ["oasis"],
        "{algorithm} has one head, {game} asks for 5: take another; `comity list algorithms` lists all",
    ),
    Refusal(
        [name for name in ALGORITHMS if name not in CONTINUOUS],
        GIVES_NUMBERS,
        "{algorithm} chooses among discrete actions, {game} has continuous ones: take another; "
        "`comity list algorithms` lists all",
    ),
    Refusal(
        ["lica-exact"],
        [task for task in ALL if task not in ("matrix", "one-step-traffic-junction")],
        "lica-exact enumerates the joint actions of a team's one step, at most 64; {game} is no such game: play "
        "one-step-traffic-junction or matrix",
    ),
    Refusal(
        ["coala"],
        [task for task in ALL if not task.endswith("+learners")],
        "coala plays games whose opponents learn, {game} is none: put learners into it, as in "
        "`comity train ipd+learners coala`",
    ),
]
REFUSED += [
    Refusal(
        ["pg"],
        GIVES_NUMBERS,
        "pg's exploration 'floor' chooses among discrete actions, {game} has continuous ones: take another; "
        "`comity list algorithms` lists all",
        ("released", "released-max-entropy", "released-correction"),
    ),
    Refusal(
        ["saf"],
        GIVES_NUMBERS,
        "saf's mask 'learning' chooses among discrete actions, {game} has continuous ones: take another; "
        "`comity list algorithms` lists all",
        ("released",),
    ),
    Refusal(
        ["ippo", "mappo"],
        SEVERAL_HEADS,
        "{algorithm} as released has one head, {game} asks for 2: start from --profile one-head, or take another; "
        "`comity list algorithms` lists all",
        ("released", "released-last-action"),
    ),
    Refusal(
        ["ippo", "mappo"],
        ["oasis"],
        "{algorithm} as released has one head, {game} asks for 5: take another; `comity list algorithms` lists all",
        ("released", "released-last-action"),
    ),
    Refusal(
        ["ippo", "mappo"],
        GIVES_NUMBERS,
        "{algorithm} as released chooses among discrete actions, {game} has continuous ones: take another; "
        "`comity list algorithms` lists all",
        ("released", "released-last-action"),
    ),
]
REFUSED += [
    Refusal(
        ["ippo", "mappo"],
        GIVES_NUMBERS,
        "{algorithm} with skip_forced chooses among discrete actions, {game} has continuous ones: take another; "
        "`comity list algorithms` lists all",
        ("smac",),
    ),
]
COLLECTIVE = ("manitokan", "manitokan-messages", "manitokan+messages")  # games that say what is everybody's
REFUSED += [
    Refusal(
        ["pg"],
        [task for task in ALL if task not in COLLECTIVE],
        f"correction {correction!r} needs a game that says who gave and what is collective, `collective(steps)`, which "
        "{game} lacks: play manitokan, or set correction to 'none'",
        presets,
    )
    for correction, presets in {
        "mixed": ("correction", "anti-collective"),
        "self_pure": ("self-correction",),
        "released": ("released-correction",),
    }.items()
]


class Unfit(NamedTuple):
    """Games that a wrapper does not go around, and the whole line that it says."""

    wrapper: str
    games: list[str]
    line: str


NO_PAIRS = [
    *("n-ipd", "indirect-reciprocity", "prisoners-buddy", ONE_HEAD, "cleanup-lite", "oasis", "smac", *IMAGES),
    *("cooperative-navigation", "physical-deception", "predator-prey", NUMBERS),
    *CONTROL,
]
UNFIT = [
    Unfit(
        "messages",
        ["manitokan-messages"],
        "{game}+messages: game and wrapper both have a setting symbols; wrap it in Python instead",
    ),
    Unfit(
        "messages",
        ["prisoners-buddy", *GIVES_NUMBERS, "oasis", *IMAGES],
        "messages need one discrete action per agent and views that are vectors: {game} has others",
    ),
    Unfit(
        "scripted",
        [
            task
            for task in PLAIN
            if task not in ("ipd", "repeated-matrix", "indirect-reciprocity", "push-box", "secret-room")
            and task not in ("n-ipd", "cleanup-lite", "coin-game", "oasis", "smac", *IMAGES)
        ],
        "{game} has no script 'tit-for-tat'; it has none",
    ),
    Unfit("rusp", CONTROL, "preferences need two agents or more, {game} has {agents}"),
    Unfit("scripted", IMAGES, "{game} has no script 'tit-for-tat'; it has cooperator, defector"),
    Unfit("scripted", ["n-ipd"], "{game} has no script 'tit-for-tat'; it has all-c, all-d, majority"),
    Unfit("scripted", ["push-box"], "{game} has no script 'tit-for-tat'; it has pusher, left-pusher"),
    Unfit(
        "scripted",
        ["smac"],
        "{game} has no script 'tit-for-tat'; it has focus_nearest, closest, focus_weakest, hold, stop",
    ),
    Unfit("scripted", ["secret-room"], "{game} has no script 'tit-for-tat'; it has walker, opener"),
    Unfit("scripted", ["cleanup-lite"], "{game} has no script 'tit-for-tat'; it has cleaner, eater, turn-taker, bully"),
    Unfit("scripted", ["oasis"], "{game} has no script 'tit-for-tat'; it has grazer, fighter"),
    Unfit("scripted", ["coin-game"], "{game} has no script 'tit-for-tat'; it has own-only, greedy"),
    Unfit("pool", NO_PAIRS, "a pool needs a game of two agents, {game} has {agents}"),
    Unfit(
        "learners",
        ["prisoners-buddy", "oasis", NUMBERS],
        "learners play games of one discrete action, {game} is none",
    ),
    Unfit("learners", CONTROL, "learners are opponents in games of two or more, {game} has one agent"),
]

# Small and quick ------------------------------------------------------------------------------------------------------

SHORT = {"agents": 3, "length": 4, "inner_length": 3, "episodes": 2, "games": 2, "starts": 2, "naive_width": 3}
SIZES: dict[str, Any] = {  # settings that make any algorithm small, if it has them
    "hidden": 4,
    "context_heads": 1,
    "width": 6,
    "versions": 3,
    "encoder": (4,),
    "mixer_width": 4,
    "mixer_hidden": 4,
    "bias_hidden": 4,
    "joint_hidden": 4,
    "latents": 3,
    "chooser_hidden": 4,
    "discriminator_hidden": 4,
    "critic_width": 3,
    "steps": 2,
    "capacity": 2 * GAMES,
    "batch": GAMES,
    "warmup": GAMES,
}


def parted(task: str) -> tuple[str, str | None, dict[str, str]]:
    """(name, profile, options) of `NAME --profile PROFILE` or `NAME --task.OPTION VALUE`."""
    name, *flags = task.split()
    given = dict(zip(flags[::2], flags[1::2], strict=True))
    profile = given.pop("--profile", None)
    return name, profile, {flag.removeprefix("--task."): value for flag, value in given.items()}


@cache
def short(task: str, profile: str | None = None) -> Any:
    """The game, with short episodes; profile: None, the one that the task's name says, or else the default."""
    name, own, options = parted(task)
    source = find_task(name)
    profile = profile or own or source.first
    known = {f.name for f in dataclasses.fields(source.thing)}
    skip = {"length"} if "inner_length" in known else set()
    values = {name: x for name, x in SHORT.items() if name in known - skip}
    return settings_of(source, profile, "profile", {**values, **options})


def small(algorithm: str, preset: str | None = None) -> tuple[Any, Any]:
    """(make, settings) of an algorithm; preset: None, the default."""
    source = find_algorithm(algorithm)
    known = {f.name for f in dataclasses.fields(source.thing.Config)}
    values = {name: x for name, x in SIZES.items() if name in known}
    preset = preset or next(iter(source.presets))
    if source.presets[preset].get("rollouts") == "episodes":  # whose steps are the game's
        values.pop("steps", None)
    return source.thing.make, settings_of(source, preset, "preset", values)


def refusal(algorithm: str, task: str, preset: str | None = None, profile: str | None = None) -> str | None:
    """The line that the table has for them, or None if they fit."""
    default = next(iter(find_algorithm(algorithm).presets))
    for refused in REFUSED:
        of_preset = refused.presets is None or (preset or default) in refused.presets
        if of_preset and algorithm in refused.algorithms and task in refused.tasks:
            game = short(task, profile)
            return refused.line.format(algorithm=algorithm, game=type(game).__name__, shape=game.spec.view.shape)
    return None


class Once:
    """A game whose rules are traced once for all algorithms."""

    def __init__(self, env: Any):
        self.env, self.spec, self.reset, self.step = env, env.spec, jax.jit(env.reset), jax.jit(env.step)
        together = functions(env).step_games
        self.functions = functions(env)._replace(step_games=together and jax.jit(together))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)  # what only one game's learners ask: the inner game, payoffs


@cache
def once(task: str, profile: str | None) -> Any:
    return Once(short(task, profile))


def built(algorithm: str, task: str, preset: str | None = None, profile: str | None = None) -> Programs:
    """What `comity train` compiles."""
    make, config = small(algorithm, preset)
    return programs(make, config, once(task, profile), games=GAMES, capacity=2, episodes=2)


def trace(algorithm: str, task: str, preset: str | None = None, profile: str | None = None) -> None:
    """One iteration of the loop, play and update, and an evaluation, as shapes."""
    made = built(algorithm, task, preset, profile)
    values, count = floats(small(algorithm, preset)[1]), jnp.int32(1)
    carry = jax.eval_shape(made.init, values, KEY)
    after, metrics, finite = jax.eval_shape(made.chunk, values, KEY, count, count, carry)
    assert after == carry
    assert {"return", "length", "env_steps"} <= {*metrics.names}
    assert metrics.table.shape == (2, len(metrics.names))
    assert finite.shape == ()
    found = jax.eval_shape(made.evaluate, values, count, KEY, carry.state)
    assert found["greedy"] == found["sampled"]
    assert found["greedy"]["return"].shape == (2, short(task, profile).spec.agents)


# Games and wrappers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrappers_refuse_exactly_the_games_of_the_table(wrapper):
    for task in PLAIN:
        name, profile, options = parted(task)
        flags = [part for option in options.items() for part in (f"--task.{option[0]}", option[1])]
        try:
            short(" ".join([f"{name}+{wrapper}", *flags]), profile)
            said = None
        except ValueError as error:
            said = str(error)
        lines = [unfit.line for unfit in UNFIT if wrapper == unfit.wrapper and task in unfit.games]
        game, agents = type(short(task)).__name__, short(task).spec.agents
        assert said == (lines[0].format(game=game, agents=agents) if lines else None), task


def test_a_script_leaves_nobody_to_share_with():
    with pytest.raises(ValueError, match=r"preferences need two agents or more, IPD\+scripted has 1"):
        short("ipd+scripted+rusp")
    with pytest.raises(ValueError, match=r"describe 2 others, and 1 have preferences: .*GAME\+rusp\+scripted"):
        short("indirect-reciprocity+scripted+rusp")


ALONE = [task for task in ALL if short(task).spec.agents == 1]
OF_BONUSES = [  # bonuses that refuse some tasks, of several that hold the first is said
    Refusal(
        ["social-influence"],
        SEVERAL_HEADS,
        "{algorithm} has one head, {game} asks for 2: start from --profile one-head, or take another; "
        "`comity list algorithms` lists all",
    ),
    Refusal(
        ["social-influence"],
        ["oasis"],
        "{algorithm} has one head, {game} asks for 5: take another; `comity list algorithms` lists all",
    ),
    Refusal(
        ["social-influence"],
        GIVES_NUMBERS,
        "{algorithm} chooses among discrete actions, {game} has continuous ones: take another; "
        "`comity list algorithms` lists all",
    ),
    Refusal(
        ["social-influence"],
        [task for task in ALL if short(task).spec.length == 1],
        "{algorithm} pays for the others' next actions, and this game has one step: leave it out",
    ),
    Refusal(
        ["inequity"],
        ALONE,
        "{algorithm} compares an agent's reward with others', and this game has one agent: leave it out",
    ),
    Refusal(
        ["eiti", "edti", "social-influence"],
        ALONE,
        "{algorithm} pays for influence on others, and this game has one agent: leave it out",
    ),
]
REFUSED += [
    Refusal(
        ["alita", "alita-recurrent", "alita-qmix"],
        ALONE,
        "alita needs an influencer and others, this game has one agent: take maddpg",
    ),
]

# Algorithms and games -------------------------------------------------------------------------------------------------

PRESETS = [(name, preset) for name in ALGORITHMS for preset in find_algorithm(name).presets]
FIT = [(name, OWN_GAMES.get(name, "manitokan")) for name in ALGORITHMS]
FIT += [(name, task) for task in SPECIAL for name in ALGORITHMS]
FIT += [(READS_ALL, task) for task in ALL]
FIT += [("rusp", "cleanup+rusp")]  # pictures alone: no numbers of an agent's own
FIT = sorted({pair for pair in FIT if refusal(*pair) is None})
EVERY_PRESET = [(name, task, preset) for task in ALL for name, preset in PRESETS if refusal(name, task, preset) is None]
PROFILES = [(task, profile) for task in (*TASKS, *WRAPPED) for profile in [*find_task(task).presets][1:]]


@pytest.mark.parametrize(("algorithm", "preset"), PRESETS)
def test_algorithms_refuse_exactly_the_games_of_the_table(algorithm, preset):
    make, config = small(algorithm, preset)
    for task in ALL:
        try:
            make(config, short(task))
            said = None
        except ValueError as error:
            said = str(error)
        assert said == refusal(algorithm, task, preset), task


@pytest.mark.parametrize("bonus", BONUSES)
def test_bonuses_refuse_exactly_the_games_of_the_table(bonus):
    module = importlib.import_module(BONUSES[bonus][0])
    for task in ALL:
        try:
            module.make(module.Config(), short(task))
            said = None
        except ValueError as error:
            said = str(error)
        lines = [refused.line for refused in OF_BONUSES if bonus in refused.algorithms and task in refused.tasks]
        assert said == (lines[0].format(algorithm=bonus, game=type(short(task)).__name__) if lines else None), task


@pytest.mark.parametrize(
    ("algorithm", "task"),
    [
        ("pg+edti", "prisoners-buddy"),
        ("ippo+edti", NUMBERS),
        ("ippo+counts+eiti", "push-box"),
        ("ippo+social-influence", "manitokan"),
    ],
)
def test_learners_with_bonuses_can_be_traced(algorithm, task):
    trace(algorithm, task)


@pytest.mark.parametrize(("algorithm", "task"), FIT)
def test_what_fits_can_be_traced(algorithm, task):
    trace(algorithm, task)


@pytest.mark.slow
@pytest.mark.parametrize(("algorithm", "task", "preset"), EVERY_PRESET)
def test_every_preset_can_be_traced_on_every_game(algorithm, task, preset):
    trace(algorithm, task, preset)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "profile"), PROFILES)
def test_every_profile_can_be_traced(task, profile):
    for algorithm in ALGORITHMS:
        line = refusal(algorithm, task, None, profile)
        if line is None:
            trace(algorithm, task, None, profile)
        else:
            make, config = small(algorithm)
            with pytest.raises(ValueError, match=re.escape(line)):
                make(config, short(task, profile))


@pytest.mark.parametrize(("algorithm", "task"), UPDATED)
def test_two_updates(algorithm, task):
    made, values = built(algorithm, task), floats(small(algorithm)[1])
    before = jax.jit(made.init)(values, KEY)
    after, metrics, finite = jax.jit(made.chunk)(values, KEY, 0, 2, before)
    assert finite
    assert all(np.isfinite(x).all() for name, x in metrics.by_name().items() if "loss" in name or "gradient" in name)
    changed = {
        jax.tree_util.keystr(path, simple=True, separator="."): bool((x != y).any())
        for (path, x), y in zip(jax.tree.leaves_with_path(before.state), jax.tree.leaves(after.state), strict=True)
        if jnp.issubdtype(x.dtype, jnp.floating)
    }
    changed = {name: x for name, x in changed.items() if not re.search(NOT_LEARNED, name)}
    assert changed
    assert all(changed.values()), [name for name, x in changed.items() if not x]


# The page -------------------------------------------------------------------------------------------------------------


def table(corner: str, rows: list[str], columns: list[str], cell: Any) -> list[str]:
    head = f"| {corner} | {' | '.join(columns)} |"
    body = [f"| `{row}` | {' | '.join(cell(row, column) for column in columns)} |" for row in rows]
    return [head, f"|{' --- |' * (len(columns) + 1)}", *body]


def page() -> str:
    reasons: list[str] = []  # general lines, in order of their letters

    def letter(line: str | None) -> str:
        if line is None:
            return "✓"
        if line not in reasons:
            reasons.append(line)
        return chr(ord("a") + reasons.index(line))

    def fits(task: str, algorithm: str) -> str:
        lines = [r.line for r in REFUSED if r.presets is None and algorithm in r.algorithms and task in r.tasks]
        return letter(lines[0] if lines else None)

    def wraps(task: str, wrapper: str) -> str:
        lines = [unfit.line for unfit in UNFIT if wrapper == unfit.wrapper and task in unfit.games]
        return letter(lines[0] if lines else None)

    def pays(task: str, bonus: str) -> str:
        lines = [refused.line for refused in OF_BONUSES if bonus in refused.algorithms and task in refused.tasks]
        return letter(lines[0] if lines else None)

    algorithms, wrappers = list(ALGORITHMS), list(WRAPPERS)
    first, second = table("task", ALL, algorithms, fits), table("game", PLAIN, wrappers, wraps)
    third = table("task", ALL, list(BONUSES), pays)
    shape = "(height, width, channels)"
    anyone = {"shape": shape, "algorithm": "ALGORITHM", "game": "GAME", "agents": "N"}
    lines = [f"* **{letter(line)}** {line.format(**anyone)}" for line in reasons]
    named = lambda names: ", ".join(f"`{name}`" for name in names)  # noqa: E731
    presets = [
        f"* {named(r.presets)} of {named(r.algorithms)}: {r.line.format(**anyone)}" for r in REFUSED if r.presets
    ]
    parts = [
        HEAD,
        *first,
        "",
        MIDDLE,
        "",
        *second,
        "",
        BONUS,
        "",
        *third,
        "",
        "## Reasons",
        "",
        *lines,
        "",
        "Some presets need more than that:",
        "",
    ]
    return "\n".join([*parts, *presets, ""])


HEAD = (
    "# Which algorithm plays which task\n\n"
    "✓: `comity train TASK ALGORITHM` plays and learns. A letter: the command refuses the pair in one line, before "
    "anything compiles. The reasons are below, by letter.\n"
    "The tables hold for each algorithm's default preset and each task's default profile. "
    "`python tests/test_compatibility.py` writes this page from tables that tests check against the code.\n"
)
MIDDLE = (
    "The wrapped tasks above are examples. A game takes every wrapper with a ✓ in its row below, and several wrappers "
    "at once: `ipd+messages+rusp`."
)
BONUS = (
    "Bonuses are written behind the algorithm: `ippo+counts`. An algorithm that does not learn from the rewards of its "
    "rollouts takes no bonus. An algorithm with a replay does not take `social-influence`."
)


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "python tests/test_compatibility.py writes it anew"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
