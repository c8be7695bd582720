"""Writes the readable results of a figure: FIGURE.claims.json and FIGURE.md."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from comity.experiments import records
from comity.experiments.claims import OF_SPREAD, Comparison
from comity.experiments.course import values
from comity.experiments.figure import Figure, Paper, Scale
from comity.experiments.judging import Judged, Outcome, counts
from comity.experiments.records import Record
from comity.experiments.significance import variance

Found = Mapping[str, Sequence[Record]]  # label -> a record for each seed
Lost = Mapping[str, Sequence[int]]  # label -> seeds that became not finite, for labels that have some
NONE_LOST: Lost = MappingProxyType({})


def about(
    figure: Figure, scale: Scale, found: Found, verdicts: Sequence[Judged], paper: Paper, lost: Lost = NONE_LOST
) -> dict[str, Any]:
    """Returns all that is known of a figure's claims, as plain values."""
    without = {label: {"lost": list(seeds)} for label, seeds in lost.items()}
    return {
        "paper": paper.name,
        "figure": figure.name,
        "title": figure.title,
        "scale": scale,
        "note": figure.note,
        "arms": {label: provenance(some) | without.get(label, {}) for label, some in found.items()},
        "claims": [
            {
                "name": claim.name,
                "text": claim.text,
                "since": claim.since,
                "replaced_by": claim.replaced_by,
                "verdict": verdict,
                "counts": counts(outcomes),
                "details": details(outcomes),
                "tests": [outcome.described() for outcome in outcomes],
            }
            for claim, verdict, outcomes in verdicts
        ],
    }


def provenance(some: Sequence[Record]) -> dict[str, Any]:
    """Returns the origin of a label's curves: seeds, iterations, hours, commits, versions."""
    return {
        "seeds": [record["seed"] for record in some],
        "iterations": sorted({record["settings"]["iterations"] for record in some}),
        **hours(some),
        "commits": sorted({str(record["commit"])[:10] for record in some}),
        "versions": [json.loads(x) for x in sorted({json.dumps(record["versions"]) for record in some})],
    }


def hours(some: Sequence[Record]) -> dict[str, float]:
    """Returns {"core_hours": of CPUs}, and {"device_hours": of accelerators} if some were trained on one."""
    of = lambda cpu: [x["core_seconds"] for x in some if records.on_cpu(x) == cpu]  # noqa: E731
    found = {"core_hours": round(sum(of(True)) / 3600, 2)}
    return found | ({"device_hours": round(sum(of(False)) / 3600, 3)} if of(False) else {})


# Words of verdicts ----------------------------------------------------------------------------------------------------


def spoken(verdicts: Sequence[Judged]) -> list[str]:
    """Returns lines for the screen: the verdict of each claim, and its details below."""
    lines = []
    for claim, verdict, outcomes in verdicts:
        gone = f" (replaced by {claim.replaced_by})" if claim.replaced_by else ""
        lines.append(f"  {verdict:<19} {claim.name}: {claim.text}{gone}")
        lines += [f"  {'':<19} {note}" for note in filter(None, [details(outcomes)])]
    return lines


def details(outcomes: Sequence[Outcome]) -> str:
    """Returns the details of a claim's verdict: counts of comparisons, share of the paper's training, reasons."""
    parts = []
    if len(outcomes) > 1:
        of_all = [f"{number} {verdict}" for verdict, number in counts(outcomes).items()]
        of_all[0] = of_all[0].replace(" ", f" of {len(outcomes)} ", 1)
        parts.append(", ".join(of_all))
    parts += filter(None, [of_training(outcomes)])
    reasons = Counter(outcome.reason for outcome in outcomes if outcome.reason)
    several = len(outcomes) > 1
    return "; ".join([*parts, *(f"{reason}{f' ({number})' * several}" for reason, number in reasons.items())])


def said(outcome: Outcome) -> str:
    """Returns the verdict of a comparison with its reason, the share of the paper's training, and its p."""
    notes = [outcome.reason, of_training([outcome])]
    if tested(outcome):
        exact = outcome.p_exact is not None and outcome.p_exact >= outcome.p_holm < 1
        notes.append(f"p {outcome.p_holm:.2g}{', exact' * exact}")
        if outcome.alike:
            notes.append(f"all seeds alike: {', '.join(outcome.alike)}")
    note = "; ".join(filter(None, notes))
    return f"{outcome.verdict} ({note})" if note else outcome.verdict


