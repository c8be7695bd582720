"""`comity reproduce` on a tiny paper: what is trained, what is found again, what is written."""

import json
import re
import resource
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from rich.console import Console

from comity.experiments import packed, records, trials
from comity.experiments import reproduce as machinery
from comity.experiments.figure import Budget, Ends, Finding, Panel, Trial, recipe_of
from comity.experiments.measures import Measure
from comity.experiments.reproduce import Folders
from comity.experiments.tables import spoken
from comity.runs.directory import RunDirectory
from comity.training.loop import NotFinite
from comity.training.seeds import Seeds
from tiny.paper import FIGURE, ONE, OTHER, PAPER, TWO


def silent(event, facts):
    pass


def planned(folders, figures=(FIGURE, OTHER), **options):
    return machinery.plan(PAPER, figures, "laptop", folders, **options)


def trained(jobs, folders, minutes=None):
    return machinery.train_missing(jobs, PAPER, folders, minutes, lambda text: None, silent, "laptop")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder in which all of the tiny paper is trained."""
    out = tmp_path_factory.mktemp("reproduced")
    folders = Folders((), out, out / "runs")
    jobs = planned(folders)
    assert [(job.arm.name, job.missing) for job in jobs] == [("one", [0, 1, 2]), ("two", [0, 1, 2])]  # shared: once
    assert jobs[0].seconds == pytest.approx(3 * 20 * 0.1 * 4 / 32)
    assert trained(jobs, folders) == []
    return folders


def test_what_is_there_is_not_trained_again(folders):
    jobs = planned(folders)
    assert all(not job.missing and list(job.found) == [0, 1, 2] for job in jobs)
    assert machinery.described(jobs, 2, folders)[0] == "nothing to train"
    more = planned(folders, seeds=4)
    assert [job.missing for job in more] == [[3], [3]]
    assert more[0].seconds > 0


def test_the_plan_says_which_seeds_came_with_the_code_and_which_were_trained_here(folders, tmp_path):
    shipped = folders._replace(shipped=(tmp_path / "records.npz", tmp_path / "new"), out=tmp_path / "out")
    first, second, third = (planned(folders)[0].found[seed] for seed in range(3))
    shipped.shipped[0].write_bytes(packed.pack({"one": [first]}))
    records.write(shipped.shipped[1], ONE, [second, {**first, "core_seconds": -1}])
    records.write(shipped.data, ONE, [third])
    jobs = planned(shipped, seeds=5)
    assert {**jobs[0].found[0], "file": None} == {**first, "file": None}  # the first place that has it
    head, one, two = machinery.described(jobs, 2, shipped)
    assert head.startswith("7 seeds to train, about ")
    assert " 20 iterations, seeds 0-1 came with the code; 2 trained here; 3-4 to train: " in one
    assert " 20 iterations, seeds 0-4 to train: " in two
    assert "seeds 0-2 trained here" in machinery.described(planned(folders), 2, folders)[1]
    assert machinery.spans([0, 2, 3, 7]) == "0, 2-3, 7"


def test_what_an_arm_took_corrects_the_estimate_for_others_of_its_kind(folders):
    one, two = planned(folders)
    for record in one.found.values():
        record["core_seconds"] = 7.0
    waiting = two._replace(found={}, missing=[0, 1, 2])
    assert machinery.expected(PAPER, [one, waiting]) == pytest.approx([0.0, 3 * 7.0])
    other_kind = waiting._replace(arm=replace(waiting.arm, preset="paper"))
    assert machinery.expected(PAPER, [one, other_kind]) == pytest.approx([0.0, 3 * 20 * 0.1 * 4 / 32])


def test_records_hold_curves_and_last_policies(folders):
    record = planned(folders)[0].found[1]
    assert record["curve"]["iteration"] == list(range(1, 21))
    assert len(record["curve"]["return"]) == len(record["curve"]["right"]) == len(record["curve"]["env_steps"]) == 20
    assert all(x is not None for x in (*record["curve"]["return"], *record["curve"]["right"]))
    assert record["last"]["sampled"].keys() > record["last"]["greedy"].keys() >= {"return", "right"}
    assert record["episodes"] == 320
    assert record["settings"]["task"]["bonus"] == 1
    assert record["config_hash"] == planned(folders)[0].found[2]["config_hash"]
    assert record["config_hash"] != planned(folders)[1].found[1]["config_hash"]
    assert record["core_seconds"] > 0
    assert record["versions"]["jax"]


def test_trials_are_of_the_same_policy_in_another_game(folders):
    """The game pays `bonus` times as much there."""
    record = planned(folders)[0].found[1]
    sampled = record["last"]["sampled"]
    assert sampled["rich:right"] == pytest.approx(sampled["right"], abs=0.25)
    assert sampled["rich:return"] == pytest.approx(sampled["rich:right"] * 3, rel=1e-3)
    rich = records.curve(record, "rich:return")
    assert len(rich) == 20
    assert rich[-1] > rich[0]  # it learns
    assert Measure("rich:return")(record) == pytest.approx(rich[-2:].mean())
    assert Measure("rich:return", "last")(record) == sampled["rich:return"]
    assert not any(name.startswith("rich") for name in record["last"]["greedy"])
    two = planned(folders)[1].found[1]
    assert not any(":" in name for name in (*two["curve"], *two["last"]["sampled"]))


@pytest.mark.parametrize("greedy", [False, True])
def test_a_trial_is_played_greedily_where_it_says_so(greedy):
    asked = []

    def act(key, state, memory, observation, explore=True):
        asked.append(explore)
        return jnp.zeros(2, jnp.int32) if observation.view.ndim == 2 else jnp.zeros((2, 2), jnp.int32), memory, {}

    algorithm = SimpleNamespace(act=act, memory=())
    recipe: Any = SimpleNamespace(config=None, env=recipe_of(ONE).env, make=lambda config, env: algorithm)
    jax.eval_shape(trials.played(recipe, Trial(greedy=greedy), 2), jax.random.key(0), ())
    assert set(asked) == {not greedy}


def test_a_trial_has_as_many_episodes_as_it_says():
    assert trials.sizes(Trial(), "point", False) == (32, 64)
    assert trials.sizes(Trial(episodes=96), "last", False) == (32, 96)
    assert trials.sizes(Trial(once=5), "last", False) == (5, 5)
    assert trials.sizes(Trial(episodes=96), "point", True) == (4, 4)


def test_curves_are_of_evaluations_only_where_there_is_one_at_every_point():
    lines = [{"iteration": i, "env_steps": 10 * i, "success": 0.1 * i, "loss": 1.0} for i in range(1, 5)]
    played = [{"iteration": i, "mean": {"success": 0.5, "distance": None if i == 2 else 2.0}} for i in range(5)]
    assert records.thinned(lines, played, ["success", "distance", "loss"]) == {
        "iteration": [1, 2, 3, 4],
        "env_steps": [10, 20, 30, 40],
        "success": [0.5] * 4,
        "distance": [2.0, None, 2.0, 2.0],
        "loss": [1.0] * 4,
    }
    last_only = records.thinned(lines, played[-1:], ["success", "distance"])
    assert last_only["success"] == [0.1, 0.2, 0.3, 0.4]
    assert "distance" not in last_only
    many = [{**lines[0], "iteration": i, "success": i % 2} for i in range(1, 201)]
    assert records.thinned(many, [], ["success"])["success"] == [0.5] * 100
    spiky = [{**line, "success": 0.5 if i == 7 else 0.0, "loss": -float(i == 9)} for i, line in enumerate(many)]
    extremes = ["largest_success_deviation", "smallest_loss", "largest_gone"]
    found = records.thinned(spiky, [], extremes)
    assert [found[x][3:5] for x in extremes[:2]] == [[0.5, 0.0], [0.0, -1.0]]  # the means of a point hide half of both
    assert "largest_gone" not in found
    kept = {"curve": {"success": [0.25], "iteration": [1]}}
    assert records.curve(kept, "success_deviation") == [0.75**0.5 / 2]


def test_shipped_records_are_found_and_fresh_leaves_them_out(folders, tmp_path):
    elsewhere = Folders((folders.data,), tmp_path, tmp_path / "runs")
    assert all(not job.missing for job in planned(elsewhere))
    assert [job.missing for job in planned(elsewhere, fresh=True)] == [[0, 1, 2], [0, 1, 2]]


def test_a_seed_alone_gives_the_record_it_has_among_others(folders, tmp_path):
    here = Folders((), tmp_path, tmp_path / "runs")
    jobs = planned(here, [OTHER], seeds=1)
    trained(jobs, here)
    alone, among = jobs[0].found[0], planned(folders)[0].found[0]
    assert alone["curve"] == among["curve"]
    assert alone["last"] == among["last"]


def test_what_was_stopped_goes_on(folders, tmp_path):
    here = Folders((), tmp_path, tmp_path / "runs")
    jobs = planned(here, [OTHER])
    assert trained(jobs, here, minutes=1e-6) == ["one"]
    assert not here.data.exists()
    jobs = planned(here, [OTHER])
    assert jobs[0].missing == [0, 1, 2]
    assert trained(jobs, here) == []
    assert len(list((tmp_path / "runs").glob("*/*/*/*/config.yaml"))) == 1  # the same run, not a second one
    assert jobs[0].found[2]["curve"] == planned(folders)[0].found[2]["curve"]


@pytest.fixture
def copied(folders, tmp_path):
    """(folders without records, the copied run directory of arm `one`, trained to its end)."""
    shutil.copytree(folders.runs, tmp_path / "runs")
    (path,) = (tmp_path / "runs" / "one-20").glob("*/*/*/config.yaml")
    return Folders((), tmp_path, tmp_path / "runs"), RunDirectory(path.parent)


def test_a_seed_that_is_not_finite_has_no_record_and_is_told_of(copied):
    here, run = copied
    run.keep("eval.jsonl", lambda line: line["seed"] != 1 or line["which"] == "periodic")
    run.write_manifest({**run.manifest(), "status": "failed", "not_finite": {"1": "actor.weight"}})
    jobs, said = planned(here, [OTHER]), []
    assert machinery.train_missing(jobs, PAPER, here, None, said.append, silent, "laptop") == []
    assert list(planned(here, [OTHER])[0].found) == [0, 2]
    assert any("seeds 1 became not finite" in line for line in said)
    jobs = planned(here, [OTHER])  # later, from the files
    assert jobs[0].lost == (1,)
    machinery.train_missing(jobs, PAPER, here, None, said.append, silent, "laptop")
    assert len(records.lines(here.data / "one.lost")) == 1  # noted once
    (label,) = lost = machinery.lost_of(PAPER, OTHER, "laptop", jobs)
    files = machinery.write_figure(
        PAPER, OTHER, "laptop", machinery.results(PAPER, OTHER, "laptop", jobs), here.out, lost
    )
    (about,) = (json.loads(file.read_text()) for file in files if file.suffix == ".json")
    assert (about["arms"][label]["seeds"], about["arms"][label]["lost"]) == ([0, 2], [1])
    assert f"in no test, curve or mean: {label}: 1 of 3." in files[-1].read_text()
    assert planned(here, [OTHER._replace(budgets=FIGURE.budgets)], seeds=1)[0].lost == (1,)


def test_seeds_that_were_stopped_halfway_are_no_records(copied, monkeypatch):
    """One seed is not finite and the clock stopped the others at half of their training."""
    here, run = copied
    half = [{**line, "iteration": 10} if line["which"] != "periodic" else line for line in run.lines("eval.jsonl")]
    (run.path / "eval.jsonl").write_text("".join(json.dumps(x) + "\n" for x in half if x["seed"] != 1))
    run.write_manifest({**run.manifest(), "iterations_done": 10, "not_finite": {"1": "actor.weight"}})
    assert records.of_run(run.path, recipe_of(ONE), Budget(3, 20, envs=4), PAPER.kept) == []

    def stopped(*_):
        raise NotFinite("not finite: actor.weight of seed 1", run)

    monkeypatch.setattr("comity.training.loop.resume", stopped)
    assert trained(planned(here, [OTHER]), here) == ["one"]
    assert not here.data.exists()


def test_a_run_without_its_last_evaluations_is_completed(copied):
    """Killed after the last chunk, before the last policies played: as many iterations as planned, and not whole."""
    here, run = copied
    whole = sorted(map(json.dumps, run.lines("eval.jsonl")))
    run.keep("eval.jsonl", lambda line: line["which"] == "periodic")
    assert trained(planned(here, [OTHER]), here) == []
    assert list(planned(here, [OTHER])[0].found) == [0, 1, 2]
    assert sorted(map(json.dumps, run.lines("eval.jsonl"))) == whole


def test_a_point_of_trials_that_was_cut_off_is_made_again(copied, monkeypatch):
    here, run = copied
    first, call = [], Seeds.call
    told = lambda *what: first.append(what[2][2]) or call(*what)  # noqa: E731
    monkeypatch.setattr(Seeds, "call", told)
    whole = run.lines("trials.jsonl")
    path = run.path / "trials.jsonl"
    rows = path.read_text().splitlines(keepends=True)
    last = [i for i, line in enumerate(whole) if line["which"] == "last"]
    path.write_text("".join(rows[: last[-1]]) + rows[last[-1]][:20])  # the last trial's last seed is half there
    trained(planned(here, [OTHER]), here)
    assert run.lines("trials.jsonl") == whole
    assert first == [*range(0, 320, 32)] * 2  # of two trials: numbers of episodes go on from batch to batch


def test_records_on_a_full_disk_are_written_whole_or_not_at_all(folders, tmp_path):
    some = [json.loads(line) for line in (folders.data / "one.jsonl").read_text().splitlines()]
    path = records.write(tmp_path, ONE, some[:1])
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, limits[1]))
    try:
        with pytest.raises(OSError, match=r"cannot write .*one\.jsonl: 100 of \d+ bytes fit on the disk"):
            records.write(tmp_path, ONE, some[1:2])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("cut", "seeds"), [(20, [0, 2]), (-1, [0, 1, 2])])
def test_a_last_line_that_was_cut_off_does_no_harm(folders, tmp_path, cut, seeds):
    """cut: where; -1: only its end is missing."""
    some = [json.loads(line) for line in (folders.data / "one.jsonl").read_text().splitlines()]
    path, budget = records.write(tmp_path, ONE, some[:1]), Budget(3, 20, envs=4)
    with path.open("a") as file:
        file.write((folders.data / "one.jsonl").read_text().splitlines(keepends=True)[1][:cut])
    assert list(records.read([tmp_path], ONE, budget)) == seeds[:-1]
    records.write(tmp_path, ONE, some[2:])
    assert list(records.read([tmp_path], ONE, budget)) == seeds


def test_a_figure_none_of_whose_panels_shows_what_there_is(folders, tmp_path):
    hidden = FIGURE._replace(panels=(Panel("return", "return", ("two",)),))
    found = {"one": list(planned(folders)[0].found.values()), "two": []}
    files = machinery.write_figure(PAPER, hidden, "laptop", found, tmp_path)
    assert {f.name for f in files} == {"fig1.csv", "fig1.claims.json", "fig1.md"}


def test_a_panel_may_draw_means_of_neighbours():
    curve = {"iteration": [2, 4, 6, 8, 10], "env_steps": [20, 40, 60, 80, 100], "success": [0.0, 0.4, 0.2, 1.0, 0.6]}
    found: dict = {"all": [{"curve": curve}, {"curve": {**curve, "success": [0.5] * 5}}]}
    steps, values = machinery.curves_of(Panel("success", "%", scale=100, points=2), found)["all"]
    assert steps.tolist() == [60, 100]
    assert values.ravel().tolist() == pytest.approx([20, 80, 50, 50])
    for points in (None, 5, 9):
        steps, values = machinery.curves_of(Panel("success", "%", points=points), found)["all"]
        assert (steps.tolist(), values[0].tolist()) == (curve["env_steps"], curve["success"])


def test_seeds_are_asked_for_at_every_scale(tmp_path):
    jobs = machinery.plan(PAPER, [OTHER], "smoke", Folders((), tmp_path, tmp_path), seeds=5)
    assert jobs[0].missing == [0, 1, 2, 3, 4]


def test_a_record_is_of_the_settings_it_was_made_with(folders):
    budget = Budget(3, 20, envs=4)
    assert len(records.read([folders.data], ONE, budget)) == 3
    assert not records.read([folders.data], ONE, budget._replace(iterations=21))
    assert not records.read([folders.data], ONE, budget._replace(envs=8))
    assert not records.read([folders.data], replace(ONE, options={"bonus": 3.0}), budget)


def test_settings_that_came_later_count_as_their_defaults(folders):
    recipe = recipe_of(ONE)
    wanted = json.loads(json.dumps(records.settings(recipe, Budget(3, 20, envs=4))))
    given = records.defaults(recipe)
    older = {**wanted, "task": {k: v for k, v in wanted["task"].items() if k != "bonus"}}
    assert records.same(older, wanted, given)
    assert not records.same(older, {**wanted, "task": {**wanted["task"], "bonus": 2.0}}, given)
    assert records.same(older, {**wanted, "task": {**wanted["task"], "bonus": 2.0}}, given, frozenset({"bonus"}))
    newer = {**wanted, "task": {**wanted["task"], "unheard_of": 1}}
    assert not records.same(newer, wanted, given)


def test_a_damaged_line_is_named(folders, tmp_path):
    (tmp_path / "one.jsonl").write_text('{"settings": {}\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"one\.jsonl, line 1, is not JSON"):
        records.read([tmp_path], ONE, Budget(3, 20, envs=4))


def test_what_is_written(folders, tmp_path):
    jobs = planned(folders)
    found = machinery.results(PAPER, FIGURE, "laptop", jobs)
    files = machinery.write_figure(PAPER, FIGURE, "laptop", found, tmp_path)
    assert {f.name for f in files} == {"fig1.png", "fig1.svg", "fig1.csv", "fig1.claims.json", "fig1.md"}
    about = json.loads((tmp_path / "fig1.claims.json").read_text())
    (claim,) = about["claims"]
    assert claim["verdict"] == machinery.verdicts_of(FIGURE, found)[0][1]
    (test,) = claim["tests"]
    assert len(test["values"]["first"]) == 3
    assert about["arms"]["one"]["seeds"] == [0, 1, 2]
    rows = (tmp_path / "fig1.csv").read_text().splitlines()
    assert rows[0] == "arm,seed,iteration,env_steps,return"  # what is drawn and tested
    assert len(rows) == 1 + 2 * 3 * 20
    asked = ["right - return", "nothing", "rich:return"]
    tried = machinery.to_csv(tmp_path / "tried.csv", found, asked).read_text().splitlines()
    assert tried[0] == "arm,seed,iteration,env_steps,right - return,rich:return"
    point = found["one"][0]["curve"]
    assert float(tried[1].split(",")[4]) == pytest.approx(point["right"][0] - point["return"][0], rel=1e-3, abs=1e-4)
    assert tried[-1].endswith(",")  # two has no such trial
    table = (tmp_path / "fig1.md").read_text()
    statement, first, second, size, verdict = table.splitlines()[5].strip("| ").split(" | ")
    assert table.splitlines()[4].startswith("| **more**: Two earns more. Since 2026-01-01. | | | | **")
    assert statement == "return, mean, 90 to 100 % of training: A above B by 0.1 or more"
    values = test["values"]["first"], test["values"]["second"]
    assert (first, second) == tuple(f"{k}: {sum(x) / 3:.3g} (3)" for k, x in zip(("two", "one"), values, strict=True))
    assert size.startswith(f"{test['estimate']:.3g} [{test['low']:.3g}, ")
    assert verdict.startswith(test["verdict"])
    assert test["p_exact"] >= 1 / 20
    assert claim["counts"] == {claim["verdict"]: 1}
    first, *beside = spoken(machinery.verdicts_of(FIGURE, found))
    assert first == f"  {claim['verdict']:<19} more: Two earns more."
    assert [line.strip() for line in beside] == [claim["details"]] * bool(claim["details"])
    assert "| arm | seeds | rounds | hours | right | rich:return |" in table
    assert re.search(r"^\| two \| 3 \| [\d,]+ \| [^|]+ \| [^|]+ \|  \|$", table, re.M)  # of two there was no such trial
    again = machinery.write_figure(PAPER, FIGURE, "laptop", found, tmp_path / "again")
    assert [f.read_bytes() for f in again] == [f.read_bytes() for f in files]  # the same records, the same files


def test_tables_say_what_was_trained_with_what_and_for_how_long(folders):
    """Hours of CPUs and accelerators apart, seeds by the versions that trained them."""
    jobs = planned(folders)
    found = machinery.results(PAPER, FIGURE, "laptop", jobs)
    for record in found["one"]:
        record["core_seconds"] = 5400.0
    found["one"][2].update(bits={"pool": None}, versions={"jax": "0.11.2"}, commit="f" * 40)
    found["two"] = []
    table = machinery.markdown(FIGURE, "laptop", found, [], PAPER)
    assert "\n| one | 3 | 20 | 3 core + 1.5 device |" in table
    assert "\n| two | 0 | | | " in table
    of_device, of_cpu = table.splitlines()[-2:]
    assert of_cpu.startswith("- 2 by python 3.")
    assert of_device == "- 1 by jax 0.11.2; commits ffffffffff"


def test_ends_are_drawn_of_arms_beside_what_they_are_held_against(folders, tmp_path, monkeypatch):
    drawn: list = []
    monkeypatch.setattr("comity.report.ends.draw_ends", lambda *what: drawn.append(what) or [what[0]])
    named = {"one": "first", "two": "second"}
    ends = Ends(Measure("return", "peak", (0.0, 1.0)), "return (%)", named, {"two": "one"}, 100)
    figure = FIGURE._replace(panels=(Panel("right", "right"),), claims=(), ends=(ends,))
    jobs = planned(folders)
    found = machinery.results(PAPER, figure, "laptop", jobs)
    assert tmp_path / "fig1-ends.png" in machinery.write_figure(PAPER, figure, "laptop", found, tmp_path)
    ((_, title, [(words, rows, rounding)], caption),) = drawn
    assert (title, words, rounding) == ("A figure", "return (%)", 0)
    assert rows["first"].learner == ONE.algorithm
    peaks = {label: [100 * max(x["curve"]["return"]) for x in some] for label, some in found.items()}
    assert rows["first"][0].tolist() == rows["second"][1].tolist() == pytest.approx(peaks["one"])
    assert rows["second"][0].tolist() == pytest.approx(peaks["two"])
    assert rows["first"][1].size == 0
    assert "largest, 0 to 100 % of training" in caption
    assert (tmp_path / "fig1.csv").read_text().startswith("arm,seed,iteration,env_steps,right,return\n")
    assert machinery.ends_of(ends, figure, {})["first"][0].size == 0  # nothing there yet
    random = figure._replace(arms={label: replace(arm, learner="random") for label, arm in figure.arms.items()})
    assert machinery.pictures(PAPER, random, found, "A figure", tmp_path) == []  # nothing that has learned
    assert machinery.rounding(ends._replace(measure=Measure("success"))) == 0.05  # of percent


def test_the_title_is_the_finding_as_long_as_its_verdicts_stand(folders, tmp_path, monkeypatch):
    found = machinery.results(PAPER, FIGURE, "laptop", planned(folders))
    ((_, verdict, _),) = verdicts = machinery.verdicts_of(FIGURE, found)
    finding = FIGURE._replace(finding=Finding("Two earns more", {"more": verdict}))
    drawn: list = []
    monkeypatch.setattr("comity.report.panels.draw_panels", lambda *what, **more: drawn.append((what, more)) or [])
    for figure in (finding, FIGURE, FIGURE._replace(finding=Finding("Two earns more", {"more": "another"}))):
        machinery.pictures(PAPER, figure, found, machinery.heading(figure, verdicts), tmp_path)
    assert [what[1] for what, _ in drawn] == ["Two earns more", "A figure", "A figure"]
    assert [what[4].startswith("A figure. Seeds: 3; 20 rounds.") for what, _ in drawn] == [True, False, False]
    assert drawn[0][1]["budgets"] == {"one": "20 rounds", "two": "20 rounds"}


def test_figures_without_records_are_written_too(tmp_path):
    here = Folders((), tmp_path, tmp_path / "runs")
    found = machinery.results(PAPER, FIGURE, "laptop", planned(here))
    files = machinery.write_figure(PAPER, FIGURE, "laptop", found, tmp_path)
    assert {f.name for f in files} == {"fig1.claims.json", "fig1.md"}
    assert json.loads((tmp_path / "fig1.claims.json").read_text())["claims"][0]["verdict"] == "open"
    assert "| two (0) | one (0) | - | open (fewer than three seeds) |" in (tmp_path / "fig1.md").read_text()


def test_two_arms_of_one_name_are_refused(tmp_path):
    clash = FIGURE._replace(arms={"one": ONE, "two": replace(TWO, name="one")})
    with pytest.raises(ValueError, match="called one and differ"):
        planned(Folders((), tmp_path, tmp_path / "runs"), [clash])


def test_a_narrator_tells_of_several_runs(capsys):
    """Its pace is that of the run it tells of, not of the one before."""
    from comity.training.progress import Narrator

    narrator = Narrator(Console(stderr=True, width=200))
    narrator.took, narrator.elapsed = [(1, 1.0)], 1e4
    recipe, training = recipe_of(ONE), machinery.Training(seeds=1)
    facts = {"recipe": recipe, "training": training, "directory": Path("nowhere"), "mode": "loop", "workers": 1}
    narrator("header", {**facts, "resuming": False, "numbers": 1, "env_steps": 1})
    chunk = {
        "elapsed": 5.0,
        "iteration": 10,
        "iterations": 20,
        "count": 10,
        "seconds": 2.0,
        "env_steps": 1.0,
        "metrics": {},
        "evaluating": 0.0,
        "left": 7.0,
        "limit": None,
        "steps": 1.0,
        "seeds": 1,
    }
    narrator("chunk", chunk)
    assert "about 9 s to go (200 ms per iteration of all seeds; 7 s of it evaluation)" in capsys.readouterr().err
