"""Properties of the figures of every paper: names, arms, claims, and the committed results."""

import importlib
import json
import re
from pathlib import Path

import jax
import pytest

from comity.experiments import FIGURES, PAPERS, packed, records
from comity.experiments import reproduce as machinery
from comity.experiments.figure import SCALES
from comity.experiments.records import GREEDY
from comity.experiments.reproduce import Folders
from comity.experiments.trials import played

DOCS = Path(__file__).parents[2] / "docs" / "papers"
ALL = {name: importlib.import_module(module).PAPER for name, (module, _) in PAPERS.items()}
DERIVED = {"residual.0", "residual.1", "success_deviation", "success_error"}
DERIVED |= {"policy_loss", "first_mover_gap", "best_alone"}


@pytest.mark.parametrize("name", ALL)
def test_the_registry_names_what_there_is(name):
    listed = [figure.partition("/")[2] for figure in FIGURES if figure.startswith(f"{name}/")]
    assert listed == list(ALL[name].figures)
    assert ALL[name].name == name


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ALL)
def test_every_arm_exists_and_arms_of_one_name_are_the_same(name, scale, tmp_path):
    paper = ALL[name]
    jobs = machinery.plan(paper, list(paper.figures.values()), scale, Folders((), tmp_path, tmp_path))
    assert len({job.name for job in jobs}) == len(jobs) > 0
    settings = [json.dumps(records.settings(job.recipe, job.budget), sort_keys=True) for job in jobs]
    if scale != "smoke":  # where all episodes are equally short
        assert len(set(settings)) == len(settings)  # no experiment under two names


@pytest.mark.parametrize("name", ALL)
def test_claims_panels_and_columns_speak_of_arms_trials_and_metrics_that_exist(name):
    paper = ALL[name]

    def exists(metric, arms):
        for part in re.split(" - | / ", metric):
            *trial, plain = part.removeprefix(GREEDY).removeprefix("root_").removeprefix("absolute_").split(":")
            assert plain in {*paper.kept, *DERIVED}, part
            for arm in arms:
                assert set(trial) <= set(arm.trials), (arm.name, part)

    for figure in paper.figures.values():
        names = [claim.name for claim in figure.claims]
        assert len(set(names)) == len(names), figure.name
        assert set(figure.smoke or ()) <= set(figure.arms), figure.name
        for panel in figure.panels:
            assert set(panel.arms or ()) <= set(figure.arms), figure.name
            exists(panel.metric, [figure.arms[label] for label in panel.arms or figure.arms])
        for claim in figure.claims:
            assert not claim.replaced_by or claim.replaced_by in names
            for test in claim.tests:
                labels = [side for side in (test.first, test.second) if isinstance(side, str)]
                assert set(labels) <= set(figure.arms), (figure.name, claim.name)
                exists(test.measure.metric, [figure.arms[label] for label in labels])
    for column in paper.columns:
        exists(column, [])


@pytest.mark.parametrize("name", ALL)
def test_every_arm_can_be_made_and_put_on_trial(name, tmp_path):
    """At the laptop's scale, with its sizes: what `make` refuses would stop a study half-way."""
    paper, tried = ALL[name], set()
    for job in machinery.plan(paper, list(paper.figures.values()), "laptop", Folders((), tmp_path, tmp_path)):
        if job.lacks:  # its row of the queue says so
            assert job.arm.task.startswith("mujoco:")
            assert "pip install mujoco" in job.lacks
            continue
        if (kind := job.arm.task.partition("/")[0]) != job.arm.task:  # maps of one game differ in sizes alone
            if (one := (kind, job.arm.algorithm, *job.arm.settings)) in tried:
                continue
            tried.add(one)
        state = jax.eval_shape(job.recipe.make(job.recipe.config, job.recipe.env).init, jax.random.key(0))
        assert jax.tree.leaves(state) or job.arm.algorithm == "random"
        for trial in job.arm.trials.values():
            what = kind, str(trial)
            if what not in tried:  # arms of one task have the same
                tried.add(what)
                values = jax.eval_shape(played(job.recipe, trial, 2), jax.random.key(0), state)
                if trial.probe:
                    assert values
                    assert all(x.shape == (2,) for x in values.values())
                else:
                    assert values["return"].shape == (2, job.recipe.env.spec.agents)


def committed(name, figure, folder):
    """Jobs of a figure with the packed records, at the scale that its committed verdicts are of."""
    path = DOCS / name / f"{figure}.claims.json"
    scale = json.loads(path.read_text())["scale"] if path.exists() else "laptop"
    where = Folders((packed.packed_file(PAPERS[name][0]),), folder, folder)
    return scale, machinery.plan(ALL[name], [ALL[name].figures[figure]], scale, where)


@pytest.mark.parametrize(("name", "figure"), [(name, figure) for name in ALL for figure in ALL[name].figures])
def test_verdicts_are_those_of_the_packed_records(name, figure, tmp_path):
    """claims.json and table are made again. A figure without claims.json has no page, and not all of its records.

    Of the packed records alone: new ones change a page when they are folded in, `python studies/pack.py`.
    """
    paper, folder = ALL[name], DOCS / name
    scale, jobs = committed(name, figure, tmp_path)
    path = folder / f"{figure}.claims.json"
    if not path.exists():
        pages = [file.name for file in folder.iterdir() if file.name.partition(".")[0] in (figure, f"{figure}-ends")]
        assert not (pages and jobs), f"{pages} without {path.name}"
        assert not jobs or any(job.missing for job in jobs), f"trained, but there is no {path.name}"
        return
    found = machinery.results(paper, paper.figures[figure], scale, jobs)
    lost = machinery.lost_of(paper, paper.figures[figure], scale, jobs)
    files = machinery.write_figure(paper, paper.figures[figure], scale, found, tmp_path, lost)
    assert json.loads((tmp_path / path.name).read_text()) == json.loads(path.read_text())
    assert (tmp_path / f"{figure}.md").read_text() == (folder / f"{figure}.md").read_text()
    assert all((folder / file.name).exists() for file in files if file.suffix == ".png")


@pytest.mark.parametrize("name", ALL)
def test_every_shipped_record_has_its_config_hash_and_commit(name):
    """Of the settings alone: curves are not hashed. Records from before 2026-11-29 got theirs on that day."""
    rows = packed.unpack(packed.packed_file(PAPERS[name][0])).rows()
    new = [record for path in packed.new_records(name).glob("*.jsonl") for record in records.lines(path)]
    shipped = [*new, *(record for some in rows.values() for record in some)]
    assert shipped
    for record in shipped:
        assert record["config_hash"] == records.config_hash(record["settings"])
        assert re.fullmatch("[0-9a-f]{40}", record["commit"])


def test_the_papers_pages_are_small_and_hold_what_is_read():
    """Records are packed inside the package; curves as CSV and SVG are made when somebody asks for them."""
    tracked = [file for file in DOCS.rglob("*") if file.is_file() and file.suffix not in (".csv", ".svg")]
    assert {file.suffix for file in tracked} == {".md", ".json", ".png"}
    assert sum(file.stat().st_size for file in tracked) < 6e6
    for module, _ in PAPERS.values():
        assert packed.packed_file(module).stat().st_size < 4e6
