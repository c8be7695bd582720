"""Wrong input gives one line that says what came, what is allowed and what to do, and an exit status other than 0."""

import re

import pytest

from comity.cli.main import main
from comity.cli.unexpected import message
from tiny.runs import NAMES, SMALL, flags, run_in, trained

PG = ["train", "manitokan", "pg", "--iterations", "1", "--seeds", "1"]
TINY = ["train", *NAMES, *flags(**SMALL)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("run"), seeds=1)


def refusal(capsys, *arguments: object, status: int) -> str:
    """The one line that these arguments give."""
    assert main([str(a) for a in arguments]) == status
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("comity: error:")]
    assert len(lines) == 1, lines
    return lines[0].removeprefix("comity: error: ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["trian", "manitokan", "pg"], "unknown command 'trian'; did you mean train?"),
        (["train"], "train needs TASK and ALGORITHM, got neither: comity train manitokan pg"),
        (["train", "manitokan"], "train needs TASK and ALGORITHM, got manitokan"),
        (
            ["train", "manitokn", "pg"],
            "unknown task 'manitokn'; did you mean manitokan or manitokan-messages?; known: manitokan",
        ),
        (["train", "manitokan", "pgg"], "unknown algorithm 'pgg'; did you mean pg or ddpg or iddpg?; known: pg, "),
        (["train", "manitokan", "qqq"], "unknown algorithm 'qqq'; known: pg, coma, "),
        (
            [*PG, "--algorithm.learning-rat", "1"],
            "unknown flag --algorithm.learning-rat; did you mean --algorithm.learni",
        ),
        ([*PG, "learningrate=1"], "unknown flag --learningrate"),
        ([*PG, "--algorithm.learning-rate"], "--algorithm.learning-rate needs a value"),
        ([*PG, "--algorithm.learning-rate", "fast"], "--algorithm.learning-rate 'fast' is not a number: give one"),
        ([*PG, "--seeds", "2.5"], "--seeds '2.5' is not a whole number: give one"),
        ([*PG, "--minutes", "few"], "--minutes 'few' is not {None}|FLOAT: give one"),
        ([*PG, "stray"], "stray: settings are --NAME VALUE or NAME=VALUE"),
        ([*PG, "--task.observe", "lst-action"], "observe 'lst-action' is unknown: give window, or"),
        (
            [*PG, "--algorithm.actors", "both"],
            "invalid choice 'both' for argument '--algorithm.actors'. Expected one of",
        ),
        ([*PG, "--config"], "--config needs a value"),
        ([*PG, "--out="], "--out needs a value: folder for run directories"),
        ([*PG, "--out", "lr=0.1"], "--out needs a value, but --lr follows: with -- before it or = in it, write --out="),
        (["watch", "x", "--gif", "a=b.gif"], "--gif needs a value, but --a follows"),
        ([*PG, "--seeds", "2147483648"], "seeds 2147483648 is beyond 2147483647, the largest whole number of 32 bits"),
        ([*PG, "--algorithm.hidden", "9223372036854775808"], "hidden 9223372036854775808 is beyond 2147483647"),
        # Values outside of what is allowed: found before anything is traced.
        (
            [*PG, "--algorithm.learning-rate", "-0.001"],
            "learning_rate -0.001 is not above 0: give a number above 0",
        ),
        ([*PG, "--algorithm.learning-rate=0"], "learning_rate 0.0 is not above 0: give a number above 0"),
        ([*PG, "--algorithm.learning-rate", "nan"], "learning_rate nan is not a finite number: give one"),
        ([*PG, "--algorithm.gamma", "1.5"], "gamma 1.5 is above 1: give a number from 0 to 1"),
        ([*PG, "--task.num-agents", "0"], "num_agents 0 is below 1: give a whole number of 1 or more"),
        ([*PG, "--task.length", "0"], "length 0 is below 1: give a whole number of 1 or more"),
        ([*PG, "--seeds", "0"], "seeds 0 is below 1: give a whole number of 1 or more"),
        ([*PG, "--envs", "0"], "envs 0 is below 1"),
        ([*PG, "--envs", "-3"], "envs -3 is below 1"),
        ([*PG, "--iterations", "0"], "iterations 0 is below 1"),
        ([*PG, "--minutes", "0"], "minutes 0.0 is not above 0: give a number above 0"),
        ([*PG, "--minutes", "-1"], "minutes -1.0 is not above 0"),
        ([*PG, "--chunk", "0"], "chunk 0 is below 1"),
        ([*PG, "--evaluate-every", "7"], "evaluate_every 7 must be 1 chunk or more, whole chunks of 10 iterations"),
        (["list", "task"], "unknown kind 'task'; did you mean tasks?; known: tasks, wrappers, algorithms"),
        (["resume"], "resume needs one RUN"),
        (["evaluate"], "evaluate needs one RUN"),
        (["watch"], "watch needs one RUN"),
        (["compare"], "compare needs one RUN or more"),
        (["play"], "play needs one RUN or more"),
        (["play", "scripted:random"], "play needs at least one trained RUN: it says which game is played"),
        (["evaluate", "x", "--episode", "3"], "unknown flag --episode; did you mean episodes?"),
        (["evaluate", "x", "--episodes", "many"], "--episodes 'many' is not a whole number"),
        (["evaluate", "x", "--epsiodes", "3", "--task.length", "5"], "unknown flag --epsiodes; did you mean episodes?"),
        (["evaluate", "x", "--episodes", "0"], "--episodes 0 must be 1 or more"),
        (["watch", "x", "--policy", "best"], "--policy 'best' is not one of sampled, greedy"),
        (["resume", "x", "--iterations"], "--iterations needs a value"),
    ],
)
def test_wrong_usage(capsys, tmp_path, arguments, says):
    assert says in refusal(capsys, *arguments, status=2)
    assert not list(tmp_path.iterdir()), "something was written"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([*PG, "--preset", "papr"], "preset 'papr' of pg is not one of sound, fast, paper, released, max-entropy, "),
        ([*PG, "--profile", "nothing"], "profile 'nothing' of manitokan is not one of"),
        ([*PG, "--config", "nowhere.yaml"], "--config nowhere.yaml: there is no such file; give a run's config.yaml"),
        ([*PG, "--initialise", "nowhere"], "no run 'nowhere'"),
        (
            ["train", "nowhere.py:Game", "pg"],
            "task nowhere.py:Game: there is no file nowhere.py here; give a path to one",
        ),
        (["train", "manitokan", "nowhere.py"], "algorithm nowhere.py: there is no file nowhere.py here"),
        (["train", "no.such.module:Game", "pg"], "task no.such.module:Game: cannot import no.such.module"),
        (["train", f"{NAMES[0][:-7]}Signal", "pg"], "has no Signal; did you mean Signals?"),
        (["train", NAMES[1], "pg"], "which class? give"),
        (["train", "manitokan", NAMES[0].partition(":")[0]], "has no make(config, env)"),
        (["resume", "nowhere"], "no run 'nowhere'"),
        (["evaluate", "nowhere"], "no run 'nowhere'"),
        (["watch", "latest"], "no run under runs: train one first, comity train TASK ALGORITHM"),
        (["play", "nowhere"], "no run 'nowhere'"),
        (["compare", "nowhere", "nobody"], "no run 'nowhere'"),
    ],
)
def test_what_is_not_there(capsys, tmp_path, arguments, says):
    assert says in refusal(capsys, *arguments, status=1)
    assert not list(tmp_path.iterdir()), "something was written"


