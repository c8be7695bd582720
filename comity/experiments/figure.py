"""Parts of a figure: arms that are trained, a budget for each scale, panels that are drawn, claims that are tested."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from comity.experiments.claims import Claim
from comity.experiments.measures import Measure
from comity.names import host_of
from comity.recipes import Recipe, find_algorithm, find_task, settings_of

Scale = Literal["smoke", "laptop", "paper"]
SCALES: tuple[Scale, ...] = ("smoke", "laptop", "paper")


class Trial(NamedTuple):
    """A trial: the policies of an arm play its task with other settings, perhaps with a partner that does not learn.

    Its metrics appear in records, panels and measures as TRIAL:METRIC. With a partner, METRIC.0 is of the arm alone.
    """

    options: Mapping[str, Any] = {}  # of the game, over the arm's
    partner: str = ""  # plays the last agent: a script of the game, or random; empty: none, the arm plays all agents
    probe: Callable[[Recipe, int], Callable[..., dict[str, Any]]] | None = None  # instead of play: (recipe, number)
    # -> (key, the algorithm's state) -> {metric: [how many]}
    greedy: bool = False  # True: the most likely actions; False: sampled ones
    episodes: int = 0  # of one trial; 0: as in `trials.EPISODES`
    once: int = 0  # of a costly probe: so many, in one call, of the last policy alone; 0: at every point, too


@dataclass(frozen=True)
class Arm:
    """A game and an algorithm with all their settings, to be trained. Figures share arms by name."""

    name: str  # also of its file of results
    algorithm: str
    preset: str = "paper"
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the algorithm, over the preset
    options: Mapping[str, Any] = field(default_factory=dict)  # of the game, over the profile
    task: str = "manitokan"
    profile: str = "paper"  # empty: none
    budget: str = field(default="pg", compare=False)  # name of one of the figure's budgets; figures may have others
    trials: Mapping[str, Trial] = field(default_factory=dict)  # at every point of its curves, and at the end
    learner: str = field(
        default="", compare=False
    )  # gives the hue of its lines, see report/looks.py; empty: the algorithm
    condition: int | None = field(
        default=None, compare=False
    )  # number of its line style; None: the next free one of its learner

    @property
    def hue(self) -> str:
        """Name of the learner in the table of hues."""
        return self.learner or self.algorithm


class Budget(NamedTuple):
    """How long and how often an arm is trained at one scale."""

    seeds: int
    iterations: int
    envs: int = 32
    settings: Mapping[str, Any] = {}  # of the algorithm, for schedules that span the whole of a training
    points: int = 100  # most points of a curve; trials and evaluations of continuing play cost time at each
    episodes: int = 32  # episodes of an evaluation at a point
    final: int = 320  # episodes of the evaluation of the last policy
    stated: bool = True  # at scale `paper`: False if `iterations` are ours, because the paper's are not known


class Panel(NamedTuple):
    """One picture of curves over training."""

    metric: str  # of the records, see `records.curve`
    words: str  # label of its axis
    arms: tuple[str, ...] | None = None  # labels; None: all
    show: Literal["mean", "median", "seeds", "variance"] = "mean"
    # mean with interval | median with quartiles | each seed | variance over seeds
    scale: float = 1.0
    points: int | None = None  # maximum per line, means of neighbours; for records whose points have few games
    limits: tuple[float, float] | None = None  # smallest and largest possible value; None: see report/ranges.py


class Ends(NamedTuple):
    """One picture with a number for each seed: a row for each arm."""

    measure: Measure
    words: str  # label of its axis
    arms: Mapping[str, str]  # label -> name of its row
    beside: Mapping[str, str] = {}  # label -> label of the arm that it is compared with
    scale: float = 1.0


class Published(NamedTuple):
    """A column of numbers that the paper printed, shown beside ours."""

    words: str
    measure: Measure  # of ours
    numbers: Mapping[str, float]  # label -> the paper's


class Finding(NamedTuple):
    """The result of a figure in one sentence, as long as these verdicts hold; else the figure has its plain title."""

    words: str
    rests_on: Mapping[str, str]  # name of a claim -> its verdict


class Figure(NamedTuple):
    name: str  # fig5
    title: str
    arms: Mapping[str, Arm]  # label -> arm
    budgets: Mapping[Scale, Mapping[str, Budget]]
    panels: tuple[Panel, ...]
    claims: tuple[Claim, ...] = ()
    picture: Callable[[Path], list[Path]] | None = None  # draws a figure that has no curves
    drawn: Callable[[Mapping[str, Any], Path], list[Path]] | None = None  # the same from records: (label -> records)
    smoke: tuple[str, ...] | None = None  # labels trained at smoke scale, for figures with very many; None: all
    note: str = ""  # what a reader must know about the figure
    ends: tuple[Ends, ...] = ()  # a second picture, NAME-ends, if there are too many arms for curves
    finding: Finding | None = None  # the title of its pictures, if these verdicts hold
    published: tuple[Published, ...] = ()  # numbers that the paper printed, for tables
    says: str = ""  # the paper's statement in one sentence, for the table of all figures


class Paper(NamedTuple):
    name: str
    title: str
    figures: Mapping[str, Figure]
    kept: tuple[str, ...]  # metrics of training that a record keeps
    cost: Callable[
        [Arm, Recipe], float
    ]  # CPU seconds of one iteration with 32 games, on the machine of docs/performance
    smoke: Callable[[Arm], Arm]  # returns the same arm, made small
    columns: tuple[str, ...] = ("return",)  # metrics in the table of last policies
    batch: str = "batches of games"  # the name of an iteration
    label: str = ""  # a short name with authors and year, for the README
    found: str = ""  # what was found, in a sentence or two, for the README


def lacking(arm: Arm) -> str:
    """Returns a line that says what must be installed to train the arm; "" if it can be trained here."""
    if host_of(arm.task):
        try:
            find_task(arm.task)
        except ValueError as error:
            return str(error)
    return ""


def recipe_of(arm: Arm) -> Recipe:
    """Returns the recipe of an arm, even if the engine of its body is not installed. Raises ValueError with one line
    for names that do not exist.
    """
    task, algorithm = find_task(arm.task, engine=False), find_algorithm(arm.algorithm)
    env = settings_of(task, arm.profile or None, "profile", dict(arm.options))
    config = settings_of(algorithm, arm.preset, "preset", dict(arm.settings))
    return Recipe(task, env, algorithm, config, arm.profile or None, arm.preset)
