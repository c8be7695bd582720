"""Settings: one check of types and ranges, by annotation; no shipped setting accepts invalid values."""

import dataclasses
import math
import types
import typing
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest

from comity.algorithms import ALGORITHMS
from comity.environments import TASKS, WRAPPERS
from comity.recipes import find_algorithm, find_task, settings_of
from comity.settings import BelowOne, Fraction, NotNegative, Positive, Range, TwoOrMore, check, floats
from comity.training.settings import Training

WRONG: list[Any] = [
    None,
    "false",
    "1",
    "",
    math.nan,
    math.inf,
    -math.inf,
    -1,
    -0.5,
    2**63,
    10**400,
    1e300,
    [],
    {},
    ["a"],
]
WRONG += [True, 0.5, np.float64(0.5), np.int64(2), np.bool_(True), np.array([1, 2]), object(), "a\nb", b"1"]
GAMES = [*TASKS, *(f"ipd+{name}" for name in WRAPPERS)]
SIGNED = {  # numbers of any sign have a meaning: points, a bonus or penalty, a random key
    "algorithms": {"entropy_bonus", "correction_coefficient", "target_entropy"},
    "games": {"mutual", "unanswered", "chosen", "starts_seed", "order_seed", "point", "harm", "death_points"},
}


@dataclass(frozen=True)
class Every:
    """A field of each kind."""

    share: Fraction = 0.5
    gamma: BelowOne = 0.5
    rate: Positive[float] = 1.0
    weight: NotNegative[float] = 0.0
    size: Positive[int] = 1
    count: NotNegative[int] = 0
    agents: TwoOrMore = 2
    shift: float = 0.0
    seed: int = 0
    name: str = "a"
    on: bool = True
    kind: Literal["a", "b", 3] = "a"
    maybe: Positive[int] | None = None
    widths: tuple[Positive[int], ...] = (1,)
    pair: tuple[float, str] = (1.0, "a")

    def __post_init__(self):
        check(self)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("share", 1.5, "share 1.5 is above 1: give a number from 0 to 1"),
        ("share", -1, "share -1 is below 0: give a number from 0 to 1"),
        ("gamma", 1, "gamma 1 is not below 1: give a number from 0 to 1, but not 1"),
        ("rate", 0, "rate 0 is not above 0: give a number above 0"),
        ("rate", np.float64(-2.5), "rate -2.5 is not above 0: give a number above 0"),
        ("weight", -0.1, "weight -0.1 is below 0: give a number of 0 or more"),
        ("size", 0, "size 0 is below 1: give a whole number of 1 or more"),
        ("size", 2.0, "size 2.0 is not a whole number: give one"),
        ("size", np.float32(2), "size 2.0 is not a whole number: give one"),
        ("count", -3, "count -3 is below 0: give a whole number of 0 or more"),
        ("agents", 1, "agents 1 is below 2: give a whole number of 2 or more"),
        ("shift", 1e39, "shift 1e+39 is beyond 3.4e+38, the largest number of 32 bits: give a smaller one"),
        (
            "seed",
            2**31,
            "seed 2147483648 is beyond 2147483647, the largest whole number of 32 bits: give a smaller one",
        ),
        ("seed", -(2**63), "seed -9223372036854775808 is beyond 2147483647, the largest whole number of 32 bits"),
        ("seed", True, "seed True is not a whole number: give one"),
        ("shift", "1e-3", "shift '1e-3' is not a finite number: give one"),
        ("shift", math.nan, "shift nan is not a finite number: give one"),
        ("name", 1, "name 1 is no text: give one, in quotes"),
        ("on", "false", "on 'false' is neither True nor False: give one of them"),
        ("on", 1, "on 1 is neither True nor False: give one of them"),
        ("kind", "c", "kind 'c' is not one of a, b, 3"),
        ("kind", 3.0, "kind 3.0 is not one of a, b, 3"),
        ("kind", [], "kind [] is not one of a, b, 3"),
        ("maybe", 0, "maybe 0 is below 1: give a whole number of 1 or more"),
        ("maybe", "no", "maybe 'no' is not a whole number: give one"),
        ("widths", (1, 0), "widths (1, 0) has 0, which is below 1: give a whole number of 1 or more"),
        ("widths", (1, [2]), "widths (1, [2]) has [2], which is not a whole number: give one"),
        ("widths", 1, "widths 1 is no list: give one, in brackets"),
        ("pair", (1.0,), "pair (1.0,) has 1 entries: give 2"),
        ("shift", np.zeros((2, 2)), "shift array([[0., 0.], [0., 0.]]) is not a finite number: give one"),
    ],
)
def test_what_does_not_fit_its_annotation(name, value, says):
    with pytest.raises(ValueError, match=r"^[^\n]*$") as told:
        Every(**{name: value})
    assert str(told.value).startswith(says)


