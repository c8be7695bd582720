"""The user's private files: the folder of caches, and a key that no other user has."""

import functools
import os
import secrets
import stat
import sys
from pathlib import Path

from comity.runs.reading import printable

KEY_BYTES = 32


def home_folder(variable: str, below: str) -> Path | None:
    """The folder that XDG's `variable` names, else `below` in HOME; None if neither is an absolute path."""
    for text in (os.environ.get(variable, ""), os.path.join(os.environ.get("HOME", ""), below)):
        if os.path.isabs(text):
            return Path(text)
    return None


def refusal(folder: Path) -> str | None:
    """Makes a folder of mode 0700 if there is none. Returns the reason why it is not private to the user, or None."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = folder.lstat()
    except OSError as error:
        return f"{folder} cannot be used ({error.strerror})"
    if not hasattr(os, "getuid"):
        return None
    if not stat.S_ISDIR(about.st_mode):
        return f"{folder} is a link"
    if about.st_uid != os.getuid():
        return f"{folder} belongs to another user"
    if about.st_mode & 0o077:
        return (
            f"{folder} has mode {stat.S_IMODE(about.st_mode):04o}, not 0700: others may read or change what lies in it"
        )
    return None


@functools.cache
def usable(folder: Path) -> bool:
    """True if the folder is private to the user. If it is not, says once on stderr why it is not used."""
    reason = refusal(folder)
    if reason:
        say(f"no compiled programs are kept: {reason}")
    return reason is None


def own_cache(name: str) -> Path | None:
    """A folder in the user's cache for comity, of mode 0700; None, with a message on stderr, if it cannot be used."""
    root = home_folder("XDG_CACHE_HOME", ".cache")
    if root is None:
        return None
    folder = root / "comity" / name
    try:  # jax or an earlier comity may have made it with another mode, in which nobody else could write
        about = folder.lstat()
        if stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid() and not about.st_mode & 0o022:
            folder.chmod(0o700)
    except (OSError, AttributeError):
        pass
    return folder if usable(folder) else None


@functools.cache
def key() -> bytes | None:
    """The user's own key, from a file of mode 0600 outside of all caches. It is made at the first call.

    None if there is no place for it. Anybody who has the key counts as the user.
    """
    root = home_folder("XDG_CONFIG_HOME", ".config")
    if root is None:
        return None
    path = root / "comity" / "key"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(made, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
        except FileExistsError:
            pass
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as file:
            about, content = os.fstat(file.fileno()), file.read(KEY_BYTES + 1)
    except OSError as error:
        say(f"no compiled programs are kept: {path} cannot be used ({error.strerror})")
        return None
    own = not hasattr(os, "getuid") or (about.st_uid == os.getuid() and not about.st_mode & 0o077)
    if not own or len(content) != KEY_BYTES:
        what = f"{path} is not {KEY_BYTES} bytes in a file of yours of mode 0600"
        say(f"no compiled programs are kept: {what}: remove it")
        return None
    return content


def say(text: str) -> None:
    print(printable(f"comity: {text}"), file=sys.stderr, flush=True)