def of_training(outcomes: Sequence[Outcome]) -> str:
    """Returns the share of the paper's training in the tested outcomes; "" if all of it was done."""
    courses = [outcome.course for outcome in outcomes if tested(outcome)]
    return share_in_words([(course.share, course.share_of) for course in courses])


def share_in_words(shares: Sequence[tuple[float | None, str]]) -> str:
    """Returns `30 to 100 % of the paper's training`; "" if all shares are 1.

    shares: (share, or None if the paper's length is not known; what it is a share of).
    """
    known, parts = [share for share, _ in shares if share is not None], []
    if known and min(known) < 1:
        ends = dict.fromkeys(f"{100 * share:.2g}".replace("1e+02", "100") for share in (min(known), max(known)))
        kinds = {word for share, word in shares if share is not None and share < 1}
        parts.append(f"{' to '.join(ends)} % of the paper's {kinds.pop() if len(kinds) == 1 else 'training'}")
    if len(known) < len(shares):
        parts.append("for some arms " * bool(known) + "the length of the paper's training is not known")
    return "; ".join(parts)


def tested(outcome: Outcome) -> bool:
    """True if there were enough seeds."""
    return not np.isnan(outcome.estimate)


# FIGURE.md ------------------------------------------------------------------------------------------------------------


def markdown(
    figure: Figure, scale: Scale, found: Found, verdicts: Sequence[Judged], paper: Paper, lost: Lost = NONE_LOST
) -> str:
    """Returns a table of statements by claim, one of the last policies and their cost, and the versions used."""
    lines = [f"# {figure.title}", ""]
    if figure.note:
        lines += [figure.note, ""]
    if verdicts:
        lines += [*of_claims(verdicts), ""]
        lines += ["A, B: means over seeds (their number). p: corrected for the number of comparisons (Holm), or exact."]
        lines += ["[What verdicts mean](../README.md).", ""]
    if lost:
        lines += [without(found, lost), ""]
    if figure.published and any(found.values()):
        lines += [*beside_published(figure, found), ""]
    lines += [f"Scale: {scale}. Last policies, sampled, on new episodes: mean over seeds [smallest, largest]."]
    lines += ["Hours: of one CPU core, or of one accelerator (device), all seeds of an arm together.", ""]
    lines += of_last_policies(found, paper)
    if any(found.values()):
        lines += ["", "Seeds, by what trained them:", "", *trained_with(found)]
    return "\n".join(lines) + "\n"


def without(found: Found, lost: Lost) -> str:
    """Returns the sentence about seeds that became not finite, by arm."""
    each = [f"{label}: {len(some)} of {len(some) + len(found[label])}" for label, some in lost.items()]
    return f"Seeds that became NaN or infinite, and are in no test, curve or mean: {'; '.join(each)}."


def of_claims(verdicts: Sequence[Judged]) -> list[str]:
    """Returns a row for each statement, below a row for its claim."""
    lines = ["| statement | A | B | difference [95 % interval] | verdict |", "| --- | --- | --- | --- | --- |"]
    for claim, verdict, outcomes in verdicts:
        gone = f" (replaced by {claim.replaced_by})" if claim.replaced_by else ""
        note = f": {beside}" if (beside := details(outcomes)) else ""
        lines.append(f"| **{claim.name}**: {claim.text}{gone} Since {claim.since}. | | | | **{verdict}**{note} |")
        lines += [row(outcome) for outcome in outcomes]
    return lines


def row(outcome: Outcome) -> str:
    test = outcome.test
    first = arm(test.first, outcome.first, test)
    second = f"{test.second:g}" if not isinstance(test.second, str) else arm(test.second, outcome.second, test)
    if test.floor is not None:
        second = f"{test.floor:g} and {second}"
    if test.beside:
        first += f"; beside it {arm(test.beside[0], outcome.beside[0], test)}"
        second += f"; beside it {arm(test.beside[1], outcome.beside[1], test)}"
    size = "-"
    if tested(outcome):
        ratio = "ratio " if test.relation.startswith("wider") else ""
        size = f"{ratio}{outcome.estimate:.3g} [{outcome.low:.3g}, {outcome.high:.3g}]"
    return f"| {statement(test)} | {first} | {second} | {size} | {said(outcome)} |"


