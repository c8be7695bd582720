"""The origin of a task or an algorithm: its name, code, version and presets."""

import dataclasses
import re
from pathlib import Path
from typing import Any

from comity.environments import VARIANTS
from comity.names import ENGINES, host_of, parsed
from comity.runs.sources import Files


@dataclasses.dataclass(frozen=True)
class Source:
    """A task or an algorithm without its settings."""

    name: str  # as the user gave it: manitokan, my_game.py:MyGame, package.module
    thing: Any  # task: the class; algorithm: the module (Config, make)
    version: str  # VERSION of a shipped task or algorithm, content hash of a user's files; "object": no file has it
    presets: dict[str, dict[str, Any]]
    files: Files | None = None  # the user's own files
    members: tuple[tuple[str, "Source"], ...] = ()  # (role, algorithm) of each member of a population
    packages: tuple[str, ...] = ()  # installed packages that contain it, other than comity

    @property
    def shipped(self) -> bool:
        """True if it is shipped with comity."""
        return self.files is None and self.version != "object" and not self.name.startswith("comity.")

    @property
    def file(self) -> Path | None:
        return self.files.path if self.files else None

    @property
    def first(self) -> str | None:
        """The preset that is used if none is named."""
        return next(iter(self.presets), None)

    @property
    def stem(self) -> str:
        """The name as a folder: MyGame for my_game.py:MyGame, my_algorithm for my_algorithm.py or
        package.my_algorithm."""
        if self.members:
            return ",".join(f"{role}-{source.stem}" for role, source in self.members)
        named = parsed(self.name)
        own = Path(named.target).stem if named.is_file else named.target.rpartition(".")[2]
        own = self.name.partition("+")[0] if named.target in ENGINES else named.attribute or own
        variant = host_of(self.name) or named.target in VARIANTS
        return "+".join([re.sub("[/:]", "-", own) if variant else own, *named.wrappers])
