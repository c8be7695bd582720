"""`comity bench`: what it counts, what it measures, the comparison with an earlier file, and refusals."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from comity.algorithms import ALGORITHMS
from comity.bench import PAIRS, flop, measure
from comity.cli import bench
from comity.cli.bench import ratio_to_floor
from comity.cli.main import main
from comity.environments import TASKS
from comity.learning.replay import Replay

A, B = jnp.ones((3, 4)), jnp.ones((4, 5))
ONCE = 2 * 3 * 4 * 5


def loop(a):
    return lax.scan(lambda c, _: (jnp.tanh(c @ B @ B.T), None), a, length=7)[0]


@pytest.mark.parametrize(
    ("f", "wanted"),
    [
        (lambda a: a @ B, ONCE),
        (lambda a: jnp.einsum("ij,jk->ik", a, B).sum(), ONCE),
        (lambda a: (a @ B, jnp.sin(a) @ B)[0], ONCE),  # nobody reads the second
        (jax.jit(lambda a: a @ B), ONCE),
        (loop, 7 * 2 * ONCE),
        (lambda a: lax.cond(a.sum() > 0, lambda: (a @ B).sum(), lambda: (a @ B @ B.T).sum()), 2 * ONCE),
        (jax.grad(lambda a: (a @ B).sum()), ONCE),  # of the inputs; the product itself is not needed
        (lambda a: jax.vmap(lambda x: x @ B)(jnp.stack([a, a])), 2 * ONCE),
        (lambda a: a + 1, 0),
    ],
)
def test_matrix_products_are_counted(f, wanted):
    assert flop.of_program(jax.make_jaxpr(f)(A)) == wanted


def test_every_learner_has_a_task():
    assert set(PAIRS) == set(ALGORITHMS) - {"random"}
    assert {task.partition("+")[0] for task in PAIRS.values()} <= set(TASKS)


def test_a_measurement_and_one_before(tmp_path):
    file = tmp_path / "numbers" / "now.json"
    command = [sys.executable, "-m", "comity", "bench", "lica-exact", "--iterations", "2", "--repeats", "2"]
    out = subprocess.run([*command, "--out", str(file)], capture_output=True, text=True, check=True).stdout
    found = json.loads(file.read_text())
    row = found["algorithms"]["one-step-traffic-junction:lica-exact"]
    assert found["versions"]["jax"] == jax.__version__
    assert found["cores"] == len(os.sched_getaffinity(0))
    assert all(row[name] > 0 for name in ("update_ms", "play_ms", "gflop", "rate_gflops", "compile_s", "peak_mb"))
    assert row["ratio"] is None
    assert 0 < row["floor_ms"] < row["update_ms"] / 100  # hardly anything of it is a product
    assert row["floor_ms"] == pytest.approx(1e3 * row["gflop"] / row["rate_gflops"])
    assert f"| one-step-traffic-junction | lica-exact | {row['update_ms']:.4g} |" in out
    assert found["sizes"] == {"iterations": 2, "repeats": 2}
    row["update_ms"] *= 1e6
    found["sizes"]["iterations"], found["processor"] = 50, "Abacus"
    file.write_text(json.dumps(found))
    out = subprocess.run([*command, "--before", str(file)], capture_output=True, text=True, check=True).stdout
    assert "| before / now |" in out
    (line,) = [line for line in out.splitlines() if "was measured otherwise" in line]
    assert "processor Abacus there, " in line
    assert line.endswith(", iterations 50 there, 2 here")
    assert float(out.splitlines()[-1].split("|")[-2]) > 1e4


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("qmax", "unknown algorithm 'qmax'; did you mean"),
        ("two-step", "two-step is a task: write two-step:ALGORITHM"),
        ("manitoka:pg", "unknown task 'manitoka'; did you mean manitokan or manitokan-messages?"),
        ("random", "random has no task of its own in the table: write TASK:random"),
        ("--repeats 0", "--iterations 5 and --repeats 0 must be 1 or more"),
        ("--only speed", "--only 'speed'; allowed: start, algorithms, cores"),
        ("--against mava", "--against 'mava' : allowed is --against jaxmarl"),
        ("--against jaxmarl --only plays", "--only 'plays'; did you mean play?"),
        ("--against jaxmarl --only vdn", "--baselines None: give the folder `baselines`"),
        ("--against jaxmarl --python here --seeds 0", "--seeds 0 and --steps 500000 must be 1 or more"),
        ("--against jaxmarl --table none.jsonl", "No such file or directory: none.jsonl"),
        ("--before none.json", "No such file or directory: none.json"),
        ("--before empty.json", "empty.json holds no measurements"),
        ("--before broken.json", "broken.json is no JSON"),
    ],
)
def test_refusals_are_one_line(words, told, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.json").write_text("{}")
    (tmp_path / "broken.json").write_text("{")
    assert main(["bench", *words.split()]) in (1, 2)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert told in lines[0]


def test_the_table_beside_jaxmarl_is_made_of_the_lines_kept(capsys):
    kept = Path(__file__).parents[2] / "docs" / "results" / "against_jaxmarl.jsonl"
    assert main(["bench", "--against", "jaxmarl", "--table", str(kept)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 20
    page = (kept.parents[1] / "performance.md").read_text().splitlines()
    assert [line for line in lines if line not in page] == []


def test_a_measurement_that_fails_says_why_in_one_line():
    with pytest.raises(ValueError, match=r"^[^\n]* failed: ZeroDivisionError: division by zero$"):
        measure.in_process(["-c", "1 / 0"])


def test_what_differs_from_an_earlier_file_and_why_cores_are_left_out(monkeypatch, capsys):
    now = {"platform": "cpu", "processor": "x", "sizes": {"iterations": 5, "repeats": 3}}
    assert bench.differences(now, now) == ""
    old = {"platform": "gpu", "processor": "x"}
    told = "platform gpu there, cpu here, iterations unknown there, 5 here, repeats unknown there, 3 here"
    assert bench.differences(old, now) == told
    machine = {"processor": "x", "memory_gib": 1, "devices": ["H200"], "versions": {}}
    for platform, cores, why in (("gpu", 8, "jax computes on GPU here"), ("cpu", 1, "there is one core")):
        about = json.dumps({**machine, "platform": platform, "cores": cores})
        monkeypatch.setattr(bench, "_run", lambda *_, about=about: about)
        assert main(["bench", "--only", "cores"]) == 0
        assert f"cores: not measured, because {why}" in capsys.readouterr().out


def test_rounds_begin_when_the_replay_is_ready():
    """TD3 waits for 1,000 rows; a chunk of two iterations brings 64."""
    filled, program = iter([64 * n for n in range(1, 30)]), object.__new__(measure.Program)
    program.config, program.carry = SimpleNamespace(warmup=1_000), [SimpleNamespace(state={})]
    ran = []

    def run(seeds):
        ran.append(next(filled))
        program.carry[0].state["memories"] = Replay((), jnp.zeros(()), jnp.int32(ran[-1]))
        return 64.0

    program.run = run  # pyright: ignore[reportAttributeAccessIssue]
    assert program.warm_up([0]) == 64.0
    assert ran[-1] == 1_024
    assert len(ran) == 16


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_the_peak_is_read_before_the_rate_is_measured(monkeypatch, backend):
    """Of an accelerator it is the largest amount ever, so products of 8,192 x 8,192 would be in it."""
    memory = {"now": 1_000_000}

    def product(*_):
        memory["now"] = 800_000_000
        return 1.0

    class Fake:
        env = algorithm = keys = carry = None
        env_steps, compile_cpu, compile_wall = 64.0, 1.0, 1.0
        keys, carry = [None], [SimpleNamespace(state=())]
        chunk = SimpleNamespace(memory_analysis=lambda: None)
        run = play = lambda *_: None

    monkeypatch.setattr(measure, "Program", lambda *_: Fake())
    monkeypatch.setattr(measure, "flop_per_update", lambda *_: 1.0)
    monkeypatch.setattr(measure, "product_seconds", product)
    monkeypatch.setattr(measure, "rate_of_an_accelerator", product)
    monkeypatch.setattr(measure, "peak_bytes", lambda: memory["now"])
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    assert measure.algorithm("game", "learner", 1, 3)["peak_mb"] == 1.0


def test_the_ratio_to_the_floor_is_told_where_products_count():
    assert ratio_to_floor(30.0, 10.0) == 3.0
    assert ratio_to_floor(30.0, 0.1) is None
    assert ratio_to_floor(30.0, 0.0) is None