@pytest.mark.parametrize(("agents", "size"), [(2, 1), (3, 1), (8, -4)])
def test_a_grid_too_small_for_the_doors(capsys, tmp_path, agents, size):
    says = refusal(capsys, *PG, "--task.num-agents", agents, f"--task.size={size}", status=2)
    assert f"size {size} leaves" in says
    assert f"column for {agents} agents: raise size" in says
    assert not list(tmp_path.iterdir())


def test_a_file_with_an_error_in_it(capsys, tmp_path):
    (tmp_path / "game.py").write_text("import numpy\nnumpy.nothing()\n")
    says = refusal(capsys, "train", "game.py:Game", "pg", status=1)
    assert says.startswith("game.py cannot be imported: AttributeError: ")


@pytest.mark.parametrize("text", ["", "- 1", "task: [", "task: {name: x}", "\x00"])
def test_a_config_that_is_none(capsys, tmp_path, text):
    (tmp_path / "c.yaml").write_text(text)
    says = refusal(capsys, "train", "--config", "c.yaml", status=1)
    assert "--config c.yaml" in says


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"algorithm": {"name": "pg", "learnin_rate": 1}},
            "pg has no setting learnin_rate; did you mean learning_rate",
        ),
        ({"algorithm": {"name": "pg", "learning_rate": -1}}, "learning_rate -1 is not above 0: give a number above 0"),
        ({"task": {"name": "manitokan@99"}}, "was made with manitokan@99, here it is @1: its rules have changed"),
        ({"task": {"name": "manitokn"}}, "unknown task 'manitokn'; did you mean manitokan or manitokan-messages?"),
        ({"training": {"seed": 1}}, "training has no setting seed; did you mean"),
    ],
)
def test_a_config_with_an_error_in_it(capsys, tmp_path, change, says):
    import yaml

    config = {"task": {"name": "manitokan"}, "algorithm": {"name": "pg"}, **change}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    assert says in refusal(capsys, "train", "--config", "c.yaml", status=1)


