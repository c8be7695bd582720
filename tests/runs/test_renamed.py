"""Renamed settings: old configs, records and checkpoints keep their meaning."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import pytest

from comity.algorithms.policy_gradient import coma, pg
from comity.environments.matrix.ipd import IPD
from comity.environments.matrix.two_step import TwoStep
from comity.experiments import records
from comity.experiments.figure import Arm, Budget, recipe_of
from comity.recipes import Source, configs, from_config, from_objects, given
from comity.runs import sources
from comity.runs.renamed import as_now, saved_as
from comity.runs.trust import NOTHING
from comity.training import checkpoint
from tiny import learner, signals


def config(name: str, **values: Any) -> dict[str, Any]:
    return {"task": {"name": "two-step"}, "algorithm": {"name": name, **values}}


def test_only_names_that_are_gone_are_translated():
    assert as_now({"network": "attention", "hidden": 4}, {"core", "hidden"}) == {"core": "attention", "hidden": 4}
    assert as_now({"network": "mlp"}, {"core"}) == {"core": "none"}
    assert as_now({"network": "mlp"}, {"core", "network"}) == {"network": "mlp"}
    assert as_now({"network": "mlp"}, {"hidden"}) == {"network": "mlp"}  # a typing error stays one


@pytest.mark.parametrize(
    ("name", "network", "core"),
    [
        ("pg", "gru", "gru"),
        ("pg", "attention", "attention"),
        ("ippo", "attention", "attention"),
        ("mappo", "gru", "gru"),
        ("lica", "mlp", "none"),
        ("lica", "gru", "gru"),
        ("a2c", "hawk", "hawk"),
        ("coala", "hawk", "hawk"),
    ],
)
def test_an_old_config_still_loads(name, network, core):
    task = "two-step" if name != "coala" else "ipd+learners"
    recipe = from_config({"task": {"name": task}, "algorithm": {"name": name, "network": network}})
    known = {f.name for f in dataclasses.fields(recipe.config)}
    assert known & {"core", "network"}
    if "core" in known:
        assert recipe.config.core == core
    else:
        assert recipe.config.network == network


def test_an_old_config_is_held_against_what_a_user_gives(tmp_path):
    old = config("pg", network="attention")
    assert given(old, None, pg.Config(core="attention"), tmp_path, NOTHING).config.core == "attention"
    with pytest.raises(ValueError, match="core 'attention', the one given 'gru'"):
        given(old, None, pg.Config(), tmp_path, NOTHING)


def test_another_task_or_version_than_the_runs_is_refused(tmp_path):
    """A shipped game has one name; of a user's file the name may differ, and its version says if it is the same."""
    ours, other = config("pg", network="gru"), TwoStep()
    with pytest.raises(ValueError, match=r"the run's task is two-step@\d+, not ipd@\d+: give the one"):
        given({**ours, "task": from_objects(other, "pg").describe()["task"]}, IPD(), None, tmp_path, NOTHING)
    with pytest.raises(ValueError, match=r"the run's algorithm is pg, not coma@\d+: give the one"):
        given(ours, None, coma.Config(), tmp_path, NOTHING)
    task = from_objects(other, "pg").describe()["task"]
    assert given({**ours, "task": task}, other, None, tmp_path, NOTHING).env == other
    older = {**task, "name": "two-step@77"}
    with pytest.raises(ValueError, match=r"made with two-step@77, the one given is @\d+: its rules have changed"):
        given({**ours, "task": older}, other, None, tmp_path, NOTHING)


def test_a_users_file_may_have_been_moved(tmp_path):
    run = from_objects("manitokan", "pg").describe()
    mine, file = from_objects(signals.Signals(), learner.Config()).describe(), "elsewhere/signals.py:Signals"
    code = mine["task"]["name"].partition("@")[2]
    as_task = lambda name: {**run, "task": {**mine["task"], "name": name}}  # noqa: E731
    for config, env, algorithm, says in (
        (run, None, learner.Config(), r"the run's algorithm is pg@\d, not learner\.py@\w+: give"),
        (as_task(f"{file}@00000000"), signals.Signals(), None, r"comity\.load\(run, trust=True\), without env"),
        (as_task(f"{file}@{code}+1"), signals.Signals(), None, "its code has changed"),
    ):
        with pytest.raises(ValueError, match=says):
            given(config, env, algorithm, tmp_path, NOTHING)
    for name in (f"{file}@{code}", f"{file}@object", f"games.signals:Signals@{code}", "signals.py:Signals"):
        given(as_task(name), signals.Signals(), None, tmp_path, NOTHING)


