"""Checks of a paper's figures made small, from the command line as a user would call it."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from comity.experiments.figure import Paper
from comity.experiments.reproduce import SMOKE


def drawn(paper: Paper, names: Iterable[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Draws figures `names` into the folder, in one go."""
    command = [sys.executable, "-m", "comity", "reproduce", *(f"{paper.name}/{name}" for name in names)]
    command += ["--scale", "smoke", "--out", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def smoke(paper: Paper, names: Iterable[str], folder: Path) -> None:
    """The same, and looks at what came."""
    done = drawn(paper, names, folder)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "not finished" not in done.stdout
    for name in names:
        figure = paper.figures[name]
        assert (folder / f"{name}.png").stat().st_size > 5_000
        if figure.arms:
            about = json.loads((folder / f"{name}.claims.json").read_text())
            assert set(about["arms"]) == set(figure.smoke or figure.arms)
            assert all(len(arm["seeds"]) == SMOKE.seeds for arm in about["arms"].values())
            assert [claim["name"] for claim in about["claims"]] == [claim.name for claim in figure.claims]
