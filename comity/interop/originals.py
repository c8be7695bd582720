"""The original environments of some tasks, in which a team trained on comity's copy can play."""

import importlib
from collections.abc import Callable
from typing import Any

from comity.extras import needed
from comity.interop.hosted import from_pettingzoo

ORIGINALS: dict[str, tuple[str, Callable[[Any], dict[str, Any]]]] = {  # {task: (module of mpe2, its options)}
    "cooperative-navigation": ("mpe2.simple_spread_v3", lambda env: {"N": env.agents}),
    "cooperative-communication": ("mpe2.simple_speaker_listener_v4", lambda env: {}),
    "physical-deception": ("mpe2.simple_adversary_v3", lambda env: {"N": env.spec.agents - 1}),
    "predator-prey": (
        "mpe2.simple_tag_v3",
        lambda env: {"num_good": 1, "num_adversaries": env.predators, "num_obstacles": env.obstacles},
    ),
}

FARAMA = {"physics": "farama", "reward": "farama"}  # settings of a task that is mpe2's
SETTINGS: dict[str, dict[str, Any]] = {  # {task: those settings, if they are others}
    "predator-prey": {"physics": "farama", "reward": "classic", "prey": "learns", "capture_ends": False},
}


def original_of(task: str, env: Any) -> tuple[Any, str]:
    """Returns (the original environment of a task, made with the settings of `env`; its name).

    Raises ValueError if there is none, if `env` has other physics or rewards, or if mpe2 is not installed.
    """
    if task not in ORIGINALS:
        raise ValueError(f"{task} is no copy of an environment that can be played here: {', '.join(ORIGINALS)} are")
    for name, wanted in SETTINGS.get(task, FARAMA).items():
        if getattr(env, name) != wanted:
            raise ValueError(f"{task} with {name} {getattr(env, name)!r} is not mpe2's: set it to {wanted!r}")
    name, options = ORIGINALS[task]
    try:
        needed("mpe2")
    except ImportError as error:
        raise ValueError(str(error)) from error
    module, length = importlib.import_module(name), env.spec.length
    make = lambda: module.parallel_env(max_cycles=length, **options(env))  # noqa: E731
    return from_pettingzoo(make, length=length), name
