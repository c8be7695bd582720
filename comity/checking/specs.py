"""Finds the problems of a `spec`: a line for each field that has an impossible value."""

from typing import Any

import numpy as np

from comity.spec import Box, Discrete, Entities, Image, MetaEpisodes, MultiDiscrete, Spec, Vector


def spec_problems(spec: Any) -> list[str]:
    if not isinstance(spec, Spec):
        what = "a method: write @property above it" if callable(spec) else f"{spec!r}: it must be a comity.spec.Spec"
        return [f"`spec` is {what}"]
    problems = [
        *_number("agents", spec.agents, 1, "how many agents play"),
        *_number("length", spec.length, 1, "the most steps of an episode"),
        *_array("view", spec.view, "what each agent sees"),
        *_array("state", spec.state, "what only a central critic may read"),
        *_array("private", spec.private, "what of the state is for one agent's critic", images=False),
        *_action(spec.action),
        *_kinds(spec),
    ]
    return problems or [*_sums(spec), *_labels(spec)]


def _number(name: str, value: Any, least: int, meaning: str) -> list[str]:
    if _is_number(value, least):
        return []
    return [f"`spec.{name}` is {value!r}, not a whole number of at least {least}: {meaning}"]


def _array(name: str, value: Any, meaning: str, images: bool = True) -> list[str]:
    if isinstance(value, Vector):
        return _number(f"{name}.size", value.size, 0, meaning) or _entities(name, value) or _names(name, value)
    if isinstance(value, Image) and images:
        sides = ("height", "width", "channels", "high")
        return [line for side in sides for line in _number(f"{name}.{side}", vars(value)[side], 1, meaning)]
    other = " or Image(height, width, channels)" if images else ""
    return [f"`spec.{name}` is {value!r}: it must be Vector(size){other}, {meaning}"]


def _names(name: str, vector: Vector) -> list[str]:
    """Checks the names of a vector's numbers: one tuple for all agents, or one for each."""
    names = vector.names
    each = names if isinstance(names, tuple) and all(isinstance(one, tuple) for one in names) else (names,)
    if any(not isinstance(one, tuple) or not all(isinstance(x, str) for x in one) for one in each):
        return [f"`spec.{name}.names` is {names!r}: it must be a tuple of names, or one for each agent"]
    return [line for one in each if (line := _counted(f"{name}.names", one, vector.size, f"spec.{name}.size is"))]


def _entities(name: str, vector: Vector) -> list[str]:
    entities = vector.entities
    if entities is None:
        return []
    if not isinstance(entities, Entities):
        return [f"`spec.{name}.entities` is {entities!r}: it must be Entities(own, others, offsets)"]
    beyond = [c for part in (entities.own, *entities.others) for c in part if not 0 <= c < vector.size]
    if beyond:
        return [f"`spec.{name}.entities` has the column {beyond[0]}: there are 0 to {vector.size - 1}"]
    if len(entities.others) != len(entities.offsets):
        return [
            f"`spec.{name}.entities` has {len(entities.others)} others and {len(entities.offsets)} offsets: give as "
            "many"
        ]
    if len({len(columns) for columns in entities.others}) > 1:
        return [f"`spec.{name}.entities` has others of unequal length: give as many columns about each"]
    return []


def _action(action: Any) -> list[str]:
    meaning = "how many actions an agent has"
    if isinstance(action, Discrete):
        return _number("action.n", action.n, 1, meaning)
    if isinstance(action, Box):
        return _number("action.n", action.n, 1, "how many numbers an agent gives")
    if not isinstance(action, MultiDiscrete):
        return [f"`spec.action` is {action!r}: it must be Discrete(n), MultiDiscrete((n1, n2)) or Box(n)"]
    if not isinstance(action.heads, tuple) or not action.heads:
        return [f"`spec.action.heads` is {action.heads!r}: it must be a tuple of action counts, one for each head"]
    problems = [line for k, n in enumerate(action.heads) for line in _number(f"action.heads[{k}]", n, 1, meaning)]
    if action.pointer is not None and action.pointer not in range(len(action.heads)):
        problems.append(f"`spec.action.pointer` is {action.pointer!r}: it must be one of the {len(action.heads)} heads")
    return problems


