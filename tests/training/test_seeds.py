"""The same seed gives the same bits, however seeds and iterations are divided; learning rates share one program."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from comity.algorithms.policy_gradient import pg
from comity.settings import floats
from comity.training.identity import differences
from comity.training.programs import programs
from comity.training.seeds import compiler_options
from tiny import learner, signals
from tiny.runs import arrays, assert_same_arrays, assert_same_run, of_seed, recipe, resumed, trained

ALL: dict[str, Any] = dict(
    evaluations=0
)  # evaluated at iteration 0 and the last only, so the grid does not depend on the chunk


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Three seeds in continuing play."""
    return trained(tmp_path_factory.mktemp("three"), seeds=3)


def lines_of(run, name, seed):
    return [line for line in run.lines(name) if line["seed"] == seed]


def test_same_seed_same_bits(three, tmp_path):
    assert_same_run(three, trained(tmp_path, seeds=3))


def test_another_seed_is_another_run(three):
    one, two = (arrays(three.checkpoints / f"best-{seed}.npz") for seed in (0, 1))
    assert not np.array_equal(one["params.in"], two["params.in"])


@pytest.mark.parametrize("seed", [0, 2])
def test_a_seed_alone_is_the_seed_among_several(three, tmp_path, seed):
    """In a loop, as on CPUs, bit for bit: it is the same program."""
    alone = trained(tmp_path, seeds=1, first_seed=seed)
    assert_same_arrays(of_seed(three.saved()[-1], seed), of_seed(alone.saved()[-1], seed))
    assert_same_arrays(*(arrays(run.checkpoints / f"best-{seed}.npz") for run in (three, alone)))
    for name in ("metrics.jsonl", "eval.jsonl"):
        assert lines_of(three, name, seed) == lines_of(alone, name, seed)


@pytest.mark.parametrize("seeds", [(3, 0), (1, 2)])
def test_as_one_batch_up_to_rounding(three, tmp_path, seeds):
    """With vmap, as on accelerators: sums run in another order, so floats agree to about 1e-5 after 8 updates; once a
    rounding flips an action the games part, so this is held for short runs only."""
    count, first = seeds
    run = trained(tmp_path, seeds=count, first_seed=first, mode="vmap")
    for seed in range(first, first + count):
        one, two = of_seed(three.saved()[-1], seed), of_seed(run.saved()[-1], seed)
        for name, x in one.items():
            kind = x.dtype.kind
            np.testing.assert_allclose(x, two[name], *((1e-4, 1e-5) if kind == "f" else (0, 0)), err_msg=name)
        for a, b in zip(lines_of(three, "metrics.jsonl", seed), lines_of(run, "metrics.jsonl", seed), strict=True):
            assert a.keys() == b.keys()
            assert a["env_steps"] == b["env_steps"]


@pytest.mark.parametrize("whole", [False, True])
def test_chunks_of_any_size(tmp_path, whole):
    """10 x 1, 5 x 2 and 1 x 10 iterations are one run; its metrics are the means over each chunk."""
    one = recipe(learner.Config(whole_episodes=whole))
    runs = [trained(tmp_path / str(c), one, iterations=10, chunk=c, **ALL) for c in (1, 2, 10)]
    for run in runs[1:]:
        assert_same_arrays(arrays(runs[0].saved()[-1]), arrays(run.saved()[-1]))
        assert run.lines("eval.jsonl") == runs[0].lines("eval.jsonl")
    singly, jointly = lines_of(runs[0], "metrics.jsonl", 0), lines_of(runs[2], "metrics.jsonl", 0)
    assert [line["iteration"] for line in singly] == list(range(1, 11))
    assert [line["iteration"] for line in jointly] == [10]
    assert jointly[0]["env_steps"] == singly[-1]["env_steps"]
    assert jointly[0]["loss"] == pytest.approx(np.mean([line["loss"] for line in singly]), rel=1e-5)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("env", [signals.Signals(), signals.Turns()], ids=["Signals", "Turns"])
