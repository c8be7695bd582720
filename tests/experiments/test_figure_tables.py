"""Rows of FIGURE.md, from made-up seeds."""

import pytest

from comity.experiments.claims import Comparison
from comity.experiments.judging import compared
from comity.experiments.tables import row
from tiny.made_up import HIGH, LOW, MID, SUCCESS, both, flat

MEAN = "success, mean, 90 to 100 % of training"
WIDE = 0.75, 0.85, 0.8, 0.78, 0.82


ROWS = (
    (("a", "above", "b", 0.1), "A above B by 0.1 or more", "a: 0.8 (5)", "b: 0.5 (5)", "0.3 ["),
    (("a", "below", 1.0, 0.0), "A below B", "a: 0.8 (5)", "1", "-0.2 ["),
    (("a", "equal", "c", 0.1), "A equals B, within 0.1", "a: 0.8 (5)", "c: 0.52 (5)", "0.28 ["),
    (
        ("d", "wider", "a", 1.5),
        *("A's seeds spread wider than B's, 1.5 times or more", "d: s.d. 0.0381 (5)", "a: s.d. 0.0158 (5)"),
        "ratio 2.41 [",
    ),
    (
        ("d", "wider-throughout", "a", 1.0),
        *("A's seeds spread wider than B's at each point, root of the mean variance",),
        *("d: s.d. 0.0381 (5)", "a: s.d. 0.0158 (5)", "ratio 2.41 ["),
    ),
    (("a", "steadier", 0.1, 0.0), "s.d. of A's seeds below B", "a: s.d. 0.0158 (5)", "0.1", "-0.0842 ["),
    (
        ("c", "between", "a", 0.1, {"floor": 0.25}),
        *("A between both, below the second by 0.1 or more", "c: 0.52 (5)", "0.25 and a: 0.8 (5)", "-0.28 ["),
    ),
    (
        ("a", "above", "b", 0.1, {"beside": ("c", "d")}),
        "A above B by 0.1 or more, less the same beside it",
        *("a: 0.8 (5); beside it c: 0.52 (5)", "b: 0.5 (5); beside it d: 0.8 (5)", "0.58 ["),
    ),
)


@pytest.mark.parametrize(("asked", "how", "one", "other", "size"), ROWS)
def test_a_row_has_its_statement_both_arms_the_difference_and_the_verdict(asked, how, one, other, size):
    first, relation, second, margin, *more = asked
    test = Comparison(first, relation, second, SUCCESS, margin, **dict(*more))
    records = {"a": HIGH, "b": LOW, "c": MID, "d": flat(*WIDE)}
    cells = row(compared(test, records, both(100, "abcd")))[2:-2].split(" | ")
    said = MEAN.replace(", mean", "") if relation == "wider-throughout" else MEAN
    assert cells[:3] == [f"{said}: {how}", one, other]
    assert cells[3].startswith(size)
    assert cells[4].startswith("open (p ")  # none was given yet
