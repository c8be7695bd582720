"""How long `comity train manitokan pg` takes to its first update, in a process of its own that prints a line of JSON:

    python -m comity.bench.start BEGAN

BEGAN: the clock, `time.time()`, when the process was started.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from comity.bench.measure import printed


def cold_and_warm(repeats: int) -> dict[str, dict[str, float]]:
    """Medians of {"compile_s", "first_update_s"} with an empty compilation cache and with a full one, by wall time."""
    import statistics

    rows: dict[str, list[dict[str, float]]] = {"empty": [], "full": []}
    for _ in range(repeats):
        with tempfile.TemporaryDirectory(prefix="comity-bench-") as cache:
            for kept in rows.values():
                kept.append(_started(cache))
    median = lambda kept, name: statistics.median(row[name] for row in kept)  # noqa: E731
    return {name: {entry: median(kept, entry) for entry in kept[0]} for name, kept in rows.items()}


def _started(cache: str) -> dict[str, float]:
    surroundings = {"JAX_COMPILATION_CACHE_DIR": cache, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.3"}
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
