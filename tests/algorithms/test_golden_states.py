"""Every algorithm and preset gives the same states as when tests/golden/states.npz was recorded, to 1e-5.

A leaf's sum, norm and projection may differ by 1e-5 of its norm (times the root of its size, except for the norm) plus
1e-6. tests/tiny/golden_states.py describes how leaves are matched. A learning rate changed by 1 % makes it fail.
"""

import dataclasses
from functools import cache

import pytest

from comity.algorithms import ALGORITHMS
from comity.recipes import find_algorithm
from tests.tiny import golden_states

CASES, SAME = golden_states.cases()
RECORDED = cache(golden_states.recorded)
KEPT: list[str] = []  # algorithms whose programs are held
FAMILIES = ("pg/sound", "qmix/sound", "maddpg/sound")  # one of each family


@pytest.fixture(autouse=True)
def forget_the_last_algorithm(request):
    """Cases of one algorithm come together, and share programs; those of the one before are forgotten."""
    name = getattr(request.node, "callspec", None) and request.node.callspec.params["name"]
    if name and CASES[name].algorithm not in KEPT:
        golden_states.forget()
        KEPT[:] = [CASES[name].algorithm]


# Presets that tests/algorithms/test_released_*.py hold to what the authors' code computed, which is more than to stay.
RELEASED = {f"{name}/released" for name in ("pg", "coma", "ippo", "mappo", "vdn", "qmix", "qtran")}


def usual(name: str) -> bool:
    """What is compared without `-m slow`: of each algorithm the preset that users meet, and what was released."""
    whole = name in golden_states.EXTRAS or name.partition("/")[2] in ("", "sound", "released")
    return whole and name not in RELEASED


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if usual(name) else pytest.mark.slow, id=name) for name in CASES]
)
def test_states_are_the_recorded_ones(name):
    differences = golden_states.compare(golden_states.digest(CASES[name]), RECORDED()[name])
    assert not differences, "\n".join(differences)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_learning_rate_of_one_per_cent_more_shows(name):
    case = CASES[name]
    changed = case._replace(config=dataclasses.replace(case.config, learning_rate=1.01 * case.config.learning_rate))
    assert golden_states.compare(golden_states.digest(changed), RECORDED()[name])


def test_every_preset_of_what_was_there_is_recorded():
    earlier = {name.partition("/")[0] for name in RECORDED()}
    assert len(earlier) >= 23
    assert earlier <= ALGORITHMS.keys()
    presets = {f"{name}/{preset}" for name in earlier for preset in find_algorithm(name).presets or (None,)}
    assert presets | set(golden_states.EXTRAS) == set(CASES) | set(SAME)
    assert set(RECORDED()) == set(CASES)
