"""Measures the effect of a signal in each phase of a run: seconds until the process ends, its status, what is saved.

    python benchmarks/stopping.py [--task manitokan] [--algorithm pg]

For each signal and phase a training starts in a process of its own and gets the signal soon after it says that the
phase has begun. Prints the table of docs/stopping.md. Programs of earlier trainings are reused, so the phase "compile"
has a network of another width each time.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMITY = [sys.executable, "-c", "import sys; from comity.cli.main import main; sys.exit(main())"]
SIZES = ["--seeds", "2", "--evaluations", "2", "--final-episodes", "3200"]
PHASES = {  # phase: (iterations, the words of the process when the phase begins)
    "compile": (2000, "numbers of state each"),
    "chunk": (2000, "to go"),
    "evaluation": (10, "compiled in"),
    "final evaluation": (10, "final evaluation"),
}
SIGNALS = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP")


def stopped(task: str, algorithm: str, phase: str, name: str, width: int, out: Path) -> tuple[float, int, str]:
    """Returns (seconds from the signal to the end, exit status, what is saved)."""
    iterations, words = PHASES[phase]
    hidden = ["--algorithm.hidden", str(width)] if phase == "compile" else []
    said = out / "said"
    with said.open("w") as file:
        command = [*COMITY, "train", task, algorithm, "--iterations", str(iterations), *SIZES, *hidden]
        process = subprocess.Popen([*command, "--out", str(out)], stdout=file, stderr=file)
        while words not in said.read_text():
            if process.poll() is not None:
                raise RuntimeError(f"{phase}: it ended before: {said.read_text()[-500:]}")
            time.sleep(0.01)
        time.sleep(0.2)
        began = time.monotonic()
        process.send_signal(getattr(signal, name))
        status = process.wait()
    seconds = time.monotonic() - began
    (config,) = out.rglob("config.yaml")
    saved = sorted(int(path.stem) for path in (config.parent / "checkpoints").glob("0*.npz"))
    return seconds, status, f"iteration {saved[-1]}" if saved else "nothing was to be saved"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--task", default="manitokan")
    options.add_argument("--algorithm", default="pg")
    asked = options.parse_args()
    os.environ.setdefault("COMITY_PROGRAMS", tempfile.mkdtemp())
    print("| phase | " + " | ".join(SIGNALS) + " | saved |\n| --- |" + " --- |" * (len(SIGNALS) + 1))
    for row, phase in enumerate(PHASES):
        cells, kept = [], set()
        for column, name in enumerate(SIGNALS):
            with tempfile.TemporaryDirectory() as folder:
                width = 65 + row * len(SIGNALS) + column
                seconds, status, what = stopped(asked.task, asked.algorithm, phase, name, width, Path(folder))
            cells.append(f"{seconds:.1f} s, status {status}")
            kept.add(what)
        print(f"| {phase} | " + " | ".join(cells) + f" | {', '.join(sorted(kept))} |", flush=True)


if __name__ == "__main__":
    main()
