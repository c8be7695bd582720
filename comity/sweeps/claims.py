"""Claims of rows: a claim is a file that only one process can create. No jax, no locks, so any shared disk will do.

The claims of a row are files `claim.0`, `claim.1`, ...; the highest one counts. A worker that finds its owner dead
makes the next one, and only one of several workers that try it succeeds. No claim is ever removed, so no worker can
take away a claim that is newer than the one it has read.
"""

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from pathlib import Path
from typing import Any

from comity.runs.reading import read_json

LEASE = 180.0  # seconds after which an owner on another host counts as dead, if it has not touched its claim


class Lost(RuntimeError):
    """Raised if another worker took the row over because this one seemed dead."""


class Claim:
    """A row that this process trains, until `release`. It touches the claim regularly, as a sign of life for other
    hosts.
    """

    def __init__(self, folder: Path, number: int, lease: float):
        self.folder, self.number, self.lease = folder, number, lease
        self.ended = threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()

    @property
    def path(self) -> Path:
        return self.folder / f"claim.{self.number}"

    def _beat(self) -> None:
        while not self.ended.wait(self.lease / 6):
            with contextlib.suppress(OSError):  # the shared disk may be away for a moment
                os.utime(self.path)

    def check(self) -> None:
        """Raises Lost if there is a newer claim."""
        if newest(self.folder) != self.number:
            raise Lost(f"{self.folder.name}: another worker took it over, since this one seemed dead")

    def release(self) -> None:
        """Lets other workers take the row at once, also on other hosts."""
        self.ended.set()
        with contextlib.suppress(OSError):
            os.utime(self.path, (0, 0))


def take(folder: Path, lease: float = LEASE) -> Claim | None:
    """Claims a row and makes its folder; returns None if its owner is alive, or another worker was faster."""
    folder.mkdir(parents=True, exist_ok=True)
    number = newest(folder)
    if number >= 0 and alive(folder / f"claim.{number}", lease):
        return None
    part = folder / f".claim.{os.getpid()}.{secrets.token_hex(4)}.part"
    try:
        part.write_text(json.dumps(myself()), encoding="utf-8")
        made = _create(part, folder / f"claim.{number + 1}")
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
    return Claim(folder, number + 1, lease) if made else None


def _create(part: Path, path: Path) -> bool:
    """Creates `path` with the content of `part`, completely or not at all; returns False if it exists already."""
    try:
        os.link(part, path)
    except FileExistsError:
        return False
    except OSError:  # a disk without hard links: the content comes a moment later; until then the lease holds
        try:
            with open(path, "x", encoding="utf-8") as file:
                file.write(part.read_text(encoding="utf-8"))
        except FileExistsError:
            return False
    return True


def newest(folder: Path) -> int:
    """Returns the number of the claim that counts; -1 if there is none."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return -1
    return max((int(name[6:]) for name in names if name.startswith("claim.") and name[6:].isdecimal()), default=-1)


def alive(path: Path, lease: float = LEASE) -> bool:
    """True if a claim's owner may still be at work: by its process on this machine, by the last touch on others."""
    try:
        touched = path.stat().st_mtime
    except FileNotFoundError:
        return False
    if touched == 0:  # released
        return False
    try:
        owner = read_json(path)
    except (OSError, ValueError):
        owner = {}
    if owner.get("host") == host() and isinstance(owner.get("pid"), int):
        began = started(owner["pid"])
        return began is not None and began == owner.get("started")
    return time.time() - touched < lease


def myself() -> dict[str, Any]:
    return {"host": host(), "pid": os.getpid(), "started": started(os.getpid()), "time": time.time()}


def host() -> str:
    """Returns a name of the machine, the boot and the space of process numbers. Containers may share a host name, and
    process numbers start anew at every boot.
    """
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def started(pid: int) -> str | None:
    """Returns when a process of this machine began, in its own unit; None if it does not exist or has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    except (FileNotFoundError, ProcessLookupError):
        if os.path.exists("/proc/self/stat"):
            return None
    try:  # without /proc, a process that reuses the number is taken for the owner
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return "unknown"
