"""Makers of environments, which can be sent to other processes. Imports no jax."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from comity.extras import needed
from comity.interop.games import made
from comity.interop.single import Single
from comity.runs import modules
from comity.runs.sources import Files


@dataclass(frozen=True)
class Registered:
    """The maker of an environment in gymnasium's registry."""

    name: str

    def __call__(self, **options: Any) -> Any:
        gymnasium = needed("gymnasium")
        try:
            env = Single(gymnasium.make(self.name, disable_env_checker=True, **options))
        except (ImportError, gymnasium.error.Error) as error:
            raise ValueError(f"gymnasium:{self.name} cannot be made: {' '.join(str(error).split())}") from error
        env.limit = gymnasium.registry[self.name].max_episode_steps
        return env


@dataclass(frozen=True)
class Defined:
    """A maker that is a function or class of a module. files: the module is a user's own; None: it is installed."""

    host: str
    module: str
    attribute: str
    files: Files | None = None

    @property
    def function(self) -> Callable[..., Any]:
        module = modules.imported(self.files) if self.files else importlib.import_module(self.module)
        return getattr(module, self.attribute)

    def __call__(self, **options: Any) -> Any:
        return _around(self.host, self.function(**options))

    def __hash__(self) -> int:
        return hash((self.host, self.module, self.attribute))


@dataclass(frozen=True)
class Given:
    """A maker that is a function given in Python."""

    host: str
    function: Any

    def __call__(self, **options: Any) -> Any:
        if not callable(self.function):
            return made(self.function)  # raises ValueError with the reason
        return _around(self.host, self.function(**options))


@dataclass(frozen=True)
class Maker:
    """One of these makers with its options, called without arguments."""

    kind: Callable[..., Any]
    options: Mapping[str, Any]

    def __call__(self) -> Any:
        return self.kind(**self.options)


def _around(host: str, env: Any) -> Any:
    return Single(env) if host == "gymnasium" else env
