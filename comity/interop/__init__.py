"""Interfaces to other libraries: comity's games for their learners, and their environments for comity's algorithms.

    from comity import interop
    parallel = interop.to_pettingzoo(comity.make("cooperative-navigation"))  # a PettingZoo ParallelEnv
    game = interop.from_pettingzoo(lambda: simple_spread_v3.parallel_env(max_cycles=25), length=25)  # of mpe2
    run = comity.train(game, "mappo")  # Python steps the game, compiled programs act and learn

Names are imported at their first use, so only the functions that need PettingZoo or gymnasium import them.
docs/interop.md.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.interop.hosted import Hosted, from_gymnasium, from_pettingzoo
    from comity.interop.jaxmarl_game import from_jaxmarl
    from comity.interop.parallel_game import to_pettingzoo
    from comity.interop.smac_game import dump_calibration, from_smac

__all__ = [
    "Hosted", "dump_calibration", "from_gymnasium", "from_jaxmarl", "from_pettingzoo", "from_smac", "to_pettingzoo",
]  # fmt: skip

_HOMES = {
    "from_jaxmarl": "comity.interop.jaxmarl_game",
    "from_gymnasium": "comity.interop.hosted",
    "from_pettingzoo": "comity.interop.hosted",
    "Hosted": "comity.interop.hosted",
    "from_smac": "comity.interop.smac_game",
    "dump_calibration": "comity.interop.smac_game",
    "to_pettingzoo": "comity.interop.parallel_game",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'comity.interop' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
