"""Sharing of parameters, and inputs of networks: single steps against all at once, images, agent ids, last actions."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.axes import aligned
from comity.learning.actions import actions
from comity.networks import RecurrentNet, Team, fresh_core
from comity.spec import Box, Discrete, Image, Vector

VECTOR, CHOICES = Vector(5), Discrete(3)
KEY, T, B, N, H = jax.random.key(0), 4, 3, 2, 6
STARTS = jnp.zeros((T, B), bool).at[2, 1].set(True)


def team_of(
    view: Any = VECTOR, sharing: Any = "separate", core: Any = "gru", space: Any = CHOICES, **options: Any
) -> Any:
    acts = actions(space)

    def make(key, inputs):
        return RecurrentNet(key, inputs, H, acts.size, core=core)

    return Team(make, N, view, sharing, acts, fresh_core(core, H, N), width=7, **options)


def views(view, key=KEY):
    if isinstance(view, Image):
        return jax.random.randint(key, (T, B, N, *view.shape), 0, 256).astype(jnp.uint8)
    return jax.random.normal(key, (T, B, N, view.size))


def spread(memory):
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (B, *x.shape)), memory)


@pytest.mark.parametrize("sharing", ["separate", "shared"])
@pytest.mark.parametrize("core", ["gru", "lstm", "rg-lru", "none"])
@pytest.mark.parametrize(
    ("view", "options"),
    [(Vector(5), {}), (Image(4, 5, 3), {}), (Vector(5), {"reads_id": True, "reads_last": True}),
     (Image(4, 5, 3), {"reads_id": True, "reads_last": True})],
    ids=["vector", "image", "vector-more", "image-more"],
)  # fmt: skip
def test_step_by_step_is_all_at_once(sharing, core, view, options):
    team = team_of(view, sharing, core, **options)
    net, x = team.init(KEY), views(view)
    action = jax.random.randint(KEY, (T, B, N), 0, 3)
    fresh = spread(team.memory)
    memory, outputs = fresh, []
    for t in range(T):
        restart = lambda old, new, now=STARTS[t]: jnp.where(aligned(now, old), new, old)  # noqa: E731
        memory = jax.tree.map(restart, memory, fresh)
        out, memory = team.step(net, x[t], memory)
        memory = team.acted(memory, action[t])
        outputs.append(out)
    together = team.unroll(net, x, fresh, STARTS, action)
    assert together.shape == (T, B, N, 3)
    np.testing.assert_allclose(together, jnp.stack(outputs), atol=1e-5)


def test_separate_networks_differ_and_a_shared_one_is_told_who_it_is():
    same = jnp.broadcast_to(views(Vector(5))[:, :, :1], (T, B, N, 5))
    for sharing, options, differ in (
        ("separate", {}, True),
        ("shared", {}, False),
        ("shared", {"reads_id": True}, True),
    ):
        team = team_of(sharing=sharing, **options)
        out = team.unroll(team.init(KEY), same, spread(team.memory))
        assert np.allclose(out[:, :, 0], out[:, :, 1]) != differ, (sharing, options)


def test_who_reads_its_last_action_answers_to_it_one_step_later():
    team = team_of(reads_last=True)
    net, x = team.init(KEY), views(Vector(5))
    one, two = (team.unroll(net, x, spread(team.memory), None, jnp.full((T, B, N), a)) for a in (0, 1))
    np.testing.assert_allclose(one[0], two[0])
    assert not np.allclose(one[1], two[1])


def test_every_pixel_reaches_the_outputs_and_numbers_are_scaled():
    view = Image(5, 5, 2)
    team = team_of(view, core="none")
    net = team.init(KEY)
    image = jnp.full((N, 5, 5, 2), 100.0)
    slopes = jax.grad(lambda x: jnp.square(team.step(net, x, team.memory)[0]).sum())(image)
    assert (jnp.abs(slopes).sum((0, 3)) > 0).all()
    bright = team.step(net, jnp.full((N, 5, 5, 2), 255, jnp.uint8), team.memory)[0]
    planes = team_of(Image(5, 5, 2, high=1), core="none")
    as_planes = planes.step(planes.init(KEY), jnp.ones((N, 5, 5, 2), jnp.uint8), planes.memory)[0]
    np.testing.assert_allclose(bright, as_planes, atol=1e-6)


def test_deviations_that_depend_on_nothing_are_parameters():
    team = team_of(space=Box(2))
    net = team.init(KEY)
    outputs, _ = team.step(net, views(Vector(5))[0], spread(team.memory))
    assert outputs.shape == (B, N, 4)
    np.testing.assert_allclose(jnp.exp(outputs[..., 2:]), 0.6, rtol=1e-6)
    policy = team.actions(outputs, jnp.ones((B, N, 2), bool))
    grads = jax.grad(
        lambda net: (
            team.actions(team.step(net, views(Vector(5))[0], spread(team.memory))[0], policy.exists).entropy().sum()
        )
    )(net)
    np.testing.assert_allclose(grads.log_deviation, B)


def test_separate_losses_are_collected_and_shared_ones_averaged():
    losses = jnp.array([1.0, 3.0])
    assert team_of().total(losses) == 4
    assert team_of(sharing="shared").total(losses) == 2


def test_a_team_that_reads_its_last_action_must_know_actions():
    team = Team(lambda key, inputs: RecurrentNet(key, inputs, H, 3), N, Vector(5), reads_last=True)
    with pytest.raises(ValueError, match="give `actions`"):
        _ = team.memory