def test_a_config_of_something_else(capsys, run):
    says = refusal(capsys, *PG, "--config", run.path / "config.yaml", status=2)
    assert "--config is of signals.py:Signals learner.py, not of manitokan pg: leave the names out" in says


def test_a_place_that_cannot_be_written(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    says = refusal(capsys, *TINY, "--out", tmp_path / "file" / "runs", status=1)
    assert "cannot make a run directory in" in says
    assert "give another with --out" in says


def test_a_run_without_a_whole_checkpoint(capsys, tmp_path):
    run = trained(tmp_path / "runs", seeds=1)
    for path in run.saved():
        path.write_bytes(b"damaged")
    says = refusal(capsys, "resume", run.path, status=1)
    assert "is corrupt" in says
    assert "train it again with comity train --config" in says
    assert "is corrupt" in refusal(capsys, "evaluate", run.path, status=1)
    (run.checkpoints / "best-0.npz").write_bytes(b"damaged")
    assert "best-0.npz is corrupt" in refusal(capsys, "watch", run.path, "--best", status=1)


def test_a_run_before_its_first_checkpoint(capsys, tmp_path):
    run = trained(tmp_path / "runs", seeds=1)
    for path in run.checkpoints.iterdir():
        path.unlink()
    assert "has no checkpoint yet: wait for its first chunk" in refusal(capsys, "evaluate", run.path, status=1)
    assert "--initialise" in refusal(capsys, *TINY, "--initialise", run.path, status=1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["resume", "--iterations", "many"], "--iterations 'many' is not a whole number: give N for N in all, or +N"),
        (["resume", "--iterations", "4"], "has 8 iterations already, more than 4"),
        (["resume", "--minutes", "0"], "minutes 0.0 is not above 0"),
        (["watch", "--seed", "7"], "seed 7 is not in this run: it has 0"),
        (["watch", "--episode", "99"], "episode 99 must be from 0 to 31"),
        (["watch", "--episode", "32"], "episode 32 must be from 0 to 31"),
        (["watch", "--gif", "."], "--gif '.' is not a file that can be written"),
        (["watch", "--html", "/dev/null/film.html"], "--html '/dev/null/film.html' is not a file that can be written"),
        (["play", "--out", "."], "--out '.' is not a file that can be written"),
        (["evaluate", "--draw", "-1"], "--draw -1 0 or more"),
        (["evaluate", "--draw", "2147483648"], "--draw 2147483648 is beyond 2147483647, the largest whole number"),
        (["evaluate", "--episodes", "x" * 5000], f"--episodes '{'x' * 99}... is not a whole number"),
        (["play", "scripted:rndom"], "unknown partner 'rndom'; did you mean random?; known: random"),
        (["play", "--metric", "nothing"], "no metric 'nothing': there are"),
        (["compare", "--metric", "nothing"], "no metric 'nothing'"),
    ],
)
def test_bad_values_for_a_run(capsys, run, arguments, says):
    command, *rest = arguments
    assert main([command, str(run.path), *rest]) in (1, 2)
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("training: 3.5", "training 3.5 is no section"),
        ("training: {null: 1}", "training has no setting None"),
        ("training: {seeds: [1, [2]]}", "seeds [1, [2]] is not a whole number: give one"),
        ("training: {envs: 100000000000}", "envs 100000000000 is beyond 2147483647"),
        ("null: {a: 1}", "the config has no section None"),
        ("algorithm: {name: pg, shared_first: 'false'}", "pg has no setting shared_first"),
        ("task: {name: manitokan, prune: 'false'}", "prune 'false' is neither True nor False: give one of them"),
        ("task: {name: matrix, payoff: [[1, 2], [3, 4]]}", "payoff [[1, 2], [3, 4]] is not a number: give one"),
        ("task: {name: matrix, null: 3}", "matrix has no setting None"),
    ],
)
def test_a_config_that_says_nonsense(capsys, tmp_path, text, says):
    parts = {"task": "task: {name: manitokan}", "algorithm": "algorithm: {name: pg}"}
    (tmp_path / "c.yaml").write_text("\n".join({**parts, text.partition(":")[0]: text}.values()))
    assert says in refusal(capsys, "train", "--config", "c.yaml", status=1)