def test_twice_as_many_is_so_many_and_so_many_more(tmp_path, whole, env):
    """Also where the game asks which episode it is, and where episodes cross the border between rollouts."""
    one = recipe(learner.Config(whole_episodes=whole), env)
    whole_run = trained(tmp_path / "a", one, iterations=8, evaluate_every=2)
    run = trained(tmp_path / "b", one, iterations=4, evaluate_every=2)
    played = arrays(run.saved()[-1])["0.play.episode"]
    run = resumed(run, one, iterations=8)
    assert (arrays(run.saved()[-1])["0.play.episode"] > played).all()
    assert_same_arrays(arrays(whole_run.saved()[-1]), arrays(run.saved()[-1]))
    assert run.lines("metrics.jsonl") == whole_run.lines("metrics.jsonl")
    # The shorter run had final tables of its own, which stay.
    kept = [x for x in run.lines("eval.jsonl") if x["which"] == "periodic" or x["iteration"] == 8]
    assert kept == whole_run.lines("eval.jsonl")
    assert {x["iteration"] for x in run.lines("eval.jsonl") if x["which"] == "last"} == {4, 8}


def test_turns_alternate(tmp_path):
    """What the game is told by `episode` arrives: even episodes are of one kind, odd ones of the other."""
    run = trained(tmp_path, recipe(learner.Config(whole_episodes=True), signals.Turns()), iterations=3)
    turns = {int(path.stem): set(arrays(path)["0.play.game.turn"].tolist()) for path in run.saved()}
    assert turns == {2: {1}, 3: {0}}  # each checkpoint holds the start of its last rollout


def lowered(config, env, make=learner.make) -> str:
    one = programs(make, config, env, 4, 2, 4)
    key = jax.random.key(0)
    carry = jax.eval_shape(one.init, floats(config), key)
    return jax.jit(one.chunk).lower(floats(config), key, 0, 2, carry).as_text()


def test_learning_rates_share_a_program():
    """Floats enter as arguments, so a sweep compiles once; sizes and choices do not."""
    config, env = learner.Config(), signals.Signals()
    text = lowered(config, env)
    assert lowered(dataclasses.replace(config, learning_rate=0.7, gamma=0.1), env) == text
    assert lowered(dataclasses.replace(config, hidden=9), env) != text
    small = pg.Config(hidden=4)
    text = lowered(small, env, pg.make)
    assert lowered(dataclasses.replace(small, learning_rate=1e-2, entropy_bonus=0.1), env, pg.make) == text


def test_a_sweep_over_floats_can_be_one_batch():
    """Three learning rates at once have the results of each alone."""
    one = programs(learner.make, learner.Config(), signals.Signals(), 4, 2, 4)
    key, rates = jax.random.key(0), (0.01, 0.1, 0.7)
    values = [floats(learner.Config(learning_rate=rate)) for rate in rates]
    carry = jax.jit(one.init)(values[0], key)
    chunk = jax.jit(one.chunk)
    apart = [chunk(each, key, 0, 2, carry) for each in values]
    stacked = {name: np.array([each[name] for each in values], np.float32) for name in values[0]}
    together = jax.jit(jax.vmap(one.chunk, (0, None, None, None, None)))(stacked, key, 0, 2, carry)
    for i, (after, metrics, finite) in enumerate(apart):
        assert finite
        found = jax.tree.map(lambda x, i=i: x[i], (together[0].state.params, together[1]))
        jax.tree.map(
            lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6), found, (after.state.params, metrics)
        )
    first = [jax.tree.leaves(after.state.params)[0] for after, _, _ in apart]
    assert (first[0] != first[1]).any()


def test_learning_rates_matter(three, tmp_path):
    run = trained(tmp_path, recipe(learner.Config(learning_rate=0.3)), seeds=3)
    one, two = (arrays(r.saved()[-1])["0.state.params.in"] for r in (three, run))
    assert np.abs(one - two).max() > 0.01


def test_what_xla_flags_says_is_kept(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=3")
    assert compiler_options() == {}
    assert compiler_options(often=False) == {"xla_cpu_use_fusion_emitters": False}
    monkeypatch.delenv("XLA_FLAGS")
    assert compiler_options() == {"xla_backend_optimization_level": 1}
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert compiler_options() == compiler_options(often=False) == {}


def test_a_run_compiled_otherwise_is_told_from_this_one():
    now = {"pool": 2, "compiler": {"xla_backend_optimization_level": 1}}
    assert differences(now, now) == differences({}, now) == []
    assert differences({"pool": 2}, now) == ["compiler was {}, is {'xla_backend_optimization_level': 1}"]
    assert differences({**now, "pool": 4}, now) == ["pool was 4, is 2"]
