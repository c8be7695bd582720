"""`comity bench`: what it counts, what it measures, the comparison with an earlier file, and refusals."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from comity.algorithms import ALGORITHMS
from comity.bench import PAIRS, flop, measure
from comity.cli.bench import ratio_to_floor
from comity.cli.main import main
from comity.environments import TASKS

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
    row["update_ms"] *= 1e6
    file.write_text(json.dumps(found))
    out = subprocess.run([*command, "--before", str(file)], capture_output=True, text=True, check=True).stdout
    assert "| before / now |" in out
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


def test_the_ratio_to_the_floor_is_told_where_products_count():
    assert ratio_to_floor(30.0, 10.0) == 3.0
    assert ratio_to_floor(30.0, 0.1) is None
    assert ratio_to_floor(30.0, 0.0) is None
