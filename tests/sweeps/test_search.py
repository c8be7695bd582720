"""Searches: ranges, one study for several workers, recovery after a kill, pruning. Only trainings take time here."""

import json
import re
import signal
import subprocess
import sys
import time

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from comity.cli.main import main
from comity.runs.directory import RunDirectory
from comity.sweeps import launch, plan, ranges, worker
from comity.sweeps.search import JOURNAL, Trial
from comity.sweeps.table import sheet, winner
from comity.training.loop import NotFinite

from .conftest import TINY
from .killing import started

STUDY = {"tasks": ["matrix"], "algorithms": ["reinforce"], "seeds": 2, "iterations": 4}
RATES = {"learning_rate": "1e-4:1e-1:log"}
LONG = ["--iterations", "120", *TINY[2:6], "--evaluations", "20", *TINY[8:]]


def planned(tmp_path, *more, words=TINY):
    """A search that nobody trains yet."""
    given = ["matrix", "reinforce", "--search", "learning_rate=1e-4:1e-1:log", "gamma=0.5,0.9", "--seeds", "1", *words]
    assert main(["sweep", *given, *more, "--out", "sweep", "--launch", "print"]) == 0
    return plan.opened(tmp_path / "sweep")


def trials(sweep):
    """What is in the study, whoever asks."""
    storage = JournalStorage(JournalFileBackend(str(sweep.path / JOURNAL)))
    study = optuna.load_study(study_name=search_of(sweep.rows[0])["study"], storage=storage)
    return study.get_trials(deepcopy=False)


def in_this_process(sweep):
    return worker.work(sweep, say=lambda text: None)


def drawn(sweep, row):
    return json.loads((sweep.of(row) / ranges.TRIAL).read_text())


def search_of(row):
    assert row.search
    return row.search


def about_of(sweep, row):
    """What became of a row that is over."""
    about = worker.done(sweep.of(row))
    assert about
    return about


def test_ranges_take_the_type_of_their_setting():
    found = plan.rows_of(
        {**STUDY, "search": {**RATES, "gamma": "0:1", "envs": "8:64:8", "hidden": [4, 8]}, "trials": 3}
    )
    assert [row.settings for row in found] == [{"trial": 1}, {"trial": 2}, {"trial": 3}]
    assert len({row.name for row in found}) == 3
    rate, gamma, envs, hidden = search_of(found[0])["ranges"]
    assert (rate["low"], rate["high"], rate["log"], rate["section"]) == (1e-4, 1e-1, True, "algorithm")
    assert (gamma["kind"], gamma["low"], gamma["high"]) == ("float", 0.0, 1.0)
    assert (envs["kind"], envs["step"], envs["section"]) == ("int", 8, "training")
    assert hidden["choices"] == [4, 8]
    values = {"learning_rate": 0.003, "gamma": 0.7, "envs": 16, "hidden": 8}
    config = plan.with_values(found[0], values)
    assert {name: config["algorithm"].get(name, config["training"].get(name)) for name in values} == values
    assert found[0].config["algorithm"]["learning_rate"] == 1e-4  # the row's own stays
    assert search_of(found[0])["objective"] == "return"


def test_more_trials_and_other_combinations_leave_those_that_are_there():
    few, more = (plan.rows_of({**STUDY, "search": RATES, "trials": n}) for n in (2, 4))
    assert [row.name for row in few] == [row.name for row in more[:2]]
    both = plan.rows_of({**STUDY, "search": RATES, "trials": 2, "vary": {"gamma": [0.5, 0.9]}})
    assert len({search_of(row)["study"] for row in both}) == 2  # a search of its own for each
    assert both[0].label == "reinforce on matrix · gamma=0.5 · trial=1"