def test_a_file_of_a_package_may_be_named_alone(tmp_path):
    """The hash of a file with imports depends on the folder that modules are searched in."""
    (tmp_path / "games").mkdir()
    for name, text in (("__init__", ""), ("own", "from . import help"), ("help", "")):
        (tmp_path / "games" / f"{name}.py").write_text(text)
    inside, alone = sources.of_module(tmp_path, "games/own.py"), sources.of_file(tmp_path / "games" / "own.py")
    source = Source("own.py", None, inside.version, {}, inside)
    assert inside.version != alone.version
    assert configs._same_version(alone.version, inside.version, source)
    assert not configs._same_version("00000000", inside.version, source)


@pytest.mark.parametrize(("network", "belongs"), [("attention", True), ("gru", False)])
def test_a_record_belongs_to_its_arm_under_the_old_name(network, belongs):
    arm = Arm("long", "pg", settings={"core": "attention"})
    recipe = recipe_of(arm)
    wanted = records.settings(recipe, Budget(1, 1))
    algorithm = {name: value for name, value in wanted["algorithm"].items() if name != "core"}
    old = {**wanted, "algorithm": {**algorithm, "network": network}}
    assert records.same(old, wanted, records.defaults(recipe)) == belongs


def test_arrays_of_old_checkpoints_are_found(tmp_path):
    """PG's terms, which were fields of its state; a predictor of PPO is one still."""
    file = tmp_path / "old.npz"
    once = {
        "average": {"score": jnp.ones(2), "success": jnp.full(2, 2.0)},
        "predictor": {"head": {"bias": jnp.full(3, 3.0)}, "opt_state": [jnp.full(3, 4.0)]},
    }
    checkpoint.save(file, {"state": once}, {})
    now = {"state": {"terms": [once["average"], once["predictor"]]}}
    average, predictor = checkpoint.load(file, now)[0]["state"]["terms"]
    found = *average.values(), predictor["head"]["bias"], predictor["opt_state"][0]
    assert [float(x[0]) for x in found] == [1.0, 2.0, 3.0, 4.0]
    assert float(checkpoint.load(file, {"state": once})[0]["state"]["average"]["success"][0]) == 2.0
    with pytest.raises(checkpoint.CorruptCheckpoint, match=r"unknown array state\.predictor"):
        checkpoint.load(file, {"state": {"terms": [once["average"]]}})


def test_names_of_today_come_first():
    assert saved_as(["terms.0.score"], ["terms.0.score", "average.score"]) == {"terms.0.score": "terms.0.score"}
    assert saved_as(["terms.0.score", "new"], ["average.score"]) == {"terms.0.score": "average.score"}


@pytest.mark.parametrize(
    ("now", "once"),
    [
        ("state.target_critics.net.layers.0.bias", "state.target_critics.layers.0.bias"),
        ("state.critic_opt_state.1.0.mu.net.net.layers.1.weight", "state.critic_opt_state.1.0.mu.net.layers.1.weight"),
        ("state.critic.net.rewards.bias", "state.critic.rewards.bias"),
        ("state.actor.encoder.weight", "state.actor.layers.0.weight"),
        ("state.actor_opt_state.1.0.nu.cell.layer.bias", "state.actor_opt_state.1.0.nu.layers.1.bias"),
        ("state.actor.head.bias", "state.actor.layers.2.bias"),
    ],
)
def test_networks_of_critics_and_actors_without_memory_are_found(now, once):
    assert saved_as([now], [once]) == {now: once}
    assert saved_as([now], [once, now]) == {now: now}


def test_the_network_of_mavens_chooser_is_found():
    chooser = "0.state.chooser_opt_state.0.mu.net.layers.0.bias"
    assert saved_as([chooser], [chooser.replace(".net", "")]) == {chooser: chooser.replace(".net", "")}
