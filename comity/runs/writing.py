"""Writes to run directories, which may come from a stranger: whole files or none, and never through a link."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO


def not_through_links(path: str, flags: int) -> int:
    """An opener for files to write. It does not follow links."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def refuse_links(run: Path) -> None:
    """Raises ValueError if a file or folder that a run writes to is a link, because its target is not the run's."""
    folders = [run, *(run / name for name in ("checkpoints", "figures", "source"))]
    for folder in folders:
        for path in (folder, *(folder.iterdir() if folder.is_dir() and not folder.is_symlink() else ())):
            if path.is_symlink() and path != run:
                raise ValueError(
                    f"{path} is a link, and comity writes to no file through one: put the file itself there"
                )


def write_text(path: Path, text: str) -> None:
    """Writes a text file whole or not at all. Raises OSError, one line."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all. Raises OSError, one line."""
    with whole(path) as file:
        file.write(data)


@contextlib.contextmanager
def whole(path: Path) -> Iterator[IO[bytes]]:
    """Opens a file beside `path`, which replaces `path` once all of it is on the disk."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(temporary, "wb", opener=not_through_links) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise OSError(f"cannot write {path} ({error.strerror or error})") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
