"""Finding and reading run directories."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from comity.report import exports
from comity.report.exports import rliable
from comity.report.labels import labels
from comity.report.study import gather, read
from comity.report.table import Table
from comity.report.words import spans
from comity.runs.saved import find, open_run, records


def test_import_is_light():
    heavy = ("jax", "matplotlib", "rich", "scipy")
    code = f"import comity.report.compare, sys; print([name for name in {heavy} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_find_directory_glob_latest_and_list(make_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    a = make_run("20260101-120000_a", iterations=30)
    b = make_run("20260102-120000_b", iterations=30, algorithm="coma")
    c = make_run("20260101-130000_c", iterations=30)
    relative = [path.relative_to(tmp_path) for path in (a, b, c)]
    assert find(a) == [a]
    assert find(relative[0] / "config.yaml") == [relative[0]]
    assert find("latest") == [relative[1]]
    assert find("runs") == sorted(relative)
    assert find("manitokan/pg") == [relative[0], relative[2]]  # below the root
    assert find("runs/*/pg/*_c") == [relative[2]]
    assert find("*/coma") == [relative[1]]
    assert find([c, "latest", c]) == [c, relative[1]]
    make_run("20260103-120000_d", iterations=30, algorithm="vdn")
    assert find("latest")[0].name == "20260103-120000_d"


def test_find_says_what_is_near(make_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="comity train TASK ALGORITHM"):
        find("latest")
    make_run("20260101-120000_a", iterations=30)
    with pytest.raises(FileNotFoundError, match=r"no run 'manitokan/pq'; nearest: runs/manitokan/pg"):
        find("manitokan/pq")
    with pytest.raises(FileNotFoundError, match=r"no run matches 'runs/\*/qmix/\*'"):
        find("runs/*/qmix/*")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty holds no run"):
        find("empty")
    with pytest.raises(FileNotFoundError, match="no run given"):
        find([])


def test_read_is_tidy(make_run):
    run = make_run(seeds=(3, 5), scores=(0.2, 0.6), iterations=60)
    table = read(run)
    assert len(table) == 2 * 2 * (3 + 2)  # seeds, policies, three periodic ones, last and best
    names = "run task algorithm label seed iteration env_steps policy which episodes policy_iteration"
    assert list(table.columns) == [*names.split(), *table.metrics]
    assert table.metrics == ["success", "return", "return.0", "return.1"]
    row = table.where(seed=5, policy="greedy", which="last")
    assert len(row) == 1
    assert row["success"][0] == pytest.approx(0.3)
    assert row["env_steps"][0] == 60 * 4800
    assert row["episodes"][0] == 320
    assert table.unique("seed") == [3, 5]
    assert set(table["label"]) == {"pg"}
    assert len(table.where(which=["last", "best"])) == 8
    with pytest.raises(ValueError, match="no column 'sucess'; nearest: success"):
        table["sucess"]


def test_read_metrics_with_undefined_numbers(make_run):
    table = read(make_run(seeds=(0,), scores=(0.5,), iterations=60), source="metrics")
    assert len(table) == 6
    assert np.isnan(table["delay"][0])
    assert table["delay"][-1] == 12
    assert set(table["policy"]) == {"training"}
    with pytest.raises(ValueError, match="allowed are eval and metrics"):
        read(table["run"][0], source="evaluation")


def test_a_half_written_last_line_is_left_out(make_run):
    run = make_run(iterations=30)
    whole = len(read(run))
    path = run / "eval.jsonl"
    text = path.read_text()
    path.write_text(text + text.splitlines()[-1][:40])
    assert len(read(run)) == whole
    path.write_bytes((text + '{"seed": 0, "note": "é').encode()[:-1])  # cut inside a letter
    assert len(read(run)) == whole


def test_a_damaged_line_elsewhere_is_named(make_run):
    run = make_run(iterations=30)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    lines[1] = lines[1][:20]
    (run / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match=r"metrics\.jsonl, line 2, is not JSON"):
        read(run, source="metrics")
    (run / "metrics.jsonl").write_text('{"iteration": 1, "env_steps": 2}\n{"half')
    with pytest.raises(ValueError, match=r"line 1, has no 'seed'"):
        records(run / "metrics.jsonl")


def test_a_run_that_just_began(make_run):
    run = make_run(iterations=30)
    (run / "eval.jsonl").unlink()
    (run / "manifest.json").write_text('{"status": "run')
    assert len(read(run)) == 0
    assert open_run(run).status == "unknown"
    (run / "config.yaml").write_text("task: {name: ")
    with pytest.raises(ValueError, match=r"config\.yaml names no task and algorithm"):
        open_run(run)


def opened(*runs):
    return [open_run(run) for run in runs]


def test_labels_show_differences_only(make_run):
    a = make_run(iterations=30, task_fields={"observe": "last-action"})
    b = make_run(iterations=30)
    c = make_run(iterations=30, algorithm="coma", algorithm_fields={"learning_rate": 0.1})
    assert labels(opened(b)) == ["pg"]
    assert labels(opened(b, c)) == ["pg", "coma"]  # of another algorithm every field may differ
    assert labels(opened(a, b, c)) == ["pg · observe=last-action", "pg · observe=plain", "coma · observe=plain"]


def test_labels_ignore_bookkeeping_and_name_presets(make_run):
    bookkeeping = {"chunk": 5, "first_seed": 1, "final_episodes": 64, "mode": "vmap", "memory": 8.0}
    bookkeeping |= {"keep_every": 500, "cpu_seconds": 60.0}
    a = make_run(iterations=30, seeds=(0,), training_fields=bookkeeping)
    b = make_run(iterations=30, seeds=(1,))
    assert labels(opened(a, b)) == ["pg", "pg"]
    paper = {"preset": "paper", "learning_rate": 0.1}
    c = make_run(iterations=30, algorithm_fields=paper)
    d = make_run(iterations=30, algorithm_fields=paper | {"hidden": [64, 64]})
    assert labels(opened(a, c)) == ["pg · preset=sound", "pg · preset=paper"]
    assert labels(opened(a, c, d))[1:] == ["pg · preset=paper · hidden=(32)", "pg · preset=paper · hidden=(64,64)"]
    e = make_run(iterations=60)
    assert labels(opened(a, e)) == ["pg · iterations=30", "pg · iterations=60"]
    f = make_run(iterations=60, algorithm="coma", training_fields={"games": 8})
    assert labels(opened(a, f)) == ["pg · games=32", "coma · games=8"]


def test_a_run_that_started_from_another_is_no_run_from_scratch(make_run):
    """Also of the same seeds: both are kept. Runs from another iteration, or of the same name elsewhere, differ too."""

    def begun(path, iteration):
        run = make_run(seeds=(0,), scores=(0.5,), iterations=30, manifest={"initialised": {"iteration": iteration}})
        with open(run / "config.yaml", "a") as file:
            file.write(f"initialise: {path}\n")
        return run

    scratch, early, late = make_run(seeds=(0,), scores=(0.1,), iterations=30), begun("/a/x", 5), begun("/a/x", 9)
    assert labels(opened(early)) == ["pg"]
    assert labels(opened(scratch, early, late)) == [
        "pg · initialise=none",
        "pg · initialise=x@5",
        "pg · initialise=x@9",
    ]
    assert labels(opened(early, begun("/b/x", 5))) == ["pg · initialise=/a/x@5", "pg · initialise=/b/x@5"]
    study = gather([scratch, early])
    assert (len(study.labels), study.notes) == (2, ())
    tasks = rliable([scratch, early], "success")
    assert {name: scores.tolist() for name, scores in tasks.items()} == {
        "pg · initialise=none": [[0.1]],
        "pg · initialise=x@5": [[0.5]],
    }


def test_a_sweep_means_the_runs_of_its_rows(make_run, tmp_path):
    """Not those of rows that the study once had, nor those of values that failed; a row in training has its newest."""
    sweep = tmp_path / "sweeps" / "s"
    kept, begun, gone = (sweep / "rows" / (letter * 10) for letter in "abc")
    places = [kept / "draw-1" / "20260101_x", kept / "draw-2" / "20260102_x", gone / "20260101_x"]
    places += [begun / "20260101_x", begun / "20260102_x", sweep / "runs" / "20260103_again"]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(make_run(seeds=(0,), scores=(0.5,), iterations=30), place)
    (kept / "done.json").write_text(json.dumps({"status": "finished", "run": "draw-2/20260102_x"}))
    (gone / "done.json").write_text(json.dumps({"status": "finished", "run": "20260101_x"}))
    assert find(sweep) == sorted(places)
    names = [kept.name, begun.name, "../../..", "d" * 10]
    (sweep / "sweep.json").write_text(json.dumps({"rows": [{"name": name} for name in names]}))
    assert find(sweep) == find(tmp_path / "sweeps") == [places[1], places[4], places[5]]
    (kept / "done.json").write_text(json.dumps({"status": "failed", "run": "../../../elsewhere"}))
    assert find(sweep) == [places[4], places[5]]


def test_gather_pools_seeds_and_counts_none_twice(make_run):
    a = make_run(seeds=(0, 1), scores=(0.1, 0.2), iterations=30)
    b = make_run(seeds=(1, 2), scores=(0.3, 0.4), iterations=60, training_fields={"iterations": 30})
    study = gather([a, b])
    assert study.labels == ["pg"]
    last = study.table.where(which="last", policy="sampled")
    assert len(last) == 3
    assert dict(zip(last["seed"].tolist(), last["success"].tolist(), strict=True)) == {0: 0.1, 1: 0.3, 2: 0.4}
    assert study.notes == ("pg: seed 1 stands in several runs; the run that got further counts",)
    assert [run.path for run in study.members("pg")] == [a, b]
    mine = gather({"first": a, "second": b})
    assert mine.labels == ["first", "second"]
    assert mine.notes == ()


def test_gather_refuses_mixtures(make_run):
    a = make_run(iterations=30)
    b = make_run(iterations=30, task="manitokan@2")
    c = make_run(iterations=30, task="cleanup@1")
    d = make_run(iterations=30, manifest={"step_unit": "agent actions"})
    with pytest.raises(ValueError, match=r"versions of a task differ: manitokan@1 \(.*\) and manitokan@2"):
        gather([a, b])
    with pytest.raises(ValueError, match="tasks differ: manitokan@1"):
        gather([a, c])
    with pytest.raises(ValueError, match="step units differ: joint actions"):
        gather([a, d])


def test_metric_names(make_run):
    study = gather(make_run(iterations=30))
    assert study.metric() == "success"
    assert study.metric("return.1") == "return.1"
    with pytest.raises(ValueError, match="no metric 'retrun'; nearest: return"):
        study.metric("retrun")


def test_table_files(make_run, tmp_path):
    table = Table({"name": ["a,b", "c"], "x": [1.5, np.nan], "n": [1, 2]})
    assert table.to_csv(tmp_path / "t.csv").read_text().splitlines() == ["name,x,n", '"a,b",1.5,1', "c,,2"]
    assert repr(table).splitlines()[0] == "Table: 2 rows, 3 columns"
    assert "…" in repr(read(make_run()))
    with pytest.raises(ValueError, match="needs one length"):
        Table({"a": [1], "b": [1, 2]})
    try:
        import pyarrow.parquet  # pyright: ignore[reportMissingImports]
    except ImportError:
        with pytest.raises(ImportError, match=r"pyarrow is not installed: pip install pyarrow .*or use to_csv"):
            table.to_parquet(tmp_path / "t.parquet")
    else:
        assert pyarrow.parquet.read_table(table.to_parquet(tmp_path / "t.parquet")).num_rows == 2


def test_export_marl_eval(make_run, tmp_path):
    a = make_run(seeds=(0, 1), scores=(0.25, 0.75), iterations=60)
    b = make_run(seeds=(0, 1), algorithm="coma", iterations=60)
    data = json.loads(exports.marl_eval([a, b], tmp_path / "raw.json").read_text())
    assert list(data) == ["comity"]
    assert list(data["comity"]["manitokan@1"]) == ["pg", "coma"]
    seed = data["comity"]["manitokan@1"]["pg"]["seed_1"]
    assert list(seed) == ["step_0", "step_1", "step_2", "absolute_metrics"]
    assert seed["step_2"]["step_count"] == 60 * 4800
    assert np.mean(seed["step_2"]["success"]) == pytest.approx(0.75)
    assert len(seed["step_2"]["return"]) == 32  # agents averaged, one number per episode
    assert seed["step_2"]["return"][0] == pytest.approx(1.125)
    assert len(seed["absolute_metrics"]["success"]) == 320
    assert np.mean(seed["absolute_metrics"]["success"]) == pytest.approx(0.8)  # the best checkpoint, not the last
    unfinished = make_run(algorithm="vdn", final=False)
    with pytest.raises(ValueError, match="vdn on manitokan@1, seed_0: no final evaluation yet"):
        exports.marl_eval([a, unfinished], tmp_path / "raw.json")
    manifest = json.loads((unfinished / "manifest.json").read_text())
    (unfinished / "manifest.json").write_text(json.dumps({**manifest, "not_finite": {"0": "params.in"}}))
    with pytest.raises(ValueError, match="seed_0: no final evaluation, it became not finite"):
        exports.marl_eval([a, unfinished], tmp_path / "raw.json")


def test_export_marl_eval_leaves_undefined_metrics_out(make_run, tmp_path):
    run = make_run(seeds=(0,), iterations=30)
    path = run / "eval.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for i, line in enumerate(lines):
        line["values"]["delay"] = [None if i == 0 else 3.0] * line["episodes"]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    data = json.loads(exports.marl_eval(run, tmp_path / "raw.json").read_text())
    steps = data["comity"]["manitokan@1"]["pg"]["seed_0"]
    assert all(sorted(step) in (["return", "step_count", "success"], ["return", "success"]) for step in steps.values())


def test_export_rliable(make_run):
    runs = [
        make_run(task=task, algorithm=algorithm, seeds=(0, 1, 2), scores=scores, iterations=30)
        for task, algorithm, scores in (
            ("manitokan@1", "pg", (0.1, 0.2, 0.3)),
            ("manitokan@1", "coma", (0.0, 0.0, 0.1)),
            ("cleanup@1", "pg", (0.4, 0.5, 0.6)),
            ("cleanup@1", "coma", (0.7, 0.8, 0.9)),
        )
    ]
    found = exports.rliable(runs, "success")
    assert list(found) == ["pg", "coma"]
    np.testing.assert_allclose(found["pg"], [[0.1, 0.4], [0.2, 0.5], [0.3, 0.6]])
    with pytest.raises(ValueError, match="3 on manitokan@1, 0 on cleanup@1"):
        exports.rliable([runs[0], runs[1], runs[2]], "success")


def test_spans():
    assert spans([3, 0, 1, 7, 2]) == "0-3, 7"
