"""Measures the time of `comity train manitokan pg` until its first update. A process of its own prints a line of JSON:

    python -m comity.bench.start BEGAN

BEGAN: `time.time()` at the start of the process.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from comity.bench.measure import printed

WAYS = {  # {name: what an earlier process has left behind}
    "empty": "nothing",
    "jax": "jax's compilation cache, all that a user's own game finds",
    "full": "whole programs",
}


def cold_and_warm(repeats: int) -> dict[str, dict[str, float]]:
    """Returns {way: medians of {"compile_s", "first_update_s"}} for each of WAYS, in wall time."""
    import statistics

    rows: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory(prefix="comity-bench-") as folder:
        kept, cache = Path(folder) / "programs", Path(folder) / "jax"
        _started(cache, None)
        _started(Path(folder) / "none", kept)
        for _ in range(repeats):
            with tempfile.TemporaryDirectory(prefix="comity-bench-") as empty:
                rows["empty"].append(_started(Path(empty) / "jax", Path(empty) / "programs"))
            rows["jax"].append(_started(cache, None))
            rows["full"].append(_started(cache, kept))
    median = lambda found, name: statistics.median(row[name] for row in found)  # noqa: E731
    return {way: {entry: median(found, entry) for entry in found[0]} for way, found in rows.items()}


def _started(cache: Path, kept: Path | None) -> dict[str, float]:
    surroundings = {
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.3",
        "COMITY_PROGRAMS": str(kept or ""),
    }
    return printed([sys.executable, "-m", "comity.bench.start", repr(time.time())], surroundings)


def main() -> None:
    began = float(sys.argv[1])
    from comity.recipes import from_objects
    from comity.training import loop
    from comity.training.settings import Training

    found: dict[str, float] = {}

    def listen(event: str, facts: dict[str, Any]) -> None:
        if event == "compiled":
            found["compile_s"] = facts["seconds"]
        if event == "chunk":
            found.setdefault("first_update_s", time.time() - began)

    recipe = from_objects("manitokan", "pg")
    with tempfile.TemporaryDirectory(prefix="comity-bench-") as folder:
        loop.train(recipe, Training(seeds=1, iterations=1, chunk=1, final_episodes=1), Path(folder), listen=listen)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
