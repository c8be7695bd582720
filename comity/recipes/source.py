"""Where a task or an algorithm comes from."""

import dataclasses
import re
from pathlib import Path
from typing import Any

from comity.environments import VARIANTS
from comity.names import ENGINES, host_of, parsed
from comity.runs.sources import Files


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a task or algorithm comes from, before any of its settings."""

    name: str  # as the user gave it: manitokan, my_game.py:MyGame, package.module
    thing: Any  # task: the class; algorithm: the module (Config, make)
    version: str  # of a shipped task its VERSION, of a user's file its content hash
    presets: dict[str, dict[str, Any]]
    files: Files | None = None  # a user's own
    members: tuple[tuple[str, "Source"], ...] = ()  # of a population: (role, its algorithm)
    packages: tuple[str, ...] = ()  # installed ones beside comity that hold it

    @property
    def shipped(self) -> bool:
        """Whether all of it came with comity."""
        return self.files is None and self.version != "object" and not self.name.startswith("comity.")

    @property
    def file(self) -> Path | None:
        return self.files.path if self.files else None

    @property
    def first(self) -> str | None:
        """The preset that is meant where none is named."""
        return next(iter(self.presets), None)

    @property
    def stem(self) -> str:
        """Name as a folder: MyGame of my_game.py:MyGame, my_algorithm of my_algorithm.py or package.my_algorithm."""
        if self.members:
            return ",".join(f"{role}-{source.stem}" for role, source in self.members)
        named = parsed(self.name)
        own = Path(named.target).stem if named.is_file else named.target.rpartition(".")[2]
        own = self.name.partition("+")[0] if named.target in ENGINES else named.attribute or own
        variant = host_of(self.name) or named.target in VARIANTS
        return "+".join([re.sub("[/:]", "-", own) if variant else own, *named.wrappers])
