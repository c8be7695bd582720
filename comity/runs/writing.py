"""Writing into what may be a stranger's run directory: never through a link."""

import os
from pathlib import Path


def not_through_links(path: str, flags: int) -> int:
    """An opener of files to write: not what a link leads to."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def refuse_links(run: Path) -> None:
    """Raises ValueError if a file or folder that a run writes to is a link: what it points to is not the run's."""
    folders = [run, *(run / name for name in ("checkpoints", "figures", "source"))]
    for folder in folders:
        for path in (folder, *(folder.iterdir() if folder.is_dir() and not folder.is_symlink() else ())):
            if path.is_symlink() and path != run:
                raise ValueError(
                    f"{path} is a link, and comity writes to no file through one: put the file itself there"
                )
