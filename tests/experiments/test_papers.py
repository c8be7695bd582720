"""What holds for the figures of every paper: names, arms, claims, and the results that are committed."""

import importlib
import json
import re
from pathlib import Path

import jax
import pytest

from comity.experiments import FIGURES, PAPERS, records
from comity.experiments import reproduce as machinery
from comity.experiments.figure import SCALES
from comity.experiments.reproduce import Folders
from comity.experiments.trials import played

DOCS = Path(__file__).parents[2] / "docs" / "papers"
ALL = {name: importlib.import_module(module).PAPER for name, (module, _) in PAPERS.items()}
DERIVED = {"residual.0", "residual.1", "success_deviation", "success_error"}
DERIVED |= {"absolute_policy_loss", "absolute_first_mover_gap"}


@pytest.mark.parametrize("name", ALL)
def test_the_registry_names_what_there_is(name):
    listed = [figure.partition("/")[2] for figure in FIGURES if figure.startswith(f"{name}/")]
    assert listed == list(ALL[name].figures)
    assert ALL[name].name == name


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ALL)
def test_every_arm_exists_and_arms_of_one_name_are_the_same(name, scale, tmp_path):
    paper = ALL[name]
    jobs = machinery.plan(paper, list(paper.figures.values()), scale, Folders(None, tmp_path, tmp_path))
    assert len({job.name for job in jobs}) == len(jobs) > 0
    settings = [json.dumps(records.settings(job.recipe, job.budget), sort_keys=True) for job in jobs]
    if scale != "smoke":  # where all episodes are equally short
        assert len(set(settings)) == len(settings)  # no experiment under two names


@pytest.mark.parametrize("name", ALL)
def test_claims_panels_and_columns_speak_of_arms_trials_and_metrics_that_exist(name):
    paper = ALL[name]

    def exists(metric, arms):
        for part in metric.split(" - "):
            *trial, plain = part.split(":")
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
    for job in machinery.plan(paper, list(paper.figures.values()), "laptop", Folders(None, tmp_path, tmp_path)):
        state = jax.eval_shape(job.recipe.make(job.recipe.config, job.recipe.env).init, jax.random.key(0))
        assert jax.tree.leaves(state) or job.arm.algorithm == "random"
        for trial in job.arm.trials.values():
            what = job.arm.task, str(trial)
            if what not in tried:  # arms of one task have the same
                tried.add(what)
                values = jax.eval_shape(played(job.recipe, trial, 2), jax.random.key(0), state)
                assert values["return"].shape == (2, job.recipe.env.num_agents)


@pytest.mark.parametrize(
    ("name", "figure"), [(name, figure) for name, paper in ALL.items() for figure in paper.figures]
)
def test_verdicts_are_those_of_the_committed_results(name, figure, tmp_path):
    """claims.json, table and curves stand beside the records they were made of; here they are made again."""
    paper, folder = ALL[name], DOCS / name
    path = folder / f"{figure}.claims.json"
    if not path.exists():
        pytest.skip(f"no results of {name}/{figure} are committed yet")
    about = json.loads(path.read_text())
    jobs = machinery.plan(paper, [paper.figures[figure]], about["scale"], Folders(folder / "data", tmp_path, tmp_path))
    found = machinery.results(paper, paper.figures[figure], about["scale"], jobs)
    machinery.written(paper, paper.figures[figure], about["scale"], found, tmp_path)
    assert json.loads((tmp_path / path.name).read_text()) == about
    for kind in ("csv", "md"):
        assert (tmp_path / f"{figure}.{kind}").read_text() == (folder / f"{figure}.{kind}").read_text()


@pytest.mark.parametrize("name", ALL)
def test_every_committed_row_has_its_config_hash_and_commit(name):
    """Of the settings alone: curves are not hashed. Rows from before 2026-11-29 got theirs on that day."""
    for path in (DOCS / name / "data").glob("*.jsonl"):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            assert record["config_hash"] == records.config_hash(record["settings"]), path
            assert re.fullmatch("[0-9a-f]{40}", record["commit"]), path


@pytest.mark.parametrize("name", ALL)
def test_committed_rows_fit_into_20_megabytes_and_with_what_is_drawn_into_25(name):
    size = lambda folder: sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())  # noqa: E731
    assert 0 < size(DOCS / name / "data") < 20e6
    assert size(DOCS / name) < 25e6
