"""Gives lines their look: one hue for each learner in all figures, line styles and tones for its conditions.

Hues of learners that meet in a figure of a paper are at least 0.1 apart in OKLab, for readers with full colour vision
and for those without red or without green cones. For full colour vision this holds for any two learners.
"""

from collections.abc import Mapping
from typing import Any

BASELINE = "#7A7A7A"  # of the random policy
HUES = {
    "pg": "#0072B2",
    "ippo": "#C36605",
    "vdn": "#932160",
    "mappo": "#A27FFC",
    "qmix": "#014F0C",
    "coma": "#AEBC20",
    "qtran": "#E79699",
    "maven": "#222EA4",
    "saf": "#32C2E5",
    "coala": "#79C490",
    "m-fos": "#184E7E",
    "batch-unaware": "#9C52C9",
    "lola": "#AD2D01",
    "rusp": "#6B451A",
    "rusp-ppo": "#58077C",  # without preferences; beside QMIX, which looks like rusp without red cones
    "lica": "#3F0439",
    "iddpg": "#289402",
    "maddpg": "#E188DD",
    "sqddpg": "#494FC1",
    "alita": "#160778",
    "alita-td3": "#4F0200",
    "td3": "#DE950A",
    "sac": "#0C6CF2",
    "acktr": "#A6B2DE",
    "ddpg": "#C2FF13",
    "two learners": "#179BA9",
    "tac": "#73567E",
    "ippo+counts+edti": "#5200F8",
    "ippo+counts+eiti": "#1AEB61",
    "ippo+social-influence": "#988A30",
    "actor-critic": "#811CB7",
    "dqn": "#E70EF6",
    "reinforce": "#08B85D",
    "trpo": "#BFCCB6",
    "a2c": "#DB0BB1",
    "liir": "#598EF0",
    "iql": "#C56D76",
    "random": BASELINE,
}
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.2, 1.2, 1.2)))
MARKERS = ("", "o", "s", "^")
TONES = {"dark": (0.0, 0.35, 0.62), "middle": (0.0, -0.45, 0.45), "light": (0.0, -0.35, -0.62)}  # for `toned`
RANDOM_DASHES = (0, (2.5, 1.2))
STYLES = len(DASHES) * len(MARKERS)  # number of conditions of one learner that can be told apart

Look = dict[str, Any]  # keyword arguments of a line in matplotlib


def line_looks(learners: Mapping[str, str], conditions: Mapping[str, int | None] | None = None) -> dict[str, Look]:
    """Returns the look of each label. learners: label -> learner, which gives the hue; unknown ones get an unused hue.

    conditions: label -> number of its line style; labels without one take the next free style of their learner. If a
    learner has three conditions or more, they also differ in tone. Random play is grey.
    """
    hues = _hues(learners)
    styles = _styles(learners, conditions or {})
    count = {learner: sum(x == learner for x in learners.values()) for learner in learners.values()}
    looks = {}
    for label, learner in learners.items():
        style, random = styles[label], learner == "random"
        look: Look = {"color": hues[learner], "linestyle": RANDOM_DASHES if random else DASHES[style % len(DASHES)]}
        if count[learner] > 2 and not random:
            look["color"] = toned(hues[learner], tones(hues[learner])[style % 3])
        if marker := MARKERS[style // len(DASHES) % len(MARKERS)]:
            look |= {"marker": marker, "markersize": 3.5, "markevery": 0.12}
        looks[label] = look
    return looks


def _hues(learners: Mapping[str, str]) -> dict[str, str]:
    spare = iter([hue for learner, hue in HUES.items() if learner not in learners.values() and hue != BASELINE])
    found: dict[str, str] = {}
    for learner in learners.values():
        if learner not in found:
            found[learner] = HUES[learner] if learner in HUES else next(spare, "#000000")
    return found


def _styles(learners: Mapping[str, str], conditions: Mapping[str, int | None]) -> dict[str, int]:
    found = {label: style for label in learners if (style := conditions.get(label)) is not None}
    for label, learner in learners.items():
        taken = {style for other, style in found.items() if learners[other] == learner}
        if label not in found:
            found[label] = next(style for style in range(len(learners) + len(taken)) if style not in taken)
    return found


def tones(colour: str) -> tuple[float, ...]:
    """Returns three tones of a hue that differ well: lighter ones of a dark hue, darker ones of a light hue."""
    red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    grey = 0.3 * red + 0.59 * green + 0.11 * blue
    return TONES["dark" if grey < 0.33 else "middle" if grey < 0.58 else "light"]


def toned(colour: str, tone: float) -> str:
    """Mixes a colour with white (tone above 0, up to 1) or with black (below 0, down to -1)."""
    parts = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    aim = 255 if tone > 0 else 0
    return "#" + "".join(f"{round(part + abs(tone) * (aim - part)):02X}" for part in parts)
