"""Values that are wrong by construction for a setting of a given type, as words of a command line or of a YAML file."""

import dataclasses
import types
import typing
from random import Random
from typing import Any

from comity.settings import Range

LETTERS = "abcdefghijklmnopqrstuvwxyz"
TEXTS = [
    "many",
    "fast",
    "ten",
    "1,5",
    "1/2",
    "0x1f",
    "1e",
    "--1",
    "None!",
    "٣ seeds",
    "$HOME",
    "'2'",
    "2 3",
    "[1]",
    "{}",
]
TEXTS += ["-", "=", "=3", "\u202e3", "\x1b[31m3", "3\n4", "🙂", "x" * 5000]
NO_WHOLE = [*TEXTS, "2.5", "1e3", "nan", "inf", "2147483648", "-2147483649", "9" * 400, "9" * 5000]
NO_NUMBER = [*TEXTS, "nan", "inf", "-inf", "1e39", "-1e400", "9" * 50]


def word(hint: Any, rng: Random) -> str | None:
    """A word that no setting of this type takes; None if any word is one (a text)."""
    inner = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Annotated:
        low, high = _ends(inner[1:])
        beyond = ([] if low is None else [str(low - 1), "-7", f"-{'9' * 9}"]) + ([] if high is None else ["1.5", "7"])
        return rng.choice(beyond) if beyond and rng.random() < 0.4 else word(inner[0], rng)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return word(next(kind for kind in inner if kind is not type(None)), rng)
    if typing.get_origin(hint) is typing.Literal:
        return rng.choice(["nothing", f"{inner[0]}x", str(inner[-1]).upper() + "!", *TEXTS])
    return rng.choice({int: NO_WHOLE, float: NO_NUMBER, bool: TEXTS}.get(hint) or [None])


def _ends(rules: tuple[Any, ...]) -> tuple[float | None, float | None]:
    (rule,) = (rule for rule in rules if isinstance(rule, Range))
    return rule.low, rule.high


def typo(name: str, known: Any, rng: Random) -> str:
    """`name` with one letter lost, doubled, replaced, or two swapped, so that it is none of `known`."""
    while True:
        at = rng.randrange(len(name))
        head, tail, how = name[:at], name[at:], rng.randrange(4)
        tail = [tail[1:], tail[0] + tail, rng.choice(LETTERS) + tail[1:], tail[1:2] + tail[:1] + tail[2:]][how]
        if head + tail and head + tail not in known and (head + tail)[0] not in "-":
            return head + tail


def hints(settings: Any) -> dict[str, Any]:
    """{setting: its annotation} of a dataclass, those of plain types."""
    found = typing.get_type_hints(settings, include_extras=True)
    return {field.name: found[field.name] for field in dataclasses.fields(settings) if field.init}
