"""Functions for settings, which are frozen dataclasses: checks of their values, and floats as program arguments."""

import dataclasses
import difflib
import math
import re
import types
import typing
from typing import Annotated, Any, NamedTuple, TypeVar

import numpy as np

T = TypeVar("T")
LARGEST_WHOLE = 2**31 - 1  # the largest int32; compiled programs use int32
LARGEST = float(np.finfo(np.float32).max)


class Range(NamedTuple):
    """The numbers from `low` to `high`; None: no limit. above: `low` is not allowed; below: `high` is not allowed."""

    low: float | None = None
    high: float | None = None
    above: bool = False
    below: bool = False

    def problem(self, value: float, whole: bool) -> str | None:
        """Returns a message such as 'is above 1: give a number from 0 to 1', or None if the value is in range.

        For whole numbers the message says "1 or more" in place of "above 0".
        """
        low, above = self.low, self.above
        if whole and low is not None and above:
            low, above = low + 1, False
        if low is not None and (value < low or (above and value == low)):
            return f"is {'not above' if above else 'below'} {low}: give {self._allowed(whole, low, above)}"
        if self.high is not None and (value > self.high or (self.below and value == self.high)):
            word = "not below" if self.below else "above"
            return f"is {word} {self.high}: give {self._allowed(whole, low, above)}"
        return None

    def _allowed(self, whole: bool, low: float | None, above: bool) -> str:
        number = "a whole number" if whole else "a number"
        if low is None:
            return f"{number} {f'below {self.high}' if self.below else f'of {self.high} or less'}"
        if self.high is None:
            return f"{number} {f'above {low}' if above else f'of {low} or more'}"
        ends = [f"but not {end}" for end, left in ((low, above), (self.high, self.below)) if left]
        return ", ".join([f"{number} from {low} to {self.high}", *ends])


# Annotations of settings, which `check` enforces: `gamma: Fraction = 0.99`, `hidden: Positive[int] = 64`.
Fraction = Annotated[float, Range(0, 1)]
BelowOne = Annotated[float, Range(0, 1, below=True)]
Positive = Annotated[T, Range(0, above=True)]
NotNegative = Annotated[T, Range(0)]
TwoOrMore = Annotated[int, Range(2)]
OneOrMore = Annotated[float, Range(1)]


class Misfit(ValueError):
    """Raised for a value of a wrong type or out of range. `check` puts the setting's name before the message."""


def check(settings: Any) -> None:
    """Checks the type and the range of every field against its annotation.

    `__post_init__` calls it, so that a bad value from a flag, a file or Python is refused before anything is traced.
    Numpy scalars become Python numbers, and lists become tuples if the field is declared as a tuple. Raises ValueError
    with one line: the value, what is allowed, what to do.
    """
    hints = typing.get_type_hints(type(settings), include_extras=True)
    for field in dataclasses.fields(settings):
        name, value = field.name, getattr(settings, field.name)
        try:
            held = _held(hints[name], value)
        except Misfit as error:
            raise ValueError(f"{name} {_short_repr(value)} {error}") from None
        if held is not value:
            object.__setattr__(settings, name, held)


def _held(hint: Any, value: Any) -> Any:
    """Returns `value` in the type of its annotation. Raises Misfit if it does not fit.

    Values of other than plain types, such as a game inside a game, are not checked.
    """
    if isinstance(value, np.generic):
        value = value.item()
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        value = _held(inner[0], value)
        problems = (rule.problem(value, inner[0] is int) for rule in inner[1:] if isinstance(rule, Range))
        if problem := next(filter(None, problems), None):
            raise Misfit(problem)
        return value
    if origin in (typing.Union, types.UnionType):
        return _either(inner, value)
    if origin is typing.Literal:
        if not any(type(value) is type(choice) and value == choice for choice in inner):
            raise Misfit(f"is not one of {', '.join(map(str, inner))}{did_you_mean(value, inner)}")
        return value
    if origin is tuple:
        if not isinstance(value, (tuple, list)):
            raise Misfit("is no list: give one, in brackets")
        kinds = (inner[0],) * len(value) if inner[-1] is ... else inner
        if len(kinds) != len(value):
            raise Misfit(f"has {len(value)} entries: give {len(kinds)}")
        held = tuple(map(_entry, kinds, value))
        return value if type(value) is tuple and all(map(_is, held, value)) else held
    return _KINDS[hint](value) if hint in (float, int, bool, str) else value


