"""PG's preset `released` against what the authors' code computed on a recorded batch (tests/golden/README.md)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.algorithms.released_facts import below, facts, mlp, recorded, recurrent

FACTS = facts("released_pg_coma.npz")


def close(found, wanted, tolerance=1e-5):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("learner", "critics"), [("pg", ("critic0", "critic1")), ("coma", ("critic", "critic"))])
def test_recorded_networks_give_the_recorded_outputs(learner, critics):
    """Exact GELU (with the tanh form values are off by more than 1e-5), the GRU's gates and both of its biases."""
    init, batch, first = (below(FACTS, learner, part) for part in ("init", "batch", "update1"))
    obs = jnp.asarray(batch["obs"].swapaxes(0, 1)[:-1])  # [T, B, N, V]
    actor = recurrent(init, "actor")
    logits = actor.unroll(obs, jnp.zeros((*obs.shape[1:3], len(actor.cell.weight))))
    close(0.2 * jax.nn.softmax(logits) + 0.8 / 6, first["policy_with_floor"].swapaxes(0, 1))
    values = jnp.stack([mlp(init, net)(obs[-1, :, n]) for n, net in enumerate(critics)], 1)  # before any step
    running = batch["terminated"][:, -3, 0] == 0
    close(values[running].squeeze(), first["critic_values"][running, -1])
    again = recorded(actor, "actor") | recorded(mlp(init, critics[0]), critics[0])
    assert len(again) == 8 + 6
    assert all((init[name] == x).all() for name, x in again.items())
