"""Limits of the compiled programs that one test process holds.

Every loaded program holds memory maps, of which Linux allows a process 65,530: all tests together need more, and then
jaxlib ends with a segmentation fault. Forgetting after every module would be safe, too, but then jax's own small
functions (`random.split`, `x.sum()`) are traced and compiled again for each module.
"""

import os
import sys
from pathlib import Path

import jax

MAPS = 30_000  # less than half of what is allowed: one module may need thousands
MEMORY = 4 << 30  # bytes; two workers and a type checker share a machine


def full() -> bool:
    """True if this process is near its limits, or if they cannot be read."""
    try:
        with open("/proc/self/maps", "rb") as file:
            maps = sum(1 for _ in file)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return True
    return maps > MAPS or pages * os.sysconf("SC_PAGE_SIZE") > MEMORY


def forget_programs() -> None:
    """Drops the programs of `comity.train`, and all of jax's if the process is full."""
    if "comity.api" in sys.modules:
        sys.modules["comity.api"].COMPILED.clear()
    if full():
        jax.clear_caches()
