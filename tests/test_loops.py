"""Loops over time: the longer rounds of an accelerator give the same results as the single steps of a CPU."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import loops


def discounted(xs, reverse):
    def step(total, x):
        total = x + 0.9 * total
        return total, (total, {"twice": 2 * x})

    return loops.over_time(step, jnp.zeros(()), xs, reverse=reverse)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [3, 10, 12])  # shorter than a round, whole rounds, and a rest
def test_a_round_of_several_steps_is_so_many_steps(monkeypatch, length, reverse):
    xs = jnp.arange(1.0, length + 1)
    plain = discounted(xs, reverse)
    with monkeypatch.context() as on_an_accelerator:
        on_an_accelerator.setattr(jax, "default_backend", lambda: "gpu")
        on_an_accelerator.setattr(loops, "UNROLLED", 5)
        rounds = discounted(xs, reverse)
        text = str(jax.make_jaxpr(lambda xs: discounted(xs, reverse))(xs))
    assert "unroll=5" in text
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), plain, rounds)


def test_a_cpu_takes_one_step_a_round():
    assert "unroll=1" in str(jax.make_jaxpr(lambda xs: discounted(xs, False))(jnp.ones(4)))