@pytest.mark.parametrize(
    ("name", "value", "held"),
    [
        ("share", 0, 0), ("share", 1.0, 1.0), ("gamma", 0.999, 0.999), ("rate", np.float32(0.5), 0.5),
        ("size", np.int64(7), 7), ("on", np.bool_(False), False), ("maybe", None, None), ("maybe", 5, 5),
        ("widths", [3, 4], (3, 4)), ("widths", (), ()), ("pair", [2, "b"], (2, "b")), ("seed", -5, -5), ("kind", 3, 3),
    ],
)  # fmt: skip
def test_what_fits_is_kept_as_a_plain_value(name, value, held):
    kept = getattr(Every(**{name: value}), name)
    assert kept == held
    assert type(kept) is type(held)


def test_annotated_floats_are_arguments_of_programs():
    assert set(floats(Every())) == {"share", "gamma", "rate", "weight", "shift"}


def test_ranges_with_one_end():
    assert Range(high=3).problem(4, True) == "is above 3: give a whole number of 3 or less"
    assert Range(high=3, below=True).problem(3.0, False) == "is not below 3: give a number below 3"
    assert Range(high=3).problem(3.0, False) is None


# ---------------------------------------------------------------------- all that is shipped


def nonsense(hint: Any, value: Any, signed: bool) -> bool:
    """Whether a value can mean nothing for a setting of this type."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return all(nonsense(one, value, signed) for one in inner)
    if origin is Literal:
        return not any(type(value) is type(choice) and value == choice for choice in inner)
    if origin is tuple:
        return not (isinstance(value, list) and (not value or not nonsense(inner[0], value[0], signed)))
    if hint is type(None):
        return value is not None
    if hint is str:
        return not isinstance(value, str)
    if hint is bool:
        return not isinstance(value, (bool, np.bool_))
    kinds = (int, np.integer) if hint is int else (int, float, np.integer, np.floating)
    if hint not in (int, float):
        return False  # a game inside a game
    if not isinstance(value, kinds) or isinstance(value, bool):
        return True
    if isinstance(value, float) and not math.isfinite(value):
        return True
    return bool(abs(value) > (2**31 - 1 if hint is int else 3.5e38) or (value < 0 and not signed))


def parts(kind: str, name: str) -> tuple[Any, dict[str, Any]]:
    """(how to make settings with one of them changed, their types)."""
    if kind == "training":
        return lambda values: Training(**values), typing.get_type_hints(Training)
    source = find_algorithm(name) if kind == "algorithms" else find_task(name)
    which = "preset" if kind == "algorithms" else "profile"
    preset = source.first
    of = getattr(source.thing, "Config", None) if kind == "algorithms" else source.thing
    hints = typing.get_type_hints(of)
    fields = [f.name for f in dataclasses.fields(of)]  # pyright: ignore[reportArgumentType]
    held = {f: getattr(settings_of(source, preset, which), f) for f in fields}
    return lambda values: of(**{**held, **values}), {f: hints[f] for f in fields}  # pyright: ignore[reportOptionalCall]


EVERYTHING = [("training", ""), *(("algorithms", name) for name in ALGORITHMS), *(("games", name) for name in GAMES)]


@pytest.mark.parametrize(("kind", "name"), EVERYTHING, ids=lambda x: x)
def test_no_setting_takes_nonsense(kind, name):
    """Refused by ValueError in one line that names the setting; without tracing anything."""
    make, hints = parts(kind, name)
    taken, other = [], []
    for field, hint in hints.items():
        for value in WRONG:
            if not nonsense(hint, value, field in SIGNED.get(kind, ())):
                continue
            try:
                make({field: value})
                taken.append(f"{field}={value!r}")
            except ValueError as error:
                if "\n" in str(error) or len(str(error)) > 400:
                    other.append(f"{field}={value!r}: {error}")
            except Exception as error:
                other.append(f"{field}={value!r}: {type(error).__name__}: {error}")
    assert not taken
    assert not other
