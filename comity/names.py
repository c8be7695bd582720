"""Splits and checks the names that a user may give, without importing anything heavy."""

import re
from typing import NamedTuple

from comity.algorithms import ALGORITHMS
from comity.algorithms.bonuses import BONUSES
from comity.environments import TASKS, VARIANTS, WRAPPERS
from comity.settings import did_you_mean

FILE = re.compile(r"(?s)(?P<target>.*\.py)(?::(?P<attribute>[^:+/]*))?(?P<around>(?:\+[^+/]*)*)")
ROLE = re.compile(r"[A-Za-z]\w*|\d+(?:-\d+)?")
VERSION = re.compile(r"(?s)(?P<name>.*)@(?P<version>[0-9a-f]{8}|object|\d+)(?P<around>(?:\+\d+)*)")


class Named(NamedTuple):
    """The parts of a name such as `ipd+rusp`, `games/my_game.py:MyGame+rusp` or `package.module:Class`."""

    target: str  # ipd, games/my_game.py, package.module
    attribute: str  # MyGame; "": not given
    wrappers: tuple[str, ...]

    @property
    def is_file(self) -> bool:
        return self.target.endswith(".py")


def parsed(name: str) -> Named:
    """Splits a name into its parts. The name of a file may hold any character, as long as it ends in .py."""
    if found := FILE.fullmatch(name):
        return Named(found["target"], found["attribute"] or "", tuple(found["around"].split("+")[1:]))
    whole, *around = name.split("+")
    target, _, attribute = whole.partition(":")
    return Named(target, attribute, tuple(around))


def members(name: str) -> tuple[tuple[str, str], ...]:
    """Splits the name of a population, `good:maddpg,adversary:ddpg`, into ((role, algorithm), ...).

    Returns () for any other name. A role is a word, the number of an agent, 0, or a range of numbers, 1-2.
    """
    pairs = [part.partition(":") for part in name.split(",")]
    named = all(colon and ROLE.fullmatch(role) for role, colon, _ in pairs)
    if not named or (name.endswith(".py") and len(pairs) == 1):
        return ()
    return tuple((role, algorithm) for role, _, algorithm in pairs)


HOSTS = {  # libraries whose environments Python steps, named HOST:WHAT, and an example of WHAT
    "pettingzoo": "mpe2.simple_spread_v3",
    "gymnasium": "CartPole-v1",
    "mujoco": "half-cheetah",
    "pybullet": "half-cheetah",
    "mamujoco": "half-cheetah",
}
ENGINES = ("mujoco", "pybullet", "mamujoco")  # the hosts whose environments are bodies that move
BODIES = {  # the bodies, and their names in the physics engines
    "hopper": "Hopper",
    "walker2d": "Walker2d",
    "half-cheetah": "HalfCheetah",
    "ant": "Ant",
    "humanoid": "Humanoid",
}
PARTS = {"hopper": "3x1", "walker2d": "2x3", "half-cheetah": "2x3", "ant": "4x2", "humanoid": "9|8"}  # mamujoco agents


def host_of(name: str) -> str | None:
    """The host of a task that Python steps, such as `pettingzoo:mpe2.simple_spread_v3`; None for other tasks."""
    host, colon, what = name.partition(":")
    return host if host in HOSTS and colon and what else None


def versioned(text: str) -> tuple[str, str]:
    """Splits `manitokan@1`, `ipd+rusp@1+1` or `my_game.py:MyGame@135c2d0d` into (name, version); "": no version."""
    if found := VERSION.fullmatch(text):
        return found["name"], found["version"] + found["around"]
    return text, ""


def unknown(kind: str, name: str) -> str | None:
    """Returns an error message, one line, if `name` is neither shipped with comity nor can be a user's own; else None.

    A task may have wrappers, `ipd+rusp`, and an algorithm may have bonuses, `ippo+counts`. A population has members.
    """
    if kind == "algorithm" and (pairs := members(name)):
        return _unknown_member(pairs)
    named = parsed(name)
    if kind == "algorithm" and "," in name and not named.is_file:
        return f"{name!r} is no population: write ROLE:ALGORITHM,ROLE:ALGORITHM, such as good:maddpg,adversary:ddpg"
    around, what = (WRAPPERS, "wrapper") if kind == "task" else (BONUSES, "bonus")
    for suffix in named.wrappers if named.target else ():
        if suffix not in around:
            return f"unknown {what} {suffix!r}{did_you_mean(suffix, around)}; known: {', '.join(around)}"
        if named.wrappers.count(suffix) > 1 and kind == "algorithm":
            return f"{name} has the bonus {suffix} twice: once is all there is to learn from; give another weight"
    if kind == "task" and (host := name.partition(":")[0]) in HOSTS and not host_of(name):
        return f"{name} names no environment: give one, such as {host}:{HOSTS[host]}"
    if (
        kind == "task"
        and host_of(name) in ("mujoco", "pybullet", "mamujoco")
        and (body := named.attribute) not in BODIES
    ):
        return f"{host_of(name)} has no body {body!r} here{did_you_mean(body, BODIES)}; known: {', '.join(BODIES)}"
    table, form = (TASKS, "my_game.py:MyGame") if kind == "task" else (ALGORITHMS, "my_algorithm.py")
    shipped = TASKS | VARIANTS if kind == "task" else ALGORITHMS
    if (named.target in shipped and not named.attribute) or named.is_file:
        return None
    if named.target not in shipped and ("." in named.target or named.attribute):
        return None
    name = named.target or name
    return f"unknown {kind} {name!r}{did_you_mean(name, shipped)}; known: {', '.join(table)}, or your own {form}"


def _unknown_member(pairs: tuple[tuple[str, str], ...]) -> str | None:
    """Returns an error message, one line, if a population names a role twice or a member that is not shipped."""
    roles = [role for role, _ in pairs]
    for role in roles:
        if roles.count(role) > 1:
            return f"{role} has {roles.count(role)} learners: give it one"
    for role, name in pairs:
        named = parsed(name)
        if complaint := unknown("algorithm", name):
            return f"{role}: {complaint}"
        if named.target not in ALGORITHMS:
            known = ", ".join(ALGORITHMS)
            return f"{role}: {name!r} is not shipped with comity, as the members of a population are; known: {known}"
    return None
