"""Claims of a figure as statistical statements over seeds. `judging.py` finds their verdicts.

A claim is committed before its runs. It says what is measured, in which part of training, which arms are compared,
how, and how large a difference has to be to mean something.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from comity.experiments.measures import Measure
from comity.experiments.significance import Relation

OF_SPREAD = ("wider", "wider-throughout", "steadier")
NOT_BEYOND = ("not above", "not below")  # one-sided forms of "equal": as low or lower, as high or higher


@dataclass(frozen=True)
class Comparison:
    """One statement: `first` is above (below) `second`, equal to it, or varies more (less) over seeds than it.

    "not above" and "not below": it is not above (below) by the margin or more.

    "wider" and "steadier" are about the spread of the measure, one number for each seed. "wider-throughout" is about
    the spread at each point of the measure's window: the root of the mean variance over the points.

    Or it is between: above `floor`, a number, and below `second` by the margin, as in "sometimes, but below random".
    """

    first: str  # label of an arm
    relation: Relation
    second: str | float  # another label, or a number
    measure: Measure
    margin: float  # smallest difference that means something; wider: a ratio
    # equal, not above, not below: largest difference that means nothing
    floor: float | None = None  # for "between"
    beside: tuple[str, str] | None = None  # two more labels: their difference is subtracted, which is an interaction

    def __post_init__(self):
        if self.beside and (self.relation in (*OF_SPREAD, "between") or not isinstance(self.second, str)):
            raise ValueError("an interaction is a difference of two arms less that of two others: above, below, equal")
        if len(self.labels()) < sum(isinstance(x, str) for x in (self.first, self.second, *(self.beside or ()))):
            raise ValueError("a comparison is of different arms: a label is there twice")
        if (self.relation == "between") != (self.floor is not None):
            raise ValueError("between needs a floor, and nothing else has one")
        if self.margin < 0 or (self.relation in ("equal", *NOT_BEYOND) and self.margin == 0):
            raise ValueError(
                f"margin {self.margin}: equal, not above, not below need one greater than 0, others 0 or more"
            )
        if self.relation == "wider-throughout" and self.measure.statistic != "mean":
            raise ValueError(f"wider-throughout takes every point of a window: no {self.measure.statistic!r} of them")
        if self.relation in ("wider", "wider-throughout") and not isinstance(self.second, str):
            raise ValueError(f"{self.relation} holds one arm's spread over seeds against another's: give a label")
        if self.relation == "steadier" and (isinstance(self.second, str) or self.second <= 0):
            raise ValueError(f"steadier than {self.second}: give a standard deviation over seeds, greater than 0")

    def labels(self) -> dict[str, int]:
        """Returns the compared arms, each with its sign in the difference."""
        sides = zip((self.first, self.second, *(self.beside or ())), (1, -1, -1, 1), strict=False)
        return {side: sign for side, sign in sides if isinstance(side, str)}

    def parts(self) -> tuple["Comparison", ...]:
        """Returns the two comparisons of "between", with the floor and with `second`; () for all others."""
        if self.floor is None:
            return ()
        low = replace(self, relation="above", second=self.floor, margin=0.0, floor=None)
        return low, replace(self, relation="below", floor=None)

    def seen_once(self) -> bool:
        """True if the statement stays true once it was true: something has risen, surged or fallen far enough."""
        of = self.measure.statistic, self.relation
        return of in (("peak", "above"), ("surge", "above"), ("fall", "above"), ("trough", "below"))


@dataclass(frozen=True)
class Claim:
    """A statement of a paper about a figure, as tests that must all hold."""

    name: str
    text: str  # the claim, in our words
    tests: tuple[Comparison, ...]
    since: str  # date on which it was written down
    replaced_by: str = ""  # name of the claim that replaced it; the old one stays, with its verdict


def dated(since: str) -> Callable[..., Claim]:
    """Returns claim(name, text, *tests, replaced_by=""), which makes claims of that date."""

    def claim(name: str, text: str, *tests: Comparison, replaced_by: str = "") -> Claim:
        return Claim(name, text, tests, since, replaced_by)

    return claim