def statement(test: Comparison) -> str:
    """Describes in words what is compared and how."""
    by = f" by {test.margin:g} or more" if test.margin else ""
    times = f", {test.margin:g} times or more" if test.margin > 1 else ""
    how = {
        "above": f"A above B{by}",
        "below": f"A below B{by}",
        "not above": f"A not above B{by}",
        "not below": f"A not below B{by}",
        "between": f"A between both{by.replace(' by', ', below the second by')}",
        "equal": f"A equals B, within {test.margin:g}",
        "wider": f"A's seeds spread wider than B's{times}",
        "wider-throughout": f"A's seeds spread wider than B's at each point, root of the mean variance{times}",
        "steadier": f"s.d. of A's seeds below B{by}",
    }[test.relation]
    measured = test.measure.words
    if test.relation == "wider-throughout":  # of every point, where a measure says "mean" of them
        measured = f"{test.measure.metric}, {test.measure.span}"
    return f"{measured}: {how}{', less the same beside it' if test.beside else ''}"


def arm(label: str, seeds: Sequence[float], test: Comparison) -> str:
    """Returns an arm with its mean, or its standard deviation if that is compared, and its number of seeds."""
    if len(seeds) < 2:
        return f"{label} ({len(seeds)})"
    spread = test.relation in OF_SPREAD
    number = f"s.d. {np.sqrt(variance(np.array(seeds), test.relation)):.3g}" if spread else f"{np.mean(seeds):.3g}"
    return f"{label}: {number} ({len(seeds)})"


def of_last_policies(found: Found, paper: Paper) -> list[str]:
    """Returns a row for each arm: seeds, updates, hours, and the paper's columns of its last policies."""
    known = {n for some in found.values() for x in some for n in paper.columns if np.isfinite(records.at_end(x, n))}
    columns = [name for name in paper.columns if name in known or not known]
    head = " | ".join(("arm", "seeds", paper.batch.split()[0], "hours", *columns))
    lines = [f"| {head} |", "| --- |" + " --- |" * (3 + len(columns))]
    for label, some in found.items():
        if not some:
            lines.append(f"| {label} | 0 | | | {' | '.join('' for _ in columns)} |")
            continue
        cells = []
        for name in columns:
            values = np.array([records.at_end(record, name) for record in some])
            values = values[np.isfinite(values)]
            cells.append(f"{values.mean():.3f} [{values.min():.3f}, {values.max():.3f}]" if values.size else "")
        batches = ", ".join(f"{n:,}" for n in sorted({record["settings"]["iterations"] for record in some}))
        spent = " + ".join(f"{n:.2g} {kind.removesuffix('_hours')}" for kind, n in hours(some).items() if n) or "0"
        lines.append(f"| {label} | {len(some)} | {batches} | {spent} | {' | '.join(cells)} |")
    return lines


def beside_published(figure: Figure, found: Found) -> list[str]:
    """Returns the paper's printed numbers of each arm beside ours: mean and standard deviation over seeds."""
    lines = ["| arm | | published | ours, mean (s.d.; seeds) |", "| --- | --- | --- | --- |"]
    for column in figure.published:
        for label, number in column.numbers.items():
            seeds = values(label, column.measure, found)
            spread = f"{np.std(seeds, ddof=1):.3g}; " if len(seeds) > 1 else ""
            ours = f"{np.mean(seeds):.3g} ({spread}{len(seeds)})" if len(seeds) else ""
            if label in figure.arms:
                lines.append(f"| {label} | {column.words} | {number:g} | {ours} |")
    return lines


def trained_with(found: Found) -> list[str]:
    """Returns versions and commits of all seeds of a figure, a line for each set of versions."""
    seeds: dict[str, list[Record]] = {}
    for record in (record for some in found.values() for record in some):
        seeds.setdefault(", ".join(f"{name} {x}" for name, x in record["versions"].items()), []).append(record)
    return [
        f"- {len(some)} by {versions}; commits {', '.join(provenance(some)['commits'])}"
        for versions, some in sorted(seeds.items())
    ]