def _entry(hint: Any, value: Any) -> Any:
    try:
        return _held(hint, value)
    except Misfit as error:
        raise Misfit(f"has {_short_repr(value)}, which {error}") from None


def _is(one: Any, two: Any) -> bool:
    return one is two


def _either(hints: tuple[Any, ...], value: Any) -> Any:
    """Does the same as `_held` for a union such as `int | None`: the first type that takes the value decides."""
    if value is None and type(None) in hints:
        return None
    problems = []
    for hint in hints:
        if hint is not type(None):
            try:
                return _held(hint, value)
            except Misfit as error:
                problems.append(str(error))
    raise Misfit(problems[0])


def _float(value: Any) -> Any:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value if isinstance(value, float) else 0.0):
        raise Misfit("is not a finite number: give one")
    if abs(value) > LARGEST:
        raise Misfit(f"is beyond {LARGEST:.2g}, the largest number of 32 bits: give a smaller one")
    return value


def _int(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Misfit("is not a whole number: give one")
    if abs(value) > LARGEST_WHOLE:
        raise Misfit(f"is beyond {LARGEST_WHOLE}, the largest whole number of 32 bits: give a smaller one")
    return value


def _bool(value: Any) -> Any:
    if not isinstance(value, bool):
        raise Misfit("is neither True nor False: give one of them")
    return value


def _str(value: Any) -> Any:
    if not isinstance(value, str):
        raise Misfit("is no text: give one, in quotes")
    return value


_KINDS = {float: _float, int: _int, bool: _bool, str: _str}


def _short_repr(value: Any) -> str:
    text = " ".join(repr(value.item() if isinstance(value, np.generic) else value).split())
    return text if len(text) <= 80 else text[:77] + "..."


def did_you_mean(name: Any, known: Any) -> str:
    """Returns '; did you mean X?' with the nearest known names, or ''."""
    names, asked = [str(k) for k in known], str(name)
    near = _abbreviated(asked, names) or difflib.get_close_matches(asked, names, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _abbreviated(asked: str, names: list[str]) -> list[str]:
    """Names that `asked` abbreviates by the first letters of their words, as lr does learning-rate.

    If `asked` has dots, the part before the last dot must be the same. At most three names, fewest words first.
    """
    before, _, last = asked.lstrip("-").lower().rpartition(".")
    if not 2 <= len(last) <= 4 or not last.isalpha():
        return []
    parts = {name: name.lstrip("-").lower().rpartition(".") for name in names}
    words = {name: re.split("[-_]", part[2]) for name, part in parts.items() if not before or part[0] == before}
    found = [x for x, some in words.items() if last in "".join(word[:1] for word in some) and len(some) >= len(last)]
    return sorted(found, key=lambda x: len(words[x]))[:3]


def floats(settings: Any) -> dict[str, float]:
    """Values of the fields that are declared `float`. They change no shape, so they are arguments of compiled programs.

    So a sweep over them compiles once and can be vmapped. Choices and sizes are static. Fields of settings inside
    settings have names such as `good.learning_rate`.
    """
    if not dataclasses.is_dataclass(settings):
        return {}
    hints, found = typing.get_type_hints(type(settings)), {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if nested(hints[field.name], value):
            found |= {f"{field.name}.{name}": x for name, x in floats(value).items()}
        elif hints[field.name] is float:
            found[field.name] = float(value)
    return found


def nested(hint: Any, value: Any) -> bool:
    """True if a setting is itself a dataclass of settings and is declared as one."""
    return isinstance(hint, type) and dataclasses.is_dataclass(hint) and isinstance(value, hint)


def with_floats(settings: T, values: dict[str, Any]) -> T:
    """Returns a copy of `settings` with traced values in place of its floats.

    The floats were checked when `settings` was made. The copy is not checked, because traced values cannot be compared.
    """
    if not values:
        return settings
    copy = object.__new__(type(settings))
    for field in dataclasses.fields(settings):  # pyright: ignore[reportArgumentType]
        inside = {name[len(field.name) + 1 :]: x for name, x in values.items() if name.startswith(f"{field.name}.")}
        value = values.get(field.name, getattr(settings, field.name))
        object.__setattr__(copy, field.name, with_floats(value, inside))
    return copy