WRONG = [
    ({"search": {"learning_rate": "1e-2"}}, "is no range: give LOW:HIGH"),
    ({"search": {"learning_rate": 1976}}, "in YAML in quotes"),  # what YAML makes of 32:56
    ({"search": {"learning_rate": "1e-2:1e-4:log"}}, "0.01 is not below 0.0001"),
    ({"search": {"learning_rate": "0:1:log"}}, "above 0"),
    ({"search": {"learning_rate": "0:inf"}}, "is no range"),
    ({"search": {"hidden": "4:8:9"}}, "step 9 does not fit"),
    ({"search": {"hidden": "4.5:8"}}, "is not a whole number"),
    ({"search": {"gamma": "0.5:1.5"}}, "reinforce on matrix.*gamma"),
    ({"search": {"learnin_rate": "0:1"}}, "has a setting learnin_rate.*learning_rate"),
    ({"search": {"preset": ["sound", "paper"]}}, "preset cannot be searched"),
    ({"search": {"hidden": [4]}}, "two values or more"),
    ({"search": RATES, "vary": {"learning-rate": [0.1]}}, "varied and searched"),
    ({"search": RATES, "apart": True}, "apart and search"),
    ({"search": RATES, "trials": 0}, "trials 0"),
    ({"search": RATES, "prune": "mean"}, "prune 'mean'"),
    ({"trials": 3}, "the study has none"),
]


@pytest.mark.parametrize(("wrong", "words"), WRONG, ids=[str(next(iter(w.items()))) for w, _ in WRONG])
def test_refusals_are_one_line(wrong, words):
    with pytest.raises(ValueError, match=words) as caught:
        plan.rows_of({**STUDY, **wrong})
    assert "\n" not in str(caught.value)


def test_without_optuna_one_line_says_so(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(["sweep", "matrix", "reinforce", "--search", "gamma=0.5:0.9", "--trials", "2", *TINY]) == 1
    said = capsys.readouterr().err
    assert "optuna is not installed: pip install optuna" in said
    assert said.count("\n") == 1


def test_two_workers_share_a_study_and_a_killed_one_loses_no_trial(tmp_path, capsys):
    sweep = planned(tmp_path, "--trials", "4", "--prune", "none", words=LONG)
    child = started(launch.worker(sweep, 1, 2), tmp_path / "log")
    first = sweep.rows[0]
    wait(lambda: list(sweep.of(first).glob("*/*/*/*/checkpoints/0*1*.npz")))  # it has trained, and is not over
    child.send_signal(signal.SIGSTOP)
    before = drawn(sweep, first)
    assert in_this_process(sweep) == 3  # beside it
    child.kill()
    child.wait()
    assert in_this_process(sweep) == 1
    assert drawn(sweep, first) == before
    (log,) = sweep.of(first).rglob("log.txt")  # one run, which went on
    assert "resuming" in log.read_text()
    found = trials(sweep)
    assert sorted(one.number for one in found) == [0, 1, 2, 3]
    assert {one.state.name for one in found} == {"COMPLETE"}
    assert {one.user_attrs["row"] for one in found} == {row.name for row in sweep.rows}
    assert len({one.params["learning_rate"] for one in found}) == 4
    for row in sweep.rows:
        about = about_of(sweep, row)
        assert found[about["trial"]].value == about["value"] == about["scores"]["return"]["0"]
        assert len(found[about["trial"]].intermediate_values) == 20
    assert_table(sweep, capsys)


def assert_table(sweep, capsys):
    """The best come first; neither jax nor Optuna is needed for it."""
    code = "import sys; from comity.cli.main import main; assert main(['sweep', 'sweep']) == 0; "
    code += "sys.exit(bool({'jax', 'optuna'} & sys.modules.keys()))"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    best = max(sweep.rows, key=lambda row: about_of(sweep, row)["value"])
    rate = about_of(sweep, best)["settings"]["learning_rate"]
    assert re.search(rf"\b1 +learning-rate={rate:g} ", said), said
    assert "of 4 trials 4 finished" in said
    assert re.search(rf"comity train --config {best and 'sweep'}/rows/{best.name}/.*--first-seed 1 ", said)
    assert max(map(len, sheet(sweep).text(80).split("\n")[1:])) <= 80
    values = [float(line.split(",")[5]) for line in (sweep.path / "table.csv").read_text().split("\n")[1:5]]
    assert values == sorted(values, reverse=True)


def wait(happened, limit=120.0):
    end = time.monotonic() + limit
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_what_is_not_worth_more_is_pruned(tmp_path):
    """Five trials that were far better at every point: the next one ends after its first tenth."""
    sweep = planned(
        tmp_path, "--trials", "1", words=["--iterations", "40", *TINY[2:6], "--evaluations", "20", *TINY[8:]]
    )
    study = Trial(sweep, sweep.rows[0]).study
    rate = optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True)
    distributions = {"learning_rate": rate, "gamma": optuna.distributions.CategoricalDistribution(["0.5", "0.9"])}
    better = {step: 1e6 for step in range(2, 41, 2)}
    for _ in range(5):
        given = {
            "params": {"learning_rate": 0.01, "gamma": "0.5"},
            "distributions": distributions,
            "intermediate_values": better,
            "value": 1e6,
        }
        study.add_trial(optuna.trial.create_trial(**given))
    assert in_this_process(sweep) == 1
    about = about_of(sweep, sweep.rows[0])
    assert about["status"] == "pruned"
    assert re.fullmatch(r"return \S+ at iteration 4", about["line"])
    manifest = json.loads((sweep.of(sweep.rows[0]) / about["run"] / "manifest.json").read_text())
    assert manifest["status"] == "pruned"
    assert trials(sweep)[about["trial"]].state.name == "PRUNED"
    assert main(["sweep", "sweep"]) == 0  # nothing went wrong
    (sweep.of(sweep.rows[0]) / worker.DONE).unlink()  # killed before it was noted
    assert in_this_process(sweep) == 1
    assert about_of(sweep, sweep.rows[0])["status"] == "pruned"
    assert len(trials(sweep)) == 6


