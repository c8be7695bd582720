"""comity: cooperation and credit assignment among learning agents, in JAX.

    import comity
    env = comity.make("manitokan", observe="last-action")
    run = comity.train(env, "pg", seeds=2, iterations=500)
    steps, success = run.curve("success")

Names are imported when they are first used, so `import comity` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.api import algorithm, compare, evaluate, load, make, population, resume, train
    from comity.checking import check
    from comity.report.study import read
    from comity.spec import Box, Discrete, Image, MultiDiscrete, Spec, Vector
    from comity.types import Algorithm, Environment, Observation, Timestep, Transition

__all__ = [
    "Algorithm",
    "Box",
    "Discrete",
    "Environment",
    "Image",
    "MultiDiscrete",
    "Observation",
    "Spec",
    "Timestep",
    "Transition",
    "Vector",
    "algorithm",
    "check",
    "compare",
    "evaluate",
    "load",
    "make",
    "population",
    "read",
    "resume",
    "train",
]

_HOMES = {
    **dict.fromkeys(
        ("algorithm", "compare", "evaluate", "load", "make", "population", "resume", "train"), "comity.api"
    ),
    **dict.fromkeys(("Algorithm", "Environment", "Observation", "Timestep", "Transition"), "comity.types"),
    **dict.fromkeys(("Box", "Discrete", "Image", "MultiDiscrete", "Spec", "Vector"), "comity.spec"),
    "check": "comity.checking",
    "read": "comity.report.study",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("comity")
    if name not in _HOMES:
        raise AttributeError(f"module 'comity' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
