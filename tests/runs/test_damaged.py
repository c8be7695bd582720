"""Hundreds of damaged run directories, made from seeds: each command refuses them in one line, gives the result of the
undamaged one, or says what it does instead.

A failure names its seeds; `FUZZ=17 pytest tests/runs/test_damaged.py` makes one again.
"""

import os
import re
import shutil
import signal
from pathlib import Path
from random import Random

import jax
import pytest

import comity
from comity.cli.main import main
from comity.runs.reading import CONTROL
from tiny.damage import damage, digest
from tiny.runs import trained

BLOCK = 50
ONE = os.environ.get("FUZZ")
COMMANDS = [
    "evaluate RUN",
    "evaluate RUN --best",
    "watch RUN",
    "resume RUN --iterations +2",
    "resume RUN --iterations 10",
    "play RUN",
    "compare RUN",
    "load",
    "load best",
]


class Worked(BaseException):
    """A command came as far as its work; what it would work with is in `args`."""


class TooLong(BaseException):
    """It waits."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of the same settings."""
    out = tmp_path_factory.mktemp("runs")
    one, two = (trained(out / name, evaluations=4).path for name in ("one", "two"))
    (one / ".lock").unlink(missing_ok=True)
    return one, two


@pytest.fixture(autouse=True)
def up_to_the_work(monkeypatch, tmp_path):
    """Commands end where they would compile."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())

    def of_run(run, *words, **more):
        raise Worked(*(digest(run.state(seed)) for seed in run.seeds), run.iteration)

    def of_session(self, *words, **more):
        tree = {str(seed): carry for seed, carry in zip(self.names, self.seeds.each(self.carry), strict=True)}
        raise Worked(
            digest(tree), self.iteration, str(self.env_steps), str(self.failed), str(self.best), str(self.lines.counts)
        )

    def begins(session, listen):
        raise Worked("from the beginning")

    monkeypatch.setattr("comity.training.run.Run.play", of_run)
    monkeypatch.setattr("comity.training.run.Run.films", of_run)
    monkeypatch.setattr("comity.training.crossplay.cross_play", lambda runs, *words: of_run(runs[0]))
    monkeypatch.setattr("comity.report.compare.draw_study", lambda *words: [])
    monkeypatch.setattr("comity.checking.refuse", lambda *words: None)
    for name, instead in (
        ("starting.compile_programs", lambda *_: None),
        ("loop._train", of_session),
        ("evaluations.final", of_session),
        ("evaluations.periodic", begins),
    ):
        monkeypatch.setattr(f"comity.training.{name}", instead)

    def late(*words):
        raise TooLong

    old = signal.signal(signal.SIGALRM, late)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, old)


def done(line: str, capsys) -> tuple[str, str, str]:
    """(what came of a command: its work or its status, what it printed, what it said)."""
    signal.setitimer(signal.ITIMER_REAL, 30)
    capsys.readouterr()
    try:
        if line.startswith("load"):
            run = comity.load("run", "best" if "best" in line else "last")
            came = f"work {[digest(run.state(seed)) for seed in run.seeds]} {run.iteration} {run.env_steps}"
        else:
            came = f"status {main(line.replace('RUN', 'run').split())}"
    except Worked as work:
        came = f"work {work.args}"
    except (ValueError, OSError) as error:
        came = "status 1" if line.startswith("load") and "\n" not in str(error) else f"raised {error!r}"
    except TooLong:
        came = "waits"
    except Exception as error:
        came = f"raised {error!r}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    out, err = capsys.readouterr()
    return came, out, err


def kept(folder: Path) -> dict[str, bytes]:
    """What a refusal leaves as it was."""
    loose = ("log.txt", ".lock", "manifest.json")
    files = [path for path in sorted(folder.rglob("*")) if path.name not in loose]
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in files}


def fault(line: str, whole: tuple[str, str, str], capsys) -> str | None:
    before = kept(Path("run"))
    came, out, err = done(line, capsys)
    lines = err.split("\n")[:-1]
    refused = [text for text in lines if text.startswith("comity: error: ")]
    if CONTROL.search("".join(lines) + out.replace("\n", "")) or "error: unexpected" in err or "Traceback" in err:
        return f"said {err[-500:]!r}"
    if came in ("status 1", "status 2"):
        if not line.startswith("load") and (len(refused) != 1 or len(refused[0]) > 1500):
            return f"{came}, said {err[-500:]!r}"
        after = kept(Path("run"))
        if after != before:
            names = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
            return f"refused, and wrote {names}: {err[-300:]}"
        return None
    if came != whole[0] and (came.startswith("raised") or came == "waits" or refused):
        return f"{came}, said {err[-300:]!r}"
    if came != whole[0] and re.sub(r"\d+", "", err) == re.sub(r"\d+", "", whole[2]):
        return f"another result in silence: {came[:200]}"
    return None


def blocks(count: int) -> list:
    if ONE:
        return [pytest.param([int(ONE)], id=ONE)]
    marks = lambda start: [pytest.mark.slow] if start else []  # noqa: E731
    return [pytest.param(range(s, s + BLOCK), id=f"{s}-", marks=marks(s)) for s in range(0, count, BLOCK)]


@pytest.mark.parametrize("seeds", blocks(600))
def test_damaged_run_directories(capsys, runs, tmp_path, seeds):
    shutil.copytree(runs[0], "run")
    whole, found = {}, []
    for seed in seeds:
        line = Random(f"command {seed}").choice(COMMANDS)
        shutil.rmtree("run")
        shutil.copytree(runs[0], "run")
        if line not in whole:
            whole[line] = done(line, capsys)
            assert whole[line][0].startswith("work" if line != "compare RUN" else "status 0"), (line, whole[line])
            shutil.rmtree("run")
            shutil.copytree(runs[0], "run")
        what = damage(seed, Path("run").absolute(), runs[1])
        if problem := fault(line, whole[line], capsys):
            found.append(f"seed {seed}: {line} after {what}\n    {problem}")
        if Path("MARKER").exists():
            found.append(f"seed {seed}: {line} after {what}: ran code")
    jax.clear_caches()
    assert not found, f"{len(found)} damaged runs:\n" + "\n".join(found)
