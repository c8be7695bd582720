"""Signals in every phase of a run, and resuming to the same bits; final evaluations; the choice of the best policy."""

import io
import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from rich.console import Console

from comity.runs.directory import RunDirectory
from comity.training import best, checkpoint, evaluation
from comity.training.best import Best
from comity.training.loop import Interrupted
from comity.training.machine import refuse_fork
from comity.training.progress import Narrator
from comity.training.settings import Training
from comity.training.stopping import SIGNALS, Stop
from tiny.runs import assert_same_run, recipe, resumed, run_in, trained

LONG: dict[str, Any] = dict(final_episodes=12)  # three batches of 4


@pytest.fixture(autouse=True)
def hangups_arrive():
    """Also where the tests themselves were started by nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("whole"), **LONG)


def sends(monkeypatch, thing, name, number, at=1):
    """The signal comes while `thing.name` runs for the `at`-th time."""
    before, count = getattr(thing, name), 0

    def with_signal(*arguments, **named):
        nonlocal count
        count += 1
        if count == at:
            signal.raise_signal(number)
        return before(*arguments, **named)

    monkeypatch.setattr(thing, name, with_signal)


@pytest.mark.parametrize("number", SIGNALS, ids=lambda n: signal.Signals(n).name)
def test_the_first_signal_saves_and_the_run_goes_on_to_the_same_bits(whole, tmp_path, monkeypatch, number):
    """During a chunk; other phases below take the same path for every signal."""
    told = []
    sends(monkeypatch, RunDirectory, "append", number, at=2)
    with pytest.raises(Interrupted) as stopped:
        trained(tmp_path, listen=lambda event, facts: told.append(facts) if event == "note" else None, **LONG)
    assert stopped.value.status == 128 + number
    who = "" if number == signal.SIGINT else f"{signal.Signals(number).name}: "
    assert told[0]["text"].startswith(f"{who}stopping after this chunk and saving")
    run = run_in(tmp_path)
    assert [int(path.stem) for path in run.saved()][-1] == 2
    assert run.manifest()["status"] == "interrupted"
    monkeypatch.undo()
    resumed(run)
    assert_same_run(run, whole)


@pytest.mark.parametrize(
    ("thing", "name", "at", "saved"),
    [
        pytest.param(evaluation, "line", 6, 4, id="evaluation"),
        pytest.param(checkpoint, "save", 4, 2, id="checkpoint"),
        pytest.param(best, "chosen", 3, 8, id="last evaluation"),
    ],
)
def test_a_signal_in_other_phases(whole, tmp_path, monkeypatch, thing, name, at, saved):
    sends(monkeypatch, thing, name, signal.SIGTERM, at)
    with pytest.raises(Interrupted):
        trained(tmp_path, **LONG)
    run = run_in(tmp_path)
    assert [int(path.stem) for path in run.saved()][-1] == saved
    monkeypatch.undo()
    resumed(run)
    assert_same_run(run, whole)


@pytest.mark.parametrize("batch", [0, 1, 4])
def test_a_signal_in_the_final_evaluation_ends_it_after_a_batch_of_episodes(whole, tmp_path, monkeypatch, batch):
    """The two tables are of three batches each, for which keys are drawn."""
    finals = []

    def listen(event, facts):
        if event == "finals":
            sends(monkeypatch, evaluation, "_key", signal.SIGTERM, at=1 + 2 * batch)
            finals.append(facts)

    if batch == 0:
        monkeypatch.setattr(evaluation, "_key", evaluation._key)
    with pytest.raises(Interrupted, match="stopped at iteration 8, saved"):
        trained(tmp_path, listen=listen, **LONG)
    run = run_in(tmp_path)
    assert finals[0]["episodes"] == 12
    assert {line["which"] for line in run.lines("eval.jsonl")} == {"periodic"}
    assert run.manifest()["status"] == "interrupted"
    monkeypatch.undo()
    resumed(run)
    assert_same_run(run, whole)


def test_a_second_signal_ends_at_once(tmp_path, monkeypatch):
    def twice(*_):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGUSR1)

    monkeypatch.setattr(best, "better", twice)
    with pytest.raises(KeyboardInterrupt) as ended:
        trained(tmp_path, **LONG)
    assert ended.value.args == (signal.SIGTERM,)  # nothing was saved yet, so the first was enough


def test_nohup_is_respected():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with (stop := Stop()).listening(lambda text: None):
            signal.raise_signal(signal.SIGHUP)
        assert not stop.asked.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::DeprecationWarning")
def test_a_process_forked_after_jax_began_is_refused():
    refuse_fork()  # as every training does first
    if (child := os.fork()) == 0:
        try:
            refuse_fork()
        except RuntimeError as error:
            os._exit(7 if "get_context" in str(error) else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    refuse_fork()


# ---------------------------------------------------------------------- who listens


class Gone(io.StringIO):
    """A terminal that was closed, or a reader that went away."""

    def __init__(self, error, terminal):
        super().__init__()
        self.error, self.isatty = error, lambda: terminal

    def write(self, text):
        raise self.error

    def flush(self):
        raise self.error


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), OSError(5, "Input/output error")])
@pytest.mark.parametrize("terminal", [True, False])
def test_a_run_outlives_those_who_read_its_log(whole, tmp_path, error, terminal):
    run = trained(tmp_path, listen=Narrator(Console(file=Gone(error, terminal), force_terminal=terminal)), **LONG)
    assert_same_run(run, whole)
    log = (run.path / "log.txt").read_text()
    assert "finished: 8 iterations" in log
    assert "final evaluation: 12 episodes per seed and policy" in log


def test_a_console_that_cannot_print_a_character_still_gets_its_table(whole):
    """In Latin 1 there is no dash and no ellipsis."""
    command = [sys.executable, "-c", "import sys; from comity.cli.main import main; sys.exit(main())"]
    done = subprocess.run(
        [*command, "compare", str(whole.path), "--out", str(whole.path / "compared")],
        env={**os.environ, "PYTHONIOENCODING": "latin-1", "COLUMNS": "200"},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert b"P(better)" in done.stdout or b"interquartile" in done.stdout


# ---------------------------------------------------------------------- the final evaluation, the best


@pytest.mark.parametrize(
    ("settings", "rollout", "length", "episodes"),
    [
        ({"iterations": 3000}, 150, 150, 320),
        ({"iterations": 300}, 150, 150, 224),  # a tenth of 32 x 300 episodes is 960: 240 for each of four tables
        ({"iterations": 1}, 150, 150, 2),  # one batch of evaluations at least
        ({"iterations": 1, "evaluation_episodes": 32}, 150, 150, 32),
        ({"iterations": 1, "final_episodes": 500}, 150, 150, 500),
        ({"iterations": 30000, "envs": 4}, 16, 1000, 48),  # short rollouts of long episodes
        ({"iterations": 3000, "evaluation_episodes": 100}, 150, 150, 320),
    ],
)
def test_final_episodes_take_a_tenth_of_the_training_at_most(settings, rollout, length, episodes):
    assert Training(**settings).finals(rollout, length) == episodes


@pytest.mark.parametrize(
    ("settings", "episodes"),
    [
        ({"iterations": 3000}, 32),
        ({"iterations": 100}, 32),  # 11 evaluations of two policies beside 3,200 episodes
        ({"iterations": 10}, 16),
        ({"iterations": 1}, 2),
        ({"iterations": 1, "envs": 1}, 1),
        ({"iterations": 10, "evaluations": 0}, 16),  # at the beginning and at the end, all the same
        ({"iterations": 1, "evaluation_episodes": 7}, 7),
    ],
)
def test_evaluations_take_a_quarter_of_the_training_at_most(settings, episodes):
    assert Training(**settings).settled(150, 150).evaluation_episodes == episodes


def test_the_best_is_trained_and_of_equals_the_later():
    def line(iteration, **mean):
        return {"which": "periodic", "policy": "sampled", "seed": 0, "iteration": iteration, "mean": mean}

    assert best.chosen([line(0, **{"return": 9.0}), line(2, **{"return": 1.0})], "return")[0].iteration == 2
    rising = [line(i, **{"return": x, "success": s}) for i, (x, s) in enumerate([(0, 0), (3, 1), (2, 1), (1, 0)])]
    assert best.chosen(rising, "success")[0] == Best(2, 1.0)
    assert best.chosen(rising, "return")[0] == Best(1, 3.0)
    assert best.chosen([line(0, **{"return": 1.0})], "return")[0] == Best(0, 1.0)  # it is all that there is
    greedy = [{**line(4, **{"return": 99.0}), "policy": "greedy"}, {**line(4, **{"return": 99.0}), "which": "last"}]
    assert best.chosen([*rising, *greedy], "return")[0].iteration == 1


def test_what_the_best_is_chosen_by():
    from comity.environments.grid.manitokan.game import Manitokan
    from comity.environments.matrix.two_step import TwoStep
    from comity.environments.particle.cooperative_navigation import CooperativeNavigation

    assert best.aim(Manitokan()) == "success"
    assert best.aim(CooperativeNavigation()) == best.aim(TwoStep()) == "return"  # "optimal" is no success
    assert best.aim(recipe().env) == "return"


def test_rows_and_table_say_the_iteration_of_the_policy(whole):
    from comity.report.tables import final_table

    finals = {line["seed"]: line for line in whole.lines("eval.jsonl") if line["which"] == "best"}
    for seed, line in finals.items():
        about = checkpoint.about(whole.checkpoints / f"best-{seed}.npz")
        assert line["policy_iteration"] == about["iteration"] > 0
        assert about["by"] == "return"
    text = final_table(whole.path).text()
    assert "last, iteration 8 " in text
    at = sorted({line["policy_iteration"] for line in finals.values()})
    assert f"best, by return, of iteration{'s' * (len(at) > 1)} {at[0]}" in text
