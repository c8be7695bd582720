"""One hue for each learner, distinct for every reader; line styles for conditions."""

import importlib
from itertools import combinations

import numpy as np
import pytest

from comity.experiments import PAPERS
from comity.report.looks import BASELINE, HUES, line_looks, toned, tones

FIGURES = [f for module, _ in PAPERS.values() for f in importlib.import_module(module).PAPER.figures.values()]
# What is seen without red or green cones, of linear RGB (Machado, Oliveira and Fernandes 2009, severity 1).
VISION = {
    "full": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}
# Linear RGB to OKLab (Ottosson 2020).
CONES = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
         [0.0883024619, 0.2817188376, 0.6299787005]]  # fmt: skip
LAB = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
       [0.0259040371, 0.7827717662, -0.8086757660]]  # fmt: skip


def seen(colour: str, vision: str = "full") -> np.ndarray:
    """OKLab of a colour as it is seen."""
    parts = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return np.cbrt(np.clip(linear @ np.transpose(VISION[vision]), 0, 1) @ np.transpose(CONES)) @ np.transpose(LAB)


def apart(one: str, other: str, vision: str = "full") -> float:
    return float(np.linalg.norm(seen(one, vision) - seen(other, vision)))


def test_every_learner_of_a_figure_has_a_hue_and_no_two_learners_have_nearly_the_same():
    learners = {arm.hue for figure in FIGURES for arm in figure.arms.values()}
    assert learners <= HUES.keys()
    for (one, a), (other, b) in combinations(HUES.items(), 2):
        assert apart(a, b) >= 0.1, (one, other)


@pytest.mark.parametrize("vision", VISION)
def test_learners_that_meet_in_a_figure_are_told_apart_by_every_reader(vision):
    pairs = {p for f in FIGURES for p in combinations(sorted({arm.hue for arm in f.arms.values()}), 2)}
    assert len(pairs) > 40
    for one, other in pairs:
        assert apart(HUES[one], HUES[other], vision) >= 0.1, (one, other)


def test_no_two_arms_of_a_figure_look_alike_and_all_of_a_learner_have_its_hue():
    for figure in FIGURES:
        looks = line_looks(
            {label: arm.hue for label, arm in figure.arms.items()},
            {label: arm.condition for label, arm in figure.arms.items()},
        )
        for panel in figure.panels:
            shown = [str(sorted(looks[label].items(), key=str)) for label in panel.arms or figure.arms
                     if figure.arms[label].hue != "random"]  # fmt: skip
            assert len(set(shown)) == len(shown), (figure.name, panel.words)
        for label, arm in figure.arms.items():
            hue = HUES[arm.hue]
            assert looks[label]["color"] in {toned(hue, tone) for tone in tones(hue)}


def test_styles_are_those_of_conditions_and_the_rest_take_what_is_free():
    looks = line_looks({"a": "pg", "b": "pg", "c": "coma", "d": "pg", "r": "random"}, {"a": 1})
    plain = line_looks({"x": "pg", "y": "pg", "z": "pg"})
    assert [looks[x]["linestyle"] for x in "abd"] == [plain[x]["linestyle"] for x in "yxz"]
    assert looks["c"] == {"color": HUES["coma"], "linestyle": "-"}
    assert looks["r"]["color"] == BASELINE


def test_a_learner_without_a_hue_gets_one_that_nobody_here_has():
    looks = line_looks({"mine": "my.py:Mine", "yours": "td3", "pg": "pg"})
    colours = [look["color"] for look in looks.values()]
    assert len(set(colours)) == 3
    assert colours[2] == HUES["pg"]
