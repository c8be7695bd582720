"""Keys that are computed in Python equal those of `jax.random`, and set-up compiles no program for them."""

from typing import Any

import jax
import numpy as np
import pytest

from comity.recipes import from_objects
from comity.training import loop
from comity.training.seed_keys import key_of
from comity.training.settings import Training


@pytest.mark.parametrize(
    ("seed", "numbers"),
    [(0, ()), (7, (3,)), (12345, (4, 0, 2)), (2**31 - 1, (2**31 - 1,)), (2**40 + 5, (1, 10_000)), (-3, (8,))],
)
@pytest.mark.parametrize("implementation", ["threefry2x32", "rbg"])
def test_keys_are_those_of_jax(seed, numbers, implementation):
    with jax.default_prng_impl(implementation):
        wanted = jax.random.key(seed)
        for number in numbers:
            wanted = jax.random.fold_in(wanted, number)
        found = key_of(seed, *numbers)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(jax.random.key_data(found), jax.random.key_data(wanted))


def test_wide_seeds_where_jax_counts_in_64_bits():
    with jax.enable_x64(True):
        wanted, found = jax.random.fold_in(jax.random.key(2**40 + 5), 9), key_of(2**40 + 5, 9)
    np.testing.assert_array_equal(jax.random.key_data(found), jax.random.key_data(wanted))


def test_a_run_compiles_its_three_programs_and_nothing_else(tmp_path):
    compiled: list[str] = []

    def heard(event: str, duration_secs: float, **facts: str | int) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(str(facts.get("fun_name")))

    jax.clear_caches()  # what earlier tests have compiled is compiled again where it is asked for
    jax.monitoring.register_event_duration_secs_listener(heard)
    try:
        few: dict[str, Any] = {
            "seeds": 2,
            "envs": 4,
            "iterations": 2,
            "chunk": 1,
            "evaluations": 1,
            "final_episodes": 8,
        }
        loop.train(from_objects("matrix", "reinforce"), Training(**few), tmp_path)
    finally:
        jax.monitoring.unregister_event_duration_listener(heard)
    assert sorted(compiled) == ["jit(chunk)", "jit(evaluate)", "jit(init)"]