def test_what_a_kill_leaves_between_two_steps(tmp_path):
    """Asked and not written down: told as failed, asked again. Told and not noted: noted, nothing trained."""
    sweep = planned(tmp_path, "--trials", "1")
    row = sweep.rows[0]
    first = Trial(sweep, row)
    (sweep.of(row) / ranges.TRIAL).unlink()
    second = Trial(sweep, row)
    assert [one.state.name for one in trials(sweep)] == ["FAIL", "RUNNING"]
    assert Trial(sweep, row).values == second.values
    assert first.number == 0
    assert in_this_process(sweep) == 1
    about = about_of(sweep, row)
    (sweep.of(row) / worker.DONE).unlink()
    assert in_this_process(sweep) == 1
    again = about_of(sweep, row)
    assert (again["value"], again["run"], again["trial"]) == (about["value"], about["run"], 1)
    assert [one.state.name for one in trials(sweep)] == ["FAIL", "COMPLETE"]


def test_a_trial_that_fails_is_told_and_drawn_anew(tmp_path, monkeypatch):
    sweep = planned(tmp_path, "--trials", "1")
    from comity.training import loop

    def failing(*given):
        raise RuntimeError("the game broke")

    monkeypatch.setattr(loop, "train", failing)
    assert in_this_process(sweep) == 1
    assert drawn(sweep, sweep.rows[0])["number"] == 0
    assert worker.retry(sweep) == 1
    assert in_this_process(sweep) == 1
    assert drawn(sweep, sweep.rows[0])["number"] == 1
    assert [one.state.name for one in trials(sweep)] == ["FAIL", "FAIL"]
    assert worker.states(sweep) == {"failed": 1}
    assert main(["sweep", "sweep", "--table"]) == 1


def test_a_trial_that_lost_a_seed_has_no_value_and_does_not_win(tmp_path, monkeypatch):
    """Its other seeds may be the best of all. An older `done.json` with a value is read in the same way."""
    sweep = planned(tmp_path, "--trials", "2")
    ends = iter([True, False])

    def ended(root, *given):
        run = RunDirectory.create(root, "matrix", "reinforce", {"training": {}})
        if next(ends):
            raise NotFinite("not finite: params of seed 1", run)
        return run.path

    monkeypatch.setattr(worker, "_trained", ended)
    seeds = iter([{"0": 9.0}, {"0": 1.0, "1": 2.0}])
    monkeypatch.setattr(worker, "scores", lambda run, objective: {"scores": {objective: next(seeds)}})
    assert in_this_process(sweep) == 2
    lost, whole = sweep.rows
    assert (about_of(sweep, lost)["status"], about_of(sweep, lost)["value"]) == ("not finite", None)
    assert about_of(sweep, whole)["value"] == 1.5
    assert [one.state.name for one in trials(sweep)] == ["FAIL", "COMPLETE"]
    older = {**about_of(sweep, lost), "value": 9.0}
    (sweep.of(lost) / worker.DONE).write_text(json.dumps(older))
    best = winner(sweep)
    assert best
    assert best[0] == whole
    assert [one["value"] for one in sheet(sweep).numbers] == [1.5, None]
    assert any("params of seed 1" in note for note in sheet(sweep).notes)
