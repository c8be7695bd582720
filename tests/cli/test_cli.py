"""The command line, as people use it."""

import contextlib
import gc
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from comity.cli.main import COMMANDS, main, spelled, surroundings
from tiny.runs import NAMES, SMALL, arrays, assert_same_run, flags, run_in

COMITY = [sys.executable, "-m", "comity"]
TRAIN = ["train", *NAMES, *flags(**SMALL)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run, trained by a command of its own."""
    folder = tmp_path_factory.mktemp("whole")
    result = subprocess.run([*COMITY, *TRAIN], cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    (folder / "stdout").write_text(result.stdout)
    (folder / "stderr").write_text(result.stderr)
    return run_in(folder / "runs")


def done(capsys, *arguments) -> str:
    """What a command prints that ends well."""
    capsys.readouterr()
    assert main([str(word) for word in arguments]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


# ---------------------------------------------------------------------- answers at once, without jax


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--help"],
        ["--version"],
        *([command, "--help"] for command in COMMANDS),
        ["train", "manitokan", "--help"],
        ["list"],
        ["list", "tasks"],
        ["list", "algorithms"],
        ["trian"],
        ["train"],
        ["train", "manitokn", "pg"],
        ["train", "manitokan", "pgg"],
        ["resume", "nowhere"],
    ],
    ids=" ".join,
)
def test_quick_answers_import_no_jax(arguments):
    """Held by what is imported, and loosely by the clock: a test machine may be busy."""
    code = (
        "import sys, time; start = time.process_time(); from comity.cli.main import main; main(sys.argv[1:]);"
        "heavy = {'jax', 'jaxlib', 'equinox', 'optax', 'matplotlib', 'scipy'} & sys.modules.keys();"
        "sys.exit(f'{heavy} imported' if heavy else round(100 * (time.process_time() - start)))"
    )
    result = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert "imported" not in result.stderr
    assert "Traceback" not in result.stderr
    assert result.returncode <= 50, "it takes more than half a second"
    assert result.stdout or result.stderr


def test_every_command_has_help(capsys):
    for command in COMMANDS:
        text = done(capsys, command, "--help")
        assert text.startswith(f"comity {command} ")
        assert len(text.splitlines()) > 4


def test_help_of_a_task_and_an_algorithm(capsys):
    text = done(capsys, "train", *NAMES, "--help")
    for flag in (
        "--task.length",
        "--algorithm.learning-rate",
        "--algorithm.hidden",
        "--seeds",
        "--minutes",
        "--preset",
    ):
        assert flag in text


# ---------------------------------------------------------------------- from files, end to end


def test_what_a_run_prints(whole):
    """Without a terminal: plain lines, notes on stderr, the table, the files and what to do next on stdout."""
    folder = whole.path.parents[3]
    said, shown = (folder / "stderr").read_text(), (folder / "stdout").read_text()
    assert "\x1b" not in said + shown
    header = said.splitlines()[0]
    assert "learner.py" in header
    assert "signals.py:Signals" in header
    for text in (
        "2 seeds (0-1)",
        "8 iterations x 16 games",
        "env steps",
        "compiled in",
        "iteration 8/8",
        "finished: 8 iterations",
    ):
        assert text in said
    for text in (
        "last",
        "best",
        "sampled",
        "greedy",
        "config.yaml",
        "figures/curve.png",
        "comity watch ",
        "comity resume ",
    ):
        assert text in shown
    assert (whole.path / "log.txt").read_text().splitlines()[0] == header
    assert {path.name for path in whole.figures.iterdir()} >= {"curve.png"}
    assert whole.manifest()["command"].startswith("comity train ")
    assert whole.manifest()["status"] == "finished"
    for file in (line.strip() for line in shown.split("files\n")[1].split("next\n")[0].splitlines()):
        assert (folder / file).exists(), file


def test_all_commands_on_a_run(capsys, whole):
    text = done(capsys, "evaluate", whole.path, "--episodes", "5")
    assert "iteration 8; fresh episodes" in text
    assert "5 episodes per seed" in text
    assert "sampled" in done(capsys, "evaluate", whole.path, "--episodes=5", "--best")
    assert text == done(capsys, "evaluate", whole.path, "episodes=5")  # the same episodes again
    assert text != done(capsys, "evaluate", whole.path, "--episodes", "5", "--draw", "1")
    done(
        capsys, "watch", whole.path, "--seed", "1", "--gif", "film/a.gif", "--html", "film/a.html", "--policy", "greedy"
    )
    assert Path("film/a.gif").read_bytes()[:3] == b"GIF"
    assert "<html" in Path("film/a.html").read_text().lower()
    text = done(capsys, "play", whole.path, "scripted:random", "--episodes", "4", "--out", "pairs.csv")
    assert "scripted:random" in text
    assert "strangers" in text
    assert len(Path("pairs.csv").read_text().splitlines()) == 1 + 3 * 3
    text = done(capsys, "compare", whole.path, "--out", "comparison")
    assert "learner" in text
    assert list(Path("comparison").iterdir())


def test_a_run_on_its_game_with_other_settings(capsys, whole):
    text = done(capsys, "evaluate", whole.path, "--episodes", "5", "--task.bonus", "0", "task.length=3")
    assert "the game differs from the one trained on: --task.bonus 0 --task.length 3\n" in text
    assert "0.00 (0.00 to 0.00)" in text
    options = ("--metric", "return.0", "--episodes", "4", "--task.bonus=0")
    rows = done(capsys, "play", whole.path, "scripted:random", *options).splitlines()
    row = next(line for line in rows if line.startswith("scripted:random"))
    assert row.split()[1:] == ["0", "0", "0"]


def test_latest_and_globs_find_the_run(capsys, whole, monkeypatch):
    monkeypatch.chdir(whole.path.parents[3])
    for name in ("latest", "runs/*/learner/*", "Signals", whole.path.name[:-6] + "*"):
        if name.endswith("*") and "/" not in name:
            name = f"runs/Signals/learner/{name}"
        assert "iteration 8" in done(capsys, "evaluate", name, "--episodes", "2")


# ---------------------------------------------------------------------- ways to say the same


def test_ways_to_write_a_setting():
    assert spelled(["seeds=2", "task.length=3", "--x=1", "a/b=c", "word"]) == [
        "--seeds", "2", "--task.length", "3", "--x=1", "a/b=c", "word",
    ]  # fmt: skip


def test_settings_reach_the_run(capsys, tmp_path):
    """`key=value`, `--key=value`, `--key value`, underscores; presets first, flags over them."""
    done(
        capsys, "train", *NAMES, *flags(**SMALL), "--preset", "fast", "task.length=4", "--algorithm.hidden=5",
        "--algorithm.whole_episodes", "True", "--iterations", "2", "out=elsewhere", "--first-seed", "3",
    )  # fmt: skip
    config = run_in(tmp_path / "elsewhere").config()
    assert config["task"]["length"] == 4
    assert config["algorithm"] | {"preset": "fast", "learning_rate": 0.03, "hidden": 5} == config["algorithm"]
    assert config["algorithm"]["whole_episodes"] is True
    assert config["training"] | {"iterations": 2, "first_seed": 3} == config["training"]


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--task.show-carried"], True),
        (["--task.no-show-carried"], False),
        (["--task.show-carried", "True"], True),
        (["--task.show_carried=true"], True),
        (["--task.show-carried", "false", "--seeds", "2"], False),
        (["--task.show-carried=False"], False),
        ([], False),
    ],
)
def test_switches(words, value):
    from comity.cli.setting_flags import parse
    from comity.environments.grid.manitokan.game import Manitokan
    from comity.training.settings import Training

    parts = parse(words, "comity train", task=Manitokan(), training=Training())
    assert parts["task"].show_carried is value


def test_presets_of_shipped_tasks_and_algorithms(capsys, tmp_path):
    """The header names them, the config holds them; refusing a third needs no training."""
    from comity.cli.train import _recipe

    recipe = _recipe(["manitokan", "pg"], {}, None, None, "paper")
    assert (recipe.profile, recipe.preset, recipe.config.learning_rate) == ("paper", "paper", 5e-5)
    recipe = _recipe(["manitokan", "pg"], {}, None, "released", None)
    assert (recipe.profile, recipe.preset) == ("released", "sound")
    again = _recipe([], recipe.describe(), None, None, None)
    assert (again.env, again.config, again.profile, again.preset) == (recipe.env, recipe.config, "released", "sound")


def test_a_config_gives_the_same_bits(capsys, whole, tmp_path):
    """Any run's config.yaml, or its directory, trains the run again; flags go over it."""
    done(capsys, "train", "--config", whole.path / "config.yaml", "--out", "again")
    again = run_in(tmp_path / "again")
    assert_same_run(again, whole)
    assert again.config() == whole.config()
    done(capsys, "train", *NAMES, "--config", whole.path, "--iterations", "2", "--preset", "fast", "--out", "shorter")
    config = run_in(tmp_path / "shorter").config()
    assert config["training"] == whole.config()["training"] | {"iterations": 2}
    assert config["algorithm"] == whole.config()["algorithm"] | {"preset": "fast", "learning_rate": 0.03}


def test_a_run_outlives_the_files_it_was_made_from(capsys, tmp_path):
    """A user's own files are copied into the run: changed or gone, the run still resumes and trains again."""
    for name in ("signals.py", "learner.py"):
        Path(name).write_text((Path(NAMES[1]).parent / name).read_text())
    done(
        capsys,
        "train",
        "signals.py:Signals",
        "learner.py",
        *flags(**SMALL),
        "--iterations",
        "4",
        "--evaluate-every",
        "2",
    )
    Path("signals.py").write_text("raise SystemExit\n")
    Path("learner.py").unlink()
    run = run_in(tmp_path / "runs")
    assert main(["evaluate", str(run.path)]) == 1  # the copies are code that came with the run
    said = capsys.readouterr().err
    assert "signals.py here differs (" in said
    assert f"({run.config()['task']['name'][-8:]}); version {run.config()['task']['name'][-8:]} is " in said
    done(capsys, "resume", run.path, "--iterations", "+2", "--trust")
    assert int(run.saved()[-1].stem) == 6
    done(capsys, "train", "--config", run.path, "--out", "again", "--trust")
    assert json.dumps(run.lines("metrics.jsonl")) == json.dumps(run_in(tmp_path / "again").lines("metrics.jsonl"))
    assert main(["evaluate", str(run.path), "--episodes", "2", "--trust"]) == 0
    shown = capsys.readouterr()
    assert "iteration 6" in shown.out
    assert shown.err.count("running version") == 2  # which one: of the game, of the algorithm


def test_a_file_is_read_beside_what_it_imports(capsys, tmp_path):
    """An own algorithm may import its neighbour, in training and on resume."""
    Path("own").mkdir()
    Path("own/inner.py").write_text(Path(NAMES[1]).read_text())
    Path("own/outer.py").write_text("from inner import Config, make\n")
    done(capsys, "train", NAMES[0], "own/outer.py", *flags(**SMALL), "--iterations", "2")
    code = "import sys; from comity.cli.main import main; sys.exit(main(sys.argv[1:]))"
    words = ["resume", "latest", "--iterations", "+2"]
    result = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_initialise(capsys, whole, tmp_path):
    done(capsys, *TRAIN, "--initialise", whole.path, "--iterations", "2", "--out", "next")
    run = run_in(tmp_path / "next")
    assert run.manifest()["initialised"]["iteration"] == 8
    before, first = arrays(whole.saved()[-1]), arrays(run.saved()[0])
    assert (before["0.state.params.in"] == first["0.state.params.in"]).all()
    done(capsys, "train", "--config", run.path, "--out", "again")
    assert_same_run(run, run_in(tmp_path / "again"))


def test_minutes(capsys, tmp_path):
    began = time.monotonic()
    text = done(capsys, *TRAIN, "--iterations", "1000000", "--minutes", "0.05")
    assert time.monotonic() - began < 25
    assert re.search(r"^last, iteration [\d,]+ +sampled", text, re.MULTILINE)
    assert re.search(r"^best, by return, of iterations? [\d, to]+ +greedy", text, re.MULTILINE)
    assert run_in(tmp_path / "runs").manifest()["status"] == "finished"


# ---------------------------------------------------------------------- stopped and resumed


def wait_for(text: str, file: Path, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while text not in (file.read_text() if file.exists() else ""):
        assert time.monotonic() < deadline, f"no {text!r} in {file}"
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_resumes_to_the_same_bits(capsys, tmp_path, number):
    """Status 130 or 143, one line that says how to go on; what comes of it is the run that nobody stopped."""
    command = [*TRAIN, "--iterations", "2000", "--evaluations", "4"]
    with open("said", "w") as said:
        process = subprocess.Popen([*COMITY, *command, "--out", "stopped"], stdout=said, stderr=said)
        wait_for("to go (", Path("said"))
        process.send_signal(number)
        assert process.wait(60) == 128 + number
    run = run_in(tmp_path / "stopped")
    done_so_far = int(run.saved()[-1].stem)
    assert 0 < done_so_far < 2000
    lines = Path("said").read_text().splitlines()
    wanted = (
        f"comity: stopped at iteration {done_so_far}, saved; go on with: comity resume {run.path.relative_to(tmp_path)}"
    )
    assert lines[-1] == wanted
    assert run.manifest()["status"] == "interrupted"
    more = done_so_far + 4  # far enough to see that both go the same way
    done(capsys, "resume", "--iterations", more, run.path)
    evaluate_every = run.config()["training"]["evaluate_every"]
    done(capsys, *TRAIN, *flags(iterations=more, evaluate_every=evaluate_every), "--out", "unbroken")
    assert_same_run(run, run_in(tmp_path / "unbroken"))


def test_ctrl_c_before_anything_is_saved_stops_at_once(tmp_path):
    """While it compiles there is nothing to save: no need to wait."""
    with open("said", "w") as said:
        environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}
        process = subprocess.Popen(
            [*COMITY, *TRAIN, "--algorithm.hidden", "77"], stdout=said, stderr=said, env=environment
        )
        wait_for("numbers of state each", Path("said"))
        time.sleep(0.5)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert time.monotonic() - began < 3
    assert Path("said").read_text().splitlines()[-1] == "comity: stopped at once; what was saved before is whole"
    assert run_in(tmp_path / "runs").manifest()["status"] == "interrupted"


def test_resume_goes_on(capsys, tmp_path):
    done(capsys, *TRAIN, "--iterations", "4", "--evaluate-every", "2")
    run = run_in(tmp_path / "runs")
    text = done(capsys, "resume", "latest", "--iterations", "+4")
    assert re.search(r"^last, iteration [\d,]+ +sampled", text, re.MULTILINE)
    assert int(run.saved()[-1].stem) == 8
    done(capsys, "resume", run.path, "--iterations=10", "--minutes", "5")
    assert int(run.saved()[-1].stem) == 10
    assert [x["iteration"] for x in run.lines("metrics.jsonl") if x["seed"] == 0] == [2, 4, 6, 8, 10]
    before = {path: path.read_bytes() for path in run.path.rglob("*.npz")}
    main(["resume", str(run.path)])
    assert "nothing is left to do: --iterations +N trains N more" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in run.path.rglob("*.npz")} == before


def test_a_pipe_that_closes_is_no_error():
    with contextlib.suppress(BrokenPipeError):
        process = subprocess.Popen([*COMITY, "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        process.stdout.close()  # pyright: ignore[reportOptionalMemberAccess]
    assert process.wait() == 0
    assert process.stderr.read() == ""  # pyright: ignore[reportOptionalMemberAccess]


def test_programs_are_kept_where_their_user_says(monkeypatch, tmp_path):
    monkeypatch.setattr(gc, "set_threshold", lambda *numbers: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("COMITY_PROGRAMS")
    surroundings("train", [])
    assert os.environ["COMITY_PROGRAMS"] == str(tmp_path / "comity" / "programs")
    monkeypatch.setenv("COMITY_PROGRAMS", "")
    surroundings("train", [])
    assert os.environ["COMITY_PROGRAMS"] == ""
