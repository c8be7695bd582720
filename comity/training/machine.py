"""The facts that a result depends on besides its config: versions, hardware, and the settings behind float bits."""

import contextlib
import functools
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterable
from typing import Any

import jax

from comity.training.seeds import compiler_options, visible_cores


def versions() -> dict[str, str]:
    names = ("comity", "jax", "jaxlib", "equinox", "optax", "numpy")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in names}}


def packages(names: Iterable[str]) -> dict[str, str]:
    """Versions of those of the packages that are installed."""
    found = {}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def pool_size() -> int:
    """Number of threads in XLA's CPU pool: the variable NPROC or the visible cores, at least one per device."""
    asked = os.environ.get("NPROC", "")
    return max(int(asked) if asked.isdigit() and int(asked) else visible_cores(), jax.local_device_count())


def processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def features() -> str:
    """The processor's instruction sets, by their names in Linux, which compiled programs may need."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            lines = [line.split(":", 1)[1] for line in file if line.startswith(("flags", "Features"))]
        return " ".join(sorted(set.intersection(*(set(line.split()) for line in lines))))
    except (OSError, TypeError):
        return processor()


def hardware() -> dict[str, Any]:
    """Processor, cores and memory of this machine, and the devices jax uses."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    devices = sorted({device.device_kind for device in jax.devices()})
    return {
        "processor": processor(),
        "cores": visible_cores(),
        "memory_gib": round(memory / 2**30, 1),
        "devices": devices,
    }


def fingerprint(mode: str) -> dict[str, Any]:
    """The facts that float bits depend on. On a CPU equal fingerprints give equal bits."""
    device = jax.devices()[0]
    return {
        "jax": jax.__version__,
        "device": device.device_kind if device.platform != "cpu" else processor(),
        "pool": pool_size() if device.platform == "cpu" else None,  # resume sets NPROC to this
        "host_devices": jax.local_device_count(),
        "compiler": compiler_options(),
        "seeds": mode,
    }


def git_state() -> dict[str, Any] | None:
    """The commit in the variable COMITY_COMMIT, for copies without git; else that of the checkout that comity is
    imported from; None if it is no checkout."""
    if copied := os.environ.get("COMITY_COMMIT"):
        return {"commit": copied, "dirty": False}
    here = os.path.dirname(os.path.abspath(__file__))

    def ask(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", here, *words], capture_output=True, text=True, timeout=10, check=True
        ).stdout

    try:
        return {"commit": ask("rev-parse", "HEAD").strip(), "dirty": bool(ask("status", "--porcelain", "-uno").strip())}
    except (OSError, subprocess.SubprocessError):
        return None


@functools.cache
def first_process() -> int:
    """Number of the process in which this was called first. A fork remembers it."""
    return os.getpid()


def refuse_fork() -> None:
    """Raises RuntimeError, one line, in a process that was forked after comity had used jax.

    Such a process lacks jax's threads, so a call that waits for them never returns.
    """
    if first_process() != os.getpid():
        raise RuntimeError(
            f"process {os.getpid()} was forked from {first_process()}, where jax runs: it does not work here; "
            'start processes with multiprocessing.get_context("spawn")'
        )
