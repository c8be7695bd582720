"""The repair study as a matrix: a row for each defect of the released code, a column for each learner."""

from collections.abc import Mapping, Sequence
from typing import Any

from comity.experiments.course import values
from comity.experiments.figure import Arm
from comity.experiments.hidden_gifts.arms import SUCCESS
from comity.experiments.hidden_gifts.repairs import REPAIR_STUDY, REPAIRS, SHORT_RANDOM, STUDIES

Found = Mapping[str, Sequence[dict[str, Any]]]  # label -> a record for each seed


def table(found: Found) -> list[str]:
    """Returns lines of Markdown: success in the last tenth of training, mean over seeds [smallest, largest] (seeds)."""
    defects = list(dict.fromkeys(name for names in REPAIRS.values() for name in names))
    lines = [f"| repaired | {' | '.join(STUDIES)} |", "| --- |" + " --- |" * len(STUDIES)]
    rows = {"nothing: as released": "released", **{f"{name} alone": f"repaired: {name}" for name in defects}}
    for words, repair in rows.items():
        cells = [_cell(f"{learner}, {repair}", arms, found) for learner, (arms, _) in STUDIES.items()]
        lines.append(f"| {words} | {' | '.join(cells)} |")
    ends = [_cell(chain[-1], arms, found) for arms, chain in STUDIES.values()]
    lines.append(f"| all | {' | '.join(ends)} |")
    random = " | ".join(_number(label, found) for label in ("random", SHORT_RANDOM))
    first, second = random.split(" | ")
    return [*lines, "", f"Random play: {first} of 300 steps, {second} of 150."]


def _cell(label: str, arms: Mapping[str, Arm], found: Found) -> str:
    if label not in arms:
        return "-"  # the learner does not have the defect
    if found.get(label):
        return _number(label, found)
    seeds = REPAIR_STUDY.budgets["laptop"][arms[label].budget].seeds
    return "being trained" if seeds else "not planned"


def _number(label: str, found: Found) -> str:
    """Returns the success of an arm in percent."""
    seeds = 100 * values(label, SUCCESS, found)
    if not seeds.size:
        return "being trained"
    return f"{seeds.mean():.1f} % [{seeds.min():.1f}, {seeds.max():.1f}] ({len(seeds)})"