@pytest.mark.parametrize(
    "words", [["matrix", "."], ["builtins:print", "pg"], [".", "pg"], ["matrix", ".."], ["os:system", "pg"]]
)
def test_names_of_nothing(capsys, tmp_path, words):
    assert "cannot import" in refusal(capsys, "train", *words, status=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["~", "~/other"])
def test_a_tilde_is_the_users_home(capsys, tmp_path, monkeypatch, place):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    said = []
    monkeypatch.setattr(
        "comity.training.processes.own_folder", lambda out: said.append(out) or (_ for _ in ()).throw(OSError())
    )
    assert main([*TINY, f"--out={place}"]) == 1
    assert said == [tmp_path / "home" / place[2:]]


def test_not_finite(capsys, tmp_path):
    """One seed's rewards become NaN: the others' table is shown, and the status is 1."""
    says = refusal(capsys, *TINY, "--seeds", "3", "--task.nan-chance", "0.0015", status=1)
    assert says.startswith("not finite: params.in of seed 2; saved in runs/Signals/learner/")
    run = run_in(tmp_path / "runs")
    assert {x["seed"] for x in run.lines("eval.jsonl") if x["which"] == "last"} == {0, 1}
    assert main(["resume", str(run.path)]) == 1
    shown = capsys.readouterr()
    assert re.search(r"^last, iteration [\d,]+ +sampled", shown.out, re.MULTILINE)
    assert "not finite: params.in of seed 2" in shown.err


@pytest.mark.parametrize("error", [TypeError("tables\nare gone"), AssertionError(), RecursionError("too deep")])
def test_an_error_nobody_foresaw_is_one_line_and_a_file(capsys, tmp_path, monkeypatch, error):
    """It must not look like the user's mistake, and whoever is to mend it needs the traceback."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def broken(arguments):
        raise error

    monkeypatch.setattr("comity.cli.listing.listing", broken)
    says = refusal(capsys, "list", "tasks", status=1)
    (file,) = tmp_path.glob("comity-*.log")
    assert says.startswith(f"unexpected {type(error).__name__}")
    assert says.endswith(f"the traceback is in {file}: please report it with that file")
    text = file.read_text()
    assert "comity list tasks\nTraceback (most recent call last):" in text
    assert "in broken" in text


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 17179869184 bytes.")]
)
def test_want_of_memory_says_what_to_lower(capsys, tmp_path, monkeypatch, error):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def broken(arguments):
        raise error

    monkeypatch.setattr("comity.cli.listing.listing", broken)
    says = refusal(capsys, "list", status=1)
    assert says.startswith(f"not enough memory ({type(error).__name__}")
    assert "lower --envs, --seeds" in says


def test_an_error_nobody_foresaw_stands_in_the_log_of_its_run(capsys, tmp_path, monkeypatch):
    """Of a run that trains, and of one that is looked at; a log that is a link is left alone."""

    def broken(*_, **__):
        raise KeyError("game")

    with monkeypatch.context() as patched:
        patched.setattr("comity.training.starting.begin", broken)
        says = refusal(capsys, *TINY, status=1)
    (log,) = (tmp_path / "runs").rglob("log.txt")
    assert f"the traceback is in {log.relative_to(tmp_path)}: " in says
    assert log.read_text().count("in broken") == 1
    run = trained(tmp_path / "other", seeds=1).path
    monkeypatch.setattr("comity.training.run.Run.films", broken)
    assert f"unexpected KeyError: 'game'; the traceback is in {run / 'log.txt'}" in refusal(
        capsys, "watch", run, status=1
    )
    (run / "log.txt").unlink()
    (run / "log.txt").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert f"the traceback is in {tmp_path / 'comity-'}" in message(KeyError("game"), ["watch", str(run)])
    assert not (tmp_path / "elsewhere").exists()
    assert f"the traceback is in {tmp_path / 'comity-'}" in message(KeyError("game"), ["watch", "reference:two-step"])
