"""Settings as the plain values of a config.yaml, and checks of such values against the declared types."""

import dataclasses
import enum
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from comity.settings import did_you_mean, nested

PLAIN = (bool, int, float, str, type(None))


class Misfit(ValueError):
    """Raised for a value whose type does not fit its setting."""


class Inside(ValueError):
    """Raised for a value that does not fit in settings inside settings. The message is a whole line."""


def over(values: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Merges `more` over `values`, and settings inside settings one by one."""
    both = {
        name for name in values.keys() & more.keys() if isinstance(values[name], dict) and isinstance(more[name], dict)
    }
    return {**values, **more, **{name: over(values[name], more[name]) for name in both}}


def plain(x: Any, name: str) -> Any:
    """Converts `x` to YAML values: numpy scalars become numbers, tuples become lists.

    Raises ValueError, which names the setting, if that is not possible.
    """
    if getattr(x, "shape", None) == () and hasattr(x, "item"):
        x = x.item()
    if isinstance(x, (list, tuple)) and not isinstance(x, enum.Enum):
        return [plain(value, name) for value in x]
    if isinstance(x, dict) and all(type(key) is str for key in x):
        return {key: plain(value, name) for key, value in x.items()}
    if type(x) in PLAIN:
        return x
    raise ValueError(
        f"{name} is {' '.join(repr(x).split())[:80]}, {_a(type(x).__name__)}, which a run's config.yaml cannot hold, "
        "so that the run could not be loaded again: give a number, a text, True, False, None, or a list of these"
    )


def plain_fields(settings: Any, own: tuple[str, ...] = ()) -> dict[str, Any]:
    """The settings of a dataclass, or the arguments that a plain object was made with, as YAML values.

    own: names that the section of the config uses itself. Raises ValueError, one line, for values that could not be
    read back.
    """
    if settings is None:
        return {}
    who = type(settings).__name__
    if dataclasses.is_dataclass(settings):
        hints = declared(type(settings)) or {}
        values = {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings) if f.init}
        found = {
            name: plain_fields(x) if nested(hints.get(name), x) else plain(x, f"{who}'s {name}")
            for name, x in values.items()
        }
    else:
        found = constructed(settings)
    for name in own:
        if name in found:
            raise ValueError(
                f"{who} has a setting called {name!r}, which config.yaml uses itself: give it another name"
            )
    return found


def constructed(thing: Any) -> dict[str, Any]:
    """The arguments that a plain object was made with, read from its attributes of the same names.

    An object made again from them must have the same attributes. Raises ValueError, one line, if that cannot be shown.
    """
    kind, held = type(thing), _held(thing)
    try:
        parameters = list(inspect.signature(kind).parameters.values())
    except (TypeError, ValueError):
        return {}
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    values = {}
    for p in named:
        if p.name not in held:
            continue
        try:
            values[p.name] = plain(held[p.name], f"{kind.__name__}'s {p.name}")
        except ValueError:
            if p.default is not p.empty and held[p.name] is p.default:
                continue
            raise
    try:
        again = _held(kind(**values))
    except Exception:
        again = None
    unknown = [p.name for p in named if p.name not in held]
    other = [] if again is None else [n for n in held | again if not _alike(held.get(n), again.get(n), n in values)]
    if again is None or other:
        lost = ", ".join(unknown or other) or "arguments"
        raise ValueError(
            f"{kind.__name__} holds {lost} in a way that the run cannot record, so it could not be loaded again: keep "
            f"each argument of {kind.__name__} as an attribute of its name and change none later, or make it a frozen "
            "dataclass"
        )
    return values


def _held(thing: Any) -> dict[str, Any]:
    slots = [name for one in type(thing).__mro__ for name in getattr(one, "__slots__", ())]
    return {**getattr(thing, "__dict__", {}), **{n: getattr(thing, n) for n in slots if hasattr(thing, n)}}


def _alike(one: Any, two: Any, strictly: bool) -> bool:
    """True if two attributes are equal. Unless `strictly`, objects of one type that cannot be compared are equal."""
    try:
        return same(plain(one, ""), plain(two, ""))
    except ValueError:
        pass
    if hasattr(one, "shape") and hasattr(two, "shape"):
        return one.shape == two.shape and bool((one == two).all())
    return one is two or (not strictly and type(one) is type(two))


def same(one: Any, two: Any) -> bool:
    """True if plain values are equal. nan equals nan, 1 equals 1.0, True equals no number."""
    if isinstance(one, float) and isinstance(two, float) and math.isnan(one) and math.isnan(two):
        return True
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(two, (list, tuple)):
        return type(one) is type(two) and len(one) == len(two) and all(map(same, one, two))
    return isinstance(one, bool) == isinstance(two, bool) and one == two


def plain_scalars(x: Any) -> Any:
    """Converts numpy scalars in `x` to numbers and leaves everything else unchanged."""
    if getattr(x, "shape", None) == () and hasattr(x, "item"):
        return x.item()
    if type(x) in (list, tuple):
        return type(x)(map(plain_scalars, x))
    return {k: plain_scalars(v) for k, v in x.items()} if type(x) is dict else x


# ---------------------------------------------------------------------- from a file


def checked(factory: Callable[..., Any], values: Mapping[str, Any], who: str) -> dict[str, Any]:
    """Converts `values` to the types that `factory` declares: lists to tuples, "1e-3" to a number if it is a float.

    Raises ValueError for an unknown setting, Misfit for a value of a wrong type, with one line.
    """
    known = declared(factory)
    if known is None:
        return dict(values)
    result = {}
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"{who} has no setting {name}{did_you_mean(name, known)}")
        try:
            result[name] = fitted(known[name], value)
        except Inside as error:
            raise type(error)(f"{name}: {error}") from None
        except Misfit as error:
            raise Misfit(f"{name} {value!r} {error}") from None
    return result


def declared(factory: Callable[..., Any]) -> dict[str, Any] | None:
    """{setting: its declared type, Any if there is none}; None if `factory` accepts any name."""
    try:
        hints = typing.get_type_hints(
            factory if dataclasses.is_dataclass(factory) else getattr(factory, "__init__", factory)
        )
    except Exception:  # a name in an annotation that does not exist
        hints = {}
    if dataclasses.is_dataclass(factory):
        return {f.name: hints.get(f.name, Any) for f in dataclasses.fields(factory) if f.init}
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return {p.name: hints.get(p.name, Any) for p in parameters}


def fitted(hint: Any, value: Any) -> Any:
    """Converts `value` to the declared type. Raises Misfit, whose message says what is allowed and what to do."""
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _one_of(inner, value)
    if origin is typing.Literal:
        if not any(same(value, choice) for choice in inner):
            raise Misfit(f"is not one of {', '.join(map(str, inner))}{did_you_mean(value, inner)}")
        return value
    if origin is typing.Annotated:
        return fitted(inner[0], value)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint) and isinstance(value, dict):
        try:
            return hint(**checked(hint, value, hint.__name__))
        except ValueError as error:
            raise Inside(str(error)) from None
    if origin is tuple or hint is tuple:
        return _tuple(inner, value)
    if origin is list and isinstance(value, (list, tuple)):
        return [fitted(inner[0], x) for x in value]
    if hint is float:
        return _float(value)
    words = {int: "is not a whole number: give one", bool: "is neither True nor False: give one of them"}
    words |= {
        str: "is no text: give one, in quotes",
        list: "is no list: give one",
        type(None): "is not empty: leave it so",
    }
    if hint in words and (not isinstance(value, hint) or (hint is int and isinstance(value, bool))):
        raise Misfit(words[hint])
    return value


def _one_of(hints: tuple[Any, ...], value: Any) -> Any:
    problems = []
    for hint in sorted(hints, key=lambda hint: hint is not type(value)):
        try:
            return fitted(hint, value)
        except Misfit as error:
            if hint is not type(None):
                problems.append(str(error))
    raise Misfit(problems[0])


def _tuple(inner: tuple[Any, ...], value: Any) -> Any:
    if not isinstance(value, (list, tuple)):
        raise Misfit("is no list: give one, in brackets")
    if not inner:
        return tuple(value)
    kinds = (inner[0],) * len(value) if inner[-1] is ... else inner
    if len(kinds) != len(value):
        raise Misfit(f"has {len(value)} entries: give {len(kinds)}")
    return tuple(map(fitted, kinds, value))


def _float(value: Any) -> Any:
    if isinstance(value, str):  # YAML reads 1e-3 as a text
        try:
            value = float(value)
        except ValueError:
            raise Misfit("is not a number: give one") from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Misfit("is not a number: give one")
    return value


def _a(word: str) -> str:
    return f"{'an' if word[:1] in 'AEIOUaeiou' else 'a'} {word}"