def _kinds(spec: Spec) -> list[str]:
    """Lists the fields whose values have the wrong type."""
    texts = lambda x: isinstance(x, tuple) and all(isinstance(one, str) for one in x)  # noqa: E731
    several = lambda x: isinstance(x, tuple) and all(texts(one) for one in x)  # noqa: E731
    pairs = lambda x: several(x) and all(len(one) == 2 for one in x)  # noqa: E731
    rules = {
        "history": (_is_number(spec.history), "a whole number of 0 or more"),
        "mixed_motive": (isinstance(spec.mixed_motive, bool), "True or False"),
        "headline": (isinstance(spec.headline, str), "the name of a statistic"),
        "best_symmetric": (
            spec.best_symmetric is None or isinstance(spec.best_symmetric, (int, float)),
            "None or a number of points",
        ),
        "meta": (spec.meta is None or isinstance(spec.meta, MetaEpisodes), "None or MetaEpisodes"),
        "scripts": (texts(spec.scripts), "a tuple of names"),
        "dilemma": (texts(spec.dilemma) and len(spec.dilemma) in (0, 2), "two of the scripts, or none"),
        "agent_names": (texts(spec.agent_names), "a tuple of names"),
        "agent_colours": (texts(spec.agent_colours), 'a tuple of "#rrggbb"'),
        "action_names": (
            several(spec.action_names) if _in_groups(spec) else texts(spec.action_names),
            "a tuple of names, of several heads a tuple for each, of numbers one for all agents or for each",
        ),
        "event_words": (pairs(spec.event_words), "a tuple of pairs: a name in info, what its agent does"),
        "event_marks": (pairs(spec.event_marks), "a tuple of pairs: a name in info, a word"),
        "event_states": (texts(spec.event_states), "a tuple of names in info"),
        "event_names": (spec.event_names is None or texts(spec.event_names), "None or a tuple of names"),
        "unread": (isinstance(spec.unread, frozenset), "a frozenset of names of settings"),
    }
    return [
        f"`spec.{name}` is {vars(spec)[name]!r}: it must be {what}" for name, (fits, what) in rules.items() if not fits
    ]


def _is_number(value: Any, least: int = 0) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value >= least)


def _sums(spec: Spec) -> list[str]:
    """Lists the fields whose sizes do not fit together."""
    problems = []
    most = spec.view.size if isinstance(spec.view, Vector) else 0  # a picture has no past at its end
    if spec.history > most:
        problems.append(f"`spec.history` is {spec.history}: it must be a whole number from 0 to {most}, of {spec.view}")
    private = spec.agents * spec.private.size
    if private > spec.state.size:
        problems.append(
            f"`spec.private` asks for {private} numbers at the end of the state, {spec.private.size} for each agent: "
            f"spec.state has {spec.state.size}"
        )
    if isinstance(spec.action, MultiDiscrete) and spec.action.pointer is not None:
        entities, choices = spec.view.entities, spec.action.heads[spec.action.pointer]
        others = len(entities.others) if entities else 0
        if others != choices:
            problems.append(
                f"`spec.action.pointer` names a head of {choices} actions: spec.view.entities has {others} others to "
                "choose from"
            )
    return problems


def _labels(spec: Spec) -> list[str]:
    """Lists wrong numbers of names and colours. No names at all are allowed."""
    of_agents = {"agent_names": spec.agent_names, "agent_colours": spec.agent_colours}
    found = [_counted(name, labels, spec.agents, "spec.agents is") for name, labels in of_agents.items()]
    if isinstance(spec.action, Box) and _in_groups(spec):
        found.append(_counted("action_names", spec.action_names, spec.agents, "spec.agents is"))
        each = enumerate(spec.action_names)
        found += [_counted(f"action_names[{k}]", names, spec.action.n, "spec.action.n is") for k, names in each]
    elif not isinstance(spec.action, MultiDiscrete):
        found.append(_counted("action_names", spec.action_names, spec.action.n, "spec.action.n is"))
    elif spec.action_names:
        found.append(_counted("action_names", spec.action_names, len(spec.action.heads), "the number of heads is"))
        pairs = zip(spec.action_names, spec.action.heads, strict=False)
        found += [_counted(f"action_names[{k}]", x, n, f"spec.action.heads[{k}] is") for k, (x, n) in enumerate(pairs)]
    return [line for line in found if line]


def _in_groups(spec: Spec) -> bool:
    """True if names of actions come in groups: for each head, or for each agent."""
    if isinstance(spec.action, MultiDiscrete):
        return True
    names = spec.action_names
    return isinstance(spec.action, Box) and isinstance(names, tuple) and any(isinstance(x, tuple) for x in names)


def _counted(name: str, labels: Any, count: int, what: str) -> str:
    if not labels or len(labels) == count:
        return ""
    entries = "1 entry" if len(labels) == 1 else f"{len(labels)} entries"
    return f"spec.{name} has {entries}, {what} {count}"
