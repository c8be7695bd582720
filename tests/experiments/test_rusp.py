"""The figures of RUSP: that arms and trials are what their labels say, and that all of it runs from end to end."""

import json
import os
import subprocess
import sys

import jax
import numpy as np

from comity.experiments.figure import recipe_of
from comity.experiments.reproduce import SMOKE
from comity.experiments.rusp.groups import INDIRECT
from comity.experiments.rusp.ipd import FIG3, FIG8, FIG9, RUSP
from comity.experiments.rusp.paper import PAPER, smoke
from comity.experiments.trials import played

QUICK = {"XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"}


def test_arms_are_what_their_labels_say():
    games = {label: recipe_of(arm).env for label, arm in FIG3.arms.items()}
    for label, env in games.items():
        assert env.payoffs == (2.0, -2.0, 4.0, 0.0)  # pyright: ignore[reportAttributeAccessIssue]
        if label.startswith("RUSP"):
            assert env.uncertainty == float(label.split()[1])  # pyright: ignore[reportAttributeAccessIssue]
    assert {label: env.sharing for label, env in games.items() if env.sharing != "teams"} == {  # pyright: ignore
        "selfish": "selfish",
        "no teams": "full",
    }
    shared = {label: recipe_of(arm).env for label, arm in FIG8.arms.items()}
    for label, env in shared.items():
        said = [f"{env.levels} levels", f"{env.noises} noises"]  # pyright: ignore[reportAttributeAccessIssue]
        assert label == ", ".join(said)
    versions = {label: recipe_of(arm).config.versions for label, arm in FIG9.arms.items()}
    assert versions == {"past play, 10 %": 64, "no past play": 0}
    assert {recipe_of(arm).config.chunk for arm in INDIRECT.arms.values()} == {20}


def test_in_a_trial_the_last_agent_is_the_partner_and_rewards_are_each_ones_own():
    """Against all-d, d = 0.0, who cooperates earns -2 and gives 4."""
    arm = smoke(RUSP)
    recipe = recipe_of(arm)
    state = recipe.make(recipe.config, recipe.env).init(jax.random.key(0))
    values = jax.jit(played(recipe, RUSP.trials["all-d"], 8))(jax.random.key(1), state)
    cooperation, returns = np.asarray(values["cooperation"]), np.asarray(values["return"])
    np.testing.assert_array_equal(cooperation[:, 1], 0)
    assert 0 < cooperation[:, 0].mean() < 1
    np.testing.assert_allclose(returns, np.stack([-2 * cooperation[:, 0], 4 * cooperation[:, 0]], -1)
                               * np.asarray(values["length"])[:, None], atol=1e-5)  # fmt: skip
    np.testing.assert_allclose(values["raw_return"], returns)


def test_every_figure_runs_at_smoke_scale(tmp_path):
    """From the command line, in one go."""
    command = [sys.executable, "-m", "comity", "reproduce", "rusp", "--scale", "smoke", "--out", str(tmp_path)]
    done = subprocess.run(command, env={**os.environ, **QUICK}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "not finished" not in done.stdout
    for name, figure in PAPER.figures.items():
        assert (tmp_path / f"{name}.png").stat().st_size > 5_000
        about = json.loads((tmp_path / f"{name}.claims.json").read_text())
        assert set(about["arms"]) == set(figure.smoke or figure.arms)
        assert all(len(arm["seeds"]) == SMOKE.seeds for arm in about["arms"].values())
        assert [claim["name"] for claim in about["claims"]] == [claim.name for claim in figure.claims]
    (record, _) = map(json.loads, (tmp_path / "data" / "ipd-rusp-smoke.jsonl").read_text().splitlines())
    assert len(record["curve"]["all-d:cooperation.0"]) == len(record["curve"]["iteration"]) == SMOKE.iterations
    assert None not in record["curve"]["all-d:cooperation.0"]
