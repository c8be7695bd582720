"""Settings are frozen dataclasses: how their values are checked, and how their floats enter a compiled program."""

import dataclasses
import difflib
import math
import typing
from typing import Any, TypeVar

T = TypeVar("T")

POSITIVE = ("greater than 0", lambda x: x > 0)
NOT_NEGATIVE = ("0 or greater", lambda x: x >= 0)
FRACTION = ("between 0 and 1", lambda x: 0 <= x <= 1)
AT_LEAST_ONE = ("1 or greater", lambda x: x >= 1)


def check(settings: Any, **rules: tuple[str, Any]) -> None:
    """Checks every field's type, every `Literal` field's choice and the given rules: `check(self, gamma=FRACTION)`.

    Meant for `__post_init__`, so that a bad value is refused before anything is traced. Raises ValueError with one
    line: what came, what is allowed, what to do.
    """
    hints = typing.get_type_hints(type(settings))
    for field in dataclasses.fields(settings):
        name, value, hint = field.name, getattr(settings, field.name), hints[field.name]
        choices = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else None
        if choices and value not in choices:
            raise ValueError(
                f"{name} {value!r} is not one of {', '.join(map(str, choices))}{did_you_mean(value, choices)}"
            )
        if hint is float and (
            isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value)
        ):
            raise ValueError(f"{name} {value!r} is not a finite number: give one")
        if hint is int and (isinstance(value, bool) or not isinstance(value, int)):
            raise ValueError(f"{name} {value!r} is not a whole number: give one")
        if hint is bool and not isinstance(value, bool):
            raise ValueError(f"{name} {value!r} is neither True nor False: give one of them")
        if name in rules and not rules[name][1](value):
            raise ValueError(f"{name} {value} must be {rules[name][0]}: change {name}")


def did_you_mean(name: Any, known: Any) -> str:
    """'; did you mean X?' with the nearest known names, or ''."""
    near = difflib.get_close_matches(str(name), [str(k) for k in known], n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def floats(settings: Any) -> dict[str, float]:
    """The fields declared `float`: they change no shape, so they enter a compiled program as arguments.

    A sweep over them compiles once and can be vmapped. Choices and sizes are static.
    """
    if not dataclasses.is_dataclass(settings):
        return {}
    hints = typing.get_type_hints(type(settings))
    return {f.name: float(getattr(settings, f.name)) for f in dataclasses.fields(settings) if hints[f.name] is float}


def with_floats(settings: T, values: dict[str, Any]) -> T:
    """`settings` with traced values in place of its floats. They were checked when `settings` was made; this copy is
    not checked again, because a traced value cannot be compared."""
    if not values:
        return settings
    copy = object.__new__(type(settings))
    for field in dataclasses.fields(settings):  # pyright: ignore[reportArgumentType]
        object.__setattr__(copy, field.name, values.get(field.name, getattr(settings, field.name)))
    return copy
