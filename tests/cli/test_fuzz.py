"""Thousands of wrong inputs, made from seeds: each gives one line and a status other than 0, and nothing is written.

A failure names its seeds; `FUZZ=17 pytest tests/cli/test_fuzz.py -k lines` makes one again.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from comity.cli.main import main
from comity.runs.reading import CONTROL
from tiny.runs import trained
from tiny.wrong_configs import config, right, text
from tiny.wrong_lines import PAIRS, line

BLOCK, LONGEST = 50, 2500
ONE = os.environ.get("FUZZ")


def blocks(count: int) -> list:
    """Seeds in blocks, the first of them in the fast tests."""
    if ONE:
        return [pytest.param([int(ONE)], id=ONE)]
    starts = range(0, count, BLOCK)
    marks = lambda start: [pytest.mark.slow] if start else []  # noqa: E731
    return [pytest.param(range(s, min(s + BLOCK, count)), id=f"{s}-", marks=marks(s)) for s in starts]


class Accepted(BaseException):
    """A command went on to work."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("run"), seeds=1).path


@pytest.fixture
def nothing_works(monkeypatch):
    """Whatever takes long, trains or writes ends here."""

    def accepted(*words, **more):
        raise Accepted

    for place in ("training.loop.run", "training.run.Run.play", "training.films.filmed", "cli.bench._run"):
        monkeypatch.setattr(f"comity.{place}", accepted)
    for place in ("sweeps.launch.processes", "cli.new.renamed", "report.page.write_report", "cli.verify._again"):
        monkeypatch.setattr(f"comity.{place}", accepted)
    for place in ("training.crossplay.cross_play", "report.compare.draw_study", "cli.demo._train"):
        monkeypatch.setattr(f"comity.{place}", accepted)
    monkeypatch.setattr("comity.experiments.reproduce.train_missing", accepted)
    monkeypatch.setattr("comity.experiments.reproduce.write_figure", accepted)


def files(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def fault(capsys, words: list[str]) -> str | None:
    """What is not as it should be of a wrong command line, None where all is."""
    before = files(Path())
    try:
        status = main(words)
    except Accepted:
        return "accepted"
    except SystemExit as stop:
        return f"SystemExit {stop.code}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        out, err = capsys.readouterr()
    lines = err.split("\n")[:-1]
    if status not in (1, 2) or len(lines) != 1 or not lines[0].startswith("comity: error: ") or out:
        return f"status {status}, said {(out + err)[-600:]!r}"
    if "error: unexpected" in err or "Traceback" in err or CONTROL.search(lines[0]) or len(err) > LONGEST:
        return f"said {err[:300]!r}, {len(err)} characters"
    if files(Path()) != before:
        return f"wrote {[name for name, x in files(Path()).items() if before.get(name, b'') != x]}"
    return None


def report(cases: Iterable[tuple[int, list[str], str | None]]) -> None:
    found = [
        f"seed {seed}: comity {' '.join(map(repr, words))[:300]}\n    {what}" for seed, words, what in cases if what
    ]
    assert not found, f"{len(found)} wrong inputs:\n" + "\n".join(found)


def prepared(folder: Path) -> None:
    (folder / "folder").mkdir()
    (folder / "a file").write_text("")
    (folder / "a file.py").write_text("nothing = 1\n")


@pytest.mark.parametrize("seeds", blocks(1000))
def test_wrong_command_lines(capsys, run, tmp_path, nothing_works, seeds):
    prepared(tmp_path)
    cases = ((seed, words := line(seed, run), fault(capsys, words)) for seed in seeds)
    report(cases)


@pytest.mark.parametrize("seeds", blocks(1000))
def test_wrong_config_files(capsys, tmp_path, nothing_works, seeds):
    prepared(tmp_path)
    (tmp_path / "game.py").write_text(
        "open('MARKER', 'w')\nclass Game:\n    reset = step = None\ndef make(config, env): ...\n"
    )

    def one(seed: int) -> str | None:
        Path("c.yaml").write_bytes(data := config(seed, tmp_path))
        if what := fault(capsys, ["train", "--config", "c.yaml"]):
            return f"{what}\n{data.decode(errors='replace')[:900]}"
        return None

    report((seed, ["train --config"], one(seed)) for seed in seeds)


@pytest.mark.parametrize("pair", PAIRS[:4], ids="+".join)
def test_what_is_right_goes_on(tmp_path, nothing_works, pair):
    """What the wrong ones were made from is not wrong."""
    (tmp_path / "c.yaml").write_text(text(right(*pair)))
    with pytest.raises(Accepted):
        main(["train", "--config", "c.yaml", "--seeds", "2", "seeds=1"])


ODD = [["train", "matrix", b"\xff\x1b[31m/\xfe"], ["resume", b"\x1b]0;title\x07\xf0\x9f"], [b"\xe2\x80\xae"]]


@pytest.mark.parametrize("words", [*ODD, ["demo", "--minutes", b"\x9b31m"]])
def test_words_that_are_no_text(tmp_path, words):
    """In a process of its own, where arguments are bytes."""
    done = subprocess.run([sys.executable, "-m", "comity", *words], capture_output=True)
    assert done.returncode in (1, 2)
    assert done.stdout == b""
    (said,) = done.stderr.splitlines()
    assert said.startswith(b"comity: error: ")
    assert not CONTROL.search(said.decode())
    assert not list(tmp_path.iterdir())
